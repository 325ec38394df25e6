"""Limit the total number of jobs that all worker processes can start.

1. hand out   (the supervisor writes one byte per permit to a child's pipe)
2. take       (the child reads the permits in its pipe, without waiting)
3. settle     (after a child ends, the supervisor gives its unused permits to the others)

A permit is used up when its job ends. A pipe has no lock that a killed process could hold.
"""

import math
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Protocol

from sqsw.shutdown_policies import NeverShutdown

#: maximum permits per child: every pipe can buffer this many bytes
_MOST = 4_000


class Holder(Protocol):
    def give_permits(self, count: int) -> None: ...


class JobPermits:
    """The supervisor's side: the remaining permits, and the number that each child holds."""

    def __init__(self, jobs: int, share: int) -> None:
        self._left = jobs
        self._share = share
        self._held: dict[Holder, int] = {}

    def hand_out(self, children: Sequence[Holder]) -> None:
        """Give permits to these children: one per slot, and more while many are left."""
        for child in children:
            held = self._held.get(child, 0)
            fair = max(self._share, math.ceil(self._left / (2 * len(children))))
            count = min(fair - held, self._left, _MOST - held)
            if count > 0:
                self._left -= count
                self._held[child] = held + count
                child.give_permits(count)

    def used(self, child: Holder) -> None:
        self._held[child] = self._held.get(child, 0) - 1

    def settle(self, child: Holder) -> None:
        self._left += self._held.pop(child, 0)


class PermitPolicy(NeverShutdown):
    """The child's side: a policy that allows one job per permit."""

    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection
        self._lock = threading.Lock()
        self._count = 0

    def jobs_in_all(self) -> int:
        with self._lock, suppress(BlockingIOError):
            self._count += len(os.read(self._connection.fileno(), _MOST))
        return self._count
