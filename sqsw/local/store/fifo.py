"""What only FIFO queues have: message groups, deduplication, receive attempts; and the sequence.

A message group is a row as long as it has a message. It is available exactly if its first message
is not hidden; then it has a ``rank``, the time since when. If it is hidden it has a ``wake``, the
time until when. So a message in flight blocks itself and what comes after it, and nothing before
it.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

import json
from typing import Final, NamedTuple

from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.schema import READY, SEQ_BITS
from sqsw.local.store.store import Transaction

#: milliseconds in which a deduplication id, or a receive attempt id, is remembered
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
REMEMBERED_MS: Final = 300_000
#: rows that one call cleans up or promotes at most, so that none takes long
PORTION: Final = 1_000
#: tables of what is remembered for five minutes, and their keys beside the contents
_REMEMBERED: Final = (
    ("deduplications", "group_name, deduplication_id"),
    ("attempts", "attempt_id"),
)
#: makes sequence numbers 20 digits long
_SEQUENCE_OFFSET: Final = 10**19


class Delivery(NamedTuple):
    """One message of an answered receive, as a receive attempt remembers it."""

    seq: int
    receives: int
    visible_at: int


def next_seq(transaction: Transaction, now: int, count: int = 1) -> int:
    """The first of ``count`` new numbers: later than all before, and never before their time.

    They grow even if the clock steps back.
    """
    transaction.execute(
        f"UPDATE seqs SET last = max(last + :n, (:now << {SEQ_BITS}) + :n)",
        {"n": count, "now": now},
    )
    last: int = transaction.row("SELECT last FROM seqs")[0]
    return last - count + 1


def sequence_number(seq: int) -> str:
    return str(_SEQUENCE_OFFSET + seq)


def join_group(
    transaction: Transaction, contents: int, name: str, seq: int, wake: int | None
) -> int:
    """The row of a group, made if this message is its first; ``wake``: when it can be received."""
    row = transaction.row("SELECT id FROM groups WHERE contents = ? AND name = ?", (contents, name))
    if row:
        # The messages before this one decide when the group is available.
        return int(row[0])
    cursor = transaction.execute(
        "INSERT INTO groups(contents, name, rank, wake) VALUES (?, ?, ?, ?)",
        (contents, name, seq if wake is None else None, wake),
    )
    return int(cursor.lastrowid or 0)


def refresh_group(transaction: Transaction, group: int, now: int) -> bool:
    """Make a group's row say what its first message says; returns whether it is available."""
    head = transaction.row(
        "SELECT state, visible_at FROM messages WHERE grp = ? ORDER BY seq LIMIT 1", (group,)
    )
    if head is None:
        transaction.execute("DELETE FROM groups WHERE id = ?", (group,))
        return False
    state, visible_at = head
    if state != READY and visible_at > now:
        transaction.execute(
            "UPDATE groups SET rank = NULL, wake = ? WHERE id = ?", (visible_at, group)
        )
        return False
    rank, wake = transaction.row("SELECT rank, wake FROM groups WHERE id = ?", (group,))
    if rank is None:
        is_due = wake is not None and wake <= now
        rank = wake << SEQ_BITS if is_due else next_seq(transaction, now)
        transaction.execute("UPDATE groups SET rank = ?, wake = NULL WHERE id = ?", (rank, group))
    return True


def to_the_end(transaction: Transaction, groups: list[int]) -> None:
    """Groups that were received from line up anew; ``refresh_group`` gives them their place."""
    transaction.executemany(
        "UPDATE groups SET rank = NULL WHERE id = ?", [(group,) for group in groups]
    )


def promote_groups(transaction: Transaction, contents: int, now: int) -> None:
    """Groups whose first message can be received again: the longest available comes first."""
    transaction.execute(
        f"UPDATE groups SET rank = wake << {SEQ_BITS}, wake = NULL WHERE id IN"
        " (SELECT id FROM groups WHERE contents = ? AND wake IS NOT NULL AND wake <= ?"
        " ORDER BY wake LIMIT ?)",
        (contents, now, PORTION),
    )


def available_groups(transaction: Transaction, contents: int, limit: int) -> list[int]:
    rows = transaction.rows(
        "SELECT id FROM groups WHERE contents = ? AND rank IS NOT NULL ORDER BY rank LIMIT ?",
        (contents, limit),
    )
    return [group for (group,) in rows]


def find_duplicate(
    transaction: Transaction, queue: Queue, group_name: str, deduplication_id: str, now: int
) -> tuple[str, int] | None:
    """Message id and ``seq`` of the message sent under this id in the last five minutes."""
    row = transaction.row(
        "SELECT message_id, seq FROM deduplications WHERE contents = ? AND group_name = ?"
        " AND deduplication_id = ? AND expires_at > ?",
        (queue.contents, _scope(queue, group_name), deduplication_id, now),
    )
    return (row[0], row[1]) if row else None


def remember(
    transaction: Transaction,
    queue: Queue,
    group_name: str,
    deduplication_id: str,
    sent: tuple[str, int],
    now: int,
) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO deduplications VALUES (?, ?, ?, ?, ?, ?)",
        (queue.contents, _scope(queue, group_name), deduplication_id, now + REMEMBERED_MS, *sent),
    )


def find_attempt(
    transaction: Transaction, contents: int, attempt_id: str, now: int
) -> list[Delivery]:
    """What a receive under this attempt id answered in the last five minutes."""
    row = transaction.row(
        "SELECT deliveries FROM attempts WHERE contents = ? AND attempt_id = ? AND expires_at > ?",
        (contents, attempt_id, now),
    )
    return [Delivery(*delivery) for delivery in json.loads(row[0])] if row else []


def keep_attempt(
    transaction: Transaction,
    contents: int,
    attempt_id: str,
    deliveries: list[Delivery],
    now: int,
) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?)",
        (contents, attempt_id, now + REMEMBERED_MS, json.dumps(deliveries)),
    )


def prolong_attempt(
    transaction: Transaction, contents: int, attempt_id: str, deliveries: list[Delivery]
) -> None:
    """A repeated answer hides its messages anew; the five minutes stay those of the first."""
    transaction.execute(
        "UPDATE attempts SET deliveries = ? WHERE contents = ? AND attempt_id = ?",
        (json.dumps(deliveries), contents, attempt_id),
    )


def forget_old(transaction: Transaction, contents: int, limit: int, now: int) -> None:
    """Drop a portion of the deduplication ids and attempts whose five minutes are over."""
    where = "contents = ? AND expires_at <= ?"
    for table, key in _REMEMBERED:
        # A probe of the index first: mostly nothing is over.
        if transaction.row(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", (contents, now)):
            transaction.execute(
                f"DELETE FROM {table} WHERE contents = ? AND ({key}) IN"
                f" (SELECT {key} FROM {table} WHERE {where} LIMIT ?)",
                (contents, contents, now, limit),
            )


def _scope(queue: Queue, group_name: str) -> str:
    return group_name if queue.deduplicates_by_group else ""
