"""The worker: makes the roles, introduces them to each other, starts and stops them.

1. start     (heartbeat, acknowledger, executors, dispatcher, pollers: end of the line first)
2. wait      (for a signal, a shutdown policy, ``stop()``)
3. drain     (no more receives; unstarted messages go back; running jobs finish)
4. stop      (the roles, reversed; put back what still runs)

The thread that calls ``run`` does nothing else: a signal is acted on at once.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.current_job import CurrentJob
from sqsw.core.events import (
    DrainStarted,
    EventBus,
    JobStuck,
    Receiving,
    WorkerStarted,
    WorkerStopped,
)
from sqsw.core.job_host import JobHost, Load, job_host
from sqsw.core.message import Message
from sqsw.core.settings import WorkerSettings
from sqsw.core.worker_report import WorkerReport
from sqsw.worker.acknowledger import Acknowledger
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.executors.base import Executor, stack_of
from sqsw.worker.executors.late import LateExecutor
from sqsw.worker.executors.threads import ThreadExecutor
from sqsw.worker.heartbeat import Heartbeat, beat_seconds, shortest_lease
from sqsw.worker.lane import Kind, Lane, Poll
from sqsw.worker.pace import Pace
from sqsw.worker.poller import Poller
from sqsw.worker.ready import ReadyMessages, make_pools
from sqsw.worker.shutdown_watch import ShutdownWatch
from sqsw.worker.signals import Notice, Presses, SignalInbox, is_child
from sqsw.worker.vital_signs import PULSE_SECONDS, VitalSigns

if TYPE_CHECKING:
    from sqsw.worker.executors.processes import ProcessExecutor

#: seconds between two looks during a drain, and while polls are to end
_LOOK_SECONDS = 0.02

#: seconds between two looks whether more jobs may start
_RATION_SECONDS = 0.1

#: seconds beyond the drain to put back what is still in hand, and the same after a second signal
_LAST_CALLS_SECONDS, _FORCED_SECONDS = 2.0, 1.5


def _make_loop() -> Executor:
    # Not before it is needed: asyncio is a tenth of the time that a start takes.
    from sqsw.worker.executors.loop import LoopExecutor

    return LoopExecutor()


class Role(Protocol):
    """The verbs of every role. Each may be called twice; ``stop`` without ``start`` is harmless."""

    def start(self) -> None: ...
    def quiet(self) -> None: ...
    def stop(self, deadline: float) -> None: ...


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
        clock: Clock = time.monotonic,
    ) -> None:
        self._load = load
        self._lanes = list(lanes)
        self._settings = settings or WorkerSettings()
        self._events = events or EventBus()
        self._clock = clock
        self._inbox = SignalInbox()
        self._has_run = False
        self._quiet_lanes: set[str] = set()
        self._signals = 0
        self._presses = Presses(clock)
        self._forced_by: Notice | None = None
        self._vital_signs = VitalSigns(self._lanes, self._clock)
        self._pulse_at = float("-inf")
        self._useless: set[str] = set()
        self._pool: ProcessExecutor | None = None
        self._introduce()

    def _introduce(self) -> None:
        """Make the roles from the end of the line to its beginning."""
        settings, events = self._settings, self._events
        self._pace = Pace()
        self._heartbeat = Heartbeat(
            events=events,
            on_lost=self._lost,
            is_acknowledging=self._is_acknowledging,
            renew=settings.heartbeat,
            interval=beat_seconds(self._lanes),
            shortest_lease=shortest_lease(self._lanes),
            clock=self._clock,
        )
        self._acknowledger = Acknowledger(
            events=events,
            forget=self._forget,
            on_acknowledged=self._acknowledged,
            on_batch=self._batch_finished,
            linger_seconds=settings.ack_linger_seconds,
            pace=self._pace,
            clock=self._clock,
        )
        self._executors: dict[Kind, Executor] = {
            "thread": ThreadExecutor(),
            "loop": LateExecutor(_make_loop),
            "process": LateExecutor(self._make_pool),
        }
        lock = threading.Lock()
        self._pools = make_pools(self._lanes, settings, lock)
        self._dispatcher = Dispatcher(
            self._pools,
            self._executors,
            lock=lock,
            watch=self._heartbeat.watch,
            lose=self._heartbeat.lose,
            put=self._acknowledger.put,
            put_back=self._acknowledger.put_back,
            may_start=self._may_start,
            ended=self._ended,
            events=events,
            clock=self._clock,
        )
        self._watch = ShutdownWatch(
            self._lanes,
            in_hand=self._dispatcher.in_hand,
            on_decided=self._lanes_decided,
            on_idle=lambda: self._inbox.post("look", "idle"),
            wait_seconds=settings.wait_seconds,
        )
        self._pollers = [
            self._make_poller(lane, ready) for pool, ready in self._pools for lane in pool
        ]

    def _make_pool(self) -> Executor:
        from sqsw.worker.executors.processes import ProcessExecutor

        self._pool = ProcessExecutor(self._load)
        return self._pool

    def _make_poller(self, lane: Lane, ready: ReadyMessages) -> Poller:
        return Poller(
            lane,
            ready.credits,
            accept=self._dispatcher.accept,
            room=self._watch.room,
            poll_begins=self._poll_begins,
            poll_ended=self._poll_ended,
            gathering_seconds=self._dispatcher.gathering_seconds,
            after_receive=self._acknowledger.after_receive,
            on_fatal=lambda error: self._inbox.post("fail", "error", error),
            events=self._events,
            pace=self._pace,
            clock=self._clock,
        )

    # What others may call, from any thread.

    def stop(self, reason: str = "stop") -> None:
        """Begin to drain; ``run`` returns when that is done."""
        self._inbox.post("drain", reason)

    def quiet(self) -> None:
        """Receive no more, run what is in hand, and stay."""
        self._inbox.post("quiet", "quiet")

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
        with self._inbox:
            try:
                self._start()
                stopped_by = self._wait()
                self._drain(stopped_by)
            except BaseException:
                self._stop(_FORCED_SECONDS)
                raise
            forced = self._forced_by is not None
            unfinished = self._stop(_FORCED_SECONDS if forced else _LAST_CALLS_SECONDS)
        reason = (self._forced_by or stopped_by).reason
        self._events.publish(WorkerStopped(reason, unfinished))
        if stopped_by.error is not None:
            raise stopped_by.error
        return self._report(reason, unfinished)

    def _start(self) -> None:
        slots = sum(ready.credits.slots for _, ready in self._pools)
        self._vital_signs.slots = slots
        back: list[Role] = [self._heartbeat, self._acknowledger, *self._executors.values()]
        host = JobHost(time_limit=self._settings.time_limit, on_stuck=self._job_stuck)
        token = job_host.set(host)  # executors give it to their jobs
        for role in back:
            role.start()
        job_host.reset(token)
        self._events.publish(WorkerStarted(tuple(lane.name for lane in self._lanes), slots))
        front: list[Role] = [self._dispatcher, self._watch, *self._pollers]
        for role in front:
            role.start()

    def _wait(self) -> Notice:
        ends: list[Notice] = []
        while not ends:
            left = self._pulse()
            timeout = min(_LOOK_SECONDS, left) if self._watch.end_polls() else left
            if self._watch.is_rationed:
                timeout = min(_RATION_SECONDS, timeout)
                self._start_what_may()
            ends = [notice for notice in self._inbox.wait(timeout) if self._is_end(notice)]
        return ends[0]

    def _pulse(self) -> float:
        """Give a sign of life, if it is time; seconds until the next one."""
        now = self._clock()
        if now >= self._pulse_at:
            self._pulse_at = now + PULSE_SECONDS
            self._dispatcher.look_at_slow_calls()
            self._events.publish(self._vital_signs.pulse(self._dispatcher, self._heartbeat))
            self._release_useless()
        return max(0.0, self._pulse_at - now)

    def _receives_no_more(self, state: Receiving) -> None:
        self._vital_signs.receives_no_more(state)
        self._pulse_at = float("-inf")  # who looks is to know now

    def _start_what_may(self) -> None:
        """Messages that waited for tickets: nobody else looks at them before others come."""
        for lane in self._lanes:
            if self._watch.room(lane) > 0:
                self._dispatcher.accept(lane, ())

    def _release_useless(self) -> None:
        """Put back what waits though no more jobs may start, for two looks: others may run it."""
        useless = {lane.name for lane in self._lanes if self._watch.room(lane) <= 0}
        for lane in self._lanes:
            if lane.name in useless & self._useless:
                self._dispatcher.release(lane)
        self._useless = useless

    def _is_end(self, notice: Notice) -> bool:
        """Act on a notice; whether it ends the work."""
        if notice.verb == "slots":
            # Closed, gone (pythonw) or a broken pipe: nobody reads, and the work goes on.
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(self.describe_slots())
                sys.stderr.flush()
        elif notice.verb == "quiet":
            self._receives_no_more("quiet")
            for poller in self._pollers:
                poller.quiet()
        if notice.verb == "drain" and notice.is_signal:
            self._signals += self._presses.is_new(notice.reason)
        if notice.verb == "force" or self._signals > 1:
            self._forced_by = notice
        return notice.verb in ("drain", "force", "fail")

    def _drain(self, stopped_by: Notice) -> None:
        """Finish what is in hand, until the deadline or a second signal."""
        self._receives_no_more("draining")
        deadline = self._clock() + self._settings.drain_seconds
        running = sum(len(call.messages) for call in self._dispatcher.running())
        self._events.publish(
            DrainStarted(
                stopped_by.reason,
                running,
                self._dispatcher.waiting(),
                self._settings.drain_seconds,
            )
        )
        for poller in self._pollers:
            poller.quiet()
        self._dispatcher.quiet()
        self._acknowledger.quiet()
        while not (self._is_drained() or self._forced_by or self._clock() >= deadline):
            for poller in self._pollers:
                poller.end_poll()
            self._pulse()
            for notice in self._inbox.wait(_LOOK_SECONDS):
                self._is_end(notice)

    def _is_drained(self) -> bool:
        # Asked in this order: what a last poll brings is in hand before its thread ends.
        return not any(poller.is_alive() for poller in self._pollers) and not any(
            self._dispatcher.in_hand(lane) for lane in self._lanes
        )

    def _stop(self, last_calls_seconds: float) -> int:
        """Stop the roles, from the beginning of the line to its end; how many jobs still ran."""
        now = self._clock()
        for poller in self._pollers:
            poller.quiet()
        self._dispatcher.quiet()
        unfinished = self._dispatcher.abandon()
        # What was put back may run elsewhere within a moment: here it ends now, where it can be.
        for executor in self._executors.values():
            executor.stop(now if unfinished else now + 0.2)
        for poller in self._pollers:
            poller.stop(now)
        self._watch.stop(now)
        self._dispatcher.stop(now)
        deadline = now + last_calls_seconds
        self._acknowledger.stop(deadline)
        self._heartbeat.stop(deadline)
        return unfinished

    def _job_stuck(self, job: CurrentJob) -> None:
        for message in job.messages:
            self._events.publish(JobStuck(message, job.job_name))
        self.stop("stuck_job")

    # What the roles call; methods here, since they are made one after the other.

    def _lost(self, lane: Lane, message: Message) -> None:
        self._dispatcher.lost(lane, message)

    def _is_acknowledging(self, message: Message) -> bool:
        return self._acknowledger.holds(message)

    def _acknowledged(self, lane: Lane, messages: Sequence[Message], deleted: bool) -> None:
        self._dispatcher.acknowledged(lane, messages, deleted)

    def _batch_finished(self, lane: Lane, result: BatchProcessingResult) -> None:
        self._watch.acknowledged(lane)

    def _may_start(self, lane: Lane, count: int) -> bool:
        return self._watch.may_start(lane, count)

    def _ended(self, lane: Lane, result: BatchProcessingResult) -> None:
        self._watch.ended(lane, result)

    def _poll_begins(self, lane: Lane) -> Poll:
        self._vital_signs.poll_begins(lane)
        return self._watch.poll_begins(lane)

    def _poll_ended(self, lane: Lane, poll: Poll, count: int) -> None:
        self._vital_signs.poll_ended(lane)
        self._watch.poll_ended(lane, poll, count)

    def _forget(self, messages: Sequence[Message], seconds: float) -> None:
        if self._forced_by:
            seconds = min(seconds, _FORCED_SECONDS / 2)
        self._heartbeat.forget(messages, seconds)

    def _lanes_decided(self, lanes: Sequence[Lane], reason: str) -> None:
        for lane in lanes:
            self._quiet_lanes.add(lane.name)
            for poller in self._pollers:
                if poller.lane is lane:
                    poller.quiet()
            self._dispatcher.quiet(lane)
        if len(self._quiet_lanes) == len(self._lanes):
            self.stop(reason)

    # What it tells.

    def describe_slots(self) -> str:
        """Every slot in use as text: queue, job, id, running for, lease left, stack."""
        now = self._clock()
        lines = []
        for call in self._dispatcher.running():
            for message, job_name in zip(call.messages, call.job_names, strict=True):
                lines.append(
                    f"{call.lane.name} {job_name or '-'} {message.message_id} "
                    f"running for {now - call.started_at:.1f}s, "
                    f"lease left {message.lease.expires_at - now:.1f}s\n"
                )
            lines.append(stack_of(call))
            if self._pool is not None:
                lines.append(self._pool.stack_of(call))
        which = f"process {os.getpid()}:\n" if is_child() else ""
        return which + ("".join(lines) or "no slot is busy\n")

    def _report(self, reason: str, unfinished: int) -> WorkerReport:
        counts = self._dispatcher.counts
        requests = self._heartbeat.requests + self._acknowledger.requests
        return WorkerReport(
            done=counts["done"],
            failed=counts["failed"],
            retried=counts["retried"],
            unknown=counts["unknown"],
            released=counts["released"],
            lease_lost=counts["lease_lost"],
            unfinished=unfinished,
            stopped_by=reason,
            forced=self._forced_by is not None,
            requests=requests + sum(poller.requests for poller in self._pollers),
        )
