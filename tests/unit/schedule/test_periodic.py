"""``env.periodic``: what it registers and refuses, and what the function of a tick gets."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sqsw import (
    GiveUp,
    MemorySession,
    SQSEnv,
    TaskRegistry,
    current_job,
    redrive,
)
from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.batching import BatchMessages
from sqsw.core.errors import DecodeError, MessageRefused, SettingsError, TaskAlreadyRegistered
from sqsw.core.events import TickSkipped
from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs.memory_session import MemoryAWS
from sqsw.processors import Processor
from sqsw.queue.job_queue import JobQueue
from sqsw.schedule.schedule import Schedule
from sqsw.sqs_manage.create import create_queue

BERLIN = ZoneInfo("Europe/Berlin")

#: 3 o'clock in Berlin, on a day in summer
AT = datetime(2026, 7, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(AT.timestamp)


@pytest.fixture
def env(clock: MovableClock) -> SQSEnv:
    """Return an environment in memory, whose time stands still at ``AT``."""
    env = SQSEnv(MemorySession(MemoryAWS(clock=clock)), backoff_policy=IMMEDIATE_RETURN)
    env.sqs_client.create_queue(QueueName="cron.fifo", Attributes={"FifoQueue": "true"})
    return env


def send_tick(env: SQSEnv, schedule: str, at: datetime = AT) -> None:
    """Send a tick as a ticker does."""
    known = env.schedules[schedule]
    queue = env.job_queue(known.queue_name)
    queue.client.send(known.entry(at, queue.pack_tick))


def run_tick(env: SQSEnv, schedule: str, at: datetime = AT) -> list[BaseException]:
    """Send a tick and run it; return what it raised."""
    send_tick(env, schedule, at)
    result = env.process_batch("cron.fifo")
    assert result.total_count() == 1
    return result.errors


def messages_of(env: SQSEnv) -> list[Message]:
    return env.queue("cron.fifo").get_raw_messages()


def test_a_function_is_registered_under_its_name_and_becomes_a_task(env: SQSEnv) -> None:
    calls: list[Any] = []

    @env.periodic("0 3 * * *", tz="Europe/Berlin", queue="cron.fifo", args={"city": "Berlin"})
    def report(city: str, at: datetime) -> None:
        calls.append((city, at))

    schedule = env.schedules["report"]
    assert (schedule.queue_name, schedule.job_name) == ("cron.fifo", "report")
    assert (schedule.rule.text, schedule.zone, schedule.takes_at) == (
        "0 3 * * *",
        "Europe/Berlin",
        True,
    )
    assert [each.isoformat() for each in schedule.upcoming(AT, 2)] == [
        "2026-07-02T03:00:00+02:00",
        "2026-07-03T03:00:00+02:00",
    ]
    assert run_tick(env, "report") == []
    assert calls == [("Berlin", AT.astimezone(BERLIN))]
    assert calls[0][1].tzinfo == BERLIN
    report.delay("Bonn", at="2026-07-01T03:00:00+02:00", _deduplication_id="1")
    report.delay("Bern", at=AT, _deduplication_id="2")
    while env.process_batch("cron.fifo").total_count():
        pass
    assert calls[1:] == [("Bonn", AT.astimezone(BERLIN)), ("Bern", AT.astimezone(BERLIN))]


def test_a_tick_is_a_job_with_its_schedule_as_the_group(env: SQSEnv) -> None:
    env.periodic(every=300, tz=BERLIN, queue="cron.fifo", name="a-b")(print_at)
    send_tick(env, "a-b")
    send_tick(env, "a-b", AT.astimezone(BERLIN))  # SQS drops the second one
    (message,) = messages_of(env)
    assert json.loads(message.body) == {"at": "2026-07-01T03:00:00+02:00"}
    assert message.group_id == "a-b"
    known = metadata_of(message)
    assert (known.schedule, known.at) == ("a-b", "2026-07-01T01:00:00Z")
    assert known.job_id
    assert message.string_attribute("JobName") == "print_at"


def print_at(at: datetime) -> None:
    print(at)


def print_nothing() -> None:
    pass


def test_a_task_keeps_its_own_queue_and_options(env: SQSEnv) -> None:
    env.sqs_client.create_queue(QueueName="reports")
    seen: list[Any] = []

    @env.periodic(every=timedelta(minutes=5), queue="cron.fifo", name="often", args={"number": 1})
    @env.task("reports", "build", pass_context=True, max_attempts=3)
    def build(context: Any, number: int, at: datetime | None = None) -> None:
        job = current_job()
        seen.append((job and job.queue_name, number, at, dict(context)))

    env.context.set(user="ann")
    build.delay(number=2)
    env.context.clear()
    env.process_batch("reports")
    run_tick(env, "often")
    assert seen == [("reports", 2, None, {"user": "ann"}), ("cron.fifo", 1, AT, {})]
    assert build.queue.name == "reports"
    processor = env.job_queue("cron.fifo").processors["build"]
    assert (processor.max_attempts, processor.pass_context) == (3, True)
    assert env.job_queue("reports").processors["build"].ticks is None


def test_one_function_can_have_several_schedules_and_zones(env: SQSEnv) -> None:
    seen: list[datetime] = []

    @env.periodic("0 9 * * *", tz="America/New_York", queue="cron.fifo", name="late")
    @env.periodic("0 9 * * *", tz="Europe/Berlin", queue="cron.fifo", name="early")
    def greet(at: datetime) -> None:
        seen.append(at)

    env.periodic(every=60, queue="cron.fifo", name="often")(greet.processor)
    for name in ("early", "late", "often"):
        assert run_tick(env, name) == []
    zones = ["Europe/Berlin", "America/New_York"]
    assert [each.tzinfo for each in seen] == [*map(ZoneInfo, zones), UTC]
    assert len(env.registrations()) == 1


@pytest.mark.parametrize("executor", ["auto", "process"])
def test_at_reaches_functions_of_threads_and_processes(env: SQSEnv, executor: Any) -> None:
    task = env.task("cron.fifo", executor=executor)(note_at)
    env.periodic(every=60, tz="Europe/Berlin", queue="cron.fifo")(task)
    noted.clear()
    assert run_tick(env, "note_at") == []
    assert noted == [AT.astimezone(BERLIN)]


noted: list[datetime] = []


def note_at(at: datetime) -> None:
    noted.append(at)


def test_at_reaches_coroutines(env: SQSEnv) -> None:
    seen: list[datetime] = []

    @env.periodic(every=60, queue="cron.fifo", overlap="skip")
    async def wait(at: datetime) -> None:
        await asyncio.sleep(0)
        seen.append(at)

    assert run_tick(env, "wait") == []
    assert run_tick(env, "wait", AT - timedelta(minutes=1)) == []  # outdated
    assert seen == [AT]


def test_at_is_a_typed_argument_too(env: SQSEnv) -> None:
    seen: list[tuple[datetime, timedelta]] = []

    @env.periodic(
        every=60, tz="Europe/Berlin", queue="cron.fifo", args={"ago": timedelta(seconds=90)}
    )
    @env.task("cron.fifo", typed_arguments=True)
    def clean(ago: timedelta, at: datetime) -> None:
        seen.append((at, ago))

    assert run_tick(env, "clean") == []
    clean.delay(timedelta(0), AT, _deduplication_id="1")
    env.process_batch("cron.fifo")
    assert seen == [
        (AT.astimezone(BERLIN), timedelta(seconds=90)),
        (AT.astimezone(BERLIN), timedelta(0)),
    ]
    assert seen[1][0].tzinfo == BERLIN


def test_a_function_without_at_gets_only_its_arguments(env: SQSEnv) -> None:
    env.periodic(every=60, queue="cron.fifo")(print_nothing)
    send_tick(env, "print_nothing")
    (message,) = messages_of(env)
    assert message.body == "{}"
    send_tick(env, "print_nothing", AT + timedelta(minutes=1))
    assert not env.process_batch("cron.fifo").errors


def test_during_a_deploy_at_comes_from_the_metadata_or_is_dropped(env: SQSEnv) -> None:
    old, new = SQSEnv(env.session), env
    old.periodic(every=60, queue="cron.fifo", name="note_at")(job_named("note_at", print_nothing))
    new.periodic(every=60, queue="cron.fifo")(note_at)
    noted.clear()
    send_tick(old, "note_at")
    assert not new.process_batch("cron.fifo").errors
    assert noted == [AT]
    send_tick(new, "note_at", AT + timedelta(minutes=1))
    assert not old.process_batch("cron.fifo").errors


def job_named(name: str, fn: Callable[..., None]) -> Callable[..., None]:
    def renamed() -> None:
        fn()

    renamed.__name__ = name
    return renamed


@pytest.mark.parametrize("text", ["noon", "0001-01-01T00:00:00+14:00"])
def test_a_text_that_is_not_a_datetime_fails_the_job(env: SQSEnv, text: Any) -> None:
    task = env.periodic(every=60, queue="cron.fifo")(note_at)
    task.delay(at=text, _deduplication_id="1")
    (error,) = env.process_batch("cron.fifo").errors
    assert isinstance(error, DecodeError)


@pytest.mark.parametrize("overlap", ["wait", "skip"])
def test_a_tick_that_starts_when_the_next_is_due(
    env: SQSEnv, clock: MovableClock, overlap: Any
) -> None:
    skipped: list[TickSkipped] = []
    env.events.subscribe(skipped.append, TickSkipped)
    env.periodic(every=60, queue="cron.fifo", overlap=overlap)(note_at)
    noted.clear()
    send_tick(env, "note_at", AT)
    clock.advance(seconds=59)
    assert env.process_batch("cron.fifo").succeeded_count() == 1
    assert noted == [AT]
    send_tick(env, "note_at", AT + timedelta(minutes=1))
    clock.advance(seconds=61)
    assert env.process_batch("cron.fifo").succeeded_count() == 1  # acknowledged, run or not
    if overlap == "wait":
        assert len(noted) == 2
        assert skipped == []
    else:
        assert noted == [AT]
        assert [(each.schedule, each.at) for each in skipped] == [
            ("note_at", "2026-07-01T01:01:00Z")
        ]
    assert messages_of(env) == []


@pytest.mark.parametrize(
    "at", ["x", "2026-07-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00+14:00"]
)
def test_a_forged_instant_skips_nothing(env: SQSEnv, at: str) -> None:
    env.periodic(every=60, queue="cron.fifo", overlap="skip")(print_nothing)
    queue = env.job_queue("cron.fifo")
    entry = env.schedules["print_nothing"].entry(AT - timedelta(days=1), queue.pack_tick)
    text = entry["MessageAttributes"]["Sqsw"]["StringValue"]
    entry["MessageAttributes"]["Sqsw"]["StringValue"] = text.replace("2026-06-30T01:00:00Z", at)
    events: list[TickSkipped] = []
    env.events.subscribe(events.append, TickSkipped)
    queue.client.send(entry)
    assert env.process_batch("cron.fifo").succeeded_count() == 1
    assert events == []


def test_dead_ticks_run_when_their_queue_is_worked(env: SQSEnv) -> None:
    env.sqs_client.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
    env.periodic(every=60, queue="cron.fifo", overlap="skip")(note_at)
    env.job_queue("cron.fifo").copy_processors(env.job_queue("dead.fifo"))
    entry = env.schedules["note_at"].entry(
        AT - timedelta(days=1), env.job_queue("cron.fifo").pack_tick
    )
    env.job_queue("dead.fifo").client.send(entry)
    noted.clear()
    env.process_batch("dead.fifo")
    assert noted == [AT - timedelta(days=1)]


def test_dead_ticks_run_after_they_were_moved_back(env: SQSEnv, clock: MovableClock) -> None:
    create_queue(env, "other.fifo", dead_letter_queue="other_dead.fifo", max_receives=5)
    broken = [True]

    def fail_once(at: datetime) -> None:
        if broken.pop():
            raise GiveUp("not yet")
        noted.append(at)

    env.periodic(every=60, queue="other.fifo", overlap="skip")(fail_once)
    send_tick(env, "fail_once", AT)
    env.work_off()
    messages = env.queue_client("other_dead.fifo").peek()
    assert messages is not None
    (dead,) = messages
    assert metadata_of(dead).schedule == "fail_once"
    assert metadata_of(dead).at == "2026-07-01T01:00:00Z"
    clock.advance(seconds=3600)
    broken[:] = [False]
    noted.clear()
    redrive(env, "other_dead.fifo")
    env.work_off()
    assert noted == [AT]


class Marking:
    """A send middleware that marks messages."""

    def before_send(self, message: Any) -> None:
        message.set_attribute("mark", "x")

    def around(self, job: Any) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def test_ticks_pass_through_the_send_middlewares() -> None:
    env = SQSEnv(MemorySession(), middlewares=[Marking()])
    env.periodic(every=60, queue="cron.fifo")(print_nothing)
    entry = env.schedules["print_nothing"].entry(AT, env.job_queue("cron.fifo").pack_tick)
    assert entry["MessageAttributes"]["mark"]["StringValue"] == "x"


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text", "why"),
    [
        ({}, "needs a cron expression or an interval", "neither"),
        ({"cron": "* * * * *", "every": 5}, "needs a cron expression or an interval", "both"),
        ({"every": 0.5}, "cannot have the interval 0.5", "whole seconds"),
        ({"cron": "nonsense"}, "not a cron expression", "five fields"),
        ({"every": 5, "tz": "Mars/Base"}, "no time zone 'Mars/Base'", "neither the system"),
        ({"every": 5, "tz": "../etc/passwd"}, "no time zone", "neither the system"),
        ({"every": 5, "tz": timedelta(0)}, "cannot be the time zone", "no name"),
        ({"every": 5, "queue": "cron"}, "cannot send to 'cron'", "only a FIFO queue"),
        ({"every": 5, "name": "two words"}, "cannot have the name", "message group"),
        ({"every": 5, "name": ""}, "cannot have the name ''", "message group"),
        ({"every": 5, "overlap": "both"}, "cannot have overlap='both'", "'wait' or 'skip'"),
        ({"every": 5, "catch_up": "all"}, "cannot have catch_up='all'", "'skip'"),
        ({"every": 5, "args": {"x": 1}}, "cannot be called with its arguments", "unexpected 'x'"),
        ({"every": 5, "args": {"at": "x"}}, "cannot be called", "instant of each tick"),
        ({"every": 5, "args": {1: 2}}, "cannot be called", "must be str"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused(
    env: SQSEnv, options: dict[str, Any], text: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=text) as refused:
        env.periodic(**{"queue": "cron.fifo", **options})(print_at)
    assert why in (refused.value.why or "")
    assert refused.value.next
    assert env.schedules == {}
    assert env.registrations() == []


def test_two_schedules_cannot_have_one_name(env: SQSEnv) -> None:
    env.periodic(every=5, queue="cron.fifo")(print_at)
    with pytest.raises(SettingsError, match="two schedules 'print_at'") as refused:
        env.periodic(every=6, queue="other.fifo")(print_at)
    assert refused.value.why == "the first one sends cron.fifo.print_at: every 5s"


def test_another_function_of_the_queue_cannot_have_the_job_name(env: SQSEnv) -> None:
    env.task("cron.fifo", "print_at")(print_nothing)
    with pytest.raises(TaskAlreadyRegistered):
        env.periodic(every=5, queue="cron.fifo")(print_at)
    env.sqs_client.create_queue(QueueName="reports")
    task = env.task("reports", "print_at")(print_at)
    with pytest.raises(TaskAlreadyRegistered):
        env.periodic(every=5, queue="cron.fifo")(task)
    assert env.schedules == {}


def test_a_task_of_a_registry_needs_its_environment_first(env: SQSEnv) -> None:
    tasks = TaskRegistry()
    task = tasks.task("reports")(print_at)
    with pytest.raises(SettingsError, match="cannot get a schedule yet") as refused:
        env.periodic(every=5, queue="cron.fifo")(task)
    assert "registry.bind(env)" in (refused.value.next or "")
    tasks.bind(env)
    assert env.periodic(every=5, queue="cron.fifo")(task) is task


def test_a_task_of_another_environment_is_refused(env: SQSEnv) -> None:
    other = SQSEnv(MemorySession())
    task = other.task("reports")(print_at)
    with pytest.raises(SettingsError, match="cannot get a schedule here"):
        env.periodic(every=5, queue="cron.fifo")(task)
    own = env.task("reports")(print_at)
    env.unregister(env.registrations()[0])
    with pytest.raises(SettingsError, match="cannot get a schedule"):
        env.periodic(every=5, queue="cron.fifo")(own)


def test_a_queue_that_takes_lists_is_refused(env: SQSEnv) -> None:
    env.queue("cron.fifo", batching_policy=BatchMessages(5))
    with pytest.raises(SettingsError, match="cannot send to") as refused:
        env.periodic(every=5, queue="cron.fifo")(print_at)
    assert "lists" in (refused.value.why or "")


def test_arguments_that_cannot_be_sent_are_refused_at_once(env: SQSEnv) -> None:
    with pytest.raises(MessageRefused, match="no JSON form"):
        env.periodic(every=5, queue="cron.fifo", args={"at": None, "x": object()})(print_anything)
    assert env.schedules == {}


def print_anything(**values: Any) -> None:
    print(values)


def test_a_callable_without_a_name_is_refused(env: SQSEnv) -> None:
    with pytest.raises(SettingsError, match="cannot get a schedule"):
        env.periodic(every=5, queue="cron.fifo")(partial(print_at))


def test_a_schedule_goes_with_its_job(env: SQSEnv) -> None:
    env.periodic(every=5, queue="cron.fifo")(print_at)
    (registration,) = env.registrations()
    env.unregister(registration)
    assert env.schedules == {}


def test_registering_makes_no_calls() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the session was asked for {name}")

    env = SQSEnv(Untouchable())
    env.periodic("0 3 * * *", queue="cron.fifo")(print_at)
    assert isinstance(env.schedules["print_at"], Schedule)
    assert env.registrations()[0].queue_name == "cron.fifo"


def test_processors_of_other_classes_can_have_schedules(clock: MovableClock) -> None:
    class Noting(Processor):
        def process(self, job_kwargs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            assert isinstance(job_kwargs["at"], datetime)
            return super().process(job_kwargs, *args, **kwargs)

    env = SQSEnv(MemorySession(MemoryAWS(clock=clock)), processor_maker=Noting)
    env.sqs_client.create_queue(QueueName="cron.fifo", Attributes={"FifoQueue": "true"})
    task = env.task("cron.fifo")(note_at)
    env.periodic(every=5, queue="cron.fifo")(task)
    assert run_tick(env, "note_at") == []
    queue = env.job_queue("cron.fifo")
    assert isinstance(queue, JobQueue)
    # another registration of the same function keeps the schedules
    queue.connect_processor("note_at", note_at)
    assert run_tick(env, "note_at", AT + timedelta(seconds=5)) == []
