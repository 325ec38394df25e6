"""Runs one shutdown policy: reports to it what happens, and asks whether to shut down.

A policy needs ``update_state`` and ``need_shutdown``. It can also have these methods:

* ``fresh()``: return the same policy without what it has seen. A worker works on that copy, so one
  object can serve many workers.
* ``note_busy()``: a job is running, or a receive returned messages.
* ``seconds_left()``: in how many seconds it decides if nothing arrives, or None. No receive waits
  longer. Several threads call it, so it must only look.
* ``jobs_left()``: how many jobs can still start, or None. Called once, at the start.

:class:`~sqsw.supervisor.permits.PermitPolicy` has ``jobs_in_all()``: how many jobs can have started
by now. It is called again and again, so it must neither wait nor fail.
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.reports import reason_of
from sqsw.core.safe_logger import SafeLogger

logger = SafeLogger("sqsw.worker")


class PolicyRunner:
    """A copy of a policy, called by one thread at a time.

    A policy can be the application's: if it raises, the error is logged and the worker goes on.
    """

    def __init__(self, policy: Any) -> None:
        fresh = getattr(policy, "fresh", None)
        self.policy = policy if fresh is None else fresh()
        self.decided, self.reason = False, ""
        self.jobs_left = self._ask("jobs_left")
        self.jobs_in_all: Callable[[], float] | None = getattr(self.policy, "jobs_in_all", None)
        self._reports: deque[BatchProcessingResult | None] = deque()
        self._turn = threading.Lock()

    def tell(self, report: BatchProcessingResult | None) -> bool:
        """Report the end of jobs, an empty receive (an empty report), or that work goes on (None).

        Returns
        -------
        bool
            Whether the policy has just decided to shut down.
        """
        self._reports.append(report)
        decided = False
        # The thread that has the turn also handles reports that other threads append, so none of
        # them waits for a policy. It checks again after its turn, for a late report.
        while self._reports and self._turn.acquire(blocking=False):
            try:
                while self._reports:
                    decided = self._decide(self._reports.popleft()) or decided
            finally:
                self._turn.release()
        return decided

    def seconds_left(self) -> float | None:
        """Return in how many seconds it decides if nothing arrives; None if it waits for more."""
        return self._ask("seconds_left")

    def _ask(self, name: str) -> float | None:
        ask = getattr(self.policy, name, None)
        try:
            number: float | None = None if ask is None else ask()
            return number if number is not None and math.isfinite(number) else None
        except BaseException:  # or not a number at all
            logger.exception("the shutdown policy %r failed", self.policy)
            return None

    def _decide(self, report: BatchProcessingResult | None) -> bool:
        try:
            if report is not None:
                self.policy.update_state(report)
            elif hasattr(self.policy, "note_busy"):
                self.policy.note_busy()
            if not self.decided and self.policy.need_shutdown():
                self.decided, self.reason = True, reason_of(self.policy)
                return True
        except BaseException:  # whatever an application's policy raises
            logger.exception("the shutdown policy %r failed", self.policy)
        return False
