"""Policies are told what happens, and quiet their lanes."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import ShutdownPolicy
from sqsw.shutdown_policies import (
    ASAP_SHUTDOWN,
    NEVER_SHUTDOWN,
    IdleShutdown,
    MaxTasksShutdown,
    NeverShutdown,
    OrShutdown,
)
from sqsw.worker.lane import Lane
from sqsw.worker.shutdown_watch import ShutdownWatch
from tests.unit.worker.doubles import FakeClient, ManualClock, lane, message


class Kit:
    """A watch over lanes of these policies; how much is in hand is said by the test."""

    def __init__(self, *policies: ShutdownPolicy) -> None:
        self.clients = [FakeClient(f"q{n}") for n in range(len(policies))]
        self.lanes = [
            lane(client.name, client=client, shutdown_policy=policy)
            for client, policy in zip(self.clients, policies, strict=True)
        ]
        self.in_hand = dict.fromkeys((each.name for each in self.lanes), 0)
        self.waiting = dict.fromkeys(self.in_hand, 0)
        self.decided: list[list[str]] = []
        self.idle: list[bool] = []
        self.watch = ShutdownWatch(
            self.lanes,
            in_hand=lambda lane: self.in_hand[lane.name],
            waiting=lambda lane: self.waiting[lane.name],
            on_decided=self._decided,
            on_idle=lambda: self.idle.append(True),
        )

    def _decided(self, lanes: Sequence[Lane], reason: str) -> None:
        self.decided.append([lane.name for lane in lanes])

    def poll(self, count: int = 0, of: int = 0) -> float:
        """A whole poll; how long it was allowed to wait."""
        poll = self.watch.poll_begins(self.lanes[of])
        self.watch.poll_ended(self.lanes[of], poll, count)
        return poll.wait_seconds

    def batch(self, jobs: int = 1, of: int = 0) -> None:
        result = BatchProcessingResult("q", succeeded=[message() for _ in range(jobs)])
        self.watch.ended(self.lanes[of], result)
        self.watch.acknowledged(self.lanes[of])


def test_an_empty_receive_ends_asap() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    assert kit.poll(count=3) == 0
    assert kit.decided == []
    kit.poll()
    assert kit.decided == [["q0"]]
    kit.poll()
    assert kit.decided == [["q0"]]  # once


def test_the_constant_is_as_new_for_the_next_worker() -> None:
    for _ in range(2):
        kit = Kit(ASAP_SHUTDOWN)
        kit.poll(count=1)
        assert kit.decided == []
        kit.poll()
        assert kit.decided == [["q0"]]


def test_a_busy_slot_is_not_idle() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.in_hand["q0"] = 1
    assert kit.poll() == 1  # not 0, or polls would chase each other
    assert kit.decided == []
    kit.in_hand["q0"] = 0
    kit.poll()
    assert kit.decided == [["q0"]]


def test_busy_at_the_beginning_of_the_poll_is_busy() -> None:
    # What went back while SQS answered is not in that answer.
    kit = Kit(ASAP_SHUTDOWN)
    kit.in_hand["q0"] = 1
    poll = kit.watch.poll_begins(kit.lanes[0])
    kit.in_hand["q0"] = 0
    kit.watch.poll_ended(kit.lanes[0], poll, 0)
    assert kit.decided == []


def test_polls_wait_no_longer_than_the_policy() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(30, clock=clock))
    assert kit.poll() == 20
    clock.advance(20)
    assert kit.poll() == 10
    clock.advance(9.5)
    assert kit.poll() == 1
    assert kit.decided == []
    clock.advance(0.5)
    kit.poll()
    assert kit.decided == [["q0"]]


def test_idle_time_begins_anew_while_jobs_run() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    kit.in_hand["q0"] = 1
    for _ in range(10):
        clock.advance(10)
        kit.poll()
    kit.in_hand["q0"] = 0
    clock.advance(9)
    kit.poll()
    assert kit.decided == []
    clock.advance(1)
    kit.poll()
    assert kit.decided == [["q0"]]


def test_idle_time_counts_from_the_end_of_the_last_job_and_not_of_the_poll_after_it() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    kit.in_hand["q0"] = 1
    poll = kit.watch.poll_begins(kit.lanes[0])
    kit.in_hand["q0"] = 0
    kit.batch()
    clock.advance(10)
    kit.watch.poll_ended(kit.lanes[0], poll, 0)
    assert kit.decided == []  # that poll may have missed what went back meanwhile
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_idle_time_counts_from_the_start_where_nothing_ever_comes() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    poll = kit.watch.poll_begins(kit.lanes[0])
    assert poll.wait_seconds == 10
    clock.advance(10)
    kit.watch.poll_ended(kit.lanes[0], poll, 0)
    assert kit.decided == [["q0"]]


def test_a_poll_that_began_while_jobs_ran_is_ended_when_nothing_else_keeps_the_worker() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.in_hand["q0"] = 1
    poll = kit.watch.poll_begins(kit.lanes[0])
    kit.batch()
    assert (kit.idle, kit.watch.end_polls()) == ([], False)
    kit.in_hand["q0"] = 0
    kit.batch()
    assert kit.idle == [True]
    # Again and again until it has ended: it may not have come to the other side yet.
    assert kit.watch.end_polls() and kit.watch.end_polls()
    assert kit.clients[0].polls_ended == 2
    kit.watch.poll_ended(kit.lanes[0], poll, 0)
    assert not kit.watch.end_polls()


def test_polls_of_a_patient_policy_are_left_alone() -> None:
    for policy in (NEVER_SHUTDOWN, IdleShutdown(30)):
        kit = Kit(policy)
        kit.in_hand["q0"] = 1
        kit.watch.poll_begins(kit.lanes[0])
        kit.in_hand["q0"] = 0
        kit.batch()
        assert (kit.idle, kit.watch.end_polls()) == ([], False)


def test_jobs_are_counted() -> None:
    kit = Kit(MaxTasksShutdown(3), MaxTasksShutdown(3))
    kit.batch(2)
    kit.batch(2, of=1)
    assert kit.decided == []
    kit.batch(1)
    assert kit.decided == [["q0"]]


def test_lanes_of_one_policy_are_judged_together() -> None:
    clock = ManualClock()
    shared = IdleShutdown(10, clock=clock)
    kit = Kit(shared, shared)
    kit.poll(of=0)
    clock.advance(9)
    kit.poll(count=1, of=1)
    clock.advance(9)
    kit.poll(of=0)
    assert kit.decided == []
    clock.advance(1)
    kit.poll(of=1)
    assert kit.decided == [["q0", "q1"]]


def test_a_lane_that_was_not_answered_yet_may_bring_something() -> None:
    kit = Kit(ASAP_SHUTDOWN, ASAP_SHUTDOWN)
    slow = kit.watch.poll_begins(kit.lanes[1])
    kit.poll()
    kit.watch.poll_ended(kit.lanes[1], slow, None)  # it failed
    assert (kit.poll(), kit.decided) == (1, [])
    kit.poll(of=1)
    assert kit.decided == [["q0", "q1"]]


def test_a_policy_of_two_methods_is_enough() -> None:
    class Own:
        def __init__(self) -> None:
            self.batches = 0

        def update_state(self, batch_result: BatchProcessingResult) -> None:
            self.batches += 1

        def need_shutdown(self) -> bool:
            return self.batches >= 2

    own = Own()
    kit = Kit(own)
    kit.in_hand["q0"] = 1
    assert kit.poll() == 20
    kit.in_hand["q0"] = 0
    kit.poll()
    assert kit.decided == []
    kit.poll()
    assert kit.decided == [["q0"]]
    assert own.batches == 2


def test_a_policy_that_raises_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def update_state(self, batch_result: BatchProcessingResult) -> None:
            raise ZeroDivisionError

        def need_shutdown(self) -> bool:
            raise ZeroDivisionError

        def seconds_left(self) -> float:
            raise ZeroDivisionError

    kit = Kit(Broken())
    assert kit.poll() == 20
    kit.batch()
    assert kit.decided == []
    assert "ZeroDivisionError" in caplog.text


def test_reports_of_many_threads_reach_the_policy_one_at_a_time() -> None:
    class Careful:
        inside = 0
        jobs = 0

        def update_state(self, batch_result: BatchProcessingResult) -> None:
            self.inside += 1
            assert self.inside == 1
            self.jobs += batch_result.total_count()
            self.inside -= 1

        def need_shutdown(self) -> bool:
            return self.jobs == 800

    policy = Careful()
    kit = Kit(policy)

    def report() -> None:
        for _ in range(100):
            kit.batch()

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert policy.jobs == 800
    assert kit.decided == [["q0"]]


@pytest.mark.parametrize("left", [float("inf"), float("nan"), "soon", None])
def test_odd_seconds_left_are_none(left: Any) -> None:
    class Odd(NeverShutdown):
        def seconds_left(self) -> float | None:
            return left  # type: ignore[no-any-return]  # as a user's policy may

    kit = Kit(Odd())
    assert kit.poll() == 20
    kit.batch()
    assert kit.idle == []


def test_a_policy_that_wants_to_exit_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Exiting(NeverShutdown):
        def update_state(self, batch_result: BatchProcessingResult) -> None:
            raise SystemExit("of a policy")

        def seconds_left(self) -> float:
            raise SystemExit("of a policy")

    kit = Kit(Exiting())
    assert kit.poll() == 20
    kit.batch()
    assert kit.decided == []
    assert "of a policy" in caplog.text


def test_a_policy_is_made_fresh_once_for_all_its_lanes() -> None:
    class Counted(NeverShutdown):
        copies = 0

        def fresh(self) -> ShutdownPolicy:
            self.copies += 1
            return NeverShutdown()

    policy = Counted()
    Kit(policy, policy, policy)
    assert policy.copies == 1


def test_the_verbs_of_a_role_change_nothing() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    for _ in range(2):
        kit.watch.stop(0)
        kit.watch.start()
        kit.watch.quiet()
    kit.poll()
    assert kit.decided == [["q0"]]


def test_no_more_jobs_start_than_a_policy_wants() -> None:
    policy = MaxTasksShutdown(3)
    kit = Kit(policy, policy)
    first, second = kit.lanes
    assert kit.watch.room(first) == 3
    assert kit.watch.may_start(first, 1)
    assert kit.watch.may_start(second, 1)  # they share the policy, and so what is left
    assert kit.watch.may_start(first, 1)
    assert not kit.watch.may_start(second, 1)
    assert kit.watch.room(second) == 0
    kit.watch.may_start(first, -1)  # its lease was lost
    assert kit.watch.may_start(second, 1)
    assert kit.decided == []


def test_messages_that_wait_already_are_not_received_once_more() -> None:
    policy = MaxTasksShutdown(5)
    kit = Kit(policy, policy)
    first, second = kit.lanes
    kit.watch.may_start(first, 1)
    kit.waiting.update({first.name: 1, second.name: 2})
    assert (kit.watch.wanted(first), kit.watch.wanted(second), kit.watch.room(first)) == (1, 1, 4)


def test_a_policy_without_a_number_sets_no_limit() -> None:
    kit = Kit(OrShutdown(ASAP_SHUTDOWN, NEVER_SHUTDOWN))
    assert kit.watch.room(kit.lanes[0]) == kit.watch.wanted(kit.lanes[0]) == float("inf")
    assert kit.watch.may_start(kit.lanes[0], 1_000)


def test_the_smaller_number_of_two_policies_counts() -> None:
    kit = Kit(OrShutdown(ASAP_SHUTDOWN, MaxTasksShutdown(9), MaxTasksShutdown(4)))
    assert kit.watch.room(kit.lanes[0]) == 4


def test_a_receive_that_brings_nothing_says_nothing_while_another_one_waits() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    (only,) = kit.lanes
    helper, main = kit.watch.poll_begins(only), kit.watch.poll_begins(only)
    kit.watch.poll_ended(only, helper, 0)
    assert kit.decided == []
    kit.watch.poll_ended(only, main, 0)
    assert kit.decided == [["q0"]]


def test_a_receive_that_fails_says_nothing_and_keeps_nobody_waiting() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    (only,) = kit.lanes
    kit.watch.poll_ended(only, kit.watch.poll_begins(only), None)
    assert kit.decided == []
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_receives_that_bring_nothing_do_not_chase_each_other() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    other = kit.watch.poll_begins(kit.lanes[0])  # it hangs, say
    assert [kit.poll(), kit.poll()] == [1, 1]
    kit.watch.poll_ended(kit.lanes[0], other, None)
    assert kit.decided == []
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_a_poll_that_cannot_be_ended_ends_by_itself() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.in_hand["q0"] = 1
    kit.watch.poll_begins(kit.lanes[0])
    kit.in_hand["q0"] = 0
    kit.clients[0].end_polls = lambda: bool(1 / 0)  # type: ignore[method-assign]  # fails
    assert not kit.watch.end_polls()
