"""Stops the receives of a worker that cannot start jobs, and ends it if that lasts.

1. pause    (at once, because every message would use up a receive)
2. check    (after a backoff, without a message: start what the jobs need)
3. resume   (with one message at a time, until jobs run again)
4. end      (with an error, after a minute)

It has no thread of its own: a poller that must not receive makes the check.
"""

import math
import random
import threading
from collections.abc import Callable, Mapping

from sqsw.core.contracts import Clock
from sqsw.core.errors import AppLoadError, JobNotStarted, SQSError
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.lease_clock import lease_time
from sqsw.core.retry import retry_seconds
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import counted
from sqsw.worker.executors.base import Executor
from sqsw.worker.signals import SignalInbox

logger = SafeLogger(__name__)

#: seconds until the first check, and the longest time between two checks
_FIRST_CHECK_SECONDS, _LAST_CHECK_SECONDS = 1.0, 15.0

#: seconds without a successful start until the worker ends
END_SECONDS = 60.0

#: seconds without a failure after a successful check until the worker counts as recovered
_PROBATION_SECONDS = 30.0


class StartFailures:
    """Decides how much to receive after jobs could not be started.

    Parameters
    ----------
    executors :
        They can start what the jobs of a kind need, and keep it for the next job.
    inbox :
        Gets the error when the worker must end.

    Attributes
    ----------
    resumed_at :
        When jobs could be started again, in seconds of the clock; None before that, and once the
        worker counts as recovered.
    """

    def __init__(
        self,
        executors: Mapping[RunsIn, Executor],
        inbox: SignalInbox,
        clock: Clock = lease_time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._executors, self._inbox = executors, inbox
        self._clock, self._jitter = clock, jitter
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        self._since: float | None = None
        self.resumed_at: float | None = None
        self._check_at = 0.0
        self._tries = 0
        self._kind: RunsIn = "thread"
        self._error = JobNotStarted()

    def ran(self, kind: RunsIn, error: JobNotStarted | None) -> None:
        """Note the end of a run.

        Parameters
        ----------
        kind :
            The executor of the run.
        error :
            Why the run could not start; None if it did.
        """
        if error is not None:
            self._note(kind, error)
        elif self.resumed_at is not None and kind == self._kind:
            self._recover()

    def room(self) -> float:
        """Return how many messages to receive now: no limit, one to try, or none."""
        since = self._since
        if since is None:
            return math.inf
        if self.resumed_at is None and self._checking.acquire(blocking=False):
            try:
                self._make_check()
            finally:
                self._checking.release()
        resumed_at = self.resumed_at
        if resumed_at is None:
            return 0
        if self._clock() - resumed_at >= _PROBATION_SECONDS:
            self._recover()
        return 1

    def problem(self) -> str | None:
        """Return the problem in words; None if jobs can be started."""
        since = self._since
        if since is None or self.resumed_at is not None:
            return None
        seconds = self._clock() - since
        return f"no job could be started for {seconds:.0f} seconds: {self._error.summary}"

    def _note(self, kind: RunsIn, error: JobNotStarted) -> None:
        with self._lock:
            now = self._clock()
            is_first = self._since is None
            if is_first:
                self._since, self._tries, self._check_at = now, 0, now
            self._kind, self._error = kind, error
            self.resumed_at = None
            # Many runs that fail at the same time count as one failure.
            if now >= self._check_at:
                self._check_at = now + retry_seconds(
                    self._tries, _FIRST_CHECK_SECONDS, _LAST_CHECK_SECONDS, self._jitter
                )
                self._tries += 1
        if is_first:
            logger.error("jobs cannot be started, so the worker stops receiving: %s", error.summary)

    def _make_check(self) -> None:
        now, since = self._clock(), self._since
        if since is None or now < self._check_at:
            return
        try:
            self._executors[self._kind].check()
        except Exception as error:  # noqa: BLE001  # any error means that jobs cannot be started
            self._note(self._kind, JobNotStarted.of(error))
            seconds = self._clock() - since
            if seconds >= END_SECONDS:
                self._inbox.post("fail", "error", self._final(seconds))
        else:
            self.resumed_at = self._clock()

    def _final(self, seconds: float) -> SQSError:
        cause = self._error.__cause__
        if isinstance(cause, AppLoadError):
            return cause
        return JobNotStarted(
            f"the worker ends: it could not start a job for {counted(round(seconds), 'second')}",
            why=self._error.summary,
            next=self._error.next or "check the limits on processes, memory and open files",
        )

    def _recover(self) -> None:
        with self._lock:
            if self._since is None:
                return
            self._since = self.resumed_at = None
        logger.warning("jobs can be started again")
