"""The shutdown watch: asks the policies of the lanes when to leave.

1. tell      (a policy hears of every call that ended, and of every receive that brought nothing
              once each of its lanes had one)
2. ask       (whether the worker is to leave)
3. quiet     (the lanes of that policy)

Started by ``Worker``; it has no thread of its own, but works in those of the pollers, of the
executors and of the acknowledger, and in the main one.

A policy needs ``update_state`` and ``need_shutdown``. It may also have

* ``fresh()``: the same policy without what it has seen; a worker works on that, so that one object
  can serve many runs,
* ``seconds_left()``: when it would leave if nothing came any more, or None; no poll waits longer
  (asked by several threads, so it should only look),
* ``note_busy()``: a slot is busy, or a receive brought something,
* ``jobs_left()``: how many jobs may still start, or None; asked once, at the beginning.

:class:`~sqsw.supervisor.permits.PermitPolicy` has ``jobs_in_all()``: how many jobs may have started
by now. That is asked again and again, under the lock of the dispatcher: it may neither wait nor
fail.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.core.reports import reason_of
from sqsw.core.safe_logger import SafeLogger
from sqsw.shutdown_policies import NeverShutdown
from sqsw.worker.lane import Lane, Poll

logger = SafeLogger(__name__)

#: A batch, or None: busy.
_Report = BatchProcessingResult | None


class _Judge:
    """One policy, for the lanes that hold it; it is asked by one thread at a time."""

    def __init__(self, policy: Any) -> None:
        fresh = getattr(policy, "fresh", None)
        self.policy = fresh() if fresh is not None else policy
        self.lanes: list[Lane] = []
        # Those whose last receive found nothing, since one of them had something.
        self.empty: set[str] = set()
        # Told of every job, it would only say no.
        self.is_silent = type(self.policy) is NeverShutdown
        self.decided, self.reason = False, ""
        self.started = 0
        first = self._ask("jobs_left")
        self._limit = getattr(self.policy, "jobs_in_all", lambda: first)
        self._reports: deque[_Report] = deque()
        self._turn = threading.Lock()

    def tell(self, report: _Report) -> bool:
        """Whether this report, or one that another thread left here, made the policy decide."""
        self._reports.append(report)
        decided = False
        # The one who has the turn works off what others bring meanwhile, and nobody waits for a
        # user's function. Looked at again after the turn: somebody may have come too late for it.
        while self._reports and self._turn.acquire(blocking=False):
            try:
                while self._reports:
                    decided = self._judge(self._reports.popleft()) or decided
            finally:
                self._turn.release()
        return decided

    @property
    def jobs_left(self) -> float | None:
        """How many more jobs may start; None: any number."""
        limit: float | None = self._limit()
        return None if limit is None else limit - self.started

    def seconds_left(self) -> float | None:
        """When it would leave if nothing came any more; None: not by waiting."""
        return self._ask("seconds_left")

    def _ask(self, name: str) -> float | None:
        ask = getattr(self.policy, name, None)
        try:
            number: float | None = None if ask is None else ask()
            return number if number is not None and math.isfinite(number) else None
        except BaseException:  # or not a number at all
            logger.exception("the shutdown policy %r failed", self.policy)
            return None

    def _judge(self, report: _Report) -> bool:
        try:
            if report is not None:
                self.policy.update_state(report)
            elif hasattr(self.policy, "note_busy"):
                self.policy.note_busy()
            if not self.decided and self.policy.need_shutdown():
                self.decided, self.reason = True, reason_of(self.policy)
                return True
        except BaseException:  # a policy is not ours, and must not stop a worker by failing
            logger.exception("the shutdown policy %r failed", self.policy)
        return False


class ShutdownWatch:
    """Feeds the shutdown policies of the lanes.

    Parameters
    ----------
    in_hand :
        Messages of a lane that are not yet acknowledged: as long as there are any, a receive that
        brings nothing does not mean that the lane is idle.
    waiting :
        Calls of a lane that have not started.
    on_decided :
        Called with the lanes of a policy that wants to leave, and with its reason.
    on_idle :
        Called when only a poll keeps a policy from deciding: ``end_polls`` helps.
    wait_seconds :
        How long a poll may wait where no policy says less.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        in_hand: Callable[[Lane], int],
        waiting: Callable[[Lane], int],
        on_decided: Callable[[Sequence[Lane], str], None],
        on_idle: Callable[[], None],
        wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._in_hand = in_hand
        self._waiting = waiting
        self._on_decided = on_decided
        self._on_idle = on_idle
        self._wait_seconds = wait_seconds
        #: whether a policy lets more and more jobs start
        self.is_rationed = any(hasattr(lane.shutdown_policy, "jobs_in_all") for lane in lanes)
        self._judges: dict[str, _Judge] = {}
        self._polls: dict[str, list[Poll]] = {lane.name: [] for lane in lanes}
        by_policy: dict[int, _Judge] = {}
        for lane in lanes:
            policy = lane.shutdown_policy
            judge = by_policy.get(id(policy)) or _Judge(policy)
            by_policy[id(policy)] = judge
            judge.lanes.append(lane)
            self._judges[lane.name] = judge

    def start(self) -> None:
        """Nothing to do."""

    def quiet(self) -> None:
        """Nothing to do."""

    def stop(self, deadline: float) -> None:
        """Nothing to do."""

    def room(self, lane: Lane) -> float:
        """Return how many more jobs can start before its policy ends the worker."""
        left = self._judges[lane.name].jobs_left
        return math.inf if left is None else left

    def wanted(self, lane: Lane) -> float:
        """Return how many messages can start before its policy ends it, besides those that wait.

        Further messages would go back, and each would use up a receive.
        """
        room = self.room(lane)
        if room < math.inf:
            lanes = self._judges[lane.name].lanes
            room -= sum(self._waiting(each) * each.batch_size for each in lanes)
        return room

    def may_start(self, lane: Lane, count: int) -> bool:
        """Whether so many jobs may start; they count as started then.

        Called under the lock of the dispatcher. A list goes as a whole, so the last one may be more
        than is left. A negative number gives back: so many have not started after all.
        """
        judge = self._judges[lane.name]
        left = judge.jobs_left
        if left is None:
            return True
        if left <= 0 < count:
            return False
        judge.started += count
        return True

    def poll_begins(self, lane: Lane) -> Poll:
        """How long the next receive may wait."""
        judge = self._judges[lane.name]
        busy = self._is_busy(judge)
        left = judge.seconds_left()
        wait_seconds = self._wait_seconds
        if left is not None:
            # Whole seconds, as SQS wants them; one at least while jobs run or something else is
            # waited for, or empty receives would chase each other until then.
            least = int(busy or lane.name in judge.empty or bool(self._polls[lane.name]))
            wait_seconds = min(wait_seconds, max(math.ceil(left), least))
        poll = Poll(wait_seconds, busy)
        self._polls[lane.name].append(poll)
        return poll

    def poll_ended(self, lane: Lane, poll: Poll, count: int | None) -> None:
        """A receive was answered, with so many messages; None: it was not, which says nothing."""
        judge = self._judges[lane.name]
        polls = self._polls[lane.name]
        polls.remove(poll)
        if count is None:
            return
        if count or self._is_busy(judge):
            judge.empty.clear()
            self._tell(judge, None)
        elif not poll.busy and not polls:
            # The last one says it: another receive, or another lane, may bring something yet.
            judge.empty.add(lane.name)
            if len(judge.empty) == len(judge.lanes):
                self._tell(judge, BatchProcessingResult(lane.name))
        # Else it says nothing: a message that went back while SQS answered is not in that answer.

    def ended(self, lane: Lane, result: BatchProcessingResult) -> None:
        """A call ended. Told before the next one begins, so that no policy is overrun."""
        self._tell(self._judges[lane.name], result)

    def acknowledged(self, lane: Lane) -> None:
        """Messages are out of hand."""
        if self._waits_for_polls(self._judges[lane.name]):
            self._on_idle()

    def end_polls(self) -> bool:
        """End the polls that began while jobs ran, where nothing but them keeps the worker.

        True where there are any that can be ended. Then it is to be called again: one that is on
        its way to the other side is not waiting there yet, and so it is not ended.
        """
        found = False
        for judge in {id(judge): judge for judge in self._judges.values()}.values():
            if self._waits_for_polls(judge):
                for lane in judge.lanes:
                    if any(poll.busy for poll in list(self._polls[lane.name])):
                        found |= lane.end_polls()
        return found

    def _waits_for_polls(self, judge: _Judge) -> bool:
        left = judge.seconds_left()
        return left is not None and left < 1 and not judge.decided and not self._is_busy(judge)

    def _tell(self, judge: _Judge, report: _Report) -> None:
        if not judge.is_silent and judge.tell(report):
            self._on_decided(judge.lanes, judge.reason)

    def _is_busy(self, judge: _Judge) -> bool:
        return any(self._in_hand(lane) > 0 for lane in judge.lanes)
