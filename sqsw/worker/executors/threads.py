"""Calls in threads, one thread for each slot that is in use."""

import contextvars
import os
import threading
from collections.abc import Sequence
from queue import SimpleQueue

from sqsw.core.lease_clock import lease_time
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.base import OnDone, Runnable, end_if_forked

logger = SafeLogger(__name__)

_Work = tuple[Runnable, OnDone]


class ThreadExecutor:
    """Starts a thread when none is idle, so there are never more than calls at once.

    Where no more can be started, calls wait in line for those that run.

    They are daemon threads: a job that never ends must not keep the interpreter from ending.
    """

    def __init__(self) -> None:
        self._inbox: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._context = contextvars.Context()
        self._pid = os.getpid()

    def start(self) -> None:
        """Every job starts with the context variables of the thread that starts the worker."""
        self._context = contextvars.copy_context()

    def quiet(self) -> None:
        """Nothing to do: there is no more work without a submit."""

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Give each call to an idle thread, or to a new one."""
        for call in calls:
            self._submit(call, on_done)

    def _submit(self, call: Runnable, on_done: OnDone) -> None:
        with self._lock:
            if self._stopped:
                return
            if self._idle > 0:
                self._line_up(call, on_done)
                return
        name = f"sqsw-job-{len(self._threads) + 1}"
        work = (call, on_done)
        thread = threading.Thread(target=self._work, args=(work,), name=name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # no more threads to be had
            self._submit_without_thread(call, on_done)
        else:
            with self._lock:
                self._threads.append(thread)

    def _submit_without_thread(self, call: Runnable, on_done: OnDone) -> None:
        with self._lock:
            if self._stopped:
                return
            waits = bool(self._threads)
            if waits:
                self._line_up(call, on_done)
        if waits:
            logger.warning("no more threads to be had: a job waits for the end of another")
            return
        logger.warning("no threads to be had: a job runs in the thread that received it")
        self._run(call, on_done)

    def _line_up(self, call: Runnable, on_done: OnDone) -> None:
        # Below zero, threads owe calls: the next that become idle take these, and count for nobody.
        self._idle -= 1
        self._inbox.put((call, on_done))

    def check(self) -> None:
        """Nothing to do: if no thread is available, calls wait or run in the poller's thread."""

    def cancel(self, call: Runnable) -> None:
        """A thread cannot be ended from outside: the job sees that its lease is lost."""

    def stop(self, deadline: float) -> None:
        """End the idle threads; one that is busy ends after its job."""
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, 0
            threads, self._threads = self._threads, []
        for _ in range(idle):
            self._inbox.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - lease_time()))

    def _work(self, work: _Work | None) -> None:
        # What was submitted just before the stop does not start after it.
        while work is not None and not self._stopped:
            self._run(*work)
            work = self._next()

    def _next(self) -> _Work | None:
        with self._lock:
            if self._stopped:
                return None
            self._idle += 1
        return self._inbox.get()

    def _run(self, call: Runnable | None, on_done: OnDone) -> None:
        while call is not None:
            call.runner = threading.get_ident()
            try:
                # No variable for the results: the frames of a failed job refer to this one.
                run = self._context.copy().run
                call = on_done(call, end_if_forked(self._pid, run(call.run)))
            except BaseException:  # of a listener, say; this thread has to live on
                logger.exception("the end of a job failed")
                return
            if call is not None and self._idle < 0:  # behind those that have waited for a thread
                with self._lock:
                    self._line_up(call, on_done)
                return
