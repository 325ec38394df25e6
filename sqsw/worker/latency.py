"""Whether calls to SQS wait for an answer, or keep this process busy."""

import time
from collections import deque

#: seconds: a call that waits for longer is better made beside others. About as much as the work of
#: a receive and a delete of ten.
_WAITS_SECONDS = 0.003

#: calls that are looked at: threads that call side by side and wait for the interpreter all look
#: slow for a while, and would stay side by side
CALLS = 24


class NetworkLatency:
    """What the quickest of the last calls spent waiting; it may be noted from any thread.

    Calls that wait are made side by side, by several threads. Calls that do not are made one after
    another by one thread: side by side they would only take the interpreter from each other. The
    quickest counts, since a call waits for the interpreter, too, and for the processor of a busy
    machine; but not every call, as it does for the network.
    """

    def __init__(self) -> None:
        self._waited: deque[float] = deque([0.0] * CALLS, maxlen=CALLS)
        self.calls_wait = False

    def note(self, waited_seconds: float) -> None:
        """A call spent so much of its time waiting."""
        self._waited.append(waited_seconds)
        self.calls_wait = min(tuple(self._waited)) >= _WAITS_SECONDS

    def note_since(self, begin: tuple[float, float]) -> None:
        """A call began then, in this thread, and has just ended; see :func:`now`."""
        wall, cpu = now()
        self.note(wall - begin[0] - (cpu - begin[1]))


def now() -> tuple[float, float]:
    """The time, and the processor time of this thread, in seconds."""
    return time.monotonic(), time.thread_time()
