"""Deploys and failures dead-letter no job unrun, even with few receives."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from tests.backends import wait_until

ROOT = Path(__file__).parents[2]

#: Each attempt appends the key of its job to the ledger with one call, so lines never mix.
TASKS = """
import asyncio, os, random, time
from sqsw import IMMEDIATE_RETURN, SQSEnv
from sqsw.batching import BatchMessages

QUEUE, KIND = os.environ["QUEUE"], os.environ["KIND"]
SECONDS, FAILURES = float(os.environ["SECONDS"]), float(os.environ["FAILURES"])

env = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
if KIND == "list":
    env.queue(QUEUE, batching_policy=BatchMessages(4, max_wait=1))

def begin(key):
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{key}\\n".encode())
    os.close(file)
    return 2 * SECONDS * random.random()

def end():
    if random.random() < FAILURES:
        raise ValueError("by chance")

if KIND == "coroutine":
    @env.processor(QUEUE, "note")
    async def note(key):
        await asyncio.sleep(begin(key))
        end()
elif KIND == "list":
    @env.processor(QUEUE, "note")
    def note(jobs):
        time.sleep(max([begin(job["key"]) for job in jobs]))
        end()
else:
    @env.processor(QUEUE, "note", executor=KIND)
    def note(key):
        time.sleep(begin(key))
        end()
"""


class Fleet:
    """Workers of one queue with a dead-letter queue.

    Jobs take ``seconds`` on average and fail at a rate of ``failures``; ``kind`` says where they
    run.
    """

    def __init__(
        self,
        folder: Path,
        queue_name: str,
        max_receives: int,
        *options: str,
        kind: str = "thread",
        seconds: float = 0.01,
        failures: float = 0.0,
    ) -> None:
        self.folder, self.options = folder, options
        (folder / "tasks.py").write_text(TASKS)
        (folder / "ledger").touch()
        self.session = LocalSession(folder / "sqs.db")
        env = SQSEnv(self.session)
        suffix = ".fifo" if queue_name.endswith(".fifo") else ""
        dead_name = f"{queue_name.removesuffix(suffix)}_dead{suffix}"
        fifo = {"FifoQueue": "true"} if suffix else {}
        client = self.session.client("sqs")
        client.create_queue(QueueName=dead_name, Attributes=fifo)
        policy = {
            "deadLetterTargetArn": env.get_queue_arn(dead_name),
            "maxReceiveCount": max_receives,
        }
        client.create_queue(
            QueueName=queue_name, Attributes={**fifo, "RedrivePolicy": json.dumps(policy)}
        )
        self.queue, self.dead_letters = env.queue(queue_name), env.queue(dead_name)
        self.is_fifo = bool(suffix)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SQSW_CONFIG": "none",
            "QUEUE": queue_name,
            "KIND": kind,
            "SECONDS": str(seconds),
            "FAILURES": str(failures),
        }
        self.sent: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def send(self, groups: int, length: int) -> None:
        """Send more jobs, in this many groups."""
        first = len(self.sent) // groups
        with self.queue.add_batch():
            for number in range(first, first + length):
                for group in range(groups):
                    key = f"{group}-{number}"
                    ids: dict[str, Any] = {"_group_id": f"g{group}", "_deduplication_id": key}
                    self.queue.add_job("note", key=key, **(ids if self.is_fifo else {}))
                    self.sent.append(key)

    def start(self) -> None:
        """Start another worker, and wait until it receives."""
        started = self.log().count("worker_started")
        command = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--log-format=json"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, f"--local={self.folder / 'sqs.db'}", *self.options],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        wait_until(lambda: self.log().count("worker_started") > started, 60, "a worker")

    def deploy(self) -> None:
        """Replace the oldest worker with a new one while it drains."""
        old = self.processes.pop(0)
        old.send_signal(signal.SIGTERM)
        try:
            self.start()
        finally:
            code = old.wait(60)
        assert code == 0, self.log()

    def wait_until_empty(self) -> None:
        wait_until(lambda: not self.left(), 120, "the queue to be empty")

    def left(self) -> int:
        """Return the number of messages in the queue, in flight or not."""
        counts = self.queue.client.attributes()
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counts[name]) for name in names)

    def runs(self) -> list[str]:
        """Return the key of every attempt, in order."""
        return (self.folder / "ledger").read_text().split()

    def dead(self) -> list[str]:
        """Receive and delete all dead letters; return the keys of their jobs."""
        keys = list[str]()
        while messages := self.dead_letters.client.receive(10):
            keys += [json.loads(message.body)["key"] for message in messages]
            self.dead_letters.client.delete_batch(messages)
        return keys

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.session.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Create fleets, and stop all their workers at the end."""
    with ExitStack() as stack:

        def made(*arguments: Any, **fields: Any) -> Fleet:
            fleet = Fleet(tmp_path, *arguments, **fields)
            stack.callback(fleet.close)
            return fleet

        yield made


def order_of(keys: list[str]) -> dict[str, list[int]]:
    """Return the numbers of the jobs of each group."""
    order = defaultdict[str, list[int]](list)
    for key in keys:
        group, number = key.split("-")
        order[group].append(int(number))
    return dict(order)


def test_fifteen_rolling_deploys_of_a_fifo_queue_dead_letter_no_job(
    fleet: Callable[..., Fleet],
) -> None:
    workers = fleet("jobs.fifo", 3, "--concurrency=4", seconds=0.2)
    for _ in range(2):
        workers.start()
    for _ in range(15):
        if workers.left() < 150:
            workers.send(12, 10)
        workers.deploy()
    workers.wait_until_empty()
    assert workers.dead() == []
    assert order_of(workers.runs()) == order_of(workers.sent)  # each once, and in order


#: A queue, its receives, and worker settings that change the drain or the messages in hand.
DRAINS = {
    "standard": ("jobs", 1, "--prefetch=40"),
    "FIFO, one receive": ("jobs.fifo", 1),
    "coroutines": ("jobs", 1, "coroutine", "--prefetch=40"),
    "lists": ("jobs", 1, "list", "--prefetch=40"),
    "pool": ("jobs", 1, "process", "--prefetch=40"),
    "slots for each group": ("jobs", 1, "--prefetch=40", "--queue=jobs,group=1"),
    "supervisor": ("jobs.fifo", 1, "--processes=2"),
}


@pytest.mark.parametrize("settings", DRAINS.values(), ids=DRAINS)
def test_no_drain_returns_a_message_on_its_last_receive(
    fleet: Callable[..., Fleet], settings: tuple[Any, ...]
) -> None:
    queue_name, max_receives, *options = settings
    kind = options.pop(0) if options and options[0][0] != "-" else "thread"
    workers = fleet(queue_name, max_receives, "--concurrency=4", *options, kind=kind, seconds=0.1)
    workers.send(10, 20)
    workers.start()
    wait_until(lambda: len(workers.runs()) >= 40, 60, "jobs that run")
    workers.deploy()
    workers.wait_until_empty()
    assert workers.dead() == []
    assert sorted(workers.runs()) == sorted(workers.sent)


@pytest.mark.parametrize("queue_name", ["jobs", "jobs.fifo"])
def test_a_worker_receives_no_more_messages_than_it_can_start(
    fleet: Callable[..., Fleet], queue_name: str
) -> None:
    workers = fleet(queue_name, 1, "--concurrency=4", "--prefetch=20", "--max-jobs=15")
    workers.send(5, 10)
    workers.start()
    workers.processes[0].wait(60)
    assert (len(workers.runs()), workers.left()) == (15, 35)
    rest = 0
    while messages := workers.queue.client.receive(10):
        rest += len(messages)
        workers.queue.client.delete_batch(messages)
    assert (rest, workers.dead()) == (35, [])


def test_random_failures_on_a_fifo_queue_dead_letter_no_unrun_job(
    fleet: Callable[..., Fleet],
) -> None:
    workers = fleet("jobs.fifo", 3, failures=0.4, seconds=0.005)
    workers.send(100, 10)
    for _ in range(2):
        workers.start()
    workers.wait_until_empty()
    runs, dead = workers.runs(), workers.dead()
    assert set(runs) == set(workers.sent)
    assert dead
    firsts = list(dict.fromkeys(runs))
    assert order_of(firsts) == order_of(workers.sent)


def test_an_unrun_job_on_its_last_receive_is_logged(
    fleet: Callable[..., Fleet],
) -> None:
    workers = fleet("jobs.fifo", 1, "--concurrency=1", "--drain-timeout=10s", seconds=0.1)
    workers.send(1, 20)
    workers.start()
    wait_until(lambda: len(workers.runs()) > 3, 30, "jobs that are in hand")
    worker = workers.processes[0]
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "drain_started" in workers.log(), 30, "the drain")
    worker.send_signal(signal.SIGINT)  # the second signal
    worker.wait(30)
    lines = [json.loads(line) for line in workers.log().splitlines()]
    unrun = {line["id"] for line in lines if line["event"] == "job_unrun"}
    workers.queue.client.receive(10)  # which moves them to the dead-letter queue
    runs = set(workers.runs())
    dead = workers.dead_letters.client.receive(10)
    assert unrun
    assert unrun == {m.message_id for m in dead if json.loads(m.body)["key"] not in runs}
