"""Policies that decide when a worker stops."""

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.errors import SettingsError
from sqsw.core.message import Message
from sqsw.shutdown_policies import (
    ASAP_SHUTDOWN,
    NEVER_SHUTDOWN,
    AndShutdown,
    IdleShutdown,
    MaxTasksShutdown,
    NeverShutdown,
    OrShutdown,
)
from tests.unit.worker.doubles import ManualClock


def batch(jobs: int = 0, failed: int = 0) -> BatchProcessingResult:
    messages = [Message(str(n), str(n), "") for n in range(jobs + failed)]
    return BatchProcessingResult("emails", succeeded=messages[:jobs], failed=messages[jobs:])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_never_does_not_stop() -> None:
    NEVER_SHUTDOWN.update_state(batch())
    assert not NEVER_SHUTDOWN.need_shutdown()
    assert NEVER_SHUTDOWN.seconds_left() is None


def test_idle_counts_from_the_last_message(clock: ManualClock) -> None:
    policy = IdleShutdown(10, clock=clock)
    policy.update_state(batch(1))
    clock.advance(9.9)
    policy.update_state(batch())
    assert not policy.need_shutdown()
    clock.advance(0.1)
    assert policy.need_shutdown()


def test_idle_counts_from_the_first_empty_receive_if_no_message_came(clock: ManualClock) -> None:
    policy = IdleShutdown(10, clock=clock)
    clock.advance(100)
    assert not policy.need_shutdown()
    assert policy.seconds_left() == 10
    policy.update_state(batch())
    clock.advance(4)
    assert policy.seconds_left() == 6
    clock.advance(6)
    assert policy.need_shutdown()
    assert policy.seconds_left() == 0


def test_a_failed_job_is_not_idle_time(clock: ManualClock) -> None:
    policy = IdleShutdown(10, clock=clock)
    policy.update_state(batch())
    clock.advance(9)
    policy.update_state(batch(failed=1))
    clock.advance(9)
    policy.update_state(batch())
    assert not policy.need_shutdown()


def test_a_busy_slot_is_not_idle_time(clock: ManualClock) -> None:
    policy = IdleShutdown(10, clock=clock)
    policy.update_state(batch())
    clock.advance(100)
    policy.note_busy()
    assert not policy.need_shutdown()
    clock.advance(10)
    assert not policy.need_shutdown()  # it needs an empty receive first
    policy.update_state(batch())
    assert policy.need_shutdown()


def test_asap_waits_for_an_empty_receive() -> None:
    policy = ASAP_SHUTDOWN.fresh()
    assert not policy.need_shutdown()
    policy.update_state(batch(1))
    assert not policy.need_shutdown()
    policy.update_state(batch())
    assert policy.need_shutdown()


def test_max_tasks_counts_jobs_whatever_their_result() -> None:
    policy = MaxTasksShutdown(3)
    policy.update_state(batch(1, failed=1))
    assert not policy.need_shutdown()
    assert policy.seconds_left() is None
    policy.update_state(batch(5))
    assert policy.need_shutdown()
    assert policy.seconds_left() == 0


def test_or_needs_one_policy_and_and_needs_all(clock: ManualClock) -> None:
    either = OrShutdown(IdleShutdown(10, clock), MaxTasksShutdown(1))
    both = AndShutdown(IdleShutdown(10, clock), MaxTasksShutdown(1))
    for policy in (either, both):
        policy.update_state(batch(1))
    assert either.need_shutdown()
    assert not both.need_shutdown()
    both.update_state(batch())
    clock.advance(10)
    assert both.need_shutdown()
    both.note_busy()
    assert not both.need_shutdown()


def test_how_long_combined_policies_can_wait(clock: ManualClock) -> None:
    idle, tasks = IdleShutdown(10, clock), MaxTasksShutdown(1)
    assert OrShutdown(idle, IdleShutdown(5, clock), tasks).seconds_left() == 5
    assert AndShutdown(idle, IdleShutdown(5, clock)).seconds_left() == 10
    assert AndShutdown(idle, tasks).seconds_left() is None
    assert OrShutdown(NEVER_SHUTDOWN).seconds_left() is None


def test_custom_policies_can_be_combined_with_ours() -> None:
    class Own:
        def __init__(self) -> None:
            self.asked = False

        def update_state(self, batch_result: BatchProcessingResult) -> None: ...

        def need_shutdown(self) -> bool:
            return self.asked

    own = Own()
    policy = OrShutdown(own, NEVER_SHUTDOWN)
    policy.note_busy()
    assert policy.seconds_left() is None
    own.asked = True
    assert policy.seconds_left() == 0
    assert policy.fresh().need_shutdown()  # without a method fresh(), the policy is used as it is


@pytest.mark.parametrize(
    "policy",
    [
        IdleShutdown(0),
        MaxTasksShutdown(1),
        OrShutdown(MaxTasksShutdown(1), IdleShutdown(0)),
        AndShutdown(MaxTasksShutdown(1), IdleShutdown(0)),
    ],
)
def test_a_fresh_policy_has_seen_nothing(policy: MaxTasksShutdown) -> None:
    policy.update_state(batch(1))
    policy.update_state(batch())
    assert policy.need_shutdown()
    fresh = policy.fresh()
    assert not fresh.need_shutdown()
    assert repr(fresh) == repr(policy)
    assert policy.need_shutdown()


def test_policies_have_a_readable_repr() -> None:
    policy: ShutdownPolicy = AndShutdown(NeverShutdown(), OrShutdown(IdleShutdown(1.5)))
    assert repr(policy) == "AndShutdown(NeverShutdown(), OrShutdown(IdleShutdown(1.5)))"
    assert repr(MaxTasksShutdown(7)) == "MaxTasksShutdown(7)"


def test_invalid_numbers_are_refused() -> None:
    with pytest.raises(SettingsError, match="idle_seconds is -1"):
        IdleShutdown(-1)
    with pytest.raises(SettingsError, match="idle_seconds is nan"):
        IdleShutdown(float("nan"))
    with pytest.raises(SettingsError, match="max_tasks is 0"):
        MaxTasksShutdown(0)
