"""Order within message groups when processes are killed, and the receives that a failure costs."""

import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.worker import Worker
from tests.backends import Backend, wait_until
from tests.life.test_worker_jobs import make_queue, working
from tests.unit.worker.doubles import lane

GROUPS, LENGTH, PROCESSES, KILLS = 100, 5, 3, 3


@pytest.fixture(params=["file", "elasticmq"])
def session(
    request: pytest.FixtureRequest, started_backends: dict[str, Backend], tmp_path: Path
) -> Any:
    """The embedded engine in a file, and another local server."""
    chosen = request.config.getoption("backend")
    if chosen and request.param not in chosen:
        pytest.skip(f"--backend {' '.join(chosen)}")
    backend = started_backends[request.param]
    backend.start()
    return backend.session(tmp_path)


@pytest.fixture
def start(tmp_path: Path, session: Any) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """Start worker processes on a queue; stop all of them at the end."""
    where = getattr(session, "endpoint_url", None) or str(session.path)
    with ExitStack() as stack:

        def started(queue_name: str) -> "subprocess.Popen[bytes]":
            arguments = [where, queue_name, str(tmp_path / "ledger")]
            with (tmp_path / "workers.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.life.fifo_worker", *arguments],
                    cwd=Path(__file__).parent.parent.parent,
                    stderr=log,
                )
            stack.callback(process.wait, 60)
            stack.callback(process.kill)
            return process

        yield started


def send_groups(queue: QueueClient) -> None:
    for number in range(LENGTH):
        for first in range(0, GROUPS, 10):
            entries = []
            for group in range(first, first + 10):
                entry = {
                    "MessageBody": f'{{"group": "g{group}", "number": {number}}}',
                    "MessageGroupId": f"g{group}",
                    "MessageDeduplicationId": f"g{group}-{number}",
                    "MessageAttributes": {
                        name: {"DataType": "String", "StringValue": text}
                        for name, text in (
                            ("ContentType", "json"),
                            ("JobContext", "{}"),
                            ("JobName", "note"),
                        )
                    },
                }
                entries.append(entry)
            _, failures = queue.send_batch(entries)
            assert not failures


def test_a_hundred_groups_keep_their_order_through_failures_and_kills(
    session: Any,
    start: Callable[[str], "subprocess.Popen[bytes]"],
    tmp_path: Path,
    fifo_queue_name: str,
) -> None:
    queue = make_queue(session, fifo_queue_name, FifoQueue="true", VisibilityTimeout="4")
    send_groups(queue)
    ledger = tmp_path / "ledger"
    ledger.touch()

    def done() -> set[str]:
        return set(ledger.read_text().splitlines())

    chance = random.Random()
    processes = [start(fifo_queue_name) for _ in range(PROCESSES)]
    for kill in range(1, KILLS + 1):
        part = GROUPS * LENGTH * kill // (KILLS + 2)
        wait_until(lambda part=part: len(done()) >= part, 60, f"{part} jobs")  # type: ignore[misc]  # a lambda
        victim = processes.pop(chance.randrange(PROCESSES))
        assert victim.poll() is None
        victim.kill()
        processes.append(start(fifo_queue_name))
    wait_until(lambda: len(done()) == GROUPS * LENGTH, 60, "the rest")
    order: defaultdict[str, list[int]] = defaultdict(list)
    for line in ledger.read_text().splitlines():
        group, number = line.split()
        order[group].append(int(number))
    # A message that was done when its process was killed runs again, before its followers.
    found = {group: [number for number, _ in groupby(runs)] for group, runs in order.items()}
    assert found == {f"g{group}": list(range(LENGTH)) for group in range(GROUPS)}


def test_a_message_that_fails_for_good_costs_its_followers_one_receive_in_two_retries(
    session: Any, fifo_queue_name: str
) -> None:
    stem = fifo_queue_name.removesuffix(".fifo")
    dead = make_queue(session, f"{stem}_dead.fifo", FifoQueue="true")
    arn = dead.attributes("QueueArn")["QueueArn"]
    most = 5
    queue = make_queue(
        session,
        fifo_queue_name,
        FifoQueue="true",
        RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "{most}"}}',
    )
    bodies = ["bad", "good 1", "good 2", "good 3"]
    for body in bodies:
        queue.send({"MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": body[-1]})
    runs: list[tuple[str, int]] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        runs.append((messages[0].body, messages[0].receive_count))
        if messages[0].body == "bad":
            return [ProcessingResult(False, error=ValueError("always"))]
        return [SUCCEEDED]

    made = lane(fifo_queue_name, client=queue, handle=handle, backoff=1)
    with working(Worker([made], WorkerSettings(concurrency=2, wait_seconds=2))):
        wait_until(lambda: runs and runs[-1][0] == bodies[-1], 60, "the followers")
    assert [body for body, _ in runs] == ["bad"] * most + bodies[1:]
    # The first receive, one for two retries, and the one in which they run.
    assert max(count for body, count in runs if body != "bad") <= 1 + (most - 1) // 2 + 1
    wait_until(lambda: dead.attributes()["ApproximateNumberOfMessages"] == "1", 30, "the dead one")
    assert [message.body for message in dead.receive(10)] == ["bad"]
