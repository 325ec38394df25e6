"""How many jobs all worker processes together may still start: handed out as permits.

1. hand out   (the supervisor: a byte a permit, into the pipe of a child)
2. take       (the child: what is in its pipe, without waiting)
3. settle     (the supervisor: a child has ended, and what it did not use goes to the others)

A permit is used up once its job has ended. A pipe holds no lock that a killed process could keep.
"""

import math
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Protocol

from sqsw.shutdown_policies import NeverShutdown

#: permits that a child holds at most: what any pipe takes without a reader
_MOST = 4_000


class Holder(Protocol):
    """What is asked of a child."""

    def give_permits(self, count: int) -> None:
        """Hand it so many more."""
        ...


class JobPermits:
    """The supervisor's side: what is left, and what each child holds.

    Parameters
    ----------
    jobs :
        Jobs that may end in all.
    share :
        Permits that a child holds at least, as long as there are any: its slots.
    """

    def __init__(self, jobs: int, share: int) -> None:
        self._left = jobs
        self._share = share
        self._held: dict[Holder, int] = {}

    def hand_out(self, children: Sequence[Holder]) -> None:
        """Fill up what these children hold: by their slots, and while much is left by more."""
        for child in children:
            held = self._held.get(child, 0)
            fair = max(self._share, math.ceil(self._left / (2 * len(children))))
            count = min(fair - held, self._left, _MOST - held)
            if count > 0:
                self._left -= count
                self._held[child] = held + count
                child.give_permits(count)

    def used(self, child: Holder) -> None:
        """A job of this child has ended."""
        self._held[child] = self._held.get(child, 0) - 1

    def settle(self, child: Holder) -> None:
        """This child has ended: what it holds is left again."""
        self._left += self._held.pop(child, 0)


class PermitPolicy(NeverShutdown):
    """The child's side: a policy that lets start as many jobs as there were permits."""

    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection
        self._lock = threading.Lock()
        self._count = 0

    def jobs_in_all(self) -> int:
        """Permits that have come so far."""
        with self._lock, suppress(BlockingIOError):
            self._count += len(os.read(self._connection.fileno(), _MOST))
        return self._count
