"""Connections and transactions.

A file has one connection a thread and process; memory has one, under a lock. A write holds the
file's lock and begins IMMEDIATE, since a transaction that reads first and writes then fails at once
when another writes in between. No transaction is open while a receive waits. Only SQLite opens the
file: closing any other descriptor of it would drop the process's locks on it.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqsw.local import schema
from sqsw.local.clock import Clock
from sqsw.local.errors import (
    FileCannotOpen,
    FileDamaged,
    FileError,
    FileFull,
    FileLocked,
    FileNotOurs,
    FileReadOnly,
)
from sqsw.local.file_lock import FileLock
from sqsw.local.waiting import Waiters, Wake

Durability = Literal["normal", "full"]

#: bytes that the write-ahead log keeps after a checkpoint
_WAL_BYTES: Final = 4 * 1024 * 1024

_FILE_ERRORS: Final[dict[int, type[FileError]]] = {
    sqlite3.SQLITE_BUSY: FileLocked,
    sqlite3.SQLITE_LOCKED: FileLocked,
    sqlite3.SQLITE_PROTOCOL: FileLocked,
    sqlite3.SQLITE_NOTADB: FileNotOurs,
    sqlite3.SQLITE_READONLY: FileReadOnly,
    sqlite3.SQLITE_PERM: FileReadOnly,
    sqlite3.SQLITE_FULL: FileFull,
    sqlite3.SQLITE_CANTOPEN: FileCannotOpen,
    sqlite3.SQLITE_CORRUPT: FileDamaged,
    sqlite3.SQLITE_IOERR: FileDamaged,
}


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
        """The first row, or None."""
        rows = self.execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    def wake(self, queue_id: int, count: int = 1) -> None:
        """After the commit: so many messages are available, or the next deadline has moved."""
        self.wakes.append(Wake(queue_id, count))


class _Handle:
    """A connection, who opened it, and the lock that keeps its closing apart from its use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.is_closed = False

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.connection.close()


class Store:
    """The database of one engine.

    Parameters
    ----------
    path :
        The file; None: memory.
    clock :
        Seconds since 1970.
    durable :
        ``normal``: what was answered outlives a killed process; ``full``: a power failure too, for
        one flush of the disk a commit.
    busy_seconds :
        How long a call waits while another process holds the file.
    """

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
        self._durable, self._busy_seconds = durable, busy_seconds
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._file_lock = None if path is None else FileLock(f"{path}-lock")
        self._is_closed = False
        self._shared = None if path is not None else self._open()
        if path is not None:
            self._handle()  # a file that cannot be used is said at once, not at the first call
        _stores.add(self)

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock() * 1000)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One moment of the database; waits for nobody."""
        handle = self._handle()
        with handle.lock, self._translated():
            handle.connection.execute("BEGIN")
            try:
                yield Transaction(handle.connection)
            finally:
                if handle.connection.in_transaction:
                    handle.connection.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change: all of it or nothing. Wakes waiting receives after the commit."""
        handle = self._handle()
        with self._write_lock(), handle.lock, self._translated():
            connection = handle.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
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
            handle = self._handle()
            with handle.lock:
                row = handle.connection.execute("PRAGMA data_version").fetchone()
            return int(row[0])
        except (sqlite3.Error, OSError, FileError):
            return -1

    def close(self) -> None:
        """Close the connections of all threads; waiting receives answer with nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.waiters.close()
        with self.quiet():
            self._close_handles()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Entered, no thread is inside a transaction or opens a connection."""
        with ExitStack() as stack:
            stack.enter_context(self._opening)
            stack.enter_context(self._writing)
            for handle in list(self._handles):
                stack.enter_context(handle.lock)
            stack.enter_context(self.waiters.hold())
            yield

    def before_fork(self) -> None:
        """Close a file's connections: SQLite's knowledge of its locks must not be copied."""
        if self.path is not None:
            self._close_handles()

    def _close_handles(self) -> None:
        for handle in list(self._handles):
            if handle.pid == os.getpid():
                handle.close()
        if self._file_lock:
            self._file_lock.close()

    def _handle(self) -> _Handle:
        if self._is_closed:
            raise sqlite3.ProgrammingError("the embedded SQS is closed")
        handle = self._shared or getattr(self._local, "handle", None)
        if handle is not None and not handle.is_closed:
            if self._shared or handle.pid == os.getpid():
                return handle
            # A fork that Python did not see. Closing the parent's connection here, if only by
            # forgetting it, could drop locks that this process takes next.
            _inherited.append(handle)
        handle = self._open()
        self._local.handle = handle
        return handle

    def _open(self) -> _Handle:
        with self._opening, self._translated():
            connection = sqlite3.connect(
                self.path or ":memory:",
                timeout=self._busy_seconds,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            handle = _Handle(connection)
            self._handles.add(handle)
            return handle

    def _prepare(self, connection: sqlite3.Connection) -> None:
        where = self.path or "memory"
        if not schema.is_current(connection, where):
            with self._write_lock():
                if not schema.is_current(connection, where):
                    schema.migrate(connection)
                    if self.path is not None:
                        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if self.path is not None:
            connection.execute(f"PRAGMA synchronous = {self._durable}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchall()

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        """Threads of this process first, so that one of them stands in line with the others."""
        path = self.path or "memory"
        if not self._writing.acquire(timeout=-1 if self.path is None else self._busy_seconds):
            raise FileLocked(path)
        try:
            if self._file_lock is None:
                yield
                return
            if not self._file_lock.acquire(self._busy_seconds):
                raise FileLocked(path)
            try:
                yield
            finally:
                self._file_lock.release()
        finally:
            self._writing.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of SQLite that are the file's come out as ours, with its path."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            kind = _FILE_ERRORS.get(code & 0xFF) if code is not None else None
            if kind is None:
                raise
            raise kind(self.path or "memory", str(error)) from error


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()
#: connections of a parent process, kept so that nothing closes them
_inherited: list[_Handle] = []
_fork_holds = threading.local()


def _before_fork() -> None:
    holds: list[tuple[Store, AbstractContextManager[None]]] = []
    for store in sorted(_stores, key=id):
        hold = store.quiet()
        hold.__enter__()
        store.before_fork()
        holds.append((store, hold))
    _fork_holds.entered = holds


def _after_fork_in_parent() -> None:
    for _, hold in reversed(getattr(_fork_holds, "entered", [])):
        hold.__exit__(None, None, None)
    _fork_holds.entered = []


def _after_fork_in_child() -> None:
    for store, _ in getattr(_fork_holds, "entered", []):
        store.waiters.forget()
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
