"""Message groups, deduplication, receive attempts, and sequence numbers of FIFO queues.

A message group has a row as long as it has a message. It is available if its first message is
visible; its ``rank`` is then the time since which it has been available. If the first message is
hidden, ``wake`` is the time until which it stays hidden. So a message in flight blocks itself and
the messages after it, but not those before it.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

import json
from typing import Final, NamedTuple

from sqsw.local.store.queue_rows import Queue
from sqsw.local.store.schema import READY, SEQ_BITS
from sqsw.local.store.store import Transaction

#: milliseconds for which a deduplication id or a receive attempt id is remembered
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
REMEMBERED_MS: Final = 300_000
#: the most rows that one call cleans up or promotes, so no call takes long
PORTION: Final = 1_000
#: tables of what is remembered for five minutes, and their keys next to the contents
_REMEMBERED: Final = (
    ("deduplications", "group_name, deduplication_id"),
    ("attempts", "attempt_id"),
)
#: makes sequence numbers 20 digits long
_SEQUENCE_OFFSET: Final = 10**19


class Delivery(NamedTuple):
    """A message in the answer to a receive, as a receive attempt stores it."""

    seq: int
    receives: int
    visible_at: int


def next_seq(transaction: Transaction, now: int, count: int = 1) -> int:
    """Return the first of ``count`` new numbers, higher than all earlier ones and than the time.

    They increase even if the clock steps back.
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
    """Return the row of a group, new if this is its first message; ``wake``: when it is visible."""
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
    """Update a group's row from its first message; return whether the group is available."""
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
    """Move groups to the end after a receive; ``refresh_group`` gives them their new rank."""
    transaction.executemany(
        "UPDATE groups SET rank = NULL WHERE id = ?", [(group,) for group in groups]
    )


def promote_groups(transaction: Transaction, contents: int, now: int) -> None:
    """Rank the groups whose first message is visible again, the longest visible first."""
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
    """Return the message id and ``seq`` of a message sent with this id in the last five minutes."""
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
    """Return the answer to a receive with this attempt id in the last five minutes."""
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
    """Store the new timeouts of a repeated answer; the five minutes count from the first one."""
    transaction.execute(
        "UPDATE attempts SET deliveries = ? WHERE contents = ? AND attempt_id = ?",
        (json.dumps(deliveries), contents, attempt_id),
    )


def forget_old(transaction: Transaction, contents: int, limit: int, now: int) -> None:
    """Delete some of the deduplication ids and attempts whose five minutes are over."""
    where = "contents = ? AND expires_at <= ?"
    for table, key in _REMEMBERED:
        # Probe the index first: most of the time, none have expired.
        if transaction.row(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", (contents, now)):
            transaction.execute(
                f"DELETE FROM {table} WHERE contents = ? AND ({key}) IN"
                f" (SELECT {key} FROM {table} WHERE {where} LIMIT ?)",
                (contents, contents, now, limit),
            )


def _scope(queue: Queue, group_name: str) -> str:
    return group_name if queue.deduplicates_by_group else ""
