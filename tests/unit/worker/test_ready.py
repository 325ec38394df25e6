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
    assert ready.clear("a") == [first]
    assert picked(ready, 2) == "b"
