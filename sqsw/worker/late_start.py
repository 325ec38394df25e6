"""Starts threads that quick work does not need."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

#: seconds between two looks; a start is one to two of them late
TICK_SECONDS: Final = 0.5

#: looks without anything to do, after which the thread ends
_IDLE_TICKS = 20


class LateStarts:
    """Starts what is not cancelled within a second; one thread for all of a process.

    A ``process_batch`` takes a millisecond or two. To start and end a heartbeat for each of them
    would take a quarter of that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[Callable[[], object], int]] = {}
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def add(self, key: object, start: Callable[[], object]) -> None:
        """Call ``start`` in 0.5 to 1 seconds, unless ``key`` is cancelled before.

        Raises
        ------
        RuntimeError
            The system has no more threads.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="sqsw-late-start", daemon=True)
                thread.start()
                self._thread = thread
            self._waiting.setdefault(key, (start, 0))

    def cancel(self, key: object) -> None:
        """After this, ``start`` has been called or will not be."""
        with self._lock:
            self._waiting.pop(key, None)

    def end_idle_thread(self) -> None:
        """End the thread if nothing waits: a process can fork safely only without threads."""
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
                    except Exception:  # no thread to be had: try again
                        logger.exception("a late start failed")
                if idle == _IDLE_TICKS:
                    self._thread = None


_of_processes: dict[int, LateStarts] = {}


def late_starts() -> LateStarts:
    """Return those of this process: no thread of a parent lives on after a fork."""
    pid = os.getpid()
    return _of_processes.get(pid) or _of_processes.setdefault(pid, LateStarts())
