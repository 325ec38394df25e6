"""A stuck log or listener stops neither jobs nor deletes, a drain, or a second signal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from sqsw.worker.signals import ECHO_SECONDS
from tests.backends import wait_until

ROOT = Path(__file__).parents[2]
JOBS = 40

#: Apps, by the part of them that gets stuck.
APP = """
import logging, os, sys, time
from pathlib import Path
from sqsw.sqs_env import SQSEnv

class Hanging(logging.Handler):
    def emit(self, record):
        time.sleep(1000)

def hang(event):
    time.sleep(1000)

env = SQSEnv()
cause = os.environ["CAUSE"]
if cause == "root handler":
    logging.getLogger().addHandler(Hanging())
if cause == "handler of sqsw":
    logging.getLogger("sqsw.worker").addHandler(Hanging())
if cause == "listener":
    env.events.subscribe(hang)

def leave(name):
    Path("notes").mkdir(exist_ok=True)
    Path(f"notes/{name}").touch()

@env.processor("jobs", "note")
def note(name):
    leave(name)
    if name.endswith("5"):
        raise ValueError(name * 1000)

@env.processor("jobs", "wait")
def wait(name):
    leave(f"wait-{name}")
    while True:
        time.sleep(0.01)

@env.processor("jobs", "say")
def say():
    print("x" * 100_000, file=sys.stderr, flush=True)

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG if cause == "stderr" else logging.INFO)
    logging.getLogger("botocore").setLevel(logging.INFO)
    from sqsw.core.settings import WorkerSettings
    from sqsw.queue.work import work_queues
    if sys.argv[1] == "process_queues":
        env.process_queues(["jobs"], concurrency=8)
    else:
        drain = float(sys.argv[1])
        settings = WorkerSettings(concurrency=8, drain_seconds=drain)
        work_queues([env.queue("jobs")], settings=settings, events=env.events)
"""

COMMAND = [sys.executable, "-m", "sqsw_cli", "work", "app:env", "-c", "8"]
WAYS = {
    "work, json": [*COMMAND, "--log-format", "json", "--drain-timeout"],
    "work, console": [*COMMAND, "--log-format", "console", "--drain-timeout"],
    "work, very verbose": [*COMMAND, "-vv", "--drain-timeout"],
    "work, two processes": [*COMMAND, "--processes", "2", "--drain-timeout"],
    "library": [sys.executable, "app.py"],
}
CAUSES = ("stderr", "root handler", "handler of sqsw", "listener")
BOTH = [(way, cause) for way in WAYS for cause in CAUSES if way == "library" or "two" in way]
BOTH += [(way, "stderr") for way in WAYS if way != "library" and "two" not in way]

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Return the write end of a full pipe without a reader."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"-" * 512)
    os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    os.close(reader)


@pytest.fixture
def env(tmp_path: Path) -> SQSEnv:
    env = SQSEnv(LocalSession(str(tmp_path / "sqs.db")))
    env.sqs_client.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "60"})
    (tmp_path / "app.py").write_text(APP)
    return env


@pytest.fixture
def start(tmp_path: Path, full_pipe: int) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(
        command: list[str], cause: str, *more: str, **streams: int
    ) -> "subprocess.Popen[bytes]":
        variables = {"SQSW_LOCAL": "sqs.db", "CAUSE": cause, "PYTHONPATH": str(ROOT)}
        if "app.py" in command:
            # At the end of a script, Python flushes stderr. With a buffer, it would wait for the
            # lock that the stuck thread holds. The command ends without that flush.
            variables["PYTHONUNBUFFERED"] = "1"
        process = subprocess.Popen(
            [*command, *more],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stderr=streams.get("stderr", full_pipe if cause == "stderr" else subprocess.DEVNULL),
            stdout=streams.get("stdout", subprocess.DEVNULL),
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def counts(env: SQSEnv) -> tuple[int, int]:
    """Return the numbers of messages that can be received and in flight."""
    found = env.queue("jobs").client.attributes(
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    )
    return int(found["ApproximateNumberOfMessages"]), int(
        found["ApproximateNumberOfMessagesNotVisible"]
    )


def send_notes(env: SQSEnv) -> set[str]:
    names = {f"note-{number:02}" for number in range(JOBS)}
    for name in sorted(names):
        env.add_job("jobs", "note", name=name)
    return names


def noted(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("notes/*")}


@pytest.mark.parametrize(("way", "cause"), BOTH)
def test_jobs_run_are_deleted_and_drain_with_a_stuck_log(
    env: SQSEnv, tmp_path: Path, start: Start, way: str, cause: str
) -> None:
    names = send_notes(env)
    process = start(WAYS[way], cause, "1")
    wait_until(lambda: noted(tmp_path) >= names)
    wait_until(lambda: counts(env)[1] <= JOBS // 10)  # failed jobs wait for their retry
    env.add_job("jobs", "wait", name="a")
    wait_until(lambda: "wait-a" in noted(tmp_path))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert time.monotonic() - began < 10
    assert counts(env)[0] >= 1  # returned at the end of the drain


@pytest.mark.parametrize(("way", "cause"), BOTH)
def test_a_second_signal_ends_a_worker_with_a_stuck_log(
    env: SQSEnv, tmp_path: Path, start: Start, way: str, cause: str
) -> None:
    process = start(WAYS[way], cause, "60")
    env.add_job("jobs", "wait", name="a")
    if cause == "stderr":
        env.add_job("jobs", "say")  # it holds the lock of Python's stderr
    wait_until(lambda: "wait-a" in noted(tmp_path))
    process.send_signal(signal.SIGUSR1)  # prints the slots to stderr
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(ECHO_SECONDS + 0.2)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("cause", CAUSES)
def test_forked_workers_keep_working(env: SQSEnv, tmp_path: Path, start: Start, cause: str) -> None:
    names = send_notes(env)
    process = start([sys.executable, "app.py"], cause, "process_queues")
    wait_until(lambda: noted(tmp_path) >= names)
    process.send_signal(signal.SIGTERM)
    process.wait(30)


TALK = """
import logging, multiprocessing, os
from pathlib import Path
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

@env.processor("jobs", "talk")
def talk(number):
    for line in range(500):
        logging.getLogger("app").info("line %d", line)
    logging.getLogger("app").error("error of %d", number)
    Path(f"talked-{number}").touch()

@env.processor("jobs", "fork")
def fork():
    child = os.fork()
    if child == 0:
        logging.getLogger("app").info("in a fork")
        os._exit(0)
    os.waitpid(child, 0)
    process = multiprocessing.get_context("fork").Process(
        target=logging.getLogger("app").info, args=("in another process",)
    )
    process.start()
    process.join()
    Path("forked").touch()
"""


def test_errors_are_kept_and_lost_lines_are_counted(
    env: SQSEnv, tmp_path: Path, start: Start
) -> None:
    (tmp_path / "app.py").write_text(TALK)
    for number in range(20):
        env.add_job("jobs", "talk", number=number)
    reader, writer = os.pipe()
    command = [*COMMAND, "--log-format", "json"]
    process = start(command, "", stderr=writer)
    os.close(writer)
    wait_until(lambda: len(list(tmp_path.glob("talked-*"))) == 20)
    env.add_job("jobs", "fork")
    lines: list[dict[str, Any]] = []
    with os.fdopen(reader) as log:
        reading = Thread(target=lambda: lines.extend(json.loads(line) for line in log))
        reading.start()
        wait_until((tmp_path / "forked").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reading.join(30)
    events = [line["event"] for line in lines]
    assert {f"error of {number}" for number in range(20)} <= set(events)
    said = events.count("in a fork"), events.count("in another process")
    assert said == (1, 1)
    (dropped,) = [line["dropped"] for line in lines if line["event"] == "lines_dropped"]
    lost = 20 * 500 - sum(event.startswith("line ") for event in events)
    assert lost <= dropped <= lost + 20  # and lines about the jobs
    assert events[-2:] == ["worker_stopped", "summary"]


def test_a_worker_ends_if_no_program_reads_its_summary(
    env: SQSEnv, tmp_path: Path, start: Start, full_pipe: int
) -> None:
    env.add_job("jobs", "note", name="a")
    process = start([*COMMAND, "--json", "--until-idle", "1"], "", stdout=full_pipe)
    assert process.wait(60) == 1
    assert noted(tmp_path) == {"a"}
