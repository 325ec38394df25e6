"""The engine: one entrance for all operations of the embedded SQS."""

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
from sqsw.local.operations.peeking import Peek, peek, seconds_until_due
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

#: calls that show nothing of a move, so that it can wait for the next one; a receive looks itself
_BESIDE_MOVES: Final = frozenset(
    ("SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch", "ReceiveMessage")
)

DEFAULT_REGION: Final = "local"
#: a name that never resolves, so that nothing can be sent there by mistake
DEFAULT_ORIGIN: Final = "http://sqsw.invalid"
#: how long a process that ends cleans up a file at most
_TIDY_SECONDS: Final = 0.2


class LocalEngine:
    """SQS on SQLite.

    Parameters
    ----------
    path :
        The database file; None: memory, for this process alone. Several processes may share a file.
    clock :
        Seconds since 1970. A :class:`~sqsw.local.store.clock.MovableClock` wakes waiting receives
        when it is moved.
    durable :
        ``normal``: what was answered outlives a killed process; ``full``: a power failure too.
    relaxed :
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    account :
        The account that owns the queues: 12 digits.
    max_in_flight :
        Messages of one queue in flight at a time.
    busy_seconds :
        How long a call waits for a file that another process holds.

    Raises
    ------
    FileError
        The file cannot be used; each subclass is one reason.
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
        # An engine that is forgotten, or alive when the process ends, leaves nothing behind.
        self._finalizer = weakref.finalize(self, _close_beside, self.store)
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
        """Answer one call; a receive that waits blocks the calling thread.

        Parameters
        ----------
        operation, params :
            Name and members as in the model of SQS; blobs are bytes.
        region :
            Queues of one name in two regions are two queues.
        origin :
            Scheme and host with which queue URLs begin.

        Raises
        ------
        ServiceError
            What SQS would answer with.
        FileError
            The file cannot be used.
        """
        function = OPERATIONS.get(operation)
        if function is None:
            raise UnknownOperationException(f"The operation {operation} is not known.")
        self.store.check_clock()
        now = self.store.now()
        if operation not in _BESIDE_MOVES:
            move_tasks.advance(self.store, now)
        return function(self.store, Params(params, region, origin), now)

    def receive(self, params: Mapping[str, Any], *, region: str, origin: str) -> Receive:
        """Prepare a receive that waits without blocking a thread; it takes no message yet."""
        self.store.check_clock()
        return Receive(self.store, Params(params, region, origin), self.store.now())

    def peek(
        self, queue_url: str, *, after: int = -1, limit: int = 100, region: str = DEFAULT_REGION
    ) -> Peek:
        """Look at messages that could be received now, and leave them as they are.

        Parameters
        ----------
        after :
            ``last`` of the part before; -1 begins with the oldest message.
        limit :
            Messages in one part, at most.

        Raises
        ------
        ServiceError
            There is no such queue.
        """
        self.store.check_clock()
        params = Params({"QueueUrl": queue_url}, region, DEFAULT_ORIGIN)
        return peek(self.store, params, self.store.now(), after=after, limit=limit)

    def seconds_until_due(self, queue_url: str, *, region: str = DEFAULT_REGION) -> float | None:
        """Return the seconds until the next hidden message can be received.

        None if no message is hidden. On a FIFO queue, the end of the retention of its oldest
        message counts too.

        Raises
        ------
        ServiceError
            There is no such queue.
        """
        params = Params({"QueueUrl": queue_url}, region, DEFAULT_ORIGIN)
        return seconds_until_due(self.store, params, self.store.now())

    def end_polls(self) -> None:
        """Every receive that waits now, in this process, answers at once with nothing."""
        self.store.waiters.end_all()

    def close(self) -> None:
        """Close the file and end the receives that wait; a second time does nothing."""
        if self._finalizer.detach():
            _close(self.store)


_open: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _close_beside(store: Store) -> None:
    """Close the file of an engine that nobody holds any more, in a thread of its own.

    The garbage collector comes in the middle of anything: in a thread that holds the locks of this
    file, too, as one does that is about to fork.
    """
    try:
        _thread.start_new_thread(_close, (store,))
    except RuntimeError:  # the interpreter ends, and starts no threads any more
        _close(store)


@atexit.register
def _close_all() -> None:
    for store in list(_open):
        _close(store)


def _close(store: Store) -> None:
    _open.discard(store)
    if store.path is not None:
        # A busy or broken file is closed as it is.
        with suppress(FileError, sqlite3.Error, OSError):
            generations.finish(store, _TIDY_SECONDS)
    store.close()
