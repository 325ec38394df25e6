"""When a worker process is replaced."""

import pytest

from sqsw.core.errors import SettingsError
from sqsw.core.events import Pulse
from sqsw.supervisor.recycle import RecyclePolicy

PULSE = Pulse(1, 8, 0, {}, 100, 500, 30, True, None)


@pytest.mark.parametrize(
    ("policy", "age", "reason"),
    [
        (RecyclePolicy(jobs=100), 0, "100 jobs"),
        (RecyclePolicy(jobs=101), 1e9, None),
        (RecyclePolicy(memory_bytes=500), 0, "500 bytes of memory"),
        (RecyclePolicy(memory_bytes=501, jobs=101), 1e9, None),
        (RecyclePolicy(age_seconds=60), 60, "60 seconds old"),
        (RecyclePolicy(age_seconds=60), 59, None),
    ],
)
def test_the_first_limit_reached_counts(
    policy: RecyclePolicy, age: float, reason: str | None
) -> None:
    assert policy.reason(PULSE, age) == reason


def test_jitter_lowers_limits_that_all_processes_would_reach_together() -> None:
    policy = RecyclePolicy(1000, 10_000, 60)
    assert policy.with_jitter(lambda: 0.0) == policy
    assert policy.with_jitter(lambda: 1.0) == RecyclePolicy(800, 10_000, 48)
    assert RecyclePolicy(jobs=1).with_jitter(lambda: 1.0).jobs == 1


@pytest.mark.parametrize("limits", [{}, {"jobs": 0}, {"age_seconds": -1}])
def test_a_policy_needs_a_limit_above_zero(limits: dict[str, int]) -> None:
    with pytest.raises(SettingsError):
        RecyclePolicy(**limits)
