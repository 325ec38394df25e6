"""Ctrl-C during a call leaves no lock held, in this process or for others."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.store.file_lock import FileLock

SEND_AND_INTERRUPT = """
import os, signal, sys, threading, time
from sqsw.local.engine import LocalEngine

# A shell that started the tests behind may have switched it off.
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = LocalEngine(sys.argv[1])
def send():
    engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": "x"})
def interrupt():
    until = time.monotonic() + 5
    waits = sys.argv[2]
    while waits and not any(thread.name == waits for thread in threading.enumerate()):
        assert time.monotonic() < until
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    os.write(1, b"sent\\n")
threading.Thread(target=interrupt).start()
try:
    send()
except KeyboardInterrupt:
    os.write(1, b"interrupted\\n")
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(10)
os.write(1, b"idle\\n")
sys.stdin.readline()
send()
os.write(1, b"goes on\\n")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "f.db"
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.close()
    return path


def start(path: Path, waits: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SEND_AND_INTERRUPT, str(path), waits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def lines(process: "subprocess.Popen[str]", count: int) -> Iterator[str]:
    assert process.stdout
    for _ in range(count):
        yield process.stdout.readline().strip()


def check_still_usable(process: "subprocess.Popen[str]") -> None:
    rest, _ = process.communicate("\n", timeout=20)
    assert rest.split("\n")[0] == "goes on"
    assert process.returncode == 0


def test_an_interrupted_wait_for_the_lock_does_not_take_it_later(path: Path) -> None:
    ours = FileLock(f"{path}-lock")
    assert ours.acquire(1)
    process = start(path, waits="sqsw-file-lock")
    assert set(lines(process, 2)) == {"sent", "interrupted"}
    ours.release()
    # It was waiting before us, so the kernel gives it the lock first.
    assert list(lines(process, 1)) == ["idle"]
    assert ours.acquire(2), "the interrupted process keeps the lock"
    ours.release()
    ours.close()
    check_still_usable(process)


def test_an_interrupted_begin_leaves_no_transaction_open(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=0.2)
    other.execute("BEGIN IMMEDIATE")
    process = start(path)
    # SQLite does not handle signals while it waits, so they arrive after the transaction began.
    assert list(lines(process, 1)) == ["sent"]
    time.sleep(0.1)
    other.execute("ROLLBACK")
    assert list(lines(process, 2)) == ["interrupted", "idle"]
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()
    check_still_usable(process)
