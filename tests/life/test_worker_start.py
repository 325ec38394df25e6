"""How workers of several queues start, and what happens if one of their processes ends."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied, Busy, ConnectionFailed, QueueNotFound
from sqsw.core.events import ChildExited, EventBus, ReceiveError, WorkerStarted
from sqsw.core.settings import WorkerSettings
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.queue import work as work_module
from sqsw.queue.work import find_queue, work_queues
from sqsw.shutdown_policies import ASAP_SHUTDOWN
from sqsw.sqs_env import SQSEnv
from sqsw.supervisor.per_queue import work_apart
from tests.backends import wait_until
from tests.unit.worker.doubles import recorder

HERE = Path(__file__).parent.parent.parent


@pytest.fixture
def env() -> SQSEnv:
    made = SQSEnv(MemorySession())
    made.sqs_client.create_queue(QueueName="jobs")
    made.queue("jobs").connect_processor("job", lambda: None)
    return made


def test_a_missing_queue_is_reported_before_any_process_starts(
    env: SQSEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread left behind by another test would keep all queues in this process.
    monkeypatch.setattr("threading.active_count", lambda: 1)
    queues: list[Any] = [env.queue("jobs"), env.queue("nowhere")]
    with pytest.raises(QueueNotFound, match="nowhere"):
        work_apart(
            queues,
            find=partial(find_queue, events=EventBus()),
            work=lambda queues, has_companions: pytest.fail("a process was started"),
            drain_seconds=WorkerSettings().drain_seconds,
            events=EventBus(),
            fork=True,
        )


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between tries instead of sleeping."""
    made: list[float] = []
    monkeypatch.setattr(work_module, "_pause", lambda seconds, inbox: made.append(seconds))
    monkeypatch.setattr(work_module, "_jitter", lambda: 1.0)
    return made


def failing_at_first(env: SQSEnv, *errors: Exception) -> Any:
    """Return a queue whose attributes cannot be read at first."""
    queue: Any = env.queue("jobs")
    left, read = list(errors), queue.client.attributes

    def attributes(*names: str) -> dict[str, str]:
        if left:
            raise left.pop(0)
        found: dict[str, str] = read(*names)
        return found

    queue.client.attributes = attributes
    return queue


def test_an_unreachable_service_at_the_start_is_tried_again(
    env: SQSEnv, pauses: list[float]
) -> None:
    errors = [ConnectionFailed("no network"), Busy("slow down")] * 4
    queue = failing_at_first(env, *errors)
    events, told = recorder(ReceiveError)
    report = work_queues(
        [queue], settings=WorkerSettings(), events=events, policy_of=lambda _: ASAP_SHUTDOWN
    )
    assert report.stopped_by == "until_idle"
    assert [event.error for event in told] == errors
    assert pauses == [0.5, 1, 2, 4, 8, 16, 25, 25, 0]  # and a check for signals at the end
    assert [event.retry_seconds for event in told] == pauses[:-1]


def test_an_access_error_at_the_start_is_raised(env: SQSEnv, pauses: list[float]) -> None:
    queue = failing_at_first(env, AccessDenied("no"))
    with pytest.raises(AccessDenied):
        work_queues([queue], settings=WorkerSettings(), events=EventBus())
    assert pauses == []


def work_two(folder: Path) -> None:
    """Run a program with a process for each of two queues, in a file."""
    env = SQSEnv(LocalSession(str(folder / "sqs.db")))
    for name in ("a", "b"):
        env.queue(name).connect_processor("job", lambda: None)
    env.events.subscribe(
        lambda event: (folder / f"{event.queues[0]}-{os.getpid()}").touch(), WorkerStarted
    )
    env.events.subscribe(lambda event: (folder / f"exit-{event.exit_code}").touch(), ChildExited)
    env.process_queues()


def test_a_process_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    session = LocalSession(str(tmp_path / "sqs.db"))
    for name in ("a", "b"):
        session.client("sqs").create_queue(QueueName=name)
    session.close()
    command = [sys.executable, "-m", "tests.life.test_worker_start", str(tmp_path)]
    with subprocess.Popen(command, cwd=HERE, stderr=subprocess.DEVNULL) as program:
        try:
            wait_until(lambda: list(tmp_path.glob("a-*")) and list(tmp_path.glob("b-*")))
            (first,) = tmp_path.glob("a-*")
            os.kill(int(first.name.partition("-")[2]), signal.SIGTERM)
            wait_until(lambda: len(list(tmp_path.glob("a-*"))) == 2)
            assert [path.name for path in tmp_path.glob("exit-*")] == ["exit-143"]
            assert len(list(tmp_path.glob("b-*"))) == 1
            program.terminate()
            begin = time.monotonic()
            assert program.wait(60) == 0
            assert time.monotonic() - begin < 30
            assert len(list(tmp_path.glob("exit-*"))) == 1  # this is not the drain of the others
        finally:
            program.kill()


if __name__ == "__main__":
    work_two(Path(sys.argv[1]))
