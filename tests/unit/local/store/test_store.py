"""Transactions, connections, and errors of a file."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import FileCannotOpen, FileFull, FileLocked, FileReadOnly, FileReplaced


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def engine(path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(path, busy_seconds=0.2)
    engine.handle("CreateQueue", {"QueueName": "q"})
    yield engine
    engine.close()


def send(engine: LocalEngine, body: str = "x") -> None:
    engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": body})


def count(engine: LocalEngine) -> int:
    with engine.store.read() as transaction:
        return int(transaction.row("SELECT count(*) FROM messages")[0])


def in_thread(function: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_a_failed_transaction_is_rolled_back(engine: LocalEngine) -> None:
    def fail() -> None:
        with engine.store.write() as transaction:
            transaction.execute("DELETE FROM queues")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail()
    send(engine)
    assert count(engine) == 1


def test_each_thread_has_a_connection_that_closes_with_it(engine: LocalEngine) -> None:
    in_thread(lambda: send(engine))
    in_thread(lambda: send(engine))
    assert count(engine) == 2
    assert len(engine.store._connections._handles) == 1


def test_closing_leaves_only_the_database_file(engine: LocalEngine, path: Path) -> None:
    """Otherwise the write-ahead log would remain next to it, with the last changes."""
    call = {"QueueUrl": "q", "WaitTimeSeconds": 1, "VisibilityTimeout": 0}
    in_thread(lambda: engine.handle("ReceiveMessage", call))
    engine.close()
    names = {found.name for found in path.parent.iterdir()}
    assert names == {path.name, f"{path.name}-lock"}


def test_memory_is_one_database_for_all_threads() -> None:
    engine = LocalEngine(None)
    engine.handle("CreateQueue", {"QueueName": "q"})

    def work() -> None:
        for _ in range(50):
            send(engine)

    threads = [threading.Thread(target=work) for _ in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(engine) == 200
    engine.close()


def test_a_locked_file_raises_an_error(engine: LocalEngine, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(FileLocked):
        send(engine)
    # Reads still work.
    assert engine.handle("ReceiveMessage", {"QueueUrl": "q"}) == {}
    other.execute("COMMIT")
    other.close()
    send(engine)
    assert count(engine) == 1


@pytest.mark.parametrize("call", ["receive", "change"])
def test_the_visibility_timeout_starts_after_the_wait_for_the_lock(
    engine: LocalEngine, path: Path, call: str
) -> None:
    def receive(seconds: int) -> dict[str, str] | None:
        params = {"QueueUrl": "q", "VisibilityTimeout": seconds}
        found = patient.handle("ReceiveMessage", params).get("Messages")
        return found[0] if found else None

    def hide() -> None:
        handle = held["ReceiptHandle"] if held else ""
        params = {"QueueUrl": "q", "ReceiptHandle": handle, "VisibilityTimeout": 2}
        patient.handle("ChangeMessageVisibility", params)

    patient = LocalEngine(path)
    send(engine)
    held = receive(60) if call == "change" else None
    with engine.store._write_lock.held():
        thread = threading.Thread(target=(lambda: receive(2)) if call == "receive" else hide)
        thread.start()
        time.sleep(1.5)
    thread.join(10)
    hidden = time.monotonic()
    while receive(60) is None:
        time.sleep(0.05)
    assert time.monotonic() - hidden > 1.5
    patient.close()


def test_an_empty_receive_takes_no_lock(engine: LocalEngine) -> None:
    answers: list[object] = []
    with engine.store._write_lock.held():
        in_thread(lambda: answers.append(engine.handle("ReceiveMessage", {"QueueUrl": "q"})))
    assert answers == [{}]


def test_a_full_disk_loses_no_completed_calls(engine: LocalEngine) -> None:
    send(engine)
    with engine.store.read() as transaction:
        pages = transaction.row("PRAGMA page_count")[0]
        transaction.rows(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(FileFull):
        for _ in range(100):
            send(engine, "x" * 10_000)
    before = count(engine)
    with pytest.raises(FileFull):
        send(engine, "x" * 200_000)
    assert count(engine) == before
    (message,) = engine.handle("ReceiveMessage", {"QueueUrl": "q"})["Messages"]
    engine.handle("DeleteMessage", {"QueueUrl": "q", "ReceiptHandle": message["ReceiptHandle"]})
    assert count(engine) == before - 1


def test_a_read_only_file_raises_an_error(engine: LocalEngine) -> None:
    with engine.store.read() as transaction:
        transaction.rows("PRAGMA query_only = 1")
    with pytest.raises(FileReadOnly):
        send(engine)


def test_a_missing_directory_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises((FileCannotOpen, FileNotFoundError)):
        LocalEngine(tmp_path / "nowhere" / "f.db")
    with pytest.raises(FileCannotOpen):
        LocalEngine(tmp_path)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_forked_child_can_use_the_engine(tmp_path: Path, in_memory: bool) -> None:
    engine = LocalEngine(None if in_memory else tmp_path / "f.db")
    engine.handle("CreateQueue", {"QueueName": "q"})
    send(engine, "before")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            engine.handle("ReceiveMessage", {"QueueUrl": "q", "VisibilityTimeout": 0})

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                try:
                    send(engine, "in the child")
                    received = engine.handle(
                        "ReceiveMessage", {"QueueUrl": "q", "WaitTimeSeconds": 5}
                    )
                    os._exit(0 if received["Messages"] else 1)
                finally:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
    # The child has a copy of the queues in memory, but shares the file.
    assert count(engine) == (1 if in_memory else 11)
    engine.close()


def _send_until_free(engine: LocalEngine) -> None:
    """Send until the other process releases the file."""
    until = time.monotonic() + 10
    while True:
        try:
            return send(engine, "in the child")
        except FileLocked:
            assert time.monotonic() < until


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_fork_while_a_file_is_busy_does_not_block_others(tmp_path: Path) -> None:
    engines = [LocalEngine(tmp_path / f"{name}.db", busy_seconds=0.2) for name in "abc"]
    for engine in engines:
        engine.handle("CreateQueue", {"QueueName": "q"})
    busy, is_held, may_end = engines[1], threading.Event(), threading.Event()

    def hold() -> None:
        with busy.store._write_lock.held():
            is_held.set()
            may_end.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait(10)
    child = os.fork()
    if child == 0:
        try:
            for engine in engines:
                in_thread(lambda engine=engine: _send_until_free(engine))  # type: ignore[misc]
                engine.close()
            os._exit(0)
        finally:
            os._exit(2)
    may_end.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for engine in engines:
        in_thread(lambda engine=engine: send(engine))  # type: ignore[misc]
        assert count(engine) == 2
        engine.close()


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_removed_or_replaced_file_raises_an_error(tmp_path: Path, is_made_again: bool) -> None:
    directory = tmp_path / ".sqsw"
    directory.mkdir()
    old = LocalEngine(directory / "local.db")
    old.handle("CreateQueue", {"QueueName": "q"})
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            old.handle("ReceiveMessage", {"QueueUrl": "q", "WaitTimeSeconds": 20})
        except FileReplaced as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not old.store.waiters._lines:
        time.sleep(0.005)
    # Rename instead of delete, so the new file certainly gets another inode.
    shutil.move(directory, tmp_path / "aside")
    if is_made_again:
        directory.mkdir()
        new = LocalEngine(directory / "local.db")
        new.handle("CreateQueue", {"QueueName": "q"})
        new.close()
    with pytest.raises(FileCannotOpen, match=r"local\.db"):
        send(old)
    with pytest.raises(FileReplaced):
        in_thread(lambda: send(old))
    assert directory.exists() == is_made_again
    waiting.join(10)
    assert len(errors) == 1, "a waiting receive gets the error, too"
    old.close()


def test_a_file_that_is_removed_while_a_connection_is_opened(
    path: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_too_late(*args: Any, **options: Any) -> sqlite3.Connection:
        path.rename(path.with_name("aside"))
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_too_late)
    with pytest.raises(FileReplaced):
        in_thread(lambda: send(engine))
    assert not path.exists(), "it was not created again"


def test_a_closed_engine_raises_an_error(path: Path) -> None:
    engine = LocalEngine(path)
    engine.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        engine.handle("ListQueues", {})
    assert sorted(file.name for file in path.parent.iterdir()) == ["f.db", "f.db-lock"]


def test_two_names_of_a_file_share_the_lock(path: Path, engine: LocalEngine) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    other = LocalEngine(link, busy_seconds=0.05)
    with engine.store._write_lock.held(), pytest.raises(FileLocked):
        send(other)
    other.close()
    assert not path.with_name("link.db-lock").exists()
