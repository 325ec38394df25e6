"""Connections to the database: one per thread for a file, one in all for memory.

Only SQLite opens the file: closing any other descriptor of it would drop the process's locks. A
forked child does not use its parent's connections: SQLite would believe that it holds the parent's
locks.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Final, Literal
from urllib.parse import quote

from sqsw.local.errors import (
    FileCannotOpen,
    FileDamaged,
    FileError,
    FileFailed,
    FileFull,
    FileLocked,
    FileNotOurs,
    FileReadOnly,
    FileReplaced,
)
from sqsw.local.store import schema
from sqsw.local.store.file_lock import WriteLock

Durability = Literal["normal", "full"]

#: the size of the write-ahead log after a checkpoint, in bytes
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
    sqlite3.SQLITE_IOERR: FileFailed,
    # No room for the shared index of the write-ahead log.
    sqlite3.SQLITE_IOERR_SHMSIZE: FileFull,
}


class _Translated:
    """Turns SQLite errors about the file into a ``FileError`` with its path.

    Every transaction enters one. A generator would take three times as long as this class.

    Parameters
    ----------
    check_identity :
        Raises if the file was removed or replaced. SQLite reports that in many ways.
    """

    def __init__(self, where: str, check_identity: Callable[[], None]) -> None:
        self._where = where
        self._check_identity = check_identity

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            file_error = (
                None if code is None else _FILE_ERRORS.get(code) or _FILE_ERRORS.get(code & 0xFF)
            )
            if file_error is not None:
                self._check_identity()
                raise file_error(self._where, str(error)) from error


class Handle:
    """A connection, the process that opened it, and a lock against closing it while in use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.is_closed = False

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.connection.close()


class Connections:
    def __init__(
        self, path: str | None, write_lock: WriteLock, durable: Durability, busy_seconds: float
    ) -> None:
        self._path, self._write_lock = path, write_lock
        self._translated = _Translated(path or "memory", self._check_identity)
        self._durable, self._busy_seconds = durable, busy_seconds
        self._local = threading.local()
        self._handles: weakref.WeakSet[Handle] = weakref.WeakSet()
        #: held while a connection is opened; always taken before the write lock
        self.opening = threading.Lock()
        self._is_closed = False
        #: device and inode of the file, to notice if it is replaced
        self._identity: tuple[int, int] | None = None
        self._shared = None if path is not None else self._open()

    @contextmanager
    def use(
        self, first: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> Iterator[sqlite3.Connection]:
        """Use this thread's connection; it is not closed meanwhile.

        ``first`` is entered after the connection was opened, because opening it can need the write
        lock.
        """
        while True:
            handle = self._own()
            with first(), handle.lock:
                # A fork in another thread can close the connection between the two lines above.
                if not handle.is_closed:
                    with self._translated:
                        yield handle.connection
                    return

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all connections unused; the caller keeps new ones from being opened."""
        with ExitStack() as stack:
            for handle in list(self._handles):
                stack.enter_context(handle.lock)
            yield

    def close_all(self) -> None:
        """Close the connections of this process; call this inside ``held``."""
        for handle in list(self._handles):
            if handle.pid == os.getpid():
                handle.close()

    def close_for_good(self) -> None:
        self._is_closed = True
        self.close_all()

    def renew(self) -> None:
        """Reset the locks in a forked child, because a thread of the parent could hold them."""
        self.opening = threading.Lock()
        if self._shared:
            self._shared.lock = threading.Lock()
        else:
            _inherited.extend(self._handles)
            self._handles = weakref.WeakSet()

    @contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Do not let this thread's connection wait for locks."""
        self._set_busy_timeout(0)
        try:
            yield
        finally:
            with suppress(FileError):  # the file was removed: later calls fail earlier
                self._set_busy_timeout(self._busy_seconds)

    def _set_busy_timeout(self, seconds: float) -> None:
        with self.use() as connection:
            connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").fetchall()

    def _own(self) -> Handle:
        if self._is_closed:
            raise sqlite3.ProgrammingError("the embedded SQS is closed")
        if self._shared:
            return self._shared
        self._check_identity()
        handle: Handle | None = getattr(self._local, "handle", None)
        if handle is not None and not handle.is_closed:
            if handle.pid == os.getpid():
                return handle
            # A fork that Python did not see. If garbage collection closed the parent's connection
            # here, this process could lose the locks that it takes next.
            _inherited.append(handle)
        handle = self._local.handle = self._open()
        return handle

    def _open(self) -> Handle:
        with self.opening, self._translated:
            if self._path is not None:
                if _is_special(self._path):
                    raise FileNotOurs(self._path)
                if self._identity is None:
                    _make_private(self._path)
            connection = sqlite3.connect(
                self._address(),
                uri=True,
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
            handle = Handle(connection)
            # A thread that ends can leave its connection in a reference cycle.
            weakref.finalize(handle, connection.close).atexit = False
            self._handles.add(handle)
            return handle

    def _address(self) -> str:
        if self._path is None:
            return "file::memory:"
        # A file that was removed since the last connection must not be created again.
        mode = "rwc" if self._identity is None else "rw"
        return f"file:{quote(self._path)}?mode={mode}"

    def _check_identity(self) -> None:
        """Raise an error if the file was removed or replaced.

        Check only its name: opening and closing the file would drop SQLite's locks.
        """
        if self._identity is not None and _identity_of(str(self._path)) != self._identity:
            raise FileReplaced(str(self._path))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        where = self._path or "memory"
        if self._path is not None and _is_read_only(self._path):
            # Now, not at the first receive: until then, the queue would look usable.
            raise FileReadOnly(self._path)
        if not schema.is_current(connection, where):
            with self._write_lock.held():
                if not schema.is_current(connection, where):
                    schema.migrate(connection, is_synced=self._durable == "full")
        if self._path is not None:
            self._identity = self._identity or _identity_of(self._path)
            connection.execute(f"PRAGMA synchronous = {self._durable}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchall()


def _is_read_only(path: str) -> bool:
    """Return whether the file exists and cannot be written; does not open it."""
    effective = os.access in os.supports_effective_ids
    return os.path.isfile(path) and not os.access(path, os.W_OK, effective_ids=effective)


def _make_private(path: str) -> None:
    """Create the file if it is missing, private to its owner whatever the umask.

    SQLite gives its own files next to it the same permissions.
    """
    # Suppressed: SQLite reports the problem better. No lock is lost: a new file has none.
    with suppress(OSError):
        real = os.path.realpath(path)
        os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        os.chmod(real, 0o600)


def _is_special(path: str) -> bool:
    """Return whether it is a device, pipe, or socket; SQLite would notice late or hang."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


#: connections of a parent process, kept so they are never closed
_inherited: list[Handle] = []
