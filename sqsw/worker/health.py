"""The health of a worker: whether it receives messages and extends leases.

How long jobs take does not matter for it.
"""

import os
import resource
import sys
import threading
from collections.abc import Sequence
from typing import Protocol

from sqsw.core.contracts import Clock
from sqsw.core.delivery import stuck_delivery
from sqsw.core.events import Pulse, Receiving
from sqsw.core.lease_clock import lease_time
from sqsw.core.process_memory import memory_of
from sqsw.worker.delivery import JobRun
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane

#: seconds between two pulses
PULSE_SECONDS = 1.0

#: seconds that a receive can wait for an answer; a long poll takes at most 20
_ANSWER_SECONDS = 60.0

#: seconds that the event loop may be blocked. A restart puts back every job, so this is longer than
#: the time-outs of the clients that async jobs call by mistake
_BLOCKED_SECONDS = 300.0


class Alive(Protocol):
    """The heartbeat, as far as health needs it."""

    def is_alive(self) -> bool: ...


class Startable(Protocol):
    """The start failures, as far as health needs them."""

    def problem(self) -> str | None: ...


class WorkerHealth:
    """Watches the receives of the lanes. The poller threads report each of them."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        in_flight: InFlight,
        heartbeat: Alive,
        start_failures: Startable,
        clock: Clock = lease_time,
    ) -> None:
        self._lanes = lanes
        self._in_flight = in_flight
        self._heartbeat = heartbeat
        self._start_failures = start_failures
        self._clock = clock
        # When each open receive began, by lane and thread: a lane can have several threads.
        self._asked: dict[tuple[str, int], float] = {}
        # By lane, while receives fail: when the first one began, and when the last one failed.
        self._failing: dict[str, tuple[float, float]] = {}
        self.state: Receiving = "receiving"

    def receives_no_more(self, state: Receiving) -> None:
        """Note that the worker is quiet or draining. Draining is final."""
        if self.state != "draining":
            self.state = state

    def poll_begins(self, lane: Lane) -> None:
        """Note that a receive begins."""
        self._asked[lane.name, threading.get_ident()] = self._clock()

    def poll_ended(self, lane: Lane, answered: bool) -> None:
        """Note the end of a receive. Failed ones count as one until a receive is answered."""
        asked = self._asked.pop((lane.name, threading.get_ident()))
        if answered:
            self._failing.pop(lane.name, None)
        else:
            self._failing[lane.name] = (self._failing_since(lane.name, asked), self._clock())

    def _failing_since(self, name: str, now: float) -> float:
        # A failed receive is repeated within half a minute. After a longer pause, the lane had no
        # credit meanwhile, so the time starts again.
        since, last = self._failing.get(name, (now, now))
        return since if now - last <= _ANSWER_SECONDS else now

    def problem(self) -> str | None:
        """Return the problem in words; None if there is none."""
        if not self._heartbeat.is_alive():
            return "the heartbeat has ended"
        if (problem := self._start_failures.problem()) is not None:
            return problem
        now = self._clock()
        # A quiet or draining worker makes no receives.
        if self.state != "receiving":
            return None
        waiting = [(name, asked) for (name, _), asked in list(self._asked.items())]
        waiting += [(name, self._failing_since(name, now)) for name in list(self._failing)]
        for name, asked in waiting:
            if now - asked > _ANSWER_SECONDS:
                return f"no answer to receives from {name!r} for {now - asked:.0f} seconds"
        return None

    def halted(self, blocked_seconds: float) -> str | None:
        """Return which part of the worker no longer moves; None if all parts do.

        Unlike a problem, this never depends on SQS.
        """
        if not self._heartbeat.is_alive():
            return "the heartbeat has ended"
        if blocked_seconds > _BLOCKED_SECONDS:
            return f"a job has blocked the event loop for {blocked_seconds:.0f} seconds"
        return None

    def pulse(self, blocked_seconds: float = 0.0) -> Pulse:
        """Return a sign of life.

        Parameters
        ----------
        blocked_seconds :
            How long the event loop of the jobs has been blocked.
        """
        running, counts = self._in_flight.running(), self._in_flight.counts()
        busy = self._busy(running)
        return Pulse(
            pid=os.getpid(),
            slots=self._in_flight.slots(),
            running=sum(count for count, _ in busy.values()),
            in_hand={lane.name: self._in_flight.in_hand(lane) for lane in self._lanes},
            ended=sum(counts.get(outcome, 0) for outcome in _OUTCOMES),
            memory_bytes=memory_bytes(),
            lease_seconds=max((lane.visibility_timeout for lane in self._lanes), default=30),
            ready=self.state == "receiving",
            problem=self.problem(),
            busy=busy,
            state=self.state,
            stuck=stuck_delivery(),
            halted=self.halted(blocked_seconds),
        )

    def _busy(self, runs: Sequence[JobRun]) -> dict[str, tuple[int, float]]:
        now = self._clock()
        busy: dict[str, tuple[int, float]] = {}
        for run in runs:
            count, oldest = busy.get(run.lane.name, (0, 0.0))
            seconds = now - run.started_at
            busy[run.lane.name] = (count + len(run.deliveries), max(oldest, seconds))
        return busy


#: the counters of the register that count ended jobs
_OUTCOMES = ("done", "failed", "retried", "unknown", "dropped")


def memory_bytes() -> int:
    """Memory of this process that is not swapped out; its peak where only that is known."""
    found = memory_of("self")
    if found is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
