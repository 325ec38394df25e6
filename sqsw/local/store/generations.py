"""What a queue holds, apart from the queue: so that it is emptied at once, however full it is.

A purge, or the end of a queue, leaves its contents behind, where no query finds them any more.
Calls that write anyway delete their rows, a portion at a time.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from sqsw.local.store.store import Store, Transaction

#: tables beside the messages that hold rows of a queue, and what tells these apart
_OTHERS: Final = (
    ("groups", "name"),
    ("deduplications", "group_name, deduplication_id"),
    ("attempts", "attempt_id"),
)
#: messages that one transaction deletes at most, and pages, when a store is closed
_PORTION: Final = 1_000
#: seconds after which a call deletes no more: a thousand large messages take more than one second
_SECONDS: Final = 0.01
_SLICE: Final = 10
#: pages not in use that are worth a look at closing: 1 MiB
_FREE_PAGES: Final = 256

Row = TypeVar("Row")


def make(transaction: Transaction) -> int:
    """New contents, empty."""
    cursor = transaction.execute("INSERT INTO contents DEFAULT VALUES")
    return int(cursor.lastrowid or 0)


def leave(transaction: Transaction, contents: int) -> None:
    """Their queue has others now, or is gone."""
    transaction.execute("UPDATE contents SET is_left = 1 WHERE id = ?", (contents,))


def in_time(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows to delete, some at a time, until the call has done enough."""
    ends = time.monotonic() + _SECONDS
    for start in range(0, len(rows), _SLICE):
        yield rows[start : start + _SLICE]
        if time.monotonic() > ends:
            return


def sweep(transaction: Transaction, limit: int) -> bool:
    """Delete at most ``limit`` rows a table of contents that were left; whether there were some."""
    left = transaction.row("SELECT id FROM contents WHERE is_left LIMIT 1")
    if left is None:
        return False
    # The newest first: they stand at the end of the file, which is then cut off without moving.
    seqs = transaction.rows(
        "SELECT seq FROM messages INDEXED BY m_contents WHERE contents = ?"
        " ORDER BY seq DESC LIMIT ?",
        (*left, limit),
    )
    for some in in_time(seqs):
        transaction.executemany("DELETE FROM bodies WHERE seq = ?", some)
        transaction.executemany("DELETE FROM messages WHERE seq = ?", some)
    swept = [len(seqs)]
    for table, key in _OTHERS:
        cursor = transaction.execute(
            f"DELETE FROM {table} WHERE contents = ? AND ({key}) IN"
            f" (SELECT {key} FROM {table} WHERE contents = ? LIMIT ?)",
            (*left, *left, limit),
        )
        swept.append(cursor.rowcount)
    if max(swept) < limit and not _has_messages(transaction, *left):
        transaction.execute("DELETE FROM contents WHERE id = ?", left)
    transaction.shrink(limit // 4)
    return True


def finish(store: Store, seconds: float) -> None:
    """Delete what was left, and give free pages back, for as long as this; others get between."""
    ends = time.monotonic() + seconds
    with store.read() as transaction:
        left = transaction.row("SELECT 1 FROM contents WHERE is_left LIMIT 1")
        is_worth_it = left or _free_pages(transaction) > _FREE_PAGES
    while is_worth_it and time.monotonic() < ends:
        with store.write() as transaction:
            if not sweep(transaction, _PORTION):
                transaction.shrink(_PORTION)
                is_worth_it = _free_pages(transaction) > 0


def _free_pages(transaction: Transaction) -> int:
    pages: int = transaction.row("PRAGMA freelist_count")[0]
    return pages


def _has_messages(transaction: Transaction, contents: int) -> bool:
    sql = "SELECT 1 FROM messages INDEXED BY m_contents WHERE contents = ? LIMIT 1"
    return transaction.row(sql, (contents,)) is not None
