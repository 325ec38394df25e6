"""The register: what is in hand, where each message stands, and what runs next.

Roles act, and the register knows. It has one lock, and calls nothing while it holds it but its own
data: no SQS, no event, no log, no job, no policy.
"""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count
from math import ceil

from sqsw.core.contracts import Clock
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES, MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.settings import WorkerSettings
from sqsw.worker.delivery import Delivery, JobRun, Outcome, Poll, Settlement
from sqsw.worker.lane import Lane, within_limit
from sqsw.worker.lane_state import LaneState, Permits, lane_states

NEVER = float("inf")

#: seconds that followers of a failed message stay hidden longer than it does: so it comes back
#: alone, and they do not spend receives on its retries
FOLLOWER_SECONDS = 1

#: seconds that a return waits for an extension of its lease that is under way, which would undo it
EXTENSION_SECONDS = 3.0

#: seconds that a delete on a FIFO queue waits for others, while there are runs to start meanwhile
FIFO_LINGER_SECONDS = 0.005

#: groups that wait in the worker for the next attempt of their first job, for each slot
_MOST_RETRIES = 4

#: seconds before the end of the 12 hours of a message from which it is not kept any longer
_KEPT_MARGIN_SECONDS = 600


def _none(run: JobRun) -> bool:
    return False


class InFlight:
    """All messages in hand.

    Parameters
    ----------
    settings :
        Slots and prefetch, and how long a delete waits for others of its lane.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        settings: WorkerSettings,
        clock: Clock = lease_time,
    ) -> None:
        self._clock = clock
        self._linger = settings.ack_linger_seconds
        self._states = lane_states(lanes, settings)
        self._pools = list({id(s.pool): s.pool for s in self._states.values()}.values())
        self._lock = threading.Lock()
        self._credit = threading.Condition(self._lock)
        self._settlements = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._waiting_polls: list[tuple[LaneState, int]] = []
        self._deliveries: dict[str, Delivery] = {}
        self._running: dict[int, JobRun] = {}
        self._settling = 0
        self._later: list[tuple[float, int, Delivery]] = []
        self._numbers = count()
        self._is_over = self._is_stopped = False
        #: how many settlements of a line make a sender begin
        self._enough = MAX_BATCH_ENTRIES
        self._idle_senders = 0
        self._next_look = self._last_due = NEVER

    # -- the poller ----------------------------------------------------------------------------

    def begin_poll(self, lane: Lane, want: int, timeout: float) -> Poll | None:
        """Wait for credit; None after ``timeout`` seconds, or if the lane is closed."""
        state = self._states[lane.name]
        with self._lock:
            granted = state.credit(want)
            if not granted and not state.is_closed:
                waiting = (state, want)
                self._waiting_polls.append(waiting)
                self._credit.wait(timeout)
                self._waiting_polls.remove(waiting)
                granted = state.credit(want)
            if not granted:
                return None
            state.asked += granted
            return Poll(lane, granted)

    def take_in(self, lane: Lane, runs: Sequence[JobRun], more: bool = False) -> list[JobRun]:
        """Take in what a receive brought; return the runs that go back at once.

        ``more``: another receive for the same list follows at once.
        """
        state = self._states[lane.name]
        returned: list[JobRun] = []
        with self._lock:
            now = self._clock()
            for run in runs:
                (delivery,) = run.deliveries
                self._deliveries[delivery.message.receipt_handle] = delivery
            state.in_hand += len(runs)
            if lane.batch_size == 1:
                self._admit(state, runs)
            else:
                state.lists.hold(more)
                for run in runs:
                    self._admit(state, state.lists.add(run, now))
                self._admit(state, state.lists.take_due(now))
            if state.is_returning:
                self._admit(state, state.lists.take_all())
                returned = self._return_unstarted(state, self._is_spared)
        return returned

    def end_poll(self, poll: Poll) -> None:
        """The receive is over: its credit is back."""
        with self._lock:
            self._states[poll.lane.name].asked -= poll.credit
            self._tell_polls()

    def next_list_due(self, lane: Lane) -> float | None:
        """Return in how many seconds the next list must start; None if there is none."""
        with self._lock:
            due = self._states[lane.name].lists.next_due()
        return None if due is None else due - self._clock()

    def run_seconds(self, lane: Lane) -> float | None:
        """Return the average run time of a lane's jobs; None until the first one has ended."""
        return self._states[lane.name].run_seconds

    # -- the dispatcher --------------------------------------------------------------------------

    def start_next(self) -> list[JobRun]:
        """Every run that gets a slot now."""
        started: list[JobRun] = []
        with self._lock:
            now = self._clock()
            for pool in self._pools:
                while (run := pool.next_run()) is not None:
                    self._start(run, now)
                    started.append(run)
            if started:
                self._tell_polls()
        return started

    def start_due(self) -> list[JobRun]:
        """The same, with the lists whose time is over."""
        with self._lock:
            for state in self._states.values():
                self._admit(state, state.lists.take_due(self._clock()))
        return self.start_next()

    def claim(self, run: JobRun) -> bool:
        """Whether the end of a run counts; False if it was put back while it ran."""
        with self._lock:
            is_ours, run.is_claimed = not run.is_claimed, True
            return is_ours

    def finish(
        self,
        run: JobRun,
        outcomes: Sequence[Outcome],
        run_seconds: float,
    ) -> tuple[JobRun | None, list[JobRun]]:
        """Note the end of a claimed run; return what takes over its slot, and what goes back.

        Parameters
        ----------
        outcomes :
            For each message how its job ended.
        run_seconds :
            How long it ran.
        """
        lane, state = run.lane, self._states[run.lane.name]
        returned: list[JobRun] = []
        with self._lock:
            now = self._clock()
            failed, hidden, has_run = False, 0, True
            linger = self._linger
            if lane.is_fifo:
                # The next message of the group waits for it. While others are ready, it can.
                linger = min(linger, FIFO_LINGER_SECONDS) if state.pool.ready else 0.0
            settled: list[Delivery] = []
            for delivery, (outcome, seconds, record, can_stay) in zip(
                run.deliveries, outcomes, strict=True
            ):
                state.counts[outcome] += 1
                if outcome == "released":
                    state.permits.started -= 1
                    has_run = False
                if delivery.state == "lost":
                    state.in_hand -= 1
                    continue
                if can_stay and seconds is not None and self._stays(state, run, seconds, now):
                    continue
                due = now if outcome == "released" else now + linger
                started = outcome != "released"
                delivery.settlement = Settlement(seconds, started, due, record=record)
                settled.append(delivery)
                if seconds is not None and record is None:
                    hidden = max(hidden, seconds)
                    failed = failed or not lane.is_last_receive(delivery.message)
            self._settle(state, settled, now)
            if failed and run.group is not None:
                # Before SQS can deliver the failed message again, which must find its group empty.
                returned = self._leave_group(state, run, hidden + FOLLOWER_SECONDS)
            del self._running[id(run)]
            # The time of a failed start says nothing about how long jobs run.
            state.end_run(run, run_seconds if has_run else None)
            if lane.batch_size > 1:
                self._admit(state, state.lists.take_due(now))
            following = state.pool.next_run()
            if following is not None:
                self._start(following, now)
            self._tell_polls()
            if not (settled or self._settling):
                self._settled.notify_all()  # who stops the worker waited for this run
        return following, returned

    def start_retries(self) -> list[JobRun]:
        """The same, with the failed runs whose next attempt is due."""
        now = self._clock()
        with self._lock:
            for state in self._states.values():
                state.add_due_retries(now)
        return self.start_next()

    # -- the acknowledger ------------------------------------------------------------------------

    def take_settlements(self) -> list[Delivery] | None:
        """A batch of one lane and kind, whether it is due or not; None if there is none."""
        with self._lock:
            return self._take(self._clock(), 1)

    def wait_for_settlements(self) -> list[Delivery] | None:
        """A batch that is due, or of a line that is long enough; None after the end.

        An empty one: the next attempt of a failed run is due.

        One thread looks when the next one is due. The others wait until it has something for them.
        """
        with self._lock:
            while (batch := self._take(self._clock(), self._enough)) is None:
                if self._is_stopped:
                    return None
                if self._next_retry() <= self._clock():
                    return []
                due = min(self._next_due(), self._next_retry())
                if due == NEVER and self._clock() < self._last_due < NEVER:
                    # All are sent. More will come soon, and this thread then need not be woken.
                    due = self._last_due
                looks = due < self._next_look
                if looks:
                    self._next_look = due
                self._idle_senders += 1
                seconds = None if due == NEVER or not looks else max(0.0, due - self._clock())
                self._settlements.wait(seconds)
                self._idle_senders -= 1
                if looks:
                    self._next_look = NEVER
            if self._idle_senders and self._next_due() < self._next_look:
                self._settlements.notify()  # another one has to look while this one sends
            return batch

    def needs_sender(self) -> bool:
        """Whether a batch could be sent, and no thread waits for one."""
        with self._lock:
            now = self._clock()
            return not (self._is_stopped or self._idle_senders) and any(
                line and (len(line) >= self._enough or _due_of(line) <= now)
                for state in self._states.values()
                for line in state.lines
            )

    def wait_until_settled(self, deadline: float, *, due_too: bool = False) -> bool:
        """Wait until all messages are settled; return False at ``deadline``.

        ``due_too``: wait only until the next one is due.
        """
        with self._lock:
            while self._settling or any(run.is_claimed for run in self._running.values()):
                now = self._clock()
                until = min(deadline, self._next_due()) if due_too else deadline
                if now >= until:
                    return now < deadline
                self._settled.wait(until - now)
            return True

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to tell SQS."""
        return not self._settling

    @property
    def is_stopped(self) -> bool:
        """Whether the senders have ended: what comes now must be sent by who brings it."""
        return self._is_stopped

    def settled(
        self, deliveries: Sequence[Delivery], refused: Collection[Delivery] = ()
    ) -> list[JobRun]:
        """Note what SQS deleted, returned or refused for good; return the runs that go back."""
        state = self._states[deliveries[0].run.lane.name]
        returned: list[JobRun] = []
        with self._lock:
            for delivery in deliveries:
                self._deliveries.pop(delivery.message.receipt_handle, None)
                delivery.state = "gone"
                if delivery.run.group is not None:
                    is_deleted = delivery not in refused and delivery.is_delete
                    returned += self._open_group(state, delivery, is_deleted)
            state.in_hand -= len(deliveries)
            self._settling -= len(deliveries)
            if not self._settling or refused:
                self._settled.notify_all()
        return returned

    def buried(self, delivery: Delivery) -> None:
        """The copy of a message is in the dead-letter queue: the message is to be deleted."""
        settlement = delivery.settlement
        if settlement is None:
            return
        with self._lock:
            state = self._states[delivery.run.lane.name]
            state.counts["dead_lettered"] += 1
            settlement.record = settlement.hidden_seconds = None
            settlement.is_buried = True
            settlement.due, settlement.calls = self._clock(), 0
            state.deletes.append(delivery)
            self._settlements.notify()
            self._settled.notify_all()

    def not_buried(self, delivery: Delivery) -> list[JobRun]:
        """A message is left to SQS: it goes back; return the runs that go back with it."""
        settlement, run = delivery.settlement, delivery.run
        if settlement is None:
            return []
        with self._lock:
            state = self._states[run.lane.name]
            settlement.record = None
            settlement.due, settlement.calls = self._clock(), 0
            state.returns.append(delivery)
            self._settlements.notify()
            self._settled.notify_all()
            if run.lane.is_last_receive(delivery.message):
                return []  # it never comes back: the next one of its group may run after it
            return self._leave_group(
                state, run, (settlement.hidden_seconds or 0) + FOLLOWER_SECONDS
            )

    def settle_later(self, delivery: Delivery, when: float) -> bool:
        """SQS refused for now: tell it again at ``when``; False if the lease does not last."""
        settlement = delivery.settlement
        with self._lock:
            if settlement is None or when >= delivery.message.lease.expires_at:
                return False
            settlement.calls += 1
            settlement.due = when
            heapq.heappush(self._later, (when, next(self._numbers), delivery))
            self._settlements.notify()
            self._settled.notify_all()
            return True

    def take_all_settlements(self) -> list[Delivery]:
        """End the senders; return all of which SQS was not told."""
        with self._lock:
            self._is_stopped = True
            left = [delivery for _, _, delivery in self._later]
            self._later = []
            for state in self._states.values():
                for line in state.lines:
                    left += line
                    line.clear()
            self._settlements.notify_all()
            return left

    def hurry(self) -> None:
        """Have the senders send at once from now on."""
        with self._lock:
            self._enough = 1
            self._settlements.notify_all()

    # -- the heartbeat -----------------------------------------------------------------------------

    def take_due_leases(self, renew: bool) -> tuple[list[Delivery], list[list[Delivery]]]:
        """The messages whose lease is over, and by lane those whose lease is half over."""
        with self._lock:
            watched = list(self._deliveries.values())
        now = self._clock()
        over: list[Delivery] = []
        due: dict[str, list[Delivery]] = {}
        for delivery in watched:
            lease, lane = delivery.message.lease, delivery.run.lane
            if lease.expires_at <= now:
                if delivery.state != "settling":  # then SQS says it
                    over.append(delivery)
            elif (
                renew
                and lease.sure_until - now <= lane.visibility_timeout / 2
                and _is_watched(delivery)
            ):
                due.setdefault(lane.name, []).append(delivery)
        return over, list(due.values())

    def begin_extension(self, deliveries: Iterable[Delivery]) -> list[tuple[Delivery, int]]:
        """Mark those that are still to be extended; return them, and for how many seconds."""
        changes: list[tuple[Delivery, int]] = []
        with self._lock:
            now = self._clock()
            for delivery in deliveries:
                run = delivery.run
                wanted = max(run.lane.visibility_timeout, run.kept_until - now)
                seconds = within_limit(delivery.message, wanted, now)
                # Near the end of its 12 hours a message cannot be kept longer than it is already.
                if _is_watched(delivery) and now + seconds > delivery.message.lease.sure_until:
                    delivery.extending = True
                    changes.append((delivery, seconds))
        return changes

    def end_extension(self, deliveries: Iterable[Delivery]) -> None:
        """The call has ended: returns that waited for it may go."""
        with self._lock:
            for delivery in deliveries:
                delivery.extending = False
            self._settlements.notify_all()
            self._settled.notify_all()

    def note_extension_error(self, lane: Lane, error: str | None) -> bool:
        """Remember why the leases of a lane may be lost soon; whether that is new."""
        state = self._states[lane.name]
        with self._lock:
            is_new = error is not None and state.extension_error is None
            state.extension_error = error
            return is_new

    def extension_error(self, lane: Lane) -> str | None:
        """Return why the last extension of a lease failed; None if it succeeded."""
        return self._states[lane.name].extension_error

    def lose(self, delivery: Delivery) -> tuple[bool, list[JobRun]]:
        """Note that a lease is over; return whether that is new, and the runs that go back."""
        run = delivery.run
        state = self._states[run.lane.name]
        with self._lock:
            if delivery.state not in _HELD:
                return False, []
            was_running = delivery.state == "running"
            delivery.state = "lost"
            delivery.message.lease.lose()
            del self._deliveries[delivery.message.receipt_handle]
            state.counts["lease_lost"] += 1
            if was_running:
                returned = self._leave_group(state, run, FOLLOWER_SECONDS)
            else:
                state.in_hand -= 1
                run.deliveries.remove(delivery)
                returned = self._remove_lost(state, run)
            self._tell_polls()
            return True, returned

    # -- policies, drain and health --------------------------------------------------------------

    def share_permits(self, lanes: Iterable[Lane], limit: float | None) -> None:
        """Have lanes share a limit of jobs; once, at the start."""
        permits = Permits()
        permits.limit = limit
        with self._lock:
            for lane in lanes:
                state = self._states[lane.name]
                state.permits = permits
                permits.lanes.append(state)

    def permit(self, lane: Lane, limit: float | None) -> None:
        """Change the limit of a lane, and of those that share it."""
        permits = self._states[lane.name].permits
        if permits.limit != limit:
            with self._lock:
                permits.limit = limit
                self._tell_polls()

    def permits_left(self, lane: Lane) -> float | None:
        """How many more jobs may start; None: any number."""
        return self._states[lane.name].permits.left

    def stop_polls(self, lane: Lane) -> None:
        """Give no more credit to a lane."""
        with self._lock:
            self._states[lane.name].is_closed = True
            self._credit.notify_all()

    def hold(self, lane: Lane) -> None:
        """Give no more credit to a lane, and start nothing of it until it is closed."""
        with self._lock:
            self._states[lane.name].is_held = True

    def close(self, lane: Lane) -> list[JobRun]:
        """Return what has not started, also what arrives later.

        A message on its last receive stays and runs: SQS would move it to the dead-letter queue.
        """
        state = self._states[lane.name]
        with self._lock:
            state.is_returning = state.is_closed = True
            state.is_held = False
            self._credit.notify_all()
            self._admit(state, state.lists.take_all())
            return self._return_unstarted(state, self._is_spared)

    def release(self, lane: Lane) -> list[JobRun]:
        """Return what has not started."""
        with self._lock:
            return self._return_unstarted(self._states[lane.name], _none)

    def abandon(self) -> tuple[int, list[JobRun]]:
        """Return everything, also what runs; how many messages ran, and what had not started."""
        returned: list[JobRun] = []
        with self._lock:
            self._is_over = True
            now = self._clock()
            for state in self._states.values():
                state.is_returning = state.is_closed = True
                returned += self._return_unstarted(state, _none)
            running = [run for run in self._running.values() if not run.is_claimed]
            for run in running:
                run.is_claimed = True
                del self._running[id(run)]
                state = self._states[run.lane.name]
                owned = [each for each in run.deliveries if each.state == "running"]
                state.in_hand -= len(run.deliveries) - len(owned)
                for delivery in owned:
                    delivery.message.lease.lose()  # the job may look, and end early
                    delivery.settlement = Settlement(0, True, now)
                self._settle(state, owned, now)
            self._credit.notify_all()
        return sum(len(run.deliveries) for run in running), returned

    def in_hand(self, lane: Lane) -> int:
        """Messages of a lane that were received and are not gone."""
        return self._states[lane.name].in_hand

    def is_busy(self, lane: Lane) -> bool:
        """Whether a message of a lane is in hand that does not just wait for its next attempt.

        A worker that leaves once it is idle does not wait for that: the message goes back.
        """
        state = self._states[lane.name]
        if not state.retries:
            return state.in_hand > 0
        with self._lock:
            return state.in_hand > state.kept_messages()

    def is_empty(self) -> bool:
        """Whether nothing is in hand."""
        return not any(state.in_hand for state in self._states.values())

    def running(self) -> list[JobRun]:
        """What runs now."""
        with self._lock:
            return list(self._running.values())

    def waiting(self) -> int:
        """Runs that have not started."""
        with self._lock:
            return sum(state.waiting + len(state.lists) for state in self._states.values())

    def slots(self) -> int:
        """Runs at once."""
        return sum(pool.slots for pool in self._pools)

    def counts(self) -> dict[str, int]:
        """What was done, by the names of the report."""
        total: dict[str, int] = {}
        for state in self._states.values():
            for name, number in state.counts.items():
                total[name] = total.get(name, 0) + number
        return total

    def note_slow_runs(self) -> None:
        """Count what has run for long and not ended; to be called every second."""
        now = self._clock()
        with self._lock:
            for run in self._running.values():
                if not run.is_slow:
                    self._states[run.lane.name].note_slow(run, now - run.started_at)

    # -- under the lock ----------------------------------------------------------------------------

    def _admit(self, state: LaneState, runs: Iterable[JobRun]) -> None:
        for run in runs:
            if run.group is not None:
                run.undeleted = len(run.deliveries)
                if not state.groups.join(run):
                    # It holds no credit: ten of one group would keep the slots of others empty.
                    state.parked += 1
                    continue
            state.add(run)

    def _start(self, run: JobRun, now: float) -> None:
        run.started_at = now
        for delivery in run.deliveries:
            delivery.state = "running"
        self._running[id(run)] = run

    def _tell_polls(self) -> None:
        # Looked at here, once a job: to wake a thread that has to wait on costs ten times as much.
        for state, want in self._waiting_polls:
            if state.credit(want):
                self._credit.notify_all()
                return

    def _settle(self, state: LaneState, deliveries: Iterable[Delivery], now: float) -> None:
        """Put deliveries with their settlements in line, and wake a sender if need be."""
        for delivery in deliveries:
            settlement = delivery.settlement
            if settlement is None:
                continue
            delivery.state = "settling"
            self._settling += 1
            line = state.line_of(delivery)
            line.append(delivery)
            self._last_due = due = settlement.due
            # Somebody has to look anew, unless one who waits will look in time anyway.
            if due <= now or due < self._next_look or len(line) >= self._enough:
                self._settlements.notify()

    def _return(self, state: LaneState, runs: Iterable[JobRun], hidden_seconds: int) -> None:
        now = self._clock()
        for run in runs:
            # A run goes back as a whole: its messages come again in the same order.
            hidden = min(
                (within_limit(each.message, hidden_seconds, now) for each in run.deliveries),
                default=0,
            )
            for delivery in run.deliveries:
                delivery.settlement = Settlement(hidden, False, now)
            state.counts["released"] += len(run.deliveries)
            self._settle(state, run.deliveries, now)

    def _is_spared(self, run: JobRun) -> bool:
        return run.is_last_chance and not self._is_over

    def _return_unstarted(self, state: LaneState, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        returned: list[JobRun] = []
        kept = self._return_kept(state, keep)
        for run in [run for run in state.ready if not keep(run)]:
            state.ready.remove(run)
            state.pool.ready -= 1
            returned.append(run)
            if run.group is not None:
                behind = state.groups.leave(run)
                state.parked -= len(behind)
                returned += behind
        waiting = state.groups.take_waiting(keep)
        state.parked -= len(waiting)
        if state.group_slots is not None:
            aside = state.group_slots.take_waiting(keep)
            state.parked -= len(aside)
            for run in list(returned):
                state.leave_group_slot(run)
            waiting += aside
        returned += waiting + state.lists.take_all()
        self._return(state, returned, 0)
        self._tell_polls()
        return kept + returned

    def _return_kept(self, state: LaneState, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Return the runs that wait for their next attempt, hidden until then, and their groups."""
        returned: list[JobRun] = []
        now = self._clock()
        for due, _, run in sorted(state.retries):
            if any(map(keep, state.groups.line_of(run))):
                continue
            state.stop_keeping(run)
            behind = state.groups.leave(run)
            state.parked -= len(behind)
            hidden = max(0, ceil(due - now))
            self._return(state, [run], hidden)
            self._return(state, behind, hidden + FOLLOWER_SECONDS)
            returned += [run, *behind]
        return returned

    def _leave_group(self, state: LaneState, run: JobRun, hidden_seconds: int) -> list[JobRun]:
        if run.group is None:
            return []
        behind = state.groups.leave(run)
        state.parked -= len(behind)
        self._return(state, behind, hidden_seconds)
        return behind

    def _open_group(self, state: LaneState, delivery: Delivery, is_deleted: bool) -> list[JobRun]:
        run = delivery.run
        # A failed head that SQS moves to the dead-letter queue never runs again. Nothing waits for
        # it, and the messages behind it can be on their last receive too.
        if not (is_deleted or state.lane.is_last_receive(delivery.message)):
            # SQS would not delete it, or it failed: it comes again when its lease ends.
            return self._leave_group(state, run, _seconds_left(delivery, self._clock()))
        run.undeleted -= 1
        if not run.undeleted:
            following = state.groups.advance(run)
            if following is not None:
                state.parked -= 1
                state.add(following)
        return []

    def _remove_lost(self, state: LaneState, run: JobRun) -> list[JobRun]:
        """A message of a run that has not started is lost: what goes back for that."""
        if run.group is None:
            if not run.deliveries:
                state.remove(run)
                state.lists.remove_empty()
            return []
        if any(run is each for _, _, each in state.retries):
            state.stop_keeping(run)
            state.parked += 1
        returned = [run, *state.groups.leave(run)]
        if run in state.ready:
            state.ready.remove(run)
            state.pool.ready -= 1
            state.parked -= len(returned) - 1
        else:
            state.parked -= len(returned)
        self._return(state, returned, FOLLOWER_SECONDS)
        return returned

    def _batch_of(self, line: deque[Delivery]) -> list[Delivery]:
        now = self._clock()
        batch: list[Delivery] = []
        kept: list[Delivery] = []
        while line and len(batch) < MAX_BATCH_ENTRIES:
            delivery = line.popleft()
            group = delivery.run.group
            # If SQS refuses a copy, it still accepts what follows in its group in one request.
            if delivery.record is not None and any(
                group is not None and each.run.group == group for each in batch
            ):
                line.appendleft(delivery)
                break
            waits = delivery.extending and self._waits_for_extension(delivery, now)
            (kept if waits else batch).append(delivery)
            if waits and delivery.run.group is not None:
                break  # what follows in its group must not be visible before it
        line.extendleft(reversed(kept))
        return batch

    def _waits_for_extension(self, delivery: Delivery, now: float) -> bool:
        settlement = delivery.settlement
        return (
            delivery.extending
            and settlement is not None
            and settlement.hidden_seconds is not None
            and now < settlement.due + EXTENSION_SECONDS
        )

    def _take(self, now: float, enough: int) -> list[Delivery] | None:
        while self._later and self._later[0][0] <= now:
            delivery = heapq.heappop(self._later)[2]
            state = self._states[delivery.run.lane.name]
            state.line_of(delivery).appendleft(delivery)
        ready = [
            line
            for state in self._states.values()
            for line in state.lines
            if line and (len(line) >= enough or _due_of(line) <= now)
        ]
        # A line whose returns all wait for an extension must not hold up the others.
        for line in sorted(ready, key=_due_of) if len(ready) > 1 else ready:
            if batch := self._batch_of(line):
                return batch
        return None

    def _next_due(self) -> float:
        dues = [self._later[0][0]] if self._later else []
        now = self._clock()
        for state in self._states.values():
            for line in state.lines:
                if line:
                    waits = self._waits_for_extension(line[0], now)
                    dues.append(_due_of(line) + (EXTENSION_SECONDS if waits else 0.0))
        return min(dues, default=NEVER)

    def _next_retry(self) -> float:
        """When the next attempt of a failed run is due."""
        return min(
            (state.retries[0][0] for state in self._states.values() if state.retries), default=NEVER
        )

    def _stays(self, state: LaneState, run: JobRun, seconds: int, now: float) -> bool:
        """Keep a failed run and its group for its next attempt, if that is possible."""
        (delivery,) = run.deliveries
        message = delivery.message
        until = now + seconds + state.lane.visibility_timeout
        if (
            state.is_returning
            or state.is_held
            or len(state.retries) >= _MOST_RETRIES * state.pool.slots
            or until > message.received_at + MAX_VISIBILITY_TIMEOUT_SECONDS - _KEPT_MARGIN_SECONDS
        ):
            return False
        delivery.message = replace(message, tries=message.tries + 1)
        delivery.state = "waiting"
        run.is_claimed = run.is_slow = False
        state.keep(run, now + seconds, next(self._numbers))
        if now + seconds < self._next_look:
            self._settlements.notify()
        return True


#: states of messages that are in hand and whose end is open
_HELD = ("received", "waiting", "running")


def _is_watched(delivery: Delivery) -> bool:
    """Whether its lease is kept: until its end, and until it was deleted."""
    return delivery.state in _HELD or (
        delivery.state == "settling" and (delivery.is_delete or delivery.record is not None)
    )


def _seconds_left(delivery: Delivery, now: float) -> int:
    left = min(delivery.message.lease.expires_at - now, MAX_VISIBILITY_TIMEOUT_SECONDS)
    return max(0, int(left)) + FOLLOWER_SECONDS


def _due_of(line: deque[Delivery]) -> float:
    settlement = line[0].settlement
    return NEVER if settlement is None else settlement.due
