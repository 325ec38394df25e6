"""How long a job may run.

* A coroutine is cancelled at its next ``await``.
* A thread gets the exception raised inside it, at its next Python instruction: a call into C (a
  query, ``time.sleep``) is not interrupted, and the exception comes when it returns.
* A process of the pool is killed.

Either way the job fails with :class:`~sqsw.core.errors.JobTimeout`, even if it has swallowed the
interruption. One that has not ended ten seconds later makes its worker drain and end.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqsw.core.errors import JobTimeout
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.jobs.runtime import call_limit, job_runtime
from sqsw.core.safe_logger import SafeLogger

if TYPE_CHECKING:
    import asyncio

logger = SafeLogger(__name__)

#: seconds that a job has to end after it was interrupted
STUCK_SECONDS = 10.0


class TimeLimit:
    """A middleware that ends jobs which run too long.

    Parameters
    ----------
    seconds :
        From the entering of this middleware on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        """Limit this job.

        Raises
        ------
        JobTimeout
            The time is over.
        """
        if job.runs_in == "process":
            token = call_limit.set(self.seconds)
            try:
                yield
            finally:
                call_limit.reset(token)
            return
        alarm = _Alarm(job, _cancel() if job.runs_in == "loop" else _interrupt())
        _watchdog.arm(self.seconds, alarm)
        error: BaseException | None = None
        try:
            # Twice: what interrupts the thread may come in the middle of the first one.
            try:
                yield
            finally:
                alarm.disarm()
        except BaseException as raised:  # noqa: BLE001 - judged below, and raised again
            error = raised
        finally:
            alarm.disarm()
        try:
            # GeneratorExit: the interruption came while the block was entered, and is propagating.
            if alarm.fired and not isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise self._timeout(error)
            if error is not None:
                raise error
        finally:
            del error  # its traceback leads to this frame

    def _timeout(self, error: BaseException | None) -> JobTimeout:
        timeout = JobTimeout(f"the job ran longer than its time limit of {self.seconds:g} seconds")
        # The cause is the error that the job made of the interruption, not the interruption.
        is_own = isinstance(error, Exception) and not isinstance(error, JobTimeout)
        timeout.__cause__ = error if is_own else None
        return timeout.with_traceback(error.__traceback__ if error is not None else None)


class _Alarm:
    """One limited run, from its beginning to its end."""

    def __init__(self, job: CurrentJob, ways: "tuple[Callable[[], None], Callable[[], None]]"):
        self._job = job
        self._on_stuck = job_runtime.get().on_stuck
        self._fire, self._clear = ways
        self._lock = threading.Lock()
        self._is_over = False
        self.fired = False

    def fire(self) -> None:
        with self._lock:
            if not self._is_over:
                self.fired = True
                self._fire()

    def give_up(self) -> None:
        if not self._is_over and self._on_stuck is not None:
            self._on_stuck(self._job)

    def disarm(self) -> None:
        """The job has ended. What was to interrupt it and has not yet shall not come any more."""
        while True:
            try:
                with self._lock:
                    self._is_over = True
                _watchdog.forget(self)
                if self.fired:
                    self._clear()
                return
            except JobTimeout:  # it came here: there is no second one
                continue


def _cancel() -> tuple[Callable[[], None], Callable[[], None]]:
    """How to end the coroutine that runs here, and how to take that back."""
    import asyncio  # who has no coroutines starts without it

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        raise RuntimeError("a coroutine is limited inside a task only")
    before = task.cancelling()

    def clear() -> None:
        while task.cancelling() > before:
            task.uncancel()

    return lambda: _soon(loop, task), clear


def _soon(loop: "asyncio.AbstractEventLoop", task: "asyncio.Task[object]") -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the loop was closed meanwhile, and the task with it
        logger.debug("a job timed out at the end of its worker")


def _interrupt() -> tuple[Callable[[], None], Callable[[], None]]:
    """The same for the thread that runs here."""
    import ctypes

    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def fire() -> None:
        raise_in(thread, ctypes.py_object(JobTimeout))

    def clear() -> None:
        raise_in(thread, None)

    return fire, clear


class _Watchdog:
    """One thread for all limits: alarms in the order of their time, for each number of seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alarms: dict[float, dict[_Alarm, float]] = {}
        self._wake = threading.Event()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def arm(self, seconds: float, alarm: _Alarm) -> None:
        """Fire this alarm after so many seconds, unless it is forgotten before."""
        when = time.monotonic() + seconds
        with self._lock:
            self._alarms.setdefault(seconds, {})[alarm] = when
            # After a fork there is no thread any more.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="sqsw-limit", daemon=True)
                self._thread.start()
            if when < self._wakes_at:
                self._wake.set()

    def forget(self, alarm: _Alarm) -> None:
        """It is over. Without the lock, for this may be interrupted; each step is whole."""
        for alarms in list(self._alarms.values()):
            alarms.pop(alarm, None)

    def _work(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._sound()
            except Exception:  # without this thread no job would be limited any more
                logger.exception("a time limit failed")
            self._wake.wait(max(0.0, min(self._wakes_at - time.monotonic(), 3600.0)))

    def _sound(self) -> None:
        # Not in the loop around it, which would keep the last job alive while it waits.
        for alarm, is_first in self._take_due():
            if is_first:
                alarm.fire()
            else:
                alarm.give_up()

    def _take_due(self) -> list[tuple[_Alarm, bool]]:
        due: list[tuple[_Alarm, bool]] = []
        now = time.monotonic()
        with self._lock:
            for seconds, alarms in list(self._alarms.items()):
                for alarm, when in list(alarms.items()):
                    if when > now:
                        break
                    alarms.pop(alarm, None)
                    due.append((alarm, seconds >= 0))
                    if seconds >= 0:
                        # Under a key of its own: those that are to be given up.
                        self._alarms.setdefault(-1.0, {})[alarm] = now + STUCK_SECONDS
            firsts = (next(iter(list(a.values())), float("inf")) for a in self._alarms.values())
            self._wakes_at = min(firsts, default=float("inf"))
        return due


_watchdog = _Watchdog()
