"""Processes that were stopped for a while, and machines that were asleep."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.core.events import EventBus, LeaseLost
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.lease_clock import lease_time
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.queue.work import lane_of
from sqsw.shutdown_policies import NEVER_SHUTDOWN
from sqsw.sqs_env import SQSEnv
from sqsw.transport import queue_client
from sqsw.worker.executors.base import Executor
from sqsw.worker.signals import SignalInbox
from sqsw.worker.wiring import make_roles
from tests.backends import wait_until
from tests.life.test_work_processes import Work
from tests.unit.worker.doubles import HeldExecutor


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("stopped", ["all", "supervisor"])
def test_children_survive_a_stop_of_their_supervisor(work: Work, stopped: str) -> None:
    work.create_queue(VisibilityTimeout="4")
    work.start("--processes", "2", "-c", "1")
    work.wait_for("worker_started", 2)
    work.send("note", name="first")
    first = work.wait_for_notes("first")
    time.sleep(2)  # the supervisor has received their pulses
    send = os.killpg if stopped == "all" else os.kill
    send(work.running.pid, signal.SIGSTOP)
    time.sleep(7)  # longer than their leases
    send(work.running.pid, signal.SIGCONT)
    time.sleep(2)
    for number in range(10):
        work.send("note", name=f"n{number}")
    wait_until(lambda: all(work.notes(f"n{number}") for number in range(10)), 60, "the jobs")
    assert not work.logged("child_exited")
    assert len(work.logged("worker_started")) == 2
    assert len(first) == 1
    work.running.terminate()
    assert work.end()["done"] == 11


def test_a_lease_ends_while_the_machine_sleeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = 0.0
    env = SQSEnv(MemorySession())
    env.sqs_client.create_queue(QueueName="jobs")
    queue = env.queue("jobs")
    queue.add_job("any")

    def clock() -> float:
        return lease_time() + slept

    monkeypatch.setattr(queue_client, "lease_time", clock)
    lane = lane_of(queue, WorkerSettings(), NEVER_SHUTDOWN)
    (message,) = lane.client.receive(visibility_timeout=30)
    lost: list[LeaseLost] = []
    events = EventBus()
    events.subscribe(lost.append, LeaseLost)
    executors: dict[RunsIn, Executor] = {"thread": HeldExecutor()}
    roles = make_roles([lane], WorkerSettings(), events, SignalInbox(), executors, clock)
    roles.dispatcher.accept(lane, [message])
    heartbeat = roles.heartbeat
    heartbeat.beat()
    assert not lost
    slept = 3600.0
    heartbeat.beat()
    assert [event.message for event in lost] == [message]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-T", "--boottime", "1", "true"], capture_output=True).returncode
    != 0,
    reason="the clock cannot be moved on this platform",
)
def test_a_worker_on_a_machine_that_was_asleep_runs_jobs(work: Work) -> None:
    work.create_queue(VisibilityTimeout="3")
    for number in range(20):
        work.send("note", name=f"n{number}")
    work.send("wait")
    command = f'exec unshare -T --boottime 100000 {sys.executable} "$@"'
    script = work.folder / "python"
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o755)
    work.start("-c", "4", python=str(script))
    work.wait_for_notes("started")
    time.sleep(4)  # longer than the lease
    (work.folder / "go-on").touch()
    wait_until(lambda: work.counts() == (0, 0), 60, "the jobs")
    begin = time.monotonic()
    work.running.terminate()
    assert work.end()["done"] == 21
    assert time.monotonic() - begin < 10
    assert not work.logged("lease_lost")
