"""Calls in threads, one thread for each slot that is in use."""

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
    """Starts a thread if none is idle, so there are never more than calls at once.

    If no more can be started, calls wait in line for those that run.

    Idle threads are woken one at a time: one that was woken wakes the next before it runs its call.
    To wake all at once would have them take the interpreter from each other.

    They are daemon threads: a job that never ends must not keep the interpreter from ending.
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
        """Every job starts with the context variables of the thread that starts the worker."""
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
        except (RuntimeError, MemoryError):  # no more threads to be had
            self._go_without_thread()
        else:
            with self._lock:
                self._threads.append(thread)

    def _go_without_thread(self) -> None:
        with self._lock:
            self._starting -= 1
            work = self._inbox.pop() if self._inbox and not self._threads else None
        if work is None:
            logger.warning("no more threads to be had: a job waits for the end of another")
            return
        logger.warning("no threads to be had: a job runs in the thread that received it")
        self._run(*work)

    def check(self) -> None:
        """Nothing to do: if no thread is available, calls wait or run in the poller's thread."""

    def cancel(self, call: Runnable) -> None:
        """A thread cannot be ended from outside: the job sees that its lease is lost."""

    def stop(self, deadline: float) -> None:
        """End the idle threads; one that is busy ends after its job."""
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
                # What was submitted just before the stop does not start after it.
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
        results: list[ProcessingResult] | None = None
        while call is not None and not self._stopped:
            call.runner = threading.get_ident()
            try:
                run = self._context.copy().run
                results = run(call.run)
                if os.getpid() != self._pid:
                    end_forked(results)
                call = on_done(call, results)
            except BaseException:  # of a listener, say; this thread has to live on
                logger.exception("the end of a job failed")
                return
            finally:
                results = None  # the frames of a failed job refer to this one
            if call is not None and self._inbox:
                with self._lock:
                    # Behind those that have waited for a thread.
                    if self._inbox and not (self._idle or self._starting):
                        self._inbox.append((call, on_done))
                        return
