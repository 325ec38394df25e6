"""Whether calls to SQS wait for an answer, or keep this process busy."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: seconds: above it a call waits for the network. A wait for the interpreter counts as waiting,
#: too, and threads take turns every 5 ms.
_WAITS_SECONDS = 0.008

#: how much the newest call counts in the moving average
_NEWEST = 0.2


class Pace:
    """The time that calls spend waiting, as a moving average; it may be noted from any thread.

    Calls that wait are made side by side, by several threads. Calls that do not are made one after
    another by one thread: side by side they would only take the interpreter from each other.
    """

    def __init__(self) -> None:
        self._waited = 0.0

    @property
    def calls_wait(self) -> bool:
        """Whether calls are better made side by side."""
        return self._waited >= _WAITS_SECONDS

    def note(self, waited_seconds: float) -> None:
        """A call spent so much of its time waiting."""
        self._waited += _NEWEST * (waited_seconds - self._waited)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Note the call inside the ``with`` block."""
        wall, cpu = time.monotonic(), time.thread_time()
        try:
            yield
        finally:
            self.note(time.monotonic() - wall - (time.thread_time() - cpu))
