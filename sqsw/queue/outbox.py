"""Open batches: jobs are collected and sent ten at a time."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SQSBatchError, SQSError
from sqsw.core.limits import MAX_BATCH_ENTRIES, MAX_MESSAGE_BYTES
from sqsw.transport.batches import Entry, entry_bytes
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import all_failed, send_entries
from sqsw.transport.service_errors import HOW_TO_DEDUPLICATE, misses_deduplication_id

if TYPE_CHECKING:
    from sqsw.parking.places import ParkingPlace


@dataclass
class _Collected:
    """An entry, the number of entries added before it, and when it is due if it must be parked."""

    place: int
    entry: Entry
    due: datetime | None


@dataclass
class _Line:
    """Entries that go out with the same call, and their bytes."""

    entries: list[_Collected] = field(default_factory=list)
    size: int = 0

    def take(self) -> list[_Collected]:
        taken, self.entries, self.size = self.entries, [], 0
        return taken


@dataclass
class _Batch:
    """What one ``with queue.add_batch():`` has collected, inner ones included."""

    owner: object
    outer: "_Batch | None"
    #: for each open block, the number of entries added before it
    blocks: list[int] = field(default_factory=list)
    added: int = 0
    #: entries that are not sent yet: those for the queue, and those to park
    lines: "tuple[_Line, _Line]" = field(default_factory=lambda: (_Line(), _Line()))
    # asyncio.to_thread() takes the context along, and the open batch with it.
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: list[dict[str, Any]] = field(default_factory=list)
    #: message groups of a FIFO queue of which an entry failed
    stopped: set[str] = field(default_factory=set)


class Outbox:
    """The open batch of a queue; every thread and every asyncio task has its own.

    Entries that SQS refuses are remembered until the batch is closed, so that none of the others
    is lost to the exception.
    """

    def __init__(
        self, client: Callable[[], QueueClient], place: Callable[[], "ParkingPlace"]
    ) -> None:
        self._client = client
        self._place = place
        self._open: ContextVar[_Batch | None] = ContextVar("sqsw_outbox", default=None)

    @property
    def is_open(self) -> bool:
        return self._current() is not None

    def open(self) -> None:
        """Begin to collect; may be called again inside."""
        batch = self._current()
        # A task that began inside the block adds to its batch, but cannot keep it open.
        if batch is None or batch.owner != _owner():
            batch = _Batch(_owner(), outer=batch)
            self._open.set(batch)
        batch.blocks.append(batch.added)

    def add(self, entry: Entry, due: datetime | None = None) -> None:
        """Collect an entry; ten of them are sent, or fewer that fill a call.

        Parameters
        ----------
        due :
            When the job is due if it must be parked; None: SQS can delay it.
        """
        batch, size = self._batch(), entry_bytes(entry)
        line = batch.lines[due is not None]
        full: list[list[_Collected]] = []
        with batch.lock:
            if line.size + size > MAX_MESSAGE_BYTES:
                full.append(line.take())
            line.entries.append(_Collected(batch.added, entry, due))
            batch.added += 1
            line.size += size
            if len(line.entries) >= MAX_BATCH_ENTRIES:
                full.append(line.take())
        for entries in full:
            self._send(batch, entries)

    def close(self) -> None:
        """Leave the block, and send the rest if it was the outermost one.

        Raises
        ------
        SQSBatchError
            Some entries were not sent; all others were.
        """
        batch = self.leave()
        if batch is not None:
            self.finish(batch)

    def discard(self) -> None:
        """Leave the block, and forget the entries that were added in it and are not sent yet."""
        batch = self._batch()
        with batch.lock:
            for line in batch.lines:
                line.entries = [each for each in line.entries if each.place < batch.blocks[-1]]
                line.size = sum(entry_bytes(each.entry) for each in line.entries)
        self.leave()

    def leave(self) -> "_Batch | None":
        """Leave the block; return the batch if it was the outermost one."""
        batch = self._batch()
        batch.blocks.pop()
        if batch.blocks:
            return None
        self._open.set(batch.outer)
        return batch

    def finish(self, batch: "_Batch") -> None:
        """Send the rest of a batch that was left; raises as :meth:`close` does."""
        with batch.lock:
            taken = [line.take() for line in batch.lines]
        for entries in taken:
            self._send(batch, entries)
        if batch.failed:
            raise _batch_error(self._client().name, batch.failed)

    def _send(self, batch: _Batch, collected: Sequence[_Collected]) -> None:
        if not collected:
            return
        entries, client = [each.entry for each in collected], self._client()
        dues = [each.due for each in collected if each.due is not None]
        failed = (
            _send(client, entries, batch.stopped)
            if not dues
            else _park(self._place, client, entries, dues)
        )
        with batch.lock:
            batch.failed += failed

    def _current(self) -> _Batch | None:
        batch = self._open.get()
        # A task that began inside the block has a copy of its context, with the batch in it; what
        # it adds after the end of the block would never be sent.
        return batch if batch is not None and batch.blocks else None

    def _batch(self) -> _Batch:
        batch = self._current()
        if batch is None:
            raise RuntimeError("there is no open batch: call open_add_batch() first")
        return batch


class JobBatch:
    """A ``with`` or ``async with`` block of :meth:`sqsw.JobQueue.add_batch`."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __enter__(self) -> None:
        self._outbox.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._outbox.close()
        else:
            self._outbox.discard()

    async def __aenter__(self) -> None:
        self._outbox.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._outbox.discard()
            return
        # Here, because what a thread sets in its copy of the context is lost.
        batch = self._outbox.leave()
        if batch is not None:
            import asyncio  # programs without coroutines do not need it

            await asyncio.to_thread(self._outbox.finish, batch)


def _batch_error(queue_name: str, failed: Sequence[Mapping[str, Any]]) -> SQSBatchError:
    reasons = sorted({f"{failure['Code']}: {failure['Message']}" for failure in failed})
    message = f"{len(failed)} job(s) of the batch were not sent to {queue_name!r}"
    cures = ["the error has the failed entries in .errors, each under '_message'"]
    if any(map(misses_deduplication_id, reasons)):
        message += ", which needs a deduplication id"
        cures.insert(0, HOW_TO_DEDUPLICATE)
    return SQSBatchError(message, failed, why="; ".join(reasons[:3]), next="; ".join(cures))


def _owner() -> object:
    """Who opens a batch: this asyncio task, or this thread."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task() if asyncio else None
    except RuntimeError:  # no loop runs here
        task = None
    return threading.get_ident() if task is None else task


def _send(client: QueueClient, entries: Sequence[Entry], stopped: set[str]) -> list[dict[str, Any]]:
    """Return the entries that were not sent, as SQSBatchError has them."""
    try:
        failures = send_entries(client, entries, stopped).failures
    except SQSError as error:
        failures = all_failed(entries, error, error.why or error.message)
        if client.is_fifo:
            stopped.update(entry["MessageGroupId"] for entry in entries)
    return [failure.as_error(entries[index]) for index, failure in sorted(failures.items())]


def _park(
    place: Callable[[], "ParkingPlace"],
    client: QueueClient,
    entries: Sequence[Entry],
    dues: Sequence[datetime],
) -> list[dict[str, Any]]:
    """Return the entries that were not parked, as SQSBatchError has them."""
    try:
        refused = place().park_batch(entries, client, dues)
        failures = {failure.index: failure for failure in refused}
    except SQSError as error:
        failures = all_failed(entries, error, error.summary)
    return [failure.as_error(entries[index]) for index, failure in sorted(failures.items())]
