"""Delays the start of heartbeats that a quick batch never needs."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

#: seconds of one tick; a start happens after one or two ticks
TICK_SECONDS: Final = 0.5

#: ticks without anything to start, after which the thread ends
_IDLE_TICKS = 20


class LateStarts:
    """Calls functions after a short delay unless they are canceled. One thread serves a process.

    A ``process_batch`` takes one or two milliseconds. Starting and ending a heartbeat thread would
    take a quarter of that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[Callable[[], object], int]] = {}
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def add(self, key: object, start: Callable[[], object]) -> None:
        """Call ``start`` in 0.5 to 1 second, unless ``key`` is canceled before that.

        Raises
        ------
        RuntimeError
            The system cannot start a thread.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="sqsw-late-start", daemon=True)
                thread.start()
                self._thread = thread
            self._waiting.setdefault(key, (start, 0))

    def cancel(self, key: object) -> None:
        """Cancel a start. After this, it has happened or never will."""
        with self._lock:
            self._waiting.pop(key, None)

    def end_idle_thread(self) -> None:
        """End the thread if nothing waits, because forking is safe only without threads."""
        with self._lock:
            thread = None if self._waiting else self._thread
            if thread is not None:
                self._thread = None
                self._end.set()
        if thread is not None:
            thread.join()
            self._end.clear()

    def _work(self) -> None:
        idle = 0
        while idle < _IDLE_TICKS and not self._end.wait(TICK_SECONDS):
            with self._lock:
                idle = 0 if self._waiting else idle + 1
                for key, (start, ticks) in list(self._waiting.items()):
                    if ticks == 0:
                        self._waiting[key] = start, 1
                        continue
                    try:
                        start()
                        del self._waiting[key]
                    except Exception:  # no thread could be started, so try again at the next tick
                        logger.exception("a late start failed")
                if idle == _IDLE_TICKS:
                    self._thread = None


_of_processes: dict[int, LateStarts] = {}


def late_starts() -> LateStarts:
    """Return the object of this process. A forked process needs its own: threads do not survive."""
    pid = os.getpid()
    return _of_processes.get(pid) or _of_processes.setdefault(pid, LateStarts())
