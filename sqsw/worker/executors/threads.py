"""Runs calls in threads, one thread per busy slot."""

import contextvars
import os
import threading
from collections import deque
from collections.abc import Sequence

from sqsw.core.lease_clock import lease_time
from sqsw.core.results import ProcessingResult
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.base import OnDone, Runnable, end_forked

logger = SafeLogger(__name__)

_Work = tuple[Runnable, OnDone]


class ThreadExecutor:
    """Runs each call in an idle thread, or in a new one if none is idle.

    There are never more threads than calls at the same time. If no thread can be started, calls
    wait for the end of others.

    Idle threads are woken one at a time: each wakes the next one before it runs its call. If all
    woke at once, they would compete for the interpreter lock.

    They are daemon threads, so a job that never ends does not keep the process alive.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._inbox: deque[_Work] = deque()
        self._idle = self._starting = 0
        self._is_waking = self._stopped = False
        self._threads: list[threading.Thread] = []
        self._context = contextvars.Context()
        self._pid = os.getpid()

    def start(self) -> None:
        """Keep the context variables of this thread: every job starts with a copy of them."""
        self._context = contextvars.copy_context()

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Give each call to an idle thread, or to a new one."""
        with self._lock:
            if self._stopped:
                return
            self._inbox.extend((call, on_done) for call in calls)
            self._wake_one()
            missing = max(0, len(self._inbox) - self._idle - self._starting)
            self._starting += missing
        for _ in range(missing):
            self._start_thread()

    def _start_thread(self) -> None:
        name = f"sqsw-job-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the system cannot start a thread
            self._run_without_thread()
        else:
            with self._lock:
                self._threads.append(thread)

    def _run_without_thread(self) -> None:
        """Leave a call to the running threads, or run it here if there are none."""
        with self._lock:
            self._starting -= 1
            work = self._inbox.pop() if self._inbox and not self._threads else None
        if work is None:
            logger.warning("no further thread can be started: a job waits for the end of another")
            return
        logger.warning("no thread can be started: a job runs in the thread that received it")
        self._run(*work)

    def check(self) -> None:
        """Nothing to do: if no thread is available, calls wait or run in the poller's thread."""

    def cancel(self, call: Runnable) -> None:
        """Do nothing: a thread cannot be ended from outside. Its job sees the lost lease."""

    def stop(self, deadline: float) -> None:
        """End the idle threads now, and busy ones after their jobs; wait until ``deadline``."""
        with self._lock:
            self._stopped = True
            self._inbox.clear()
            threads, self._threads = self._threads, []
            self._filled.notify_all()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - lease_time()))

    def _work(self) -> None:
        with self._lock:
            self._starting -= 1
        while (work := self._next()) is not None:
            self._run(*work)

    def _next(self) -> _Work | None:
        with self._lock:
            while not self._inbox:
                # Checked again: what was submitted just before the stop must not start.
                if self._stopped:
                    return None
                self._idle += 1
                self._filled.wait()
                self._idle -= 1
                self._is_waking = False
            work = self._inbox.popleft()
            self._wake_one()
            return work

    def _wake_one(self) -> None:
        if self._inbox and self._idle and not self._is_waking:
            self._is_waking = True
            self._filled.notify()

    def _run(self, call: Runnable | None, on_done: OnDone) -> None:
        """Run a call, and then the calls that get its slot."""
        results: list[ProcessingResult] | None = None
        while call is not None and not self._stopped:
            call.runner = threading.get_ident()
            try:
                run = self._context.copy().run
                results = run(call.run)
                if os.getpid() != self._pid:
                    end_forked(results)
                call = on_done(call, results)
            except BaseException:  # for example in a listener; the thread must continue
                logger.exception("the end of a job failed")
                return
            finally:
                results = None  # the traceback of a failed job refers to this frame
            if call is not None and self._inbox:
                with self._lock:
                    # Other calls wait for a thread and come first.
                    if self._inbox and not (self._idle or self._starting):
                        self._inbox.append((call, on_done))
                        return
