"""The roles of a worker: made, introduced to each other, started and stopped in order.

1. make      (from the end of the line to its beginning, each with methods of the next one)
2. start     (heartbeat, acknowledger, executors, dispatcher, pollers: end of the line first)
3. quiet     (no more receives; unstarted messages go back, except on their last receive)
4. stop      (reversed; what still runs is put back)
"""

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.events import EventBus, JobStuck, Receiving, WorkerStarted
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.jobs.runtime import JobRuntime, Load, job_runtime
from sqsw.core.message import Message
from sqsw.core.settings import WorkerSettings
from sqsw.worker.acknowledger import Acknowledger
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.executors.base import Executor
from sqsw.worker.executors.late import LateExecutor
from sqsw.worker.executors.threads import ThreadExecutor
from sqsw.worker.heartbeat import Heartbeat, beat_seconds, shortest_lease
from sqsw.worker.lane import Kind, Lane, Poll
from sqsw.worker.pace import Pace
from sqsw.worker.poller import Poller
from sqsw.worker.ready import ReadyMessages, make_pools
from sqsw.worker.shutdown_watch import ShutdownWatch
from sqsw.worker.start_failures import StartFailures
from sqsw.worker.vital_signs import VitalSigns

if TYPE_CHECKING:
    from sqsw.worker.executors.processes import ProcessExecutor

#: seconds to put back what is still in hand, after a drain and after a second signal
_LAST_CALLS_SECONDS, _FORCED_SECONDS = 2.0, 1.5

#: how many times the messages of one receive and one group must fit into a drain, by their average
#: time, because some take much longer than the average
_LINES_IN_A_DRAIN = 5

#: seconds until receives have ended that can be ended, before messages go back
_END_POLLS_SECONDS = 0.2

#: seconds of those that are kept to put back what the last receive brings
_LAST_RETURN_SECONDS = 0.5


class Role(Protocol):
    """The verbs of every role. Each may be called twice; ``stop`` without ``start`` is harmless."""

    def start(self) -> None: ...
    def quiet(self) -> None: ...
    def stop(self, deadline: float) -> None: ...


class Roles:
    """All roles of one worker.

    Parameters
    ----------
    load :
        Finds the functions of jobs in the processes of the pool.
    end :
        Called with a reason when the worker is to drain.
    fail :
        Called where the very first receive shows that there is nothing to receive from.
    look :
        Called when the worker is to look at its polls.

    Attributes
    ----------
    pool :
        The processes of the pool, once there are any.
    is_forced :
        Set after a second signal: nothing is waited for as long as else.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        settings: WorkerSettings,
        events: EventBus,
        *,
        load: Load | None,
        end: Callable[[str], None],
        fail: Callable[[BaseException], None],
        look: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._lanes, self._settings, self._events = lanes, settings, events
        self._load, self._end, self._fail = load, end, fail
        self._clock = clock
        self._quiet_lanes: set[str] = set()
        self._pace = Pace()
        self.pool: ProcessExecutor | None = None
        self.is_forced = False
        self._is_over = False
        self.vital_signs = VitalSigns(lanes, clock)
        self._make_back()
        self._make_front(look)

    def _make_back(self) -> None:
        """From the end of the line."""
        settings, events = self._settings, self._events
        self.heartbeat = Heartbeat(
            events=events,
            on_lost=self._lost,
            is_acknowledging=self._is_acknowledging,
            renew=settings.heartbeat,
            interval=beat_seconds(self._lanes),
            shortest_lease=shortest_lease(self._lanes),
            clock=self._clock,
        )
        self.acknowledger = Acknowledger(
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
            "loop": LateExecutor(self._make_loop),
            "process": LateExecutor(self._make_pool),
        }

    def _make_front(self, look: Callable[[], None]) -> None:
        """To its beginning."""
        lock = threading.Lock()
        pools = make_pools(self._lanes, self._settings, lock)
        self.start_failures = StartFailures(
            lambda kind: self._executors[kind].check(), self._fail, self._clock
        )
        self.vital_signs.start_problem = self.start_failures.problem
        self.vital_signs.slots = sum(ready.credits.slots for _, ready in pools)
        self.dispatcher = Dispatcher(
            pools,
            self._executors,
            lock=lock,
            watch=self.heartbeat.watch,
            lose=self.heartbeat.lose,
            put=self.acknowledger.put,
            put_back=self.acknowledger.put_back,
            may_start=self._may_start,
            ended=self._ended,
            ran=self.start_failures.ran,
            events=self._events,
            clock=self._clock,
        )
        self.watch = ShutdownWatch(
            self._lanes,
            in_hand=self.dispatcher.in_hand,
            waiting=self.dispatcher.waiting_of,
            on_decided=self._lanes_decided,
            on_idle=look,
            wait_seconds=self._settings.wait_seconds,
        )
        self.pollers = [self._make_poller(lane, ready) for pool, ready in pools for lane in pool]

    def _make_loop(self) -> Executor:
        # Imported late: asyncio takes a tenth of the start time.
        from sqsw.worker.executors.loop import LoopExecutor

        return LoopExecutor(on_end=self._fail)

    def _make_pool(self) -> Executor:
        from sqsw.worker.executors.processes import ProcessExecutor

        self.pool = ProcessExecutor(self._load)
        return self.pool

    def _make_poller(self, lane: Lane, ready: ReadyMessages) -> Poller:
        return Poller(
            lane,
            ready.credits,
            accept=self.dispatcher.accept,
            room=self._room,
            poll_begins=self._poll_begins,
            poll_ended=self._poll_ended,
            gathering_seconds=self.dispatcher.gathering_seconds,
            after_receive=self.acknowledger.after_receive,
            line_seconds=self._settings.drain_seconds / _LINES_IN_A_DRAIN,
            on_fatal=self._fail,
            events=self._events,
            pace=self._pace,
            clock=self._clock,
        )

    # The verbs.

    def start(self) -> None:
        """Begin to work."""
        back: list[Role] = [self.heartbeat, self.acknowledger, *self._executors.values()]
        runtime = JobRuntime(
            time_limit=self._settings.time_limit,
            on_stuck=self._job_stuck,
            run_awaitable=self._run_awaitable,
        )
        token = job_runtime.set(runtime)  # executors give it to their jobs
        try:
            for role in back:
                role.start()
        finally:
            job_runtime.reset(token)
        names = tuple(lane.name for lane in self._lanes)
        self._events.publish(WorkerStarted(names, self.vital_signs.slots))
        front: list[Role] = [self.dispatcher, self.watch, *self.pollers]
        for role in front:
            role.start()

    def receive_no_more(self, state: Receiving) -> None:
        """End the receives, quiet or draining; what has come is worked on."""
        self.vital_signs.receives_no_more(state)
        for poller in self.pollers:
            poller.quiet()

    def quiet(self) -> None:
        """Only finish what runs."""
        self.receive_no_more("draining")
        # An open receive is the first to get what goes back now. It is asked again: one that is on
        # its way to the other side does not wait there yet, and is not ended.
        deadline = self._clock() + _END_POLLS_SECONDS
        while self._can_end_polls() and self._clock() < deadline:
            time.sleep(_END_POLLS_SECONDS / 20)
        self.dispatcher.quiet()
        self.acknowledger.quiet()

    def end_polls(self) -> None:
        """End the receives that wait, where the other side can do that."""
        for poller in self.pollers:
            poller.end_poll()

    def _can_end_polls(self) -> bool:
        can_end = [poller.lane.end_polls() for poller in self.pollers if poller.is_alive()]
        return any(can_end)

    def running(self) -> list[Message]:
        """The messages whose jobs run now."""
        return [message for call in self.dispatcher.running() for message in call.messages]

    def is_drained(self) -> bool:
        """Whether nothing is in hand any more."""
        # Asked in this order: what a last poll brings is in hand before its thread ends.
        return not any(poller.is_alive() for poller in self.pollers) and not any(
            self.dispatcher.in_hand(lane) for lane in self._lanes
        )

    def stop(self) -> int:
        """Put back what still runs, and end; how many messages that were."""
        now = self._clock()
        self._is_over = True
        self.receive_no_more("draining")
        unfinished = self.dispatcher.abandon()
        # What was put back may run elsewhere within a moment: here it ends now, where it can be.
        for executor in self._executors.values():
            executor.stop(now if unfinished else now + 0.2)
        deadline = now + (_FORCED_SECONDS if self.is_forced else _LAST_CALLS_SECONDS)
        for poller in self.pollers:
            # What was put back just now may come in again here: an open receive is the first to
            # get it, and would leave it in flight.
            poller.stop(deadline - _LAST_RETURN_SECONDS)
        self.watch.stop(now)
        self.dispatcher.stop(now)
        self.acknowledger.stop(deadline)
        self.heartbeat.stop(deadline)
        return unfinished

    def counts(self) -> dict[str, int]:
        """What was done, by the names of the report."""
        requests = self.heartbeat.requests + self.acknowledger.requests
        requests += sum(poller.requests for poller in self.pollers)
        return {**self.dispatcher.counts, "requests": requests}

    # What the roles call; methods here, since they are made one after the other.

    def _lost(self, lane: Lane, message: Message) -> None:
        self.dispatcher.lost(lane, message)

    def _is_acknowledging(self, message: Message) -> bool:
        return self.acknowledger.holds(message)

    def _acknowledged(self, lane: Lane, messages: Sequence[Message], deleted: bool) -> None:
        self.dispatcher.acknowledged(lane, messages, deleted)

    def _batch_finished(self, lane: Lane, result: BatchProcessingResult) -> None:
        self.watch.acknowledged(lane)

    def _may_start(self, lane: Lane, count: int) -> bool:
        return self.watch.may_start(lane, count)

    def _ended(self, lane: Lane, result: BatchProcessingResult) -> None:
        if result.total_count():  # an empty result would mean that the queue is idle
            self.watch.ended(lane, result)

    def _room(self, lane: Lane) -> float:
        return min(self.watch.wanted(lane), self.start_failures.room())

    def _poll_begins(self, lane: Lane) -> Poll:
        poll = self.watch.poll_begins(lane)
        self.vital_signs.poll_begins(lane)
        return poll

    def _poll_ended(self, lane: Lane, poll: Poll, count: int | None) -> None:
        self.vital_signs.poll_ended(lane, count is not None)
        self.watch.poll_ended(lane, poll, count)

    def _forget(self, messages: Sequence[Message], seconds: float) -> None:
        if self.is_forced:
            seconds = min(seconds, _FORCED_SECONDS / 2)
        self.heartbeat.forget(messages, seconds)

    def _job_stuck(self, job: CurrentJob) -> None:
        for message in job.messages:
            self._events.publish(JobStuck(message, job.job_name))
        self._end("stuck_job")

    def _run_awaitable(self, awaitable: Awaitable[Any]) -> Any:
        from sqsw.worker.executors.handover import Handover  # few jobs need it

        return Handover(awaitable).wait(self._executors["loop"], lambda: self._is_over)

    def _lanes_decided(self, lanes: Sequence[Lane], reason: str) -> None:
        for lane in lanes:
            self._quiet_lanes.add(lane.name)
            for poller in self.pollers:
                if poller.lane is lane:
                    poller.quiet()
            self.dispatcher.quiet(lane)
        if len(self._quiet_lanes) == len(self._lanes):
            self._end(reason)
