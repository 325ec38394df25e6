"""How many jobs all processes together can start."""

import multiprocessing
import os

from sqsw.supervisor.permits import JobPermits, PermitPolicy


class Child:
    """Counts its permits."""

    def __init__(self) -> None:
        self.given = 0

    def give_permits(self, count: int) -> None:
        self.given += count


def test_exactly_all_permits_are_handed_out() -> None:
    children = [Child(), Child(), Child()]
    permits_left = JobPermits(20, share=8)
    for _ in range(2):
        permits_left.hand_out(children)
        assert [child.given for child in children] == [8, 8, 4]


def test_a_child_holds_more_permits_than_slots_while_many_are_left() -> None:
    children = [Child(), Child()]
    permits_left = JobPermits(1000, share=8)
    permits_left.hand_out(children)
    assert [child.given for child in children] == [250, 188]


def test_a_child_never_holds_more_permits_than_its_pipe_can_buffer() -> None:
    child = Child()
    permits_left = JobPermits(1_000_000, share=8)
    for _ in range(2):
        permits_left.hand_out([child])
        assert child.given == 4_000


def test_used_permits_are_refilled_until_none_is_left() -> None:
    child = Child()
    permits_left = JobPermits(10, share=2)
    for _ in range(20):
        permits_left.hand_out([child])
        permits_left.used(child)
    assert child.given == 10


def test_unused_permits_go_to_the_other_children() -> None:
    died, other = Child(), Child()
    permits_left = JobPermits(20, share=10)
    permits_left.hand_out([died])
    for _ in range(3):
        permits_left.used(died)
    permits_left.settle(died)
    for _ in range(17):
        permits_left.hand_out([other])
        permits_left.used(other)
    assert other.given == 17


def test_a_child_takes_permits_without_waiting() -> None:
    reader, writer = multiprocessing.Pipe(duplex=False)
    with reader, writer:
        permits = PermitPolicy(reader)
        assert permits.jobs_in_all() == 0
        os.write(writer.fileno(), bytes(3))
        assert permits.jobs_in_all() == 3
        os.write(writer.fileno(), bytes(2))
        assert permits.jobs_in_all() == 5
        writer.close()  # the supervisor is gone
        assert permits.jobs_in_all() == 5
