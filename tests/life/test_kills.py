"""A hundred ``kill -9``: answered calls keep their effect, and the file stays intact."""

import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionError, HTTPClientError

from sqsw.memory_sqs import LocalSession
from tests.backends import wait_until
from tests.life import ledgers
from tests.life.ledgers import Books, Ledger, User
from tests.life.serving import environment, serving

#: seconds for which a message of a killed consumer stays hidden
LEASE_SECONDS = 3
SENDERS, CONSUMERS, WORKERS, SERVERS = 38, 38, 12, 12

WORK = """
import os
import time
from pathlib import Path

from sqsw import RawQueue, SQSEnv
from sqsw.core.events import MessageDeleted
from tests.life.ledgers import Ledger

env = SQSEnv()
ledger = Ledger(Path(os.environ["LEDGER"]))

@env.queue("q", queue_maker=RawQueue.maker()).raw_processor()
def work(message):
    now = time.time()
    ledger.write("received", now - (time.monotonic() - message.received_at), [message.body])
    ledger.write("deleting", now, [message.body])

@lambda listener: env.events.subscribe(listener, MessageDeleted)
def deleted(event):
    ledger.write("deleted", time.time(), [event.message.body])
"""


@pytest.fixture
def chance() -> random.Random:
    seed = os.environ.get("SQSW_TEST_SEED", str(time.time_ns()))
    print(f"SQSW_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def client(short_path: Path) -> Iterator[Any]:
    session = LocalSession(short_path / "f.db")
    client = session.client("sqs")
    client.create_queue(QueueName="q", Attributes={"VisibilityTimeout": str(LEASE_SECONDS)})
    yield client
    session.close()


class Killer:
    """Starts processes one after another and kills each at a random moment."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.path = folder, str(folder / "f.db")
        (folder / "tasks.py").write_text(WORK)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([ledgers.__name__])
        # Drawn before the threads start, so that only the order of the threads varies.
        self._lines = [
            [(kill, chance.getrandbits(32)) for _ in range(count)]
            for kill, count in [
                *[(self._kill_sender, SENDERS // 2), (self._kill_consumer, CONSUMERS // 2)] * 2,
                (self._kill_worker, WORKERS),
                (self._kill_server, SERVERS),
            ]
        ]
        self._has_failed = threading.Event()

    def run(self, user: User) -> int:
        """Kill them all while this user sends too; return how many were killed."""
        with ThreadPoolExecutor() as pool:
            lines = [pool.submit(self._kill_line, line) for line in self._lines]
            for number in range(10**9):
                if all(line.done() for line in lines):
                    return sum(line.result() for line in lines)
                user.send([f"steady-{number}-{n}" for n in range(5)])
                time.sleep(0.02)
        raise AssertionError

    def _kill_line(self, line: list[tuple[Callable[..., None], int]]) -> int:
        killed = 0
        for kill, seed in line:
            if self._has_failed.is_set():
                break
            try:
                kill(self.folder / f"{seed}.ledger", random.Random(seed))
            except BaseException:
                self._has_failed.set()
                raise
            killed += 1
        return killed

    def _kill_sender(self, ledger: Path, chance: random.Random) -> None:
        self._kill_child(ledgers.send_for_good, ledger, chance, ledger.stem)

    def _kill_consumer(self, ledger: Path, chance: random.Random) -> None:
        self._kill_child(ledgers.consume_for_good, ledger, chance, LEASE_SECONDS)

    def _kill_child(
        self, program: Callable[..., None], ledger: Path, chance: random.Random, extra: Any
    ) -> None:
        child = self._context.Process(target=program, args=(self.path, "q", ledger, extra))
        child.start()
        try:
            self._wait(ledger, chance)
        finally:
            child.kill()
        child.join(60)
        # 255 if the other thread was just starting a child, which needs the same reaction.
        assert child.exitcode in (-9, 255)

    def _kill_worker(self, ledger: Path, chance: random.Random) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", f"--local={self.path}"],
            cwd=self.folder,
            env={**environment(), "LEDGER": str(ledger)},
            stderr=subprocess.DEVNULL,
        ) as worker:
            try:
                self._wait(ledger, chance)
            finally:
                worker.kill()
        assert worker.returncode == -9

    def _kill_server(self, ledger: Path, chance: random.Random) -> None:
        with serving(f"--local={self.path}") as server, ThreadPoolExecutor() as pool:
            client = server.client(config=Config(retries={"total_max_attempts": 1}))
            using = pool.submit(use_for_good, User(client, "q", Ledger(ledger)), ledger.stem)
            try:
                self._wait(ledger, chance)
            finally:
                server.process.kill()
            with pytest.raises((ConnectionError, HTTPClientError)):
                using.result(60)

    def _wait(self, ledger: Path, chance: random.Random) -> None:
        """Wait a random time, usually after the first call has begun."""
        if chance.random() < 0.9:
            wait_until(lambda: ledger.exists() and ledger.stat().st_size, 60, "the first call")
        time.sleep(chance.uniform(0, 0.12))


def use_for_good(user: User, name: str) -> None:
    """Send, receive and delete until the server is gone."""
    for number in range(10**9):
        user.send([f"{name}-{number}-{n}" for n in range(5)])
        messages = user.receive(LEASE_SECONDS)
        if messages:
            user.delete(messages)


def test_a_hundred_kills_undo_no_answered_call(
    short_path: Path, client: Any, chance: random.Random
) -> None:
    steady = User(client, "q", Ledger(short_path / "steady.ledger"))
    assert Killer(short_path, chance).run(steady) == 100
    ledgers.check_file(short_path / "f.db")

    session = LocalSession(short_path / "f.db")
    rest = User(session.client("sqs"), "q", Ledger(short_path / "rest"))
    session.clock.advance(minutes=10)  # messages of killed processes are visible again
    left: Counter[str] = Counter()
    while messages := rest.receive():
        left.update(message["Body"] for message in messages)
    books = Books.read(short_path.glob("*.ledger"))
    print(f"{len(books.sent)} sends answered, {len(books.deleted)} deletes, {left.total()} left")
    assert len(books.sent) > 500
    assert len(books.deleted) > 200
    assert set(books.sent) - books.deleting <= set(left), "an answered send was lost"
    assert not set(books.deleted) & set(left), "an answered delete came back"
    assert set(left) <= books.sending
    assert set(left.values()) == {1}
    assert books.received_after_delete() == []
    assert books.twice_in_a_lease() == []
    check_that_nothing_piles_up(short_path, session, rest)


def check_that_nothing_piles_up(folder: Path, session: LocalSession, user: User) -> None:
    """Check that the sockets of killed processes are gone, and only the usual files are left."""
    directory = folder / "f.db-wake"
    assert directory.is_dir(), "some were killed while they waited"
    user.send(["the last"])
    assert os.listdir(directory) == []
    session.close()
    files = {path.name for path in folder.glob("f.db*")}
    assert files - {"f.db-wal", "f.db-shm"} == {"f.db", "f.db-lock", "f.db-wake"}
