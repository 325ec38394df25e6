"""How many messages a lane can receive, and which run gets the next slot."""

import pytest

from sqsw.core.settings import WorkerSettings
from sqsw.worker.delivery import JobRun
from sqsw.worker.lane import Lane
from sqsw.worker.lane_state import MAX_PARKED, LaneState, Permits, SlotPool, lane_states
from tests.unit.worker.doubles import lane, message
from tests.unit.worker.register_doubles import run_of


def states(*lanes: Lane, slots: int = 8, prefetch: int | None = 0) -> list[LaneState]:
    settings = WorkerSettings(concurrency=slots, prefetch=prefetch)
    return list(lane_states(lanes or (lane("a"),), settings).values())


def state(slots: int = 8, prefetch: int | None = 0) -> LaneState:
    (only,) = states(slots=slots, prefetch=prefetch)
    return only


def weighted(*weights: int, slots: int = 8, prefetch: int | None = 0) -> list[LaneState]:
    """Return lanes a, b, … with these weights."""
    lanes = [lane("abc"[index], weight=weight) for index, weight in enumerate(weights)]
    return states(*lanes, slots=slots, prefetch=prefetch)


def add(to: LaneState, count: int = 1) -> None:
    for _ in range(count):
        to.add(run_of(to.lane))


def start(to: LaneState, count: int = 1) -> list[JobRun]:
    """Add runs, start as many of all ready runs, and return those."""
    add(to, count)
    started = [to.pool.next_run() for _ in range(count)]
    return [run for run in started if run is not None]


def ask(of: LaneState, want: int = 10) -> int:
    """Start a poll and return its credit."""
    granted = of.credit(want)
    of.asked += granted
    return granted


# How many messages a lane can receive.


def test_at_first_the_credit_is_the_free_slots() -> None:
    assert ask(state(slots=3)) == 3


def test_the_credit_is_no_more_than_wanted() -> None:
    assert ask(state(slots=30)) == 10


def test_there_is_no_credit_without_a_free_slot() -> None:
    only = state(slots=1)
    start(only)
    assert ask(only) == 0


def test_an_open_poll_uses_up_the_credit_of_its_lane() -> None:
    only = state(slots=4)
    assert ask(only) == 4
    assert ask(only) == 0
    only.asked -= 4
    assert ask(only) == 4


def test_lanes_share_credit_by_weight() -> None:
    assert [ask(each) for each in weighted(3, 1)] == [6, 2]


def test_every_lane_gets_a_credit_of_one_while_a_slot_is_free() -> None:
    assert [ask(each) for each in weighted(100, 1, 1, slots=2)] == [1, 1, 1]


def test_a_lane_gets_a_credit_of_one_even_if_other_lanes_fill_the_slots() -> None:
    a, b = weighted(1, 1, slots=1, prefetch=10)
    start(a)
    add(a, 5)
    assert ask(b) == 5  # its half of the prefetch
    a, b = weighted(1, 1, slots=1)
    start(a)
    add(a)
    assert ask(b) == 1
    assert ask(a) == 0


def test_prefetch_asks_for_ten_at_a_time_while_the_slots_are_busy() -> None:
    only = state(slots=1, prefetch=15)
    start(only)
    add(only, 6)
    assert ask(only) == 0  # nine would fit
    only.remove(only.ready[0])
    assert ask(only) == 10


def test_a_small_prefetch_is_refilled_when_it_is_empty() -> None:
    only = state(slots=1, prefetch=3)
    start(only)
    add(only)
    assert ask(only) == 0
    only.remove(only.ready[0])
    assert ask(only) == 3


@pytest.mark.parametrize(
    ("run_seconds", "prefetch"), [(None, 0), (2.0, 0), (1.0, 0), (0.5, 8), (0.01, 40), (0.0, 40)]
)
def test_automatic_prefetch_is_what_can_start_within_a_second(
    run_seconds: float | None, prefetch: int
) -> None:
    only = state(slots=4, prefetch=None)
    only.end_run(start(only, 4)[0], run_seconds)
    start(only)
    assert ask(only, want=1000) == prefetch


def test_the_average_run_time_follows_recent_runs() -> None:
    only = state()
    for seconds in (1.0, 2.0, None):
        only.end_run(start(only)[0], seconds)
    assert only.run_seconds == pytest.approx(1.1)


def is_slow(run: JobRun) -> bool:
    return run.is_slow


def test_a_slow_run_counts_once_before_its_end() -> None:
    only = state(slots=4, prefetch=None)
    runs = start(only, 4)
    only.note_slow(runs[1], 60.0)
    assert not is_slow(runs[1])  # no run has ended, so nothing is prefetched anyway
    only.end_run(runs[0], 0.9)
    only.note_slow(runs[1], 0.95)
    assert not is_slow(runs[1])
    assert ask(only, want=1000) > 0
    only.note_slow(runs[1], 3.0)
    assert is_slow(runs[1])
    start(only)
    assert ask(only, want=1000) == 0


def test_automatic_prefetch_is_separate_for_each_lane() -> None:
    quick, slow = states(lane("quick"), lane("slow"), slots=4, prefetch=None)
    for each, seconds in ((quick, 0.01), (slow, 60.0)):
        each.end_run(start(each)[0], seconds)
    start(quick, 4)
    assert ask(quick) == 10
    assert ask(slow) == 0


def test_the_number_of_messages_that_wait_for_their_group_is_limited() -> None:
    only = state()
    only.parked = MAX_PARKED - 2
    assert ask(only) == 2
    only.asked, only.parked = 0, MAX_PARKED
    assert ask(only) == 0


@pytest.mark.parametrize("ends", ["is_closed", "is_paused"])
def test_a_closed_lane_gets_no_credit_and_the_others_do(ends: str) -> None:
    a, b = weighted(1, 1)
    setattr(a, ends, True)
    assert ask(a) == 0
    assert ask(b) == 4


def permitted(limit: float, *lanes: LaneState) -> Permits:
    permits = Permits()
    permits.limit = limit
    for each in lanes:
        each.permits = permits
        permits.lanes.append(each)
    return permits


def test_the_credit_is_no_more_than_the_jobs_that_can_start() -> None:
    only = state()
    permits = permitted(3, only)
    assert only.credit(10) == 3
    add(only, 2)
    assert only.credit(10) == 1
    permits.started = 1
    assert only.credit(10) == 0


def test_lanes_that_share_permits_count_each_others_waiting_messages() -> None:
    a, b = weighted(1, 1)
    permitted(3, a, b)
    add(a, 2)
    assert b.credit(10) == 1


def test_a_waiting_list_counts_as_a_full_one() -> None:
    (only,) = states(lane(batch_size=10))
    permitted(15, only)
    add(only)
    assert only.credit(10) == 5


# Which run starts next.


def picked(pool: SlotPool, count: int) -> str:
    runs = [pool.next_run() for _ in range(count)]
    return "".join(run.lane.name for run in runs if run is not None)


def test_a_lane_is_first_come_first_served() -> None:
    only = state()
    runs = [run_of(only.lane) for _ in range(3)]
    for run in runs:
        only.add(run)
    assert {each.state for run in runs for each in run.deliveries} == {"waiting"}
    assert [only.pool.next_run() for _ in range(4)] == [*runs, None]


def test_a_weight_is_a_share_of_the_starts() -> None:
    a, b = weighted(3, 1, slots=100)
    add(a, 8)
    add(b, 8)
    assert picked(a.pool, 8) == "aabaaaba"


def test_an_empty_heavy_lane_delays_no_other_lane() -> None:
    a, b = weighted(1000, 1)
    add(b, 3)
    assert picked(a.pool, 3) == "bbb"


def test_nothing_starts_without_a_free_slot() -> None:
    only = state(slots=1)
    (running,) = start(only)
    add(only)
    assert only.pool.next_run() is None
    only.end_run(running, 0.1)
    assert only.pool.next_run() is not None


def test_a_lane_with_its_own_slots_uses_no_shared_ones() -> None:
    own, shared = states(lane("own", slots=2), lane("shared"), slots=1, prefetch=9)
    assert (own.pool.slots, shared.pool.slots) == (2, 1)
    assert (own.pool.prefetch, shared.pool.prefetch) == (6, 3)
    assert len(start(own, 3)) == 2
    assert len(start(shared, 3)) == 1


def test_a_lane_without_permits_blocks_no_other_lane() -> None:
    a, b = weighted(9, 1)
    permitted(0, a)
    add(a)
    add(b)
    assert picked(a.pool, 2) == "b"


def test_a_paused_lane_starts_nothing_and_blocks_no_other_lane() -> None:
    a, b = weighted(9, 1)
    a.is_paused = True
    add(a)
    add(b)
    assert picked(a.pool, 2) == "b"


def test_a_list_starts_as_a_whole_even_if_it_exceeds_the_permits() -> None:
    (only,) = states(lane(batch_size=3))
    permits = permitted(1, only)
    run = run_of(only.lane)
    run.deliveries *= 3
    only.add(run)
    assert only.pool.next_run() is run
    assert permits.left == -2
    add(only)
    assert only.pool.next_run() is None


# Groups with a limited number of slots.


def limited(group_slots: int, slots: int = 100) -> LaneState:
    (only,) = states(lane(group_slots=group_slots), slots=slots)
    return only


def add_group(to: LaneState, count: int, group: str = "g") -> list[JobRun]:
    runs = [run_of(to.lane, message(group=group)) for _ in range(count)]
    for run in runs:
        to.add(run)
    return runs


def next_runs(of: LaneState, count: int) -> list[JobRun | None]:
    return [of.pool.next_run() for _ in range(count)]


def test_a_group_uses_only_its_slots_and_other_groups_go_on() -> None:
    only = limited(2)
    noisy = add_group(only, 4, "noisy")
    (calm,) = add_group(only, 1, "calm")
    assert next_runs(only, 4) == [noisy[0], noisy[1], calm, None]
    assert only.unstarted == only.parked == 2
    only.end_run(noisy[0], 0.1)
    assert next_runs(only, 2) == [noisy[2], None]
    for run in (noisy[1], noisy[2]):
        only.end_run(run, 0.1)
    assert next_runs(only, 2) == [noisy[3], None]
    assert only.unstarted == 0


def test_messages_that_wait_for_their_group_use_no_credit() -> None:
    only = limited(1, slots=4)
    add_group(only, 4)
    only.pool.next_run()
    assert ask(only) == 3


def test_removing_a_run_unblocks_the_next_one_of_its_group() -> None:
    only = limited(1)
    first, second, third = add_group(only, 3)
    only.remove(second)
    assert only.parked == 1
    only.remove(first)
    assert (only.parked, next_runs(only, 2)) == (0, [third, None])
