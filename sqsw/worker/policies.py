"""Asks the shutdown policies of the lanes when to stop.

1. report    (to a policy: every run that ended, and that each of its lanes had an empty receive)
2. ask       (the policy whether to stop)
3. hold      (the lanes of that policy: they start nothing more, and the main thread closes them)

It has no thread of its own: it runs in the threads of the pollers, the executors and the
acknowledger, and in the main thread.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import JobNotStarted
from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.core.policy_runner import PolicyRunner
from sqsw.shutdown_policies import NeverShutdown
from sqsw.worker.delivery import JobRun
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane
from sqsw.worker.signals import SignalInbox
from sqsw.worker.start_failures import StartFailures


class _Judge(PolicyRunner):
    """One policy, and the lanes that share it."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self.lanes: list[Lane] = []
        # The lanes with an empty receive since any of the lanes last received messages.
        self.empty: set[str] = set()
        # NeverShutdown never decides, so reports to it are skipped.
        self.is_silent = type(self.policy) is NeverShutdown


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """An open receive: how long it can wait, and whether messages were in hand when it began."""

    seconds: float
    busy: bool


class Policies:
    """Reports to the shutdown policies of the lanes, and acts on their decisions.

    While a lane has messages in hand, an empty receive does not make it idle.

    Parameters
    ----------
    inbox :
        Gets the decisions for the main thread, and a ``look`` notice if a policy waits only for an
        open receive. The main thread then calls ``end_polls``.
    start_failures :
        Decides how much to receive after jobs could not be started.
    wait_seconds :
        How long a receive can wait unless a policy decides earlier.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        in_flight: InFlight,
        inbox: SignalInbox,
        start_failures: StartFailures,
        wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._in_flight = in_flight
        self._inbox = inbox
        self._start_failures = start_failures
        self._wait_seconds = wait_seconds
        self._judges: dict[str, _Judge] = {}
        self._waits: dict[str, list[Wait]] = {lane.name: [] for lane in lanes}
        by_policy: dict[int, _Judge] = {}
        for lane in lanes:
            policy = lane.shutdown_policy
            judge = by_policy.get(id(policy)) or _Judge(policy)
            by_policy[id(policy)] = judge
            judge.lanes.append(lane)
            self._judges[lane.name] = judge
        self._all = list(by_policy.values())
        #: whether the limit of a policy on the number of jobs grows while the worker runs
        self.is_rationed = any(judge.jobs_in_all is not None for judge in self._all)
        for judge in self._all:
            if judge.jobs_left is not None or judge.jobs_in_all is not None:
                in_flight.share_permits(judge.lanes, judge.jobs_left)
        self.update_permits()

    def update_permits(self) -> None:
        """Ask the policies with a growing limit how many jobs can start by now."""
        for judge in self._all:
            self._update(judge)

    def _update(self, judge: _Judge) -> None:
        if judge.jobs_in_all is not None:
            self._in_flight.permit(judge.lanes[0], judge.jobs_in_all())

    def may_receive(self, lane: Lane) -> float:
        """Return how many messages to receive at most: no limit, one to try, or none."""
        if self.is_rationed:
            self._update(self._judges[lane.name])
        return self._start_failures.room()

    def decided(self) -> list[tuple[Sequence[Lane], str]]:
        """Return the lanes that must stop, and why, for each policy that has decided."""
        return [(judge.lanes, judge.reason) for judge in self._all if judge.decided]

    def begin_wait(self, lane: Lane) -> Wait:
        """Note that a receive begins; return how long it can wait."""
        judge = self._judges[lane.name]
        busy = self._is_busy(judge)
        left = judge.seconds_left()
        wait_seconds = self._wait_seconds
        if left is not None:
            # SQS takes whole seconds. At least one while the policy cannot decide yet: with zero,
            # empty receives would follow each other without a pause.
            least = int(busy or lane.name in judge.empty or bool(self._waits[lane.name]))
            wait_seconds = min(wait_seconds, max(math.ceil(left), least))
        wait = Wait(wait_seconds, busy)
        self._waits[lane.name].append(wait)
        return wait

    def end_wait(self, lane: Lane, wait: Wait, count: int | None) -> None:
        """Note the end of a receive.

        Parameters
        ----------
        count :
            The number of messages; None if the receive failed, which does not count as empty.
        """
        judge = self._judges[lane.name]
        waits = self._waits[lane.name]
        waits.remove(wait)
        if count is None or judge.is_silent:
            return
        if count or self._is_busy(judge):
            judge.empty.clear()
            if judge.tell(None):
                self._decide(judge)
        elif not wait.busy and not waits:
            # Only the last open receive of a lane counts: another one can still bring messages.
            judge.empty.add(lane.name)
            is_empty = len(judge.empty) == len(judge.lanes)
            if is_empty and judge.tell(BatchProcessingResult(lane.name)):
                self._decide(judge)
        # Otherwise it does not count: a message that was returned while the receive was open is
        # not in its answer.

    def hears_ends(self, lane: Lane) -> bool:
        """Return whether the end of a successful run makes a difference to a policy."""
        return (
            self.is_rationed
            or not self._judges[lane.name].is_silent
            or self._start_failures.resumed_at is not None
        )

    def ended(
        self, run: JobRun, result: BatchProcessingResult, unstarted: JobNotStarted | None
    ) -> None:
        """Report the end of a run, before the next run starts, so a limit on jobs is exact."""
        if unstarted is not None or self._start_failures.resumed_at is not None:
            self._start_failures.ran(run.runs_in, unstarted)
        judge = self._judges[run.lane.name]
        if self.is_rationed:
            self._update(judge)
        # An empty result would mean that the queue is idle.
        if judge.is_silent or not (result.succeeded or result.failed):
            return
        if judge.tell(result):
            self._decide(judge)

    def settled(self, lane: Lane, result: BatchProcessingResult) -> None:
        """Wake the main thread if a policy now waits only for an open receive."""
        judge = self._judges[lane.name]
        if not judge.is_silent and self._waits_for_polls(judge):
            self._inbox.post("look", "idle")

    def end_polls(self) -> bool:
        """End the open receives that began with messages in hand, if only they delay a decision.

        Returns
        -------
        bool
            Whether there are any that can be ended. Then call it again: a request that is still on
            its way cannot be ended yet.
        """
        found = False
        for judge in self._all:
            if self._waits_for_polls(judge):
                for lane in judge.lanes:
                    if any(wait.busy for wait in list(self._waits[lane.name])):
                        found |= lane.end_polls()
        return found

    def _waits_for_polls(self, judge: _Judge) -> bool:
        left = judge.seconds_left()
        return left is not None and left < 1 and not judge.decided and not self._is_busy(judge)

    def _decide(self, judge: _Judge) -> None:
        # At once, so no more jobs start. The main thread does the rest.
        for lane in judge.lanes:
            self._in_flight.pause(lane)
        self._inbox.post("decided", judge.reason)

    def _is_busy(self, judge: _Judge) -> bool:
        return any(self._in_flight.is_busy(lane) for lane in judge.lanes)
