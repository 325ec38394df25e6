"""The register: the state of each message, with a clock that the test moves."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sqsw.core.dead_record import DeadRecord
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.settings import WorkerSettings
from sqsw.worker.delivery import Delivery, JobRun, Outcome
from sqsw.worker.in_flight import EXTENSION_SECONDS, InFlight
from sqsw.worker.lane import Lane
from tests.unit.worker.doubles import ManualClock, lane, message
from tests.unit.worker.register_doubles import bodies_of, fifo, group, names_of, run_of
from tests.unit.worker.register_driver import Driver

DONE: Outcome = Outcome("done", None)
FAILED: Outcome = Outcome("failed", 7)


class Register:
    """A register and its clock."""

    def __init__(self, *lanes: Lane, slots: int = 8, linger: float = 0.05) -> None:
        self.lanes = lanes or (lane(),)
        self.lane = self.lanes[0]
        self.clock = ManualClock()
        settings = WorkerSettings(concurrency=slots, prefetch=0, ack_linger_seconds=linger)
        self.in_flight = InFlight(self.lanes, settings, self.clock)

    def take_in(self, *sent: Any, of: Lane | None = None) -> list[JobRun]:
        """Take in messages and return their runs."""
        lane = of or self.lane
        runs = [run_of(lane, each) for each in sent]
        self.in_flight.take_in(lane, runs)
        return runs

    def start(self, *sent: Any, of: Lane | None = None) -> list[JobRun]:
        """Take in messages, start them and return their runs."""
        runs = self.take_in(*sent, of=of)
        self.in_flight.start_next()
        return runs

    def end(self, run: JobRun, outcome: Outcome = DONE) -> tuple[JobRun | None, list[JobRun]]:
        assert self.in_flight.claim(run)
        return self.in_flight.finish(run, [outcome] * len(run.deliveries), 0.1)

    def settling(
        self, count: int = 1, outcome: Outcome = DONE, of: Lane | None = None
    ) -> list[Delivery]:
        """Return deliveries whose jobs have just ended."""
        runs = self.start(*[""] * count, of=of)
        for run in runs:
            self.end(run, outcome)
        return [run.deliveries[0] for run in runs]


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start a blocking call in a thread. Return a function that waits for its result."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()), daemon=True)
    thread.start()

    def answer() -> Any:
        thread.join(10)
        assert answers, "it is still waiting"
        return answers[0]

    return answer


def until(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it did not happen")


def states_of(runs: Sequence[JobRun]) -> list[str]:
    return [each.state for run in runs for each in run.deliveries]


# Polls.


def test_a_poll_gets_credit_and_returns_it() -> None:
    register = Register(slots=3).in_flight
    (lane,) = [state.lane for state in register._states.values()]
    poll = register.take_credit(lane, 10, 0)
    assert poll is not None and poll.credit == 3
    assert register.take_credit(lane, 10, 0) is None
    register.give_back_credit(poll)
    assert register.take_credit(lane, 10, 0) is not None


def waiting_poll(kit: Register) -> Callable[[], Any]:
    """Start a poll that waits for credit."""
    answer = in_thread(lambda: kit.in_flight.take_credit(kit.lane, 10, 30))
    until(lambda: kit.in_flight._waiting_polls)
    return answer


def test_the_end_of_a_run_wakes_a_waiting_poll() -> None:
    kit = Register(slots=1)
    (run,) = kit.start("a")
    poll = waiting_poll(kit)
    kit.end(run)
    assert poll().credit == 1


def test_the_end_of_another_poll_wakes_a_waiting_poll() -> None:
    kit = Register(slots=1)
    open_poll = kit.in_flight.take_credit(kit.lane, 10, 0)
    assert open_poll is not None
    poll = waiting_poll(kit)
    kit.in_flight.give_back_credit(open_poll)
    assert poll().credit == 1


def test_more_permits_wake_a_waiting_poll() -> None:
    kit = Register(slots=1)
    kit.in_flight.share_permits(kit.lanes, 0)
    poll = waiting_poll(kit)
    kit.in_flight.permit(kit.lane, 1)
    assert poll().credit == 1


@pytest.mark.parametrize("end", ["close", "stop_credit", "abandon"])
def test_a_close_wakes_a_waiting_poll(end: str) -> None:
    kit = Register(slots=1)
    kit.start("a")
    poll = waiting_poll(kit)
    if end == "abandon":
        kit.in_flight.abandon()
    else:
        getattr(kit.in_flight, end)(kit.lane)
    assert poll() is None
    assert kit.in_flight.take_credit(kit.lane, 10, 60) is None


# From receive to end.


def test_a_message_goes_through_its_states() -> None:
    kit = Register(slots=1)
    first, second = kit.take_in("a", "b")
    assert states_of([first, second]) == ["waiting", "waiting"]
    assert kit.in_flight.start_next() == [first]
    assert (states_of([first]), first.started_at) == (["running"], kit.clock.now)
    assert kit.in_flight.running() == [first]
    assert kit.end(first) == (second, [])
    assert states_of([first, second]) == ["settling", "running"]
    assert not kit.in_flight.is_settled
    kit.clock.advance(0.05)
    batch = kit.in_flight.take_settlements()
    assert batch == first.deliveries
    assert kit.in_flight.settled(batch) == []
    assert states_of([first]) == ["gone"]
    assert kit.in_flight.in_hand(kit.lane) == 1
    assert (kit.in_flight.is_settled, kit.in_flight.is_empty()) == (True, False)


def test_a_run_waits_as_received_until_its_group_opens() -> None:
    kit = Register(fifo())
    first, second = kit.start(*group("g", 2))
    assert states_of([first, second]) == ["running", "received"]
    kit.end(first)
    assert kit.in_flight.start_next() == []
    kit.in_flight.settled(first.deliveries)
    assert kit.in_flight.start_next() == [second]


def test_a_run_can_be_claimed_once() -> None:
    kit = Register()
    (run,) = kit.start("a")
    assert [kit.in_flight.claim(run) for _ in range(2)] == [True, False]


def test_a_run_that_could_not_start_returns_its_permit_and_has_no_run_time() -> None:
    kit = Register()
    kit.in_flight.share_permits(kit.lanes, 5)
    a, b = kit.start("a", "b")
    assert kit.in_flight.permits_left(kit.lane) == 3
    kit.end(a, Outcome("released", 5))
    assert kit.in_flight.permits_left(kit.lane) == 4
    assert kit.in_flight.run_seconds(kit.lane) is None
    kit.end(b)
    assert kit.in_flight.permits_left(kit.lane) == 4
    assert kit.in_flight.run_seconds(kit.lane) == 0.1
    assert kit.in_flight.counts() == {"released": 1, "done": 1}


def test_a_slow_run_counts_once_before_its_end() -> None:
    kit = Register(slots=2)
    quick, _ = kit.start("quick", "slow")
    kit.in_flight.claim(quick)
    kit.in_flight.finish(quick, [DONE], 0.0)
    kit.clock.advance(0.5)
    kit.in_flight.note_slow_runs()
    assert kit.in_flight.run_seconds(kit.lane) == 0.0
    for _ in range(2):
        kit.clock.advance(1.5)
        kit.in_flight.note_slow_runs()
        # a tenth of the two seconds, counted once
        assert kit.in_flight.run_seconds(kit.lane) == pytest.approx(0.2)


def test_slots_are_those_of_the_worker_plus_those_of_lanes_with_their_own() -> None:
    assert Register(lane("a"), lane("b"), lane("c", slots=3), slots=4).in_flight.slots() == 7


# Settlements.


def test_a_batch_has_one_lane_and_kind() -> None:
    a, b = lane("a"), lane("b")
    kit = Register(a, b, slots=100)
    deletes = kit.settling(3, of=a)
    kit.clock.advance(0.001)
    returns = kit.settling(2, FAILED, of=a)
    kit.clock.advance(0.001)
    others = kit.settling(12, of=b)
    batches = [kit.in_flight.take_settlements() for _ in range(5)]
    assert batches == [deletes, returns, others[:10], others[10:], None]


@pytest.mark.parametrize(
    ("of", "outcome", "wait"),
    [
        (lane(), DONE, 0.05),
        (lane(), FAILED, 0.05),
        (lane(), Outcome("released", 5), 0.0),
        (fifo(), DONE, 0.0),  # the next message of the group waits for this one
    ],
)
def test_a_settlement_lingers_unless_something_waits_for_it(
    of: Lane, outcome: Outcome, wait: float
) -> None:
    kit = Register(of)
    (run,) = kit.start(message(group="g"))
    kit.end(run, outcome)
    settlement = run.deliveries[0].settlement
    assert settlement is not None
    assert settlement.due == kit.clock.now + wait
    assert (settlement.hidden_seconds, settlement.started) == (outcome[1], outcome[0] != "released")


def test_a_sender_takes_a_full_batch_before_it_is_due() -> None:
    kit = Register(slots=100, linger=5)
    kit.settling(9)
    assert not kit.in_flight.needs_sender()
    kit.settling()
    assert kit.in_flight.needs_sender()
    batch = kit.in_flight.wait_for_settlements()
    assert batch is not None and len(batch) == 10


def test_a_sender_takes_what_is_due() -> None:
    kit = Register(linger=5)
    one = kit.settling()
    assert not kit.in_flight.needs_sender()
    kit.clock.advance(5)
    assert kit.in_flight.needs_sender()
    assert kit.in_flight.wait_for_settlements() == one


def waiting_sender(kit: Register) -> Callable[[], Any]:
    """Start a sender that waits for settlements."""
    before = kit.in_flight._idle_senders
    answer = in_thread(kit.in_flight.wait_for_settlements)
    until(lambda: kit.in_flight._idle_senders > before)
    return answer


def test_a_due_settlement_wakes_a_waiting_sender() -> None:
    kit = Register(fifo())
    (run,) = kit.start(*group("g", 1))
    batch = waiting_sender(kit)
    kit.end(run)
    assert batch() == run.deliveries


def test_a_hurry_and_the_end_wake_waiting_senders() -> None:
    kit = Register(linger=5)
    one = kit.settling()
    batch = waiting_sender(kit)
    kit.in_flight.hurry()
    assert batch() == one
    batch = waiting_sender(kit)
    assert kit.in_flight.take_all_settlements() == []
    assert batch() is None


def test_a_return_waits_for_a_pending_extension_of_its_lease() -> None:
    kit = Register()
    (run,) = kit.start(message(expires_at=kit.clock.now + 10))
    (delivery,) = run.deliveries
    assert kit.in_flight.begin_extension([delivery]) == [(delivery, 30)]
    kit.end(run, FAILED)
    kit.clock.advance(1)
    assert kit.in_flight.take_settlements() is None
    kit.in_flight.end_extension([delivery])
    assert kit.in_flight.take_settlements() == [delivery]


def test_a_return_does_not_wait_for_an_extension_that_hangs() -> None:
    kit = Register()
    (run,) = kit.start(message(expires_at=kit.clock.now + 10))
    kit.in_flight.begin_extension(run.deliveries)
    kit.end(run, FAILED)
    kit.clock.advance(EXTENSION_SECONDS + 0.05)
    assert kit.in_flight.wait_for_settlements() == run.deliveries


def test_a_delete_does_not_wait_for_an_extension() -> None:
    kit = Register()
    (run,) = kit.start(message(expires_at=kit.clock.now + 10))
    kit.in_flight.begin_extension(run.deliveries)
    kit.end(run)
    assert kit.in_flight.take_settlements() == run.deliveries


def test_a_return_that_waits_for_an_extension_blocks_no_other_settlement() -> None:
    a, b = lane("a"), lane("b")
    kit = Register(a, b)
    (run,) = kit.start(message(expires_at=kit.clock.now + 10), of=a)
    kit.in_flight.begin_extension(run.deliveries)
    kit.end(run, FAILED)
    kit.clock.advance(0.01)
    same_lane, other_lane = kit.settling(of=a), kit.settling(of=b)
    kit.clock.advance(1)
    assert kit.in_flight.wait_for_settlements() == same_lane
    assert kit.in_flight.wait_for_settlements() == other_lane
    (behind,) = kit.settling(1, FAILED, of=a)
    assert kit.in_flight.take_settlements() == [behind]


def test_a_return_that_waits_for_an_extension_stays_ahead_of_its_group() -> None:
    kit = Register(fifo())
    g1 = message("g1", group="g", expires_at=kit.clock.now + 10)
    head, follower = kit.start(g1, message("g2", group="g"))
    kit.in_flight.begin_extension(head.deliveries)
    assert kit.end(head, FAILED) == (None, [follower])
    assert kit.in_flight.take_settlements() is None  # g2 must not be visible before g1
    kit.in_flight.end_extension(head.deliveries)
    assert kit.in_flight.take_settlements() == [*head.deliveries, *follower.deliveries]


def test_a_settlement_that_sqs_refuses_for_now_is_repeated_later() -> None:
    kit = Register()
    (delivery,) = kit.settling()
    assert kit.in_flight.take_settlements() == [delivery]
    assert kit.in_flight.settle_later(delivery, kit.clock.now + 2)
    assert kit.in_flight.take_settlements() is None
    assert not kit.in_flight.is_settled
    kit.clock.advance(2)
    assert kit.in_flight.take_settlements() == [delivery]
    assert delivery.settlement is not None and delivery.settlement.calls == 1


def test_a_settlement_is_not_repeated_after_its_lease() -> None:
    kit = Register()
    (run,) = kit.start(message(expires_at=kit.clock.now + 10))
    kit.end(run)
    (delivery,) = run.deliveries
    assert not kit.in_flight.settle_later(delivery, kit.clock.now + 10)
    assert kit.in_flight.settle_later(delivery, kit.clock.now + 9)


def test_all_unsent_settlements_can_be_taken() -> None:
    kit = Register(slots=100)
    deletes, returns, later = kit.settling(2), kit.settling(2, FAILED), kit.settling()
    batch = kit.in_flight.take_settlements()
    assert batch == [*deletes, *later]
    kit.in_flight.settle_later(later[0], kit.clock.now + 1)
    left = kit.in_flight.take_all_settlements()
    assert left == [*later, *returns]
    kit.in_flight.settled([*batch, *returns], left)
    assert kit.in_flight.is_settled and kit.in_flight.is_empty()


def test_the_end_waits_until_everything_is_settled() -> None:
    kit = Register()
    assert kit.in_flight.wait_until_settled(kit.clock.now)
    batch = kit.settling()
    assert not kit.in_flight.wait_until_settled(kit.clock.now)
    done = in_thread(lambda: kit.in_flight.wait_until_settled(kit.clock.now + 30))
    kit.in_flight.settled(batch)
    assert done() is True


def test_a_due_settlement_ends_the_wait() -> None:
    kit = Register()
    kit.settling()
    kit.clock.advance(0.05)
    assert kit.in_flight.wait_until_settled(kit.clock.now + 30, due_too=True)


# Leases.


def test_the_leases_of_messages_in_hand_are_extended_at_half_time() -> None:
    kit = Register(slots=3)
    sent = [message(body, expires_at=kit.clock.now + 30) for body in "abcd"]
    running, deleted, returned, waiting = (run.deliveries[0] for run in kit.start(*sent))
    kit.end(deleted.run)
    kit.end(returned.run, FAILED)
    kit.clock.advance(14)
    assert kit.in_flight.take_due_leases(True) == ([], [])
    kit.clock.advance(1)
    assert kit.in_flight.take_due_leases(False) == ([], [])
    over, due = kit.in_flight.take_due_leases(True)
    assert (over, due) == ([], [[running, deleted, waiting]])
    changes = kit.in_flight.begin_extension([running, returned])
    assert changes == [(running, 30)]


def test_an_ended_lease_is_found_only_before_the_job_has_ended() -> None:
    kit = Register(slots=2)
    sent = [message(body, expires_at=kit.clock.now + 30) for body in "abc"]
    running, settling, waiting = (run.deliveries[0] for run in kit.start(*sent))
    kit.end(settling.run, FAILED)
    kit.clock.advance(30)
    assert kit.in_flight.take_due_leases(False) == ([running, waiting], [])
    kit.in_flight.lose(running)
    assert kit.in_flight.take_due_leases(False) == ([waiting], [])


def test_due_leases_are_grouped_by_lane() -> None:
    a, b = lane("a"), lane("b", visibility_timeout=60)
    kit = Register(a, b)
    of_a = kit.start(*(message(expires_at=kit.clock.now + 15) for _ in "12"), of=a)
    of_b = kit.start(message(expires_at=kit.clock.now + 15), of=b)
    _, due = kit.in_flight.take_due_leases(True)
    assert due == [[run.deliveries[0] for run in runs] for runs in (of_a, of_b)]


def test_a_lease_is_never_extended_beyond_twelve_hours_after_the_receive() -> None:
    kit = Register()
    end = kit.clock.now + 20
    received_at = end - MAX_VISIBILITY_TIMEOUT_SECONDS
    sent = message(expires_at=kit.clock.now + 12, received_at=received_at)
    (run,) = kit.start(sent)
    assert kit.in_flight.begin_extension(run.deliveries) == [(run.deliveries[0], 15)]
    sent.lease.renew(kit.clock.now + 15)
    assert kit.in_flight.begin_extension(run.deliveries) == []


def test_an_extension_error_is_new_until_an_extension_succeeds() -> None:
    kit = Register()
    note = kit.in_flight.note_extension_error
    assert [note(kit.lane, error) for error in ("a", "b", None, "c")] == [True, False, False, True]
    assert kit.in_flight.extension_error(kit.lane) == "c"


def test_a_lease_is_lost_once() -> None:
    kit = Register()
    (run,) = kit.start("a")
    (delivery,) = run.deliveries
    assert kit.in_flight.lose(delivery) == (True, [])
    assert kit.in_flight.lose(delivery) == (False, [])
    assert delivery.message.lease.is_lost
    assert kit.in_flight.in_hand(kit.lane) == 1  # until its job ends
    kit.end(run, Outcome("dropped", 0))
    assert (kit.in_flight.is_empty(), kit.in_flight.is_settled) == (True, True)


def test_a_lease_cannot_be_lost_after_the_job_has_ended() -> None:
    kit = Register()
    (delivery,) = kit.settling()
    assert kit.in_flight.lose(delivery) == (False, [])
    assert kit.in_flight.take_settlements() == [delivery]


def test_a_lost_message_does_not_stop_the_delete_of_the_rest_of_its_list() -> None:
    kit = Register(lane(batch_size=2))
    lost, kept = (run.deliveries[0] for run in kit.start("a", "b"))
    assert lost.run is kept.run
    kit.in_flight.lose(lost)
    kit.end(kept.run)
    assert kit.in_flight.take_settlements() == [kept]
    kit.in_flight.settled([kept])
    assert kit.in_flight.is_empty()


# The drain.


def test_a_close_returns_waiting_and_late_messages_but_not_running_ones() -> None:
    kit = Register(slots=1)
    running, waiting = kit.start("a", "b")
    assert kit.in_flight.close(kit.lane) == [waiting]
    late = run_of(kit.lane, "late")
    assert kit.in_flight.take_in(kit.lane, [late]) == [late]
    assert states_of([running, waiting, late]) == ["running", "settling", "settling"]
    assert kit.in_flight.counts() == {"released": 2}
    assert kit.end(running) == (None, [])


def test_a_close_returns_groups_in_order() -> None:
    kit = Register(fifo(), slots=1)
    kit.start(*group("f", 2), *group("g", 2))
    assert names_of(kit.in_flight.close(kit.lane)) == [["g1"], ["g2"], ["f2"]]


def test_a_close_keeps_messages_on_their_last_receive_and_those_ahead_of_them() -> None:
    kit = Register(fifo(max_receives=3), slots=1)
    counts = {"g1": 3, "g2": 2, "g3": 3, "g4": 1, "h1": 1}
    kit.start("busy", *(message(body, group=body[0], receives=n) for body, n in counts.items()))
    assert names_of(kit.in_flight.close(kit.lane)) == [["h1"], ["g4"]]
    assert kit.in_flight.unstarted() == 3


def test_a_kept_run_of_a_limited_group_runs_in_turn() -> None:
    kit = Register(lane(group_slots=1, max_receives=3))
    kit.in_flight.share_permits(kit.lanes, 0)
    sent = [
        message(body, group="g", receives=n) for body, n in zip("abcd", (1, 3, 1, 3), strict=True)
    ]
    kit.take_in(*sent)
    assert names_of(kit.in_flight.close(kit.lane)) == [["a"], ["c"]]
    kit.in_flight.permit(kit.lane, None)
    (b,) = kit.in_flight.start_next()
    following, _ = kit.end(b)
    assert following is not None and bodies_of(following) == ["d"]
    assert kit.in_flight.unstarted() == 0


def test_a_paused_lane_starts_nothing_until_it_is_closed() -> None:
    kit = Register(lane(max_receives=3), slots=1)
    (running,) = kit.start("a")
    (last,) = kit.take_in(message("b", receives=3))
    kit.in_flight.pause(kit.lane)
    assert kit.end(running) == (None, [])
    assert kit.in_flight.start_next() == []
    assert kit.in_flight.take_credit(kit.lane, 10, 0) is None
    assert kit.in_flight.close(kit.lane) == []
    assert kit.in_flight.start_next() == [last]


def test_a_release_returns_unstarted_messages_and_the_lane_goes_on() -> None:
    kit = Register(lane(batch_size=2, max_wait=5, max_receives=3), slots=1)
    kit.start(*(message(body, receives=3) for body in "abcde"))
    assert names_of(kit.in_flight.release(kit.lane)) == [["c", "d"], ["e"]]
    assert kit.in_flight.running() != []
    assert kit.in_flight.take_in(kit.lane, [run_of(kit.lane)]) == []


def test_an_abandon_returns_everything_and_ignores_later_results() -> None:
    kit = Register(slots=2)
    claimed, running, waiting = kit.start("a", "b", "c")
    kit.in_flight.claim(claimed)
    assert kit.in_flight.abandon() == (1, [waiting])
    assert running.deliveries[0].message.lease.is_lost
    assert not kit.in_flight.claim(running)
    assert kit.in_flight.finish(claimed, [DONE], 0.1) == (None, [])
    settlements = {
        each.message.body: (each.settlement.hidden_seconds, each.settlement.started)
        for each in kit.in_flight.take_all_settlements()
        if each.settlement is not None
    }
    assert settlements == {"a": (None, True), "b": (0, True), "c": (0, False)}


# Retries in the worker, and dead letters.

STAYS = Outcome("failed", 7, in_place=True)
RECORD = DeadRecord("gave_up", None, None, None, "0" * 12, 1, 1, None, "now", "q", "w:1")
BURIED = Outcome("failed", 7, RECORD)


def _hidden(runs: Sequence[JobRun]) -> dict[str, int | None]:
    deliveries = [each for run in runs for each in run.deliveries]
    return {
        each.message.body: None if each.settlement is None else each.settlement.hidden_seconds
        for each in deliveries
    }


def _group_with_failed_head(
    *receives: int, max_receives: int | None = None
) -> tuple[Register, list[JobRun]]:
    kit = Register(fifo(max_receives=max_receives))
    runs = kit.start(
        *(message(body, group="g", receives=n) for body, n in zip("abc", receives, strict=True))
    )
    assert kit.end(runs[0], STAYS) == (None, [])
    return kit, runs


def test_a_failed_head_waits_without_a_slot_and_retries_first() -> None:
    kit, (head, _, _) = _group_with_failed_head(1, 1, 1)
    assert kit.in_flight.running() == []
    kit.clock.advance(6)
    assert kit.in_flight.start_retries() == []
    kit.clock.advance(1)
    assert kit.in_flight.start_retries() == [head]
    assert head.deliveries[0].message.attempt == 2


def test_a_drain_returns_a_failed_head_before_its_group() -> None:
    kit, runs = _group_with_failed_head(1, 1, 1)
    kit.clock.advance(3)
    assert _hidden(kit.in_flight.close(kit.lane)) == {"a": 4, "b": 5, "c": 5}
    assert {run.deliveries[0].state for run in runs} == {"settling"}


def test_a_drain_keeps_a_failed_head_that_is_ahead_of_a_last_receive() -> None:
    kit, (head, _, _) = _group_with_failed_head(1, 3, 1, max_receives=3)
    assert _hidden(kit.in_flight.close(kit.lane)) == {"c": 0}
    kit.clock.advance(7)
    assert kit.in_flight.start_retries() == [head]


def test_a_drain_ends_waiting_for_retries() -> None:
    kit = Register(fifo(max_receives=3))
    head, _ = kit.start(message("a", group="g"), message("b", group="g", receives=3))
    kit.in_flight.close(kit.lane)
    _, returned = kit.end(head, STAYS)
    assert _hidden([head, *returned]) == {"a": 7, "b": 8}


def test_the_leases_of_a_waiting_group_last_until_its_next_attempt() -> None:
    kit = Register(fifo())
    ends = kit.clock.now + 30
    runs = kit.start(*(message(body, group="g", expires_at=ends) for body in "ab"))
    kit.end(runs[0], STAYS)
    kit.clock.advance(2)
    changes = kit.in_flight.begin_extension([run.deliveries[0] for run in runs])
    assert [seconds for _, seconds in changes] == [35, 35]


def test_a_lane_is_not_busy_while_its_groups_only_wait_for_a_retry() -> None:
    kit, (head, _, _) = _group_with_failed_head(1, 1, 1)
    assert kit.in_flight.in_hand(kit.lane) == 3
    assert not kit.in_flight.is_busy(kit.lane)
    (other,) = kit.start(message("x", group="other"))
    assert kit.in_flight.is_busy(kit.lane)
    kit.end(other)
    kit.in_flight.settled(kit.in_flight.take_settlements() or [])
    assert not kit.in_flight.is_busy(kit.lane)
    kit.clock.advance(7)
    assert kit.in_flight.start_retries() == [head]
    assert kit.in_flight.is_busy(kit.lane)


def test_too_many_waiting_groups_are_returned() -> None:
    kit = Register(fifo(), slots=1)
    runs = kit.start(*(message("a", group=f"g{n}") for n in range(6)))
    states = []
    for run in runs:
        following, _ = kit.end(run, STAYS)
        states.append(run.deliveries[0].state)
        if following is None:
            break
    assert states == ["waiting"] * 4 + ["settling"] * 2


def test_a_head_that_cannot_be_dead_lettered_is_returned_with_its_group() -> None:
    kit = Register(fifo())
    head, _ = kit.start(message("a", group="g"), message("b", group="g"))
    assert kit.end(head, BURIED) == (None, [])
    assert kit.in_flight.take_settlements() == head.deliveries
    returned = kit.in_flight.not_copied(head.deliveries[0])
    assert _hidden([head, *returned]) == {"a": 7, "b": 8}


def test_a_group_goes_on_when_its_dead_head_is_deleted() -> None:
    kit = Register(fifo())
    head, follower = kit.start(message("a", group="g"), message("b", group="g"))
    kit.end(head, BURIED)
    kit.in_flight.take_settlements()
    kit.in_flight.copied(head.deliveries[0])
    assert kit.in_flight.start_next() == []
    batch = kit.in_flight.take_settlements() or []
    assert batch[0].is_delete
    kit.in_flight.settled(batch)
    assert kit.in_flight.start_next() == [follower]


# Any order of calls.


@pytest.mark.parametrize("first_seed", range(0, 500, 50))
def test_any_order_of_calls_keeps_the_register_consistent(first_seed: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + 50):
        driver = Driver(seed)
        try:
            driver.run(calls=300)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}; seen {dict(driver.seen)}") from error
        seen += driver.seen
    for what in ("starts", "losses", "settlements", "stays", "buried", "parked", "suspects"):
        assert seen[what] > 10, f"{what} were rarely tried: {seen}"
