"""The rows of messages: add, promote, expire, count, move, remove.

Every function here keeps three things together: the messages, the counts in the queue's row, and on
FIFO queues the rows of their groups.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqsw.local import fifo
from sqsw.local.fifo import PORTION
from sqsw.local.queue_rows import Queue, add_to_counts
from sqsw.local.schema import DELAYED, IN_FLIGHT, READY, SEQ_BITS
from sqsw.local.store import Transaction

# Queries name their index: the planner, which knows nothing of how full a queue is, would else walk
# over hidden messages at times. The columns are written once, in the order of Stored.
_STORED = (
    "SELECT m.seq, m.grp, m.state, m.visible_at, m.receives, m.receives_before, m.first_receive,"
    " m.last_receive, m.sent_at, m.id, b.body, b.md5, b.attributes, b.group_name,"
    " b.deduplication_id, b.trace_header, b.source_arn"
    " FROM messages m {index} CROSS JOIN bodies b ON b.seq = m.seq WHERE "
)
_ONE = _STORED.format(index="") + "m.seq = ? AND m.queue = ?"
_READY = _STORED.format(index="INDEXED BY m_ready") + (
    "m.queue = ? AND m.state = 0 AND m.seq >= ? ORDER BY m.seq LIMIT ?"
)
_OF_GROUP = _STORED.format(index="INDEXED BY m_group") + (
    "m.grp = ? AND m.seq >= ? AND m.seq > ? ORDER BY m.seq LIMIT ?"
)
_MOVABLE = _STORED.format(index="INDEXED BY m_ready") + (
    "m.queue = ? AND m.state = 0 AND m.seq >= ? AND m.seq <= ?"
    " AND (m.grp IS NULL OR EXISTS("
    "SELECT 1 FROM groups g WHERE g.id = m.grp AND g.rank IS NOT NULL))"
    " ORDER BY m.seq LIMIT ?"
)
_PLACE = "seq, state, grp, visible_at, receives, last_receive"
_HIDDEN = "FROM messages INDEXED BY m_hidden WHERE queue = ? AND state > 0"
_EXPIRED = "FROM messages INDEXED BY m_queue WHERE queue = ? AND seq < ?"


class NewMessage(NamedTuple):
    """A message that is about to be stored."""

    id: str
    body: str
    md5: str
    #: JSON, or None without attributes
    attributes: str | None
    group_name: str | None
    deduplication_id: str | None
    trace_header: str | None
    delay_seconds: int


class Place(NamedTuple):
    """Where a message stands, without what it says."""

    seq: int
    state: int
    group: int | None
    visible_at: int
    receives: int
    last_receive: int | None

    def is_hidden(self, now: int) -> bool:
        return self.state != READY and self.visible_at > now


class Stored(NamedTuple):
    """A message with its body, as it stands in the database."""

    seq: int
    group: int | None
    state: int
    visible_at: int
    receives: int
    receives_before: int
    first_receive: int | None
    last_receive: int | None
    sent_at: int
    id: str
    body: str
    md5: str
    attributes: str | None
    group_name: str | None
    deduplication_id: str | None
    trace_header: str | None
    source_arn: str | None

    def is_hidden(self, now: int) -> bool:
        return self.state != READY and self.visible_at > now

    def place(self) -> Place:
        return Place(
            self.seq, self.state, self.group, self.visible_at, self.receives, self.last_receive
        )


def add(transaction: Transaction, queue: Queue, messages: Sequence[NewMessage], now: int) -> int:
    """Store messages in this order; returns the ``seq`` of the first, the others follow it."""
    first = fifo.next_seq(transaction, now, len(messages))
    rows, bodies, delayed = [], [], 0
    for seq, message in enumerate(messages, first):
        visible_at = now + message.delay_seconds * 1000
        is_delayed = message.delay_seconds > 0
        delayed += is_delayed
        group = None
        if queue.is_fifo:
            wake = visible_at if is_delayed else None
            group = fifo.join_group(transaction, queue.id, message.group_name or "", seq, wake)
        state = DELAYED if is_delayed else READY
        rows.append((seq, queue.id, group, state, visible_at, now, message.id))
        bodies.append((seq, *message[1:7]))
    transaction.executemany(
        "INSERT INTO messages(seq, queue, grp, state, visible_at, receives, receives_before,"
        " sent_at, id) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)",
        rows,
    )
    transaction.executemany(
        "INSERT INTO bodies(seq, body, md5, attributes, group_name, deduplication_id,"
        " trace_header) VALUES (?, ?, ?, ?, ?, ?, ?)",
        bodies,
    )
    add_to_counts(transaction, queue.id, ready=len(messages) - delayed, delayed=delayed)
    transaction.wake(queue.id, len(messages))
    return first


def settle(transaction: Transaction, queue: Queue, now: int) -> None:
    """Bring the rows up to this moment: remove what has expired, promote what is due."""
    expire(transaction, queue, now)
    due = transaction.rows(
        f"SELECT seq, state {_HIDDEN} AND visible_at <= ? ORDER BY visible_at LIMIT ?",
        (queue.id, now, PORTION),
    )
    if due:
        transaction.executemany(
            "UPDATE messages SET state = 0 WHERE seq = ?", [(seq,) for seq, _ in due]
        )
        delayed = sum(state == DELAYED for _, state in due)
        add_to_counts(
            transaction,
            queue.id,
            ready=len(due),
            in_flight=delayed - len(due),
            delayed=-delayed,
        )
    if queue.is_fifo:
        fifo.promote_groups(transaction, queue.id, now)


def expire(transaction: Transaction, queue: Queue, now: int) -> None:
    """Remove a portion of the messages that retention no longer keeps, in flight or not."""
    rows = transaction.rows(
        f"SELECT {_PLACE} {_EXPIRED} LIMIT ?",
        (queue.id, queue.horizon(now), PORTION),
    )
    if rows:
        remove(transaction, queue, [Place(*row) for row in rows], now)


def remove(transaction: Transaction, queue: Queue, places: Sequence[Place], now: int) -> None:
    """Delete messages; a group that this makes available wakes a waiting receive."""
    seqs = [(place.seq,) for place in places]
    transaction.executemany("DELETE FROM messages WHERE seq = ?", seqs)
    transaction.executemany("DELETE FROM bodies WHERE seq = ?", seqs)
    _take_from_counts(transaction, queue.id, [place.state for place in places])
    refresh_groups(transaction, queue, (place.group for place in places), now)


def remove_all(transaction: Transaction, queue: Queue) -> None:
    """Empty the queue, and forget what it deduplicates by."""
    transaction.execute(
        "DELETE FROM bodies WHERE seq IN (SELECT seq FROM messages WHERE queue = ?)", (queue.id,)
    )
    transaction.execute("DELETE FROM messages WHERE queue = ?", (queue.id,))
    transaction.execute(
        "UPDATE queues SET ready = 0, in_flight = 0, delayed = 0 WHERE id = ?", (queue.id,)
    )
    fifo.forget_queue(transaction, queue.id)


def refresh_groups(
    transaction: Transaction, queue: Queue, groups: Iterable[int | None], now: int
) -> None:
    for group in dict.fromkeys(groups):
        if group is not None and fifo.refresh_group(transaction, group, now):
            transaction.wake(queue.id)


def find(transaction: Transaction, queue: Queue, seq: int, now: int) -> Stored | None:
    """One message of this queue that retention still keeps."""
    row = transaction.row(_ONE, (seq, queue.id))
    return Stored(*row) if row and seq >= queue.horizon(now) else None


def place_of(transaction: Transaction, queue: Queue, seq: int, now: int) -> Place | None:
    """The same without reading the body, which may be large."""
    row = transaction.row(
        f"SELECT {_PLACE} FROM messages WHERE seq = ? AND queue = ?", (seq, queue.id)
    )
    return Place(*row) if row and seq >= queue.horizon(now) else None


def ready_messages(transaction: Transaction, queue: Queue, limit: int, now: int) -> list[Stored]:
    """What can be received now, oldest first; after :func:`settle`."""
    rows = transaction.rows(_READY, (queue.id, queue.horizon(now), limit))
    return [Stored(*row) for row in rows]


def movable(
    transaction: Transaction, queue: Queue, last_seq: int, limit: int, now: int
) -> list[Stored]:
    """What a move may take: ready, not newer than ``last_seq``, of groups that are not blocked."""
    rows = transaction.rows(_MOVABLE, (queue.id, queue.horizon(now), last_seq, limit))
    return [Stored(*row) for row in rows]


def first_of_group(
    transaction: Transaction, queue: Queue, group: int, limit: int, after: int, now: int
) -> list[Stored]:
    """Messages of a group in order, up to the first one that is hidden."""
    rows = transaction.rows(_OF_GROUP, (group, queue.horizon(now), after, limit))
    messages = []
    for row in rows:
        message = Stored(*row)
        if message.is_hidden(now):
            break
        messages.append(message)
    return messages


def deliver(
    transaction: Transaction, queue: Queue, messages: Sequence[Stored], visible_at: int, now: int
) -> list[Stored]:
    """Count a receive of each and hide them; returns them as they stand now."""
    state = IN_FLIGHT if visible_at > now else READY
    delivered = [
        message._replace(
            state=state,
            visible_at=visible_at,
            receives=message.receives + 1,
            first_receive=now if message.first_receive is None else message.first_receive,
            last_receive=now,
        )
        for message in messages
    ]
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
    messages: Sequence[Stored | Place],
    visible_at: int,
    now: int,
) -> None:
    """Set when messages can be received again; a time that is not to come: at once."""
    state = IN_FLIGHT if visible_at > now else READY
    transaction.executemany(
        "UPDATE messages SET state = ?, visible_at = ? WHERE seq = ?",
        [(state, visible_at, message.seq) for message in messages],
    )
    _move_counts(transaction, queue.id, [message.state for message in messages], state)


def to_dead_letters(
    transaction: Transaction, queue: Queue, target: Queue, message: Stored, now: int
) -> None:
    """Move a message that was received too often; its receive count goes with it."""
    seq, group = message.seq, None
    deduplication_id = message.deduplication_id
    if target.is_fifo:
        # The time of the move counts for retention, and two messages of one deduplication id
        # must both arrive.
        seq, deduplication_id = fifo.next_seq(transaction, now), message.id
        group = fifo.join_group(transaction, target.id, message.group_name or "", seq, None)
    transaction.execute(
        "UPDATE messages SET seq = ?, queue = ?, grp = ?, state = 0, visible_at = ?,"
        " receives_before = receives WHERE seq = ?",
        (seq, target.id, group, now, message.seq),
    )
    transaction.execute(
        "UPDATE bodies SET seq = ?, deduplication_id = ?, source_arn = ? WHERE seq = ?",
        (seq, deduplication_id, str(queue.arn), message.seq),
    )
    _take_from_counts(transaction, queue.id, [message.state])
    add_to_counts(transaction, target.id, ready=1)
    transaction.wake(target.id)


def has_available(transaction: Transaction, queue: Queue, now: int) -> bool:
    """Whether a receive could find something, or has rows to bring up to date; a few probes."""
    probes = [(f"SELECT 1 {_HIDDEN} AND visible_at <= ? LIMIT 1", now)]
    if queue.is_fifo:
        groups = "SELECT 1 FROM groups WHERE queue = ? AND"
        probes += [
            (f"{groups} rank IS NOT NULL AND rank > ? LIMIT 1", -1),
            (f"{groups} wake IS NOT NULL AND wake <= ? LIMIT 1", now),
            (f"SELECT 1 {_EXPIRED} LIMIT 1", queue.horizon(now)),
        ]
    else:
        ready = "FROM messages INDEXED BY m_ready WHERE queue = ? AND state = 0 AND seq >= ?"
        probes.append((f"SELECT 1 {ready} LIMIT 1", queue.horizon(now)))
    return any(transaction.row(sql, (queue.id, bound)) for sql, bound in probes)


def next_deadline(transaction: Transaction, queue: Queue) -> int | None:
    """When, in milliseconds, a hidden message can be received again by itself."""
    deadlines = []
    if queue.is_fifo:
        sql = "SELECT wake FROM groups WHERE queue = ? AND wake IS NOT NULL ORDER BY wake LIMIT 1"
        # A first message in flight that expires frees its group.
        oldest = transaction.row("SELECT min(seq) FROM messages WHERE queue = ?", (queue.id,))[0]
        if oldest is not None:
            retention = queue.number("MessageRetentionPeriod") * 1000
            deadlines.append((oldest >> SEQ_BITS) + retention)
    else:
        sql = f"SELECT visible_at {_HIDDEN} ORDER BY visible_at LIMIT 1"
    row = transaction.row(sql, (queue.id,))
    if row:
        deadlines.append(row[0])
    return min(deadlines, default=None)


def counts(transaction: Transaction, queue: Queue, now: int) -> tuple[int, int, int]:
    """Ready, in flight and delayed at this moment, whatever the rows have not caught up with."""
    result = {READY: queue.ready, IN_FLIGHT: queue.in_flight, DELAYED: queue.delayed}
    horizon = queue.horizon(now)
    expired: list[Any] = transaction.rows(
        f"SELECT state, COUNT(*) {_EXPIRED} GROUP BY state",
        (queue.id, horizon),
    )
    for state, count in expired:
        result[state] -= count
    due = transaction.rows(
        f"SELECT state, COUNT(*) {_HIDDEN} AND visible_at <= ? AND seq >= ? GROUP BY state",
        (queue.id, now, horizon),
    )
    for state, count in due:
        result[state] -= count
        result[READY] += count
    return result[READY], result[IN_FLIGHT], result[DELAYED]


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
