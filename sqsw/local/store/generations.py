"""The contents of queues, stored apart from the queues, so a purge is fast on a full queue.

A purge gives the queue new contents, and a deleted queue has none. No query finds the old contents
any more. Later calls that write delete their rows, a portion at a time.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from sqsw.local.store.store import Store, Transaction

#: other tables with rows of a queue, and their keys next to the contents
_OTHERS: Final = (
    ("groups", "name"),
    ("deduplications", "group_name, deduplication_id"),
    ("attempts", "attempt_id"),
)
#: the most messages that a transaction deletes, and pages that it frees, when a store is closed
_PORTION: Final = 1_000
#: seconds after which a call stops deleting: a thousand large messages take more than one second
_SECONDS: Final = 0.01
_SLICE: Final = 10
#: free pages from which closing a store returns them to the disk: 1 MiB
_FREE_PAGES: Final = 256

Row = TypeVar("Row")


def make(transaction: Transaction) -> int:
    """Create empty contents; return their id."""
    cursor = transaction.execute("INSERT INTO contents DEFAULT VALUES")
    return int(cursor.lastrowid or 0)


def leave(transaction: Transaction, contents: int) -> None:
    """Mark contents as left: their queue has new ones, or was deleted."""
    transaction.execute("UPDATE contents SET is_left = 1 WHERE id = ?", (contents,))


def in_time(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows to delete, some at a time, until the time for deleting is over."""
    ends = time.monotonic() + _SECONDS
    for start in range(0, len(rows), _SLICE):
        yield rows[start : start + _SLICE]
        if time.monotonic() > ends:
            return


def sweep(transaction: Transaction, limit: int) -> bool:
    """Delete rows of contents that were left; return whether there were such contents.

    Parameters
    ----------
    limit :
        The most rows to delete in each table.
    """
    left = transaction.row("SELECT id FROM contents WHERE is_left LIMIT 1")
    if left is None:
        return False
    # The newest first: they are at the end of the file, so it can shrink without moving pages.
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
    """Delete contents that were left and free pages, for at most ``seconds``.

    There are several short transactions, so other processes can write in between.
    """
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
