"""The form of numbers, times and long values."""

import time
from datetime import UTC, datetime

import pytest

from sqsw.core.wording import counted
from sqsw_cli.output.format import ago, clock, elapsed, local_time, rfc3339, size, thousands
from sqsw_cli.output.messages import arguments


def test_thousands_have_commas() -> None:
    assert thousands(1204) == "1,204"
    assert counted(20_000, "message") == "20,000 messages"
    assert thousands(None) == "?"
    assert counted(1, "job") == "1 job"
    assert counted(2, "job") == "2 jobs"


def test_times_are_relative_or_exact() -> None:
    moment = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    assert ago(moment, moment.timestamp() + 250) == "4m ago"
    assert ago(moment, moment.timestamp()) == "now"
    assert ago(None) == "?"
    assert [clock(n) for n in (0, 31.9, 3729)] == ["0:00", "0:31", "1:02:09"]
    assert rfc3339(moment) == "2026-11-01T12:00:00.000Z"
    assert rfc3339(None) is None
    assert elapsed(0.42) == "0.4s"
    assert elapsed(75) == "1m15s"


def test_the_last_moment_of_the_calendar_has_a_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "XYZ-14")
            time.tzset()
            assert local_time(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 14:00:00+14:00"
            last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
            assert local_time(last) == "9999-12-31 23:59:59+00:00"
    finally:
        time.tzset()


def test_bytes_have_readable_units() -> None:
    assert [size(n) for n in (512, 262_144, 1_048_576)] == ["512 B", "256 KiB", "1 MiB"]


def test_long_values_are_cut_where_they_rarely_differ() -> None:
    shown = {arguments({"path": f"/home/ann/work/checkout/odd/{name}.py"}) for name in "ab"}
    assert shown == {f'path="/home/ann…rk/checkout/odd/{name}.py"' for name in "ab"}
    assert arguments({"n": list(range(99))}).startswith("n=[0, 1, 2, ")
