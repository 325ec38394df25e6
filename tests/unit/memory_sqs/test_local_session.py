"""A session on a file: its path, pickling, and errors of the file."""

import os
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.memory_sqs import LocalSession


def pragma(session: LocalSession, text: str) -> None:
    with session.engine.store.read() as transaction:
        transaction.rows(f"PRAGMA {text}")


def url_of(client: Any, name: str = "q") -> str:
    url: str = client.create_queue(QueueName=name)["QueueUrl"]
    return url


def test_a_local_session_is_pickled_by_its_arguments(tmp_path: Path) -> None:
    session = LocalSession(tmp_path / "f.db", region_name="eu-west-1", relaxed=True)
    url = url_of(session.client("sqs"))
    copy = pickle.loads(pickle.dumps(session))
    assert copy.region_name == "eu-west-1"
    assert copy.client("sqs").list_queues()["QueueUrls"] == [url]
    copy.close()
    session.close()


def test_the_directory_of_the_default_file_is_ignored_by_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = LocalSession()
    assert list(tmp_path.iterdir()) == [], "nothing is created before it is needed"
    url_of(session.client("sqs"))
    assert (tmp_path / ".sqsw" / ".gitignore").read_text() == "*\n"
    session.close()


def test_a_missing_directory_is_not_created(tmp_path: Path) -> None:
    session = LocalSession(tmp_path / "a" / "f.db")
    with pytest.raises(SettingsError, match="cannot be used"):
        url_of(session.client("sqs"))
    assert not (tmp_path / "a").exists()
    session.close()


def test_an_existing_directory_gets_no_gitignore(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    session = LocalSession(tmp_path / "a" / "f.db")
    url_of(session.client("sqs"))
    assert not (tmp_path / "a" / ".gitignore").exists()
    session.close()


def test_the_path_is_relative_to_the_directory_at_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = LocalSession("f.db")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    url_of(session.client("sqs"))
    assert (tmp_path / "f.db").exists()
    session.close()


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f.db").write_text("a diary\n" * 500)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    files = [tmp_path / "f.db", tmp_path / "pipe", tmp_path / "null"]
    for path in files:
        with pytest.raises(SettingsError) as caught:
            LocalSession(path).client("sqs")
        assert str(caught.value) == f"{path} cannot be used"
        assert caught.value.why == "it is not an sqsw database, so it was not changed"
        assert caught.value.next == "choose another file"


def test_a_call_on_a_removed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    session = LocalSession(path)
    client = session.client("sqs")
    url = url_of(client)
    path.unlink()
    with pytest.raises(SettingsError) as caught:
        client.receive_message(QueueUrl=url)
    assert caught.value.why == "it was removed or replaced while it was open"
    assert not path.exists()
    session.close()


def test_a_file_of_a_newer_version_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    session = LocalSession(path)
    session.client("sqs")
    session.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(SettingsError) as caught:
        LocalSession(path).client("sqs")
    assert caught.value.why == "it was written by a newer version of sqsw"


def test_a_path_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be used"):
        LocalSession(tmp_path / "file" / "f.db").client("sqs")


def test_a_call_on_a_file_that_stays_locked_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    session = LocalSession(path)
    client = session.client("sqs")
    url = url_of(client)
    pragma(session, "busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy) as caught:
        client.send_message(QueueUrl=url, MessageBody="x")
    other.close()
    assert str(caught.value) == f"{path} is in use by another program"
    assert caught.value.why == "the file stayed locked for 5 seconds"
    assert caught.value.reason == "file"
    session.close()


def test_a_call_on_a_full_disk_is_an_error(tmp_path: Path) -> None:
    session = LocalSession(tmp_path / "f.db")
    client = session.client("sqs")
    url = url_of(client)
    pragma(session, "max_page_count = 1")
    with pytest.raises(SQSError) as caught:
        client.send_message(QueueUrl=url, MessageBody="x" * 100_000)
    assert type(caught.value) is SQSError
    assert "disk is full" in (caught.value.why or "")
    session.close()
