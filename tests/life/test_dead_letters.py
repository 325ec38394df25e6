"""Jobs that fail for good, on every SQS that is available."""

import string
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw import GiveUp, RawQueue, SQSEnv, current_job
from sqsw.backoff_policies import ConstantBackoff
from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message
from sqsw.core.settings import WorkerSettings
from sqsw.queue.work import work_queues
from sqsw.shutdown_policies import IdleShutdown
from sqsw.sqs_manage.create import create_queue
from tests.backends import Backend

#: all characters that a message group can contain, 128 at most
GROUP = string.ascii_letters + string.digits + string.punctuation

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "file", "served", "elasticmq"])
def env(
    request: pytest.FixtureRequest, started_backends: dict[str, Backend], tmp_path: Path
) -> Iterator[SQSEnv]:
    backend = started_backends[request.param]
    backend.start()
    session = backend.session(tmp_path)
    prefix = f"t{uuid.uuid4().hex[:12]}_"
    yield SQSEnv(session, queue_prefix=prefix, backoff_policy=ConstantBackoff(1))
    if hasattr(session, "close"):
        session.close()


def work(env: SQSEnv, name: str) -> None:
    work_queues(
        [env.queue(name)],
        settings=WorkerSettings(wait_seconds=1),
        events=env.events,
        policy_of=lambda name: IdleShutdown(2),
    )


def letters(env: SQSEnv, name: str) -> list[Message]:
    found = env.queue(name).get_raw_messages(max_messages=100)
    return sorted(found, key=lambda each: int(each.attributes["SentTimestamp"]))


@pytest.mark.parametrize("group", ["g", GROUP], ids=["plain", "every_character"])
def test_failing_jobs_of_a_group_take_no_other_job_with_them(env: SQSEnv, group: str) -> None:
    create_queue(env, "orders.fifo", dead_letter_queue="dead.fifo", max_receives=3)
    runs: list[tuple[int, int, int]] = []

    @env.processor("orders.fifo", "ship")
    def ship(number: int) -> None:
        job = current_job()
        assert job is not None
        runs.append((number, job.attempt, job.receive_count))
        if number < 3:
            raise ValueError(number)

    for number in range(6):
        ship.delay(number=number, _group_id=group, _deduplication_id=str(number))
    work(env, "orders.fifo")
    failed = [(number, attempt, 1) for number in range(3) for attempt in (1, 2, 3)]
    assert runs == [*failed, (3, 1, 1), (4, 1, 1), (5, 1, 1)]
    found = letters(env, "dead.fifo")
    records = [metadata_of(each).dead for each in found]
    assert [record and record.message for record in records] == ["0", "1", "2"]
    assert {each.group_id for each in found} == {group}


# The limit of ElasticMQ is 256 KiB.
@pytest.mark.parametrize("env", ["memory", "file", "served"], indirect=True)
@pytest.mark.parametrize("free_bytes", [4_096, 0])
@pytest.mark.parametrize("suffix", ["", ".fifo"], ids=["standard", "fifo"])
def test_a_body_of_1_mib_survives(env: SQSEnv, free_bytes: int, suffix: str) -> None:
    create_queue(env, f"orders{suffix}", dead_letter_queue=f"dead{suffix}", max_receives=3)
    queue = env.queue(f"orders{suffix}", RawQueue)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise GiveUp

    body = "ä" * ((MIB - free_bytes) // 2)
    queue.add_raw_job(body, deduplication_id="1" if suffix else None)
    work(env, f"orders{suffix}")
    (letter,) = letters(env, f"dead{suffix}")
    assert letter.body == body
    assert (metadata_of(letter).dead is None) == (free_bytes == 0)
