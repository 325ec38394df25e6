"""The tables of a file: made once, recognised, and never touched if they are not ours."""

import sqlite3
from pathlib import Path

import pytest

from sqsw.local import schema
from sqsw.local.engine import LocalEngine
from sqsw.local.errors import FileNotOurs, FileTooNew


def test_a_file_is_made_and_found_again(tmp_path: Path) -> None:
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


def test_an_empty_file_becomes_ours(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.touch()
    LocalEngine(path).close()
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    content = b"a diary, not a database\n" * 100
    path.write_bytes(content)
    with pytest.raises(FileNotOurs):
        LocalEngine(path)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages(text)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FileNotOurs):
        LocalEngine(path)
    assert path.read_bytes() == content


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    LocalEngine(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FileTooNew, match="at most"):
        LocalEngine(path)
    assert path.read_bytes() == content


def test_an_older_file_is_brought_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.db"
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": "x"})
    engine.close()
    step = "ALTER TABLE queues ADD COLUMN colour TEXT;\nUPDATE queues SET colour = 'red';\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    engine = LocalEngine(path)
    with engine.store.read() as transaction:
        assert transaction.rows("SELECT colour FROM queues") == [("red",)]
    assert engine.handle("ReceiveMessage", {"QueueUrl": "q"})["Messages"][0]["Body"] == "x"
    engine.close()


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
