"""Measures whether SQS calls mostly wait for the network."""

import time
from collections import deque

#: If calls wait longer than this, in seconds, several threads make them at the same time. It is
#: about the CPU time of one receive and one delete of ten messages.
_WAITS_SECONDS = 0.003

#: The number of last calls that count. With fewer, threads that wait only for the interpreter lock
#: would all look slow for a while, so none of them would end.
CALLS = 24


class NetworkLatency:
    """The waiting time of the fastest of the last calls. Any thread can note a call.

    If calls wait for the network, several threads make them at the same time. Otherwise one thread
    makes one after another, because several would only compete for the interpreter lock.

    The fastest call counts: some calls also wait for the interpreter lock or for a busy CPU, but
    all of them wait for the network.

    Attributes
    ----------
    calls_wait :
        Whether calls wait for the network.
    """

    def __init__(self) -> None:
        self._waited: deque[float] = deque([0.0] * CALLS, maxlen=CALLS)
        self.calls_wait = False

    def note(self, waited_seconds: float) -> None:
        """Note how long a call waited."""
        self._waited.append(waited_seconds)
        self.calls_wait = min(tuple(self._waited)) >= _WAITS_SECONDS

    def note_since(self, begin: tuple[float, float]) -> None:
        """Note a call that began in this thread at ``begin`` (see :func:`now`) and ends now."""
        wall, cpu = now()
        self.note(wall - begin[0] - (cpu - begin[1]))


def now() -> tuple[float, float]:
    """Return the time and the CPU time of this thread, in seconds."""
    return time.monotonic(), time.thread_time()
