"""Time for the embedded SQS: any callable gives it, this one can be moved as well."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

Clock = Callable[[], float]


def real_monotonic() -> float:
    """Return ``time.monotonic()``, even while a test freezes or replaces that function."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class MovableClock:
    """The time of day plus an offset that tests move forward.

    Parameters
    ----------
    base :
        Where the time comes from: seconds since 1970. Default: the wall clock.
    """

    def __init__(self, base: Clock | None = None) -> None:
        self._base = time.time if base is None else base
        #: whether the time comes from the wall clock, which can be set
        self.is_wall = base is None
        self._offset = 0.0
        self._lock = threading.Lock()
        self._followers: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self._base() + self._offset

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Move forward: visibility, delays, retention and deduplication follow at once.

        Raises
        ------
        ValueError
            The sum is negative: time goes one way.
        """
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if step < 0:
            raise ValueError(f"a clock moves forward only, not by {step} seconds")
        with self._lock:
            self._offset += step
            followers = list(self._followers)
        for follower in followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> Callable[[], None]:
        """Call ``follower`` after each move; returns a function that ends this."""
        with self._lock:
            self._followers.append(follower)

        def unfollow() -> None:
            with self._lock:
                if follower in self._followers:
                    self._followers.remove(follower)

        return unfollow
