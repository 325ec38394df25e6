"""Invalid responses never cause a crash, a hang, or a wrong message. boto3 has the same result."""

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sqsw.core.errors import ConnectionFailed, SQSError, UnexpectedAnswer
from sqsw.core.message import Lease, Message
from sqsw.transport import client as client_module
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.wire import calls as calls_module
from sqsw.transport.wire import connection as connection_module
from tests.unit.transport.test_answers import FOREIGN, JSON, WRONG
from tests.unit.transport.wire.scripted_server import (
    GOOD,
    ScriptedServer,
    always,
    good,
    queue_for,
    serving,
    source_for,
    with_body,
)

CALLS: dict[str, Callable[[QueueClient], Any]] = {
    "ReceiveMessage": lambda queue: [
        (m.message_id, m.receipt_handle, m.body, m.attributes, m.message_attributes)
        for m in queue.receive(10, visibility_timeout=30)
    ],
    "SendMessage": lambda queue: queue.send({"MessageBody": "x"})["MessageId"],
    "SendMessageBatch": lambda queue: queue.send_batch([{"MessageBody": "x"}]),
    "DeleteMessageBatch": lambda queue: queue.delete_batch(
        [Message("m", "r", "b", {}, {}, "jobs", 0.0, Lease())]
    ),
    "GetQueueAttributes": lambda queue: queue.attributes("QueueArn"),
}
#: the methods that make these calls
NAMES = dict(
    zip(CALLS, ("receive", "send", "send_batch", "delete_batch", "attributes"), strict=True)
)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn off the pauses of botocore and of the wire after a failure."""
    monkeypatch.setattr(calls_module, "_MAX_FAILURES", 10**9)
    monkeypatch.setattr(calls_module, "_LONG_PAUSE", -1.0)
    monkeypatch.setattr(calls_module, "_PAUSE_SECONDS", -1.0)
    # A connection that the server is about to close would swallow the next request.
    monkeypatch.setattr(connection_module, "_IDLE_SECONDS", -1.0)
    monkeypatch.setattr("urllib3.connectionpool.is_connection_dropped", lambda _: True)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as running:
        running.closes = True
        yield running


@pytest.fixture
def queues(server: ScriptedServer) -> list[QueueClient]:
    """Return clients for the same queue, one with the wire and one with only boto3."""
    return [queue_for(source_for(server.url, wire=wire)) for wire in (True, False)]


def outcome(call: Callable[[QueueClient], Any], queue: QueueClient) -> Any:
    """Return the result of a call, or its error, which must be an sqsw error."""
    try:
        return call(queue)
    except SQSError as error:
        # botocore writes an address without a path with or without the final slash.
        return type(error), str(error).rstrip("/"), str(error.why).replace('/"', '"'), error.code


def check(server: ScriptedServer, queues: list[QueueClient], action: str) -> Any:
    """Assert that both routes have the same outcome; return it."""
    by_wire, by_botocore = queues
    server.requests.clear()
    begun = time.monotonic()
    found = outcome(CALLS[action], by_wire)
    assert time.monotonic() - begun < 20
    assert not server.requests[0].is_of_botocore
    assert found == outcome(CALLS[action], by_botocore)
    return found


CHUNKED = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nTransfer-Encoding: chunked"
)


def chunks(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = [b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body))]
    return CHUNKED.encode() + b"\r\n\r\n" + b"".join(parts) + end


#: responses that are sent instead of a good one with this body
ANSWERS: dict[str, Callable[[bytes], bytes | None]] = {
    "nothing": lambda body: None,
    "an empty body": lambda body: with_body(b""),
    "half of the JSON": lambda body: with_body(body[: len(body) // 2]),
    "two values": lambda body: with_body(body + body),
    "a byte order mark": lambda body: with_body(b"\xef\xbb\xbf" + body),
    "UTF-16": lambda body: with_body(body.decode().encode("utf-16")),
    "not a number": lambda body: with_body(b'{"Messages":NaN,"MessageId":NaN}'),
    "deep lists": lambda body: with_body(b"[" * 100_000),
    "a page": lambda body: with_body(b"<html>"),
    "gzip": lambda body: with_body(gzip.compress(body), "200 OK", "Content-Encoding: gzip"),
    "gzip without a header": lambda body: with_body(gzip.compress(body)),
    "a shorter length": lambda body: with_body(body).replace(b"Length: ", b"Length: 1\r\nX: "),
    "a longer length": lambda body: with_body(body).replace(b"Length: ", b"Length: 9"),
    "a negative length": lambda body: with_body(body).replace(b"Length: ", b"Length: -"),
    "two lengths": lambda body: with_body(body, "200 OK", "Content-Length: 3"),
    "no length": lambda body: with_body(body).replace(b"Content-Length", b"X"),
    "chunks": chunks,
    "a broken chunk": lambda body: chunks(body, b"zz\r\n\r\n"),
    "no last chunk": lambda body: chunks(body, b""),
    "length and chunks": lambda body: chunks(body).replace(
        b"Transfer", b"Content-Length: 5\r\nTransfer", 1
    ),
    "100 Continue": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + with_body(body),
    "100 Continue alone": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n",
    "103 Early Hints": lambda body: b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" + with_body(body),
    "201": lambda body: with_body(body, "201 Created"),
    "204": lambda body: b"HTTP/1.1 204 No Content\r\n\r\n",
    "206": lambda body: with_body(body, "206 Partial Content"),
    "301": lambda body: with_body(body, "301 Moved", "Location: http://127.0.0.1:1/"),
    "302": lambda body: with_body(b"", "302 Found", "Location: http://127.0.0.1:1/?t=secret"),
    "304": lambda body: b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "307": lambda body: with_body(body, "307 Temporary", "Location: https://127.0.0.1:1/"),
    "400 with a page": lambda body: with_body(b"<html>", "400 Bad"),
    "400 with a number": lambda body: with_body(b'{"__type":5,"message":[]}', "400 Bad"),
    "403": lambda body: with_body(b'{"__type":"a#AccessDenied","message":"no"}', "403 No"),
    "404": lambda body: with_body(b"", "404 None"),
    "500": lambda body: with_body(body, "500 Error"),
    "503": lambda body: with_body(b"<html>", "503 Slow Down"),
    "status 99": lambda body: with_body(body, "99 What"),
    "HTTP/0.9": lambda body: body,
    "HTTP/1.0": lambda body: with_body(body).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/2": lambda body: with_body(body).replace(b"HTTP/1.1", b"HTTP/2"),
    "TLS": lambda body: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "a large header": lambda body: with_body(body, "200 OK", "X: " + "x" * 60_000),
    "many headers": lambda body: with_body(body, "200 OK", *["X: y"] * 90),
    "a folded header": lambda body: with_body(body, "200 OK", "X: y\r\n folded"),
    "a header of bytes": lambda body: with_body(body).replace(b"Type", b"Ty\xff\x00e"),
    "line ends of Unix": lambda body: with_body(body).replace(b"\r\n", b"\n"),
    "close": lambda body: with_body(body, "200 OK", "Connection: close"),
    "an upgrade": lambda body: with_body(
        body, "101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"
    ),
}

#: these must succeed; for the others, botocore's outcome is the expected one
_FINE = {"chunks", "100 Continue", "HTTP/1.0", "close", "no length"}


@pytest.mark.parametrize("action", CALLS)
def test_both_routes_read_odd_responses_in_the_same_way(
    server: ScriptedServer, queues: list[QueueClient], action: str
) -> None:
    body = json.dumps(GOOD[action]).encode()
    server.answer = good
    expected = check(server, queues, action)
    for name, odd in ANSWERS.items():
        sent = odd(body)
        server.answer = always(sent)
        found = check(server, queues, action)
        if name in _FINE:
            assert found == expected, name


def test_both_routes_time_out_on_an_incomplete_response(
    server: ScriptedServer, queues: list[QueueClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (calls_module, "_ANSWER_SECONDS"),
        (calls_module, "_AFTER_WAIT_SECONDS"),
        (calls_module, "_SEND_SECONDS"),
        (client_module, "_ANSWER_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.2)
    monkeypatch.setattr(client_module, "MAX_WAIT_SECONDS", 0)
    server.closes = False
    for odd in ("nothing yet", "a longer length", "no last chunk", "100 Continue alone"):
        sent = ANSWERS[odd](b"{}") if odd in ANSWERS else b""
        server.answer = always(sent)
        for action in ("ReceiveMessage", "SendMessage"):
            failed = check(server, queues, action)
            assert failed[0] is ConnectionFailed, (odd, failed)


@pytest.mark.parametrize("action", CALLS)
def test_both_routes_refuse_responses_of_other_servers(
    server: ScriptedServer, queues: list[QueueClient], action: str
) -> None:
    answers = [
        (200, JSON, json.dumps(value).encode()) for name, value in WRONG if name == NAMES[action]
    ]
    for status, headers, body in (*FOREIGN.values(), *answers):
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status} X", *lines, f"Content-Length: {len(body)}", "", ""])
        server.answer = always(head.encode() + body)
        assert check(server, queues, action)[0] is UnexpectedAnswer, (status, body[:50])


#: values of other types, which are put into correct responses
_OTHERS: list[Any] = [None, True, 0, 1.5, "", "x", [], ["x"], [None], {}, {"a": 1}, [[]]]


def changed(value: Any, chance: random.Random) -> Any:
    """Return the value with one part replaced, removed, or added."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        match chance.randrange(8):
            case 0:
                return {name: value[name] for name in value if name != key}
            case 1 if "Successful" in value:
                return {**value, "Failed": chance.choice(_OTHERS)}
            case _:
                return {**value, key: changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        return [changed(value[0], chance), *value[1:]]
    return chance.choice(_OTHERS)


@pytest.mark.parametrize("action", CALLS)
def test_both_routes_treat_values_of_other_types_in_the_same_way(
    server: ScriptedServer, queues: list[QueueClient], action: str
) -> None:
    chance = random.Random(action)
    value = GOOD[action]
    if action == "ReceiveMessage":
        attributes = {"a": {"DataType": "Binary", "BinaryValue": "AAE="}}
        value = {"Messages": [{**value["Messages"][0], "MessageAttributes": attributes}]}
    for _ in range(60):
        sent = with_body(json.dumps(changed(value, chance)).encode())
        server.answer = always(sent)
        check(server, queues, action)


def test_both_routes_treat_changed_bytes_in_the_same_way(
    server: ScriptedServer, queues: list[QueueClient]
) -> None:
    chance = random.Random(3)
    whole = with_body(json.dumps(GOOD["ReceiveMessage"]).encode())
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        server.answer = always(bytes(data))
        check(server, queues, "ReceiveMessage")


@pytest.mark.parametrize("megabytes", [5, 7])
def test_a_large_response_is_read_as_boto3_reads_it(server: ScriptedServer, megabytes: int) -> None:
    """The wire reads ten messages of 5 MB. Ten messages of 7 MB are left to boto3."""
    message = {**GOOD["ReceiveMessage"]["Messages"][0], "Body": "x" * megabytes * 1_000_000}
    sent = with_body(json.dumps({"Messages": [message] * 10}).encode())
    server.answer = always(sent)
    server.requests.clear()
    queue = queue_for(source_for(server.url))
    assert [len(m.body) for m in queue.receive(10)] == [megabytes * 1_000_000] * 10
    assert [request.is_of_botocore for request in server.requests] == [False, True][: megabytes - 4]
