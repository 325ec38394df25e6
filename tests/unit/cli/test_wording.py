"""How numbers and times read."""

from datetime import UTC, datetime

import pytest

from sqsw_cli.wording import ago, count_of, duration, elapsed, nearest, rfc3339, size, thousands


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (30, "30s"), (5_400, "1h30m"), (345_600, "4d"), (61, "1m1s")]
)
def test_durations_read_as_they_are_written(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_thousands_have_thin_spaces() -> None:
    assert thousands(1204) == "1\u202f204"
    assert thousands(None) == "?"
    assert count_of(1, "job") == "1 job"
    assert count_of(2, "job") == "2 jobs"


def test_times_are_relative_or_exact() -> None:
    moment = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    assert ago(moment, moment.timestamp() + 250) == "4m ago"
    assert ago(moment, moment.timestamp()) == "now"
    assert ago(None) == "?"
    assert rfc3339(moment) == "2026-11-01T12:00:00.000Z"
    assert rfc3339(None) is None
    assert elapsed(0.42) == "0.4s"
    assert elapsed(75) == "1m15s"


def test_bytes_are_for_people() -> None:
    assert [size(n) for n in (512, 262_144, 1_048_576)] == ["512 B", "256 KiB", "1 MiB"]


def test_the_nearest_word_is_found() -> None:
    assert nearest("emials", ["orders", "emails"]) == "emails"
    assert nearest("x", ["orders"]) is None
