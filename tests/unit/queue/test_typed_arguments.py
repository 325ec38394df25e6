"""Queues whose jobs have typed arguments."""

import datetime
import json
import uuid
from typing import Any

import pytest

from sqsw.app.opening import check_job
from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.batching import BatchMessages
from sqsw.core.errors import DecodeError, MessageRefused, SettingsError
from sqsw.memory_sqs import MemorySession
from sqsw.processors import Processor
from sqsw.registry import TaskRegistry
from sqsw.sqs_env import SQSEnv

KEY = uuid.UUID(int=7)
DAY = datetime.date(2026, 1, 2)


@pytest.fixture
def env() -> SQSEnv:
    """Return an environment with typed arguments and one queue."""
    env = SQSEnv(MemorySession(), typed_arguments=True, backoff_policy=IMMEDIATE_RETURN)
    env.sqs_client.create_queue(QueueName="orders")
    return env


def test_arguments_are_sent_as_json_and_typed_in_the_function(env: SQSEnv) -> None:
    seen: list[Any] = []

    @env.task(queue="orders", pass_context=True)
    def ship(order: uuid.UUID, day: datetime.date | None = None, context: Any = None) -> None:
        seen.append((order, day, dict(context)))

    @env.task(queue="orders")
    async def pack(order: uuid.UUID) -> None:
        seen.append(order)

    ship.delay(KEY, day=DAY)
    ship.delay(order=KEY)
    pack.bake(KEY).delay()
    env.queue("orders").add_job("pack", order=KEY)
    bodies = [json.loads(message.body) for message in env.queue("orders").get_raw_messages()]
    assert {"order": str(KEY), "day": "2026-01-02"} in bodies
    env.sqs_client.purge_queue(QueueUrl=env.queue("orders").client.url)

    ship.delay(KEY, day=DAY)
    ship.delay(order=KEY)
    pack.bake(KEY).delay()
    env.queue("orders").add_job("pack", order=KEY)
    assert env.process_batch("orders").errors == []
    assert seen == [(KEY, DAY, {}), (KEY, None, {}), KEY, KEY]


def test_the_content_type_is_json_so_other_programs_can_send(env: SQSEnv) -> None:
    seen: list[Any] = []

    @env.task(queue="orders")
    def ship(order: uuid.UUID) -> None:
        seen.append(order)

    queue = env.queue("orders")
    queue.add_raw_job("ship", json.dumps({"order": str(KEY)}))
    queue.add_raw_job("ship", json.dumps({"order": "no UUID"}))
    queue.add_job("ship", _content_type="json", order=KEY)
    result = env.process_batch("orders")
    assert seen == [KEY, KEY]
    (error,) = result.errors
    assert isinstance(error, DecodeError)
    assert (error.message, error.why) == (
        "the argument 'order' does not fit its annotation",
        "UUID: Invalid UUID",
    )


def test_an_override_of_process_gets_typed_arguments(env: SQSEnv) -> None:
    seen: list[Any] = []

    class Noting(Processor):
        def process(self, job_kwargs: dict[str, Any], job_context: Any) -> Any:
            seen.append(job_kwargs)
            return super().process(job_kwargs, job_context)

    env.processor_maker = Noting
    env.task("orders", "ship")(lambda order: None)

    @env.task(queue="orders")
    def pack(order: uuid.UUID) -> None: ...

    pack.delay(KEY)
    assert env.process_batch("orders").errors == []
    assert seen == [{"order": KEY}]


def test_a_processor_can_override_the_setting(env: SQSEnv) -> None:
    @env.task(queue="orders", typed_arguments=False)
    def plain(order: uuid.UUID) -> None: ...

    with pytest.raises(MessageRefused, match="which has no JSON form"):
        plain.delay(KEY)

    untyped = SQSEnv(env.session)
    seen: list[Any] = []
    tasks = TaskRegistry()

    @tasks.task("orders", typed_arguments=True)
    def ship(order: uuid.UUID) -> None:
        seen.append(order)

    tasks.bind(untyped)
    ship.delay(KEY)
    assert untyped.process_batch("orders").errors == []
    assert seen == [KEY]


def test_lists_of_jobs_and_other_codecs_are_not_affected(env: SQSEnv) -> None:
    queue = env.queue("many", batching_policy=BatchMessages(10))
    env.sqs_client.create_queue(QueueName="many")
    seen: list[Any] = []

    @queue.processor("ship_all")
    def ship_all(jobs: list[dict[str, Any]]) -> None:
        seen.extend(jobs)

    queue.add_job("ship_all", order="x")
    with pytest.raises(MessageRefused, match="which has no JSON form"):
        queue.add_job("ship_all", order=KEY)
    assert queue.process_batch().errors == []

    pickled = env.queue("pickled", accept=["pickle"])
    env.sqs_client.create_queue(QueueName="pickled")

    @pickled.processor("ship")
    def ship(order: uuid.UUID) -> None:
        seen.append(order)

    ship.options(content_type="pickle").delay(KEY)
    assert pickled.process_batch().errors == []
    assert seen == [{"order": "x"}, KEY]


def test_a_job_from_the_command_line_is_checked_against_the_annotations(env: SQSEnv) -> None:
    @env.task(queue="orders")
    def ship(order: uuid.UUID) -> None: ...

    check_job(env, "orders", "ship", {"order": str(KEY)})
    with pytest.raises(SettingsError, match="does not take these arguments") as caught:
        check_job(env, "orders", "ship", {"order": 7})
    assert "Expected `uuid`, got `int`" in (caught.value.why or "") or "UUID" in str(caught.value)
