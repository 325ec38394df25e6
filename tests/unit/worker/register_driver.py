"""Makes random calls to the register and recounts its state after every call."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

from sqsw.core.dead_record import DeadRecord
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.settings import WorkerSettings
from sqsw.worker.crash_notes import CrashNotes, RunNotes
from sqsw.worker.delivery import Delivery, JobRun, Outcome, Poll
from sqsw.worker.in_flight import EXTENSION_SECONDS, RETURN_SECONDS, InFlight
from sqsw.worker.isolation import ALONE_SECONDS
from sqsw.worker.lane import Lane
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.suspects import Suspects
from tests.unit.worker.doubles import FakeClient, ManualClock, lane, message

_UNSTARTED = ("received", "waiting")

#: what the dispatcher decides about an ended job; None deletes the message
_OUTCOMES = [
    Outcome("done", None),
    Outcome("done", None),
    Outcome("done", None),
    Outcome("failed", 7),
    Outcome("retried", 0),
    Outcome("unknown", 30),
]

_RECORD = DeadRecord(
    *("gave_up", "ValueError", "no", "app.ship:1", "0123456789ab", 1, 1),
    *(None, "2026-11-30T10:00:00.000Z", "orders", "host:1"),
)


class Driver:
    """One register, and what is known of it from outside.

    Attributes
    ----------
    open :
        Deliveries that are not gone, and lost ones whose run has not ended, in order of arrival.
    busy :
        Runs that hold a slot.
    taken :
        Batches of settlements that a sender holds.
    left :
        When a delivery stopped blocking later ones of its group, as a count of events.
    """

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.clock = ManualClock()
        self.lanes = self._lanes()
        self.memory = SharedMemory(RunNotes.SIZE)
        self.notes = RunNotes(self.memory)
        self.chance_of_suspect = random.choice([0.0, 0.3])
        self.register = InFlight(
            self.lanes,
            WorkerSettings(
                concurrency=random.randint(1, 5), prefetch=random.choice([None, 0, 3, 30])
            ),
            self.clock,
            CrashNotes(self.notes, Suspects()),
        )
        self.limit: float | None = None
        self.limited: set[str] = set()
        if random.random() < 0.3:
            limited = random.sample(self.lanes, random.randint(1, len(self.lanes)))
            self.limit = random.randint(0, 20)
            self.limited = {each.name for each in limited}
            self.register.share_permits(limited, self.limit)
        self.started = 0
        self.events = count(1)
        self.open: dict[Delivery, None] = {}
        self.busy: dict[JobRun, None] = {}
        self.claimed: dict[JobRun, None] = {}
        self.abandoned: list[JobRun] = []
        self.polls: list[Poll] = []
        self.taken: list[list[Delivery]] = []
        self.extending: list[Delivery] = []
        self.arrived: dict[Delivery, int] = {}
        self.left: dict[Delivery, int] = {}
        self.deleted: set[Delivery] = set()
        self.history: dict[tuple[str, str], list[Delivery]] = {}
        self.held: set[str] = set()
        self.closed: set[str] = set()
        self.is_over = False
        self.seen: Counter[str] = Counter()

    def _lanes(self) -> list[Lane]:
        random = self.random
        kinds = random.choices(["standard", "list", "FIFO", "FIFO list", "groups"], k=4)
        made = []
        for number, kind in enumerate(kinds[: random.randint(1, 4)]):
            is_list = "list" in kind or (kind == "groups" and random.random() < 0.5)
            made.append(
                lane(
                    f"q{number}" + (".fifo" if "FIFO" in kind else ""),
                    batch_size=random.randint(2, 4) if is_list else 1,
                    max_wait=random.choice([0.0, 2.0]),
                    visibility_timeout=random.choice([10, 30]),
                    slots=random.choice([None, None, 2]),
                    weight=random.choice([1, 3]),
                    group_slots=random.randint(1, 2) if kind == "groups" else None,
                    max_receives=random.choice([None, 3]),
                )
            )
        client: Any = FakeClient("dead")
        place: Any = object()
        return [
            replace(each, dead_letter_client=client, parking=None if each.is_fifo else place)
            for each in made
        ]

    # Calls.

    def run(self, calls: int) -> None:
        """Make random calls, then bring everything to an end."""
        steps = {
            self.take_credit: 6,
            self.take_in: 12,
            self.end_poll: 4,
            self.start: 10,
            self.claim: 10,
            self.finish: 12,
            self.take: 10,
            self.settle: 12,
            self.lose: 2,
            self.look_at_leases: 3,
            self.end_extension: 3,
            self.pass_time: 6,
            self.permit: 1,
            self.release: 1,
            self.note_slow_runs: 1,
        }
        rare = {self.close: 0.3, self.pause: 0.1, self.stop_credit: 0.1, self.abandon: 0.05}
        weights = {**steps, **rare} if self.random.random() < 0.5 else steps
        for step in self.random.choices(list(weights), list(weights.values()), k=calls):
            step()
            self.check()
        self.bring_to_an_end()
        self.memory.close()

    def take_credit(self) -> None:
        of = self.random.choice(self.lanes)
        want = 1 if of.batch_size > 1 else self.random.randint(1, 10)
        poll = self.register.take_credit(of, want, 0)
        if poll is not None:
            assert not any(run.runs_alone for run in self._runs_in_hand()), "a suspect is in hand"
            assert 1 <= poll.credit <= want
            assert of.name not in self.closed | self.held
            self.polls.append(poll)

    def take_in(self) -> None:
        if not self.polls:
            return
        poll = self.random.choice(self.polls)
        of, most = poll.lane, poll.credit * poll.lane.batch_size
        runs = [self._arrival(of) for _ in range(self.random.randint(0, most))]
        returned = self.register.take_in(of, runs, self.random.random() < 0.3)
        self._check_returned(returned)
        if of.name in self.closed:
            self._check_closed(of)

    def _arrival(self, of: Lane) -> JobRun:
        sent = message(
            group=self.random.choice("abc") if of.is_fifo or of.share.group_slots else None,
            receives=self.random.randint(1, 3),
            expires_at=self.clock() + of.visibility_timeout,
            received_at=self.clock(),
        )
        run = JobRun(of, [], self.random.choice(["thread", "thread", "loop"]))
        delivery = Delivery(sent, run, JobKey(self.random.choice(["x", "x", "y"])))
        run.deliveries.append(delivery)
        if of.is_fifo:
            run.group = sent.group_id
            self.history.setdefault((of.name, run.group or ""), []).append(delivery)
        elif of.share.group_slots is not None:
            run.fair_group = sent.group_id
        if self.random.random() < self.chance_of_suspect:
            run.runs_alone, run.fair_group = True, None
        self.open[delivery] = None
        self.arrived[delivery] = next(self.events)
        self.seen["arrivals"] += 1
        return run

    def end_poll(self) -> None:
        if self.polls:
            poll = self.polls.pop(self.random.randrange(len(self.polls)))
            self.register.give_back_credit(poll)

    def start(self) -> None:
        by_time = self.random.random() < 0.5
        started = self.register.start_due() if by_time else self.register.start_next()
        self._note_starts(started)
        if by_time:
            self._note_starts(self.register.start_retries())
        for pool in self.register._pools:
            if pool.running < pool.slots:
                for state in pool.lanes:
                    is_full = state.lane.name in self.limited and self._is_used_up()
                    waits = self._runs_alone() or (state.ready and state.ready[0].runs_alone)
                    assert not state.ready or state.is_paused or is_full or waits, (
                        "a slot is free and nothing started"
                    )

    def claim(self) -> None:
        runs = [run for run in self.busy if run not in self.claimed]
        if runs:
            run = self.random.choice(runs)
            assert self.register.claim(run) == (run not in self.abandoned)
            if run not in self.abandoned:
                self.claimed[run] = None
            assert not self.register.claim(run)

    def finish(self) -> None:
        if not self.claimed:
            return
        run = self.random.choice(list(self.claimed))
        is_unstarted = self.random.random() < 0.05
        outcomes = [
            Outcome("dropped", 0)
            if each.state == "lost"
            else Outcome("released", 5)
            if is_unstarted
            else self.random.choice([*_OUTCOMES, *self._ends_of(run)])
            for each in run.deliveries
        ]
        tries = [each.message.tries for each in run.deliveries]
        was_in_line = not any(each in self.left for each in run.deliveries)
        following, returned = self.register.finish(run, outcomes, self.random.choice([0.01, 2.0]))
        del self.busy[run], self.claimed[run]
        if run.lane.name in self.limited:
            self.started -= sum(each.name == "released" for each in outcomes)
        comes_again = False
        for each, outcome, before in zip(run.deliveries, outcomes, tries, strict=True):
            if each.state == "lost":
                del self.open[each]
                continue
            if each.state == "waiting":
                assert outcome.in_place and run.lane.name not in self.closed
                assert each.message.tries == before + 1
                self.seen["stays"] += 1
                continue
            assert each.state == "settling"
            is_over = outcome.hidden_seconds is None or each.needs_copy
            comes_again |= not (is_over or run.lane.is_last_receive(each.message))
        self._check_returned(returned)
        if comes_again:
            self._leave(run)
            if run.group is not None and was_in_line:
                unstarted = [each for each in self._of(run.lane) if each.state in _UNSTARTED]
                assert run.group not in {each.run.group for each in unstarted}, (
                    "a failed message that returns at once would find others in its group"
                )
        if following is not None:
            self._note_starts([following])
        self.seen["ends"] += 1

    def _ends_of(self, run: JobRun) -> list[Outcome]:
        buried = Outcome("failed", 7, _RECORD)
        if run.lane.is_fifo and run.lane.batch_size == 1 and not run.is_last_chance:
            return [buried, *[Outcome("failed", n, in_place=True) for n in (0, 3, 7) * 2]]
        if not run.lane.is_fifo:
            return [buried, Outcome("retried", 43_000, park_until=2e9)]
        return [buried]

    def take(self) -> None:
        batch = self.register.take_settlements()
        lines = [line for s in self.register._states.values() for line in s.lines]
        assert batch or not any(map(self._can_go, lines)), "a line blocks another one"
        if batch is None:
            return
        assert 1 <= len(batch) <= 10
        kinds = {
            (each.run.lane.name, _is_delete(each), each.record is None, each.park_until is None)
            for each in batch
        }
        assert len(kinds) == 1
        groups = [each.run.group for each in batch if each.run.group and each.record is not None]
        assert len(set(groups)) == len(groups), "two dead letters of a group in one request"
        for each in batch:
            assert not self._waits_for_extension(each), "a return overtook an extension"
        self.taken.append(batch)

    def settle(self, chance_of_refusal: float = 0.1) -> None:
        if not self.taken:
            return
        batch = self.taken.pop(self.random.randrange(len(self.taken)))
        if batch[0].needs_copy:
            self._send_copies(batch, chance_of_refusal)
            return
        told, refused = [], []
        for each in batch:
            is_refused = self.random.random() < chance_of_refusal
            if is_refused and self.random.random() < 0.5:
                when = self.clock() + self.random.choice([0.2, 5.0, 40.0])
                is_later = self.register.settle_later(each, when)
                margin = 0 if each.is_delete else RETURN_SECONDS
                assert is_later == (when < each.message.lease.expires_at - margin)
                if is_later:
                    continue
            told.append(each)
            if is_refused:
                refused.append(each)
        if not told:
            return
        returned = self.register.settled(told, refused)
        goes_on = all(
            (_is_delete(each) and each not in refused)
            or each.run.lane.is_last_receive(each.message)
            for each in told
        )
        assert not (goes_on and returned), "a group did not go on after its head was settled"
        for each in told:
            del self.open[each]
            if (_is_delete(each) and each not in refused) or each.run.lane.is_last_receive(
                each.message
            ):
                self.deleted.add(each)
            else:
                self._leave(each.run)
        self._check_returned(returned)
        self.seen["settlements"] += len(told)

    def _send_copies(self, batch: Sequence[Delivery], chance_of_refusal: float) -> None:
        for each in batch:
            is_parking = each.park_until is not None
            if self.random.random() >= chance_of_refusal:
                self.register.copied(each)
                assert _is_delete(each)
                self.seen["parked" if is_parking else "buried"] += 1
                continue
            returned = self.register.not_copied(each)
            assert not each.needs_copy and not _is_delete(each)
            if not each.run.lane.is_last_receive(each.message):
                self._leave(each.run)
            else:
                assert not returned
            self._check_returned(returned)

    def lose(self) -> None:
        if self.open:
            self._lose(self.random.choice(list(self.open)))

    def _lose(self, delivery: Delivery) -> None:
        before, run = delivery.state, delivery.run
        is_new, returned = self.register.lose(delivery)
        assert is_new == (before in (*_UNSTARTED, "running"))
        if not is_new:
            return
        assert delivery.state == "lost" and delivery.message.lease.is_lost
        self._leave(run)
        self.left.setdefault(delivery, next(self.events))
        if before != "running":
            del self.open[delivery]
        self._check_returned(returned)
        self.seen["losses"] += 1

    def look_at_leases(self) -> None:
        over, due = self.register.take_due_leases(True)
        for delivery in over:
            assert delivery.message.lease.expires_at <= self.clock()
            self._lose(delivery)
        busy = {each.run.lane.name for each in self.extending}
        for deliveries in due:
            if deliveries[0].run.lane.name in busy:
                continue  # each lane has one call at a time
            changes = self.register.begin_extension(deliveries)
            assert all(0 < seconds <= 37 for _, seconds in changes)
            self.extending += [delivery for delivery, _ in changes]

    def end_extension(self) -> None:
        if not self.extending:
            return
        ending = [each for each in self.extending if self.random.random() < 0.7]
        self.extending = [each for each in self.extending if each not in ending]
        self.register.end_extension(ending)
        for each in ending:
            answer = self.random.random()
            if answer < 0.8:
                each.message.lease.renew(self.clock() + each.run.lane.visibility_timeout)
            elif answer < 0.9:
                self._lose(each)

    def pass_time(self) -> None:
        self.clock.advance(self.random.choice([0.01, 0.1, 1.0, 3.0]))

    def permit(self) -> None:
        if self.limited:
            self.limit = (self.limit or 0) + self.random.randint(0, 10)
            self.register.permit(
                next(each for each in self.lanes if each.name in self.limited), self.limit
            )

    def release(self) -> None:
        of = self.random.choice(self.lanes)
        self._check_returned(self.register.release(of))
        assert not [each for each in self._of(of) if each.state in _UNSTARTED]

    def note_slow_runs(self) -> None:
        self.register.note_slow_runs()

    def close(self) -> None:
        self._close(self.random.choice(self.lanes))

    def _close(self, of: Lane) -> None:
        self._check_returned(self.register.close(of))
        self.closed.add(of.name)
        self.held.discard(of.name)
        self._check_closed(of)

    def pause(self) -> None:
        of = self.random.choice(self.lanes)
        if of.name not in self.closed:
            self.register.pause(of)
            self.held.add(of.name)

    def stop_credit(self) -> None:
        of = self.random.choice(self.lanes)
        self.register.stop_credit(of)
        assert self.register.take_credit(of, 10, 60) is None

    def abandon(self) -> None:
        running = [
            run for run in self.busy if run not in self.claimed and run not in self.abandoned
        ]
        number, returned = self.register.abandon()
        assert number == sum(len(run.deliveries) for run in running)
        for run in running:
            self.abandoned.append(run)
            for each in run.deliveries:
                if each.state == "lost":
                    del self.open[each]
                else:
                    assert each.settlement is not None and each.settlement.started
                    assert each.message.lease.is_lost
        self._check_returned(returned)
        self.closed |= {each.name for each in self.lanes}
        self.is_over = True
        assert not [each for each in self.open if each.state in (*_UNSTARTED,)]

    def bring_to_an_end(self) -> None:
        """Run, return or abandon everything in hand, and check that nothing is left."""
        end = self.random.choice(["run", "drain", "abandon"])
        while self.polls:
            self.end_poll()
        for of in self.lanes:
            self.register.take_in(of, [])  # complete the lists that were kept open
            if of.name in self.held or end == "drain":
                self._close(of)
        if end == "abandon":
            self.abandon()
        elif self.limited:
            self.limit = None
            self.register.permit(
                next(each for each in self.lanes if each.name in self.limited), None
            )
        for _ in range(500):
            if not self.open:
                break
            self.clock.advance(50.0)  # longer than anything waits
            self.register.end_extension(self.extending)
            self.extending = []
            for each in self.open:
                each.message.lease.renew(self.clock() + 30)
            self.start()
            while len(self.busy) > len(self.abandoned):
                self.claim()
                self.finish()
            while (batch := self.register.take_settlements()) is not None:
                self.taken.append(batch)
            while self.taken:
                self.settle(0.0)
            self.check()
        assert not self.open, "a message is still in hand"
        assert self.register.is_empty() and self.register.is_settled
        assert self.register.unstarted() == 0
        assert not self.register._deliveries and not self.register._later
        assert self.register.take_all_settlements() == []
        for state in self.register._states.values():
            assert not state.groups._lines
            assert state.asked == state.parked == len(state.ready) == len(state.lists) == 0

    # Checks.

    def _of(self, of: Lane) -> list[Delivery]:
        return [each for each in self.open if each.run.lane is of]

    def _is_used_up(self) -> bool:
        return self.limit is not None and self.started >= self.limit

    def _leave(self, run: JobRun) -> None:
        for each in run.deliveries:
            self.left.setdefault(each, next(self.events))

    def _waits_for_extension(self, delivery: Delivery) -> bool:
        settlement = delivery.settlement
        assert settlement is not None
        is_late = self.clock() >= settlement.due + EXTENSION_SECONDS
        return delivery in self.extending and not _is_delete(delivery) and not is_late

    def _can_go(self, line: Iterable[Delivery]) -> bool:
        """Return whether something in the line is not blocked by an extension of its lease or
        group."""
        for each in line:
            if not self._waits_for_extension(each):
                return True
            if each.run.group is not None:
                return False
        return False

    def _note_starts(self, runs: Iterable[JobRun]) -> None:
        for run in runs:
            name = run.lane.name
            assert run.deliveries and run not in self.busy
            assert all(each.state == "running" and each.run is run for each in run.deliveries)
            assert name not in self.held and not self.is_over
            if name in self.limited:
                assert not self._is_used_up()
                self.started += len(run.deliveries)
            if run.group is not None:
                self._check_order(run)
            assert not self._runs_alone(), "a run started next to a suspect"
            if run.runs_alone:
                self._check_alone(run)
            self.busy[run] = None
            self.seen["starts"] += 1

    def _runs_in_hand(self) -> list[JobRun]:
        return [each.run for each in self.open if each.state in (*_UNSTARTED, "running")]

    def _runs_alone(self) -> bool:
        now = self.clock()
        return any(
            run.runs_alone and now - run.started_at < ALONE_SECONDS
            for run in self.busy
            if run not in self.abandoned
        )

    def _check_alone(self, run: JobRun) -> None:
        """Check that only suspects, groups that wait for a retry and their followers are left."""
        assert not self.polls and all(each in self.abandoned for each in self.busy)
        waiting = [each for each in self._runs_in_hand() if each is not run]
        heads = [entry[2] for s in self.register._states.values() for entry in s.retries]
        heads += [each for each in [run, *waiting] if each.runs_alone]
        groups = {(each.lane.name, each.group) for each in heads if each.group is not None}
        assert all(each in heads or (each.lane.name, each.group) in groups for each in waiting)
        assert not any(each.state == "settling" for each in self.open), "a settlement is pending"
        self.seen["suspects"] += 1

    def _check_order(self, run: JobRun) -> None:
        """Check that everything that arrived earlier is gone, or left before this run arrived."""
        arrived = [self.arrived[each] for each in run.deliveries]
        assert arrived == sorted(arrived)
        for earlier in self.history[run.lane.name, run.group or ""]:
            if self.arrived[earlier] >= arrived[-1] or earlier in run.deliveries:
                continue
            is_gone = earlier in self.deleted
            assert is_gone or self.left.get(earlier, float("inf")) < arrived[0], (
                "a message ran before the one ahead of it in its group was gone"
            )

    def _check_returned(self, runs: Iterable[JobRun]) -> None:
        latest: dict[tuple[str, str | None], int] = {}
        for run in runs:
            assert run not in self.busy
            for each in run.deliveries if run.group is not None else ():
                key = (run.lane.name, run.group)
                assert latest.get(key, 0) < self.arrived[each], "a group was returned out of order"
                latest[key] = self.arrived[each]
            for each in run.deliveries:
                assert each.state == "settling" and each.settlement is not None
                assert each.settlement.hidden_seconds is not None and not each.settlement.started
            self._leave(run)

    def _check_closed(self, of: Lane) -> None:
        """Check that what waits in a closed lane is on its last receive, or ahead of such a
        message."""
        assert self.register.take_credit(of, 10, 0) is None
        waiting = [each for each in self._of(of) if each.state in _UNSTARTED]
        for each in waiting:
            assert not self.is_over
            behind = [other.run for other in waiting if other.run.group == each.run.group]
            assert each.run.is_last_chance or (
                of.is_fifo and any(run.is_last_chance for run in behind)
            )

    def check(self) -> None:
        """Recount everything."""
        register = self.register
        kept = {each.message.receipt_handle for each in self.open if each.state != "lost"}
        assert register._deliveries.keys() == kept
        ended = [run for run in self.busy if run in self.abandoned]
        running = [run for run in self.busy if run not in ended]
        assert list(register._running.values()) == running
        noted = self.notes.read()
        ran = sorted(each.message.message_id for each in noted if each.has_run)
        runs = [] if self.is_over else running
        assert ran == sorted(each.message.message_id for run in runs for each in run.deliveries)
        kept = {each.message.message_id for each in noted if each.is_kept}
        in_hand = [each for each in self.open if each.state in _UNSTARTED]
        in_hand += [each for run in runs for each in run.deliveries]
        last = [each for each in in_hand if each.run.lane.is_last_receive(each.message)]
        assert kept == {each.message.message_id for each in last}
        assert len(noted) == len(ran) + sum(each.state in _UNSTARTED for each in last)
        settling = [each for each in self.open if each.state == "settling"]
        assert register._settling == len(settling)
        places = Counter(each for batch in self.taken for each in batch)
        places.update(each for _, _, each in register._later)
        for state in register._states.values():
            places.update(each for line in state.lines for each in line)
            assert all(each.record is not None for each in state.dead_letters)
            assert all(_is_delete(each) for each in state.deletes)
            assert not any(_is_delete(each) for each in state.returns)
        assert places == Counter(settling), "a settlement is missing or duplicated"
        for pool in register._pools:
            names = {state.lane.name for state in pool.lanes}
            assert pool.running == sum(run.lane.name in names for run in self.busy)
            assert pool.ready == sum(len(state.ready) for state in pool.lanes)
            assert 0 <= pool.running <= pool.slots
            for state in pool.lanes if pool.running + pool.ready < pool.slots else ():
                is_open = state.lane.name not in self.closed | self.held | self.limited
                if is_open and not state.is_closed and not state.asked:
                    assert state.credit(10) >= 1, "a slot is free and there is no credit"
        for state in register._states.values():
            of = self._of(state.lane)
            assert state.in_hand == len(of) == register.in_hand(state.lane)
            assert state.asked == sum(each.credit for each in self.polls if each.lane is state.lane)
            lists = [run for _, run in state.lists._lists.values()]
            received = _runs(each for each in of if each.state == "received")
            waiting = _runs(each for each in of if each.state == "waiting")
            stays = [run for _, _, run in state.retries]
            assert sorted(map(id, waiting)) == sorted(map(id, [*state.ready, *stays]))
            assert all(run is next(iter(state.groups.line_of(run))) for run in stays)
            assert all(run in received for run in lists)
            assert state.parked == len(received) - len(lists) + len(stays)
            for run in {**dict.fromkeys(state.ready), **dict.fromkeys(lists)}:
                assert run.deliveries
            assert len({each.state for run in waiting for each in run.deliveries}) <= 1
            if state.lane.name in self.limited:
                assert state.permits.started == self.started
            for line in state.groups._lines.values():
                assert not any(each.state == "received" for each in line[0].deliveries)
                for run in list(line)[1:]:
                    assert run in received
            self._check_group_slots(state.lane)

    def _check_group_slots(self, of: Lane) -> None:
        state = self.register._states[of.name]
        if state.group_slots is None:
            return
        runs = [*state.ready, *(run for run in self.busy if run.lane is of)]
        inside = Counter(run.fair_group for run in runs if run.fair_group is not None)
        assert state.group_slots._inside == inside
        assert all(number <= (of.share.group_slots or 0) for number in inside.values())
        for run in [each for line in state.group_slots._waiting.values() for each in line]:
            assert inside[run.fair_group or ""] == of.share.group_slots


def _runs(deliveries: Iterable[Delivery]) -> Sequence[JobRun]:
    return list(dict.fromkeys(each.run for each in deliveries))


def _is_delete(delivery: Delivery) -> bool:
    return delivery.settlement is not None and delivery.settlement.hidden_seconds is None
