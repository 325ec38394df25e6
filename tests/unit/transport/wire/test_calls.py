"""Calls over the wire: retries, pauses, credentials, secrets, and idle connections."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.credentials import RefreshableCredentials

from sqsw.core.calls import NotPlain
from sqsw.core.errors import ConnectionFailed, SQSError
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Lease, Message
from sqsw.transport import client as client_module
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.wire import calls as calls_module
from tests.backends import wait_until
from tests.unit.transport.wire.scripted_server import (
    Request,
    ScriptedServer,
    always,
    good,
    queue_for,
    serving,
    source_for,
    with_body,
)


@pytest.fixture(autouse=True)
def no_pauses_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


def failing_once(first: bytes | None, then: float = 0.0) -> Callable[[Request], bytes | None]:
    """Answer the wire with ``first``, and botocore correctly after ``then`` seconds."""

    def answer(request: Request) -> bytes | None:
        if not request.is_of_botocore:
            return first
        time.sleep(then)
        return good(request)

    return answer


def ways(server: ScriptedServer) -> list[str]:
    return ["boto3" if request.is_of_botocore else "wire" for request in server.requests]


MESSAGE = Message("m", "r", "b", {}, {}, "jobs", 0.0, Lease())


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.receive(),
        lambda queue: queue.delete_batch([MESSAGE]),
        lambda queue: queue.change_visibility_batch([(MESSAGE, 5)]),
    ],
    ids=["receive", "delete", "change"],
)
def test_a_call_that_its_caller_retries_is_not_repeated_after_a_timeout(
    call: Callable[[QueueClient], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(calls_module, "_AFTER_WAIT_SECONDS", 0.2)
    with serving(failing_once(b"")) as server:
        queue = queue_for(source_for(server.url))
        with pytest.raises(ConnectionFailed) as kept:
            call(queue)
        assert ways(server) == ["wire"]
        wait_until(lambda: server.left, 10, "the end of the connection")
        assert kept.value.__cause__


@pytest.mark.parametrize("wire", [True, False], ids=["wire", "boto3"])
@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_return_is_not_repeated_without_an_answer(answer: bytes | None, wire: bool) -> None:
    def cut(request: Request) -> bytes | None:
        return answer

    with serving(cut) as server:
        queue = queue_for(source_for(server.url, wire=wire))
        with pytest.raises(ConnectionFailed) as caught:
            queue.change_visibility_batch([(MESSAGE, 0)], once=True)
        assert caught.value.reason == "no_answer"
        assert ways(server) == ["wire" if wire else "boto3"]


def test_a_send_is_repeated_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "_SEND_SECONDS", 0.2)
    with serving(failing_once(b"")) as server:
        answer = queue_for(source_for(server.url)).send({"MessageBody": "x"})
        assert answer["MessageId"] == "m"
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1
        assert ways(server) == ["wire", "boto3"]


@pytest.mark.parametrize("first", [None, with_body(b"", "500 Error")], ids=["cut", "500"])
def test_the_lease_of_a_repeated_receive_covers_both_attempts(
    first: bytes | None,
) -> None:
    with serving(failing_once(first, then=0.3)) as server:
        asked = lease_time()
        (message,) = queue_for(source_for(server.url)).receive(visibility_timeout=30)
        ended = lease_time()
        assert ways(server) == ["wire", "boto3"]
    assert asked <= message.lease.sure_until - 30 <= ended - 0.3
    assert asked + 0.3 <= message.lease.expires_at - 30 <= ended


def test_the_lease_of_a_receive_starts_at_the_request() -> None:
    def slow(request: Request) -> bytes:
        time.sleep(0.3)
        return good(request)

    with serving(slow) as server:
        asked = lease_time()
        (message,) = queue_for(source_for(server.url)).receive(visibility_timeout=30)
        assert message.lease.expires_at == message.lease.sure_until
        assert asked <= message.lease.expires_at - 30 <= lease_time() - 0.3
        assert ways(server) == ["wire"]


def test_after_one_response_that_is_not_http_boto3_makes_the_calls() -> None:
    odd = b"HTTP/1.1 200 OK\nContent-Length: 17\n\n" + b'{"MessageId":"m"}'
    with serving(always(odd)) as server:
        queue = queue_for(source_for(server.url))
        for expected in (["wire", "boto3"], ["boto3"], ["boto3"]):
            server.requests.clear()
            queue.send({"MessageBody": "x"})
            assert ways(server) == expected


def test_the_number_of_idle_connections_is_limited() -> None:
    with serving(good) as server:
        source = source_for(server.url)
        queue = queue_for(source)
        begin = threading.Barrier(40)

        def send() -> None:
            begin.wait(10)
            queue.send({"MessageBody": "x"})

        threads = [threading.Thread(target=send) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        calls: Any = source._route_of(source._process_now()).calls
        assert 1 <= len(calls._idle) <= calls_module._MAX_IDLE


def test_the_wire_pauses_after_five_failures_in_a_row_and_resumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(calls_module, "time", SimpleNamespace(monotonic=lambda: now))
    with serving(failing_once(None)) as server:
        queue = queue_for(source_for(server.url))

        def send() -> list[str]:
            server.requests.clear()
            queue.send({"MessageBody": "x"})
            return ways(server)

        for _ in range(5):
            assert send() == ["wire", "boto3"]
        assert send() == ["boto3"]
        now += 29.9
        assert send() == ["boto3"]
        now += 0.2
        assert send() == ["wire", "boto3"]  # still failing, so the wire pauses again at once
        assert send() == ["boto3"]
        now += 30.1
        server.answer = good
        assert send() == ["wire"]
        server.answer = failing_once(None)
        for _ in range(5):
            assert send() == ["wire", "boto3"]
        assert send() == ["boto3"]


def test_refused_calls_do_not_count_as_wire_failures() -> None:
    refused = with_body(b'{"__type":"a#InvalidMessageContents","message":"no"}', "400 Bad")
    with serving(always(refused)) as server:
        queue = queue_for(source_for(server.url))
        for _ in range(7):
            server.requests.clear()
            with pytest.raises(SQSError):
                queue.send({"MessageBody": "x"})
            assert ways(server) == ["wire", "boto3"]


def test_changed_credentials_are_used_by_the_next_call() -> None:
    count = 0

    def fetch() -> dict[str, str]:
        nonlocal count
        count += 1
        return {
            "access_key": f"id-{count}",
            "secret_key": f"secret-{count}",
            "token": f"token-{count}",
            # They expire so soon that each call fetches new ones.
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=60)).isoformat(),
        }

    session = boto3.session.Session(region_name="eu-west-1")
    core: Any = session._session
    core._credentials = RefreshableCredentials.create_from_metadata(fetch(), fetch, "test")
    with serving() as server:
        queue = queue_for(source_for(server.url, session=session))
        for _ in range(3):
            queue.send({"MessageBody": "x"})
        assert ways(server) == ["wire"] * 3
        sent = [request.headers for request in server.requests]
    ids = [headers["authorization"].split("=")[1].split("/")[0] for headers in sent]
    assert len(set(ids)) == 3
    assert [id_.replace("id", "token") for id_ in ids] == [
        headers["x-amz-security-token"] for headers in sent
    ]


@pytest.mark.parametrize(
    "answer",
    [None, with_body(b"", "500 Error"), with_body(b"{"), with_body(b"{}", "403 No"), b"x\r\n\r\n"],
    ids=["cut", "500", "broken JSON", "403", "not HTTP"],
)
def test_a_failing_call_does_not_show_credentials(
    answer: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(always(answer)) as server:
        source = source_for(server.url)
        queue = queue_for(source)
        calls: Any = source._route_of(source._process_now()).calls
        for call in (queue.receive, lambda: queue.send({"MessageBody": "x"})):
            with pytest.raises(SQSError) as caught:
                call()
            with pytest.raises(NotPlain) as below:
                calls.call("ReceiveMessage", {"QueueUrl": "http://queue.example/1/jobs"})
            shown = [
                *traceback.format_exception(caught.value),
                *traceback.format_exception(below.value),
                *map(repr, (source, queue, calls, calls.endpoint, calls._signer, *calls._idle)),
                *(record.getMessage() for record in caplog.records if "sqsw" in record.name),
            ]
            for word in ("my-id", "my-secret", "my-token", "AWS4-HMAC-SHA256", "Signature="):
                assert not any(word in text for text in shown), word


def test_a_connection_that_the_server_closed_is_not_reused() -> None:
    with serving() as server:
        server.closes = True
        source = source_for(server.url)
        queue = queue_for(source)
        calls: Any = source._route_of(source._process_now()).calls
        for number in range(3):
            assert "ResponseMetadata" not in queue.send({"MessageBody": "x"})
            wait_until(lambda: calls._idle[0].is_stale, 10, "the end of the connection")
            assert server.requests[-1].connection == number
        assert ways(server) == ["wire"] * 3
        assert len(calls._idle) == 1


def test_an_open_connection_is_reused() -> None:
    with serving() as server:
        queue = queue_for(source_for(server.url))
        for _ in range(3):
            queue.send({"MessageBody": "x"})
        assert {request.connection for request in server.requests} == {0}


def test_a_call_to_a_silent_server_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "_SEND_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "MAX_WAIT_SECONDS", 0)
    monkeypatch.setattr(client_module, "_ANSWER_SECONDS", 0.2)
    with serving(always(b"")) as server:
        begun = time.monotonic()
        with pytest.raises(ConnectionFailed):
            queue_for(source_for(server.url)).send({"MessageBody": "x"})
        assert time.monotonic() - begun < 10
        assert ways(server) == ["wire", "boto3", "boto3"]
