"""How long a failed message stays hidden."""

import random

import pytest

from sqsw.backoff_policies import (
    DEFAULT_BACKOFF,
    IMMEDIATE_RETURN,
    BackoffPolicy,
    ConstantBackoff,
    ExponentialBackoff,
)
from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.message import Message


class Without(random.Random):
    """No jitter."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu


def received(count: int) -> Message:
    return Message("id", "handle", "body", attributes={"ApproximateReceiveCount": str(count)})


def test_a_constant_backoff_is_constant() -> None:
    assert {ConstantBackoff(7).get_visibility_timeout(received(n)) for n in (1, 5, 50)} == {7}
    assert ConstantBackoff().backoff_value == 0
    assert ConstantBackoff(backoff_value=0) == IMMEDIATE_RETURN


def test_an_exponential_backoff_grows_by_its_base_within_its_bounds() -> None:
    policy = ExponentialBackoff(
        base=3,
        min_visibility_timeout=1,
        max_visibility_timeout=100,
        multiplier=2,
        random_source=Without(),
    )
    seconds = [policy.get_visibility_timeout(received(n)) for n in range(1, 7)]
    assert seconds == [1 + 2, 1 + 6, 1 + 18, 1 + 54, 100, 100]


def test_the_default_is_that_of_sqs_workers() -> None:
    assert (DEFAULT_BACKOFF.base, DEFAULT_BACKOFF.multiplier) == (2, 1)
    assert DEFAULT_BACKOFF.min_visibility_timeout == 0
    assert DEFAULT_BACKOFF.max_visibility_timeout == 1800


def test_the_jitter_is_about_ten_percent_and_stays_within_the_bounds() -> None:
    policy = ExponentialBackoff(max_visibility_timeout=1000, random_source=random.Random(7))
    seconds = [policy.get_visibility_timeout(received(7)) for _ in range(2000)]
    mean = sum(seconds) / len(seconds)
    deviation = (sum((s - mean) ** 2 for s in seconds) / len(seconds)) ** 0.5
    assert mean == pytest.approx(64, rel=0.02)
    assert deviation == pytest.approx(6.4, rel=0.1)
    bounded = ExponentialBackoff(min_visibility_timeout=5, max_visibility_timeout=6)
    assert all(5 <= bounded.get_visibility_timeout(received(n)) <= 6 for n in range(1, 50))


def test_a_thousand_receives_are_no_overflow() -> None:
    assert DEFAULT_BACKOFF.get_visibility_timeout(received(100_000)) == 1800


def test_the_misspelt_keyword_of_sqs_workers_is_the_right_one() -> None:
    old = ExponentialBackoff(max_visbility_timeout=60)
    assert old == ExponentialBackoff(max_visibility_timeout=60) == ExponentialBackoff(2, 0, 60)
    assert old.max_visibility_timeout == 60


@pytest.mark.parametrize("seconds", [-1, MAX_VISIBILITY_TIMEOUT_SECONDS + 1, float("nan")])
def test_times_that_sqs_does_not_take_are_refused_at_once(seconds: float) -> None:
    with pytest.raises(SettingsError, match="backoff_value"):
        ConstantBackoff(seconds)
    with pytest.raises(SettingsError, match="max_visibility_timeout"):
        ExponentialBackoff(max_visbility_timeout=seconds)
    with pytest.raises(SettingsError, match="min_visibility_timeout"):
        ExponentialBackoff(min_visibility_timeout=seconds)


def test_whatever_has_the_method_is_a_policy() -> None:
    class Mine:
        def get_visibility_timeout(self, message: Message) -> float:
            return 1

    policies: list[BackoffPolicy] = [Mine(), DEFAULT_BACKOFF, IMMEDIATE_RETURN]
    assert all(isinstance(policy, BackoffPolicy) for policy in policies)
    assert not isinstance("text", BackoffPolicy)


def test_a_policy_has_a_readable_form() -> None:
    assert repr(ConstantBackoff(5)) == "ConstantBackoff(backoff_value=5)"
    assert "_random" not in repr(DEFAULT_BACKOFF)
