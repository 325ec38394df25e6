"""Signals to real worker processes on one file."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.events import EventBus, QuietStarted, WorkerStarted
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import LocalSession
from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.worker import Worker
from tests.backends import wait_until
from tests.unit.worker.doubles import lane

SLOTS = 2


def queue_in(folder: Path) -> QueueClient:
    source = ClientSource(LocalSession(str(folder / "sqs.db")))
    return QueueClient(source, "jobs", "jobs")


def note_quiet(folder: Path, event: QuietStarted) -> None:
    with (folder / "quiet").open("a") as file:
        hint = event.hint.partition(";")[0]
        file.write(f"{event.reason}, {event.running} running, {hint}\n")


def work(folder: Path, drain_seconds: float) -> None:
    """Run the child: its jobs last until a file allows them to end."""

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        (folder / f"started-{messages[0].body}").touch()
        wait_until((folder / "go-on").exists)
        return [SUCCEEDED]

    settings = WorkerSettings(concurrency=SLOTS, prefetch=10, drain_seconds=drain_seconds)
    events = EventBus()
    events.subscribe(lambda _: (folder / "up").touch(), WorkerStarted)
    events.subscribe(partial(note_quiet, folder), QuietStarted)
    worker = Worker([lane("jobs", client=queue_in(folder), handle=handle)], settings, events)
    print(json.dumps(dataclasses.asdict(worker.run())), flush=True)


class Child:
    """A worker in a separate process, and its queue."""

    def __init__(self, folder: Path, messages: int, drain_seconds: float = 60) -> None:
        self.folder = folder
        self.queue = queue_in(folder)
        self.queue.boto3_client.create_queue(QueueName="jobs")
        for number in range(messages):
            self.queue.send({"MessageBody": f"m{number:02}"})
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.life.test_worker_signals",
                str(folder),
                str(drain_seconds),
            ],
            cwd=Path(__file__).parent.parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until((folder / "up").exists)

    def started(self) -> list[str]:
        return sorted(path.name[len("started-") :] for path in self.folder.glob("started-*"))

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def counts(self) -> tuple[int, int]:
        """Return the numbers of messages that can be received and in flight."""
        attributes = self.queue.attributes()
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    def report(self) -> dict[str, Any]:
        """Return the report of the worker after its end."""
        self.out, self.err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.err
        report: dict[str, Any] = json.loads(self.out)
        return report


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(messages: int, drain_seconds: float = 60) -> Child:
        children.append(Child(tmp_path, messages, drain_seconds))
        return children[-1]

    yield start
    for made in children:
        made.process.kill()
        made.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_finishes_running_jobs_and_returns_the_rest_at_once(
    child: Callable[..., Child], number: signal.Signals
) -> None:
    made = child(messages=10)
    wait_until(lambda: len(made.started()) == SLOTS)
    wait_until(lambda: made.counts() == (0, 10))
    made.signal(number)
    # While the running jobs still run.
    wait_until(lambda: made.counts() == (10 - SLOTS, SLOTS))
    made.go_on()
    report = made.report()
    assert made.counts() == (10 - SLOTS, 0)
    assert made.started() == ["m00", "m01"]
    assert (report["done"], report["released"], report["unfinished"]) == (SLOTS, 10 - SLOTS, 0)
    # Messages that had not started have lost only this one receive.
    assert {message.receive_count for message in made.queue.receive(10)} == {2}
    assert (report["stopped_by"], report["forced"]) == (number.name, False)


def test_a_second_signal_stops_at_once(child: Callable[..., Child]) -> None:
    made = child(messages=10)
    wait_until(lambda: len(made.started()) == SLOTS)
    made.signal(signal.SIGTERM)
    wait_until(lambda: made.counts()[0] > 0)
    begin = time.monotonic()
    made.signal(signal.SIGINT)
    report = made.report()
    assert time.monotonic() - begin < 10  # and not the 60 seconds of the drain
    assert made.counts() == (10, 0)
    assert (report["stopped_by"], report["forced"]) == ("SIGINT", True)
    assert (report["done"], report["unfinished"]) == (0, SLOTS)


def test_a_signal_and_its_echo_are_one_drain(child: Callable[..., Child]) -> None:
    """``timeout`` signals a process and then its whole group."""
    made = child(messages=3)
    wait_until(lambda: len(made.started()) == SLOTS)
    made.signal(signal.SIGTERM)
    time.sleep(0.05)  # otherwise, the kernel merges the two
    made.signal(signal.SIGTERM)
    time.sleep(0.5)
    made.go_on()
    report = made.report()
    assert (report["forced"], report["unfinished"], report["done"]) == (False, 0, SLOTS)


def test_jobs_that_still_run_at_the_end_of_the_drain_are_returned(
    child: Callable[..., Child],
) -> None:
    made = child(messages=3, drain_seconds=0.3)
    wait_until(lambda: len(made.started()) == SLOTS)
    made.signal(signal.SIGTERM)
    report = made.report()
    assert made.counts() == (3, 0)
    assert (report["unfinished"], report["forced"]) == (SLOTS, False)


def test_an_idle_worker_ends_at_once_despite_its_open_poll(child: Callable[..., Child]) -> None:
    made = child(messages=0)
    begin = time.monotonic()
    made.signal(signal.SIGTERM)
    assert made.report()["stopped_by"] == "SIGTERM"
    assert time.monotonic() - begin < 10  # and not the 20 seconds of the poll


def test_sigusr1_shows_every_slot(child: Callable[..., Child]) -> None:
    made = child(messages=3)
    wait_until(lambda: len(made.started()) == SLOTS)
    made.signal(signal.SIGUSR1)
    made.signal(signal.SIGTERM)
    wait_until(lambda: made.counts() == (1, SLOTS))
    made.go_on()
    made.report()
    assert made.err.count("jobs send ") == SLOTS
    assert "running for" in made.err and "lease left" in made.err
    assert made.err.count('wait_until((folder / "go-on").exists)') == SLOTS


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTSTP])
def test_a_quiet_worker_receives_nothing_more_and_keeps_running(
    child: Callable[..., Child], number: signal.Signals
) -> None:
    made = child(messages=SLOTS)
    wait_until(lambda: len(made.started()) == SLOTS)
    made.signal(number)
    wait_until((made.folder / "quiet").exists)
    made.signal(signal.SIGHUP)  # ignored
    made.go_on()
    wait_until(lambda: made.counts() == (0, 0))
    # An open poll can have brought messages sent by then; later ones are not received.
    made.queue.boto3_client.meta.events.emit("sqsw.end-polls")
    made.signal(signal.SIGTERM)
    report = made.report()
    assert (report["done"], report["stopped_by"]) == (SLOTS, "SIGTERM")
    told = (made.folder / "quiet").read_text()
    assert told == f"{number.name}, {SLOTS} running, to receive again, restart the worker\n"


if __name__ == "__main__":
    work(Path(sys.argv[1]), float(sys.argv[2]))
