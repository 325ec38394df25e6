"""``EventBridgeScheduler``, on moto, which keeps schedules but does not run them."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sqsw.codecs.envelope import pack_job
from sqsw.contrib.event_bridge import EventBridgeScheduler
from sqsw.core.errors import (
    AccessDenied,
    Busy,
    ConnectionFailed,
    MessageRefused,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.core.job_metadata import add_job_id
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.parking.places import ParkedJob, ParkingPlace
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue, create_standard_queue
from sqsw.transport.batches import Entry
from sqsw.transport.queue_client import QueueClient

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/sqsw/scheduler"
DLQ = f"arn:aws:sqs:{REGION}:123456789012:not_sent"
IN_A_MONTH = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@pytest.fixture
def place() -> EventBridgeScheduler:
    return EventBridgeScheduler(ROLE)


@pytest.fixture
def env(mocked_session: Any, place: EventBridgeScheduler) -> SQSEnv:
    env = SQSEnv(mocked_session, queue_prefix="shop-", parking=place)
    create_standard_queue(env, "emails")
    create_fifo_queue(env, "orders.fifo")
    return env


@pytest.fixture
def emails(env: SQSEnv) -> QueueClient:
    return env.queue_client("emails")


@pytest.fixture
def schedules(mocked_session: Any) -> Any:
    return mocked_session.client("scheduler")


def job(job_id: str | None = "job-1", /, **args: Any) -> Entry:
    entry = pack_job("send_email", args or {"to": "zoë@example.com"}, {"trace": 7})
    add_job_id(entry, job_id)
    return entry


# -- creating schedules ---------------------------------------------------------------------------


def test_is_a_parking_place(place: EventBridgeScheduler) -> None:
    parking: ParkingPlace = place
    assert parking is place


def test_a_job_is_a_schedule_that_sends_its_message_once(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any
) -> None:
    entry = job()
    assert place.park(entry, emails, IN_A_MONTH) == "job-1"
    schedule = schedules.get_schedule(Name="job-1")
    assert schedule["ScheduleExpression"] == f"at({IN_A_MONTH:%Y-%m-%dT%H:%M:%S})"
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["Description"] == "send_email for shop-emails, parked by sqsw"
    target = schedule["Target"]
    assert target["Arn"] == "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
    assert target["RoleArn"] == ROLE
    assert target["RetryPolicy"] == {
        "MaximumRetryAttempts": 185,
        "MaximumEventAgeInSeconds": 86_400,
    }
    assert "DeadLetterConfig" not in target
    assert json.loads(target["Input"]) == {"QueueUrl": emails.url, **entry, "DelaySeconds": 0}


def test_the_message_of_a_schedule_is_a_job_that_a_worker_runs(
    env: SQSEnv, place: EventBridgeScheduler, emails: QueueClient, schedules: Any
) -> None:
    ran = []

    @env.processor("emails", "send_email")
    def send_email(to: str) -> None:
        ran.append(to)

    entry = job()
    place.park(entry, emails, IN_A_MONTH)
    sent = json.loads(schedules.get_schedule(Name="job-1")["Target"]["Input"])
    env.sqs_client.send_message(**sent)
    emails.send(entry)
    first, second = emails.receive(10, visibility_timeout=0)
    assert first.body == second.body
    assert first.message_attributes == second.message_attributes
    result = env.process_batch("emails", wait_seconds=1)
    assert ran == ["zoë@example.com"] * 2 and not result.errors


def test_a_job_of_a_fifo_queue_keeps_its_ids(
    env: SQSEnv, place: EventBridgeScheduler, schedules: Any
) -> None:
    orders = env.queue_client("orders.fifo")
    place.park({**job("one"), "MessageGroupId": "ann"}, orders, IN_A_MONTH)
    ids = {"MessageGroupId": "bob", "MessageDeduplicationId": "7"}
    place.park({**job("two"), **ids}, orders, IN_A_MONTH)
    one, two = (
        json.loads(schedules.get_schedule(Name=name)["Target"]["Input"]) for name in ("one", "two")
    )
    assert (one["MessageGroupId"], one["MessageDeduplicationId"]) == ("ann", "one")
    assert (two["MessageGroupId"], two["MessageDeduplicationId"]) == ("bob", "7")
    assert env.sqs_client.send_message(**one)["SequenceNumber"]


@pytest.mark.parametrize("zone", [UTC, datetime.now().astimezone().tzinfo])
def test_a_time_is_rounded_up_to_the_next_second(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any, zone: Any
) -> None:
    due = (IN_A_MONTH + timedelta(microseconds=1)).astimezone(zone)
    place.park(job(), emails, due)
    next_second = IN_A_MONTH + timedelta(seconds=1)
    expression = schedules.get_schedule(Name="job-1")["ScheduleExpression"]
    assert expression == f"at({next_second:%Y-%m-%dT%H:%M:%S})"


def test_a_schedule_is_never_in_the_past(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any
) -> None:
    before = datetime.now(UTC)
    place.park(job(), emails, before + timedelta(seconds=5))
    expression = schedules.get_schedule(Name="job-1")["ScheduleExpression"]
    at = datetime.strptime(expression, "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
    assert timedelta(seconds=60) <= at - before <= timedelta(seconds=90)


@pytest.mark.parametrize(
    "job_id", ["x" * 65, "ann@example.com/7", "..", "-", "é".encode().hex() * 20]
)
def test_a_job_id_that_cannot_be_a_name_is_hashed(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any, job_id: str
) -> None:
    assert place.park(job(job_id), emails, IN_A_MONTH) == job_id
    (schedule,) = schedules.list_schedules()["Schedules"]
    assert schedule["Name"].startswith("sqsw-") and len(schedule["Name"]) == 64
    assert [parked.job_id for parked in place.list()] == [job_id]
    assert place.cancel(job_id) and not place.cancel(job_id)


def test_retries_and_dead_letters_of_the_target(
    env: SQSEnv, emails: QueueClient, schedules: Any
) -> None:
    schedules.create_schedule_group(Name="shop")
    place = EventBridgeScheduler(
        "arn:aws-cn:iam::123456789012:role/scheduler",
        "shop",
        dead_letter_arn=DLQ,
        retry_attempts=3,
        max_age_seconds=3_600,
    )
    place.park(job(), emails, IN_A_MONTH)
    target = schedules.get_schedule(Name="job-1", GroupName="shop")["Target"]
    assert target["Arn"] == "arn:aws-cn:scheduler:::aws-sdk:sqs:sendMessage"
    assert target["DeadLetterConfig"] == {"Arn": DLQ}
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3_600}


def test_jobs_of_a_batch_are_schedules(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any
) -> None:
    place.park(job("two", to="bob"), emails, IN_A_MONTH)
    dues = [IN_A_MONTH, IN_A_MONTH + timedelta(days=1), IN_A_MONTH]
    failures = place.park_batch([job("one"), job("two"), job("three")], emails, dues)
    assert [(each.index, each.code, each.sender_fault) for each in failures] == [
        (1, "ConflictException", True)
    ]
    assert {each["Name"] for each in schedules.list_schedules()["Schedules"]} == {
        *("one", "two", "three")
    }


def test_a_batch_of_which_no_job_can_be_scheduled_raises(
    env: SQSEnv, place: EventBridgeScheduler
) -> None:
    with pytest.raises(QueueNotFound):
        place.park_batch([job("one"), job("two")], env.queue_client("away"), [IN_A_MONTH] * 2)


def test_delays_of_an_environment(env: SQSEnv, schedules: Any) -> None:
    @env.processor("emails", "send_email")
    def send_email(to: str) -> None: ...

    @env.processor("orders.fifo", "pack")
    def pack(order: int) -> None: ...

    task: Any = send_email
    job_id = task.delay("ann", _run_at=IN_A_MONTH)
    with env.queue("emails").add_batch():
        task.delay("bob", _delay_seconds=86_400)
        task.delay("eve", _delay_seconds=900)
    pack.options(group="ann", delay=10).delay(7)
    assert env.parking_place is not None
    parked = {(each.queue_name, *(each.arguments or {}).values()): each for each in list_of(env)}
    assert set(parked) == {("emails", "ann"), ("emails", "bob"), ("orders.fifo", 7)}
    assert (parked["emails", "ann"].job_id, parked["emails", "ann"].due) == (job_id, IN_A_MONTH)
    sent = json.loads(schedules.get_schedule(Name=job_id)["Target"]["Input"])
    assert sent["DelaySeconds"] == 0  # and not the delay of the queue
    assert json.loads(sent["MessageAttributes"]["Sqsw"]["StringValue"]) == {"id": job_id}
    assert env.companions() == [] and env.parking_queue is None
    with pytest.raises(MessageRefused, match="bytes as JSON"):
        task.delay("x" * 300_000, _delay_seconds=86_400)


def list_of(env: SQSEnv) -> list[ParkedJob]:
    assert env.parking_place is not None
    return list(env.parking_place.list())


# -- the same job id twice ------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [3_600, 0.5, -3_600])
def test_the_same_job_at_the_same_time_is_scheduled_once(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any, seconds: float
) -> None:
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    assert place.park(job(), emails, due) == place.park(job(), emails, due) == "job-1"
    assert len(schedules.list_schedules()["Schedules"]) == 1


@pytest.mark.parametrize(
    ("entry", "due"),
    [
        (job("job-1", to="bob"), IN_A_MONTH),
        (job("job-1"), IN_A_MONTH + timedelta(seconds=1)),
        (job("job-1"), IN_A_MONTH - timedelta(seconds=1)),
    ],
)
def test_another_job_with_a_scheduled_job_id_is_refused(
    place: EventBridgeScheduler, emails: QueueClient, entry: Entry, due: datetime
) -> None:
    place.park(job("job-1"), emails, IN_A_MONTH)
    with pytest.raises(MessageRefused, match="'job-1' is already scheduled for ") as caught:
        place.park(entry, emails, due)
    assert caught.value.code == "ConflictException" and "cancel" in str(caught.value.next)
    (parked,) = place.list()
    assert parked.due == IN_A_MONTH and parked.arguments == {"to": "zoë@example.com"}


def test_a_canceled_job_can_be_scheduled_again(
    place: EventBridgeScheduler, emails: QueueClient
) -> None:
    place.park(job(), emails, IN_A_MONTH)
    assert place.cancel("job-1")
    place.park(job(), emails, IN_A_MONTH)
    assert [parked.job_id for parked in place.list()] == ["job-1"]


def test_every_call_has_its_own_client_token(
    env: SQSEnv, place: EventBridgeScheduler, emails: QueueClient
) -> None:
    tokens = []
    env.clients.other_client("scheduler").meta.events.register(
        "provide-client-params.scheduler.CreateSchedule",
        lambda params, **_: tokens.append(params["ClientToken"]),
    )
    for _ in range(2):
        place.park(job(), emails, IN_A_MONTH)
        place.cancel("job-1")
    assert len(set(tokens)) == 2


# -- what cannot be scheduled ---------------------------------------------------------------------


def with_attribute(name: str, value: dict[str, Any]) -> Entry:
    entry = job()
    entry["MessageAttributes"][name] = value
    return entry


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            with_attribute("Key", {"DataType": "Binary", "BinaryValue": b"\0"}),
            "binary attribute 'Key'",
        ),
        (with_attribute("Sqsw", {"DataType": "String", "StringValue": "mine"}), "without a job id"),
        (job(to="<aws.scheduler.execution-id>"), "<aws.scheduler."),
        (job(to="x" * 262_144), "bytes as JSON"),
        (job(to="é" * 131_000), "bytes as JSON"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_without_a_request(
    place: EventBridgeScheduler, entry: Entry, text: str
) -> None:
    emails = SQSEnv(region=REGION).queue_client("emails")  # with no credentials
    for method in (place.check, place.park):
        with pytest.raises(MessageRefused, match=text) as caught:
            method(entry, emails, IN_A_MONTH)
        assert caught.value.why and caught.value.next


def test_a_job_of_the_largest_size_can_be_scheduled(
    place: EventBridgeScheduler, emails: QueueClient
) -> None:
    size = 262_144 - 512 - len(json.dumps({"QueueUrl": "", **job(to="")}, separators=(",", ":")))
    place.park(job(to="x" * size), emails, IN_A_MONTH)
    with pytest.raises(MessageRefused):
        place.park(job("job-2", to="x" * (size + 1)), emails, IN_A_MONTH)


def test_an_embedded_session_is_refused(tmp_path: Any) -> None:
    for session in (MemorySession(), LocalSession(tmp_path / "queues.db")):
        with closing(session):
            place = EventBridgeScheduler(ROLE)
            env = SQSEnv(session, parking=place)
            create_standard_queue(env, "emails")
            emails = env.queue_client("emails")
            for call in (
                lambda place=place, emails=emails: place.check(job(), emails, IN_A_MONTH),
                lambda place=place, emails=emails: place.park(job(), emails, IN_A_MONTH),
                lambda place=place: place.cancel("job-1"),
                lambda place=place: list(place.list()),
            ):
                with pytest.raises(SettingsError, match="embedded SQS") as caught:
                    call()
                assert "parking=" in str(caught.value.next)


def test_queues_that_eventbridge_cannot_reach_are_refused(
    env: SQSEnv, place: EventBridgeScheduler, mocked_session: Any
) -> None:
    elsewhere = env.make_queue_client("emails", "http://127.0.0.1:9324/000000000000/emails")
    with pytest.raises(SettingsError, match="cannot send to 'emails'") as caught:
        place.park(job(), elsewhere, IN_A_MONTH)
    assert "not on AWS" in str(caught.value.why)
    far = EventBridgeScheduler(
        ROLE, client=mocked_session.client("scheduler", region_name="us-east-1")
    )
    with pytest.raises(SettingsError) as caught:
        far.park(job(), env.queue_client("emails"), IN_A_MONTH)
    assert caught.value.reason == "other_region" and REGION in str(caught.value.why)


# -- canceling and listing ------------------------------------------------------------------------


def test_jobs_are_listed(env: SQSEnv, place: EventBridgeScheduler, emails: QueueClient) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    place.park(job(), emails, IN_A_MONTH)
    (parked,) = place.list()
    assert parked.sent_at is not None and before <= parked.sent_at <= datetime.now(UTC)
    assert parked == ParkedJob(
        "job-1",
        "send_email",
        "emails",
        IN_A_MONTH,
        parked.sent_at,
        arguments={"to": "zoë@example.com"},
    )


def test_pickled_arguments_are_not_read(place: EventBridgeScheduler, emails: QueueClient) -> None:
    entry = pack_job("run", {"a": 1}, content_type="pickle_compat")
    add_job_id(entry)
    place.park(entry, emails, IN_A_MONTH)
    (parked,) = place.list()
    assert parked.job_name == "run" and parked.arguments is None


def test_listing_is_lazy(place: EventBridgeScheduler, emails: QueueClient, env: SQSEnv) -> None:
    calls: list[str] = []
    env.clients.other_client("scheduler").meta.events.register(
        "before-call.scheduler", lambda model, **_: calls.append(model.name)
    )
    for number in range(3):
        place.park(job(f"job-{number}"), emails, IN_A_MONTH)
    calls.clear()
    jobs = place.list()
    assert calls == []
    assert next(jobs).job_name == "send_email"
    assert calls == ["ListSchedules", "GetSchedule"]
    assert len(list(jobs)) == 2 and calls.count("GetSchedule") == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"ScheduleExpression": "rate(1 minute)"},
        {"ScheduleExpressionTimezone": "Europe/Berlin"},
        {"Target": {"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}},
        {"Target": {"Input": "{"}},
        {"Target": {"Input": "[" * 100_000}},
        {"Target": {"Input": "[]"}},
        {"Target": {"Input": '{"QueueUrl": "q", "MessageBody": "b"}'}},
        {"Target": {"Input": '{"QueueUrl": 1, "MessageBody": "b", "MessageAttributes": {}}'}},
        {"Target": {"Input": '{"QueueUrl": "q", "MessageBody": "b", "MessageAttributes": {}}'}},
        {
            "Target": {
                "Input": '{"QueueUrl": "q", "MessageBody": "b", "MessageAttributes": {"Sqsw": 1}}'
            }
        },
        {"Name": "job-2"},
    ],
)
def test_schedules_of_other_programs_are_left_alone(
    place: EventBridgeScheduler, emails: QueueClient, schedules: Any, changed: dict[str, Any]
) -> None:
    place.park(job(), emails, IN_A_MONTH)
    schedule = schedules.get_schedule(Name="job-1")
    schedules.delete_schedule(Name="job-1")
    keys = (
        *("Name", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow"),
        *("Target", "ActionAfterCompletion"),
    )
    other = {key: schedule[key] for key in keys} | changed
    other["Target"] = schedule["Target"] | changed.get("Target", {})
    schedules.create_schedule(**other)
    assert list(place.list()) == []
    assert not place.cancel(other["Name"])
    assert len(schedules.list_schedules()["Schedules"]) == 1
    if other["Name"] == "job-1":
        with pytest.raises(MessageRefused, match="already scheduled"):
            place.park(job(), emails, IN_A_MONTH)


@pytest.mark.parametrize("job_id", ["job-1", "", "a b", "x" * 200])
def test_an_unknown_job_cannot_be_canceled(
    env: SQSEnv, place: EventBridgeScheduler, job_id: str
) -> None:
    assert place.cancel(job_id) is False


# -- errors ---------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Any:
    return boto3.session.Session("key", "secret", region_name=REGION).client("scheduler")


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub


@pytest.fixture
def stubbed(stub: Stubber, client: Any) -> EventBridgeScheduler:
    return EventBridgeScheduler(ROLE, "shop", client=client)


@pytest.fixture
def queue() -> QueueClient:
    url = f"https://sqs.{REGION}.amazonaws.com/123456789012/emails"
    return SQSEnv(region=REGION).make_queue_client("emails", url)


DENIED = (
    "User: arn:aws:iam::123456789012:user/web is not authorized to perform: iam:PassRole on "
    f"resource: {ROLE} because no identity-based policy allows the iam:PassRole action"
)


@pytest.mark.parametrize(
    ("code", "text", "expected", "message"),
    [
        ("AccessDeniedException", DENIED, AccessDenied, "not allowed to schedule a job"),
        ("ExpiredTokenException", "expired", AccessDenied, "credentials have expired"),
        ("ThrottlingException", "Rate exceeded", Busy, "refuses more requests"),
        ("ServiceQuotaExceededException", "quota", Busy, "refuses more requests"),
        (
            "ResourceNotFoundException",
            "Schedule group shop does not exist.",
            SettingsError,
            "no schedule group 'shop'",
        ),
        (
            "ValidationException",
            "The execution role you provide must allow AWS EventBridge Scheduler to assume it.",
            SettingsError,
            "cannot use the role",
        ),
        ("ValidationException", "Invalid input", SQSError, "cannot schedule a job of 'emails'"),
        ("InternalServerException", "oops", SQSError, "cannot schedule a job of 'emails'"),
    ],
)
def test_errors_of_create_schedule(
    stubbed: EventBridgeScheduler,
    stub: Stubber,
    queue: QueueClient,
    code: str,
    text: str,
    expected: type[SQSError],
    message: str,
) -> None:
    stub.add_client_error("create_schedule", code, text)
    with pytest.raises(SQSError, match=message) as caught:
        stubbed.park(job(), queue, IN_A_MONTH)
    assert type(caught.value) is expected
    assert text in str(caught.value.why)
    if text is DENIED:
        assert isinstance(caught.value, AccessDenied)
        assert (caught.value.action, caught.value.resource) == ("iam:PassRole", ROLE)


def test_a_conflict_with_a_schedule_that_is_gone(
    stubbed: EventBridgeScheduler, stub: Stubber, queue: QueueClient
) -> None:
    stub.add_client_error("create_schedule", "ConflictException", "Schedule job-1 already exists.")
    stub.add_client_error("get_schedule", "ResourceNotFoundException", "Schedule job-1 does not …")
    with pytest.raises(Busy, match="cannot be scheduled yet"):
        stubbed.park(job(), queue, IN_A_MONTH)


def test_errors_of_cancel_and_list(stubbed: EventBridgeScheduler, stub: Stubber) -> None:
    group = "Schedule group shop does not exist."
    stub.add_client_error("get_schedule", "ResourceNotFoundException", group)
    with pytest.raises(SettingsError, match="no schedule group 'shop'"):
        stubbed.cancel("job-1")
    stub.add_client_error("list_schedules", "ResourceNotFoundException", group)
    with pytest.raises(SettingsError, match="no schedule group 'shop'"):
        list(stubbed.list())
    stub.add_client_error("list_schedules", "AccessDeniedException", "no")
    with pytest.raises(AccessDenied, match="not allowed to list the schedules"):
        list(stubbed.list())


TARGET_ARN = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"


def summary_of(job_id: str) -> dict[str, Any]:
    return {"Name": job_id, "Target": {"Arn": TARGET_ARN}}


def schedule_of(job_id: str) -> dict[str, Any]:
    sent = {"QueueUrl": "https://example.com/1/emails", **job(job_id)}
    target = {"Arn": TARGET_ARN, "RoleArn": ROLE, "Input": json.dumps(sent)}
    expression = "at(2030-01-01T00:00:00)"
    return {"Name": job_id, "ScheduleExpression": expression, "Target": target}


def test_all_pages_are_listed(stubbed: EventBridgeScheduler, stub: Stubber) -> None:
    asked = {"GroupName": "shop", "MaxResults": 100}
    other = {"Name": "nightly", "Target": {"Arn": f"arn:aws:lambda:{REGION}:1:function:f"}}
    first = {"Schedules": [summary_of("one"), other], "NextToken": "more"}
    stub.add_response("list_schedules", first, asked)
    stub.add_response("get_schedule", schedule_of("one"), {"GroupName": "shop", "Name": "one"})
    second = {"Schedules": [summary_of("two")]}
    stub.add_response("list_schedules", second, {**asked, "NextToken": "more"})
    stub.add_response("get_schedule", schedule_of("two"), {"GroupName": "shop", "Name": "two"})
    assert [parked.job_id for parked in stubbed.list()] == ["one", "two"]
    stub.assert_no_pending_responses()


def test_a_job_that_is_sent_during_a_call(stubbed: EventBridgeScheduler, stub: Stubber) -> None:
    missing = ("ResourceNotFoundException", "Schedule job-1 does not exist.")
    stub.add_response("list_schedules", {"Schedules": [summary_of("job-1")]})
    stub.add_client_error("get_schedule", *missing)
    assert list(stubbed.list()) == []
    stub.add_response("get_schedule", schedule_of("job-1"))
    stub.add_client_error("delete_schedule", *missing)
    assert stubbed.cancel("job-1") is False
    stub.add_response("get_schedule", schedule_of("job-1"))
    stub.add_client_error("delete_schedule", "ThrottlingException", "Rate exceeded")
    with pytest.raises(Busy):
        stubbed.cancel("job-1")


def test_a_batch_ends_at_an_error_of_all_jobs(
    stubbed: EventBridgeScheduler, stub: Stubber, queue: QueueClient
) -> None:
    entries = [job(f"job-{number}") for number in range(4)]
    created = {"ScheduleArn": f"arn:aws:scheduler:{REGION}:123456789012:schedule/shop/job-0"}
    stub.add_response("create_schedule", created)
    stub.add_client_error("create_schedule", "ThrottlingException", "Rate exceeded")
    stub.add_client_error("create_schedule", "AccessDeniedException", "no")
    failures = stubbed.park_batch(entries, queue, [IN_A_MONTH] * 4)
    assert [(each.index, each.code, each.sender_fault) for each in failures] == [
        (1, "ThrottlingException", False),
        (2, "AccessDeniedException", True),
        (3, "AccessDeniedException", True),
    ]
    stub.add_client_error("create_schedule", "AccessDeniedException", "no")
    with pytest.raises(AccessDenied):
        stubbed.park_batch(entries, queue, [IN_A_MONTH] * 4)


def test_an_unreachable_service(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SCHEDULER", "http://127.0.0.1:9")
    session = boto3.session.Session("key", "secret", region_name=REGION)
    url = f"https://sqs.{REGION}.amazonaws.com/123456789012/emails"
    queue = SQSEnv(session, retry_max_attempts=1).make_queue_client("emails", url)
    with pytest.raises(ConnectionFailed) as caught:
        EventBridgeScheduler(ROLE).park(job(), queue, IN_A_MONTH)
    assert caught.value.url == "http://127.0.0.1:9/schedules/job-1"


def test_an_endpoint_that_is_not_a_url(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SCHEDULER", "ann:secret@nowhere")
    with pytest.raises(SettingsError) as caught:
        EventBridgeScheduler(ROLE).park(job(), queue, IN_A_MONTH)
    assert "secret" not in str(caught.value)


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("role_arn", "scheduler"),
        ("role_arn", "arn:aws:iam::123456789012:user/ann"),
        ("group", ""),
        ("group", "a/b"),
        ("group", "x" * 65),
        ("dead_letter_arn", "not_sent"),
        ("dead_letter_arn", f"{DLQ}.fifo"),
        ("retry_attempts", -1),
        ("retry_attempts", 186),
        ("max_age_seconds", 59),
        ("max_age_seconds", 86_401),
    ],
)
def test_settings_out_of_bounds(setting: str, value: Any) -> None:
    settings: dict[str, Any] = {"role_arn": ROLE, setting: value}
    with pytest.raises(SettingsError) as caught:
        EventBridgeScheduler(**settings)
    assert (caught.value.setting, caught.value.value) == (setting, value)


def test_a_place_belongs_to_one_environment(place: EventBridgeScheduler) -> None:
    place.bind(SQSEnv(parking=place))
    with pytest.raises(SettingsError, match="another environment"):
        SQSEnv(parking=place)


def test_an_environment_can_get_a_place_later(place: EventBridgeScheduler) -> None:
    SQSEnv().connect_to(parking=place)
    with pytest.raises(SettingsError, match="another environment"):
        SQSEnv().connect_to(parking=place)


def test_a_place_without_an_environment_has_no_session(place: EventBridgeScheduler) -> None:
    with pytest.raises(SettingsError, match="has no session"):
        place.cancel("job-1")
    with pytest.raises(SettingsError, match="has no session"):
        next(place.list())


def test_a_place_with_a_client_needs_no_environment(
    env: SQSEnv, emails: QueueClient, schedules: Any
) -> None:
    place = EventBridgeScheduler(ROLE, client=schedules)
    place.park(job(), emails, IN_A_MONTH)
    assert [parked.queue_name for parked in place.list()] == ["shop-emails"]
    assert place.cancel("job-1")


def test_each_process_has_its_own_client(env: SQSEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = env.clients
    client = clients.other_client("scheduler")
    assert clients.other_client("scheduler") is client
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert clients.other_client("scheduler") is not client
