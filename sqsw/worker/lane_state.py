"""What the register knows about one lane, and about the slots that lanes share."""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from sqsw.core.settings import WorkerSettings
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.groups import FifoGroups, GroupSlots
from sqsw.worker.lane import Lane
from sqsw.worker.list_assembler import ListAssembler

#: seconds of average run time from which a lane prefetches no messages
_READY_WITHIN_SECONDS = 1.0

#: weight of the newest run time in the moving average
_NEWEST = 0.1

#: the most runs of one lane that wait only for their group
MAX_PARKED = 500


class Permits:
    """How many jobs can start in the lanes that share a shutdown policy.

    Attributes
    ----------
    limit :
        Jobs in total; None: no limit.
    started :
        Jobs that have started.
    """

    def __init__(self) -> None:
        self.limit: float | None = None
        self.started = 0
        self.lanes: list[LaneState] = []

    @property
    def left(self) -> float | None:
        """How many more jobs can start; None: no limit."""
        return None if self.limit is None else self.limit - self.started


NO_LIMIT = Permits()


class SlotPool:
    """Slots that several lanes share.

    Parameters
    ----------
    slots :
        Runs that can run at the same time.
    prefetch :
        Runs to hold ready beyond the slots; None derives the number from the average run time.
    """

    def __init__(self, slots: int, prefetch: int | None) -> None:
        self.slots = slots
        self.prefetch = prefetch
        self.running = self.ready = self.total_weight = 0
        self.lanes: list[LaneState] = []

    def next_run(self) -> JobRun | None:
        """Give a free slot to the next ready run and return it; None if none can start.

        Never a suspect.

        Weights are applied when a slot is given, so an empty heavy lane never delays a light one.
        """
        if self.running >= self.slots or not self.ready:
            return None
        waiting: list[LaneState] = []
        for state in self.lanes:
            if state.ready and not (state.is_paused or state.ready[0].runs_alone):
                waiting.append(state)
        while waiting:
            state = waiting[0] if len(waiting) == 1 else _by_weight(waiting)
            size = len(state.ready[0].deliveries)
            limit = state.permits.limit
            # A list starts as a whole, even if it is more than is left.
            if limit is None or state.permits.started < limit:
                state.permits.started += size
                self.ready -= 1
                self.running += 1
                return state.ready.popleft()
            waiting.remove(state)
        return None


def _by_weight(waiting: "Sequence[LaneState]") -> "LaneState":
    # Smooth weighted round robin: weights 3 and 1 give A A B A, not A A A B.
    for state in waiting:
        state.turn += state.lane.share.weight
    chosen = max(waiting, key=lambda state: state.turn)
    chosen.turn -= sum(state.lane.share.weight for state in waiting)
    return chosen


class LaneState:
    """The state of one lane. Only the register uses it, under its lock.

    A credit is the right to receive messages for one more run. Lanes share the free slots, and the
    runs that can be held ready beyond them, by weight. The credit of an open poll is not taken from
    other lanes: otherwise the poll of an idle queue would stop them for 20 seconds.

    Attributes
    ----------
    ready :
        Runs that wait for a slot.
    parked :
        The number of runs that wait for their group, or for their next attempt here. They take no
        credit.
    asked :
        Credit of the open polls.
    in_hand :
        Messages that were received and are not gone.
    run_seconds :
        Average run time of the jobs; None until the first one has ended.
    is_closed :
        True: no more polls begin.
    is_paused :
        True: nothing starts until the lane is closed.
    is_returning :
        True: messages that have not started are returned, also those that arrive later.
    retries :
        A heap of the failed runs that wait here for their next attempt: the time when it is due, a
        number, and the run. They are parked, and are the heads of their groups.
    dead_letters, long_retries, deletes, returns :
        The messages to send to the dead-letter queue, to park, to delete and to return, in order.
    extension_error :
        Why the last extension of a lease failed; None if it succeeded.
    """

    def __init__(self, lane: Lane, pool: SlotPool) -> None:
        self.lane = lane
        self.pool = pool
        pool.lanes.append(self)
        pool.total_weight += lane.share.weight
        self.turn = 0
        self.ready: deque[JobRun] = deque()
        self.parked = self.asked = self.in_hand = 0
        self.run_seconds: float | None = None
        self.is_closed = self.is_paused = self.is_returning = False
        self.retries: list[tuple[float, int, JobRun]] = []
        self.dead_letters: deque[Delivery] = deque()
        self.long_retries: deque[Delivery] = deque()
        self.deletes: deque[Delivery] = deque()
        self.returns: deque[Delivery] = deque()
        self.lines = [self.dead_letters, self.deletes, self.returns]
        if lane.parking is not None:
            self.lines.append(self.long_retries)
        self.counts: Counter[str] = Counter()
        self.permits = NO_LIMIT
        self.extension_error: str | None = None
        self.groups = FifoGroups()
        most = lane.share.group_slots
        self.group_slots = None if most is None else GroupSlots(most)
        self.lists = ListAssembler(lane)

    @property
    def unstarted(self) -> int:
        """The number of runs that wait for a slot, for their group or for a retry."""
        return len(self.ready) + self.parked

    def take_suspect(self, run: JobRun) -> None:
        """Give a slot to a suspect."""
        self.permits.started += len(run.deliveries)
        self.pool.ready -= 1
        self.pool.running += 1
        self.ready.remove(run)

    def suspects(self) -> list[JobRun]:
        """The suspects that are ready."""
        return [run for run in self.ready if run.runs_alone]

    def can_start(self) -> bool:
        """Whether a suspect of this lane may have a slot."""
        left = self.permits.left
        return not self.is_paused and (left is None or left > 0)

    def group_of(self, run: JobRun) -> Iterable[JobRun]:
        """A run, and the runs behind it in its group."""
        return [run] if run.group is None else self.groups.line_of(run)

    def line_of(self, delivery: Delivery) -> deque[Delivery]:
        """Return the line that the settlement of a message belongs to."""
        if delivery.is_delete:
            return self.deletes
        if delivery.needs_copy:
            return self.long_retries if delivery.record is None else self.dead_letters
        return self.returns

    def add_retry(self, run: JobRun, due: float, number: int) -> None:
        """Keep a failed run and its group here until its next attempt is due."""
        until = due + self.lane.visibility_timeout
        for each in self.groups.line_of(run):
            each.retry_until = until
        heapq.heappush(self.retries, (due, number, run))
        self.parked += 1

    def remove_retry(self, run: JobRun) -> None:
        """End the wait of a failed run, because its attempt begins or it is returned."""
        for each in self.groups.line_of(run):
            each.retry_until = 0.0
        self.retries = [entry for entry in self.retries if entry[2] is not run]
        heapq.heapify(self.retries)
        self.parked -= 1

    def messages_in_retry(self) -> int:
        """Return how many messages are in groups whose head waits for its next attempt."""
        groups = [self.groups.line_of(head) for _, _, head in self.retries]
        return sum(len(run.deliveries) for group in groups for run in group)

    def add_due_retries(self, now: float) -> None:
        """Make failed runs ready whose next attempt is due, ahead of all others."""
        while self.retries and self.retries[0][0] <= now:
            run = self.retries[0][2]
            self.remove_retry(run)
            self.ready.appendleft(run)
            self.pool.ready += 1

    def add(self, run: JobRun) -> None:
        """Make a run ready, or park it if its message group already has its most slots."""
        if (
            self.group_slots is not None
            and run.fair_group is not None
            and not self.group_slots.enter(run)
        ):
            self.parked += 1  # it takes no credit, because it could not use a free slot
            return
        for delivery in run.deliveries:
            delivery.state = "waiting"
        if self.ready and self.ready[-1].runs_alone:
            self._put_before_suspects(run)
        else:
            self.ready.append(run)
        self.pool.ready += 1

    def _put_before_suspects(self, run: JobRun) -> None:
        # Nothing else may be in hand when one of them starts.
        index = len(self.ready)
        while index and self.ready[index - 1].runs_alone and not run.runs_alone:
            index -= 1
        self.ready.insert(index, run)

    def leave_group_slot(self, run: JobRun) -> None:
        """Give back the group slot of a run, and make the next run of its group ready."""
        if self.group_slots is not None and run.fair_group is not None:
            following = self.group_slots.leave(run)
            if following is not None:
                self.parked -= 1
                for delivery in following.deliveries:
                    delivery.state = "waiting"
                self._put_before_suspects(following)
                self.pool.ready += 1

    def end_run(self, run: JobRun, run_seconds: float | None) -> None:
        """Free the slot of a run.

        Parameters
        ----------
        run_seconds :
            How long it ran; None if it could not start.
        """
        self.pool.running -= 1
        if run_seconds is not None:
            average = self.run_seconds
            self.run_seconds = (
                run_seconds if average is None else average + _NEWEST * (run_seconds - average)
            )
        if run.fair_group is not None:
            self.leave_group_slot(run)

    def note_slow(self, run: JobRun, run_seconds: float) -> None:
        """Count a long run in the average before it ends, once.

        Otherwise slow jobs among fast ones would count only at their end, and prefetched messages
        would wait for them.
        """
        average = self.run_seconds
        if average is not None and run_seconds > max(average, _READY_WITHIN_SECONDS):
            run.is_slow = True
            self.run_seconds = average + _NEWEST * (run_seconds - average)

    def remove(self, run: JobRun) -> None:
        """Remove a run that has not started, wherever it waits."""
        if run in self.ready:
            self.ready.remove(run)
            self.pool.ready -= 1
            self.leave_group_slot(run)
        elif self.group_slots is not None and self.group_slots.remove(run):
            self.parked -= 1

    def credit(self, want: int) -> int:
        """Return for how many of ``want`` runs the lane can receive now; 0: wait."""
        if self.is_closed or self.is_paused:
            return 0
        pool, weight = self.pool, self.lane.share.weight
        permits = self.permits
        if permits.limit is not None:
            # More messages would be returned, and each return uses up a receive.
            left = permits.limit - permits.started
            for each in permits.lanes:
                left -= (len(each.ready) + each.parked) * each.lane.batch_size
            want = min(want, max(0, int(left)))
        prefetch = self._prefetch() * weight // pool.total_weight
        room = max(0, prefetch - len(self.ready))
        free = pool.slots - pool.running - pool.ready
        # A lane always gets one credit while a slot is free. It also gets one while only other
        # lanes have ready runs, because these could take every slot that becomes free.
        is_owed = free > 0 or (not self.ready and pool.ready > 0)
        if free > 0:
            room += max(1, free * weight // pool.total_weight)
        elif is_owed:
            room = max(1, room)
        granted = min(want, room - self.asked, MAX_PARKED - self.parked)
        # Unless a slot is idle, wait for enough credit: ten at a time take a tenth of the requests.
        enough = 1 if is_owed else min(want, max(1, prefetch))
        return granted if granted >= max(1, enough) else 0

    def _prefetch(self) -> int:
        pool = self.pool
        if pool.prefetch is not None:
            return pool.prefetch
        if self.run_seconds is None or self.run_seconds >= _READY_WITHIN_SECONDS:
            # No prefetch before the first run time is known, or while jobs are slow: a message that
            # waits here could run in an idle worker.
            return 0
        most = 10 * pool.slots
        is_quick = self.run_seconds * most <= pool.slots
        return most if is_quick else int(pool.slots / self.run_seconds)


def lane_states(lanes: Sequence[Lane], settings: WorkerSettings) -> dict[str, LaneState]:
    """Return the state of each lane by name. Lanes without own slots share those of the worker."""
    own = [lane for lane in lanes if lane.share.slots is not None]
    shared = [lane for lane in lanes if lane.share.slots is None]
    groups = [(shared, settings.concurrency)] if shared else []
    groups += [([lane], lane.share.slots or 1) for lane in own]
    total = sum(slots for _, slots in groups)
    states: dict[str, LaneState] = {}
    for group, slots in groups:
        prefetch = settings.prefetch
        pool = SlotPool(slots, None if prefetch is None else prefetch * slots // total)
        states.update((lane.name, LaneState(lane, pool)) for lane in group)
    return {lane.name: states[lane.name] for lane in lanes}
