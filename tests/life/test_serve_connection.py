"""Connections that no AWS SDK makes: slow, broken, too large, or with an offer to upgrade."""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.http.server import LocalServer
from tests.life.serving import Serving, read_answer, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving("--memory") as running:
        yield running


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A server in this process that gives its clients half a second for a request."""
    from sqsw.local.http import connection

    monkeypatch.setattr(connection.Connection, "request_seconds", 0.5)
    server = LocalServer(LocalEngine(None), "127.0.0.1", 0)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,))
    thread.start()
    assert ready.wait(20)
    process: Any = None
    yield Serving(process, {"url": server.url, "port": server.port})
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


def answer_of(running: Serving, data: bytes) -> bytes:
    """Return all bytes until the server closes the connection."""
    parts = []
    with running.connect(data) as connection:
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /health HT",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Half: a",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
    ],
    ids=["request line", "header", "body"],
)
def test_an_incomplete_request_times_out(hasty: Serving, data: bytes) -> None:
    begun = time.monotonic()
    answer = answer_of(hasty, data)
    assert time.monotonic() - begun < 10
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"<Code>RequestTimeout</Code>" in answer


def test_a_receive_can_wait_longer_than_a_request_can_take_to_arrive(hasty: Serving) -> None:
    hasty.page("/", Action="CreateQueue", QueueName="q")
    begun = time.monotonic()
    answer = hasty.page("/000000000000/q", Action="ReceiveMessage", WaitTimeSeconds="1")
    assert "<ReceiveMessageResult/>" in answer
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=["garbage", "path", "connect", "lengths", "address", "header"],
)
def test_an_invalid_request_gets_an_answer_in_the_format_of_sqs(
    server: Serving, data: bytes, status: int
) -> None:
    with server.connect(data) as connection:
        answer = read_answer(connection)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: text/xml\r\n" in answer
    assert answer.endswith(b"</ErrorResponse>")


def test_too_large_a_body_is_refused_and_the_connection_stays_open(server: Serving) -> None:
    body = b"a" * (9 * 1024 * 1024)
    headers = (
        f"Host: localhost\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: {len(body)}"
    )
    with server.connect(f"POST / HTTP/1.1\r\n{headers}\r\n\r\n".encode()) as connection:
        connection.sendall(body)
        refused = read_answer(connection)
        assert refused.startswith(b"HTTP/1.1 413 ")
        assert b'"__type": "com.amazonaws.sqs#RequestEntityTooLarge"' in refused
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


def test_the_largest_message_is_accepted(server: Serving) -> None:
    client = server.client()
    url = client.create_queue(QueueName="large")["QueueUrl"]
    body = "é" * (512 * 1024)  # 1 MiB in UTF-8; three times as much as botocore writes it
    client.send_message(QueueUrl=url, MessageBody=body)
    (message,) = client.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == body


def test_garbage_after_a_request_does_not_take_its_answer(server: Serving) -> None:
    answer = answer_of(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGARBAGE\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"status": "ok"}')


def test_pipelined_requests_are_answered_in_order(server: Serving) -> None:
    second = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = answer_of(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + second)
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", answer) == [b"200", b"404"]


def test_a_waiting_receive_delays_the_next_request_of_its_own_client(server: Serving) -> None:
    server.page("/", Action="CreateQueue", QueueName="in-line")
    query = "Action=ReceiveMessage&WaitTimeSeconds=1"
    first = f"GET /000000000000/in-line?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    answer = answer_of(server, first + b"GET /health HTTP/1.0\r\n\r\n")
    assert re.findall(rb"<ReceiveMessageResult/>|ok", answer) == [b"<ReceiveMessageResult/>", b"ok"]


def test_a_client_that_waits_for_100_continue_gets_it(server: Serving) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 38\r\n\r\n"
    )
    with server.connect(head) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"Action=ListQueues&Version=2012-11-05  ")
        assert b"<ListQueuesResult" in read_answer(connection)


def test_the_head_of_a_page_alone(server: Serving) -> None:
    answer = answer_of(
        server, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert b"content-length: 16\r\n" in answer.lower()
    assert answer.endswith(b"\r\n\r\n")


def test_the_server_stops_reading_from_a_client_that_reads_no_answers(hasty: Serving) -> None:
    """Unread answers would fill the memory. Meanwhile, other clients get their answers."""
    figures = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with hasty.connect() as connection:
        connection.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < 50_000_000:
                sent += connection.send(figures * 1000)
                time.sleep(0.001)
        assert "ok" in hasty.page("/health")


# -- a client that offers another protocol (RFC 9110, 7.8) gets an answer in HTTP/1.1 ---------

OFFER = (
    b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAE\r\n"
)
LIST = b"Action=ListQueues&Version=2012-11-05"
#: Java's own client writes its first request like this.
OFFERED = b"POST / HTTP/1.1\r\n" + OFFER + b"Content-Length: %d\r\n\r\n" % len(LIST) + LIST


@pytest.mark.parametrize("cut", [0, 30, OFFERED.index(LIST), len(OFFERED) - 1])
def test_an_upgrade_offer_does_not_lose_the_body(server: Serving, cut: int) -> None:
    with server.connect(OFFERED[:cut]) as connection:
        time.sleep(0.05)  # so that the server reads it in two pieces
        connection.sendall(OFFERED[cut:])
        answer = read_answer(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"<ListQueuesResult" in answer
        connection.sendall(OFFERED)
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


def test_an_upgrade_offer_with_a_chunked_body(server: Serving) -> None:
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, LIST[:10], len(LIST) - 10, LIST[10:])
    request = b"POST / HTTP/1.1\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    with server.connect(request) as connection:
        assert b"<ListQueuesResult" in read_answer(connection)


def test_pipelined_upgrade_offers_are_answered_in_order(server: Serving) -> None:
    health = b"GET /health HTTP/1.1\r\n" + OFFER
    last = health + b"Connection: close\r\n\r\n"
    answer = answer_of(server, OFFERED + health + b"\r\n" + OFFERED + last)
    assert re.findall(rb"<ListQueuesResult|ok", answer) == [b"<ListQueuesResult", b"ok"] * 2


def test_an_upgrade_offer_bypasses_no_limit(server: Serving, hasty: Serving) -> None:
    long = b"GET / HTTP/1.1\r\n" + OFFER + b"X: " + b"a" * 70_000 + b"\r\n\r\n"
    with server.connect(long) as connection:
        assert read_answer(connection).startswith(b"HTTP/1.1 431 ")
    assert answer_of(hasty, OFFERED[:-1]).startswith(b"HTTP/1.1 408 ")
