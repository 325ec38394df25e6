"""Several real processes that share a file."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine

BEGIN = """
import sys
from sqsw.local.engine import LocalEngine
engine = LocalEngine(sys.argv[1])
def call(operation, **params):
    return engine.handle(operation, {"QueueUrl": "q", **params})
"""
SEND_UNTIL_KILLED = """
import itertools
for number in itertools.count():
    body = f"{sys.argv[2]}-{number}"
    call("SendMessage", MessageBody=body)
    print(body, flush=True)
"""
RECEIVE_ALL = """
while messages := call("ReceiveMessage", MaxNumberOfMessages=10).get("Messages"):
    entries = [
        {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)
    ]
    assert "Failed" not in call("DeleteMessageBatch", Entries=entries)
    for message in messages:
        print(message["Body"], flush=True)
"""
WAIT = """
import time
print("ready", flush=True)
for line in sys.stdin:
    message, = call("ReceiveMessage", WaitTimeSeconds=20)["Messages"]
    print(time.time() - float(message["Body"]), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def engine(path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    yield engine
    engine.close()


def start(code: str, path: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_a_killed_sender_loses_no_completed_sends(engine: LocalEngine, path: Path) -> None:
    answered: set[str] = set()
    for attempt in range(4):
        senders = [start(SEND_UNTIL_KILLED, path, f"{attempt}{name}") for name in "ab"]
        for sender in senders:
            assert sender.stdout
            answered.add(sender.stdout.readline().strip())
        time.sleep(0.05 * attempt)
        for sender in senders:
            sender.send_signal(signal.SIGKILL)
        for sender in senders:
            answered.update(line.strip() for line in sender.communicate()[0].splitlines())
    with engine.store.read() as transaction:
        stored = {row[0] for row in transaction.rows("SELECT body FROM bodies")}
        ready = transaction.row("SELECT ready FROM queues")[0]
        assert transaction.row("PRAGMA integrity_check")[0] == "ok"
    # The kill can cut off the last line. Each complete line is a completed send.
    lost = {body for body in answered if body} - stored
    assert len(answered) > 8
    assert all(any(s.startswith(body) for s in stored) for body in lost)
    assert ready == len(stored)


def test_each_message_goes_to_only_one_of_four_processes(engine: LocalEngine, path: Path) -> None:
    for batch in range(200):
        entries = [{"Id": str(n), "MessageBody": f"{batch}-{n}"} for n in range(10)]
        engine.handle("SendMessageBatch", {"QueueUrl": "q", "Entries": entries})
    receivers = [start(RECEIVE_ALL, path) for _ in range(4)]
    bodies = Counter(
        line for receiver in receivers for line in receiver.communicate(timeout=60)[0].splitlines()
    )
    assert all(receiver.returncode == 0 for receiver in receivers)
    assert len(bodies) == 2000
    assert set(bodies.values()) == {1}


def test_a_send_wakes_a_receive_of_another_process(engine: LocalEngine, path: Path) -> None:
    waiter = start(WAIT, path)
    assert waiter.stdin and waiter.stdout
    assert waiter.stdout.readline() == "ready\n"
    for _ in range(5):
        waiter.stdin.write("next\n")
        waiter.stdin.flush()
        time.sleep(0.3)
        engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": repr(time.time())})
        assert float(waiter.stdout.readline()) < 0.5
    waiter.communicate(timeout=10)
    assert waiter.returncode == 0
    assert not Path(f"{path}-wake").exists(), "its socket is removed"
