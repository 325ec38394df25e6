"""The engine: runs all operations of the embedded SQS."""

import _thread
import atexit
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from sqsw.local.errors import FileError, UnknownOperationException
from sqsw.local.operations import (
    delete_and_visibility,
    move_tasks,
    moves,
    queues,
    receiving,
    sending,
    tags_permissions,
)
from sqsw.local.operations.peeking import Peek, discard, peek, seconds_until_due
from sqsw.local.operations.receiving import Receive
from sqsw.local.rules.validate import Params
from sqsw.local.store import generations
from sqsw.local.store.clock import Clock, MovableClock
from sqsw.local.store.connections import Durability
from sqsw.local.store.store import Store, StoreSettings

Operation = Callable[[Store, Params, int], dict[str, Any]]

OPERATIONS: Final[Mapping[str, Operation]] = {
    "AddPermission": tags_permissions.add_permission,
    "CancelMessageMoveTask": moves.cancel_message_move_task,
    "ChangeMessageVisibility": delete_and_visibility.change_message_visibility,
    "ChangeMessageVisibilityBatch": delete_and_visibility.change_message_visibility_batch,
    "CreateQueue": queues.create_queue,
    "DeleteMessage": delete_and_visibility.delete_message,
    "DeleteMessageBatch": delete_and_visibility.delete_message_batch,
    "DeleteQueue": queues.delete_queue,
    "GetQueueAttributes": queues.get_queue_attributes,
    "GetQueueUrl": queues.get_queue_url,
    "ListDeadLetterSourceQueues": queues.list_dead_letter_source_queues,
    "ListMessageMoveTasks": moves.list_message_move_tasks,
    "ListQueueTags": tags_permissions.list_queue_tags,
    "ListQueues": queues.list_queues,
    "PurgeQueue": queues.purge_queue,
    "ReceiveMessage": receiving.receive_message,
    "RemovePermission": tags_permissions.remove_permission,
    "SendMessage": sending.send_message,
    "SendMessageBatch": sending.send_message_batch,
    "SetQueueAttributes": queues.set_queue_attributes,
    "StartMessageMoveTask": moves.start_message_move_task,
    "TagQueue": tags_permissions.tag_queue,
    "UntagQueue": tags_permissions.untag_queue,
}

#: calls that do not advance move tasks, because their answers do not show a task's progress; a
#: receive advances the tasks itself
_WITHOUT_MOVES: Final = frozenset(
    ("SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch", "ReceiveMessage")
)

DEFAULT_REGION: Final = "local"
#: a name that never resolves, so nothing can be sent there by mistake
DEFAULT_ORIGIN: Final = "http://sqsw.invalid"
#: the most seconds that closing a file spends on cleaning it up
_TIDY_SECONDS: Final = 0.2


class LocalEngine:
    """SQS on SQLite.

    Parameters
    ----------
    path :
        The database file, which several processes can share. None keeps the queues in memory, for
        this process only.
    clock :
        Seconds since 1970. A :class:`~sqsw.local.store.clock.MovableClock` wakes waiting receives
        when it is moved.
    durable :
        ``normal``: completed calls survive if the process is killed; ``full``: they also survive a
        power failure.
    relaxed :
        Allow a second purge, or creating a deleted queue again, within the 60 seconds that SQS
        enforces.
    account :
        The account that owns the queues: 12 digits.
    max_in_flight :
        The most messages of one queue that can be in flight at a time.
    busy_seconds :
        How long a call waits for a file that another process has locked.

    Raises
    ------
    FileError
        The file cannot be used; the subclass tells why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        clock: Clock = time.time,
        durable: Durability = "normal",
        relaxed: bool = False,
        account: str = "000000000000",
        max_in_flight: int = 120_000,
        busy_seconds: float = 5.0,
    ) -> None:
        self.clock = clock
        self.store = Store(
            None if path is None else os.path.abspath(path),
            clock=clock,
            settings=StoreSettings(account, relaxed, max_in_flight),
            durable=durable,
            busy_seconds=busy_seconds,
        )
        if isinstance(clock, MovableClock):
            waiters = self.store.waiters
            weakref.finalize(self, clock.follow(waiters.wake_all))
        # Clean up even if the engine is garbage collected, or still open when the process ends.
        self._finalizer = weakref.finalize(self, _close_in_thread, self.store)
        self._finalizer.atexit = False
        _open.add(self.store)

    def handle(
        self,
        operation: str,
        params: Mapping[str, Any],
        *,
        region: str = DEFAULT_REGION,
        origin: str = DEFAULT_ORIGIN,
    ) -> dict[str, Any]:
        """Answer one call; a waiting receive blocks the calling thread.

        Parameters
        ----------
        operation, params :
            The name and members from the SQS model; blobs are bytes.
        region :
            The region of the queues. Queues with the same name in two regions are separate.
        origin :
            The scheme and host of queue URLs.

        Raises
        ------
        ServiceError
            SQS would answer with this error.
        FileError
            The file cannot be used.
        """
        function = OPERATIONS.get(operation)
        if function is None:
            raise UnknownOperationException(f"The operation {operation} is unknown.")
        self.store.check_clock()
        now = self.store.now()
        if operation not in _WITHOUT_MOVES:
            move_tasks.advance(self.store, now)
        return function(self.store, Params(params, region, origin), now)

    def receive(self, params: Mapping[str, Any], *, region: str, origin: str) -> Receive:
        """Return a receive that waits without blocking a thread; it has not taken a message yet."""
        self.store.check_clock()
        return Receive(self.store, Params(params, region, origin), self.store.now())

    def peek(
        self,
        queue_url: str,
        *,
        after: int = -1,
        limit: int = 100,
        hidden: bool = False,
        region: str = DEFAULT_REGION,
    ) -> Peek:
        """Return messages that could be received now, without changing them.

        Parameters
        ----------
        after :
            ``last`` of the previous page; -1 starts at the oldest message.
        limit :
            The most messages in one page.
        hidden :
            Return the messages in flight and the delayed ones too.

        Raises
        ------
        ServiceError
            The queue does not exist.
        """
        self.store.check_clock()
        params = Params({"QueueUrl": queue_url}, region, DEFAULT_ORIGIN)
        now = self.store.now()
        return peek(self.store, params, now, after=after, limit=limit, hidden=hidden)

    def discard(
        self,
        queue_url: str,
        message_id: str,
        *,
        in_flight: bool = True,
        region: str = DEFAULT_REGION,
    ) -> bool:
        """Delete a message by its ID, even if it is delayed.

        This reads the whole queue, so it takes longer in a long one.

        Parameters
        ----------
        in_flight :
            Whether to delete a message in flight, which a receiver holds.

        Returns
        -------
        bool
            Whether the message was deleted.

        Raises
        ------
        ServiceError
            The queue does not exist.
        """
        self.store.check_clock()
        params = Params({"QueueUrl": queue_url}, region, DEFAULT_ORIGIN)
        return discard(self.store, params, self.store.now(), message_id, in_flight=in_flight)

    def seconds_until_due(self, queue_url: str, *, region: str = DEFAULT_REGION) -> float | None:
        """Return the seconds until the next hidden message can be received.

        None if no message is hidden. On a FIFO queue, the time when its oldest message expires
        counts too.

        Raises
        ------
        ServiceError
            The queue does not exist.
        """
        params = Params({"QueueUrl": queue_url}, region, DEFAULT_ORIGIN)
        return seconds_until_due(self.store, params, self.store.now())

    def end_polls(self) -> None:
        """End the waiting receives of this process with empty answers."""
        self.store.waiters.end_all()

    def close(self) -> None:
        """Close the file and end the waiting receives; a second call does nothing."""
        if self._finalizer.detach():
            _close(self.store)


_open: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _close_in_thread(store: Store) -> None:
    """Close the file of a garbage-collected engine, in a new thread.

    Garbage collection can start in any thread, even in one that holds the locks of this file, for
    example just before a fork. Closing the file there would deadlock.
    """
    try:
        _thread.start_new_thread(_close, (store,))
    except RuntimeError:  # the interpreter is exiting and cannot start threads
        _close(store)


@atexit.register
def _close_all() -> None:
    for store in list(_open):
        _close(store)


def _close(store: Store) -> None:
    _open.discard(store)
    if store.path is not None:
        # If the file is busy or broken, close it without cleaning up.
        with suppress(FileError, sqlite3.Error, OSError):
            generations.finish(store, _TIDY_SECONDS)
    store.close()
