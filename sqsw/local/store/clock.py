"""The clock of the embedded SQS: any callable, or one that tests can move forward."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

Clock = Callable[[], float]


def real_monotonic() -> float:
    """Return ``time.monotonic()``, even while a test freezes or replaces that function."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class MovableClock:
    """A clock that tests can move forward.

    Parameters
    ----------
    base :
        A function that returns seconds since 1970. Default: the wall clock.
    """

    def __init__(self, base: Clock | None = None) -> None:
        self._base = time.time if base is None else base
        #: whether the time comes from the wall clock, which an administrator can change
        self.is_wall = base is None
        self._offset = 0.0
        self._lock = threading.Lock()
        self._followers: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self._base() + self._offset

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Move the clock forward. Visibility, delays, retention, and deduplication follow at once.

        Raises
        ------
        ValueError
            The sum is negative.
        """
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if step < 0:
            raise ValueError(f"the clock can only move forward, not by {step} seconds")
        with self._lock:
            self._offset += step
            followers = list(self._followers)
        for follower in followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> Callable[[], None]:
        """Call ``follower`` after each move; return a function that stops this."""
        with self._lock:
            self._followers.append(follower)

        def unfollow() -> None:
            with self._lock:
                if follower in self._followers:
                    self._followers.remove(follower)

        return unfollow
