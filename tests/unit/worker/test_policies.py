"""Policies hear what happens and stop their lanes."""

import threading
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
from sqsw.worker.policies import Wait
from tests.unit.worker.doubles import HeldExecutor, ManualClock, WorkerKit, lane


class Kit(WorkerKit):
    """One lane per policy; jobs end when the test says so."""

    def __init__(self, *policies: ShutdownPolicy) -> None:
        self.executor = HeldExecutor()
        lanes = [lane(f"q{n}", shutdown_policy=policy) for n, policy in enumerate(policies)]
        super().__init__(*lanes, executor=self.executor, concurrency=1_000, ack_linger_seconds=0)
        self._idle: list[bool] = []
        self._decided: list[list[str]] = []

    @property
    def decided(self) -> list[list[str]]:
        """The lanes of each decision."""
        self._read()
        return self._decided

    @property
    def idle(self) -> list[bool]:
        """One entry per notice that only a poll keeps the worker running."""
        self._read()
        return self._idle

    def _read(self) -> None:
        for notice in self.inbox.wait(0):
            if notice.verb == "decided":
                decisions = [[each.name for each in some] for some, _ in self.policies.decided()]
                new = [each for each in decisions if each not in self._decided]
                self._decided.append(new[0] if new else [])
            elif notice.verb == "look":
                self._idle.append(True)

    def begin(self, of: int = 0) -> Wait:
        return self.policies.begin_wait(self.lanes[of])

    def end(self, wait: Wait, count: int | None, of: int = 0) -> None:
        self.policies.end_wait(self.lanes[of], wait, count)

    def poll(self, count: int = 0, of: int = 0) -> float:
        """Make a whole poll and return how long it was allowed to wait."""
        wait = self.begin(of)
        self.end(wait, count, of)
        return wait.seconds

    def finish(self, jobs: int = 1) -> None:
        """End running jobs and delete their messages."""
        for _ in range(jobs):
            self.executor.end_next()
        self.acknowledger.flush()

    def batch(self, jobs: int = 1, of: int = 0) -> None:
        """Run jobs to their end."""
        self.accept(*["job"] * jobs, of=of)
        self.finish(jobs)


def test_an_empty_receive_stops_an_asap_policy() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    assert kit.poll(count=3) == 0
    assert kit.decided == []
    kit.poll()
    assert kit.decided == [["q0"]]
    kit.poll()
    assert kit.decided == [["q0"]]  # only once


def test_the_constant_starts_fresh_for_each_worker() -> None:
    for _ in range(2):
        kit = Kit(ASAP_SHUTDOWN)
        kit.poll(count=1)
        assert kit.decided == []
        kit.poll()
        assert kit.decided == [["q0"]]


def test_a_busy_slot_is_not_idle() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.accept("job")
    assert kit.poll() == 1  # not 0, or polls would follow each other without a pause
    assert kit.decided == []
    kit.finish()
    kit.poll()
    assert kit.decided == [["q0"]]


def test_a_slot_that_was_busy_when_the_poll_began_is_busy() -> None:
    # The answer of SQS misses messages that were returned while it was on its way.
    kit = Kit(ASAP_SHUTDOWN)
    kit.accept("job")
    poll = kit.begin()
    kit.finish()
    kit.end(poll, 0)
    assert kit.decided == []


def test_polls_wait_no_longer_than_the_policy_allows() -> None:
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


def test_idle_time_restarts_while_jobs_run() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    kit.accept("job")
    for _ in range(10):
        clock.advance(10)
        kit.poll()
    kit.finish()
    clock.advance(9)
    kit.poll()
    assert kit.decided == []
    clock.advance(1)
    kit.poll()
    assert kit.decided == [["q0"]]


def test_idle_time_counts_from_the_end_of_the_last_job_not_of_the_next_poll() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    kit.accept("job")
    poll = kit.begin()
    kit.finish()
    kit.batch()
    clock.advance(10)
    kit.end(poll, 0)
    assert kit.decided == []  # that poll can have missed messages that were returned meanwhile
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_idle_time_counts_from_the_start_if_no_message_ever_comes() -> None:
    clock = ManualClock()
    kit = Kit(IdleShutdown(10, clock=clock))
    poll = kit.begin()
    assert poll.seconds == 10
    clock.advance(10)
    kit.end(poll, 0)
    assert kit.decided == [["q0"]]


def test_a_poll_is_ended_when_only_it_keeps_the_worker_running() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.accept("job")
    poll = kit.begin()
    kit.batch()
    assert (kit.idle, kit.policies.end_polls()) == ([], False)
    kit.finish()
    assert kit.idle == [True]
    # Ask until it has ended: the request may not have reached SQS yet.
    assert kit.policies.end_polls() and kit.policies.end_polls()
    assert kit.client.polls_ended == 2
    kit.end(poll, 0)
    assert not kit.policies.end_polls()


def test_polls_of_a_policy_that_is_not_in_a_hurry_are_left_alone() -> None:
    for policy in (NEVER_SHUTDOWN, IdleShutdown(30)):
        kit = Kit(policy)
        kit.accept("job")
        kit.begin()
        kit.finish()
        kit.batch()
        assert (kit.idle, kit.policies.end_polls()) == ([], False)


def test_finished_jobs_are_counted() -> None:
    kit = Kit(MaxTasksShutdown(3), MaxTasksShutdown(3))
    kit.batch(2)
    kit.batch(2, of=1)
    assert kit.decided == []
    kit.batch(1)
    assert kit.decided == [["q0"]]


def test_lanes_that_share_a_policy_are_judged_together() -> None:
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


def test_a_lane_without_an_answer_can_still_bring_messages() -> None:
    kit = Kit(ASAP_SHUTDOWN, ASAP_SHUTDOWN)
    slow = kit.begin(1)
    kit.poll()
    kit.end(slow, None, 1)  # it failed
    assert (kit.poll(), kit.decided) == (1, [])
    kit.poll(of=1)
    assert kit.decided == [["q0", "q1"]]


def test_a_policy_needs_only_two_methods() -> None:
    class Own:
        def __init__(self) -> None:
            self.batches = 0

        def update_state(self, batch_result: BatchProcessingResult) -> None:
            self.batches += 1

        def need_shutdown(self) -> bool:
            return self.batches >= 2

    own = Own()
    kit = Kit(own)
    kit.accept("job")
    assert kit.poll() == 20
    kit.finish()
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


def test_reports_from_many_threads_reach_a_policy_one_at_a_time() -> None:
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
def test_invalid_seconds_left_are_ignored(left: Any) -> None:
    class Odd(NeverShutdown):
        def seconds_left(self) -> float | None:
            return left  # type: ignore[no-any-return]  # a user's policy can do this

    kit = Kit(Odd())
    assert kit.poll() == 20
    kit.batch()
    assert kit.idle == []


def test_a_policy_that_raises_system_exit_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
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


def test_lanes_that_share_a_policy_share_one_fresh_copy() -> None:
    class Counted(NeverShutdown):
        copies = 0

        def fresh(self) -> ShutdownPolicy:
            self.copies += 1
            return NeverShutdown()

    policy = Counted()
    Kit(policy, policy, policy)
    assert policy.copies == 1


def left(kit: Kit, of: int = 0) -> float | None:
    """Return how many more jobs of a lane can start."""
    return kit.in_flight.permits_left(kit.lanes[of])


def test_no_more_jobs_start_than_the_policy_allows() -> None:
    policy = MaxTasksShutdown(3)
    kit = Kit(policy, policy)
    assert left(kit) == 3
    kit.accept("a")
    kit.accept("b", of=1)  # the lanes share the policy, so they share its limit
    kit.accept("c", "d")
    assert [run.deliveries[0].message.body for run in kit.executor.runs] == ["a", "b", "c"]
    assert left(kit) == left(kit, of=1) == 0
    assert kit.decided == []


def test_waiting_messages_count_against_the_limit_of_a_receive() -> None:
    policy = MaxTasksShutdown(5)
    kit = Kit(policy, policy)
    kit.accept("a")
    for each in kit.lanes:
        kit.in_flight.pause(each)
    kit.accept("b")
    kit.accept("c", "d", of=1)
    for each in kit.lanes:
        kit.in_flight._states[each.name].is_paused = False
    poll = kit.in_flight.take_credit(kit.lane, 10, 0)
    assert (left(kit), poll and poll.credit) == (4, 1)


def test_a_policy_without_a_limit_sets_none() -> None:
    kit = Kit(OrShutdown(ASAP_SHUTDOWN, NEVER_SHUTDOWN))
    assert left(kit) is None
    assert kit.policies.may_receive(kit.lane) == float("inf")


def test_the_smaller_of_two_limits_counts() -> None:
    assert left(Kit(OrShutdown(ASAP_SHUTDOWN, MaxTasksShutdown(9), MaxTasksShutdown(4)))) == 4


def test_an_empty_receive_does_not_count_while_another_one_waits() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    helper, main = kit.begin(), kit.begin()
    kit.end(helper, 0)
    assert kit.decided == []
    kit.end(main, 0)
    assert kit.decided == [["q0"]]


def test_a_failed_receive_does_not_count_and_does_not_block() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.end(kit.begin(), None)
    assert kit.decided == []
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_empty_receives_do_not_follow_each_other_without_a_pause() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    other = kit.begin()  # hangs, for example
    assert [kit.poll(), kit.poll()] == [1, 1]
    kit.end(other, None)
    assert kit.decided == []
    assert kit.poll() == 0
    assert kit.decided == [["q0"]]


def test_a_poll_that_cannot_be_ended_ends_by_itself() -> None:
    kit = Kit(ASAP_SHUTDOWN)
    kit.accept("job")
    kit.begin()
    kit.finish()
    kit.client.end_polls = lambda: bool(1 / 0)
    assert not kit.policies.end_polls()
