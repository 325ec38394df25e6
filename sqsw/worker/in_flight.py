"""The register: which messages are in hand, the state of each, and what runs next.

It has one lock. While it holds the lock, it uses only its own data: it makes no request, publishes
no event, writes no log, and calls no job and no policy. The roles do that.
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
from sqsw.worker.crash_notes import CrashNotes, Orphan
from sqsw.worker.delivery import IN_HAND, Delivery, JobRun, Outcome, Poll, Settlement
from sqsw.worker.isolation import Isolation
from sqsw.worker.lane import Lane, within_limit
from sqsw.worker.lane_state import LaneState, Permits, lane_states
from sqsw.worker.suspects import Suspects

NEVER = float("inf")

#: How many seconds longer than a failed message its followers stay hidden. The failed message is
#: then received alone, so its retries do not use up the receives of its followers.
FOLLOWER_SECONDS = 1

#: The longest time, in seconds, that a return waits for an open call that extends its lease. That
#: call would undo the return.
EXTENSION_SECONDS = 3.0

#: seconds that a delete on a FIFO queue waits for others, while other runs are ready to start
FIFO_LINGER_SECONDS = 0.005

#: seconds before the end of a lease from which a failed return is not repeated: it could be late
RETURN_SECONDS = 1.0

#: the most groups per slot that wait in the worker for the next attempt of their head
_MOST_RETRIES = 4

#: seconds before the end of a message's 12 hours from which it no longer waits in the worker
_KEPT_MARGIN_SECONDS = 600


def _none(run: JobRun) -> bool:
    return False


class InFlight:
    """All messages in hand, and their states.

    Parameters
    ----------
    settings :
        Slots and prefetch, and how long a delete waits for others of its lane.
    notes :
        What the supervisor reads if this process dies; None: nothing is noted.

    Attributes
    ----------
    isolation :
        Which messages run alone, because a process died in which they ran.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        settings: WorkerSettings,
        clock: Clock = lease_time,
        notes: CrashNotes | None = None,
    ) -> None:
        self._clock = clock
        self._notes = None if notes is None else notes.runs
        self._orphans = [] if notes is None else notes.runs.take_orphans()
        self._linger = settings.ack_linger_seconds
        self._states = lane_states(lanes, settings)
        self._pools = list({id(s.pool): s.pool for s in self._states.values()}.values())
        self._lock = threading.Lock()
        self._credit = threading.Condition(self._lock)
        self._settlements = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._waiting_polls: list[tuple[LaneState, int]] = []
        self._deliveries: dict[str, Delivery] = {}
        self.isolation = Isolation(
            Suspects() if notes is None else notes.suspects,
            *(self._states.values(), self._deliveries),
        )
        self._running: dict[int, JobRun] = {}
        self._settling = 0
        self._later: list[tuple[float, int, Delivery]] = []
        self._numbers = count()
        self._is_over = self._is_stopped = False
        #: how many settlements a line must have before a sender takes them early
        self._enough = MAX_BATCH_ENTRIES
        self._idle_senders = 0
        self._next_look = self._last_due = NEVER

    # -- the poller ----------------------------------------------------------------------------

    def take_orphans(self, lane: Lane) -> list[Orphan]:
        """Return the messages of a lane that an earlier process left on their last receive, once.

        They are not in hand yet. Pass those that SQS still hides to ``take_in``.
        """
        with self._lock:
            found = [each for each in self._orphans if each.message.queue_name == lane.name]
            self._orphans = [each for each in self._orphans if each not in found]
        return found

    def take_credit(self, lane: Lane, want: int, timeout: float) -> Poll | None:
        """Wait for credit for up to ``want`` runs, and take it.

        Returns
        -------
        Poll | None
            None if there is no credit after ``timeout`` seconds, or if the lane is closed.
        """
        state = self._states[lane.name]
        self.isolation.suspects.refresh()
        with self._lock:
            granted = self.isolation.credit(state, want)
            if not granted and not state.is_closed:
                waiting = (state, want)
                self._waiting_polls.append(waiting)
                self._credit.wait(timeout)
                self._waiting_polls.remove(waiting)
                granted = self.isolation.credit(state, want)
            if not granted:
                return None
            state.asked += granted
            is_single = lane.name in self.isolation.suspects.queues
            return Poll(lane, granted, 1 if is_single else granted * lane.batch_size)

    def take_in(self, lane: Lane, runs: Sequence[JobRun], more: bool = False) -> list[JobRun]:
        """Take in the runs of a receive: they become received or waiting.

        Parameters
        ----------
        more :
            Whether another receive for the same list follows at once.

        Returns
        -------
        list
            The runs that are returned to SQS at once, because the lane is closed.
        """
        state = self._states[lane.name]
        returned: list[JobRun] = []
        with self._lock:
            now = self._clock()
            for run in runs:
                (delivery,) = run.deliveries
                self._deliveries[delivery.message.receipt_handle] = delivery
                if self._notes is not None:
                    self._notes.keep(run)
            state.in_hand += len(runs)
            self.isolation.is_on |= any(run.runs_alone for run in runs)
            if lane.batch_size == 1:
                self._admit(state, runs)
            else:
                state.lists.keep_open(more)
                for run in runs:
                    if run.runs_alone or run.ends_by is not None:  # a list of its own, in order
                        self._admit(state, [*state.lists.take_all(), run])
                    else:
                        self._admit(state, state.lists.add(run, now))
                self._admit(state, state.lists.take_due(now))
            if state.is_returning:
                self._admit(state, state.lists.take_all())
                returned = self._return_unstarted(state, self._is_spared)
        return returned

    def give_back_credit(self, poll: Poll) -> None:
        """Give back the credit of a receive that has ended."""
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
        """Give the free slots to waiting runs; return these runs. They become running."""
        started: list[JobRun] = []
        with self._lock:
            now = self._clock()
            if self.isolation.is_on:
                suspect = self.isolation.next_suspect(now, is_idle=not self._running)
                if suspect is not None:
                    self._start(suspect, now)
                    started.append(suspect)
            for pool in self._pools:
                while self.isolation.alone is None and (run := pool.next_run()) is not None:
                    self._start(run, now)
                    started.append(run)
            if started:
                self._tell_polls()
        return started

    def start_due(self) -> list[JobRun]:
        """Do the same, after lists that have waited long enough joined the waiting runs."""
        with self._lock:
            for state in self._states.values():
                self._admit(state, state.lists.take_due(self._clock()))
        return self.start_next()

    def claim(self, run: JobRun) -> bool:
        """Reserve the end of a run for the caller; return False if it was returned while it ran."""
        with self._lock:
            is_ours, run.is_claimed = not run.is_claimed, True
            return is_ours

    def finish(
        self,
        run: JobRun,
        outcomes: Sequence[Outcome],
        run_seconds: float,
    ) -> tuple[JobRun | None, list[JobRun]]:
        """Note the end of a claimed run: its messages become settling, or wait for a retry here.

        Parameters
        ----------
        outcomes :
            How the job of each message ended.
        run_seconds :
            How long the run took.

        Returns
        -------
        tuple
            The run that gets the slot, if one waits; and the runs of the same group that are
            returned to SQS because this one failed.
        """
        lane, state = run.lane, self._states[run.lane.name]
        returned: list[JobRun] = []
        with self._lock:
            now = self._clock()
            failed, hidden, has_run = False, 0, True
            # It must be buried before another job ends this process, too.
            linger = self._linger if run.ends_by is None else 0.0
            if lane.is_fifo:
                # The next run of the group waits for this delete. It can linger a little while the
                # slots have other runs to do.
                linger = min(linger, FIFO_LINGER_SECONDS) if state.pool.ready else 0.0
            settled: list[Delivery] = []
            for delivery, (outcome, seconds, record, in_place, park_until) in zip(
                run.deliveries, outcomes, strict=True
            ):
                state.counts[outcome] += 1
                if outcome == "released":
                    state.permits.started -= 1
                    has_run = False
                if delivery.state == "lost":
                    state.in_hand -= 1
                    continue
                if (
                    in_place
                    and seconds is not None
                    and self._retry_in_place(state, run, seconds, now)
                ):
                    continue
                due = now if outcome == "released" else now + linger
                started = outcome != "released"
                settlement = Settlement(seconds, started, due, record=record, park_until=park_until)
                delivery.settlement = settlement
                settled.append(delivery)
                if seconds is not None and record is None:
                    hidden = max(hidden, seconds)
                    failed = failed or not lane.is_last_receive(delivery.message)
            self._settle(state, settled, now)
            if failed and run.group is not None:
                # Now, because the group must be empty here when SQS delivers the message again.
                returned = self._leave_group(state, run, hidden + FOLLOWER_SECONDS)
            del self._running[id(run)]
            if self._notes is not None:
                self._notes.end(run.deliveries)
            if self.isolation.is_on or self.isolation.suspects.queues:
                self.isolation.end(run, has_run=has_run)
            # The time of a failed start says nothing about how long jobs run.
            state.end_run(run, run_seconds if has_run else None)
            if lane.batch_size > 1:
                self._admit(state, state.lists.take_due(now))
            following = state.pool.next_run() if self.isolation.alone is None else None
            if following is not None:
                self._start(following, now)
            self._tell_polls()
            if not (settled or self._settling):
                self._settled.notify_all()  # the stop of the worker waits for claimed runs
        return following, returned

    def start_retries(self) -> list[JobRun]:
        """Do the same as ``start_next``, after failed runs that are due joined the waiting runs."""
        now = self._clock()
        with self._lock:
            for state in self._states.values():
                state.add_due_retries(now)
        return self.start_next()

    # -- the acknowledger ------------------------------------------------------------------------

    def take_settlements(self) -> list[Delivery] | None:
        """Take up to ten settlements of one lane and kind, due or not; None if there is none."""
        with self._lock:
            return self._take(self._clock(), 1)

    def wait_for_settlements(self) -> list[Delivery] | None:
        """Wait for a batch that is due or large enough, and take it.

        One of the waiting threads wakes at the next due time. The others wait until they are
        notified.

        Returns
        -------
        list | None
            Up to ten settlements of one lane and kind. Empty if the next attempt of a failed run is
            due. None after the senders were stopped.
        """
        with self._lock:
            while (batch := self._take(self._clock(), self._enough)) is None:
                if self._is_stopped:
                    return None
                if self._next_retry() <= self._clock():
                    return []
                due = min(self._next_due(), self._next_retry())
                if due == NEVER and self._clock() < self._last_due < NEVER:
                    # Nothing is left, but more will probably follow before this time. Then this
                    # thread wakes by itself, which costs less than a notification.
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
                self._settlements.notify()  # another thread watches the time while this one sends
            return batch

    def needs_sender(self) -> bool:
        """Return whether a batch can be sent now, and no sender is free to take it."""
        with self._lock:
            now = self._clock()
            return not (self._is_stopped or self._idle_senders) and any(
                line and (len(line) >= self._enough or _due_of(line) <= now)
                for state in self._states.values()
                for line in state.lines
            )

    def wait_until_settled(self, deadline: float, *, due_too: bool = False) -> bool:
        """Wait until all messages are settled; return False at ``deadline``.

        Parameters
        ----------
        due_too :
            Return True also when the next settlement is due.
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
        """Whether no message is settling."""
        return not self._settling

    @property
    def is_stopped(self) -> bool:
        """Whether the senders were stopped: the poller itself must return what it receives now."""
        return self._is_stopped

    def settled(
        self, deliveries: Sequence[Delivery], refused: Collection[Delivery] = ()
    ) -> list[JobRun]:
        """Note the messages that SQS deleted or returned: settling messages become gone.

        Parameters
        ----------
        refused :
            Those of ``deliveries`` that SQS refused for good.

        Returns
        -------
        list
            The runs that are returned to SQS because a message of their group was not deleted.
        """
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

    def copied(self, delivery: Delivery) -> None:
        """Note that the copy of a message was accepted, and delete the message."""
        settlement = delivery.settlement
        if settlement is None:
            return
        with self._lock:
            state = self._states[delivery.run.lane.name]
            if settlement.record is not None:
                state.counts["dead_lettered"] += 1
            settlement.record = settlement.park_until = settlement.hidden_seconds = None
            settlement.is_copied = True
            settlement.due, settlement.calls = self._clock(), 0
            state.deletes.append(delivery)
            self._settlements.notify()
            self._settled.notify_all()

    def not_copied(self, delivery: Delivery) -> list[JobRun]:
        """Return a message whose copy was refused for good.

        SQS moves a dead letter after its last receive. A message that could not be parked comes
        back before its backoff ends, after at most twelve hours.

        Returns
        -------
        list
            The runs of its group that are returned with it.
        """
        settlement, run = delivery.settlement, delivery.run
        if settlement is None:
            return []
        with self._lock:
            state = self._states[run.lane.name]
            settlement.record = settlement.park_until = None
            settlement.due, settlement.calls = self._clock(), 0
            state.returns.append(delivery)
            self._settlements.notify()
            self._settled.notify_all()
            if run.lane.is_last_receive(delivery.message):
                return []  # it is never received again, so its group can continue here
            return self._leave_group(
                state, run, (settlement.hidden_seconds or 0) + FOLLOWER_SECONDS
            )

    def settle_later(self, delivery: Delivery, when: float) -> bool:
        """Repeat a failed settlement at ``when``.

        Return False if another worker can receive the message before that.
        """
        settlement = delivery.settlement
        with self._lock:
            if settlement is None:
                return False
            ends = delivery.message.lease.expires_at
            if not delivery.is_delete:
                ends = min(ends - RETURN_SECONDS, settlement.repeat_until)
            if when >= ends:
                return False
            settlement.calls += 1
            settlement.due = when
            heapq.heappush(self._later, (when, next(self._numbers), delivery))
            self._settlements.notify()
            self._settled.notify_all()
            return True

    def take_all_settlements(self) -> list[Delivery]:
        """Stop the senders; return all messages that SQS has not settled."""
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
        """Make the senders send every settlement at once from now on."""
        with self._lock:
            self._enough = 1
            self._settlements.notify_all()

    # -- the heartbeat -----------------------------------------------------------------------------

    def take_due_leases(self, renew: bool) -> tuple[list[Delivery], list[list[Delivery]]]:
        """Return the messages whose lease has ended, and by lane those whose lease is half over.

        Parameters
        ----------
        renew :
            False leaves out those whose lease is half over.
        """
        with self._lock:
            watched = list(self._deliveries.values())
        now = self._clock()
        over: list[Delivery] = []
        due: dict[str, list[Delivery]] = {}
        for delivery in watched:
            lease, lane = delivery.message.lease, delivery.run.lane
            if lease.expires_at <= now:
                if delivery.state != "settling":  # its delete or return shows whether it was late
                    over.append(delivery)
            elif (
                renew
                and lease.sure_until - now <= lane.visibility_timeout / 2
                and _is_watched(delivery)
            ):
                due.setdefault(lane.name, []).append(delivery)
        return over, list(due.values())

    def begin_extension(self, deliveries: Iterable[Delivery]) -> list[tuple[Delivery, int]]:
        """Mark the messages that still need an extension; return them with their new timeouts."""
        changes: list[tuple[Delivery, int]] = []
        with self._lock:
            now = self._clock()
            for delivery in deliveries:
                run = delivery.run
                wanted = max(run.lane.visibility_timeout, run.retry_until - now)
                seconds = within_limit(delivery.message, wanted, now)
                # Near the end of its 12 hours, the lease of a message can already be the longest.
                if _is_watched(delivery) and now + seconds > delivery.message.lease.sure_until:
                    delivery.extending = True
                    changes.append((delivery, seconds))
        return changes

    def end_extension(self, deliveries: Iterable[Delivery]) -> None:
        """Note the end of the call. Returns that waited for it can be sent."""
        with self._lock:
            for delivery in deliveries:
                delivery.extending = False
            self._settlements.notify_all()
            self._settled.notify_all()

    def note_extension_error(self, lane: Lane, error: str | None) -> bool:
        """Note why the leases of a lane can be lost soon; return whether it had no error before."""
        state = self._states[lane.name]
        with self._lock:
            is_new = error is not None and state.extension_error is None
            state.extension_error = error
            return is_new

    def extension_error(self, lane: Lane) -> str | None:
        """Return why the last extension of a lease failed; None if it succeeded."""
        return self._states[lane.name].extension_error

    def lose(self, delivery: Delivery) -> tuple[bool, list[JobRun]]:
        """Note that a lease has ended: the message becomes lost.

        Returns
        -------
        tuple
            False if it was lost or settling already; and the runs of its group that are returned.
        """
        run = delivery.run
        state = self._states[run.lane.name]
        with self._lock:
            if delivery.state not in IN_HAND:
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
                if self._notes is not None:
                    self._notes.end([delivery])
                returned = self._remove_lost(state, run)
            self._tell_polls()
            return True, returned

    # -- policies, drain and health --------------------------------------------------------------

    def share_permits(self, lanes: Iterable[Lane], limit: float | None) -> None:
        """Let lanes share a limit on the number of jobs. Called once, at the start."""
        permits = Permits()
        permits.limit = limit
        with self._lock:
            for lane in lanes:
                state = self._states[lane.name]
                state.permits = permits
                permits.lanes.append(state)

    def permit(self, lane: Lane, limit: float | None) -> None:
        """Change the limit of a lane and of the lanes that share it."""
        permits = self._states[lane.name].permits
        if permits.limit != limit:
            with self._lock:
                permits.limit = limit
                self._tell_polls()

    def permits_left(self, lane: Lane) -> float | None:
        """Return how many more jobs can start; None: no limit."""
        return self._states[lane.name].permits.left

    def stop_credit(self, lane: Lane) -> None:
        """Give no more credit to a lane."""
        with self._lock:
            self._states[lane.name].is_closed = True
            self._credit.notify_all()

    def pause(self, lane: Lane) -> None:
        """Give no more credit to a lane, and start nothing of it until it is closed."""
        with self._lock:
            self._states[lane.name].is_paused = True

    def close(self, lane: Lane) -> list[JobRun]:
        """Return the messages of a lane that have not started, also those that arrive later.

        A message on its last receive stays and runs, because SQS would move it to the dead-letter
        queue.
        """
        state = self._states[lane.name]
        with self._lock:
            state.is_returning = state.is_closed = True
            state.is_paused = False
            self._credit.notify_all()
            self._admit(state, state.lists.take_all())
            return self._return_unstarted(state, self._is_spared)

    def release(self, lane: Lane) -> list[JobRun]:
        """Return the messages of a lane that have not started, also those on their last receive."""
        with self._lock:
            return self._return_unstarted(self._states[lane.name], _none)

    def abandon(self) -> tuple[int, list[JobRun]]:
        """Return all messages to SQS, also those whose jobs run.

        Returns
        -------
        tuple
            How many messages ran, and the runs that had not started.
        """
        returned: list[JobRun] = []
        with self._lock:
            self._is_over = True
            now = self._clock()
            for state in self._states.values():
                state.is_returning = state.is_closed = True
                returned += self._return_unstarted(state, _none)
            if self._notes is not None:  # this process ends soon, and not by what runs in it
                for run in self._running.values():
                    self._notes.end(run.deliveries)
            running = [run for run in self._running.values() if not run.is_claimed]
            for run in running:
                run.is_claimed = True
                del self._running[id(run)]
                state = self._states[run.lane.name]
                owned = [each for each in run.deliveries if each.state == "running"]
                state.in_hand -= len(run.deliveries) - len(owned)
                for delivery in owned:
                    delivery.message.lease.lose()  # the job can check it, and end early
                    delivery.settlement = Settlement(0, True, now)
                self._settle(state, owned, now)
            self._credit.notify_all()
        return sum(len(run.deliveries) for run in running), returned

    def in_hand(self, lane: Lane) -> int:
        """Return how many messages of a lane are in hand: received and not gone."""
        return self._states[lane.name].in_hand

    def is_busy(self, lane: Lane) -> bool:
        """Return whether a lane has messages in hand that do not wait for a retry in the worker.

        A worker that stops when it is idle does not wait for a retry, but returns the message.
        """
        state = self._states[lane.name]
        if not state.retries:
            return state.in_hand > 0
        with self._lock:
            return state.in_hand > state.messages_in_retry()

    def is_empty(self) -> bool:
        """Return whether no message is in hand."""
        return not any(state.in_hand for state in self._states.values())

    def running(self) -> list[JobRun]:
        """Return the runs that have a slot."""
        with self._lock:
            return list(self._running.values())

    def unstarted(self) -> int:
        """Return how many runs and lists have not started."""
        with self._lock:
            return sum(state.unstarted + len(state.lists) for state in self._states.values())

    def slots(self) -> int:
        """Return how many runs can run at the same time."""
        return sum(pool.slots for pool in self._pools)

    def counts(self) -> dict[str, int]:
        """Return the number of jobs by outcome, with the names of the report's fields."""
        total: dict[str, int] = {}
        for state in self._states.values():
            for name, number in state.counts.items():
                total[name] = total.get(name, 0) + number
        return total

    def note_slow_runs(self) -> None:
        """Count long runs in the average run time before they end. Called once a second."""
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
                    # It takes no credit: otherwise, ten of one group would keep other slots empty.
                    state.parked += 1
                    continue
            state.add(run)

    def _start(self, run: JobRun, now: float) -> None:
        run.started_at = now
        for delivery in run.deliveries:
            delivery.state = "running"
        self._running[id(run)] = run
        if self._notes is not None:
            self._notes.begin(run)

    def _tell_polls(self) -> None:
        # The credit is checked here, once per run: waking a poller that gets none costs ten times
        # as much.
        isolation = self.isolation
        for state, want in self._waiting_polls:
            is_free = not (isolation.is_on or isolation.suspects.queues)
            if state.credit(want) if is_free else isolation.credit(state, want):
                self._credit.notify_all()
                return

    def _settle(self, state: LaneState, deliveries: Iterable[Delivery], now: float) -> None:
        """Queue the settlements of deliveries, and wake a sender if none wakes in time."""
        for delivery in deliveries:
            settlement = delivery.settlement
            if settlement is None:
                continue
            delivery.state = "settling"
            self._settling += 1
            line = state.line_of(delivery)
            line.append(delivery)
            self._last_due = due = settlement.due
            # Not needed if a sender wakes in time by itself.
            if due <= now or due < self._next_look or len(line) >= self._enough:
                self._settlements.notify()

    def _return(self, state: LaneState, runs: Iterable[JobRun], hidden_seconds: int) -> None:
        now = self._clock()
        for run in runs:
            # All for the same time, so that the messages of a list keep their order.
            hidden = min(
                (within_limit(each.message, hidden_seconds, now) for each in run.deliveries),
                default=0,
            )
            for delivery in run.deliveries:
                delivery.settlement = Settlement(hidden, False, now)
            if self._notes is not None:
                self._notes.end(run.deliveries)
            state.counts["released"] += len(run.deliveries)
            self._settle(state, run.deliveries, now)

    def _is_spared(self, run: JobRun) -> bool:
        return run.is_last_chance and not self._is_over

    def _return_unstarted(self, state: LaneState, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        returned: list[JobRun] = []
        kept = self._return_retries(state, keep)
        for run in [run for run in state.ready if not keep(run)]:
            state.ready.remove(run)
            state.pool.ready -= 1
            returned.append(run)
            if run.group is not None:
                behind = state.groups.leave(run)
                state.parked -= len(behind)
                returned += behind
        waiting = state.groups.take_followers(keep)
        state.parked -= len(waiting)
        if state.group_slots is not None:
            aside = state.group_slots.take_all(keep)
            state.parked -= len(aside)
            for run in list(returned):
                state.leave_group_slot(run)
            waiting += aside
        returned += waiting + state.lists.take_all()
        self._return(state, returned, 0)
        self._tell_polls()
        return kept + returned

    def _return_retries(self, state: LaneState, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Return the runs that wait for a retry here, hidden until it is due, and their groups."""
        returned: list[JobRun] = []
        now = self._clock()
        for due, _, run in sorted(state.retries):
            if any(map(keep, state.groups.line_of(run))):
                continue
            state.remove_retry(run)
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
        # A failed head on its last receive never runs again, so the group continues without it. To
        # return the messages behind it could use up their last receives.
        if not (is_deleted or state.lane.is_last_receive(delivery.message)):
            # It is received again when its lease ends, and must run before the others.
            return self._leave_group(state, run, _seconds_left(delivery, self._clock()))
        run.undeleted -= 1
        if not run.undeleted:
            following = state.groups.advance(run)
            if following is not None:
                state.parked -= 1
                state.add(following)
        return []

    def _remove_lost(self, state: LaneState, run: JobRun) -> list[JobRun]:
        """Handle the loss of a message whose run has not started; return the runs that go back."""
        if run.group is None:
            if not run.deliveries:
                state.remove(run)
                state.lists.remove_empty()
            return []
        if any(run is each for _, _, each in state.retries):
            state.remove_retry(run)
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
            # One copy per group and request: if SQS refuses one entry of a request, it still
            # accepts later entries of the same group, so their order would change.
            if delivery.record is not None and any(
                group is not None and each.run.group == group for each in batch
            ):
                line.appendleft(delivery)
                break
            waits = delivery.extending and self._waits_for_extension(delivery, now)
            (kept if waits else batch).append(delivery)
            if waits and delivery.run.group is not None:
                break  # the messages behind it must not become visible before it
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
        # Several lines, because all returns of a line can wait for extensions.
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
        """Return when the next attempt of a failed run is due, in seconds of the clock."""
        return min(
            (state.retries[0][0] for state in self._states.values() if state.retries), default=NEVER
        )

    def _retry_in_place(self, state: LaneState, run: JobRun, seconds: int, now: float) -> bool:
        """Keep a failed run and its group here until its next attempt; return False if not."""
        (delivery,) = run.deliveries
        message = delivery.message
        until = now + seconds + state.lane.visibility_timeout
        if (
            state.is_returning
            or state.is_paused
            or len(state.retries) >= _MOST_RETRIES * state.pool.slots
            or until > message.received_at + MAX_VISIBILITY_TIMEOUT_SECONDS - _KEPT_MARGIN_SECONDS
        ):
            return False
        delivery.message = replace(message, tries=message.tries + 1)
        delivery.state = "waiting"
        run.is_claimed = run.is_slow = False
        state.add_retry(run, now + seconds, next(self._numbers))
        if now + seconds < self._next_look:
            self._settlements.notify()
        return True


def _is_watched(delivery: Delivery) -> bool:
    """Return whether the heartbeat extends its lease: until it is deleted or must be returned."""
    return delivery.state in IN_HAND or (
        delivery.state == "settling" and (delivery.is_delete or delivery.needs_copy)
    )


def _seconds_left(delivery: Delivery, now: float) -> int:
    left = min(delivery.message.lease.expires_at - now, MAX_VISIBILITY_TIMEOUT_SECONDS)
    return max(0, int(left)) + FOLLOWER_SECONDS


def _due_of(line: deque[Delivery]) -> float:
    settlement = line[0].settlement
    return NEVER if settlement is None else settlement.due
