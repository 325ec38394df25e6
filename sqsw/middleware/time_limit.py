"""The time limit of jobs.

If a job runs too long:

* A coroutine is canceled at its next ``await``.
* In a thread, the exception is raised at the next Python instruction. A call into C, such as a
  query or ``time.sleep``, is not interrupted: the exception is raised when it returns.
* A pool process is killed.

The job then fails with :class:`~sqsw.core.errors.JobTimeout`, even if it catches the exception. If
it has not ended ten seconds later, its worker drains and ends.
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
    """A middleware that ends jobs that run too long.

    Parameters
    ----------
    seconds :
        The limit. The time begins when the middleware is entered.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        """Limit the time of a job.

        Raises
        ------
        JobTimeout
            The job ran longer than the limit.
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
            # disarm() is called twice: the exception can interrupt the first call.
            try:
                yield
            finally:
                alarm.disarm()
        except BaseException as raised:  # noqa: BLE001  # raised again below
            error = raised
        finally:
            alarm.disarm()
        try:
            # GeneratorExit: the exception arrived while the block was entered and is on its way up.
            if alarm.fired and not isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise self._timeout(error)
            if error is not None:
                raise error
        finally:
            del error  # its traceback refers to this frame

    def _timeout(self, error: BaseException | None) -> JobTimeout:
        timeout = JobTimeout(f"the job ran longer than its time limit of {self.seconds:g} seconds")
        # If the job turned the exception into another error, that error is the cause.
        is_own = isinstance(error, Exception) and not isinstance(error, JobTimeout)
        timeout.__cause__ = error if is_own else None
        return timeout.with_traceback(error.__traceback__ if error is not None else None)


class _Alarm:
    """The alarm of one job: it interrupts the job, unless it is disarmed before.

    Parameters
    ----------
    interruption :
        Interrupts the job, and takes the interruption back.
    """

    def __init__(
        self, job: CurrentJob, interruption: "tuple[Callable[[], None], Callable[[], None]]"
    ) -> None:
        self._job = job
        self._on_stuck = job_runtime.get().on_stuck
        self._fire, self._clear = interruption
        self._lock = threading.Lock()
        self._is_over = False
        self.fired = False

    def fire(self) -> None:
        with self._lock:
            if self._is_over:  # it can have ended while the watchdog moved it to the fired alarms
                _watchdog.forget(self)
            else:
                self.fired = True
                self._fire()

    def give_up(self) -> None:
        if not self._is_over and self._on_stuck is not None:
            self._on_stuck(self._job)

    def disarm(self) -> None:
        """Note that the job has ended, and take back an interruption that has not arrived yet."""
        while True:
            try:
                with self._lock:
                    self._is_over = True
                _watchdog.forget(self)
                if self.fired:
                    self._clear()
                return
            except JobTimeout:  # the interruption arrived here; there is no second one
                continue


def _cancel() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return two functions: cancel the running coroutine, and take the cancellation back."""
    import asyncio  # workers without coroutines start without it

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        raise RuntimeError("a coroutine can have a time limit only inside a task")
    before = task.cancelling()

    def clear() -> None:
        while task.cancelling() > before:
            task.uncancel()

    return lambda: _cancel_soon(loop, task), clear


def _cancel_soon(loop: "asyncio.AbstractEventLoop", task: "asyncio.Task[object]") -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the loop and its tasks were closed in the meantime
        logger.debug("a job timed out at the end of its worker")


def _interrupt() -> tuple[Callable[[], None], Callable[[], None]]:
    """Return two functions: raise JobTimeout in this thread, and take that back."""
    import ctypes

    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def fire() -> None:
        raise_in(thread, ctypes.py_object(JobTimeout))

    def clear() -> None:
        raise_in(thread, None)

    return fire, clear


class _Watchdog:
    """Fires the alarms of all jobs, in one thread.

    For each limit, alarms are kept in the order in which they were armed, so the first one is due
    first. Alarms that have fired are kept under the key -1 until the job counts as stuck.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alarms: dict[float, dict[_Alarm, float]] = {}
        self._wake = threading.Event()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def arm(self, seconds: float, alarm: _Alarm) -> None:
        """Fire an alarm after this many seconds, unless it is forgotten before that."""
        when = time.monotonic() + seconds
        with self._lock:
            self._alarms.setdefault(seconds, {})[alarm] = when
            # Threads do not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="sqsw-limit", daemon=True)
                self._thread.start()
            if when < self._wakes_at:
                self._wake.set()

    def forget(self, alarm: _Alarm) -> None:
        """Forget an alarm.

        It takes no lock, because the interruption of a job can arrive here. Each step is atomic.
        """
        for alarms in list(self._alarms.values()):
            alarms.pop(alarm, None)

    def _work(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._fire_due()
            except Exception:  # without this thread, no job would have a time limit
                logger.exception("a time limit failed")
            self._wake.wait(max(0.0, min(self._wakes_at - time.monotonic(), 3600.0)))

    def _fire_due(self) -> None:
        # Not inside _work(), whose variables would keep the last job alive while it waits.
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
                        self._alarms.setdefault(-1.0, {})[alarm] = now + STUCK_SECONDS
            firsts = (next(iter(list(a.values())), float("inf")) for a in self._alarms.values())
            self._wakes_at = min(firsts, default=float("inf"))
        return due


_watchdog = _Watchdog()
