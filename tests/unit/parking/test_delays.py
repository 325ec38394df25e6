"""Whether SQS delays a job, or whether it is parked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sqsw.core.errors import MessageRefused
from sqsw.parking.delays import delay_entry
from sqsw.transport.batches import Entry

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


def delay(
    delay: Any = None, run_at: Any = None, *, fifo: bool = False, can_park: bool = True
) -> tuple[int | None, datetime | None]:
    """Return the delay that SQS gets, and when a parked job is due."""
    entry: Entry = {}
    due = delay_entry(
        entry,
        delay,
        run_at,
        queue_name="jobs",
        is_fifo=fifo,
        can_park=can_park,
        now=NOW.timestamp(),
    )
    return entry.get("DelaySeconds"), due


@pytest.mark.parametrize("can_park", [True, False])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (900, 900),
        (5.9, 5),  # as in sqs-workers
        (timedelta(minutes=15), 900),
        (timedelta(milliseconds=1), 1),
    ],
)
def test_sqs_delays_up_to_15_minutes(given: object, seconds: int, can_park: bool) -> None:
    assert delay(given, can_park=can_park) == (seconds, None)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (NOW + timedelta(minutes=10), 600),
        (NOW + timedelta(seconds=899.5), 900),  # never early
        (NOW - timedelta(days=9_000), 0),
        (datetime(1, 1, 1, tzinfo=UTC), 0),
        ((NOW + timedelta(minutes=10)).astimezone(ZoneInfo("Asia/Tokyo")), 600),
    ],
)
def test_sqs_delays_until_a_near_time(given: datetime, seconds: int) -> None:
    assert delay(run_at=given) == (seconds, None)


@pytest.mark.parametrize(
    ("given", "wait"),
    [
        (901, timedelta(seconds=901)),
        (900.5, timedelta(seconds=900.5)),
        (timedelta(days=366), timedelta(days=366)),
    ],
)
def test_longer_delays_are_parked(given: object, wait: timedelta) -> None:
    assert delay(given) == (None, NOW + wait)
    assert delay(run_at=NOW + wait) == (None, NOW + wait)
    assert delay(run_at=(NOW + wait).astimezone(ZoneInfo("America/New_York"))) == (None, NOW + wait)


def test_a_time_to_run_at_is_kept_to_the_microsecond_and_in_utc() -> None:
    given = datetime(2030, 7, 1, 9, 0, 0, 123_457, tzinfo=ZoneInfo("Europe/Berlin"))
    _, due = delay(run_at=given)
    assert due is not None
    assert due.isoformat() == "2030-07-01T07:00:00.123457+00:00"


def test_any_delay_on_a_fifo_queue_is_parked() -> None:
    assert delay(1, fifo=True) == (None, NOW + timedelta(seconds=1))
    assert delay(timedelta(milliseconds=1), fifo=True) == (None, NOW + timedelta(milliseconds=1))
    assert delay(0, fifo=True) == (None, None)
    assert delay(0.5, fifo=True) == (None, None)  # as in sqs-workers
    assert delay(run_at=NOW, fifo=True) == (None, None)


@pytest.mark.parametrize(
    "given", [-1, -0.5, 366 * 86_400 + 1, float("nan"), float("inf"), timedelta(seconds=-1)]
)
def test_delays_out_of_range_are_refused(given: object) -> None:
    with pytest.raises(MessageRefused, match=r"in the past|too long") as caught:
        delay(given)
    assert caught.value.why == "a job can be delayed by 0 seconds to 366 days"


def test_a_time_more_than_366_days_away_is_refused() -> None:
    for given in (NOW + timedelta(days=366, seconds=1), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(MessageRefused, match="too long"):
            delay(run_at=given)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(MessageRefused, match="has no time zone") as caught:
        delay(run_at=datetime(2030, 7, 1, 9))
    assert "ZoneInfo" in (caught.value.next or "")


def test_a_delay_and_a_time_are_refused() -> None:
    with pytest.raises(TypeError, match="not both"):
        delay(5, NOW)
    with pytest.raises(TypeError, match="must be a datetime, not a str"):
        delay(run_at="2030-07-01")


def test_without_parking_long_delays_are_refused_with_a_cure() -> None:
    for keywords in ({"delay": 901}, {"run_at": NOW + timedelta(seconds=901)}):
        with pytest.raises(MessageRefused, match="a delay of 15m1s is too long") as caught:
            delay(can_park=False, **keywords)
        assert caught.value.reason == "needs_parking"
        assert (caught.value.queue, caught.value.delay) == ("jobs", 901)
        assert "SQSEnv(parking='parked')" in (caught.value.next or "")
        assert "create_parking_queue(env, 'parked')" in (caught.value.next or "")


def test_without_parking_delays_on_a_fifo_queue_are_refused_with_a_cure() -> None:
    with pytest.raises(MessageRefused, match="'jobs' does not support a delay") as caught:
        delay(5, fifo=True, can_park=False)
    assert (caught.value.reason, caught.value.delay) == ("delay_on_fifo", 5)
    assert "create_parking_queue" in (caught.value.next or "")
