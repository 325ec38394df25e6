"""Notes of which messages a process runs, to be read after it has died.

1. note      (the worker, as each job starts and ends: two stores into memory)
2. read      (the supervisor after a process died, or the next worker: what still ran is suspect)
3. isolate   (worker processes run a suspect alone, until its job has ended once)
4. take over (on its last receive, a message does not come back: the note keeps its content, so that
              the next process can go on with it while its lease lasts)
"""

import errno
import fcntl
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from sqsw.core.errors import SQSError
from sqsw.core.events import EventBus, JobKilledProcess
from sqsw.core.files import distrust, open_descriptor
from sqsw.core.job_metadata import SQSW
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.lane import Lane
from sqsw.worker.shared_memory import BETWEEN, SharedMemory
from sqsw.worker.suspects import Suspects

logger = SafeLogger(__name__)

#: jobs in a process that died, beyond which none of them is suspect: to run so many one by one
#: would hold up the others for too long
_MOST_SUSPECTS = 100

#: bytes of a cell, and messages that are noted at a time, at most
_CELL, _CELLS = 512, 4_096

#: bytes of the length of what is handed over
_HEADER = 8

#: Bytes of a message that is kept on its last receive, and how many are kept at a time, at most. A
#: message has 1 MiB, and at most about twice that as JSON.
_KEPT, _KEPT_CELLS = 4 << 20, 128

#: what the first byte of a cell says; 0: it has never been used
_RUNS, _ENDED, _WAITS, _WAITS_ALONE = 1, 2, 3, 4

#: marks bytes in JSON
_BINARY = "base64"

#: characters of a job name
_NAME_LENGTH = 100

_RECEIVES, _GROUP = "ApproximateReceiveCount", "MessageGroupId"

_SEQUENCE = "SequenceNumber"


class NotedMessage(NamedTuple):
    """A message whose job ran when its process died, or that was in hand on its last receive.

    Attributes
    ----------
    message :
        Its ids, queue, receive count and group; all of it if it was kept.
    job_name :
        The job name; None if it has none.
    is_last_receive :
        Whether SQS moves it to the dead-letter queue instead of delivering it again.
    is_kept :
        Whether another process can take it over.
    has_run :
        Whether its job ran; False: it was only in hand.
    is_suspect :
        Whether its job ran, or had to run alone because it had run when another process died.
    """

    message: Message
    job_name: str | None
    is_last_receive: bool
    is_kept: bool = False
    has_run: bool = True
    is_suspect: bool = True


class Orphan(NamedTuple):
    """A message on its last receive that the next process takes over.

    Attributes
    ----------
    message :
        The message; its lease is not known.
    has_run :
        Whether its job ran when the process died.
    is_suspect :
        Whether it must run alone: its job ran in this process or in an earlier one that died.
    is_killer :
        Whether no other job ran.
    exit_code, memory_bytes :
        Of that process; None if unknown.
    """

    message: Message
    has_run: bool
    is_suspect: bool
    is_killer: bool
    exit_code: int | None
    memory_bytes: int | None


class RunNotes:
    """Notes of what runs in a process. The register writes them under its lock.

    Parameters
    ----------
    memory :
        Memory that outlives the process.
    """

    #: bytes of the notes
    SIZE = _CELLS * _CELL

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._map = memory.map
        self._free: list[int] = []
        self._unused = 0
        #: where messages are kept, by the cell of their note
        self._kept: dict[int, int] = {}

    def __reduce__(self) -> tuple[type["RunNotes"], tuple[SharedMemory]]:
        return RunNotes, (self._memory,)

    def begin(self, run: JobRun) -> None:
        """Note that a run starts."""
        # Its function runs in a process of the pool, and only that one can die by it.
        if run.runs_in == "process":
            return
        for delivery in run.deliveries:
            if delivery.cell < 0:
                self._note(run.lane, delivery, _RUNS)
            else:
                self._map[delivery.cell] = _RUNS

    def keep(self, run: JobRun) -> None:
        """Note a message that is in hand, if it is on its last receive."""
        lane, (delivery,) = run.lane, run.deliveries
        if (
            lane.dead_letter_client is not None
            and lane.is_last_receive(delivery.message)
            and run.runs_in != "process"
        ):
            self._note(lane, delivery, _WAITS_ALONE if run.runs_alone else _WAITS)

    def end(self, deliveries: Iterable[Delivery]) -> None:
        """Remove the notes of messages that have run or go back to SQS."""
        for delivery in deliveries:
            cell, delivery.cell = delivery.cell, -1
            if cell >= 0:
                self._map[cell] = _ENDED
                self._free.append(cell)
                if self._kept and self._kept.pop(cell, None) is not None:
                    self._memory.cut(_place(max(self._kept.values(), default=-1) + 1))

    def read(self) -> list[NotedMessage]:
        """Return what runs and what is kept; after a death, what ran and was kept."""
        found: list[NotedMessage] = []
        for cell in range(0, self.SIZE, _CELL):
            if self._map[cell] == 0:
                break
            if self._map[cell] in (_RUNS, _WAITS, _WAITS_ALONE):
                noted = self._noted(self._map[cell : cell + _CELL])
                found += [] if noted is None else [noted]
        return found

    def reset(self) -> None:
        """Remove the notes of an earlier process."""
        for cell in range(0, self.SIZE, _CELL):
            if self._map[cell] == 0:
                break
            self._map[cell] = 0
        self._memory.cut(self.SIZE)

    def hand_over(self, orphans: Sequence[Orphan]) -> None:
        """Leave messages for the process that will write these notes."""
        if orphans:
            rest = [[_fields(each.message), *each[1:]] for each in orphans]
            data = _to_json(rest)
            self._memory.put(_HANDED_OVER, len(data).to_bytes(_HEADER, "little") + data)

    def take_orphans(self) -> list[Orphan]:
        """Return the messages that were left for this process, and remove them."""
        size = int.from_bytes(self._memory.get(_HANDED_OVER, _HEADER), "little")
        if not size:
            return []
        data = self._memory.get(_HANDED_OVER + _HEADER, size)
        self._memory.cut(_HANDED_OVER)
        found = json.loads(data, object_hook=_binary)
        return [Orphan(Message(**fields), *rest) for fields, *rest in found]

    def close(self) -> None:
        self._memory.close()

    def _note(self, lane: Lane, delivery: Delivery, state: int) -> None:
        if self._free:
            cell = self._free.pop()
        elif self._unused < self.SIZE:
            cell, self._unused = self._unused, self._unused + _CELL
        else:
            return
        delivery.cell = cell
        message, job_name = delivery.message, delivery.job.name or ""
        attributes, metadata = message.attributes, message.message_attributes.get(SQSW)
        text = metadata.get("StringValue", "") if metadata is not None else ""
        receives, most = str(attributes.get(_RECEIVES, 1)), str(lane.max_receives)
        kept = ""
        if receives == most and lane.dead_letter_client is not None:
            kept = self._keep(cell, replace(message, queue_name=lane.name))
        values = (
            *(message.message_id, lane.name, receives, most, attributes.get(_GROUP, "")),
            *(kept, job_name, text),
        )
        data = f"{BETWEEN.join(values)}\0".encode("utf-8", "replace")
        size = len(data)
        if size >= _CELL:  # the attribute has the record of an earlier death
            name = job_name[:_NAME_LENGTH].encode("utf-8", "replace")
            data = BETWEEN.encode().join([*data.split(BETWEEN.encode())[:6], name, b"\0"])
            size = min(len(data), _CELL - 1)
        # The first byte says that the rest is complete.
        self._map[cell + 1 : cell + 1 + size] = data[:size]
        self._map[cell] = state

    def _keep(self, cell: int, message: Message) -> str:
        """Store a whole message; return its place and size, or an empty text without room."""
        used = set(self._kept.values())
        number = next((each for each in range(_KEPT_CELLS) if each not in used), None)
        if number is None:
            return ""
        data = _to_json(_fields(message))
        if len(data) > _KEPT or not self._memory.put(_place(number), data):
            return ""
        self._kept[cell] = number
        return f"{number}:{len(data)}"

    def _noted(self, cell: bytes) -> NotedMessage | None:
        values: Sequence[str]
        values = cell[1:].partition(b"\0")[0].decode("utf-8", "replace").split(BETWEEN)
        if len(values) != 8:
            return None
        message_id, queue_name, receives, max_receives, group, kept, job_name, metadata = values
        attributes = {_RECEIVES: receives, **({_GROUP: group} if group else {})}
        attribute = {SQSW: {"StringValue": metadata}} if metadata else {}
        message = Message(message_id, "", "", attributes, attribute, queue_name)
        whole = self._read_kept(kept) if kept else None
        is_kept = whole is not None and whole.message_id == message_id
        return NotedMessage(
            whole if whole is not None and is_kept else message,
            *(
                job_name or None,
                receives == max_receives,
                is_kept,
                cell[0] == _RUNS,
                cell[0] != _WAITS,
            ),
        )

    def _read_kept(self, where: str) -> Message | None:
        try:
            number, size = map(int, where.split(":"))
            data = self._memory.get(_place(number), size)
            return Message(**json.loads(data, object_hook=_binary))
        except (ValueError, TypeError, OSError):  # the file is damaged
            return None


#: where the memory has what is handed over, behind the messages that are kept
_HANDED_OVER = RunNotes.SIZE + _KEPT_CELLS * _KEPT


class CrashNotes(NamedTuple):
    """The notes of a worker process, and what it knows about processes that died.

    Attributes
    ----------
    runs :
        The notes of this process.
    suspects :
        The messages that ran in processes that died.
    """

    runs: RunNotes
    suspects: Suspects


class _Here:
    notes: CrashNotes | None = None


def use_crash_notes(notes: CrashNotes | None) -> None:
    """Make the workers of this process write these notes; None: they write none."""
    _Here.notes = notes


def crash_notes_here() -> CrashNotes | None:
    """Return the notes of this process; None if nobody would read them."""
    return _Here.notes


def report_death(
    ran: Sequence[NotedMessage],
    suspects: Suspects,
    events: EventBus,
    exit_code: int | None = None,
    memory_bytes: int | None = None,
) -> list[Orphan]:
    """Report what ran in a process that died, and make it run alone from now on.

    Parameters
    ----------
    exit_code, memory_bytes :
        Of the process; None if unknown.

    Returns
    -------
    list
        The messages that SQS does not deliver again. The next process must take them over.
    """
    count = sum(each.has_run for each in ran)
    if count > _MOST_SUSPECTS:
        return []
    orphans: list[Orphan] = []
    for message, job_name, is_last_receive, is_kept, has_run, is_suspect in ran:
        if is_kept:
            is_killer = has_run and count == 1
            orphans.append(Orphan(message, has_run, is_suspect, is_killer, exit_code, memory_bytes))
        elif not is_last_receive:
            suspects.add(
                *(message.queue_name, message.message_id),
                is_alone=count == 1,
                exit_code=exit_code,
                memory_bytes=memory_bytes,
            )
        if has_run:
            ids = message.without_content()
            events.publish(JobKilledProcess(ids, job_name, exit_code, memory_bytes, count))
    # The order of their messages in a group; the cells have none.
    return sorted(orphans, key=lambda each: int(each.message.attributes.get(_SEQUENCE, 0)))


@contextmanager
def keep_crash_notes(path: str, events: EventBus) -> Iterator[None]:
    """Have the worker of this process write notes, for the next one; report those of the last one.

    Parameters
    ----------
    path :
        The notes are kept next to this file, and removed at the end.
    """
    notes = None
    try:
        runs = RunNotes(_kept(f"{path}.running", RunNotes.SIZE))
        notes = CrashNotes(runs, Suspects(_kept(f"{path}.suspects", Suspects.SIZE)))
    except (OSError, SQSError) as error:
        logger.warning("the next worker cannot tell which job ended this one: %s", error)
    else:
        orphans = report_death(runs.read(), notes.suspects, events)
        runs.reset()
        runs.hand_over(orphans)
    use_crash_notes(notes)
    try:
        yield
    finally:
        use_crash_notes(None)
        for name in ("running", "suspects") if notes is not None else ():
            with suppress(OSError):  # somebody else has removed it, or its directory
                os.unlink(f"{path}.{name}")


def _kept(path: str, size: int) -> SharedMemory:
    descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT)
    try:
        status = os.fstat(descriptor)
        if (reason := distrust(path, status)) is not None:
            raise PermissionError(errno.EACCES, f"not to be trusted, because {reason}", path)
        try:  # what a living process runs is neither suspect nor lost
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(error.errno, "another process writes to it", path) from None
        # A store into a part that has no room on the disk would end the process.
        os.pwrite(descriptor, bytes(max(0, size - status.st_size)), status.st_size)
        return SharedMemory(size, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _place(number: int) -> int:
    return RunNotes.SIZE + number * _KEPT


def _fields(message: Message) -> dict[str, Any]:
    names = ("message_id", "receipt_handle", "body", "attributes", "message_attributes")
    return {name: getattr(message, name) for name in (*names, "queue_name", "received_at", "tries")}


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=_from_binary).encode("utf-8", "replace")


def _from_binary(value: bytes) -> dict[str, str]:
    return {_BINARY: b64encode(value).decode()}


def _binary(found: dict[str, Any]) -> Any:
    text = found.get(_BINARY)
    return b64decode(text) if isinstance(text, str) and len(found) == 1 else found
