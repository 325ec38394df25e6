"""Jobs in real threads and on a real event loop, with one worker in this process."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.errors import QueueNotFound
from sqsw.core.events import JobDropped, LeaseLost, MessageDeleted, VisibilityExtended
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.message import Message
from sqsw.core.reports import WorkerReport
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.shutdown_policies import ASAP_SHUTDOWN, MaxTasksShutdown
from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.once import process_once
from sqsw.worker.worker import Worker
from tests.backends import wait_until
from tests.unit.worker.doubles import lane, our_threads, recorder

FAILED = ProcessingResult(False, error=ValueError("no"))


def make_queue(session: Any, name: str = "jobs", **attributes: str) -> QueueClient:
    """Create a queue."""
    source = ClientSource(session)
    source.client.create_queue(QueueName=name, Attributes=attributes)  # type: ignore[arg-type]  # any names
    return QueueClient(source, name, name)


@pytest.fixture
def queue() -> QueueClient:
    return make_queue(MemorySession())


def send(queue: QueueClient, *bodies: str) -> None:
    for start in range(0, len(bodies), 10):
        queue.send_batch([{"MessageBody": body} for body in bodies[start : start + 10]])


def counts(queue: QueueClient) -> tuple[int, int]:
    """Return the numbers of messages that can be received and in flight."""
    attributes = queue.attributes(
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    )
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
    )


@contextmanager
def working(worker: Worker) -> Iterator[list[WorkerReport]]:
    """Run the worker next to the test and drain it at the end; the list then has its report."""
    reports: list[WorkerReport] = []
    thread = threading.Thread(target=lambda: reports.append(worker.run()), name="run")
    thread.start()
    try:
        yield reports
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_every_message_runs_once_and_is_deleted(queue: QueueClient) -> None:
    bodies = [str(number) for number in range(1000)]
    send(queue, *bodies)
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        return [SUCCEEDED]

    made = lane(client=queue, handle=handle, shutdown_policy=ASAP_SHUTDOWN)
    report = Worker([made], WorkerSettings(concurrency=8)).run()
    assert sorted(ran) == sorted(bodies)
    assert counts(queue) == (0, 0)
    assert (report.done, report.stopped_by, report.forced) == (1000, "until_idle", False)
    assert report.requests < 230  # ten per call, for receives and deletes


def test_nothing_is_left_of_a_worker(queue: QueueClient) -> None:
    open_files = len(os.listdir("/proc/self/fd"))
    kinds: list[RunsIn] = ["thread", "loop", "thread", "loop"]
    for kind in kinds:
        send(queue, "a")
        made = lane(client=queue, kind=kind, shutdown_policy=ASAP_SHUTDOWN)
        Worker([made]).run()
    assert our_threads() == []
    assert len(os.listdir("/proc/self/fd")) <= open_files


def test_a_worker_runs_only_once(queue: QueueClient) -> None:
    worker = Worker([lane(client=queue, shutdown_policy=ASAP_SHUTDOWN)])
    worker.run()
    with pytest.raises(RuntimeError, match="runs once"):
        worker.run()


def test_system_exit_in_a_job_is_a_failed_job(queue: QueueClient) -> None:
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        if messages[0].body == "exit" and len(ran) < 20:
            raise SystemExit(3)
        return [SUCCEEDED]

    send(queue, "exit", *"abcdefgh")
    made = lane(client=queue, handle=handle, backoff=0, shutdown_policy=MaxTasksShutdown(10))
    report = Worker([made], WorkerSettings(concurrency=1)).run()
    assert (report.done, report.failed) == (8, 2)
    assert counts(queue) == (1, 0)


def test_max_tasks_is_not_exceeded(queue: QueueClient) -> None:
    send(queue, *map(str, range(30)))
    made = lane(client=queue, shutdown_policy=MaxTasksShutdown(3))
    report = Worker([made], WorkerSettings(concurrency=1, prefetch=20)).run()
    assert report.done == 3
    assert counts(queue) == (27, 0)


def test_failed_messages_come_back_after_their_backoff(queue: QueueClient) -> None:
    times: list[float] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        times.append(time.monotonic())
        return [SUCCEEDED] if len(times) == 2 else [FAILED]

    send(queue, "a")
    with working(Worker([lane(client=queue, handle=handle, backoff=1)])) as reports:
        wait_until(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.9
    assert (reports[0].failed, reports[0].done) == (1, 1)


def test_a_slow_job_does_not_delay_the_deletes_of_others(queue: QueueClient) -> None:
    go_on = threading.Event()

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        if messages[0].body == "slow":
            assert go_on.wait(60)
        return [SUCCEEDED]

    send(queue, "slow", *"abcdefghi")
    events, deleted = recorder(MessageDeleted)
    made = lane(client=queue, handle=handle)
    with working(Worker([made], WorkerSettings(concurrency=2), events)):
        wait_until(lambda: len(deleted) == 9)
        assert counts(queue) == (0, 1)
        go_on.set()
    assert counts(queue) == (0, 0)


def test_a_thousand_coroutines_at_once(queue: QueueClient) -> None:
    together = asyncio.Event()
    running = 0

    async def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        nonlocal running
        running += 1
        if running == 1000:
            together.set()
        await together.wait()
        return [SUCCEEDED]

    send(queue, *map(str, range(1000)))
    made = lane(client=queue, handle_async=handle, kind="loop", shutdown_policy=ASAP_SHUTDOWN)
    report = Worker([made], WorkerSettings(concurrency=1000)).run()
    assert report.done == 1000
    assert counts(queue) == (0, 0)


def test_threads_and_coroutines_share_the_slots(queue: QueueClient) -> None:
    running: Counter[str] = Counter()
    most = 0

    def note(change: int) -> None:
        nonlocal most
        running["now"] += change
        most = max(most, running["now"])

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        note(1)
        time.sleep(0.001)
        note(-1)
        return [SUCCEEDED]

    async def handle_async(messages: Sequence[Message]) -> list[ProcessingResult]:
        note(1)
        await asyncio.sleep(0.001)
        note(-1)
        return [SUCCEEDED]

    made = lane(
        client=queue,
        handle=handle,
        handle_async=handle_async,
        kind=lambda message: "loop" if int(message.body) % 2 else "thread",
        shutdown_policy=ASAP_SHUTDOWN,
    )
    send(queue, *map(str, range(300)))
    report = Worker([made], WorkerSettings(concurrency=4)).run()
    assert report.done == 300
    assert most <= 4


def test_two_queues_share_a_worker_and_neither_delays_the_other() -> None:
    session = MemorySession()
    busy, quiet = make_queue(session, "busy"), make_queue(session, "quiet")
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].queue_name)
        return [SUCCEEDED]

    send(busy, *map(str, range(500)))
    lanes = [
        lane("busy", client=busy, handle=handle),
        lane("quiet", client=quiet, handle=handle),
    ]
    with working(Worker(lanes, WorkerSettings(concurrency=2))):
        wait_until(lambda: "busy" in ran)
        send(quiet, "a")
        wait_until(lambda: "quiet" in ran)
        wait_until(lambda: len(ran) == 501)


def test_a_queue_can_have_its_own_slots() -> None:
    session = MemorySession()
    own, shared = make_queue(session, "own"), make_queue(session, "shared")
    go_on = threading.Event()
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].queue_name)
        if messages[0].queue_name == "own":
            assert go_on.wait(60)
        return [SUCCEEDED]

    send(own, *"abcd")
    send(shared, *"abcd")
    lanes = [
        lane("own", client=own, handle=handle, slots=2),
        lane("shared", client=shared, handle=handle),
    ]
    with working(Worker(lanes, WorkerSettings(concurrency=1))) as reports:
        wait_until(lambda: Counter(ran) == {"own": 2, "shared": 4})
        go_on.set()
        wait_until(lambda: len(ran) == 8)
    assert reports[0].done == 8


def test_batched_jobs_run_as_lists(queue: QueueClient) -> None:
    sizes: list[int] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        sizes.append(len(messages))
        return [SUCCEEDED] * len(messages)

    send(queue, *map(str, range(100)))
    made = lane(client=queue, handle=handle, batch_size=25, shutdown_policy=ASAP_SHUTDOWN)
    report = Worker([made], WorkerSettings(concurrency=2)).run()
    assert sizes == [25] * 4
    assert report.done == 100


def test_a_missing_queue_ends_the_worker_and_leaves_nothing_running(queue: QueueClient) -> None:
    missing = QueueClient(queue._clients, "missing", "missing")
    lanes = [lane("jobs", client=queue), lane("missing", client=missing)]
    with pytest.raises(QueueNotFound):
        Worker(lanes).run()
    assert our_threads() == []


def test_the_heartbeat_keeps_a_long_job_from_running_twice(tmp_path: Path) -> None:
    path = tmp_path / "sqs.db"
    queue = make_queue(LocalSession(str(path)))
    others = QueueClient(ClientSource(LocalSession(str(path))), "jobs", "jobs")
    send(queue, "long")
    events, extended = recorder(VisibilityExtended)
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        # Longer than its visibility timeout, so that it is extended several times.
        wait_until(lambda: len(extended) >= 4)
        return [SUCCEEDED]

    lanes = [
        lane("jobs", client=client, handle=handle, visibility_timeout=2)
        for client in (queue, others)
    ]
    with (
        working(Worker([lanes[0]], events=events)) as first,
        working(Worker([lanes[1]], events=events)) as second,
    ):
        wait_until(lambda: counts(queue) == (0, 0))
    assert ran == ["long"]
    assert first[0].done + second[0].done == 1
    assert first[0].lease_lost + second[0].lease_lost == 0


@pytest.mark.parametrize("kind", ["thread", "loop"])
def test_without_a_heartbeat_a_lost_lease_is_reported_and_the_result_dropped(
    queue: QueueClient, kind: Any
) -> None:
    events, told = recorder(LeaseLost, JobDropped, MessageDeleted)
    attempts: list[int] = []

    def lost(messages: Sequence[Message]) -> bool:
        attempts.append(messages[0].receive_count)
        return messages[0].receive_count == 1

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        if lost(messages):
            assert messages[0].lease.lost.wait(60)  # the job can see it
        return [SUCCEEDED]

    async def handle_async(messages: Sequence[Message]) -> list[ProcessingResult]:
        if lost(messages):
            await asyncio.sleep(60)  # cancelled
        return [SUCCEEDED]

    send(queue, "a")
    made = lane(
        client=queue, handle=handle, handle_async=handle_async, kind=kind, visibility_timeout=1
    )
    settings = WorkerSettings(concurrency=2, heartbeat=False)
    with working(Worker([made], settings, events)) as reports:
        wait_until(lambda: len(told) == 3)
    assert {type(event) for event in told} == {LeaseLost, JobDropped, MessageDeleted}
    assert attempts == [1, 2]
    assert (reports[0].done, reports[0].lease_lost) == (1, 1)
    assert counts(queue) == (0, 0)


def test_process_batch_renews_the_leases_of_a_slow_batch(queue: QueueClient) -> None:
    events, extended = recorder(VisibilityExtended)

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        if messages[0].body == "a":
            wait_until(lambda: len(extended) >= 2)
        return [SUCCEEDED]

    send(queue, *"abc")
    made = lane(client=queue, handle=handle, visibility_timeout=1)
    assert process_once(made, 0, events).succeeded_count() == 3
    assert counts(queue) == (0, 0)
