"""Open batches: jobs are collected and sent ten at a time."""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqsw.core.errors import SQSBatchError, SQSError
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.transport.batches import Entry, EntryFailure, split_entries
from sqsw.transport.queue_client import QueueClient

#: seconds before an entry is sent again that SQS refused for reasons of its own
_RETRY_SECONDS = (0.2, 1.0)


@dataclass
class _Batch:
    """What one ``with queue.add_batch():`` has collected, inner ones included."""

    depth: int = 0
    entries: list[Entry] = field(default_factory=list)
    # asyncio.to_thread() takes the context along, and the open batch with it.
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: list[dict[str, Any]] = field(default_factory=list)


class Outbox:
    """The open batch of a queue; every thread and every asyncio task has its own.

    Entries that SQS refuses are remembered until the batch is closed, so that none of the others
    is lost to the exception.
    """

    def __init__(self, client: Callable[[], QueueClient]) -> None:
        self._client = client
        self._open: ContextVar[_Batch | None] = ContextVar("sqsw_outbox", default=None)

    @property
    def is_open(self) -> bool:
        """Whether jobs are being collected here."""
        return self._current() is not None

    def open(self) -> None:
        """Begin to collect; may be called again inside."""
        batch = self._current()
        if batch is None:
            batch = _Batch()
            self._open.set(batch)
        batch.depth += 1

    def add(self, entry: Entry) -> None:
        """Collect an entry; ten of them are sent."""
        batch = self._batch()
        with batch.lock:
            batch.entries.append(entry)
            is_full = len(batch.entries) >= MAX_BATCH_ENTRIES
        if is_full:
            self._flush(batch)

    def flush(self) -> None:
        """Send what was collected so far."""
        self._flush(self._batch())

    def _flush(self, batch: _Batch) -> None:
        with batch.lock:
            entries, batch.entries = batch.entries, []
        batch.failed += send_entries(self._client(), entries)

    def close(self) -> None:
        """Send the rest, once the outermost batch is closed.

        Raises
        ------
        SQSBatchError
            Some entries were not sent; all others were.
        """
        batch = self._batch()
        batch.depth -= 1
        if batch.depth:
            return
        try:
            self._flush(batch)
        finally:
            self._open.set(None)
        if batch.failed:
            reasons = sorted(
                {f"{failure['Code']}: {failure['Message']}" for failure in batch.failed}
            )
            raise SQSBatchError(
                f"{len(batch.failed)} job(s) of the batch were not sent to {self._client().name!r}",
                batch.failed,
                why="; ".join(reasons[:3]),
                next="the error has the failed entries in .errors, each under '_message'",
            )

    def _current(self) -> _Batch | None:
        batch = self._open.get()
        # A task that began inside the block has a copy of its context, with the batch in it; what
        # it adds after the end of the block would never be sent.
        return batch if batch is not None and batch.depth > 0 else None

    def _batch(self) -> _Batch:
        batch = self._current()
        if batch is None:
            raise RuntimeError("there is no open batch: call open_add_batch() first")
        return batch


def send_entries(client: QueueClient, entries: list[Entry]) -> list[dict[str, Any]]:
    """Send entries in batches that SQS takes; those that were not sent, as SQSBatchError has them.

    What SQS refuses for reasons of its own is sent again, but not on FIFO queues, where it would
    come behind later messages of its group.
    """
    failed: list[dict[str, Any]] = []
    waits = () if client.is_fifo else _RETRY_SECONDS
    for batch in split_entries(entries):
        left = batch
        for wait in (*waits, None):
            refused = _send(client, left)
            again = [f for f in refused if wait is not None and not f.sender_fault]
            failed += [_as_error(f, left[f.index]) for f in refused if f not in again]
            left = [left[f.index] for f in again]
            if not left or wait is None:
                break
            time.sleep(wait)
    return failed


def _send(client: QueueClient, batch: list[Entry]) -> list[EntryFailure]:
    try:
        return client.send_batch(batch)[1]
    except SQSError as error:
        # The call as a whole: botocore has tried it again where that could help.
        code, reason = error.code or type(error).__name__, error.why or error.message
        return [EntryFailure(i, code, reason, sender_fault=True) for i in range(len(batch))]


def _as_error(failure: EntryFailure, entry: Entry) -> dict[str, Any]:
    return {
        "Id": str(failure.index),
        "Code": failure.code,
        "Message": failure.reason,
        "SenderFault": failure.sender_fault,
        "_message": entry,
    }
