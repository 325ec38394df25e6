"""A lock for objects that are used before and after a fork."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class ProcessLock:
    """A lock with a separate instance in each process.

    A fork copies locks in their current state. If another thread holds one at that moment, it is
    never released in the child.

    Parameters
    ----------
    make :
        ``threading.Lock`` or ``threading.RLock``.
    """

    def __init__(self, make: Callable[[], Any] = threading.Lock) -> None:
        self._make = make
        self._locks: dict[int, Any] = {}

    @property
    def here(self) -> AbstractContextManager[object]:
        """The lock of this process."""
        pid = os.getpid()
        lock: AbstractContextManager[object] | None = self._locks.get(pid)
        return lock or self._locks.setdefault(pid, self._make())
