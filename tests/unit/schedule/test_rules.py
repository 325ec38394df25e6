"""The instants of rules, including those around clock changes."""

import random
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sqsw.core.errors import SettingsError
from sqsw.schedule.rules import CronRule, EveryRule, Rule

BERLIN, NEW_YORK, LORD_HOWE = map(
    ZoneInfo, ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
)


def instants(rule: Rule, start: datetime, end: datetime) -> list[datetime]:
    """Return the instants from ``start`` to ``end``, both included."""
    found = []
    moment = rule.next_after(start - timedelta(microseconds=1))
    while moment <= end:
        found.append(moment)
        moment = rule.next_after(moment)
    return found


def local_times(rule: Rule, zone: ZoneInfo, start: str, hours: float) -> list[str]:
    """Return the instants after a local time, as local times with their offset."""
    begin = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    found = instants(rule, begin, begin + timedelta(hours=hours))
    return [each.astimezone(zone).strftime("%d %H:%M%z") for each in found]


# In these tables: the hours around a change of the clocks, and the ticks in them.


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # clocks go from 02:00 to 03:00: skipped times run at 03:00
        ("30 2 * * *", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("0 2 * * *", ["28 02:00+0100", "29 03:00+0200", "30 02:00+0200"]),
        ("15,45 2 * * *", ["28 02:15+0100", "28 02:45+0100", "29 03:00+0200"]),
        ("0 2,3 * * *", ["28 02:00+0100", "28 03:00+0100", "29 03:00+0200", "30 02:00+0200"]),
        ("0 3 * * *", ["28 03:00+0100", "29 03:00+0200", "30 03:00+0200"]),
    ],
)
def test_berlin_in_spring(cron: str, expected: list[str]) -> None:
    found = local_times(CronRule(cron, BERLIN), BERLIN, "2026-03-28T01:00", 52)
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 * * * *", ["29 00:00+0100", "29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        ("*/30 2 * * *", []),
        ("*/30 1-3 * * *", ["29 01:00+0100", "29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
    ],
)
def test_rules_that_follow_the_clock_of_berlin_in_spring(cron: str, expected: list[str]) -> None:
    assert local_times(CronRule(cron, BERLIN), BERLIN, "2026-03-29T00:00", 3) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # clocks go from 03:00 back to 02:00: repeated times run the first time
        ("30 2 * * *", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("0 2 * * *", ["24 02:00+0200", "25 02:00+0200", "26 02:00+0100"]),
        ("0 3 * * *", ["24 03:00+0200", "25 03:00+0100", "26 03:00+0100"]),
    ],
)
def test_berlin_in_autumn(cron: str, expected: list[str]) -> None:
    assert local_times(CronRule(cron, BERLIN), BERLIN, "2026-10-24T01:00", 53) == expected


def test_rules_that_follow_the_clock_of_berlin_in_autumn() -> None:
    assert local_times(CronRule("0 * * * *", BERLIN), BERLIN, "2026-10-25T01:00", 4) == [
        "25 01:00+0200",
        "25 02:00+0200",
        "25 02:00+0100",
        "25 03:00+0100",
        "25 04:00+0100",
    ]


def test_new_york() -> None:
    at_half_past_two, hourly = CronRule("30 2 * * *", NEW_YORK), CronRule("0 * * * *", NEW_YORK)
    assert local_times(at_half_past_two, NEW_YORK, "2026-03-07T12:00", 38) == [
        "08 03:00-0400",
        "09 02:30-0400",
    ]
    assert local_times(hourly, NEW_YORK, "2026-03-08T01:00", 2) == [
        "08 01:00-0500",
        "08 03:00-0400",
        "08 04:00-0400",
    ]
    at_half_past_one = CronRule("30 1 * * *", NEW_YORK)
    assert local_times(at_half_past_one, NEW_YORK, "2026-10-31T12:00", 39) == [
        "01 01:30-0400",
        "02 01:30-0500",
    ]
    assert local_times(hourly, NEW_YORK, "2026-11-01T00:00", 3) == [
        "01 00:00-0400",
        "01 01:00-0400",
        "01 01:00-0500",
        "01 02:00-0500",
    ]


def test_lord_howe_moves_its_clocks_by_half_an_hour() -> None:
    # On 4 October 2026 from 02:00 to 02:30, on 5 April 2026 from 02:00 back to 01:30.
    spring, autumn = "2026-10-04T01:00", "2026-04-05T01:00"
    for cron, start, expected in [
        ("15 2 * * *", spring, ["04 02:30+1100", "05 02:15+1100"]),
        ("45 2 * * *", spring, ["04 02:45+1100", "05 02:45+1100"]),
        ("45 1 * * *", autumn, ["05 01:45+1100", "06 01:45+1030"]),
        ("0 2 * * *", autumn, ["05 02:00+1030", "06 02:00+1030"]),
    ]:
        assert local_times(CronRule(cron, LORD_HOWE), LORD_HOWE, start, 26) == expected
    assert local_times(CronRule("*/15 1-2 * * *", LORD_HOWE), LORD_HOWE, spring, 1.5) == [
        *(f"04 01:{minute:02}+1030" for minute in (0, 15, 30, 45)),
        *(f"04 02:{minute:02}+1100" for minute in (30, 45)),
    ]
    assert local_times(CronRule("*/15 1-2 * * *", LORD_HOWE), LORD_HOWE, autumn, 2.5) == [
        *(f"05 01:{minute:02}+1100" for minute in (0, 15, 30, 45)),
        *(f"05 01:{minute:02}+1030" for minute in (30, 45)),
        *(f"05 02:{minute:02}+1030" for minute in (0, 15, 30, 45)),
    ]


CHANGES = [
    (BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 25, 1, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 3, 8, 7, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 11, 1, 6, tzinfo=UTC)),
    (LORD_HOWE, datetime(2026, 4, 4, 15, tzinfo=UTC)),
    (LORD_HOWE, datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    # the island skipped a whole day
    (ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "*/20 * * * *", "0 * * * *", "45 1 * * *", "5-25/10 1,2,3 * * *", "* 2 * * *"],
)
def test_all_moments_agree_on_the_instants_around_a_change(
    cron: str, zone: ZoneInfo, change: datetime
) -> None:
    rule = CronRule(cron, zone)
    day = timedelta(days=1, hours=6)
    found = instants(rule, change - day, change + day)
    assert found
    assert len(set(found)) == len(found)
    assert all(before < after for before, after in pairwise(found))
    for before, after in pairwise(found):
        for moment in (before, before + (after - before) / 3, after - timedelta(microseconds=1)):
            assert rule.next_after(moment) == after
            assert rule.last_before(moment) == before
            # an aware datetime of any zone
            assert rule.next_after(moment.astimezone(zone)) == after


@pytest.mark.parametrize(("zone", "change"), CHANGES[:-1])
def test_no_time_of_the_wall_clock_is_lost_at_a_change(zone: ZoneInfo, change: datetime) -> None:
    """Compare with a walk over all minutes."""
    chance = random.Random(4)
    for _ in range(20):
        minute, hour = chance.randrange(60), chance.randrange(4)
        start, end = change - timedelta(hours=20), change + timedelta(hours=20)
        moments = [start + timedelta(minutes=n) for n in range(40 * 60 + 1)]
        local = [moment.astimezone(zone) for moment in moments]
        matching = [
            moment
            for moment, time in zip(moments, local, strict=True)
            if time.minute == minute and time.hour == hour
        ]
        by_clock = instants(CronRule(f"{minute} */1 * * *", zone), start, end)
        assert [each for each in by_clock if each.astimezone(zone).hour == hour] == matching
        found = instants(CronRule(f"{minute} {hour} * * *", zone), start, end)
        assert {each.astimezone(zone).date() for each in found} >= {
            each.astimezone(zone).date() for each in matching
        }


def test_an_interval_has_the_same_instants_everywhere() -> None:
    rule = EveryRule(timedelta(minutes=5))
    moment = datetime(2026, 3, 29, 3, 58, 12, 5, tzinfo=BERLIN)
    assert rule.next_after(moment) == datetime(2026, 3, 29, 2, 0, tzinfo=UTC)
    assert rule.last_before(moment) == datetime(2026, 3, 29, 1, 55, tzinfo=UTC)
    on_time = datetime(2026, 3, 29, 2, 0, tzinfo=UTC)
    assert rule.last_before(on_time) == on_time
    assert rule.next_after(on_time) == on_time + timedelta(minutes=5)
    assert EveryRule(7).next_after(datetime(1970, 1, 1, tzinfo=UTC)).second == 7


@pytest.mark.parametrize(
    ("every", "text"),
    [(300, "every 5m"), (timedelta(hours=1.5), "every 1h30m"), (1.0, "every 1s")],
)
def test_an_interval_can_be_seconds(every: float | timedelta, text: str) -> None:
    assert EveryRule(every).text == text


@pytest.mark.parametrize(
    "every",
    [0, 0.5, -300, True, timedelta(days=367), timedelta(seconds=1.5), "5m", float("nan"), 1e300],
)
def test_an_interval_out_of_bounds_is_refused(every: Any) -> None:
    with pytest.raises(SettingsError, match="cannot have the interval"):
        EveryRule(every)


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 3 * * *", "five fields"),
        ("61 * * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 1 1 x", "Bad day-of-week"),
        (5, "int, not a str"),
    ],
)
def test_other_cron_expressions_are_refused(cron: Any, why: str) -> None:
    with pytest.raises(SettingsError, match="is not a cron expression") as refused:
        CronRule(cron)
    assert why in (refused.value.why or "")


def test_a_rule_is_shown_as_it_was_written() -> None:
    assert CronRule(" 0  3 * * mon ").text == "0 3 * * mon"
    assert repr(CronRule("0 3 * * *")) == "CronRule('0 3 * * *', datetime.timezone.utc)"
    assert repr(EveryRule(1)) == "EveryRule(datetime.timedelta(seconds=1))"


def test_rare_dates_are_found() -> None:
    rule = CronRule("0 0 29 2 *", BERLIN)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert rule.next_after(moment) == datetime(2028, 2, 28, 23, tzinfo=UTC)
    assert rule.last_before(moment) == datetime(2024, 2, 28, 23, tzinfo=UTC)


def test_without_cronsim_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(SettingsError, match="cronsim") as refused:
        CronRule("0 3 * * *")
    assert refused.value.next == "pip install 'sqsw[cron]'"
