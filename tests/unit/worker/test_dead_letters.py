"""Jobs that are given up go to the dead-letter queue, with the reason."""

from collections.abc import Callable
from typing import Any

import pytest

from sqsw import GiveUp, RawQueue, RetryJob, SQSEnv, current_job
from sqsw.backoff_policies import ConstantBackoff
from sqsw.batching import BatchMessages
from sqsw.codecs.envelope import pack_job
from sqsw.core.dead_record import DeadRecord
from sqsw.core.errors import AccessDenied, ConnectionFailed, SettingsError, SQSError
from sqsw.core.events import AckFailed, JobDead, JobFailed, QueueWarning
from sqsw.core.job_metadata import SQSW, job_id_of, metadata_of
from sqsw.core.message import Message
from sqsw.core.results import FailedJobs
from sqsw.core.settings import WorkerSettings
from sqsw.queue.generic import GenericQueue
from sqsw.queue.work import lane_of, work_queues
from sqsw.shutdown_policies import NEVER_SHUTDOWN, IdleShutdown
from sqsw.sqs_manage.create import create_fifo_queue, create_standard_queue
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.once import process_once

#: the largest message that SQS accepts
_MOST_BYTES = 1024 * 1024


class NoSuchOrder(Exception):
    """An error of the app."""


@pytest.fixture
def env(memory_env: SQSEnv) -> SQSEnv:
    memory_env.backoff_policy = ConstantBackoff(0)
    create_standard_queue(memory_env, "dead")
    create_standard_queue(memory_env, "orders", redrive_policy=memory_env.redrive_policy("dead", 3))
    return memory_env


def work(env: SQSEnv, *names: str, idle_seconds: float = 0, **settings: Any) -> None:
    work_queues(
        [env.queue(name) for name in names or ("orders",)],
        settings=WorkerSettings(concurrency=4, wait_seconds=1, **settings),
        events=env.events,
        policy_of=lambda name: IdleShutdown(idle_seconds),
    )


def letters(env: SQSEnv, name: str = "dead") -> list[Message]:
    return env.queue(name).get_raw_messages(max_messages=100)


def record_of(message: Message) -> DeadRecord:
    found = metadata_of(message).dead
    assert found is not None
    return found


def heard(env: SQSEnv, kind: type) -> list[Any]:
    found: list[Any] = []
    env.events.subscribe(found.append, kind)
    return found


def count(env: SQSEnv, name: str) -> int:
    attributes = env.queue(name).client.attributes("All")
    return sum(
        int(attributes[key])
        for key in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    )


def test_a_job_that_always_fails_is_dead_lettered_with_its_reason(env: SQSEnv) -> None:
    seen: list[int] = []

    @env.processor("orders", "ship")
    def ship(number: int) -> None:
        job = current_job()
        assert job is not None
        seen.append(job.attempt)
        raise NoSuchOrder(f"no order {number}")

    ship.delay(number=7)
    sent = heard(env, JobDead)
    work(env)
    (letter,) = letters(env)
    record = record_of(letter)
    assert seen == [1, 2, 3]
    assert (record.verdict, record.type, record.message) == (
        "last_attempt",
        "NoSuchOrder",
        "no order 7",
    )
    assert record.where is not None
    assert "ship" in record.where
    assert (record.attempts, record.receives, record.queue, record.deaths) == (3, 3, "orders", 1)
    assert letter.body == '{"number": 7}'
    assert letter.string_attribute("JobName") == "ship"
    assert count(env, "orders") == 0
    assert [event.record for event in sent] == [record]


@pytest.mark.parametrize("where", ["raised", "processor", "queue", "environment"])
def test_a_job_that_gives_up_is_dead_lettered_at_once(where: str) -> None:
    from sqsw import MemorySession

    rules: dict[str, Any] = {"give_up_on": (NoSuchOrder, KeyError)}
    env = SQSEnv(MemorySession(), **(rules if where == "environment" else {}))
    create_standard_queue(env, "dead")
    create_standard_queue(env, "orders", redrive_policy=env.redrive_policy("dead", 3))
    env.queue("orders", **(rules if where == "queue" else {}))
    runs: list[int] = []

    @env.processor("orders", "ship", **(rules if where == "processor" else {}))
    def ship(number: int) -> None:
        runs.append(number)
        raise GiveUp("no such order") if where == "raised" else NoSuchOrder

    ship.delay(number=7)
    work(env)
    (letter,) = letters(env)
    assert runs == [7]
    assert (record_of(letter).verdict, record_of(letter).attempts) == ("gave_up", 1)


@pytest.mark.parametrize("where", ["processor", "queue"])
def test_attempts_can_be_fewer_than_receives(env: SQSEnv, where: str) -> None:
    rules: dict[str, Any] = {"max_attempts": 2}
    env.queue("orders", **(rules if where == "queue" else {}))
    runs: list[int] = []

    @env.processor("orders", "ship", **(rules if where == "processor" else {}))
    def ship() -> None:
        runs.append(1)
        raise NoSuchOrder

    ship.delay()
    work(env)
    assert len(runs) == 2
    assert record_of(letters(env)[0]).verdict == "last_attempt"


def test_a_job_that_always_asks_for_a_retry_is_dead_lettered_too(env: SQSEnv) -> None:
    @env.processor("orders", "ship")
    def ship() -> None:
        raise RetryJob

    ship.delay()
    work(env)
    record = record_of(letters(env)[0])
    assert (record.verdict, record.type, record.message, record.trace) == (
        *("last_attempt", None),
        *(None, None),
    )


def test_an_unreadable_job_is_dead_lettered_with_the_reason(env: SQSEnv) -> None:
    env.processor("orders", "ship", backoff_policy=ConstantBackoff(0))(lambda: None)
    env.job_queue("orders").add_raw_job("ship", "no JSON")
    work(env)
    record = record_of(letters(env)[0])
    assert (record.verdict, record.type) == ("unreadable", "DecodeError")


def test_each_message_of_a_list_has_its_own_record(env: SQSEnv) -> None:
    env.queue("orders", batching_policy=BatchMessages(5))

    @env.processor("orders", "ship", max_attempts=1)
    def ship(jobs: list[dict[str, Any]]) -> None:
        raise FailedJobs([job for job in jobs if job["number"] > 2])

    with env.queue("orders").add_batch():
        for number in range(5):
            env.add_job("orders", "ship", number=number)
    work(env)
    assert sorted(each.body for each in letters(env)) == ['{"number": 3}', '{"number": 4}']
    assert count(env, "orders") == 0


def test_raw_messages_are_dead_lettered_with_their_attributes(env: SQSEnv) -> None:
    queue = env.queue("orders", RawQueue, max_attempts=1)
    attributes = {
        f"A{number}": {"DataType": "Binary", "BinaryValue": bytes([number])} for number in range(9)
    }
    queue.client.send({"MessageBody": "<xml/>", "MessageAttributes": attributes})

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise NoSuchOrder

    work(env)
    (letter,) = letters(env)
    found = dict(letter.message_attributes)
    assert metadata_of(letter).job_id is not None
    del found[SQSW]
    assert {name: each["BinaryValue"] for name, each in found.items()} == {
        name: each["BinaryValue"] for name, each in attributes.items()
    }


def _ten_attributes(queue: GenericQueue) -> None:
    attributes = {f"A{n}": {"DataType": "String", "StringValue": "x"} for n in range(10)}
    queue.client.send({"MessageBody": "{}", "MessageAttributes": attributes})


def _full_size(queue: GenericQueue) -> None:
    queue.client.send({"MessageBody": "x" * _MOST_BYTES})


@pytest.mark.parametrize("send", [_ten_attributes, _full_size])
def test_a_message_without_room_for_the_record_is_left_to_sqs(
    env: SQSEnv, send: Callable[[GenericQueue], None]
) -> None:
    queue = env.queue("orders", RawQueue)
    runs: list[str] = []

    @queue.raw_processor()
    def ship(message: Message) -> None:
        runs.append(message.body)
        raise NoSuchOrder

    send(queue)
    warnings = heard(env, QueueWarning)
    work(env)
    (letter,) = letters(env)
    assert len(runs) == 3
    assert letter.body == runs[0]
    assert SQSW not in letter.message_attributes
    assert [each.reason for each in warnings].count("no_room") == 1


@pytest.mark.parametrize("send", [_ten_attributes, _full_size])
def test_a_job_that_gives_up_is_dead_lettered_even_without_room_for_the_record(
    env: SQSEnv, send: Callable[[GenericQueue], None]
) -> None:
    queue = env.queue("orders", RawQueue)
    runs: list[Message] = []

    @queue.raw_processor()
    def ship(message: Message) -> None:
        runs.append(message)
        raise GiveUp

    send(queue)
    warnings = heard(env, QueueWarning)
    work(env)
    (letter,), (run,) = letters(env), runs
    assert (letter.body, letter.message_attributes) == (run.body, run.message_attributes)
    assert count(env, "orders") == 0
    assert [each.reason for each in warnings].count("no_room") == 1


def test_an_attribute_of_another_program_with_the_same_name_survives(env: SQSEnv) -> None:
    queue = env.queue("orders", RawQueue)
    theirs = {"DataType": "String", "StringValue": "theirs"}
    queue.client.send({"MessageBody": "{}", "MessageAttributes": {SQSW: theirs}})

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise GiveUp

    work(env)
    assert letters(env)[0].string_attribute(SQSW) == "theirs"


@pytest.mark.parametrize(
    "refusal",
    [
        AccessDenied("the AWS credentials have expired", reason="expired"),
        ConnectionFailed("cannot connect"),
        SQSError("cannot send", why="an error of SQS", code="InternalError"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_temporary_refusal_is_retried_without_repeating_accepted_copies(
    env: SQSEnv, monkeypatch: pytest.MonkeyPatch, refusal: SQSError
) -> None:
    send_batch, calls = QueueClient.send_batch, []

    def fail_second(client: QueueClient, entries: Any, **options: Any) -> Any:
        if client.name == "dead":
            calls.append(len(entries))
            if len(calls) == 2:
                raise refusal
        return send_batch(client, entries, **options)

    monkeypatch.setattr(QueueClient, "send_batch", fail_second)
    queue = env.queue("orders", RawQueue)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise GiveUp

    for _ in range(4):
        queue.add_raw_job("x" * (_MOST_BYTES // 2 - 1_000))  # two fit into a call
    process_once(lane_of(queue, WorkerSettings(), NEVER_SHUTDOWN), 0, env.events)
    assert calls[:2] == [2, 2]
    assert len(letters(env)) == 4
    assert {record_of(each).verdict for each in letters(env)} <= {"gave_up"}
    assert count(env, "orders") == 0


def test_a_permanent_refusal_is_not_retried_for_hours(
    env: SQSEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_batch, calls = QueueClient.send_batch, []

    def refuse(client: QueueClient, entries: Any, **options: Any) -> Any:
        if client.name == "dead":
            calls.append(entries)
            raise SQSError("cannot send", why="its key is disabled", code="KmsDisabled")
        return send_batch(client, entries, **options)

    monkeypatch.setattr(QueueClient, "send_batch", refuse)

    @env.processor("orders", "ship")
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    work(env)
    assert metadata_of(letters(env)[0]).dead is None  # SQS moved it
    assert len(calls) == 3  # then without the traceback, then without the message


def fail_elsewhere() -> None:
    raise NoSuchOrder("in a process of the pool")


def test_a_failure_in_a_pool_process_has_its_place_in_the_code(env: SQSEnv) -> None:
    env.queue("orders").connect_processor(
        "ship", fail_elsewhere, executor="process", max_attempts=1
    )
    env.add_job("orders", "ship")
    work(env)
    where = record_of(letters(env)[0]).where
    assert where is not None
    assert where.startswith(f"{__name__}.fail_elsewhere:")


def test_the_traceback_is_dropped_first_if_room_is_short(env: SQSEnv) -> None:
    queue = env.queue("orders", RawQueue, max_attempts=1)
    queue.client.send({"MessageBody": "x" * (_MOST_BYTES - 1_100)})

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise NoSuchOrder("order " + "7" * 400)

    work(env)
    record = record_of(letters(env)[0])
    assert (record.message, record.trace) == ("order " + "7" * 400, None)


def test_texts_can_be_kept_out_of_the_record(env: SQSEnv) -> None:
    env.queue("orders", explain_text=False)

    @env.processor("orders", "ship", max_attempts=1)
    def ship(name: str) -> None:
        raise NoSuchOrder(name)

    ship.delay(name="Ann")
    work(env)
    record = record_of(letters(env)[0])
    assert (record.type, record.message, record.trace) == ("NoSuchOrder", None, None)


def test_the_native_mode_leaves_dead_letters_to_sqs(env: SQSEnv) -> None:
    @env.processor("orders", "ship", give_up_on=NoSuchOrder)
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    work(env, dead_letters="native")
    (letter,) = letters(env)
    assert metadata_of(letter).dead is None
    assert letter.attributes["DeadLetterQueueSourceArn"].endswith(":orders")


@pytest.mark.parametrize(
    ("dead_letters", "verdicts"),
    [("explain", ["gave_up"]), ("native", [None, None, "gave_up"])],
)
def test_a_failure_has_a_verdict_if_the_job_is_not_retried(
    env: SQSEnv, dead_letters: str, verdicts: list[str | None]
) -> None:
    @env.processor("orders", "ship", give_up_on=NoSuchOrder)
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    failed = heard(env, JobFailed)
    work(env, dead_letters=dead_letters)
    assert [event.verdict for event in failed] == verdicts
    assert [event.dead_letter_queue for event in failed][-1] == "dead"


def test_a_job_without_a_dead_letter_queue_is_hidden_and_not_deleted(memory_env: SQSEnv) -> None:
    create_standard_queue(memory_env, "orders")

    @memory_env.processor("orders", "ship")
    def ship() -> None:
        raise GiveUp("no such order")

    ship.delay()
    failed = heard(memory_env, JobFailed)
    work(memory_env)
    assert [round(each.hidden_seconds, -2) for each in failed] == [43_200]
    assert [(each.verdict, each.dead_letter_queue) for each in failed] == [("gave_up", None)]
    assert count(memory_env, "orders") == 1


def test_a_missing_dead_letter_queue_loses_nothing(env: SQSEnv) -> None:
    @env.processor("orders", "ship")
    def ship() -> None:
        raise GiveUp

    ship.delay()
    env.queue("dead").client.boto3_client.delete_queue(QueueUrl=env.queue("dead").client.url)
    warnings, failed = heard(env, QueueWarning), heard(env, AckFailed)
    env.backoff_policy = env.queue("orders").backoff_policy = ConstantBackoff(60)
    work(env)
    assert count(env, "orders") == 1
    assert [each.reason for each in warnings].count("missing_dead_letter_queue") == 1
    assert failed == []


def test_the_next_death_increases_the_count(env: SQSEnv) -> None:
    @env.processor("orders", "ship", max_attempts=1)
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    work(env)
    (first,) = letters(env)
    env.queue("orders").client.send(
        {"MessageBody": first.body, "MessageAttributes": first.message_attributes}
    )
    work(env)
    again = letters(env)[-1]
    assert record_of(again).deaths == 2
    assert record_of(again).first_at == record_of(first).first_at
    assert job_id_of(again) == job_id_of(first)


def test_process_batch_dead_letters_too(env: SQSEnv) -> None:
    @env.processor("orders", "ship", max_attempts=1)
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    result = env.process_batch("orders")
    assert [type(error) for error in result.errors] == [NoSuchOrder]
    assert (result.succeeded_count(), result.failed_count()) == (0, 1)
    assert len(letters(env)) == 1


@pytest.mark.parametrize(
    "options", [{"max_attempts": 0}, {"give_up_on": "ValueError"}, {"give_up_on": (1,)}]
)
def test_invalid_rules_are_refused(env: SQSEnv, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        env.queue("orders").connect_processor("ship", lambda: None, **options)
    with pytest.raises(SettingsError):
        env.queue("others", **options)
    with pytest.raises(SettingsError):
        SQSEnv(**options)


def test_an_idle_worker_does_not_wait_for_the_next_attempt(memory_env: SQSEnv) -> None:
    memory_env.backoff_policy = ConstantBackoff(200)
    create_fifo_queue(memory_env, "dead.fifo")
    policy = memory_env.redrive_policy("dead.fifo", 3)
    create_fifo_queue(memory_env, "orders.fifo", redrive_policy=policy)

    @memory_env.processor("orders.fifo", "ship")
    def ship() -> None:
        raise NoSuchOrder

    ship.delay(_deduplication_id="1")
    work(memory_env, "orders.fifo")
    attributes = memory_env.queue("orders.fifo").client.attributes("All")
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"  # hidden for its backoff


@pytest.mark.parametrize("way", ["unknown", "ten_attributes"])
def test_jobs_behind_failing_ones_run_on_their_first_receive(
    memory_env: SQSEnv, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("sqsw.queue.job_queue.UNKNOWN_JOB_BACKOFF", ConstantBackoff(0))
    memory_env.backoff_policy = ConstantBackoff(0)
    create_fifo_queue(memory_env, "dead.fifo")
    policy = memory_env.redrive_policy("dead.fifo", 3)
    create_fifo_queue(memory_env, "orders.fifo", redrive_policy=policy)
    queue = memory_env.job_queue("orders.fifo")
    runs: list[int] = []

    @memory_env.processor("orders.fifo", "ship")
    def ship(fails: bool = False) -> None:
        if fails:
            raise NoSuchOrder
        job = current_job()
        assert job is not None
        runs.append(job.receive_count)

    for number in range(3):
        if way == "unknown":
            queue.add_job("renamed", _group_id="g", _deduplication_id=f"bad-{number}")
            continue
        entry = pack_job("ship", {"fails": True}, group_id="g", deduplication_id=f"bad-{number}")
        for other in range(7):
            entry["MessageAttributes"][f"A{other}"] = {"DataType": "String", "StringValue": "x"}
        queue.client.send(entry)
    for number in range(2):
        ship.delay(_group_id="g", _deduplication_id=f"good-{number}")
    work(memory_env, "orders.fifo", idle_seconds=1)
    assert runs == [1, 1]
    assert len(letters(memory_env, "dead.fifo")) == 3


def test_a_group_goes_on_after_a_dead_letter_without_another_receive(
    memory_env: SQSEnv,
) -> None:
    memory_env.backoff_policy = ConstantBackoff(1)
    create_fifo_queue(memory_env, "dead.fifo")
    policy = memory_env.redrive_policy("dead.fifo", 3)
    create_fifo_queue(memory_env, "orders.fifo", redrive_policy=policy)
    runs: list[tuple[int, int]] = []

    @memory_env.processor("orders.fifo", "ship")
    def ship(number: int) -> None:
        job = current_job()
        assert job is not None
        runs.append((number, job.receive_count))
        if number < 2:
            raise NoSuchOrder

    for number in range(4):
        ship.delay(number=number, _group_id="g", _deduplication_id=str(number))
    work(memory_env, "orders.fifo", idle_seconds=2)
    assert runs == [(0, 1)] * 3 + [(1, 1)] * 3 + [(2, 1), (3, 1)]
    assert [each.body for each in letters(memory_env, "dead.fifo")] == [
        '{"number": 0}',
        '{"number": 1}',
    ]
