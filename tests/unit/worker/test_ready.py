"""Which of the ready messages comes next."""

import threading

from sqsw.worker.credits import Credits
from sqsw.worker.lane import Call, Lane
from sqsw.worker.ready import ReadyMessages
from tests.unit.worker.doubles import lane, message


def make(*lanes: Lane, slots: int = 100) -> ReadyMessages:
    weights = {lane.name: lane.share.weight for lane in lanes}
    return ReadyMessages(lanes, Credits(weights, slots, 0, threading.Lock()))


def call(of: Lane, body: str = "") -> Call:
    return Call(of, [message(body)], ["send"], "thread")


def nothing(call: Call) -> bool:
    return False


def picked(ready: ReadyMessages, count: int) -> str:
    calls = [ready.pick() for _ in range(count)]
    return "".join(call.lane.name for call in calls if call is not None)


def test_first_come_first_served_inside_a_lane() -> None:
    emails = lane()
    ready = make(emails)
    calls = [call(emails) for _ in range(3)]
    for each in calls:
        ready.add(each)
    assert [ready.pick() for _ in range(4)] == [*calls, None]


def test_a_weight_is_a_part_of_the_picks() -> None:
    a, b = lane("a", weight=3), lane("b", weight=1)
    ready = make(a, b)
    for _ in range(8):
        ready.add(call(a))
        ready.add(call(b))
    assert picked(ready, 8) == "aabaaaba"


def test_an_empty_heavy_lane_delays_nobody() -> None:
    a, b = lane("a", weight=1000), lane("b", weight=1)
    ready = make(a, b)
    for _ in range(3):
        ready.add(call(b))
    assert picked(ready, 3) == "bbb"


def test_nothing_is_picked_without_a_free_slot() -> None:
    emails = lane()
    ready = make(emails, slots=1)
    ready.add(call(emails))
    ready.add(call(emails))
    assert ready.pick() is not None
    assert ready.pick() is None
    ready.credits.end("emails", 0.1)
    assert ready.pick() is not None


def test_a_lane_can_be_cleared() -> None:
    a, b = lane("a"), lane("b")
    ready = make(a, b)
    first = call(a)
    ready.add(first)
    ready.add(call(b))
    assert ready.clear("a", nothing) == [first]
    assert picked(ready, 2) == "b"


def group_call(of: Lane, group: str) -> Call:
    made = call(of, group)
    made.fair_group = group
    return made


def test_a_group_holds_no_more_than_its_slots_and_the_others_go_on() -> None:
    fair = lane(group_slots=2)
    ready = make(fair)
    noisy = [group_call(fair, "noisy") for _ in range(4)]
    for each in noisy:
        ready.add(each)
    calm = group_call(fair, "calm")
    ready.add(calm)
    assert [ready.pick() for _ in range(4)] == [noisy[0], noisy[1], calm, None]
    assert ready.credits.waiting(fair.name) == 2
    ready.end(noisy[0], 0.1)
    assert [ready.pick() for _ in range(2)] == [noisy[2], None]
    for each in (noisy[1], noisy[2]):
        ready.end(each, 0.1)
    assert [ready.pick() for _ in range(2)] == [noisy[3], None]
    assert ready.credits.waiting(fair.name) == 0


def test_what_waits_for_its_group_takes_no_credit_from_the_others() -> None:
    fair = lane(group_slots=1)
    ready = make(fair, slots=4)
    for _ in range(4):
        ready.add(group_call(fair, "noisy"))
    ready.pick()
    assert ready.credits.take(fair.name, 10, 0) == 3


def test_what_waits_for_its_group_is_cleared_as_well() -> None:
    fair = lane(group_slots=1)
    ready = make(fair)
    calls = [group_call(fair, "g") for _ in range(3)]
    for each in calls:
        ready.add(each)
    running = ready.pick()
    assert ready.clear(fair.name, nothing) == calls[1:]
    assert running is not None
    ready.end(running, 0.1)
    assert (ready.pick(), ready.credits.waiting(fair.name)) == (None, 0)
    ready.add(again := group_call(fair, "g"))
    assert ready.pick() is again


def test_what_is_kept_when_a_lane_is_cleared_runs_in_its_turn() -> None:
    fair = lane(group_slots=1)
    ready = make(fair)
    calls = [group_call(fair, "g") for _ in range(4)]
    for each in calls:
        ready.add(each)
    assert ready.clear(fair.name, lambda each: each in calls[1::2]) == [calls[0], calls[2]]
    assert ready.credits.waiting(fair.name) == 2
    for expected in calls[1::2]:
        assert ready.pick() is expected
        assert ready.pick() is None
        ready.end(expected, 0.1)
    assert ready.credits.waiting(fair.name) == 0


def test_a_lane_whose_policy_wants_no_more_jobs_holds_up_no_other() -> None:
    a, b = lane("a", weight=9), lane("b")
    ready = make(a, b)
    for each in (a, b):
        ready.add(call(each))
    picked = [ready.pick(lambda lane, _: lane is b) for _ in range(2)]
    assert [each and each.lane.name for each in picked] == ["b", None]
