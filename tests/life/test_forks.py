"""Programs that fork after they have used a file, like servers that load the app first."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.sqs_env import SQSEnv
from tests.life.ledgers import Books, Ledger, User, check_file
from tests.life.serving import environment

PROCESSES, THREADS, CALLS = 4, 3, 15

# In a separate process, with threads that a fork does not copy.
MASTER = f"""
import os, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqsw.memory_sqs import LocalSession
from tests.life.ledgers import Ledger, User

client = LocalSession("f.db").client("sqs")
client.create_queue(QueueName="q")
other = client.create_queue(QueueName="other")["QueueUrl"]

def use(name):
    user = User(client, "q", Ledger(Path(f"{{name}}.ledger")))
    for call in range({CALLS}):
        user.send([f"{{name}}-{{call}}-{{n}}" for n in range(5)])
        if messages := user.receive(wait=1):
            user.delete(messages)

def use_in_threads(name):
    with ThreadPoolExecutor({THREADS}) as pool:
        list(pool.map(use, [f"{{name}}.{{thread}}" for thread in range({THREADS})]))

def fork(name):
    pid = os.fork()
    if pid:
        return pid
    try:
        use_in_threads(name)
        os._exit(0)
    finally:
        os._exit(1)

def wait():
    while not client.receive_message(QueueUrl=other, WaitTimeSeconds=20).get("Messages"):
        pass
    return time.monotonic()

with ThreadPoolExecutor() as pool:
    waiting = pool.submit(wait)
    using = pool.submit(use_in_threads, "parent")
    children = [fork(f"child{{number}}") for number in range({PROCESSES - 1})]
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    using.result()
    begun = time.monotonic()
    client.send_message(QueueUrl=other, MessageBody="x")
    assert waiting.result() - begun < 5
"""


def test_threads_of_parent_and_children_share_a_file_and_a_client(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MASTER],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    books = Books.read(tmp_path.glob("*.ledger"))
    session = LocalSession(tmp_path / "f.db")
    user = User(session.client("sqs"), "q", Ledger(tmp_path / "rest"))
    while messages := user.receive():
        user.delete(messages)
    rest = Books.read([tmp_path / "rest"])
    assert len(books.sent) == PROCESSES * THREADS * CALLS * 5
    assert set(books.sent) == set(books.deleted) | set(rest.deleted)
    assert not set(books.deleted) & set(rest.received)
    assert {len(deletes) for deletes in books.deleted.values()} == {1}
    assert books.twice_in_a_lease() == []
    session.close()
    check_file(tmp_path / "f.db")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_fork_while_another_thread_creates_the_client_does_not_deadlock() -> None:
    begun, go_on, parent = threading.Event(), threading.Event(), os.getpid()

    class Slow(MemorySession):
        def client(self, *args: Any, **keywords: Any) -> Any:
            if os.getpid() == parent:
                begun.set()
                go_on.wait(30)
            return super().client(*args, **keywords)

    session = Slow()
    queue = SQSEnv(session).queue("q")
    MemorySession.client(session, "sqs").create_queue(QueueName="q")
    thread = threading.Thread(target=lambda: queue.client.url)
    thread.start()
    begun.wait(30)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)
            os._exit(0 if queue.client.url else 1)
        finally:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go_on.set()
    thread.join()
    assert status == 0
