"""How many messages may come in."""

import threading

import pytest

from sqsw.worker.credits import MAX_PARKED, Credits


def make(
    slots: int = 8, prefetch: int | None = 0, weights: dict[str, int] | None = None
) -> Credits:
    return Credits(weights or {"a": 1}, slots, prefetch, threading.Lock())


def take(credits: Credits, lane: str = "a", want: int = 10) -> int:
    return credits.take(lane, want, timeout=0)


def test_the_free_slots_are_the_credit_at_first() -> None:
    assert take(make(slots=3)) == 3


def test_no_more_than_wanted() -> None:
    assert take(make(slots=30)) == 10


def test_no_credit_while_no_slot_is_free() -> None:
    credits = make(slots=1)
    credits.add_ready("a", 1)
    credits.start("a")
    assert take(credits) == 0


def test_what_a_poll_asks_for_is_not_given_twice_to_its_lane() -> None:
    credits = make(slots=4)
    assert take(credits) == 4
    assert take(credits) == 0
    credits.give_back("a", 4)
    assert take(credits) == 4


def test_lanes_share_by_weight() -> None:
    credits = make(slots=8, weights={"a": 3, "b": 1})
    assert take(credits, "a") == 6
    assert take(credits, "b") == 2


def test_every_lane_has_one_credit_while_a_slot_is_free() -> None:
    credits = make(slots=2, weights={"a": 100, "b": 1, "c": 1})
    assert take(credits, "a") == 1
    assert take(credits, "b") == 1
    assert take(credits, "c") == 1


def test_a_lane_is_owed_one_credit_while_the_slots_go_to_what_others_have_ready() -> None:
    credits = make(slots=1, prefetch=10, weights={"a": 1, "b": 1})
    credits.add_ready("a", 6)
    credits.start("a")
    assert take(credits, "b") == 5  # its half of the prefetch
    credits = make(slots=1, prefetch=0, weights={"a": 1, "b": 1})
    credits.add_ready("a", 2)
    credits.start("a")
    assert take(credits, "b") == 1
    assert take(credits, "a") == 0


def test_prefetch_is_taken_ten_at_a_time_while_the_slots_are_busy() -> None:
    credits = make(slots=1, prefetch=15)
    credits.add_ready("a", 1)
    credits.start("a")
    credits.add_ready("a", 6)
    assert take(credits) == 0  # nine would fit
    credits.add_ready("a", -1)
    assert take(credits) == 10


def test_a_small_prefetch_is_filled_when_it_is_empty() -> None:
    credits = make(slots=1, prefetch=3)
    credits.add_ready("a", 2)
    credits.start("a")
    assert take(credits) == 0
    credits.add_ready("a", -1)
    assert take(credits) == 3


@pytest.mark.parametrize(
    ("run_seconds", "prefetch"), [(None, 0), (2.0, 0), (1.0, 0), (0.5, 8), (0.01, 40), (0.0, 40)]
)
def test_automatic_prefetch_is_what_starts_within_a_second(
    run_seconds: float | None, prefetch: int
) -> None:
    credits = make(slots=4, prefetch=None)
    for _ in range(5):
        credits.add_ready("a", 1)
        credits.start("a")
    credits.end("a", run_seconds)
    assert take(credits, want=1000) == prefetch


def test_a_slow_job_counts_before_its_end() -> None:
    credits = make(slots=4, prefetch=None)
    assert not credits.still_runs("a", 60.0)  # none has ended: nothing is prefetched anyway
    credits.add_ready("a", 4)
    for _ in range(4):
        credits.start("a")
    credits.end("a", 0.9)
    assert not credits.still_runs("a", 0.95)
    assert take(credits, want=1000) > 0
    assert credits.still_runs("a", 3.0)
    credits.add_ready("a", 1)
    assert take(credits, want=1000) == 0


def test_automatic_prefetch_is_of_each_lane_by_itself() -> None:
    credits = make(slots=4, prefetch=None, weights={"quick": 1, "slow": 1})
    for lane, seconds in (("quick", 0.01), ("slow", 60.0)):
        credits.add_ready(lane, 1)
        credits.start(lane)
        credits.end(lane, seconds)
    credits.add_ready("quick", 4)
    for _ in range(4):
        credits.start("quick")
    assert take(credits, "quick") == 10
    assert take(credits, "slow") == 0


def test_messages_that_wait_for_their_group_are_bounded() -> None:
    credits = make(slots=8)
    credits.park("a", MAX_PARKED - 2)
    assert take(credits) == 2
    credits.give_back("a", 2)
    credits.park("a", 2)
    assert take(credits) == 0


def test_a_closed_lane_gets_nothing_and_the_others_do() -> None:
    credits = make(slots=8, weights={"a": 1, "b": 1})
    credits.close("a")
    assert credits.take("a", 10, timeout=60) == 0
    assert take(credits, "b") == 4


def test_a_waiting_poller_is_woken_by_the_end_of_a_job() -> None:
    lock = threading.Lock()
    credits = Credits({"a": 1}, 1, 0, lock)
    with lock:
        credits.add_ready("a", 1)
        credits.start("a")
    granted: list[int] = []
    thread = threading.Thread(target=lambda: granted.append(credits.take("a", 10, timeout=30)))
    thread.start()
    with lock:
        credits.end("a", 0.1)
        credits.tell()
    thread.join(10)
    assert granted == [1]


def test_a_waiting_poller_is_woken_by_the_close() -> None:
    credits = make(slots=1)
    take(credits)
    granted: list[int] = []
    thread = threading.Thread(target=lambda: granted.append(credits.take("a", 10, timeout=30)))
    thread.start()
    credits.close("a")
    thread.join(10)
    assert granted == [0]
