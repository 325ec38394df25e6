"""An endpoint that serves queues over HTTP in a thread of this process."""

import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest

from sqsw.core.errors import SettingsError, SQSError
from sqsw.memory_sqs import MemorySession, serve
from sqsw.memory_sqs.endpoint import Endpoint
from tests.backends import wait_until


def page(url: str) -> str:
    """Return the metrics of the endpoint."""
    with urlopen(f"{url}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def test_an_endpoint_uses_another_port_if_its_own_is_in_use() -> None:
    first = Endpoint()
    second = Endpoint(port=first.port)
    assert second.port != first.port
    assert "sqsw_waiting_polls 0" in page(second.url)
    first.close()
    second.close()


def test_an_endpoint_refuses_requests_of_web_pages() -> None:
    endpoint = Endpoint()
    for headers in ({"Host": "rebound.evil.example"}, {"Origin": "http://evil.example"}):
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(f"{endpoint.url}/metrics", headers=headers), timeout=30)
        assert caught.value.code == 403
        caught.value.close()
    endpoint.close()


def test_an_endpoint_that_does_not_stop_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sqsw.memory_sqs.endpoint._END_SECONDS", 0.2)
    endpoint = Endpoint()
    server = endpoint._server
    monkeypatch.setattr(server, "stop", lambda: None)
    with pytest.raises(SQSError, match="did not stop within"):
        endpoint.close()
    monkeypatch.undo()
    server.stop()
    endpoint._thread.join(20)
    assert not endpoint._thread.is_alive()


def test_showing_another_session_ends_waiting_receives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session, endpoint = MemorySession(), Endpoint()
    client = boto3.client(
        "sqs",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    answers = []
    with endpoint.showing(session):
        url = client.create_queue(QueueName="emails")["QueueUrl"]
        waiting = threading.Thread(
            target=lambda: answers.append(client.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        )
        waiting.start()
        wait_until(lambda: "\nsqsw_waiting_polls 1" in page(endpoint.url), 20, "the receive")
    waiting.join(10)
    assert [answer.get("Messages") for answer in answers] == [None]
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.send_message(QueueUrl=url, MessageBody="x")
    endpoint.close()
    session.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_without_uvicorn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for start in (Endpoint, lambda: serve(None, port=0)):
        with pytest.raises(SettingsError, match="needs the package uvicorn") as caught:
            start()
        assert caught.value.next == "pip install 'sqsw[serve]'"
