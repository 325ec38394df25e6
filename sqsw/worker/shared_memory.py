"""Memory that processes share, and that is still there after one of them was killed."""

import mmap
import os
from contextlib import suppress
from typing import Any

#: separates values in a cell; it can be in no message of SQS
BETWEEN = "\x1f"


class SharedMemory:
    """A part of memory, as a file that is mapped into each process.

    A store into it is a system call in no process, and is not lost however the process ends. It can
    be passed to a child process as an argument.

    Parameters
    ----------
    size :
        Bytes; only those that are used take memory.
    descriptor :
        The file, which may have content already; None makes one that has no name.
    """

    def __init__(self, size: int, descriptor: int | None = None) -> None:
        self._size = size
        self._descriptor = _unnamed_file() if descriptor is None else descriptor
        if os.fstat(self._descriptor).st_size < size:
            os.ftruncate(self._descriptor, size)
        self.map = mmap.mmap(self._descriptor, size)

    def put(self, offset: int, data: bytes) -> bool:
        """Write behind the mapped part; return False if there is no room for it."""
        try:
            return os.pwrite(self._descriptor, data, offset) == len(data)
        except OSError:
            return False

    def get(self, offset: int, size: int) -> bytes:
        """Return what was written there."""
        return os.pread(self._descriptor, size, offset)

    def cut(self, size: int) -> None:
        """Forget what was written at this offset and behind it."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, max(self._size, size))

    def close(self) -> None:
        self.map.close()
        os.close(self._descriptor)

    def __reduce__(self) -> Any:
        from multiprocessing.reduction import DupFd

        return _inherited, (self._size, DupFd(self._descriptor))


def _inherited(size: int, descriptor: Any) -> SharedMemory:
    return SharedMemory(size, descriptor.detach())


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):  # on Linux; it is never written to a disk
        return os.memfd_create("sqsw")
    from tempfile import TemporaryFile

    with TemporaryFile() as file:
        return os.dup(file.fileno())
