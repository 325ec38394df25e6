"""Transactions on the database of one engine.

A write holds the file's lock and begins IMMEDIATE, since a transaction that reads first and writes
then fails at once when another writes in between. No transaction is open while a receive waits.
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

#: rows in one statement: as many as a batch has at most
_TOGETHER: Final = 10


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What an engine can be told about how it behaves.

    Parameters
    ----------
    account :
        The account that owns all queues, 12 digits.
    is_relaxed :
        Purge again, and create again after a delete, without waiting 60 seconds.
    max_in_flight :
        Messages of one queue that may be in flight at a time.
    """

    account: str = "000000000000"
    is_relaxed: bool = False
    max_in_flight: int = 120_000


@functools.cache
def _for_rows(one: str, count: int) -> str:
    return ", ".join((one, *[one.rpartition("VALUES ")[2]] * (count - 1)))


class Transaction:
    """What an operation works with between begin and commit."""

    __slots__ = ("execute", "executemany", "wakes")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.executemany: Callable[..., sqlite3.Cursor] = connection.executemany
        self.wakes: list[Wake] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        # To the end, always: an open cursor is an open read, and lets the write-ahead log grow.
        return self.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self.execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    def insert(self, one: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows by the statement for one of them, which ends with its values.

        Ten in one statement take two thirds of the time of ten statements.
        """
        if len(rows) == 1:
            self.execute(one, rows[0])
            return
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            self.execute(_for_rows(one, len(some)), [value for row in some for value in row])

    def shrink(self, pages: int) -> None:
        """After many deletes: give at most so many of the free pages back to the disk."""
        free = self.row("PRAGMA freelist_count")[0]
        for _ in range(min(free, pages)):
            # Whatever number it is given: Python takes one step of it, and a step is a page.
            self.execute("PRAGMA incremental_vacuum(1)")

    def wake(self, queue_id: int, count: int = 1) -> None:
        """After the commit: so many messages are available, or the next deadline has moved."""
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
            pass  # a file that cannot be used is said at once, not at the first call
        _stores.add(self)

    @contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Entered, a file that others hold is an error at once in this thread.

        For a thread that has others to serve. The call that failed can be made again in another
        thread as it is: nothing of it was done.
        """
        if self.path is None:
            yield
            return
        with self._write_lock.never_waiting(), self._connections.never_waiting():
            yield

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock() * 1000)

    @property
    def held(self) -> int:
        """Milliseconds of a clock jump that retention does not follow yet."""
        return 0 if self._jumps is None else self._jumps.held

    def check_clock(self) -> None:
        """Check whether the clock has jumped, before each call and outside of a transaction."""
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
        """One moment of the database; waits for nobody."""
        with self._connections.use() as connection:
            try:
                connection.execute("BEGIN")  # inside: Ctrl-C may come when it has just begun
                yield Transaction(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def probe(self, sql: str) -> list[Any]:
        """The rows of one query, which needs no transaction to see one moment."""
        with self._connections.use() as connection:
            return connection.execute(sql).fetchall()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change: all of it or nothing. Wakes waiting receives after the commit."""
        with self._connections.use(self._write_lock.held) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                transaction = Transaction(connection)
                yield transaction
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, a full disk for one.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if transaction.wakes:
            self.waiters.announce(transaction.wakes)

    def data_version(self) -> int:
        """Another number whenever another connection has written since the last call."""
        try:
            with self._connections.use() as connection:
                return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, OSError, FileError):
            return -1

    def close(self) -> None:
        """Close the connections of all threads; waiting receives answer with nothing."""
        self.waiters.close()
        with self.quiet():
            self._connections.close_for_good()
            self._close_lock()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Entered, no other thread is inside a transaction or opens a connection."""
        connections = self._connections
        with (
            connections.opening,
            self._write_lock.alone(),
            connections.held(),
            self.waiters.hold(),
        ):
            yield

    def before_fork(self) -> None:
        """Close a file's connections; each side opens its own when it needs one."""
        if self.path is not None:
            self._connections.close_all()
            self._close_lock()

    def renew(self) -> None:
        """In a forked child: begin anew where another thread of the parent held something."""
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
    # Python goes on with the fork whatever is raised here, so the other two must know how far it
    # came.
    holds = _fork_holds.entered = list[tuple[Store, AbstractContextManager[None]]]()
    for store in sorted(_stores, key=id):
        hold = store.quiet()
        with suppress(FileError):  # it stays busy: the child gets locks of its own
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
