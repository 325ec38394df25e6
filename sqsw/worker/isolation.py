"""Runs suspects alone, while nothing else is in hand.

Only the register uses this, under its lock.
"""

from collections.abc import Iterable, Mapping

from sqsw.worker.delivery import IN_HAND, Delivery, JobRun
from sqsw.worker.lane_state import LaneState
from sqsw.worker.suspects import Suspects

#: seconds for which a suspect runs alone; a longer job must not hold up all others for hours
ALONE_SECONDS = 300.0


class Isolation:
    """The suspect that runs alone, and those that wait for their turn.

    Parameters
    ----------
    suspects :
        Messages that run alone, because a process died in which they ran.
    states :
        The lanes of the worker.
    deliveries :
        The messages in hand.

    Attributes
    ----------
    alone :
        The suspect that runs now. Nothing else starts until it ends.
    is_on :
        Whether a suspect is in hand, or was at the last check. While one waits or runs, no poll
        begins, and nothing else starts.
    """

    def __init__(
        self,
        suspects: Suspects,
        states: Iterable[LaneState],
        deliveries: Mapping[str, Delivery],
    ) -> None:
        self.suspects = suspects
        self.alone: JobRun | None = None
        self.is_on = False
        self._states = list(states)
        self._deliveries = deliveries

    def credit(self, state: LaneState, want: int) -> int:
        """Return for how many of ``want`` runs a lane can receive now."""
        if self.is_on:
            held = (each for each in self._deliveries.values() if each.state in IN_HAND)
            self.is_on = self.alone is not None or any(each.run.runs_alone for each in held)
            if self.is_on:
                return 0
        if state.lane.name in self.suspects.queues:
            # The others would lose a receive if the first one killed this process.
            return 0 if state.asked else state.credit(1)
        return state.credit(want)

    def next_suspect(self, now: float, *, is_idle: bool) -> JobRun | None:
        """Return the suspect that starts now; None if there is none, or something else is in hand.

        Groups that wait here for a retry of their head do not count. Their wait can take minutes,
        and to return them would cost each message a receive, as much as the death would.

        Parameters
        ----------
        is_idle :
            Whether nothing runs.
        """
        if self.alone is not None:
            if now - self.alone.started_at < ALONE_SECONDS:
                return None
            self.alone.runs_alone = False
            self.alone = None
        if not is_idle or any(state.asked for state in self._states):
            return None
        waiting = [(state, run) for state in self._states for run in state.suspects()]
        messages = sum(state.in_hand - state.messages_in_retry() for state in self._states)
        for state, run in waiting:
            messages -= sum(len(each.deliveries) for each in state.group_of(run))
        able = [(state, run) for state, run in waiting if state.can_start()]
        if messages or not able:
            return None
        # The one that may have no other chance goes first.
        state, run = max(able, key=lambda each: each[1].deliveries[0].message.receive_count)
        state.take_suspect(run)
        self.alone = run
        return run

    def end(self, run: JobRun, *, has_run: bool) -> None:
        """Note that a run ended without ending this process."""
        if has_run and run.lane.name in self.suspects.queues:
            for delivery in run.deliveries:
                self.suspects.clear(run.lane.name, delivery.message.message_id)
        run.runs_alone = False
        if run is self.alone:
            self.alone = None
