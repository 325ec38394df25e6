"""A fair lock between processes: flock on a separate file.

When SQLite waits for a lock, it polls with growing sleeps, so a busy process starves the others.
With flock, the kernel wakes the processes in order, and frees the lock of a process that is killed.
The lock needs its own file: closing any descriptor of the database would drop SQLite's locks on it.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from typing import Final

from sqsw.local.errors import FileLocked

#: appended to the name of the database
LOCK_SUFFIX: Final = "-lock"


class FileLock:
    """A lock file; the store lets only one thread use it at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the lock; return whether it was taken."""
        if self._descriptor is None:
            self._descriptor = self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return seconds > 0 and self._wait(self._descriptor, seconds)
        except OSError:
            return True  # no flock on this file system: rely on SQLite's busy timeout
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the descriptor; the next ``acquire`` opens a new one.

        A forked child shares it with its parent. The parent's lock stays held.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        """Open the file; a new one gets the permissions of the database, as SQLite's files do."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(self._path, flags | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            shared = os.stat(self._path.removesuffix(LOCK_SUFFIX)).st_mode & 0o666
            os.fchmod(descriptor, shared)
        return descriptor

    def _wait(self, descriptor: int, seconds: float) -> bool:
        """Wait in a thread: flock has no timeout, but the thread can be abandoned."""
        guard = threading.Lock()
        answered = threading.Event()
        left = False

        def wait() -> None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with guard:
                if not left:
                    answered.set()
                    return
                # The caller has gone. Unlock explicitly: if a forked child shares the descriptor,
                # closing it here does not free the lock.
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)

        def leave() -> bool:
            """Stop waiting, unless the lock has just been taken."""
            nonlocal left
            with guard:
                if answered.is_set():
                    return False
                left = True
                self._descriptor = None  # it belongs to the thread now
                return True

        try:
            threading.Thread(target=wait, name="sqsw-file-lock", daemon=True).start()
            return answered.wait(seconds) or not leave()
        except BaseException:
            # Ctrl-C: the caller will not release it.
            if not leave():
                self.release()
            raise


class WriteLock:
    """The right to write to a file, first among threads and then among processes.

    So only one thread of a process waits in line with other processes.
    """

    def __init__(self, path: str | None, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._threads = threading.Lock()
        self._patience = threading.local()
        # The real path, as for SQLite and the sockets: a process that opened a link must wait, too.
        self.processes = None if path is None else FileLock(os.path.realpath(path) + LOCK_SUFFIX)

    def renew(self) -> None:
        """Reset the lock in a forked child, which does not have the threads that held it."""
        self._threads = threading.Lock()
        if self.processes:
            with contextlib.suppress(OSError):
                self.processes.close()

    @contextlib.contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Do not let this thread wait for the lock; if it is taken, raise an error at once."""
        self._patience.seconds = 0.0
        try:
            yield
        finally:
            del self._patience.seconds

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads of this process from writing."""
        self._acquire()
        try:
            yield
        finally:
            self._threads.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep all other threads and processes from writing."""
        self._acquire()
        try:
            if self.processes and not self.processes.acquire(self._most()):
                raise FileLocked(str(self._path))
            yield
        finally:
            if self.processes:
                self.processes.release()
            self._threads.release()

    def _acquire(self) -> None:
        if not self._threads.acquire(timeout=-1 if self._path is None else self._most()):
            raise FileLocked(str(self._path))

    def _most(self) -> float:
        return float(getattr(self._patience, "seconds", self._seconds))
