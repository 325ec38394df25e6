"""Schedules that settings declare, their ticks, and a tick that is sent now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sqsw.app import open_env
from sqsw.app.schedules import declare_schedules, schedule_of, send_tick, ticks_of
from sqsw.core.errors import (
    MessageRefused,
    QueueNotFound,
    ScheduleNotFound,
    SettingsError,
    TaskNotFound,
)
from sqsw.core.settings import ScheduleSettings
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue

NIGHTLY = ScheduleSettings("nightly", "reports.build", queue="cron.fifo", every=60)


@pytest.fixture
def env() -> SQSEnv:
    made = SQSEnv(MemorySession())

    @made.processor("reports", "build")
    def build(year: int = 2026) -> None: ...

    return made


def zoned(env: SQSEnv, cron: str, tz: str) -> Any:
    env.periodic(cron, tz=tz, queue="cron.fifo", name="zoned")(lambda: None)
    return env.schedules["zoned"]


@pytest.mark.parametrize(
    ("tz", "start", "expected"),
    [
        # Lord Howe moves its clocks by half an hour.
        (
            "Australia/Lord_Howe",
            datetime(2026, 4, 3, 14, tzinfo=UTC),
            [
                ("2026-04-04T12:00:00+11:00", None),
                ("2026-04-05T12:00:00+10:30", timedelta(minutes=-30)),
                ("2026-04-06T12:00:00+10:30", None),
            ],
        ),
        (
            "America/New_York",
            datetime(2026, 3, 6, 18, tzinfo=UTC),
            [
                ("2026-03-07T12:00:00-05:00", None),
                ("2026-03-08T12:00:00-04:00", timedelta(hours=1)),
                ("2026-03-09T12:00:00-04:00", None),
            ],
        ),
        (
            "Europe/Berlin",
            datetime(2026, 10, 24, 8, tzinfo=UTC),
            [
                ("2026-10-24T12:00:00+02:00", None),
                ("2026-10-25T12:00:00+01:00", timedelta(hours=-1)),
                ("2026-10-26T12:00:00+01:00", None),
            ],
        ),
    ],
)
def test_a_tick_after_a_clock_change_says_so(
    env: SQSEnv, tz: str, start: datetime, expected: list[tuple[str, timedelta | None]]
) -> None:
    schedule = zoned(env, "0 12 * * *", tz)
    ticks = list(ticks_of(schedule, start, start + timedelta(days=3)))
    assert [(tick.at.isoformat(), tick.clock_change) for tick in ticks] == expected


def test_the_ticks_of_a_span_begin_after_it_starts_and_include_its_end(env: SQSEnv) -> None:
    declare_schedules(env, [NIGHTLY])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = list(ticks_of(env.schedules["nightly"], start, start + timedelta(minutes=3)))
    assert [tick.at.minute for tick in ticks] == [1, 2, 3]


def test_settings_can_be_given_again(env: SQSEnv) -> None:
    declare_schedules(env, [NIGHTLY])
    declare_schedules(env, [NIGHTLY])
    with pytest.raises(SettingsError, match="another schedule is named 'nightly'"):
        declare_schedules(env, [replace(NIGHTLY, every=30)])


def test_open_env_uses_schedules_only_if_there_are_jobs() -> None:
    def open_with(**options: Any) -> SQSEnv:
        return open_env(plugins=False, schedules=[NIGHTLY], session_maker=MemorySession, **options)

    assert open_with().schedules == {}
    with pytest.raises(TaskNotFound, match=r"no job 'reports\.build' is registered"):
        open_with(app_paths=["sqsw.memory_sqs"])


def test_an_error_names_the_place_of_the_settings(env: SQSEnv) -> None:
    wrong = replace(NIGHTLY, job="reports.biuld", place="[schedules.nightly] in sqsw.toml")
    with pytest.raises(TaskNotFound) as caught:
        declare_schedules(env, [wrong])
    error = caught.value
    assert error.message == "[schedules.nightly] in sqsw.toml cannot be used"
    assert error.why == ("no job 'reports.biuld' is registered: the known jobs are reports.build")
    assert (error.next, error.job) == ("did you mean 'reports.build'?", "reports.biuld")


def test_the_job_of_a_plugin_still_belongs_to_the_plugin(env: SQSEnv) -> None:
    with env.registering_from("plugin acme 1.0"):
        env.processor("acme", "poll")(lambda: None)
    declare_schedules(env, [replace(NIGHTLY, job="acme.poll")])
    sources = {(one.queue_name, one.job_name): one.source for one in env.registrations()}
    assert sources["cron.fifo", "poll"] == "plugin acme 1.0"


def test_the_settings_of_the_processor_apply_to_its_ticks(env: SQSEnv) -> None:
    def seen(context: Any, extra: int = 0) -> None: ...

    env.processor("reports", "seen", True, "context", max_attempts=3)(seen)
    declare_schedules(env, [replace(NIGHTLY, job="reports.seen", args={"extra": 1})])
    processor = env.job_queue("cron.fifo").processors["seen"]
    assert (processor.context_var, processor.max_attempts) == ("context", 3)


def test_each_tick_that_is_sent_now_is_a_message(env: SQSEnv) -> None:
    declare_schedules(env, [replace(NIGHTLY, args={"year": 2027})])
    with pytest.raises(QueueNotFound):
        send_tick(env, "nightly")
    create_fifo_queue(env, "cron.fifo")
    sent = [send_tick(env, "nightly") for _ in range(3)]
    assert len({one.dedup_id for one in sent}) == 3
    result = env.work_off()
    assert (result.succeeded, result.left) == (3, {})


def test_a_send_middleware_can_refuse_it(env: SQSEnv) -> None:
    def refuse(entry: Any) -> None:
        raise RuntimeError("not today")

    env.middlewares = [SimpleNamespace(before_send=refuse)]
    declare_schedules(env, [NIGHTLY])
    create_fifo_queue(env, "cron.fifo")
    with pytest.raises(MessageRefused):
        send_tick(env, "nightly")


def test_an_unknown_schedule_is_not_found(env: SQSEnv) -> None:
    declare_schedules(env, [NIGHTLY])
    with pytest.raises(ScheduleNotFound) as caught:
        schedule_of(env, "nihgtly")
    assert (caught.value.schedule, caught.value.similar) == ("nihgtly", "nightly")
