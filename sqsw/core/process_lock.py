"""A lock for objects that a program may take along over a fork."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class ProcessLock:
    """A lock that each process has for itself.

    A fork copies locks as they are: one that another thread holds then, nobody would ever release
    in the child.

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
        pid = os.getpid()
        lock: AbstractContextManager[object] | None = self._locks.get(pid)
        return lock or self._locks.setdefault(pid, self._make())
