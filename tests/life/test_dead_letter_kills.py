"""Killing a worker at any step of dead-lettering a job loses no job."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from sqsw import LocalSession, SQSEnv, redrive
from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message

ROOT = Path(__file__).parents[2]

JOBS = 12

#: kills per step; a command can run more
TIMES = int(os.environ.get("SQSW_TEST_KILLS", "1"))

#: Kills its process once, at one of the steps.
TASKS = """
import os, signal
from sqsw import SQSEnv
from sqsw.transport.queue_client import QueueClient

STEP, QUEUE = os.environ["STEP"], os.environ["QUEUE"]

def killing(name, call):
    def wrapped(*args, **kwargs):
        if STEP == f"before {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*args, **kwargs)
        if STEP == f"after {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return wrapped

QueueClient.send_batch = killing("send", QueueClient.send_batch)
QueueClient.delete_batch = killing("delete", QueueClient.delete_batch)

env = SQSEnv(max_attempts=1)

@env.processor(QUEUE, "fail")
def fail(number):
    raise ValueError(number)
"""


def _work(folder: Path, queue_name: str, step: str) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SQSW_CONFIG": "none",
        "SQSW_LOCAL": str(folder / "sqs.db"),
        "STEP": step,
        "QUEUE": queue_name,
    }
    command = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--until-idle", "3s"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False
    ).returncode


def _messages(env: SQSEnv, name: str) -> list[Message]:
    found = env.queue(name).client.peek()
    assert found is not None
    return list(found)


def _numbers(messages: Iterable[Message]) -> Counter[int]:
    return Counter(json.loads(each.body)["number"] for each in messages)


@pytest.mark.parametrize("time", range(TIMES))
@pytest.mark.parametrize("step", ["before send", "after send", "before delete", "after delete"])
@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_kills_during_dead_lettering_lose_no_job(
    tmp_path: Path, suffix: str, step: str, time: int
) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    session = LocalSession(tmp_path / "sqs.db")
    env = SQSEnv(session)
    fifo = {"FifoQueue": "true"} if suffix else {}
    client = session.client("sqs")
    client.create_queue(QueueName=f"dead{suffix}", Attributes=fifo)
    policy = {"deadLetterTargetArn": env.get_queue_arn(f"dead{suffix}"), "maxReceiveCount": 5}
    client.create_queue(
        QueueName=f"jobs{suffix}",
        Attributes={**fifo, "RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "2"},
    )
    jobs = env.queue(f"jobs{suffix}")
    for number in range(JOBS):
        group, deduplication = (f"g{number % 3}", str(number)) if suffix else (None, None)
        jobs.add_job("fail", number=number, _group_id=group, _deduplication_id=deduplication)

    assert _work(tmp_path, jobs.name, step) == -signal.SIGKILL
    assert _work(tmp_path, jobs.name, "none") == 0

    assert _messages(env, jobs.name) == []
    letters = _messages(env, f"dead{suffix}")
    numbers = _numbers(letters)
    assert set(numbers) == set(range(JOBS))
    assert all(metadata_of(each).dead is not None for each in letters)
    twins = sum(count - 1 for count in numbers.values())
    assert (twins > 0) == (not suffix and step in ("after send", "before delete"))
    assert redrive(env, f"dead{suffix}", poll_seconds=1).failed == 0
    assert set(_numbers(_messages(env, jobs.name))) == set(range(JOBS))
