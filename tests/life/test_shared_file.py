"""Eight processes on one file get each message once, fast, and in order on FIFO queues."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.memory_sqs import LocalSession
from tests.life import ledgers
from tests.life.ledgers import Books

PROCESSES = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def client(path: Path) -> Iterator[Any]:
    session = LocalSession(path)
    yield session.client("sqs")
    session.close()


def run(path: Path, queue_name: str, keys: list[dict[str | None, list[str]]]) -> Books:
    """Run a process for each share; return their ledgers."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([ledgers.__name__])
    barrier = context.Barrier(len(keys))
    books = [path.parent / f"{number}.ledger" for number in range(len(keys))]
    processes = [
        context.Process(target=ledgers.share, args=(str(path), queue_name, book, own, barrier))
        for book, own in zip(books, keys, strict=True)
    ]
    begun = time.monotonic()
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    total = sum(len(bodies) for own in keys for bodies in own.values())
    print(f"{total / (time.monotonic() - begun):.0f} messages/s, sent, received and deleted")
    return Books.read(books)


def check(books: Books, sent: set[str]) -> None:
    """Check that no message was lost and none came twice."""
    assert set(books.sent) == sent
    assert set(books.deleted) == sent, "every message was deleted"
    assert {len(deletes) for deletes in books.deleted.values()} == {1}, "and once"
    assert books.twice_in_a_lease() == []
    assert books.received_after_delete() == []
    again = sum(len(receptions) - 1 for receptions in books.received.values())
    assert again > 0, "abandoned messages came back"


def test_eight_processes_share_twenty_thousand_messages(path: Path, client: Any) -> None:
    client.create_queue(QueueName="q")
    keys: list[dict[str | None, list[str]]] = [
        {None: [f"{process}-{number}" for number in range(2_500)]} for process in range(PROCESSES)
    ]
    books = run(path, "q", keys)
    check(books, {key for own in keys for key in own[None]})
    shares = Counter(receptions[-1].by for receptions in books.received.values())
    print(f"fewest and most to one process: {min(shares.values())}, {max(shares.values())}")
    assert len(shares) == PROCESSES
    assert min(shares.values()) > 200, "every process gets its share"
    assert sum(shares.values()) == 20_000
    ledgers.check_file(path)


def test_eight_processes_keep_the_order_of_groups(path: Path, client: Any) -> None:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    client.create_queue(QueueName="q.fifo", Attributes=attributes)
    keys: list[dict[str | None, list[str]]] = [
        {
            f"{process}.{group}": [f"{process}.{group}-{number}" for number in range(60)]
            for group in range(4)
        }
        for process in range(PROCESSES)
    ]
    books = run(path, "q.fifo", keys)
    check(books, {key for own in keys for bodies in own.values() for key in bodies})
    for own in keys:
        for bodies in own.values():
            deletes = [books.deleted[key][0] for key in bodies]
            assert deletes == sorted(deletes), "a group was processed in order"
            for key, before in zip(bodies[1:], deletes, strict=False):
                received = max(books.received[key], key=lambda one: one.ended)
                together = books.deleted[key][0] == before
                assert together or received.ended > before[0], "and by one process at a time"
    ledgers.check_file(path)
