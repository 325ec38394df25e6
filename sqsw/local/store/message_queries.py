"""Queries on the messages of a queue; they do not change rows.

They name their index. The planner does not know how full a queue is, so it would sometimes choose
one that scans hidden messages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.schema import DELAYED, IN_FLIGHT, READY, SEQ_BITS
from sqsw.local.store.store import Transaction

# The columns have the order of Stored.
_STORED = (
    "SELECT m.seq, m.grp, m.state, m.visible_at, m.receives, m.receives_before, m.first_receive,"
    " m.last_receive, m.sent_at, m.id, b.body, b.md5, b.attributes, b.group_name,"
    " b.deduplication_id, b.trace_header, b.source_arn"
    " FROM messages m {index} CROSS JOIN bodies b ON b.seq = m.seq WHERE "
)
_ONE = _STORED.format(index="") + "m.seq = ? AND m.contents = ?"
_READY = _STORED.format(index="INDEXED BY m_ready") + (
    "m.contents = ? AND m.state = 0 AND m.seq >= ? AND m.seq > ? ORDER BY m.seq LIMIT ?"
)
_DUE = _STORED.format(index="INDEXED BY m_hidden") + (
    "m.contents = ? AND m.state > 0 AND m.visible_at <= ? AND m.seq >= ? AND m.seq > ?"
    " ORDER BY m.seq LIMIT ?"
)
_ALL = _STORED.format(index="INDEXED BY m_contents") + (
    "m.contents = ? AND m.seq >= ? AND m.seq > ? ORDER BY m.seq LIMIT ?"
)
_OF_GROUP = _STORED.format(index="INDEXED BY m_group") + (
    "m.grp = ? AND m.seq >= ? AND m.seq > ? ORDER BY m.seq LIMIT ?"
)
_MOVABLE = _STORED.format(index="INDEXED BY m_ready") + (
    "m.contents = ? AND m.state = 0 AND m.seq >= ? AND m.seq <= ?"
    " AND (m.grp IS NULL OR NOT EXISTS("
    "SELECT 1 FROM messages h INDEXED BY m_group"
    " WHERE h.grp = m.grp AND h.seq < m.seq AND h.state > 0))"
    " ORDER BY m.seq LIMIT ?"
)
_PLACE = "seq, state, grp, visible_at, receives, last_receive"
_HIDDEN = "FROM messages INDEXED BY m_hidden WHERE contents = ? AND state > 0"
_EXPIRED = "FROM messages INDEXED BY m_contents WHERE contents = ? AND seq < ?"


_UPKEEP = (
    "SELECT EXISTS(SELECT 1 FROM contents WHERE is_left),"
    f" EXISTS(SELECT 1 {_EXPIRED}), EXISTS(SELECT 1 {_HIDDEN} AND visible_at <= ?)"
)


class Upkeep(NamedTuple):
    """Which rows must be deleted or updated."""

    #: rows of contents that were left
    has_left: int
    has_expired: int
    #: messages that are marked as hidden, but whose timeout is over
    has_due: int


class RowState(NamedTuple):
    """The state of a message, without its contents."""

    seq: int
    state: int
    group: int | None
    visible_at: int
    receives: int
    last_receive: int | None


class Stored(NamedTuple):
    """A message with its body, as stored in the database."""

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

    def place(self) -> RowState:
        return RowState(
            self.seq, self.state, self.group, self.visible_at, self.receives, self.last_receive
        )


def find(transaction: Transaction, queue: Queue, seq: int, now: int) -> Stored | None:
    """Return a message of this queue; None if it is missing or expired."""
    row = transaction.row(_ONE, (seq, queue.contents))
    return Stored(*row) if row and seq >= queue.horizon(now) else None


def place_of(transaction: Transaction, queue: Queue, seq: int, now: int) -> RowState | None:
    """Return the state of a message without reading its body, which can be large."""
    return next(iter(places_of(transaction, queue, [seq], now)), None)


def places_of(
    transaction: Transaction, queue: Queue, seqs: Sequence[int], now: int
) -> list[RowState]:
    """Return the states of the messages that exist, each once, in the order of ``seqs``."""
    rows = transaction.rows(
        f"SELECT {_PLACE} FROM messages NOT INDEXED"
        f" WHERE seq IN ({', '.join('?' * len(seqs))}) AND contents = ? AND seq >= ?",
        (*seqs, queue.contents, queue.horizon(now)),
    )
    return sorted((RowState(*row) for row in rows), key=lambda place: seqs.index(place.seq))


def ready_messages(
    transaction: Transaction, queue: Queue, limit: int, now: int, after: int = -1
) -> list[Stored]:
    """Return the messages that are ready, oldest first; call ``message_rows.settle`` before."""
    rows = transaction.rows(_READY, (queue.contents, queue.horizon(now), after, limit))
    return [Stored(*row) for row in rows]


def visible_messages(
    transaction: Transaction, queue: Queue, limit: int, now: int, after: int
) -> list[Stored]:
    """Return the messages that can be received now; for readers, who cannot call ``settle``."""
    horizon = queue.horizon(now)
    due = transaction.rows(_DUE, (queue.contents, now, horizon, after, limit))
    found = ready_messages(transaction, queue, limit, now, after) + [Stored(*row) for row in due]
    return sorted(found)[:limit]


def all_messages(
    transaction: Transaction, queue: Queue, limit: int, now: int, after: int
) -> list[Stored]:
    """Return messages in any state, oldest first."""
    rows = transaction.rows(_ALL, (queue.contents, queue.horizon(now), after, limit))
    return [Stored(*row) for row in rows]


def places_by_id(
    transaction: Transaction, queue: Queue, message_id: str, now: int
) -> list[RowState]:
    """Return the state of the message with this ID, if it exists; this reads the whole queue."""
    rows = transaction.rows(
        f"SELECT {_PLACE} FROM messages INDEXED BY m_contents"
        " WHERE contents = ? AND seq >= ? AND id = ?",
        (queue.contents, queue.horizon(now), message_id),
    )
    return [RowState(*row) for row in rows]


def first_of_group(
    transaction: Transaction, queue: Queue, group: int, limit: int, after: int, now: int
) -> list[Stored]:
    """Return the messages of a group in order, up to the first one that is hidden."""
    rows = transaction.rows(_OF_GROUP, (group, queue.horizon(now), after, limit))
    messages = []
    for row in rows:
        message = Stored(*row)
        if message.is_hidden(now):
            break
        messages.append(message)
    return messages


def movable(
    transaction: Transaction, queue: Queue, last_seq: int, limit: int, now: int
) -> list[Stored]:
    """Return messages that a move task can take.

    They are ready, not newer than ``last_seq``, and not behind a hidden message of their group.
    """
    rows = transaction.rows(_MOVABLE, (queue.contents, queue.horizon(now), last_seq, limit))
    return [Stored(*row) for row in rows]


def upkeep(transaction: Transaction, queue: Queue, now: int) -> Upkeep:
    """Return which rows are out of date; most of the time, none are."""
    contents = queue.contents
    return Upkeep._make(transaction.row(_UPKEEP, (contents, queue.horizon(now), contents, now)))


def expired(transaction: Transaction, queue: Queue, limit: int, now: int) -> list[RowState]:
    """Return messages whose retention is over, in flight or not."""
    rows = transaction.rows(
        f"SELECT {_PLACE} {_EXPIRED} LIMIT ?", (queue.contents, queue.horizon(now), limit)
    )
    return [RowState(*row) for row in rows]


def due(transaction: Transaction, queue: Queue, limit: int, now: int) -> list[RowState]:
    """Return messages that are marked as hidden, but whose timeout is over, earliest first."""
    rows = transaction.rows(
        f"SELECT {_PLACE} {_HIDDEN} AND visible_at <= ? ORDER BY visible_at LIMIT ?",
        (queue.contents, now, limit),
    )
    return [RowState(*row) for row in rows]


def has_available(transaction: Transaction, queue: Queue, now: int) -> bool:
    """Return whether a receive could find messages or has rows to update; takes a few probes."""
    if queue.ready and not queue.is_fifo:
        return True
    horizon = queue.horizon(now)
    hidden = [
        (f"SELECT 1 {_HIDDEN} AND visible_at <= ? LIMIT 1", now),
        (f"SELECT 1 {_EXPIRED} LIMIT 1", horizon),
    ]
    if queue.is_fifo:
        groups = "SELECT 1 FROM groups WHERE contents = ? AND"
        probes = [
            (f"{groups} rank IS NOT NULL AND rank > ? LIMIT 1", -1),
            (f"{groups} wake IS NOT NULL AND wake <= ? LIMIT 1", now),
            *hidden,
            ("SELECT 1 FROM deduplications WHERE contents = ? AND expires_at <= ? LIMIT 1", now),
            ("SELECT 1 FROM attempts WHERE contents = ? AND expires_at <= ? LIMIT 1", now),
        ]
    else:
        ready = "FROM messages INDEXED BY m_ready WHERE contents = ? AND state = 0 AND seq >= ?"
        probes = [(f"SELECT 1 {ready} LIMIT 1", horizon), *hidden]
    return any(transaction.row(sql, (queue.contents, bound)) for sql, bound in probes)


def next_deadline(transaction: Transaction, queue: Queue) -> int | None:
    """Return when the next delay or timeout ends, in milliseconds; None if there is none."""
    deadlines = []
    if queue.is_fifo:
        groups = "FROM groups WHERE contents = ? AND wake IS NOT NULL"
        sql = f"SELECT wake {groups} ORDER BY wake LIMIT 1"
        # If the first message of a group expires while it is in flight, the group is available.
        (oldest,) = transaction.row(
            "SELECT min(seq) FROM messages WHERE contents = ?", (queue.contents,)
        )
        if oldest is not None:
            deadlines.append((oldest >> SEQ_BITS) + queue.kept_for())
    else:
        sql = f"SELECT visible_at {_HIDDEN} ORDER BY visible_at LIMIT 1"
    row = transaction.row(sql, (queue.contents,))
    if row:
        deadlines.append(row[0])
    return min(deadlines, default=None)


def counts(transaction: Transaction, queue: Queue, now: int) -> tuple[int, int, int]:
    """Return the current numbers of ready, in-flight, and delayed messages.

    They are correct even if rows are out of date.
    """
    result = {READY: queue.ready, IN_FLIGHT: queue.in_flight, DELAYED: queue.delayed}
    horizon = queue.horizon(now)
    expired: list[Any] = transaction.rows(
        f"SELECT state, COUNT(*) {_EXPIRED} GROUP BY state",
        (queue.contents, horizon),
    )
    for state, count in expired:
        result[state] -= count
    due = transaction.rows(
        f"SELECT state, COUNT(*) {_HIDDEN} AND visible_at <= ? AND seq >= ? GROUP BY state",
        (queue.contents, now, horizon),
    )
    for state, count in due:
        result[state] -= count
        result[READY] += count
    return result[READY], result[IN_FLIGHT], result[DELAYED]
