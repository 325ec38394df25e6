import pytest

from sqsw.core.retry import retry_seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.5), (1, 1.0), (3, 4.0), (4, 5.0), (10_000, 5.0)]
)
def test_each_failure_doubles_the_wait_up_to_the_maximum(failures: int, seconds: float) -> None:
    assert retry_seconds(failures, 0.5, 5.0, lambda: 1.0) == seconds


def test_jitter_shortens_the_wait_by_at_most_half() -> None:
    assert retry_seconds(0, 2.0, 5.0, lambda: 0.0) == 1.0
    assert {1.0 <= retry_seconds(0, 2.0, 5.0) <= 2.0 for _ in range(100)} == {True}
