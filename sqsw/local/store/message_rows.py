"""Changes to the rows of messages: add, deliver, hide, move, and remove.

The messages, the counts in the queue's row, and the groups of FIFO queues must stay consistent.
After :func:`deliver`, :func:`hide`, or :func:`to_dead_letters`, the caller refreshes the groups;
the other functions do it themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqsw.local.store import fifo, generations, message_queries
from sqsw.local.store.fifo import PORTION
from sqsw.local.store.message_queries import RowState, Stored, Upkeep
from sqsw.local.store.queue_rows import Queue, add_to_counts
from sqsw.local.store.schema import DELAYED, IN_FLIGHT, READY
from sqsw.local.store.store import Transaction

#: rows to clean up for each added message: more than one, so the backlog shrinks
TIDIED_EACH: Final = 20


class NewMessage(NamedTuple):
    """A message to store."""

    id: str
    body: str
    md5: str
    #: JSON; None if there are no attributes
    attributes: str | None
    group_name: str | None
    deduplication_id: str | None
    trace_header: str | None
    delay_seconds: int


def add(transaction: Transaction, queue: Queue, messages: Sequence[NewMessage], now: int) -> int:
    """Store messages in order; return the ``seq`` of the first one, which the others follow."""
    first = fifo.next_seq(transaction, now, len(messages))
    rows, bodies, delayed = [], [], 0
    for seq, message in enumerate(messages, first):
        visible_at = now + message.delay_seconds * 1000
        is_delayed = message.delay_seconds > 0
        delayed += is_delayed
        group = None
        if queue.is_fifo:
            wake = visible_at if is_delayed else None
            group = fifo.join_group(
                transaction, queue.contents, message.group_name or "", seq, wake
            )
        state = DELAYED if is_delayed else READY
        rows.append((seq, queue.contents, group, state, visible_at, now, message.id))
        bodies.append((seq, *message[1:7]))
    transaction.insert(
        "INSERT INTO messages(seq, contents, grp, state, visible_at, receives, receives_before,"
        " sent_at, id) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)",
        rows,
    )
    transaction.insert(
        "INSERT INTO bodies(seq, body, md5, attributes, group_name, deduplication_id,"
        " trace_header) VALUES (?, ?, ?, ?, ?, ?, ?)",
        bodies,
    )
    add_to_counts(transaction, queue.id, ready=len(messages) - delayed, delayed=delayed)
    transaction.wake(queue.id, len(messages))
    return first


def tidy(transaction: Transaction, queue: Queue, limit: int, now: int) -> None:
    """Delete some rows that are no longer visible: expired, or left after a purge."""
    _tidy(transaction, queue, limit, now, message_queries.upkeep(transaction, queue, now))


def _tidy(transaction: Transaction, queue: Queue, limit: int, now: int, upkeep: Upkeep) -> None:
    if upkeep.has_left:
        generations.sweep(transaction, limit)
    if upkeep.has_expired:
        expired = message_queries.expired(transaction, queue, limit, now)
        for some in generations.in_time(expired):
            remove(transaction, queue, some, now)
        if len(expired) == PORTION:
            transaction.shrink(PORTION)
    if queue.is_fifo:
        fifo.forget_old(transaction, queue.contents, limit, now)


def settle(transaction: Transaction, queue: Queue, now: int) -> None:
    """Update the rows: delete expired ones, and make messages ready whose timeout is over."""
    upkeep = message_queries.upkeep(transaction, queue, now)
    _tidy(transaction, queue, PORTION, now, upkeep)
    if upkeep.has_due:
        due = message_queries.due(transaction, queue, PORTION, now)
        transaction.executemany(
            "UPDATE messages SET state = 0 WHERE seq = ?", [(place.seq,) for place in due]
        )
        _move_counts(transaction, queue.id, [place.state for place in due], READY)
    if queue.is_fifo:
        fifo.promote_groups(transaction, queue.contents, now)


def remove(transaction: Transaction, queue: Queue, places: Sequence[RowState], now: int) -> None:
    """Delete messages; if a group becomes available, wake a waiting receive."""
    seqs = [(place.seq,) for place in places]
    transaction.executemany("DELETE FROM messages WHERE seq = ?", seqs)
    transaction.executemany("DELETE FROM bodies WHERE seq = ?", seqs)
    _take_from_counts(transaction, queue.id, [place.state for place in places])
    refresh_groups(transaction, queue, (place.group for place in places), now)


def remove_all(transaction: Transaction, queue: Queue) -> None:
    """Delete all messages and deduplication ids, by giving the queue new contents."""
    generations.leave(transaction, queue.contents)
    transaction.execute(
        "UPDATE queues SET contents = ?, ready = 0, in_flight = 0, delayed = 0 WHERE id = ?",
        (generations.make(transaction), queue.id),
    )


def leave_expired(transaction: Transaction, queue: Queue, now: int) -> None:
    """Move expired messages out of the queue, so a longer retention does not restore them."""
    expired = message_queries.expired(transaction, queue, -1, now)
    if not expired:
        return
    left = generations.make(transaction)
    transaction.execute(
        "UPDATE messages SET contents = ?, grp = NULL WHERE contents = ? AND seq < ?",
        (left, queue.contents, queue.horizon(now)),
    )
    generations.leave(transaction, left)
    _take_from_counts(transaction, queue.id, [place.state for place in expired])
    refresh_groups(transaction, queue, (place.group for place in expired), now)


def refresh_groups(
    transaction: Transaction, queue: Queue, groups: Iterable[int | None], now: int
) -> None:
    for group in dict.fromkeys(groups):
        if group is not None and fifo.refresh_group(transaction, group, now):
            transaction.wake(queue.id)


def deliver(
    transaction: Transaction, queue: Queue, messages: Sequence[Stored], visible_at: int, now: int
) -> list[Stored]:
    """Hide messages and increment their receive counts; return their new state."""
    state = IN_FLIGHT if visible_at > now else READY
    delivered = []
    for seq, group, _, _, receives, before, first_receive, _, *rest in messages:
        first = now if first_receive is None else first_receive
        delivered.append(
            Stored._make((seq, group, state, visible_at, receives + 1, before, first, now, *rest))
        )
    transaction.executemany(
        "UPDATE messages SET state = ?, visible_at = ?, receives = receives + 1,"
        " first_receive = ?, last_receive = ? WHERE seq = ?",
        [(state, visible_at, message.first_receive, now, message.seq) for message in delivered],
    )
    _move_counts(transaction, queue.id, [message.state for message in messages], state)
    return delivered


def hide(
    transaction: Transaction,
    queue: Queue,
    messages: Sequence[Stored | RowState],
    visible_at: int,
    now: int,
) -> None:
    """Set when messages can be received again; if the time is past, they are ready at once."""
    state = IN_FLIGHT if visible_at > now else READY
    transaction.executemany(
        "UPDATE messages SET state = ?, visible_at = ? WHERE seq = ?",
        [(state, visible_at, message.seq) for message in messages],
    )
    _move_counts(transaction, queue.id, [message.state for message in messages], state)


def to_dead_letters(
    transaction: Transaction, queue: Queue, target: Queue, message: Stored, now: int
) -> None:
    """Move a message to its dead-letter queue; it keeps its receive count."""
    seq, group = message.seq, None
    deduplication_id = message.deduplication_id
    tidy(transaction, target, TIDIED_EACH, now)
    if target.is_fifo:
        # On FIFO queues, retention starts again at the move. The new deduplication id lets two
        # messages that had the same one both arrive.
        seq, deduplication_id = fifo.next_seq(transaction, now), message.id
        group = fifo.join_group(transaction, target.contents, message.group_name or "", seq, None)
    transaction.execute(
        "UPDATE messages SET seq = ?, contents = ?, grp = ?, state = 0, visible_at = ?,"
        " receives_before = receives WHERE seq = ?",
        (seq, target.contents, group, now, message.seq),
    )
    transaction.execute(
        "UPDATE bodies SET seq = ?, deduplication_id = ?, source_arn = ? WHERE seq = ?",
        (seq, deduplication_id, str(queue.arn), message.seq),
    )
    _take_from_counts(transaction, queue.id, [message.state])
    add_to_counts(transaction, target.id, ready=1)
    transaction.wake(target.id)


def _move_counts(transaction: Transaction, queue_id: int, old: Sequence[int], new: int) -> None:
    add_to_counts(
        transaction,
        queue_id,
        ready=len(old) * (new == READY) - old.count(READY),
        in_flight=len(old) * (new == IN_FLIGHT) - old.count(IN_FLIGHT),
        delayed=-old.count(DELAYED),
    )


def _take_from_counts(transaction: Transaction, queue_id: int, states: Sequence[int]) -> None:
    add_to_counts(
        transaction,
        queue_id,
        ready=-states.count(READY),
        in_flight=-states.count(IN_FLIGHT),
        delayed=-states.count(DELAYED),
    )
