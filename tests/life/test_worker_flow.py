"""How messages flow through real workers: which of them wait, where, and for how long."""

import ctypes
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from sqsw.core.events import BeatLate, JobStarted, LeaseLost, MessageReceived, VisibilityExtended
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.shutdown_policies import MaxTasksShutdown, NeverShutdown
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.worker import Worker
from tests.backends import wait_until
from tests.life.test_worker_jobs import counts, make_queue, queue, send, working
from tests.unit.worker.doubles import lane, recorder

__all__ = ["queue"]  # a fixture


def test_no_message_waits_for_a_long_job_while_another_worker_is_idle(tmp_path: Path) -> None:
    # Longer than the second within which prefetched messages must start.
    seconds, jobs = 1.2, 6
    path = str(tmp_path / "sqs.db")
    queues = [make_queue(LocalSession(path)) for _ in range(2)]
    send(queues[0], *map(str, range(jobs)))
    received: dict[str, float] = {}
    waited: list[float] = []
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        time.sleep(seconds)
        ran.append(threading.current_thread().name)
        return [SUCCEEDED]

    begin = time.monotonic()
    workers = []
    for each in queues:
        events, _ = recorder()
        events.subscribe(
            lambda event: received.update({event.message.message_id: time.monotonic()}),
            MessageReceived,
        )
        events.subscribe(
            lambda event: waited.append(time.monotonic() - received[event.message.message_id]),
            JobStarted,
        )
        workers.append(Worker([lane(client=each, handle=handle)], WorkerSettings(1), events))
    with working(workers[0]) as first, working(workers[1]) as second:
        wait_until(lambda: counts(queues[0]) == (0, 0))
        took = time.monotonic() - begin
    assert max(waited) < seconds / 2
    assert (first[0].done, second[0].done) == (jobs / 2, jobs / 2)
    assert took < (jobs / 2 + 2) * seconds


class Limited(NeverShutdown):
    """The policy of one of several processes: it lets jobs start if it has permits for them."""

    def __init__(self, permits: int) -> None:
        self.permits = permits

    def jobs_in_all(self) -> int:
        return self.permits


@pytest.mark.parametrize("later", [3, 6])
def test_messages_that_may_not_start_wait_briefly_and_are_returned(later: int) -> None:
    session, policy = MemorySession(), Limited(3)
    clients = [make_queue(session, name) for name in ("a", "b")]
    started, go_on = threading.Semaphore(0), threading.Event()

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        started.release()
        go_on.wait(60)
        return [SUCCEEDED]

    def total() -> tuple[int, int]:
        visible, in_flight = zip(*map(counts, clients), strict=True)
        return sum(visible), sum(in_flight)

    lanes = [
        lane(client.name, client=client, handle=handle, shutdown_policy=policy)
        for client in clients
    ]
    worker = Worker(lanes, WorkerSettings(concurrency=1, prefetch=5))
    with working(worker) as reports:
        # Each open poll can bring as many messages as the policy lets start.
        wait_until(lambda: all(worker._policies._waits.values()))
        for client in clients:
            send(client, *map(str, range(3)))
        assert started.acquire(timeout=60)
        wait_until(lambda: total()[1] > 3)  # more than may start are in hand
        go_on.set()
        wait_until(lambda: sum(total()) == 3)
        begin = time.monotonic()
        policy.permits = later
        wait_until(lambda: total() == (6 - later, 0))
        assert time.monotonic() - begin < 15  # and not the 20 seconds of a poll
    assert reports[0].done == later


def test_quick_jobs_are_received_and_deleted_ten_at_a_time(queue: QueueClient) -> None:
    send(queue, *map(str, range(600)))
    made = lane(client=queue, shutdown_policy=MaxTasksShutdown(600))
    report = Worker([made], WorkerSettings(concurrency=8)).run()
    assert report.done == 600
    assert report.requests / report.done < 0.25


@pytest.mark.parametrize("queues", [1, 2])
def test_no_more_jobs_start_than_the_policy_allows(queues: int) -> None:
    session, policy = MemorySession(), MaxTasksShutdown(25)
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        time.sleep(0.002)
        return [SUCCEEDED]

    lanes, clients = [], []
    for number in range(queues):
        name = f"jobs{number}"
        clients.append(make_queue(session, name))
        send(clients[-1], *map(str, range(60)))
        lanes.append(lane(name, client=clients[-1], handle=handle, shutdown_policy=policy))
    report = Worker(lanes, WorkerSettings(concurrency=8)).run()
    assert (len(ran), report.done, report.stopped_by) == (25, 25, "max_jobs")
    # Other received messages were returned.
    assert sum(counts(client)[0] for client in clients) == 60 * queues - 25


def test_a_list_waits_for_more_messages_up_to_its_limit(queue: QueueClient) -> None:
    lists: list[list[str]] = []
    times: list[float] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        lists.append([message.body for message in messages])
        times.append(time.monotonic())
        return [SUCCEEDED] * len(messages)

    made = lane(client=queue, handle=handle, batch_size=25, max_wait=4)
    with working(Worker([made], WorkerSettings(concurrency=2))) as reports:
        begin = time.monotonic()
        for part in range(3):
            send(queue, *(f"{part} {n}" for n in range(4)))
            time.sleep(0.1)
        wait_until(lambda: lists)
        assert 3.8 < times[0] - begin < 20
        assert len(lists[0]) == 12
        begin = time.monotonic()
        send(queue, *map(str, range(25)))
        wait_until(lambda: len(lists) == 2)
        assert len(lists[1]) == 25
    assert reports[0].requests <= 20


def test_a_list_that_is_filling_runs_in_time_in_a_quiet_worker() -> None:
    client = make_queue(MemorySession())
    send(client, *"abc")
    events, received = recorder(MessageReceived)
    worker = Worker([lane(client=client, batch_size=25, max_wait=1)], WorkerSettings(), events)
    with working(worker) as reports:
        wait_until(lambda: len(received) == 3)
        worker.quiet()
        wait_until(lambda: counts(client) == (0, 0))
    assert reports[0].done == 3


def test_a_list_that_is_filling_is_returned_when_the_worker_stops(queue: QueueClient) -> None:
    events, received = recorder(MessageReceived)
    made = lane(client=queue, batch_size=25, max_wait=300)
    send(queue, *"abc")
    begin = time.monotonic()
    with working(Worker([made], WorkerSettings(concurrency=2), events)) as reports:
        wait_until(lambda: len(received) == 3)
    assert time.monotonic() - begin < 30
    # On a busy machine, a receive can have just begun, which brings them once more.
    assert reports[0].released in (3, 6)
    assert reports[0].done == 0
    assert counts(queue) == (3, 0)


def test_one_group_of_a_standard_queue_leaves_slots_for_the_others(queue: QueueClient) -> None:
    lock, running, most = threading.Lock(), Counter[str](), Counter[str]()
    go_on = threading.Event()

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        group = messages[0].group_id or ""
        with lock:
            running[group] += 1
            most[group] = max(most[group], running[group])
        if group == "noisy":
            go_on.wait(60)
        with lock:
            running[group] -= 1
        return [SUCCEEDED]

    for group, count in (("noisy", 10), ("calm", 3)):
        queue.send_batch([{"MessageBody": group, "MessageGroupId": group}] * count)
    made = lane(client=queue, handle=handle, group_slots=2)
    with working(Worker([made], WorkerSettings(concurrency=4))) as reports:
        wait_until(lambda: running["noisy"] == 2 and most["calm"] and not running["calm"])
        go_on.set()
        wait_until(lambda: counts(queue) == (0, 0))
    assert most["noisy"] == 2
    assert reports[0].done == 13


def test_a_job_that_holds_the_interpreter_is_logged_and_loses_no_lease_within_the_limit(
    queue: QueueClient,
) -> None:
    events, told = recorder(BeatLate, LeaseLost, VisibilityExtended)
    send(queue, "a")

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        # At the worst moment: just before the lease must be extended.
        time.sleep(3.8)
        ctypes.PyDLL(None).usleep(ctypes.c_uint(2_500_000))  # holds the interpreter lock
        return [SUCCEEDED]

    made = lane(client=queue, handle=handle, visibility_timeout=8)
    with working(Worker([made], WorkerSettings(concurrency=1), events)) as reports:
        wait_until(lambda: counts(queue) == (0, 0))
    late = [event for event in told if isinstance(event, BeatLate)]
    assert late
    assert late[0].late_seconds > 2
    assert late[0].bound_seconds == 3
    assert not [event for event in told if isinstance(event, LeaseLost)]
    assert reports[0].done == 1
