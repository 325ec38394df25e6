"""Worker processes that cannot start jobs, or whose jobs break what all jobs share."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from tests.backends import wait_until

ROOT = Path(__file__).parents[2]

TASKS = """
import asyncio, os, time
from pathlib import Path
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

def leave(name):
    Path("notes").mkdir(exist_ok=True)
    Path(f"notes/{name}-{os.getpid()}-{time.monotonic_ns()}").touch()

@env.processor("jobs", "pool", executor="process")
def pool(number):
    time.sleep(0.02)

@env.processor("jobs", "good")
async def good(number):
    await asyncio.sleep(0.01)
    leave(f"good_{number}")

@env.processor("jobs", "bad")
async def bad(how):
    leave("bad")
    if len(list(Path("notes").glob("bad-*"))) > 1:
        return
    loop = asyncio.get_running_loop()
    if how == "stop":
        loop.stop()
    elif how == "cancel":
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    elif how == "close":
        loop.stop()
        loop.call_soon(loop._selector.close)
    elif how == "shutdown":
        await loop.shutdown_default_executor()
    elif how == "exit":
        loop.call_soon(exit, 3)
        await asyncio.sleep(0.1)
    elif how == "factory":
        loop.set_task_factory(lambda *_, **__: None)
    elif how in ("fork", "fork_wait", "fork_exit"):
        pid = os.fork()
        if not pid and how == "fork_wait":
            await asyncio.sleep(0)
        if not pid and how == "fork_exit":
            raise SystemExit(7)
        if pid:
            leave(f"child_{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")

@env.processor("jobs", "thread_fork")
def thread_fork():
    pid = os.fork()
    if pid:
        leave(f"child_{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
"""


class Folder:
    """A directory with an app and its queue, and workers that run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "tasks.py").write_text(TASKS)
        self.session = LocalSession(path / "sqs.db")
        self.env = SQSEnv(self.session)
        client = self.session.client("sqs")
        client.create_queue(QueueName="dead")
        policy = {"deadLetterTargetArn": "arn:aws:sqs:local:000000000000:dead"}
        policy["deadLetterTargetArn"] = client.get_queue_attributes(
            QueueUrl=client.get_queue_url(QueueName="dead")["QueueUrl"], AttributeNames=["All"]
        )["Attributes"]["QueueArn"]
        client.create_queue(
            QueueName="jobs",
            Attributes={"RedrivePolicy": json.dumps({**policy, "maxReceiveCount": "3"})},
        )
        self.workers: list[subprocess.Popen[str]] = []

    def send(self, job: str, **kwargs: Any) -> None:
        self.env.queue("jobs").add_job(job, **kwargs)

    def start(self, *options: str, shell: str = "") -> "subprocess.Popen[str]":
        command = [
            *(sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--json"),
            *(f"--local={self.path / 'sqs.db'}", *options),
        ]
        if shell:
            command = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command]
        number = len(self.workers)
        with (self.path / f"log{number}").open("w") as log, self.out(number).open("w") as out:
            worker = subprocess.Popen(
                command,
                cwd=self.path,
                env={**os.environ, "PYTHONPATH": str(ROOT), "SQSW_CONFIG": "none"},
                stdout=out,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def out(self, number: int) -> Path:
        return self.path / f"out{number}"

    def summary(self, number: int = 0) -> dict[str, Any]:
        """Return the last line of a worker after its end."""
        self.workers[number].wait(60)
        summary: dict[str, Any] = json.loads(self.out(number).read_text())
        return summary

    def log(self, number: int = 0) -> str:
        return (self.path / f"log{number}").read_text()

    def notes(self, name: str) -> list[str]:
        return [path.name for path in self.path.glob(f"notes/{name}-*")]

    def counts(self, queue: str = "jobs") -> tuple[int, int]:
        """Return the numbers of messages that can be received and in flight."""
        attributes = self.env.queue(queue).client.attributes()
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    def close(self) -> None:
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self.session.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.close()


def lowest_limit(folder: Folder) -> int:
    """Return the lowest limit of open files with which a worker starts and receives."""
    for limit in range(12, 40):
        worker = folder.start("--until-idle", "1", shell=f"ulimit -n {limit}")
        if worker.wait(60) == 0:
            return limit
    raise AssertionError(folder.log())


@pytest.mark.parametrize("job", ["pool", "good"])
def test_a_worker_that_cannot_start_jobs_leaves_them_to_others(folder: Folder, job: str) -> None:
    limit = lowest_limit(folder) + 4  # two maps of notes, next to the health file
    folder.workers.clear()
    for number in range(300):
        folder.send(job, number=number)
    health = folder.path / "healthy"
    folder.start("-c", "8", "--health-file", str(health), shell=f"ulimit -n {limit}")
    wait_until(lambda: "jobs cannot be started" in folder.log(), 60, "a worker that is sick")
    for _ in range(2):
        folder.start("-c", "2")
    wait_until(lambda: folder.counts() == (0, 0), 120, "the end of the good jobs")
    assert folder.counts("dead") == (0, 0)
    touched = health.stat().st_mtime
    for worker in folder.workers:
        worker.terminate()
    sick, *others = [folder.summary(number) for number in range(3)]
    assert sum(summary["done"] for summary in others) == 300
    assert (sick["done"], sick["failed"]) == (0, 0)
    assert folder.log().count("jobs cannot be started, so") == 1
    assert time.time() - touched > 5  # it was no longer healthy


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_job_that_stops_the_loop_drains_the_worker_with_an_error(
    folder: Folder, how: str
) -> None:
    folder.send("bad", how=how)
    for number in range(60):
        folder.send("good", number=number)
    worker = folder.start("-c", "100")
    assert worker.wait(60) == 1, folder.log()
    assert "the event loop of the worker" in folder.log()
    folder.start("-c", "100")
    wait_until(lambda: all(folder.notes(f"good_{n}") for n in range(60)), 60, "the good jobs")


@pytest.mark.parametrize("how", ["cancel", "shutdown", "exit", "factory", "fork", "fork_wait"])
def test_an_async_job_cannot_take_the_loop_away_from_others(folder: Folder, how: str) -> None:
    for number in range(30):
        folder.send("good", number=number)
    folder.send("bad", how=how)
    for number in range(30, 60):
        folder.send("good", number=number)
    worker = folder.start("-c", "20", "--until-idle", "12")
    wait_until(lambda: all(folder.notes(f"good_{n}") for n in range(60)), 60, folder.log())
    assert worker.poll() is None
    # Each ran once, in the process of the worker.
    if how != "cancel":
        assert [len(folder.notes(f"good_{n}")) for n in range(60)] == [1] * 60
    pids = {name.split("-")[1] for n in range(60) for name in folder.notes(f"good_{n}")}
    assert pids == {str(worker.pid)}
    worker.terminate()
    folder.summary()


@pytest.mark.parametrize(
    ("job", "kwargs", "code"),
    [
        ("thread_fork", {}, 0),
        ("bad", {"how": "fork"}, 0),
        ("bad", {"how": "fork_wait"}, 1),
        ("bad", {"how": "fork_exit"}, 1),
    ],
)
def test_a_process_that_a_job_forked_runs_no_other_job(
    folder: Folder, job: str, kwargs: dict[str, str], code: int
) -> None:
    folder.send(job, **kwargs)
    folder.start("--max-jobs", "1")
    summary = folder.summary()
    assert (summary["done"], summary["failed"]) == (1, 0)
    assert len(folder.notes(f"child_{code}")) == 1
    assert folder.log().count('"event": "job_done"') == 1
