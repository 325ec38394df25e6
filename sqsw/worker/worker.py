"""The worker: from its start to its end.

1. start     (the roles)
2. wait      (for a signal, a shutdown policy, ``stop()``)
3. drain     (no more receives; most unstarted messages go back; running jobs finish)
4. stop      (the roles; put back what still runs)

The thread that calls ``run`` does nothing else: a signal is acted on at once.
"""

import os
from collections.abc import Sequence

from sqsw.core.contracts import Clock
from sqsw.core.delivery import is_handing_over
from sqsw.core.events import DrainStarted, EventBus, QuietStarted, WorkerStopped
from sqsw.core.jobs.runtime import Load
from sqsw.core.lease_clock import lease_time
from sqsw.core.reports import WorkerReport, report_of
from sqsw.core.safe_logger import LOG
from sqsw.core.settings import WorkerSettings
from sqsw.core.standard_error import write_error_text
from sqsw.core.wording import safe, shortened
from sqsw.worker.executors.base import stack_of
from sqsw.worker.lane import Lane
from sqsw.worker.roles import Roles
from sqsw.worker.signals import InboxNotice, SignalCounter, SignalInbox, is_child
from sqsw.worker.vital_signs import PULSE_SECONDS

#: seconds between two looks during a drain, and while polls are to end
_LOOK_SECONDS = 0.02

#: seconds between two looks whether more jobs may start
_RATION_SECONDS = 0.1


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
        self._clock = clock
        self._inbox = SignalInbox()
        self._has_run = False
        self._signal_counter = SignalCounter(clock)
        self._forced_by: InboxNotice | None = None
        self._pulse_at = float("-inf")
        self._useless: set[str] = set()
        self._roles = Roles(
            self._lanes,
            self._settings,
            self._events,
            load=load,
            end=self.stop,
            fail=lambda error: self._inbox.post("fail", "error", error),
            look=lambda: self._inbox.post("look", "idle"),
            clock=clock,
        )

    # What others may call, from any thread.

    def stop(self, reason: str = "stop") -> None:
        """Begin to drain; ``run`` returns when that is done."""
        self._inbox.post("drain", reason)

    def quiet(self) -> None:
        """Receive no more, run what is in hand, and stay."""
        self._inbox.post("quiet", "quiet")

    def describe_slots(self) -> str:
        """Every slot in use as text: queue, job, id, running for, lease left, stack."""
        now, pool = self._clock(), self._roles.pool
        lines = []
        for call in self._roles.dispatcher.running():
            for message, job_name in zip(call.messages, call.job_names, strict=True):
                lines.append(
                    f"{call.lane.name} {safe(shortened(job_name or '-', 100))} "
                    f"{message.message_id} "
                    f"running for {now - call.started_at:.1f}s, "
                    f"lease left {message.lease.expires_at - now:.1f}s\n"
                )
            # While a process has the job, the thread of the call does nothing but wait for it.
            lines.append((pool and pool.stack_of(call)) or stack_of(call))
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
        with self._inbox:
            try:
                self._roles.start()
                stopped_by = self._wait()
                self._drain(stopped_by)
            except BaseException:
                self._roles.is_forced = True
                self._roles.stop()
                raise
            unfinished = self._roles.stop()
        reason = (self._forced_by or stopped_by).reason
        self._events.publish(WorkerStopped(reason, unfinished))
        if stopped_by.error is not None:
            raise stopped_by.error
        counts = {**self._roles.counts(), "unfinished": unfinished}
        return report_of(counts, reason, forced=self._forced_by is not None)

    def _wait(self) -> InboxNotice:
        watch = self._roles.watch
        ends: list[InboxNotice] = []
        while not ends:
            left = self._pulse()
            timeout = min(_LOOK_SECONDS, left) if watch.end_polls() else left
            if watch.is_rationed:
                timeout = min(_RATION_SECONDS, timeout)
                self._start_due()
            ends = [notice for notice in self._inbox.wait(timeout) if self._is_end(notice)]
        return ends[0]

    def _pulse(self) -> float:
        """Give a sign of life, if it is time; seconds until the next one."""
        now, roles = self._clock(), self._roles
        if now >= self._pulse_at:
            self._pulse_at = now + PULSE_SECONDS
            roles.dispatcher.look_at_slow_calls()
            self._events.publish(roles.vital_signs.pulse(roles.dispatcher, roles.heartbeat))
            self._start_due()
            self._release_useless()
        return max(0.0, self._pulse_at - now)

    def _start_due(self) -> None:
        """Nobody else looks at what waited, for permits or in a list, before others come."""
        for lane in self._lanes:
            if self._roles.watch.room(lane) > 0:
                self._roles.dispatcher.start_due(lane)

    def _release_useless(self) -> None:
        """Put back what waits though no more jobs may start, for two looks: others may run it."""
        useless = {lane.name for lane in self._lanes if self._roles.watch.room(lane) <= 0}
        for lane in self._lanes:
            if lane.name in useless & self._useless:
                self._roles.dispatcher.release(lane)
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
        elif notice.verb == "drain":
            self._signal_counter.note(notice)
        if self._forced_by is None and (notice.verb == "force" or self._signal_counter.are_two):
            self._forced_by = notice
            self._roles.is_forced = True
        return notice.verb in ("drain", "force", "fail")

    def _be_quiet(self, notice: InboxNotice) -> None:
        if self._roles.vital_signs.state == "receiving":
            running = len(self._roles.running())
            self._events.publish(QuietStarted(notice.reason, running, _how_to_go_on()))
        self._roles.receive_no_more("quiet")
        self._pulse_at = float("-inf")  # who looks is to know now

    def _drain(self, stopped_by: InboxNotice) -> None:
        """Finish what is in hand, until the deadline or a second signal."""
        roles, seconds = self._roles, self._settings.drain_seconds
        deadline = self._clock() + seconds
        running, waiting = len(roles.running()), roles.dispatcher.waiting()
        self._events.publish(DrainStarted(stopped_by.reason, running, waiting, seconds))
        roles.quiet()
        self._pulse_at = float("-inf")  # who looks is to know now
        while not (roles.is_drained() or self._forced_by or self._clock() >= deadline):
            roles.end_polls()
            self._pulse()
            for notice in self._inbox.wait(_LOOK_SECONDS):
                self._is_end(notice)


def _how_to_go_on() -> str:
    if is_child():
        return (
            "SIGHUP to the supervisor starts processes that receive; Ctrl-C ends them all; "
            "running jobs go on"
        )
    return "start the worker anew to receive again; Ctrl-C ends this one; running jobs go on"
