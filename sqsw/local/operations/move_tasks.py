"""Running move tasks, which move messages from a dead-letter queue to other queues.

There is no thread for them. Each call to the engine moves the messages that are due by the task's
rate, a portion at a time. So a task continues in other processes after the one that started it
ends.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqsw.local.rules import names
from sqsw.local.store import message_queries, message_rows, queue_rows
from sqsw.local.store.message_queries import Stored
from sqsw.local.store.message_rows import NewMessage
from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.store import Store, Transaction

RUNNING: Final = "RUNNING"
COMPLETED: Final = "COMPLETED"
CANCELLED: Final = "CANCELLED"
FAILED: Final = "FAILED"

#: the most messages that one call moves, so no call takes long
_PORTION: Final = 200
_RUNNING: Final = "SELECT * FROM move_tasks WHERE status = 'RUNNING'"
_NO_QUEUE: Final = "AWS.SimpleQueueService.NonExistentQueue"
_NO_SOURCE: Final = "CouldNotDetermineMessageSource"


class MoveTask(NamedTuple):
    """A row of move_tasks; times are milliseconds since 1970."""

    id: str
    source: int
    source_arn: str
    destination_arn: str | None
    #: messages per second; None: as fast as possible
    rate: int | None
    status: str
    started_at: int
    to_move: int
    moved: int
    #: the newest message at the start
    last_seq: int
    failure: str | None

    def allowed(self, now: int) -> int:
        """Return how many messages can be moved now; the first one is due at the start."""
        if self.rate is None:
            return _PORTION
        due = 1 + max(0, now - self.started_at) * self.rate // 1000
        return max(0, min(due - self.moved, _PORTION))

    def next_step(self) -> int:
        """Return when the next message is due, in milliseconds since 1970."""
        return self.started_at + (0 if self.rate is None else -(-1000 * self.moved // self.rate))


def advance(store: Store, now: int) -> None:
    """Move the messages that are due; if there are none, this costs one query and no lock."""
    if not any(MoveTask(*row).allowed(now) for row in store.probe(_RUNNING)):
        return
    with store.write() as transaction:
        for task in running(transaction):
            step(transaction, store, task, now)


def is_due(transaction: Transaction, now: int) -> bool:
    return any(task.allowed(now) for task in running(transaction))


def running(transaction: Transaction) -> list[MoveTask]:
    return [MoveTask(*row) for row in transaction.rows(_RUNNING)]


def end(transaction: Transaction, task: MoveTask, status: str, failure: str | None = None) -> None:
    transaction.execute(
        "UPDATE move_tasks SET status = ?, failure = ? WHERE id = ?", (status, failure, task.id)
    )


def step(transaction: Transaction, store: Store, task: MoveTask, now: int) -> None:
    """Move the due messages of a task; end it after the last one, or if one cannot be moved."""
    allowed = task.allowed(now)
    if not allowed:
        return
    source = queue_rows.by_id(transaction, store, task.source)
    if source is None:
        end(transaction, task, FAILED, _NO_QUEUE)
        return
    message_rows.settle(transaction, source, now)
    messages = message_queries.movable(transaction, source, task.last_seq, allowed + 1, now)
    portion = messages[:allowed]
    failure = _move(transaction, store, task, source, portion, now)
    if failure:
        end(transaction, task, FAILED, failure)
    elif len(messages) <= allowed:
        end(transaction, task, COMPLETED)


def _move(
    transaction: Transaction,
    store: Store,
    task: MoveTask,
    source: Queue,
    messages: Sequence[Stored],
    now: int,
) -> str | None:
    """Move messages in order, up to the first without a destination; return the failure."""
    moved: list[Stored] = []
    failure = None
    for message in messages:
        arn = names.parse_arn(task.destination_arn or message.source_arn or "")
        target = queue_rows.by_arn(transaction, store, arn) if arn else None
        if target is None or target.is_fifo != source.is_fifo:
            failure = _NO_QUEUE if arn else _NO_SOURCE
            break
        message_rows.add(transaction, target, [_as_new(message)], now)
        moved.append(message)
    if moved:
        message_rows.remove(transaction, source, [message.place() for message in moved], now)
    transaction.execute(
        "UPDATE move_tasks SET moved = moved + ? WHERE id = ?", (len(moved), task.id)
    )
    return failure


def _as_new(message: Stored) -> NewMessage:
    """Return a copy with a new id; as in SQS, its receive count and age start again."""
    return NewMessage(
        names.new_id(),
        message.body,
        message.md5,
        message.attributes,
        message.group_name,
        message.deduplication_id,
        message.trace_header,
        delay_seconds=0,
    )
