"""FIFO groups run one at a time and in order. Standard groups have a number of slots."""

from collections import Counter

from sqsw.worker.delivery import JobRun
from sqsw.worker.groups import FifoGroups, GroupSlots
from tests.unit.worker.doubles import lane, message
from tests.unit.worker.register_doubles import fifo, run_of

FIFO = fifo()
LIMITED = lane(group_slots=2)


def fifo_runs(*names: str) -> list[JobRun]:
    """Return runs whose group is the first letter of their name."""
    return [run_of(FIFO, message(name, group=name[0])) for name in names]


def joined(*names: str) -> tuple[FifoGroups, list[JobRun]]:
    groups, runs = FifoGroups(), fifo_runs(*names)
    for run in runs:
        groups.join(run)
    return groups, runs


def nothing(run: JobRun) -> bool:
    return False


def test_the_first_run_of_a_group_is_its_head() -> None:
    groups = FifoGroups()
    assert [groups.join(run) for run in fifo_runs("g1", "g2", "h1")] == [True, False, True]


def test_a_deleted_head_makes_the_next_run_the_head() -> None:
    groups, (g1, g2, g3) = joined("g1", "g2", "g3")
    assert groups.advance(g1) is g2
    assert groups.advance(g2) is g3
    assert groups.advance(g3) is None
    assert groups.join(g1)


def test_a_head_that_leaves_removes_its_followers_in_order() -> None:
    groups, (g1, g2, g3) = joined("g1", "g2", "g3")
    assert groups.leave(g1) == [g2, g3]
    assert groups.leave(g1) == []
    assert groups.join(g1)


def test_a_run_that_leaves_the_middle_keeps_those_ahead_of_it() -> None:
    groups, (g1, g2, g3, g4) = joined("g1", "g2", "g3", "g4")
    assert groups.leave(g3) == [g4]
    assert groups.advance(g1) is g2
    assert groups.advance(g2) is None


def test_only_the_head_can_advance() -> None:
    groups, (g1, g2) = joined("g1", "g2")
    assert groups.advance(g2) is None
    assert groups.advance(*fifo_runs("x1")) is None
    assert groups.advance(g1) is g2


def test_waiting_runs_can_be_taken_out() -> None:
    groups, (g1, g2, h1, h2) = joined("g1", "g2", "h1", "h2")
    assert groups.take_followers(nothing) == [g2, h2]
    assert groups.advance(g1) is groups.advance(h1) is None


def test_a_kept_run_keeps_those_ahead_of_it() -> None:
    groups, (g1, g2, last, g4, _, h2) = joined("g1", "g2", "g3", "g4", "h1", "h2")
    assert groups.take_followers(lambda run: run is last) == [g4, h2]
    assert groups.advance(g1) is g2
    assert groups.advance(g2) is last


def limited_runs(count: int, group: str = "g") -> list[JobRun]:
    return [run_of(LIMITED, message(group=group)) for _ in range(count)]


def test_a_group_runs_no_more_than_its_slots() -> None:
    slots = GroupSlots(2)
    assert [slots.enter(run) for run in limited_runs(3)] == [True, True, False]
    assert [slots.enter(run) for run in limited_runs(1, "h")] == [True]


def test_a_run_that_ends_unblocks_the_next_one_of_its_group() -> None:
    slots, (a, b, c) = GroupSlots(1), limited_runs(3)
    for run in (a, b, c):
        slots.enter(run)
    assert [slots.leave(run) for run in (a, b, c)] == [b, c, None]
    assert slots._inside == Counter()
    assert slots.enter(a)


def test_a_run_that_waits_for_its_group_can_be_removed() -> None:
    slots, (a, b, c) = GroupSlots(1), limited_runs(3)
    for run in (a, b, c):
        slots.enter(run)
    assert [slots.remove(run) for run in (b, b, a)] == [True, False, False]
    assert slots.leave(a) is c


def test_waiting_runs_can_be_taken_out_except_those_to_keep() -> None:
    slots, (a, b, c, d) = GroupSlots(1), limited_runs(4)
    for run in (a, b, c, d):
        slots.enter(run)
    assert slots.take_all(lambda run: run is c) == [b, d]
    assert slots.leave(a) is c
    assert slots.leave(c) is None
