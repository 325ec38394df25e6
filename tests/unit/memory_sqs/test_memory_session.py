"""Sessions on the embedded SQS behave like those of boto3."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from sqsw.core.errors import SettingsError
from sqsw.memory_sqs import MemoryAWS, MemorySession


@pytest.fixture
def session() -> Iterator[MemorySession]:
    session = MemorySession()
    yield session
    session.close()


def url_of(client: Any, name: str = "q") -> str:
    url: str = client.create_queue(QueueName=name)["QueueUrl"]
    return url


def test_memory_sqs_does_not_import_boto() -> None:
    code = (
        "import sys; from sqsw.memory_sqs import LocalSession, MemoryAWS, MemorySession, serve;"
        "sys.exit(any(name.startswith('boto') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_and_a_resource_share_the_queues(session: MemorySession) -> None:
    url = url_of(session.client("sqs"))
    (queue,) = session.resource("sqs").queues.all()
    assert queue.url == url
    queue.send_message(MessageBody="x")
    (message,) = session.resource("sqs").Queue(url).receive_messages()
    message.delete()


def test_each_session_has_its_own_queues(session: MemorySession) -> None:
    url_of(session.client("sqs"))
    other = MemorySession()
    assert "QueueUrls" not in other.client("sqs").list_queues()
    other.close()


def test_sessions_can_share_their_queues() -> None:
    aws = MemoryAWS()
    url = url_of(MemorySession(aws).client("sqs"))
    assert MemorySession(aws=aws).client("sqs").list_queues()["QueueUrls"] == [url]
    aws.engine.close()


def test_botocore_checks_parameters_and_raises_errors(session: MemorySession) -> None:
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


def test_an_error_without_a_shape_is_a_plain_client_error(session: MemorySession) -> None:
    client = session.client("sqs")
    with pytest.raises(ClientError) as caught:
        client.create_queue(QueueName="a b")
    assert type(caught.value) is ClientError
    error: Any = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValue"
    assert error["QueryErrorCode"] == "InvalidParameterValueException"


def test_the_settings_of_aws_are_ignored(
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


def test_regions_are_separate(session: MemorySession) -> None:
    here = session.client("sqs")
    there = session.client("sqs", region_name="eu-west-1")
    url = url_of(here)
    assert "QueueUrls" not in there.list_queues()
    arn = here.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    assert arn["QueueArn"] == "arn:aws:sqs:local:000000000000:q"
    elsewhere = MemorySession(session.aws, region_name="eu-west-1")
    url_of(elsewhere.client("sqs"), "r")
    assert len(there.list_queues()["QueueUrls"]) == 1


def test_options_of_a_client_are_applied(session: MemorySession) -> None:
    client = session.client(
        "sqs",
        config=Config(retries={"max_attempts": 7}),
        endpoint_url="http://queues.example:8080",
        verify=False,
    )
    assert client.meta.config.retries["total_max_attempts"] == 8
    assert url_of(client) == "http://queues.example:8080/000000000000/q"


def test_none_is_the_same_as_no_option(session: MemorySession) -> None:
    client = session.client("sqs", region_name=None, endpoint_url=None, config=None)
    assert url_of(client) == "http://sqsw.invalid/000000000000/q"


def test_other_services_are_refused(session: MemorySession) -> None:
    with pytest.raises(SettingsError, match="has no service 's3'"):
        session.client("s3")


def test_the_clock_can_be_moved(session: MemorySession) -> None:
    client = session.client("sqs")
    url = url_of(client)
    client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
    session.clock.advance(minutes=15)
    assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "x"


def test_a_relaxed_session_does_not_wait_60_seconds() -> None:
    client = MemorySession(relaxed=True).client("sqs")
    for _ in range(2):
        client.delete_queue(QueueUrl=url_of(client))


def test_ending_polls_ends_those_of_all_clients(session: MemorySession) -> None:
    client = session.client("sqs")
    url = url_of(client)
    calls = session.direct_calls(None, None, print)
    assert calls is not None
    timer = threading.Timer(0.2, calls.end_polls)
    timer.start()
    began = time.monotonic()
    assert "Messages" not in client.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    assert time.monotonic() - began < 5
    timer.join()


def test_clients_can_be_created_in_many_threads(session: MemorySession) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            client = session.client("sqs")
            client.send_message(QueueUrl=url_of(client, f"q{number % 3}"), MessageBody="x")
        except Exception as error:  # noqa: BLE001 - it is checked below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
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
