"""Sessions on the embedded SQS behave as boto3's do, and tell what is wrong with a file."""

import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from sqsw.core.client_events import END_POLLS_EVENT
from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.memory_sqs import (
    LocalSession,
    MemoryAWS,
    MemorySession,
    local_path,
)


@pytest.fixture
def session() -> Iterator[MemorySession]:
    session = MemorySession()
    yield session
    session.close()


def pragma(session: LocalSession, text: str) -> None:
    with session.engine.store.read() as transaction:
        transaction.rows(f"PRAGMA {text}")


def url_of(client: Any, name: str = "q") -> str:
    url: str = client.create_queue(QueueName=name)["QueueUrl"]
    return url


def test_importing_it_imports_no_boto() -> None:
    code = (
        "import sys, sqsw.memory_sqs;sys.exit(any(name.startswith('boto') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_and_a_resource_see_the_same(session: MemorySession) -> None:
    url = url_of(session.client("sqs"))
    (queue,) = session.resource("sqs").queues.all()
    assert queue.url == url
    queue.send_message(MessageBody="x")
    (message,) = session.resource("sqs").Queue(url).receive_messages()
    message.delete()


def test_each_session_has_queues_of_its_own(session: MemorySession) -> None:
    url_of(session.client("sqs"))
    other = MemorySession()
    assert "QueueUrls" not in other.client("sqs").list_queues()
    other.close()


def test_sessions_share_what_they_are_given() -> None:
    aws = MemoryAWS()
    url = url_of(MemorySession(aws).client("sqs"))
    assert MemorySession(aws=aws).client("sqs").list_queues()["QueueUrls"] == [url]
    aws.engine.close()


def test_botocore_checks_parameters_and_makes_errors(session: MemorySession) -> None:
    client = session.client("sqs")
    with pytest.raises(ParamValidationError):
        client.send_message(QueueUrl="q")
    with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
        client.send_message(QueueUrl="q", MessageBody="x")
    assert caught.value.response["Error"] == {
        "Code": "AWS.SimpleQueueService.NonExistentQueue",
        "Message": "The specified queue does not exist.",
        "QueryErrorCode": "QueueDoesNotExist",
        "Type": "Sender",
    }
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400
    assert len(metadata["RequestId"]) == 36


def test_an_error_without_a_shape_is_a_plain_one(session: MemorySession) -> None:
    client = session.client("sqs")
    with pytest.raises(ClientError) as caught:
        client.create_queue(QueueName="a b")
    assert type(caught.value) is ClientError
    error: Any = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValue"
    assert error["QueryErrorCode"] == "InvalidParameterValueException"


def test_the_environment_of_aws_does_not_matter(
    session: MemorySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    client = session.client("sqs")
    assert client.meta.region_name == "local"
    assert url_of(client) == "http://sqsw.invalid/000000000000/q"


def test_regions_are_apart(session: MemorySession) -> None:
    here = session.client("sqs")
    there = session.client("sqs", region_name="eu-west-1")
    url = url_of(here)
    assert "QueueUrls" not in there.list_queues()
    arn = here.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    assert arn["QueueArn"] == "arn:aws:sqs:local:000000000000:q"
    elsewhere = MemorySession(session.aws, region_name="eu-west-1")
    url_of(elsewhere.client("sqs"), "r")
    assert len(there.list_queues()["QueueUrls"]) == 1


def test_what_a_user_asks_of_a_client_is_merged(session: MemorySession) -> None:
    client = session.client(
        "sqs",
        config=Config(retries={"max_attempts": 7}),
        endpoint_url="http://queues.example:8080",
        verify=False,
    )
    assert client.meta.config.retries["total_max_attempts"] == 8
    assert url_of(client) == "http://queues.example:8080/000000000000/q"


def test_none_stands_for_not_given(session: MemorySession) -> None:
    client = session.client("sqs", region_name=None, endpoint_url=None, config=None)
    assert url_of(client) == "http://sqsw.invalid/000000000000/q"


def test_other_services_are_refused(session: MemorySession) -> None:
    with pytest.raises(SettingsError, match="has no service 's3'"):
        session.client("s3")


def test_time_can_be_moved(session: MemorySession) -> None:
    client = session.client("sqs")
    url = url_of(client)
    client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
    session.clock.advance(minutes=15)
    assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "x"


def test_a_relaxed_session_does_not_wait_60_seconds() -> None:
    client = MemorySession(relaxed=True).client("sqs")
    for _ in range(2):
        client.delete_queue(QueueUrl=url_of(client))


def test_an_event_ends_the_polls_of_all_clients(session: MemorySession) -> None:
    client, other = session.client("sqs"), session.client("sqs")
    url = url_of(client)
    timer = threading.Timer(0.2, lambda: other.meta.events.emit(END_POLLS_EVENT))
    timer.start()
    began = time.monotonic()
    assert "Messages" not in client.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    assert time.monotonic() - began < 5
    timer.join()


def test_clients_are_made_in_many_threads(session: MemorySession) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            client = session.client("sqs")
            client.send_message(QueueUrl=url_of(client, f"q{number % 3}"), MessageBody="x")
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_client_works_after_a_fork(session: MemorySession) -> None:
    client = session.client("sqs")
    url = url_of(client)
    child = os.fork()
    if child == 0:
        try:
            client.send_message(QueueUrl=url, MessageBody="x")
            os._exit(0 if session.client("sqs").receive_message(QueueUrl=url)["Messages"] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_memory_session_cannot_be_pickled(session: MemorySession) -> None:
    with pytest.raises(TypeError, match="lives in one process"):
        pickle.dumps(session)


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
    assert list(tmp_path.iterdir()) == [], "nothing is made before it is needed"
    url_of(session.client("sqs"))
    assert (tmp_path / ".sqsw" / ".gitignore").read_text() == "*\n"
    session.close()


def test_other_directories_are_made_and_left_alone(tmp_path: Path) -> None:
    session = LocalSession(tmp_path / "a" / "b" / "f.db")
    url_of(session.client("sqs"))
    assert not (tmp_path / "a" / "b" / ".gitignore").exists()
    session.close()


def test_a_change_of_directory_does_not_lead_to_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = LocalSession("f.db")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    url_of(session.client("sqs"))
    assert (tmp_path / "f.db").exists()
    session.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_text("a diary\n" * 500)
    with pytest.raises(SettingsError) as caught:
        LocalSession(path).client("sqs")
    assert str(caught.value) == f"{path} cannot be used"
    assert caught.value.why == "it is not a database of sqsw; it was left as it is"
    assert caught.value.next == "name another file"


def test_a_file_that_was_removed_is_told_by_the_call(tmp_path: Path) -> None:
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


def test_a_newer_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    session = LocalSession(path)
    session.client("sqs")
    session.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(SettingsError) as caught:
        LocalSession(path).client("sqs")
    assert caught.value.why == "a later version of sqsw wrote it"


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be used"):
        LocalSession(tmp_path / "file" / "f.db").client("sqs")


def test_a_file_that_stays_locked_is_told_by_the_call(tmp_path: Path) -> None:
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
    assert caught.value.next == (
        "share it over HTTP: sqsw serve, then --endpoint-url http://127.0.0.1:9324"
    )
    session.close()


def test_a_full_disk_is_told_by_the_call(tmp_path: Path) -> None:
    session = LocalSession(tmp_path / "f.db")
    client = session.client("sqs")
    url = url_of(client)
    pragma(session, "max_page_count = 1")
    with pytest.raises(SQSError) as caught:
        client.send_message(QueueUrl=url, MessageBody="x" * 100_000)
    assert type(caught.value) is SQSError
    assert "disk is full" in (caught.value.why or "")
    session.close()


@pytest.mark.parametrize(
    ("value", "path"),
    [(None, None), ("", None), ("0", None), ("1", ".sqsw/local.db"), ("ci.db", "ci.db")],
)
def test_a_variable_names_the_file(value: str | None, path: str | None) -> None:
    assert local_path(value) == path


def test_words_of_variable_files_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert local_path("true") == local_path("YES") == local_path("on") == ".sqsw/local.db"
    assert local_path("false") is local_path("No") is local_path("off") is None
    assert local_path("~/queues.db") == "/home/ann/queues.db"
