"""A jump of the wall clock does not expire messages at once."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.store import jumps
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs import LocalSession

HOUR, DAY = 3_600_000, 86_400_000


class Times:
    """The wall clock of a system and the time since its boot, in milliseconds."""

    def __init__(self) -> None:
        self.wall, self.boot, self.boot_id = 1_800_000_000_000, 50_000, "first"

    def sleep(self, duration: int) -> None:
        self.wall, self.boot = self.wall + duration, self.boot + duration

    def be_off(self, duration: int) -> None:
        self.wall, self.boot, self.boot_id = self.wall + duration, 9_000, f"{self.boot_id}+"


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(jumps, "_wall", lambda: times.wall / 1000)
    monkeypatch.setattr(jumps, "_since_boot", lambda: times.boot / 1000)
    monkeypatch.setattr(jumps, "_boot_id", lambda: times.boot_id)
    monkeypatch.setattr(time, "time", lambda: times.wall / 1000)
    return times


class Queue:
    """A queue in a file; ``reopen`` acts as a new process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()
        self.handle("CreateQueue", QueueName="q", Attributes={"VisibilityTimeout": "0"})

    def handle(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.engine.handle(operation, {"QueueUrl": "q", **params})

    def send(self, body: str) -> None:
        self.handle("SendMessage", MessageBody=body)

    def bodies(self) -> set[str]:
        answer = self.handle("ReceiveMessage", MaxNumberOfMessages=10)
        return {message["Body"] for message in answer.get("Messages", ())}

    def reopen(self) -> None:
        self.engine.close()
        self.open()

    def open(self) -> None:
        self.clock = MovableClock()
        self.engine = LocalEngine(self.path, clock=self.clock)


@pytest.fixture
def queue(tmp_path: Path, times: Times) -> Iterator[Queue]:
    queue = Queue(tmp_path / "q.db")
    yield queue
    queue.engine.close()


@pytest.mark.parametrize("is_reopened", [False, True])
@pytest.mark.parametrize("jump", [5 * DAY, 500 * DAY])
def test_a_jump_forward_and_back_loses_no_messages(
    queue: Queue, times: Times, is_reopened: bool, jump: int, caplog: pytest.LogCaptureFixture
) -> None:
    queue.send("before")
    times.wall += jump
    if is_reopened:
        queue.reopen()
    with caplog.at_level(logging.WARNING):
        queue.send("during")
        assert queue.bodies() == {"before", "during"}
    (record,) = caplog.records
    assert "the clock jumped ahead" in record.getMessage()
    queue.handle("SetQueueAttributes", Attributes={"MessageRetentionPeriod": "345600"})
    times.sleep(20 * HOUR)
    assert queue.bodies() == {"before", "during"}
    times.wall -= jump
    assert queue.bodies() == {"before", "during"}
    times.sleep(80 * HOUR)  # with the 20 hours before, more than four days
    assert queue.bodies() == {"during"}


def test_messages_expire_when_real_time_passes(queue: Queue, times: Times) -> None:
    queue.send("a")
    times.sleep(5 * DAY)
    assert queue.bodies() == set()


def test_retention_follows_a_movable_clock(queue: Queue, times: Times) -> None:
    queue.send("a")
    queue.clock.advance(days=5)
    assert queue.bodies() == set()


def test_retention_follows_a_jump_that_stays(queue: Queue, times: Times) -> None:
    queue.send("a")
    times.wall += 5 * DAY
    assert queue.bodies() == {"a"}
    times.sleep(23 * HOUR)
    queue.reopen()
    assert queue.bodies() == {"a"}
    times.sleep(2 * HOUR)
    assert queue.bodies() == set()


def test_retention_ignores_a_second_jump_too(queue: Queue, times: Times) -> None:
    queue.send("a")
    times.wall += HOUR
    assert queue.bodies() == {"a"}
    times.sleep(23 * HOUR)
    times.wall += 5 * DAY
    assert queue.bodies() == {"a"}
    times.sleep(2 * HOUR)
    assert queue.bodies() == {"a"}


def test_after_a_boot_retention_waits_an_hour(queue: Queue, times: Times) -> None:
    queue.send("a")
    times.be_off(5 * DAY)
    queue.reopen()
    assert queue.bodies() == {"a"}
    times.sleep(2 * HOUR)
    assert queue.bodies() == set()


def test_a_machine_that_is_off_every_night_does_not_fall_further_behind(
    queue: Queue, times: Times
) -> None:
    queue.send("a")
    for _ in range(4):
        times.sleep(10 * HOUR)
        queue.bodies()
        times.be_off(14 * HOUR)
        queue.reopen()
    assert queue.bodies() == {"a"}
    times.sleep(2 * HOUR)
    assert queue.bodies() == set()


def test_processes_agree(queue: Queue, times: Times, tmp_path: Path) -> None:
    other = LocalEngine(tmp_path / "q.db", clock=MovableClock())
    queue.send("a")
    other.handle("ListQueues", {})
    times.wall += 5 * DAY
    for _ in range(13):
        times.sleep(2 * HOUR)
        other.handle("ListQueues", {})
    assert queue.bodies() == set()
    other.close()


def test_a_correct_clock_writes_nothing(queue: Queue, times: Times) -> None:
    def changes() -> int:
        with queue.engine.store.read() as transaction:
            return int(transaction.row("SELECT total_changes()")[0])

    queue.bodies()
    before = changes()
    for _ in range(100):
        times.sleep(30_000)
        queue.handle("ListQueues")
    assert changes() == before


FALSE_CLOCK = """
import time
real = time.time
def false():
    return real() + float(open({path!r}).read())
time.time = false
"""

LOOK = """
import sys
from sqsw import LocalSession
client = LocalSession("q.db").client("sqs")
url = client.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
for body in sys.argv[1:]:
    client.send_message(QueueUrl=url, MessageBody=body)
found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
print(sorted(one["Body"] for one in found))
"""


def test_processes_with_a_wrong_clock_lose_no_messages(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FALSE_CLOCK.format(path=str(tmp_path / "ahead")))

    def look(ahead: int, *bodies: str) -> str:
        (tmp_path / "ahead").write_text(str(ahead))
        paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, "-c", LOOK, *bodies],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert look(0, "a") == "['a']"
    assert look(5 * 86_400, "b") == "['a', 'b']"
    assert look(5 * 86_400) == "['a', 'b']"
    assert look(0, "c") == "['a', 'b', 'c']"


def test_retention_follows_a_custom_clock_at_once(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    session = LocalSession(tmp_path / "q.db", clock=lambda: now)
    client = session.client("sqs")
    url = client.create_queue(QueueName="q")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="a")
    now += 5 * 86_400
    assert "Messages" not in client.receive_message(QueueUrl=url)
    session.close()
