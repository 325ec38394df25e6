"""A server that records raw requests and answers them as the test specifies."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3

from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient

#: possible responses of SQS to calls with one entry
GOOD: dict[str, dict[str, Any]] = {
    "ReceiveMessage": {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}]},
    "DeleteMessageBatch": {"Successful": [{"Id": "0"}]},
    "ChangeMessageVisibilityBatch": {"Successful": [{"Id": "0"}]},
    "SendMessage": {"MessageId": "m", "MD5OfMessageBody": "d"},
    "SendMessageBatch": {"Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "d"}]},
    "GetQueueUrl": {"QueueUrl": "http://queue.example/1/jobs"},
    "GetQueueAttributes": {"Attributes": {"QueueArn": "arn:aws:sqs:eu-west-1:1:jobs"}},
}


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    connection :
        The number of its connection; the first is 0.
    """

    connection: int
    headers: dict[str, str]
    body: bytes

    @property
    def action(self) -> str:
        return self.headers["x-amz-target"].removeprefix("AmazonSQS.")

    @property
    def is_of_botocore(self) -> bool:
        return "amz-sdk-invocation-id" in self.headers


#: returns the bytes of the response; None closes the connection without one
AnswerOf = Callable[[Request], bytes | None]


def good(request: Request) -> bytes:
    """Return a response like that of SQS."""
    return with_body(json.dumps(GOOD[request.action]).encode())


def always(answer: bytes | None) -> AnswerOf:
    """Return a function that answers every request with these bytes."""
    return lambda _: answer


def with_body(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/x-amz-json-1.0",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class ScriptedServer:
    """A server with one thread per connection.

    Parameters
    ----------
    answer :
        Answers each request; it can be replaced at any time.
    tls :
        The TLS context; None for plain HTTP.
    """

    def __init__(self, answer: AnswerOf = good, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        #: whether it closes each connection after one response
        self.closes = False
        self.requests: list[Request] = []
        #: received bytes that are not part of a complete request
        self.rest = b""
        #: the number of accepted connections, with or without a completed TLS handshake
        self.accepted = 0
        #: the number of connections that the client closed
        self.left = 0
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        port = self._listening.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                arguments = (accepted, self.accepted)
                self.accepted += 1
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while (request := self._read(connection, number)) is not None:
                    self.requests.append(request)
                    answer = self.answer(request)
                    if answer is None:
                        return
                    connection.sendall(answer)
                    if self.closes:
                        return

    def _read(self, connection: socket.socket, number: int) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                self.left += 1
                self.rest += data
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lines = [line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:]]
        headers = {name.lower(): value.strip() for name, value in lines}
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65536)
        return Request(number, headers, body)


@contextmanager
def serving(answer: AnswerOf = good, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    server = ScriptedServer(answer, tls)
    try:
        yield server
    finally:
        server.close()


def source_for(url: str, *, wire: bool = True, session: Any = None) -> ClientSource:
    """Return a source with credentials that tests can search for; optionally without the wire."""
    session = session or boto3.session.Session("my-id", "my-secret", "my-token", "eu-west-1")
    source = ClientSource(session, endpoint_url=url, retry_max_attempts=1, wire=wire)
    assert source.way[0] == ("wire" if wire else "boto3")
    return source


def queue_for(source: ClientSource) -> QueueClient:
    """Return a client for a queue with a known URL, so it is not looked up."""
    return QueueClient(source, "jobs", "jobs", "http://queue.example/1/jobs")
