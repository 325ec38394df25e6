"""A lock between processes that is handed over in order: flock on a file of its own.

SQLite's own waiting polls with growing sleeps, so that a busy process starves the others; the
kernel wakes who waits. It is a file beside the database because closing any descriptor of the
database itself would drop the locks that SQLite holds on it. The kernel frees the lock when a
process is killed.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from typing import Final

from sqsw.local.errors import FileLocked

#: what follows the name of the database
LOCK_SUFFIX: Final = "-lock"


class FileLock:
    """One lock file; used by one thread at a time (the store sees to that)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, seconds: float) -> bool:
        """Whether the lock was taken within ``seconds``."""
        if self._descriptor is None:
            self._descriptor = self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return seconds > 0 and self._wait(self._descriptor, seconds)
        except OSError:
            return True  # a file system without flock: SQLite's busy timeout does alone
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Forget the descriptor; the next ``acquire`` opens one anew.

        In a forked child that shares it with its parent, the parent's lock stays as it is.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        """Open the file; a new one has the permissions of the database, as SQLite's own files."""
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
        """Wait in the kernel's line; flock has no timeout, but a thread can be left behind."""
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
                # Nobody waits for it any more. Unlock by name: a forked child may share the
                # descriptor, and then closing it here would not free the lock.
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
            # Ctrl-C: nobody is there any more who would release it.
            if not leave():
                self.release()
            raise


class WriteLock:
    """The right to write to one file: among the threads of this process, then among processes.

    Threads first, so that one of them stands in line with the other processes.
    """

    def __init__(self, path: str | None, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._threads = threading.Lock()
        self._patience = threading.local()
        # By its real name, as SQLite and the sockets have it: who comes by a link stands in line.
        self.processes = None if path is None else FileLock(os.path.realpath(path) + LOCK_SUFFIX)

    def renew(self) -> None:
        """In a forked child, where the threads that held or awaited it are not."""
        self._threads = threading.Lock()
        if self.processes:
            with contextlib.suppress(OSError):
                self.processes.close()

    @contextlib.contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Entered, a lock that somebody else holds is an error at once, in this thread."""
        self._patience.seconds = 0.0
        try:
            yield
        finally:
            del self._patience.seconds

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Entered, no other thread of this process writes."""
        self._acquire()
        try:
            yield
        finally:
            self._threads.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Entered, nobody else writes, in this process or another."""
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
