"""The worker: starts the roles, waits, drains and stops.

1. start     (the roles; the pollers last)
2. wait      (for a signal, a shutdown policy or ``stop()``)
3. drain     (receive no more; return most unstarted messages; let running jobs finish)
4. stop      (return the messages of jobs that still run; end the threads)

The thread that calls ``run`` does nothing else, so it acts on a signal at once.
"""

import os
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from sqsw.core.contracts import Clock, Companion
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
from sqsw.worker.crash_notes import crash_notes_here
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

#: seconds between two checks during a drain, and while open receives are being ended
_CHECK_SECONDS = 0.02

#: seconds between two checks whether more jobs can start
_RATION_SECONDS = 0.1

#: seconds to return what is still in hand, after a drain and after a second signal
_LAST_CALLS_SECONDS, _FORCED_SECONDS = 2.0, 1.5

#: seconds to wait for open receives to end before messages are returned
_END_POLLS_SECONDS = 0.2

#: seconds of the last calls that are reserved to return what the last receive brings
_LAST_RETURN_SECONDS = 0.5


class Worker:
    """Runs the jobs of some lanes. A worker runs once.

    Parameters
    ----------
    lanes :
        The queues.
    settings :
        Concurrency, timeouts and other numbers; None for the defaults.
    events :
        Gets an event for everything that happens; None: nothing listens.
    load :
        Finds the functions of jobs in the pool processes. It is pickled.
    companions :
        They start and stop with the worker. If there are any, ``lanes`` can be empty.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        settings: WorkerSettings | None = None,
        events: EventBus | None = None,
        *,
        load: Load | None = None,
        companions: Sequence[Companion] = (),
        clock: Clock = lease_time,
    ) -> None:
        self._lanes = list(lanes)
        self._settings = settings or WorkerSettings()
        self._events = events or EventBus()
        self._load = load
        self._companions = companions
        self._clock = clock
        self._inbox = SignalInbox()
        self._has_run = self._is_over = False
        self._signal_counter = SignalCounter(clock)
        self._forced_by: InboxNotice | None = None
        self._pulse_at = float("-inf")
        #: lanes that had no permits left at the last pulse
        self._without_permits: set[str] = set()
        self._pool: ProcessExecutor | None = None
        self._loop: LoopExecutor | None = None
        self._executors: dict[RunsIn, Executor] = {
            "thread": ThreadExecutor(),
            "loop": LateExecutor(self._make_loop),
            "process": LateExecutor(self._make_pool),
        }
        roles = make_roles(
            *(self._lanes, self._settings, self._events, self._inbox, self._executors, clock),
            crash_notes_here(),
        )
        self._in_flight, self._policies, self._dispatcher = roles[:3]
        self._acknowledger, self._heartbeat = roles.acknowledger, roles.heartbeat
        self._health, self._pollers = roles.health, roles.pollers

    def _make_loop(self) -> Executor:
        # Imported here: asyncio takes a tenth of the start time.
        from sqsw.worker.executors.loop import LoopExecutor

        self._loop = LoopExecutor(on_end=lambda error: self._inbox.post("fail", "error", error))
        return self._loop

    def _make_pool(self) -> Executor:
        from sqsw.worker.executors.processes import ProcessExecutor

        self._pool = ProcessExecutor(self._load)
        return self._pool

    # These can be called from any thread.

    def stop(self, reason: str = "stop") -> None:
        """Begin to drain. ``run`` returns after the drain."""
        self._inbox.post("drain", reason)

    def quiet(self) -> None:
        """Stop receiving, run what is in hand, and keep the process alive."""
        self._inbox.post("quiet", "quiet")

    def describe_slots(self) -> str:
        """Return every busy slot as text: queue, job, id, run time, lease left and stack."""
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
            # If a pool process runs the job, the thread of the run only waits for it.
            lines.append((pool and pool.stack_of(run)) or stack_of(run))
        which = f"process {os.getpid()}:\n" if is_child() else ""
        return which + ("".join(lines) or "no slot is busy\n")

    # All that follows runs in the thread that calls ``run``, except ``_job_stuck`` and
    # ``_run_awaitable``.

    def run(self) -> WorkerReport:
        """Work until a signal, a shutdown policy or ``stop()``.

        Raises
        ------
        QueueNotFound, AccessDenied, SettingsError
            The first receive of a lane failed: its queue is missing or cannot be read. The worker
            has stopped.
        JobNotStarted, AppLoadError
            No job could be started for a minute. The worker has stopped.
        SQSError
            A job ended the event loop that all async jobs share. The worker has stopped.
        RuntimeError
            The worker has run before.
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
        token = job_runtime.set(runtime)  # executors copy it into the context of each job
        try:
            self._heartbeat.start()
            self._acknowledger.start()
            for executor in self._executors.values():
                executor.start()
        finally:
            job_runtime.reset(token)
        names = tuple(lane.name for lane in self._lanes)
        self._events.publish(WorkerStarted(names, self._in_flight.slots()))
        self._pulse()  # before the first job, which can hold the interpreter lock
        for poller in self._pollers:
            poller.start()
        for companion in self._companions:
            companion.start()

    def _job_stuck(self, job: CurrentJob) -> None:
        for message in job.messages:
            self._events.publish(JobStuck(message, job.job_name))
        self.stop("stuck_job")

    def _run_awaitable(self, awaitable: Awaitable[Any]) -> Any:
        from sqsw.worker.executors.handover import Handover  # few jobs need it

        return Handover(awaitable).wait(self._executors["loop"], lambda: self._is_over)

    def _wait(self) -> InboxNotice:
        """Wait for the notice that ends the work, and return it."""
        final: list[InboxNotice] = []
        while not final:
            timeout = self._pulse()
            if self._policies.end_polls():
                timeout = min(_CHECK_SECONDS, timeout)
            if self._policies.is_rationed:
                timeout = min(_RATION_SECONDS, timeout)
                self._policies.update_permits()
                self._dispatcher.start_due()
            # All of them are handled, also those after the first final one.
            final = [notice for notice in self._inbox.wait(timeout) if self._handle(notice)]
        return final[0]

    def _pulse(self) -> float:
        """Do the work of each second if it is due; return the seconds until the next time."""
        now = self._clock()
        if now >= self._pulse_at:
            self._pulse_at = now + PULSE_SECONDS
            self._in_flight.note_slow_runs()
            blocked_seconds = 0.0 if self._loop is None else self._loop.blocked_seconds()
            self._events.publish(self._health.pulse(blocked_seconds))
            # Nobody else looks at lists that have waited before others come.
            self._dispatcher.start_due()
            self._release_without_permits()
        return max(0.0, self._pulse_at - now)

    def _release_without_permits(self) -> None:
        """Return the waiting messages of lanes that had no permits left at two pulses in a row.

        They cannot start here, but another worker can run them.
        """
        without = set()
        for lane in self._lanes:
            left = self._in_flight.permits_left(lane)
            if left is not None and left <= 0:
                without.add(lane.name)
                if lane.name in self._without_permits:
                    self._dispatcher.release(lane)
        self._without_permits = without

    def _handle(self, notice: InboxNotice) -> bool:
        """Act on a notice; return whether it ends the work."""
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
        is_second = self._signal_counter.has_second
        if self._forced_by is None and (notice.verb == "force" or is_second):
            self._forced_by = notice
        return notice.verb in ("drain", "force", "fail")

    def _close_decided(self, reason: str) -> bool:
        """Close the lanes whose policies decided to stop; return whether all lanes are closed."""
        lanes = [lane for decided, _ in self._policies.decided() for lane in decided]
        for poller in self._pollers:
            if poller.lane in lanes:
                poller.quiet()
        self._dispatcher.close(lanes)
        return len(lanes) == len(self._lanes)

    def _be_quiet(self, notice: InboxNotice) -> None:
        if self._health.state == "receiving":
            running = self._running_messages()
            self._events.publish(QuietStarted(notice.reason, running, _how_to_receive_again()))
        self._stop_receiving("quiet")
        self._pulse_at = float("-inf")  # so health checks see the new state at once

    def _stop_receiving(self, state: Receiving) -> None:
        """Start no more receives. Messages that were received still run."""
        self._health.receives_no_more(state)
        for poller in self._pollers:
            poller.quiet()
        for companion in self._companions:
            companion.close()

    def _running_messages(self) -> int:
        return sum(len(run.deliveries) for run in self._in_flight.running())

    def _drain(self, stopped_by: InboxNotice) -> None:
        """Return what has not started and let running jobs finish.

        This ends when nothing is in hand, at the deadline, or at a second signal.
        """
        seconds = self._settings.drain_seconds
        deadline = self._clock() + seconds
        running, waiting = self._running_messages(), self._in_flight.unstarted()
        self._events.publish(DrainStarted(stopped_by.reason, running, waiting, seconds))
        self._stop_receiving("draining")
        self._end_open_receives()
        self._dispatcher.close(self._lanes)
        self._in_flight.hurry()
        self._pulse_at = float("-inf")  # so health checks see the new state at once
        while not (self._is_drained() or self._forced_by or self._clock() >= deadline):
            for poller in self._pollers:
                poller.end_poll()
            self._pulse()
            for notice in self._inbox.wait(_CHECK_SECONDS):
                self._handle(notice)

    def _end_open_receives(self) -> None:
        # Before messages are returned: an open receive would be the first to get them again. This
        # asks until none is open, because a request that is still on its way cannot be ended yet.
        deadline = self._clock() + _END_POLLS_SECONDS
        while self._clock() < deadline:
            ended = [poller.lane.end_polls() for poller in self._pollers if poller.is_alive()]
            if not any(ended):
                return
            time.sleep(_END_POLLS_SECONDS / 20)

    def _is_drained(self) -> bool:
        # In this order: the messages of a last receive are in hand before its thread ends.
        return not any(poller.is_alive() for poller in self._pollers) and self._in_flight.is_empty()

    def _stop(self, seconds: float) -> int:
        """Return everything and end the threads; return how many messages still ran."""
        now = self._clock()
        self._is_over = True
        self._stop_receiving("draining")
        unfinished = self._dispatcher.abandon()
        # Another worker can run these jobs in a moment, so they end here as soon as they can.
        for executor in self._executors.values():
            executor.stop(now if unfinished else now + 0.2)
        deadline = now + seconds
        for companion in self._companions:
            companion.stop(deadline - _LAST_RETURN_SECONDS)
        for poller in self._pollers:
            # Before the acknowledger stops: an open receive can get a returned message again, and
            # only the acknowledger can return it once more.
            poller.stop(deadline - _LAST_RETURN_SECONDS)
        self._acknowledger.stop(deadline)
        self._heartbeat.stop(deadline)
        return unfinished


def _how_to_receive_again() -> str:
    if is_child():
        return (
            "to receive again, send SIGHUP to the supervisor: it starts new processes; Ctrl-C "
            "ends them all; running jobs finish"
        )
    return "to receive again, restart the worker; Ctrl-C ends it; running jobs finish"
