"""Order within message groups, whatever fails and whichever worker runs the jobs."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import LocalSession
from sqsw.worker.worker import Worker
from tests.backends import wait_until
from tests.life.test_worker_jobs import make_queue, working
from tests.unit.worker.doubles import lane

GROUPS, LENGTH = 50, 6


@pytest.mark.parametrize("batch_size", [1, 3])
def test_order_holds_across_fifty_groups_with_failures_and_two_workers(
    tmp_path: Path, batch_size: int
) -> None:
    path = str(tmp_path / "sqs.db")
    queues = [make_queue(LocalSession(path), "jobs.fifo", FifoQueue="true") for _ in range(2)]
    for number in range(LENGTH):
        for start in range(0, GROUPS, 10):
            queues[0].send_batch(
                [
                    {
                        "MessageBody": f"g{group} {number}",
                        "MessageGroupId": f"g{group}",
                        "MessageDeduplicationId": f"g{group}-{number}",
                    }
                    for group in range(start, start + 10)
                ]
            )
    chance, lock = random.Random(7), threading.Lock()
    done: defaultdict[str, list[int]] = defaultdict(list)
    running: set[str] = set()
    failures = 0

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        nonlocal failures
        (group,) = {message.group_id or "" for message in messages}
        with lock:
            assert group not in running
            running.add(group)
            fails = failures < 60 and chance.random() < 0.3
            failures += fails
        time.sleep(0.001)  # gives the other worker time to break the order
        with lock:
            running.remove(group)
            if not fails:
                done[group] += [int(message.body.split()[1]) for message in messages]
        result = ProcessingResult(False, error=ValueError("no")) if fails else SUCCEEDED
        return [result] * len(messages)

    with ExitStack() as stack:
        reports = [
            stack.enter_context(
                working(
                    Worker(
                        [
                            lane(
                                "jobs.fifo",
                                client=queue,
                                handle=handle,
                                backoff=0,
                                batch_size=batch_size,
                            )
                        ],
                        WorkerSettings(concurrency=4),
                    )
                )
            )
            for queue in queues
        ]
        wait_until(lambda: sum(map(len, done.values())) == GROUPS * LENGTH)
    assert all(numbers == list(range(LENGTH)) for numbers in done.values())
    assert failures > 30
    assert sum(report[0].done for report in reports) == GROUPS * LENGTH
    attributes = queues[0].attributes()
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_failed_message_holds_back_only_its_group(tmp_path: Path) -> None:
    queue = make_queue(LocalSession(str(tmp_path / "sqs.db")), "jobs.fifo", FifoQueue="true")
    for body in ("bad 1", "bad 2", "bad 3", "good 1", "good 2", "good 3"):
        queue.send(
            {
                "MessageBody": body,
                "MessageGroupId": body.split()[0],
                "MessageDeduplicationId": body.replace(" ", "-"),
            }
        )
    ran: list[str] = []
    receives: list[int] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        receives.append(messages[0].receive_count)
        if ran.count("bad 1") < 3 and messages[0].body == "bad 1":
            return [ProcessingResult(False, error=ValueError("no"))]
        return [SUCCEEDED]

    made = lane("jobs.fifo", client=queue, handle=handle, backoff=0)
    with working(Worker([made], WorkerSettings(concurrency=2))):
        wait_until(lambda: len(ran) == 8)
    assert [body for body in ran if body.startswith("bad")] == [
        "bad 1", "bad 1", "bad 1", "bad 2", "bad 3",
    ]  # fmt: skip
    assert [body for body in ran if body.startswith("good")] == ["good 1", "good 2", "good 3"]
    # The retries cost the followers one receive in all, not one each.
    assert max(c for b, c in zip(ran, receives, strict=True) if b in ("bad 2", "bad 3")) <= 2
