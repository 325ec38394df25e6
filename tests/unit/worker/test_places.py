"""Who is in a place, and when the next one comes."""

from typing import Any

from sqsw.core.events import Pulse
from sqsw.worker.children import Child
from sqsw.worker.places import Place
from sqsw.worker.recycling import RecyclePolicy
from tests.unit.worker.doubles import ManualClock

PULSE = Pulse(1, 8, 0, {}, 100, 500, 30, True, None)


def made(recycle: RecyclePolicy | None = None) -> tuple[Place, ManualClock]:
    clock = ManualClock()
    return Place((), recycle, clock, lambda: 0.0), clock


def child(clock: Any, *, is_up: bool = True) -> Child:
    found = Child(clock())
    found.is_up, found.pulse = is_up, PULSE
    return found


def test_children_that_fail_soon_are_followed_later_and_later() -> None:
    place, clock = made()
    assert place.is_due()
    pauses = []
    for _ in range(7):
        one = child(clock)
        place.take_in(one)
        assert not place.is_due()
        assert place.let_go(one)
        place.start_later(one)
        assert place.start_at is not None
        pauses.append(place.start_at - clock())
        clock.now = place.start_at
        assert place.is_due()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    sound = child(clock)
    clock.advance(61)
    place.start_later(sound)
    assert place.start_at == clock() + 1


def test_a_successor_takes_over_and_one_that_fails_is_missed() -> None:
    place, clock = made()
    old, broken, new = child(clock), child(clock), child(clock)
    place.take_in(old)
    assert not place.is_taking_turns()
    place.replace("SIGHUP")
    assert place.is_taking_turns() and place.is_due()
    place.take_in(broken)
    assert place.children() == [old, broken]
    assert place.let_go(broken)  # another one is to be started
    assert place.children() == [old]
    place.take_in(new)
    assert not place.let_go(old)
    assert place.children() == [new]
    assert not place.is_taking_turns()


def test_a_child_has_served_once_it_is_up_and_has_reached_its_limit() -> None:
    place, clock = made(RecyclePolicy(jobs=100))
    assert place.has_served() is None
    one = child(clock, is_up=False)
    place.take_in(one)
    assert place.has_served() is None
    one.is_up = True
    assert place.has_served() == "100 jobs"
    assert made()[0].has_served() is None
