"""The worker: from its start to its end.

1. start     (the roles: the end of the line first)
2. wait      (for a signal, a shutdown policy, ``stop()``)
3. drain     (no more receives; most unstarted messages go back; running jobs finish)
4. stop      (put back what still runs; end the threads)

The thread that calls ``run`` does nothing else: a signal is acted on at once.
"""

import os
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from sqsw.core.contracts import Clock
from sqsw.core.delivery import is_handing_over
from sqsw.core.events import (
    DrainStarted,
    EventBus,
    JobStuck,
    QuietStarted,
    Receiving,
    WorkerStarted,
    WorkerStopped,
)
from sqsw.core.jobs.current_job import CurrentJob, RunsIn
from sqsw.core.jobs.runtime import JobRuntime, Load, job_runtime
from sqsw.core.lease_clock import lease_time
from sqsw.core.reports import WorkerReport, report_of
from sqsw.core.safe_logger import LOG
from sqsw.core.settings import WorkerSettings
from sqsw.core.standard_error import write_error_text
from sqsw.core.wording import safe, shortened
from sqsw.worker.executors.base import Executor, stack_of
from sqsw.worker.executors.late import LateExecutor
from sqsw.worker.executors.threads import ThreadExecutor
from sqsw.worker.health import PULSE_SECONDS
from sqsw.worker.lane import Lane
from sqsw.worker.signals import InboxNotice, SignalCounter, SignalInbox, is_child
from sqsw.worker.wiring import make_roles

if TYPE_CHECKING:
    from sqsw.worker.executors.loop import LoopExecutor
    from sqsw.worker.executors.processes import ProcessExecutor

#: seconds between two looks during a drain, and while polls are to end
_LOOK_SECONDS = 0.02

#: seconds between two looks whether more jobs may start
_RATION_SECONDS = 0.1

#: seconds to put back what is still in hand, after a drain and after a second signal
_LAST_CALLS_SECONDS, _FORCED_SECONDS = 2.0, 1.5

#: seconds until receives have ended that can be ended, before messages go back
_END_POLLS_SECONDS = 0.2

#: seconds of those that are kept to put back what the last receive brings
_LAST_RETURN_SECONDS = 0.5


class Worker:
    """Runs the jobs of some lanes, once.

    Parameters
    ----------
    lanes :
        The queues.
    settings :
        The numbers.
    events :
        Whom to tell what happens.
    load :
        Finds the functions of jobs in the processes of the pool; it is pickled.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        settings: WorkerSettings | None = None,
        events: EventBus | None = None,
        *,
        load: Load | None = None,
        clock: Clock = lease_time,
    ) -> None:
        self._lanes = list(lanes)
        self._settings = settings or WorkerSettings()
        self._events = events or EventBus()
        self._load = load
        self._clock = clock
        self._inbox = SignalInbox()
        self._has_run = self._is_over = False
        self._signal_counter = SignalCounter(clock)
        self._forced_by: InboxNotice | None = None
        self._pulse_at = float("-inf")
        self._useless: set[str] = set()
        self._pool: ProcessExecutor | None = None
        self._loop: LoopExecutor | None = None
        self._executors: dict[RunsIn, Executor] = {
            "thread": ThreadExecutor(),
            "loop": LateExecutor(self._make_loop),
            "process": LateExecutor(self._make_pool),
        }
        roles = make_roles(
            self._lanes, self._settings, self._events, self._inbox, self._executors, clock
        )
        self._in_flight, self._policies, self._dispatcher = roles[:3]
        self._acknowledger, self._heartbeat = roles.acknowledger, roles.heartbeat
        self._health, self._pollers = roles.health, roles.pollers

    def _make_loop(self) -> Executor:
        # Imported late: asyncio takes a tenth of the start time.
        from sqsw.worker.executors.loop import LoopExecutor

        self._loop = LoopExecutor(on_end=lambda error: self._inbox.post("fail", "error", error))
        return self._loop

    def _make_pool(self) -> Executor:
        from sqsw.worker.executors.processes import ProcessExecutor

        self._pool = ProcessExecutor(self._load)
        return self._pool

    # What others may call, from any thread.

    def stop(self, reason: str = "stop") -> None:
        """Begin to drain; ``run`` returns when that is done."""
        self._inbox.post("drain", reason)

    def quiet(self) -> None:
        """Receive no more, run what is in hand, and stay."""
        self._inbox.post("quiet", "quiet")

    def describe_slots(self) -> str:
        """Every slot in use as text: queue, job, id, running for, lease left, stack."""
        now, pool = self._clock(), self._pool
        lines = []
        for run in self._in_flight.running():
            for delivery in run.deliveries:
                lines.append(
                    f"{run.lane.name} {safe(shortened(delivery.job.name or '-', 100))} "
                    f"{delivery.message.message_id} "
                    f"running for {now - run.started_at:.1f}s, "
                    f"lease left {delivery.message.lease.expires_at - now:.1f}s\n"
                )
            # While a process has the job, the thread of the run does nothing but wait for it.
            lines.append((pool and pool.stack_of(run)) or stack_of(run))
        which = f"process {os.getpid()}:\n" if is_child() else ""
        return which + ("".join(lines) or "no slot is busy\n")

    # The thread of ``run``.

    def run(self) -> WorkerReport:
        """Work until a signal, a shutdown policy or ``stop()``.

        Raises
        ------
        QueueNotFound, AccessDenied, SettingsError
            The very first receive of a lane showed that it has nothing to receive from. Everything
            has been stopped then.
        """
        if self._has_run:
            raise RuntimeError("a worker runs once; make another one")
        self._has_run = True
        is_forced = True
        with self._inbox:
            try:
                self._start()
                stopped_by = self._wait()
                self._drain(stopped_by)
                is_forced = self._forced_by is not None
            finally:
                unfinished = self._stop(_FORCED_SECONDS if is_forced else _LAST_CALLS_SECONDS)
        reason = (self._forced_by or stopped_by).reason
        self._events.publish(WorkerStopped(reason, unfinished))
        if stopped_by.error is not None:
            raise stopped_by.error
        requests = self._heartbeat.requests + self._acknowledger.requests
        requests += sum(poller.requests for poller in self._pollers)
        counts = {**self._in_flight.counts(), "requests": requests, "unfinished": unfinished}
        return report_of(counts, reason, forced=self._forced_by is not None)

    def _start(self) -> None:
        runtime = JobRuntime(
            time_limit=self._settings.time_limit,
            on_stuck=self._job_stuck,
            run_awaitable=self._run_awaitable,
        )
        token = job_runtime.set(runtime)  # executors give it to their jobs
        try:
            self._heartbeat.start()
            self._acknowledger.start()
            for executor in self._executors.values():
                executor.start()
        finally:
            job_runtime.reset(token)
        names = tuple(lane.name for lane in self._lanes)
        self._events.publish(WorkerStarted(names, self._in_flight.slots()))
        self._pulse()  # before the first job, which can keep the interpreter for itself
        for poller in self._pollers:
            poller.start()

    def _job_stuck(self, job: CurrentJob) -> None:
        for message in job.messages:
            self._events.publish(JobStuck(message, job.job_name))
        self.stop("stuck_job")

    def _run_awaitable(self, awaitable: Awaitable[Any]) -> Any:
        from sqsw.worker.executors.handover import Handover  # few jobs need it

        return Handover(awaitable).wait(self._executors["loop"], lambda: self._is_over)

    def _wait(self) -> InboxNotice:
        ends: list[InboxNotice] = []
        while not ends:
            left = self._pulse()
            timeout = min(_LOOK_SECONDS, left) if self._policies.end_polls() else left
            if self._policies.is_rationed:
                timeout = min(_RATION_SECONDS, timeout)
                self._policies.update_permits()
                self._dispatcher.start_due()
            ends = [notice for notice in self._inbox.wait(timeout) if self._is_end(notice)]
        return ends[0]

    def _pulse(self) -> float:
        """Give a sign of life, if it is time; seconds until the next one."""
        now = self._clock()
        if now >= self._pulse_at:
            self._pulse_at = now + PULSE_SECONDS
            self._in_flight.note_slow_runs()
            blocked_seconds = 0.0 if self._loop is None else self._loop.blocked_seconds()
            self._events.publish(self._health.pulse(blocked_seconds))
            # Nobody else looks at lists that have waited before others come.
            self._dispatcher.start_due()
            self._release_useless()
        return max(0.0, self._pulse_at - now)

    def _release_useless(self) -> None:
        """Put back what waits though no more jobs may start, for two looks: others may run it."""
        useless = set()
        for lane in self._lanes:
            left = self._in_flight.permits_left(lane)
            if left is not None and left <= 0:
                useless.add(lane.name)
                if lane.name in self._useless:
                    self._dispatcher.release(lane)
        self._useless = useless

    def _is_end(self, notice: InboxNotice) -> bool:
        """Act on a notice; whether it ends the work."""
        if notice.verb == "slots":
            slots = self.describe_slots()
            if is_handing_over():
                LOG.put(write_error_text, slots, size=len(slots), urgent=True)
            else:
                write_error_text(slots)
        elif notice.verb == "quiet":
            self._be_quiet(notice)
        elif notice.verb == "decided":
            return self._close_decided(notice.reason)
        elif notice.verb == "drain":
            self._signal_counter.note(notice)
        if self._forced_by is None and (notice.verb == "force" or self._signal_counter.are_two):
            self._forced_by = notice
        return notice.verb in ("drain", "force", "fail")

    def _close_decided(self, reason: str) -> bool:
        """Close the lanes whose policies want to leave; whether those are all."""
        lanes = [lane for decided, _ in self._policies.decided() for lane in decided]
        for poller in self._pollers:
            if poller.lane in lanes:
                poller.quiet()
        self._dispatcher.close(lanes)
        return len(lanes) == len(self._lanes)

    def _be_quiet(self, notice: InboxNotice) -> None:
        if self._health.state == "receiving":
            running = self._running_messages()
            self._events.publish(QuietStarted(notice.reason, running, _how_to_go_on()))
        self._receive_no_more("quiet")
        self._pulse_at = float("-inf")  # who looks is to know now

    def _receive_no_more(self, state: Receiving) -> None:
        """End the receives, quiet or draining; what has come is worked on."""
        self._health.receives_no_more(state)
        for poller in self._pollers:
            poller.quiet()

    def _running_messages(self) -> int:
        return sum(len(run.deliveries) for run in self._in_flight.running())

    def _drain(self, stopped_by: InboxNotice) -> None:
        """Finish what is in hand, until the deadline or a second signal."""
        seconds = self._settings.drain_seconds
        deadline = self._clock() + seconds
        running, waiting = self._running_messages(), self._in_flight.waiting()
        self._events.publish(DrainStarted(stopped_by.reason, running, waiting, seconds))
        self._receive_no_more("draining")
        self._wait_for_polls()
        self._dispatcher.close(self._lanes)
        self._in_flight.hurry()
        self._pulse_at = float("-inf")  # who looks is to know now
        while not (self._is_drained() or self._forced_by or self._clock() >= deadline):
            for poller in self._pollers:
                poller.end_poll()
            self._pulse()
            for notice in self._inbox.wait(_LOOK_SECONDS):
                self._is_end(notice)

    def _wait_for_polls(self) -> None:
        # An open receive is the first to get what goes back now. It is asked again: one that is on
        # its way to the other side does not wait there yet, and is not ended.
        deadline = self._clock() + _END_POLLS_SECONDS
        while self._clock() < deadline:
            ended = [poller.lane.end_polls() for poller in self._pollers if poller.is_alive()]
            if not any(ended):
                return
            time.sleep(_END_POLLS_SECONDS / 20)

    def _is_drained(self) -> bool:
        # Asked in this order: what a last poll brings is in hand before its thread ends.
        return not any(poller.is_alive() for poller in self._pollers) and self._in_flight.is_empty()

    def _stop(self, seconds: float) -> int:
        """Put back what still runs, and end; how many messages that were."""
        now = self._clock()
        self._is_over = True
        self._receive_no_more("draining")
        unfinished = self._dispatcher.abandon()
        # What was put back may run elsewhere within a moment: here it ends now, where it can be.
        for executor in self._executors.values():
            executor.stop(now if unfinished else now + 0.2)
        deadline = now + seconds
        for poller in self._pollers:
            # What was put back just now may come in again here: an open receive is the first to
            # get it, and would leave it in flight.
            poller.stop(deadline - _LAST_RETURN_SECONDS)
        self._acknowledger.stop(deadline)
        self._heartbeat.stop(deadline)
        return unfinished


def _how_to_go_on() -> str:
    if is_child():
        return (
            "SIGHUP to the supervisor starts processes that receive; Ctrl-C ends them all; "
            "running jobs go on"
        )
    return "start the worker anew to receive again; Ctrl-C ends this one; running jobs go on"
