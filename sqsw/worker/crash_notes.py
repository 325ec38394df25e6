"""Notes of which messages a process runs, to be read after it has died.

1. note      (the worker, as each job starts and ends: two stores into memory)
2. read      (the supervisor after a process died, or the next worker: what still ran is suspect)
3. isolate   (worker processes run a suspect alone, until its job has ended once)
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from sqsw.core.errors import SQSError
from sqsw.core.events import EventBus, JobKilledProcess
from sqsw.core.files import distrust, open_descriptor
from sqsw.core.message import SQSW, Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.shared_memory import BETWEEN, SharedMemory
from sqsw.worker.suspects import Suspects

logger = SafeLogger(__name__)

#: jobs in a process that died, beyond which none of them is suspect: to run so many one by one
#: would hold up the others for too long
_MOST_SUSPECTS = 100

#: bytes of a cell, and messages that are noted at a time, at most
_CELL, _CELLS = 512, 4_096

#: what the first byte of a cell says; 0: it has never been used
_RUNS, _ENDED = 1, 2

#: characters of a job name
_NAME_LENGTH = 100

_RECEIVES, _GROUP = "ApproximateReceiveCount", "MessageGroupId"


class NotedMessage(NamedTuple):
    """A message whose job ran when its process died.

    Attributes
    ----------
    message :
        Its ids, queue, receive count and group.
    job_name :
        The job name; None if it has none.
    is_last_receive :
        Whether SQS moves it to the dead-letter queue instead of delivering it again.
    """

    message: Message
    job_name: str | None
    is_last_receive: bool


class RunNotes:
    """What runs in a process; written under the lock of the register.

    Parameters
    ----------
    memory :
        Outlives the process.
    """

    #: bytes of the notes
    SIZE = _CELLS * _CELL

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._map = memory.map
        self._free: list[int] = []
        self._unused = 0

    def __reduce__(self) -> tuple[type["RunNotes"], tuple[SharedMemory]]:
        return RunNotes, (self._memory,)

    def begin(self, run: JobRun) -> None:
        """A run starts."""
        # Its function runs in a process of the pool, and only that one can die by it.
        if run.runs_in == "process":
            return
        if len(run.deliveries) == 1:
            run.cells = (self._note(run, run.deliveries[0]),)
        else:
            run.cells = [self._note(run, delivery) for delivery in run.deliveries]

    def end(self, run: JobRun) -> None:
        """It has ended, or counts as ended."""
        for cell in run.cells:
            if cell >= 0:
                self._map[cell] = _ENDED
                self._free.append(cell)
        run.cells = ()

    def read(self) -> list[NotedMessage]:
        """Return what runs, or what ran when the process died."""
        found: list[NotedMessage] = []
        for cell in range(0, self.SIZE, _CELL):
            if self._map[cell] == 0:
                break
            if self._map[cell] == _RUNS:
                noted = _noted(self._map[cell + 1 : cell + _CELL])
                found += [] if noted is None else [noted]
        return found

    def reset(self) -> None:
        """Forget what a former process noted."""
        for cell in range(0, self.SIZE, _CELL):
            if self._map[cell] == 0:
                break
            self._map[cell] = 0

    def close(self) -> None:
        self._memory.close()

    def _note(self, run: JobRun, delivery: Delivery) -> int:
        if self._free:
            cell = self._free.pop()
        elif self._unused < self.SIZE:
            cell, self._unused = self._unused, self._unused + _CELL
        else:
            return -1
        message, lane, job_name = delivery.message, run.lane, delivery.job.name or ""
        attributes, metadata = message.attributes, message.message_attributes.get(SQSW)
        text = metadata.get("StringValue", "") if metadata is not None else ""
        values = (
            *(message.message_id, lane.name, str(attributes.get(_RECEIVES, 1))),
            *(str(lane.max_receives), attributes.get(_GROUP, ""), job_name, text),
        )
        data = f"{BETWEEN.join(values)}\0".encode("utf-8", "replace")
        size = len(data)
        if size >= _CELL:  # the attribute has the record of an earlier death
            name = job_name[:_NAME_LENGTH].encode("utf-8", "replace")
            data = BETWEEN.encode().join([*data.split(BETWEEN.encode())[:5], name, b"\0"])
            size = min(len(data), _CELL - 1)
        # The first byte says that the rest is complete.
        self._map[cell + 1 : cell + 1 + size] = data[:size]
        self._map[cell] = _RUNS
        return cell


class CrashNotes(NamedTuple):
    """What a worker process notes, and what it knows of processes that died.

    Attributes
    ----------
    runs :
        What runs in this process.
    suspects :
        What ran in those that died.
    """

    runs: RunNotes
    suspects: Suspects


class _Here:
    notes: CrashNotes | None = None


def use_crash_notes(notes: CrashNotes | None) -> None:
    """Have the workers of this process write these notes; None: none."""
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
) -> None:
    """Report what ran in a process that died, and have it run alone from now on.

    Parameters
    ----------
    exit_code, memory_bytes :
        Of the process; None if unknown.
    """
    count = len(ran)
    if count > _MOST_SUSPECTS:
        return
    for message, job_name, is_last_receive in ran:
        if not is_last_receive:  # else it does not come again
            suspects.add(
                *(message.queue_name, message.message_id),
                is_alone=count == 1,
                exit_code=exit_code,
                memory_bytes=memory_bytes,
            )
        events.publish(JobKilledProcess(message, job_name, exit_code, memory_bytes, count))


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
        report_death(runs.read(), notes.suspects, events)
        runs.reset()
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
        # A store into a part that has no room on the disk would end the process.
        os.pwrite(descriptor, bytes(max(0, size - status.st_size)), status.st_size)
        return SharedMemory(size, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _noted(cell: bytes) -> NotedMessage | None:
    values: Sequence[str]
    values = cell.partition(b"\0")[0].decode("utf-8", "replace").split(BETWEEN)
    if len(values) != 7:
        return None
    message_id, queue_name, receives, max_receives, group, job_name, metadata = values
    attributes = {_RECEIVES: receives, **({_GROUP: group} if group else {})}
    kept = {SQSW: {"StringValue": metadata}} if metadata else {}
    message = Message(message_id, "", "", attributes, kept, queue_name)
    return NotedMessage(message, job_name or None, receives == max_receives)
