"""The processes of a slot, and when the next one starts."""

from dataclasses import replace
from typing import Any

from sqsw.core.events import Pulse
from sqsw.supervisor.child import Child
from sqsw.supervisor.recycle import RecyclePolicy
from sqsw.supervisor.slots import ProcessSlot, SlotTable
from sqsw.worker.crash_notes import NotedMessage, Orphan
from tests.unit.worker.doubles import ManualClock, message

PULSE = Pulse(1, 8, 0, {}, 100, 500, 30, True, None)


def made(recycle: RecyclePolicy | None = None) -> tuple[ProcessSlot, ManualClock]:
    clock = ManualClock()
    return ProcessSlot((), recycle, clock, lambda: 0.0), clock


def child(clock: Any, *, is_up: bool = True) -> Child:
    found = Child(clock())
    found.is_up, found.pulse = is_up, PULSE
    return found


def test_children_that_fail_early_are_restarted_with_growing_delays() -> None:
    slot, clock = made()
    assert slot.is_due()
    pauses = []
    for _ in range(7):
        one = child(clock)
        slot.take_in(one)
        assert not slot.is_due()
        assert slot.retire(one)
        slot.start_later(one)
        assert slot.start_at is not None
        pauses.append(slot.start_at - clock())
        clock.now = slot.start_at
        assert slot.is_due()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    sound = child(clock)
    clock.advance(61)
    slot.start_later(sound)
    assert slot.start_at == clock() + 1


def orphans() -> list[Orphan]:
    return [Orphan(message(receives=3), True, True, True, -9, None)]


def test_a_child_that_leaves_messages_is_replaced_at_once() -> None:
    slot, clock = made()
    table, one, left = SlotTable([slot]), child(clock), orphans()
    slot.take_in(one)
    table.retire(one, is_done=False, orphans=left)
    assert (slot.orphans, slot.start_at) == (left, clock())
    following = Child(clock(), slot.orphans)
    slot.take_in(following)
    assert (slot.orphans, following.orphans) == ((), left)
    table.retire(following, is_done=False, orphans=left)  # it was not up yet
    assert (slot.orphans, slot.start_at) == (left, clock() + 2)


def test_a_child_killed_early_by_its_job_is_not_a_failed_start() -> None:
    slot, clock = made()
    one = child(clock, is_up=False)
    one.ran = [NotedMessage(message(), "crash", False)]
    slot.take_in(one)
    slot.retire(one)
    slot.start_later(one)
    assert (slot.failed_starts, slot.start_at) == (0, clock() + 1)


def test_a_successor_takes_over_and_a_failed_one_is_restarted() -> None:
    slot, clock = made()
    old, broken, new = child(clock), child(clock), child(clock)
    slot.take_in(old)
    assert not slot.is_being_replaced()
    slot.replace("SIGHUP")
    assert slot.is_being_replaced() and slot.is_due()
    slot.take_in(broken)
    assert slot.children() == [old, broken]
    assert slot.retire(broken)  # another one must start
    assert slot.children() == [old]
    slot.take_in(new)
    assert not slot.retire(old)
    assert slot.children() == [new]
    assert not slot.is_being_replaced()


def test_a_child_at_its_limit_is_replaced_when_it_is_up() -> None:
    slot, clock = made(RecyclePolicy(jobs=100))
    assert slot.why_replace() is None
    one = child(clock, is_up=False)
    slot.take_in(one)
    assert slot.why_replace() is None
    one.is_up = True
    assert slot.why_replace() == "100 jobs"
    assert made()[0].why_replace() is None


def test_a_halted_child_is_replaced_even_without_a_limit() -> None:
    slot, clock = made()
    one = child(clock)
    slot.take_in(one)
    assert slot.why_replace() is None
    one.pulse = replace(PULSE, halted="the heartbeat has ended")
    assert slot.why_replace() == "the heartbeat has ended"
