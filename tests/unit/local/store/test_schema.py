"""The tables of a file: created, recognized, migrated, and not changed if they are not sqsw's."""

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import (
    FileNotOurs,
    FileTooNew,
    PurgeQueueInProgress,
    QueueDeletedRecently,
)
from sqsw.local.store import schema
from tests.unit.local.manual import Calls, ManualClock, refused
from tests.unit.local.old_files import LEFT_AT, VERSION_1, restore


def test_a_file_is_created_and_reopened(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    for _ in range(2):
        engine = LocalEngine(path)
        engine.handle("CreateQueue", {"QueueName": "q"})
        engine.close()
    with sqlite3.connect(path) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode", "auto_vacuum")
        ]
    connection.close()
    assert pragmas == [schema.APPLICATION_ID, len(schema.MIGRATIONS), "wal", 2]


def test_an_empty_file_gets_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.touch()
    LocalEngine(path).close()
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_a_file_that_is_not_a_database_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    content = b"a diary, not a database\n" * 100
    path.write_bytes(content)
    with pytest.raises(FileNotOurs):
        LocalEngine(path)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages(text)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FileNotOurs):
        LocalEngine(path)
    assert path.read_bytes() == content


def test_a_newer_file_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    LocalEngine(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FileTooNew, match="this release reads up to"):
        LocalEngine(path)
    assert path.read_bytes() == content


def _open(path: Path) -> Calls:
    """Return an engine whose clock starts when the old file was closed."""
    clock = ManualClock()
    clock.seconds = LEFT_AT
    return Calls(LocalEngine(path, clock=clock), clock)


def _tables(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    sql = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    tables = connection.execute(sql).fetchall()
    connection.close()
    return tables


def test_a_file_of_version_1_keeps_working(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    handle = restore(VERSION_1, path)
    sqs = _open(path)
    names = [url.rpartition("/")[2] for url in sqs("ListQueues")["QueueUrls"]]
    assert names == ["dead", "f.fifo", "purged", "standard"]
    assert sqs("ListQueueTags", QueueUrl="standard")["Tags"] == {"team": "mail"}
    # 10 seconds later, the move of two dead letters at one per second is complete.
    assert sqs.counts("dead") == (0, 0, 0)
    assert sqs.counts("standard") == (2, 1, 1)
    received = sqs.receive("standard", MessageAttributeNames=["All"])
    assert sorted(message["Body"] for message in received) == ["gone too", "ready"]
    assert {"b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}} in [
        message.get("MessageAttributes") for message in received
    ]
    sqs("DeleteMessage", QueueUrl="standard", ReceiptHandle=handle)
    assert sqs.counts("standard") == (0, 2, 1)
    assert sqs.bodies("f.fifo") == ["b-1"]
    again = sqs.receive("f.fifo", ReceiveRequestAttemptId="once")
    assert [message["Body"] for message in again] == ["a-1"]
    sqs.send("f.fifo", "a-2", MessageGroupId="a")  # a duplicate
    assert sqs.counts("f.fifo") == (1, 2, 0)
    with refused(QueueDeletedRecently):
        sqs.make("deleted")
    with refused(PurgeQueueInProgress):
        sqs("PurgeQueue", QueueUrl="purged")
    sqs.engine.close()


def test_an_old_file_gets_the_tables_of_a_new_one(tmp_path: Path) -> None:
    """This test fails if a released migration is edited."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    restore(VERSION_1, old)
    for path in (old, new):
        LocalEngine(path).close()
    assert _tables(old) == _tables(new)


def test_a_migration_changes_tables_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.db"
    restore(VERSION_1, path)
    step = (
        "ALTER TABLE queues ADD COLUMN colour TEXT;\n"
        "UPDATE queues SET colour = 'red' WHERE is_fifo;\n"
        "CREATE INDEX q_colour ON queues(colour);\n"
    )
    released = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*released, step))
    for _ in range(2):  # the second time, there is nothing to do
        sqs = _open(path)
        assert sqs.rows("SELECT name FROM queues WHERE colour = 'red'") == [("f.fifo",)]
        assert sqs.rows("PRAGMA user_version") == [(len(released) + 1,)]
        assert sqs.counts("standard") == (2, 1, 1)
        sqs.engine.close()
    monkeypatch.setattr(schema, "MIGRATIONS", released)
    with pytest.raises(FileTooNew):
        LocalEngine(path)


def test_only_one_of_two_processes_migrates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.db"
    restore(VERSION_1, path)
    step = "ALTER TABLE queues ADD COLUMN colour TEXT;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    with ThreadPoolExecutor(4) as pool:
        for engine in pool.map(lambda _: LocalEngine(path), range(4)):
            assert engine.handle("ListQueues", {})["QueueUrls"]
            engine.close()


def test_a_failed_migration_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.db"
    LocalEngine(path).close()
    step = "ALTER TABLE queues ADD COLUMN colour TEXT;\nnonsense;\n"
    with monkeypatch.context() as context:
        context.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
        with pytest.raises(sqlite3.OperationalError):
            LocalEngine(path)
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.close()


def test_a_file_that_is_being_created_is_not_mistaken_for_that_of_another_program(
    tmp_path: Path,
) -> None:
    """Another process creates the tables between two reads of the file's header."""
    path = tmp_path / "f.db"
    ours = sqlite3.connect(path, isolation_level=None)
    others = sqlite3.connect(path, isolation_level=None, timeout=0)

    def make(statement: str) -> None:
        if statement == "PRAGMA user_version":
            with contextlib.suppress(sqlite3.OperationalError):  # the file is still locked
                schema.migrate(others)

    ours.set_trace_callback(make)
    assert not schema.is_current(ours, "f.db")
    ours.set_trace_callback(None)
    if not schema.is_current(ours, "f.db"):
        schema.migrate(others)
    assert schema.is_current(ours, "f.db")
    ours.close()
    others.close()


@pytest.mark.parametrize("script", [schema.MIGRATIONS[0], "CREATE TABLE half;\n"])
def test_a_process_can_be_killed_at_any_step_of_creating_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """The next process completes the steps that the first one did not reach."""
    path = tmp_path / "f.db"
    first = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as patch, contextlib.suppress(sqlite3.OperationalError):
        patch.setattr(schema, "MIGRATIONS", (script,))
        schema.migrate(first)
    first.close()
    LocalEngine(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
