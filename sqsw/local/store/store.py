"""Transactions on the database of one engine.

A write holds the file's lock and begins IMMEDIATE: a transaction that reads before it writes fails
if another one has written in between. No transaction is open while a receive waits.
"""

import functools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqsw.local.errors import FileError
from sqsw.local.store.clock import Clock, MovableClock
from sqsw.local.store.connections import Connections, Durability
from sqsw.local.store.file_lock import WriteLock
from sqsw.local.store.jumps import JumpWatch, Known, warn_of_jump
from sqsw.local.store.waiting import Waiters, Wake

#: rows in one statement: the size of a full batch
_TOGETHER: Final = 10


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How an engine behaves.

    Parameters
    ----------
    account :
        The account that owns all queues, 12 digits.
    is_relaxed :
        Whether a queue can be purged again, or created after a delete, within 60 seconds.
    max_in_flight :
        The most messages of one queue that can be in flight at a time.
    """

    account: str = "000000000000"
    is_relaxed: bool = False
    max_in_flight: int = 120_000


@functools.cache
def _for_rows(one: str, count: int) -> str:
    return ", ".join((one, *[one.rpartition("VALUES ")[2]] * (count - 1)))


class Transaction:
    """An open transaction, as operations use it."""

    __slots__ = ("execute", "executemany", "wakes")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.executemany: Callable[..., sqlite3.Cursor] = connection.executemany
        self.wakes: list[Wake] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        # Fetch all: an open cursor is an open read, which lets the write-ahead log grow.
        return self.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self.execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    def insert(self, one: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows; ``one`` is the statement for a single row and ends with its values.

        One statement with ten rows takes two thirds of the time of ten statements.
        """
        if len(rows) == 1:
            self.execute(one, rows[0])
            return
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            self.execute(_for_rows(one, len(some)), [value for row in some for value in row])

    def shrink(self, pages: int) -> None:
        """Return up to ``pages`` free pages to the disk after many deletes."""
        free = self.row("PRAGMA freelist_count")[0]
        for _ in range(min(free, pages)):
            # Python runs one step of this statement, and a step frees one page.
            self.execute("PRAGMA incremental_vacuum(1)")

    def wake(self, queue_id: int, count: int = 1) -> None:
        """Wake receives after the commit: messages are available, or a deadline has moved."""
        self.wakes.append(Wake(queue_id, count))


class Store:
    def __init__(
        self,
        path: str | None,
        *,
        clock: Clock,
        settings: StoreSettings,
        durable: Durability = "normal",
        busy_seconds: float = 5.0,
    ) -> None:
        self.path, self.clock, self.settings = path, clock, settings
        self.waiters = Waiters(path, None if path is None else self.data_version)
        is_wall = clock is time.time or (isinstance(clock, MovableClock) and clock.is_wall)
        self._jumps = JumpWatch() if path is not None and is_wall else None
        self._write_lock = WriteLock(path, busy_seconds)
        self._connections = Connections(path, self._write_lock, durable, busy_seconds)
        with self._connections.use():
            pass  # report a file that cannot be used now, not at the first call
        _stores.add(self)

    @contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Do not let this thread wait for a locked file; raise an error at once.

        For a thread that serves several clients. A call that failed has done nothing, so another
        thread can repeat it.
        """
        if self.path is None:
            yield
            return
        with self._write_lock.never_waiting(), self._connections.never_waiting():
            yield

    def now(self) -> int:
        """Return the milliseconds since 1970."""
        return int(self.clock() * 1000)

    @property
    def held(self) -> int:
        """The milliseconds of a clock jump that retention ignores for now."""
        return 0 if self._jumps is None else self._jumps.held

    def check_clock(self) -> None:
        """Check whether the clock has jumped; called before each call, outside a transaction."""
        if self._jumps is None or not self._jumps.is_due():
            return
        with self.read() as transaction:
            known = _known(transaction)
        if self._jumps.judge(known) == known:
            return
        with self.write() as transaction:
            known = _known(transaction)
            judged = self._jumps.judge(known)
            transaction.execute("DELETE FROM clock")
            transaction.execute("INSERT INTO clock VALUES (?, ?, ?, ?, ?)", judged)
        warn_of_jump(known, judged)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read a snapshot of the database, without waiting for a lock."""
        with self._connections.use() as connection:
            try:
                connection.execute("BEGIN")  # inside the try: Ctrl-C can arrive just after it
                yield Transaction(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def probe(self, sql: str) -> list[Any]:
        """Return the rows of a single query, which needs no transaction."""
        with self._connections.use() as connection:
            return connection.execute(sql).fetchall()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Make a change completely or not at all, and wake waiting receives after the commit."""
        with self._connections.use(self._write_lock.held) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                transaction = Transaction(connection)
                yield transaction
                connection.execute("COMMIT")
            except BaseException:
                # After some errors, such as a full disk, SQLite has already rolled back.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if transaction.wakes:
            self.waiters.announce(transaction.wakes)

    def data_version(self) -> int:
        """Return a number that changes when another connection has written."""
        try:
            with self._connections.use() as connection:
                return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, OSError, FileError):
            return -1

    def close(self) -> None:
        """Close the connections of all threads; waiting receives return empty."""
        self.waiters.close()
        with self.quiet():
            self._connections.close_for_good()
            self._close_lock()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Keep other threads out of transactions and from opening connections."""
        connections = self._connections
        with (
            connections.opening,
            self._write_lock.alone(),
            connections.held(),
            self.waiters.hold(),
        ):
            yield

    def before_fork(self) -> None:
        """Close the connections to a file; after the fork, each process opens its own."""
        if self.path is not None:
            self._connections.close_all()
            self._close_lock()

    def renew(self) -> None:
        """Reset the locks in a forked child, because another thread of the parent held some."""
        self._write_lock.renew()
        self._connections.renew()
        self.waiters.renew()

    def _close_lock(self) -> None:
        if self._write_lock.processes:
            self._write_lock.processes.close()


def _known(transaction: Transaction) -> Known | None:
    row = transaction.row("SELECT boot, time_offset, ahead, follow_at, seen FROM clock")
    return None if row is None else Known(*row)


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()
_fork_holds = threading.local()


def _before_fork() -> None:
    # Python forks even if this raises, so the other two hooks must know how far it got.
    holds = _fork_holds.entered = list[tuple[Store, AbstractContextManager[None]]]()
    for store in sorted(_stores, key=id):
        hold = store.quiet()
        with suppress(FileError):  # the store stays busy: the child gets new locks
            hold.__enter__()
            holds.append((store, hold))
            with suppress(sqlite3.Error):
                store.before_fork()


def _after_fork_in_parent() -> None:
    for _, hold in reversed(getattr(_fork_holds, "entered", [])):
        hold.__exit__(None, None, None)
    _fork_holds.entered = []


def _after_fork_in_child() -> None:
    quiet = {store for store, _ in getattr(_fork_holds, "entered", [])}
    _after_fork_in_parent()
    for store in list(_stores):
        if store in quiet:
            store.waiters.forget()
        else:
            store.renew()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
