"""Move tasks while they run: messages of a dead-letter queue go to other queues.

No thread does it: whoever calls next moves what clock and rate allow by then, a portion at a time.
So a task goes on, in whatever process, after the one that started it has ended.

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

#: messages that one call moves at most, so that none takes long
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
        """Messages that may be moved by now: the first at once, the next after their time."""
        if self.rate is None:
            return _PORTION
        due = 1 + max(0, now - self.started_at) * self.rate // 1000
        return max(0, min(due - self.moved, _PORTION))

    def next_step(self) -> int:
        """When, in milliseconds, the next message may be moved."""
        return self.started_at + (0 if self.rate is None else -(-1000 * self.moved // self.rate))


def advance(store: Store, now: int) -> None:
    """Move what is due; mostly nothing is, and that costs one probe and no lock."""
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
    """Move what is due of one task; its last message ends it, and one that has nowhere to go."""
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
    """Move messages in order; the reason if one has no place to go, where it stops."""
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
    """The same content with a new id: SQS counts its receives and its age anew."""
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
