"""Jobs whose next attempt is days away: killing a worker at any step loses none of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from sqsw import LocalSession, SQSEnv
from sqsw.core.job_metadata import job_id_of, metadata_of
from sqsw.core.message import Message
from sqsw.sqs_manage.create import create_parking_queue

ROOT = Path(__file__).parents[2]

JOBS = 12

DAY = 86_400

#: kills per step; a command can run more
TIMES = int(os.environ.get("SQSW_TEST_KILLS", "1"))

#: Its clock is ``AHEAD`` seconds ahead. It kills its process once, at one of the steps. Jobs fail
#: until they are tried again after three days, and note each attempt.
TASKS = """
import json, os, signal, time
from sqsw import LocalSession, RetryJob, SQSEnv, current_job
from sqsw.backoff_policies import Delays
from sqsw.transport.queue_client import QueueClient

STEP, AHEAD, FOLDER = os.environ["STEP"], float(os.environ["AHEAD"]), os.environ["FOLDER"]

def killing(name, call):
    def wrapped(client, *args, **kwargs):
        is_it = client.name == {"send": "parked", "delete": "jobs"}[name]
        if is_it and STEP == f"before {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(client, *args, **kwargs)
        if is_it and STEP == f"after {name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return wrapped

QueueClient.send_batch = killing("send", QueueClient.send_batch)
QueueClient.delete_batch = killing("delete", QueueClient.delete_batch)

session = LocalSession(FOLDER + "/sqs.db", clock=lambda: time.time() + AHEAD)
env = SQSEnv(session, parking="parked")

@env.processor("jobs", "wait", backoff_policy=Delays(3 * 86400))
def wait(number, fails):
    job = current_job()
    with open(FOLDER + "/ledger", "a") as ledger:
        ledger.write(json.dumps([number, job.job_id, job.attempt, AHEAD]) + "\\n")
    if fails or not AHEAD:
        raise RetryJob() if number % 2 else ValueError(number)
"""


def _work(folder: Path, step: str, ahead: float = 0.0, *options: str) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SQSW_CONFIG": "none",
        "STEP": step,
        "AHEAD": str(ahead),
        "FOLDER": str(folder),
    }
    command = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--until-idle", "4s"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    ).returncode


def _make_queues(folder: Path, receives: int) -> None:
    (folder / "tasks.py").write_text(TASKS)
    env = _env(folder)
    client: Any = env.sqs_client
    client.create_queue(QueueName="dead")
    policy = {"deadLetterTargetArn": env.get_queue_arn("dead"), "maxReceiveCount": receives}
    attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "2"}
    client.create_queue(QueueName="jobs", Attributes=attributes)
    create_parking_queue(env, "parked")


def _env(folder: Path, ahead: float = 0.0) -> SQSEnv:
    session = LocalSession(folder / "sqs.db", clock=lambda: time.time() + ahead)
    return SQSEnv(session, parking="parked")


def _messages(folder: Path, name: str, ahead: float = 0.0) -> list[Message]:
    """Return the messages of a queue at a time when none of them is hidden."""
    found = _env(folder, ahead).queue_client(name).peek()
    assert found is not None
    return list(found)


def _ledger(folder: Path) -> list[tuple[int, str, int, float]]:
    lines = (folder / "ledger").read_text().splitlines()
    return [(int(n), str(job_id), int(a), float(at)) for n, job_id, a, at in map(json.loads, lines)]


@pytest.mark.parametrize("time", range(TIMES))
@pytest.mark.parametrize("step", ["before send", "after send", "before delete", "after delete"])
def test_kills_while_jobs_are_parked_lose_none(tmp_path: Path, step: str, time: int) -> None:
    _make_queues(tmp_path, receives=9)
    jobs = _env(tmp_path).queue("jobs")
    for number in range(JOBS):
        jobs.add_job("wait", number=number, fails=False)

    assert _work(tmp_path, step) == -signal.SIGKILL
    assert _work(tmp_path, "none") == 0
    assert _messages(tmp_path, "jobs", 60) == []

    waiting = _messages(tmp_path, "parked", 1_000)
    numbers = Counter(json.loads(each.body)["number"] for each in waiting)
    assert set(numbers) == set(range(JOBS))
    assert (len(waiting) > JOBS) == (step in ("after send", "before delete"))
    ids = defaultdict(set)
    for each in waiting:
        ids[json.loads(each.body)["number"]].add(job_id_of(each))
    assert all(len(each) == 1 for each in ids.values()), "a copy has another job id"

    if step == "after send":
        assert _work(tmp_path, "none", 2.9 * DAY) == 0
        assert all(ahead == 0 for *_, ahead in _ledger(tmp_path)), "a job ran early"
    assert _work(tmp_path, "none", 3 * DAY + 60) == 0
    ran = [each for each in _ledger(tmp_path) if each[3]]
    assert len(ran) == len(waiting)
    assert {number for number, *_ in ran} == set(range(JOBS))
    assert {attempt for _, _, attempt, _ in ran} <= {2, 3}
    for name in ("jobs", "parked", "dead"):
        assert _messages(tmp_path, name, 4 * DAY) == []


def test_three_lives_in_worker_processes_end_in_the_dead_letter_queue(tmp_path: Path) -> None:
    _make_queues(tmp_path, receives=3)
    jobs = _env(tmp_path).queue("jobs")
    for number in range(JOBS):
        jobs.add_job("wait", number=number, fails=True)

    for days in (0.0, 3.1, 6.2):
        assert _work(tmp_path, "none", days * DAY, "--processes", "2") == 0
    attempts = Counter(attempt for _, _, attempt, _ in _ledger(tmp_path))
    assert attempts == {1: JOBS, 2: JOBS, 3: JOBS}
    letters = _messages(tmp_path, "dead", 6.3 * DAY)
    records = [metadata_of(each).dead for each in letters]
    assert [(each and (each.verdict, each.attempts)) for each in records] == [
        ("last_attempt", 3)
    ] * JOBS
    for name in ("jobs", "parked"):
        assert _messages(tmp_path, name, 30 * DAY) == []
