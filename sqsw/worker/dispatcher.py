"""The dispatcher: brings messages to free slots.

1. accept    (what a receive brought: watched at once, since its visibility timeout runs already)
2. order     (one call of a message group at a time)
3. pick      (a slot is free: the next ready call, by weight)
4. judge     (how each job ended: an event, and on to the acknowledger)
5. open      (a group, if SQS will not deliver the message before again; else its rest goes back)

Made, started and stopped by ``Worker``; it has no thread of its own. One lock guards its books and
those of its parts; it is never held across a call to SQS, a listener or a job.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.errors import JobNotStarted
from sqsw.core.events import EventBus, JobStarted, MessageReceived
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.base import Executor
from sqsw.worker.gathering import Gathering
from sqsw.worker.lane import Call, Kind, Lane
from sqsw.worker.order import GroupOrder
from sqsw.worker.ready import ReadyMessages
from sqsw.worker.returns import Returns
from sqsw.worker.verdict import Lose, Put, PutBack, Verdict

logger = SafeLogger(__name__)

#: The heartbeat: keep these alive from now on.
Watch = Callable[[Lane, Sequence[Message]], None]

#: The shutdown watch: whether so many jobs may start, as a call of this lane.
MayStart = Callable[[Lane, int], bool]

#: The shutdown watch: how the jobs of a call ended.
Ended = Callable[[Lane, BatchProcessingResult], None]

#: For the start failures: a call of this kind ended, with the error if it could not be started.
Ran = Callable[[Kind, JobNotStarted | None], None]


def _never(call: Call) -> bool:
    return False


def _comes_again(call: Call, results: Iterable[ProcessingResult]) -> bool:
    """Return whether SQS delivers a message of a call again, before the messages behind it."""
    return any(
        not (result.success or call.lane.is_last_receive(message))
        for message, result in zip(call.messages, results, strict=True)
    )


class Dispatcher:
    """Knows what is in hand, and what runs next.

    Parameters
    ----------
    pools :
        Lanes that share slots, each with what they have ready.
    executors :
        Where a call of each kind runs.
    lock :
        The one lock, shared with the credits of the pools.
    watch, lose :
        Methods of the heartbeat.
    put, put_back :
        Methods of the acknowledger.
    may_start, ended :
        Methods of the shutdown watch.
    ran :
        Called after each call, before its slot is free.
    """

    def __init__(
        self,
        pools: Iterable[tuple[Sequence[Lane], ReadyMessages]],
        executors: Mapping[Kind, Executor],
        *,
        lock: threading.Lock,
        watch: Watch,
        lose: Lose,
        put: Put,
        put_back: PutBack,
        may_start: MayStart,
        ended: Ended,
        ran: Ran,
        events: EventBus,
        clock: Clock = lease_time,
    ) -> None:
        self._executors = executors
        self._lock = lock
        self._watch, self._put_back = watch, put_back
        self._may_start, self._ended, self._ran = may_start, ended, ran
        self._events = events
        self._clock = clock
        self._ready = {lane.name: ready for lanes, ready in pools for lane in lanes}
        self._order = GroupOrder(self._ready)
        self._gathering = Gathering(self._ready)
        self._verdict = Verdict(lose=lose, put=put, put_back=put_back, events=events)
        self._in_hand: Counter[str] = Counter()
        self._quiet: set[str] = set()
        self._has_ended = False
        self._running: dict[int, Call] = {}
        self.counts: Counter[str] = Counter()
        self._returns = Returns(
            put_back,
            lock=lock,
            order=self._order,
            in_hand=self._in_hand,
            counts=self.counts,
            events=events,
            clock=clock,
        )

    def start(self) -> None:
        """Nothing to do: the first ``accept`` begins."""

    def stop(self, deadline: float) -> None:
        """Start nothing any more."""
        self._put_back_all()

    def quiet(self, lane: Lane | None = None) -> None:
        """Return what has not started, and what arrives from now on; of one lane, or of all.

        A message on its last receive stays and runs: SQS would move it to the dead-letter queue.
        """
        names = [lane.name] if lane is not None else list(self._ready)
        following: list[Call] = []
        with self._lock:
            self._quiet.update(names)
            for name in names:
                self._line_up(self._gathering.take_all(name))
            back = self._take_unstarted(names, self._is_spared)
            for name in names:
                following += self._pick_all(name)
        self._returns.send(back)
        self._launch(following)

    def release(self, lane: Lane) -> None:
        """Return everything of a lane that has not started."""
        with self._lock:
            back = self._take_unstarted([lane.name], _never)
        self._returns.send(back)

    def _put_back_all(self) -> None:
        with self._lock:
            self._has_ended = True
            self._quiet.update(self._ready)
            back = self._take_unstarted(list(self._ready), _never)
        self._returns.send(back)

    def _is_spared(self, call: Call) -> bool:
        return call.is_last_chance and not self._has_ended

    def _take_unstarted(self, names: Iterable[str], keep: Callable[[Call], bool]) -> list[Call]:
        back: list[Call] = []
        for name in names:
            for call in self._ready[name].clear(name, keep):
                back += [call, *self._order.leave(call)]
            back += self._order.clear_waiting(name, keep)
            back += self._gathering.take_all(name)
            self._ready[name].credits.tell()
        return back

    # Duties 1 to 3: in, and to a slot.

    def accept(self, lane: Lane, messages: Sequence[Message], more: bool = False) -> None:
        """Take over what a receive brought; ``more``: another one for the same list follows."""
        if messages:
            self._watch(lane, messages)
            for message in messages if self._events.wants(MessageReceived) else ():
                self._events.publish(MessageReceived(message))
        back: list[Call] = []
        with self._lock:
            self._in_hand[lane.name] += len(messages)
            calls = self._gathering.cut(lane, messages, self._clock(), more)
            if lane.name in self._quiet:
                calls += self._gathering.take_all(lane.name)
            self._line_up(calls)
            if lane.name in self._quiet:
                back = self._take_unstarted([lane.name], self._is_spared)
            following = self._pick_all(lane.name)
        self._returns.send(back)
        self._launch(following)

    def start_due(self, lane: Lane) -> None:
        """Start what may start by now: lists whose time is over, and what a policy lets in."""
        with self._lock:
            self._line_up(self._gathering.take_due(lane.name, self._clock()))
            following = self._pick_all(lane.name)
        self._launch(following)

    def _line_up(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if self._order.admit(call):
                self._ready[call.lane.name].add(call)

    def _pick_all(self, lane_name: str) -> list[Call]:
        ready = self._ready[lane_name]
        calls = []
        while (call := self._pick(ready)) is not None:
            calls.append(call)
        ready.credits.tell()
        return calls

    def _pick(self, ready: ReadyMessages) -> Call | None:
        while (call := ready.pick(self._may_start)) is not None:
            if call.group is None and any(m.lease.is_lost for m in call.messages):
                owned = [message for message in call.messages if not message.lease.is_lost]
                lost = len(call.messages) - len(owned)
                self._in_hand[call.lane.name] -= lost
                self._may_start(call.lane, -lost)
                call.keep(owned)
            if call.messages:
                call.started_at = self._clock()
                self._running[id(call)] = call
                return call
            ready.end(call, None)
        return None

    def _launch(self, calls: Sequence[Call]) -> None:
        while calls:
            by_kind: dict[Kind, list[Call]] = {}
            for call in calls:
                self._announce(call)
                by_kind.setdefault(call.kind, []).append(call)
            # What takes over the slots of those that could not start, which may fail as well.
            calls = [call for kind, group in by_kind.items() for call in self._submit(kind, group)]

    def _submit(self, kind: Kind, calls: Sequence[Call]) -> list[Call]:
        """Hand over calls; those that follow them where that fails."""
        try:
            self._executors[kind].submit(calls, self.done)
        except Exception as error:  # noqa: BLE001  # these jobs have not started, whatever the error
            ends = [self._end(call, call.not_started(error)) for call in calls]
            return [following for following in ends if following is not None]
        return []

    def _announce(self, call: Call) -> None:
        if self._events.wants(JobStarted):
            for message, job_name in zip(call.messages, call.job_names, strict=True):
                is_registered = call.lane.has_job(job_name)
                self._events.publish(JobStarted(message, job_name, is_registered=is_registered))

    # Duties 4 and 5: how it ended, and what that means for its group.

    def done(self, call: Call, results: list[ProcessingResult]) -> Call | None:
        """Judge a call that ended; a call for the same executor, if one takes over the slot."""
        following = self._end(call, results)
        if following is None:
            return None
        if following.kind == call.kind:
            self._announce(following)
            return following
        self._launch([following])
        return None

    def _end(self, call: Call, results: list[ProcessingResult]) -> Call | None:
        """Judge a call; the call that takes over its slot."""
        now = self._clock()
        behind: list[Call] = []
        with self._lock:
            if id(call) not in self._running or call.ended:
                return None  # it was put back at the end of a drain, and counts no more
            call.ended = True
            if call.group is not None and _comes_again(call, results):
                # Before the failed message can be received again: it must find its group empty.
                behind = self._order.leave(call)
        outcomes: list[str] = []
        try:
            self._judge_all(call, results, now, outcomes, behind)
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever it was, the slot has to go on to the next call
            logger.exception("the end of a job of %s failed", call.lane.name)
            with self._lock:  # its policy may not have been told of the others
                self._may_start(call.lane, len(outcomes) - len(call.messages))
        finally:
            self._leave_slot(call, outcomes, now)
        return self._follow(call)

    def _judge_all(
        self,
        call: Call,
        results: Sequence[ProcessingResult],
        now: float,
        outcomes: list[str],
        behind: Iterable[Call],
    ) -> None:
        hidden = self._verdict.on(call, results, now, outcomes)
        self._returns.behind(behind, hidden)
        ended = BatchProcessingResult(call.lane.name)
        for message, outcome in zip(call.messages, outcomes, strict=True):
            if outcome != "released":
                (ended.succeeded if outcome == "done" else ended.failed).append(message)
        ended.errors = [result.error for result in results if result.error is not None]
        unstarted = None
        if "released" in outcomes:
            unstarted = next(e for e in ended.errors if isinstance(e, JobNotStarted))
            with self._lock:
                self._may_start(call.lane, -outcomes.count("released"))
        self._ran(call.kind, unstarted)
        self._ended(call.lane, ended)

    def _leave_slot(self, call: Call, outcomes: Sequence[str], now: float) -> None:
        with self._lock:
            for outcome in outcomes:
                self.counts[outcome] += 1
            self._in_hand[call.lane.name] -= outcomes.count("dropped")
            del self._running[id(call)]
            # The time of a failed start says nothing about how long jobs run.
            has_run = "released" not in outcomes
            self._ready[call.lane.name].end(call, now - call.started_at if has_run else None)

    def _follow(self, call: Call) -> Call | None:
        """The call that takes over the slot of this one."""
        lane = call.lane
        ready = self._ready[lane.name]
        with self._lock:
            if lane.batch_size > 1:
                self._line_up(self._gathering.take_due(lane.name, self._clock()))
            following = self._pick(ready)
            ready.credits.tell()
        return following

    def acknowledged(self, lane: Lane, messages: Sequence[Message], deleted: bool) -> None:
        """The acknowledger has finished with these messages: they are out of hand."""
        behind: list[Call] = []
        following: list[Call] = []
        hidden = 0
        with self._lock:
            self._in_hand[lane.name] -= len(messages)
            for message in messages if lane.is_fifo else ():
                next_call, back = self._order.told(message, deleted)
                if next_call is not None:
                    self._ready[lane.name].add(next_call)
                if back:
                    # SQS would not delete it, so it comes again when its lease ends.
                    hidden = max(hidden, int(message.lease.expires_at - self._clock()))
                    behind += back
            if lane.is_fifo:
                following = self._pick_all(lane.name)
        self._returns.behind(behind, hidden)
        self._launch(following)

    def lost(self, lane: Lane, message: Message) -> None:
        """The lease of a message in hand is over: what comes after it in its group goes back."""
        with self._lock:
            self.counts["lease_lost"] += 1
            running = next((c for c in self._running.values() if message in c.messages), None)
            back = self._order.lost(message, running is not None)
            self._ready[lane.name].credits.tell()
        self._returns.behind(back, 0)
        if running is not None and all(m.lease.is_lost for m in running.messages):
            self._executors[running.kind].cancel(running)

    # What others ask.

    def in_hand(self, lane: Lane) -> int:
        """Messages of a lane that were received and not yet acknowledged."""
        return self._in_hand[lane.name]

    def running(self) -> list[Call]:
        """What runs now."""
        with self._lock:
            return list(self._running.values())

    def look_at_slow_calls(self) -> None:
        """Count what has run for long and not ended, each call once; to be called every second."""
        now = self._clock()
        with self._lock:
            for call in self._running.values():
                if not call.is_slow:
                    credits = self._ready[call.lane.name].credits
                    call.is_slow = credits.still_runs(call.lane.name, now - call.started_at)

    def waiting(self) -> int:
        """Calls that have not started."""
        with self._lock:
            waiting = sum(ready.credits.waiting(name) for name, ready in self._ready.items())
            return waiting + self._gathering.waiting()

    def waiting_of(self, lane: Lane) -> int:
        """Return the number of a lane's calls that wait for a slot or for their group."""
        return self._ready[lane.name].credits.waiting(lane.name)

    def gathering_seconds(self, lane: Lane) -> float | None:
        """When a list of a lane has to go that is being gathered, in seconds from now."""
        if lane.batch_size == 1:
            return None
        with self._lock:
            due = self._gathering.next_due(lane.name)
        return None if due is None else due - self._clock()

    def abandon(self) -> int:
        """Return everything, and return how many messages still ran; their results do not count."""
        self._put_back_all()
        with self._lock:
            calls = [call for call in self._running.values() if not call.ended]
            for call in calls:
                del self._running[id(call)]
        count = 0
        for call in calls:
            owned = [message for message in call.messages if not message.lease.is_lost]
            for message in owned:
                message.lease.lose()  # the job may look, and end early
            self._put_back(call.lane, owned, 0, True)
            count += len(call.messages)
        return count
