"""Responses of SQS are read as botocore reads them. All other responses are errors."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest

from sqsw import SQSEnv
from sqsw.core.errors import SQSError, UnexpectedAnswer
from sqsw.transport.batches import read_batch
from sqsw.transport.queue_client import QueueClient

Answer = tuple[int, dict[str, str], bytes]

JSON = {"Content-Type": "application/x-amz-json-1.0"}
HTML = {"Content-Type": "text/html"}
PLAIN_JSON = {"Content-Type": "application/json"}

#: answers of other servers to any request
FOREIGN: dict[str, Answer] = {
    "a page": (200, HTML, b"<!DOCTYPE html><html><body>Log in</body></html>"),
    "an empty page": (200, HTML, b""),
    "an empty body": (200, PLAIN_JSON, b""),
    "spaces": (200, {}, b"\n\n"),
    "an object": (200, PLAIN_JSON, b"{}"),
    "null": (200, PLAIN_JSON, b"null"),
    "null of SQS": (200, JSON, b"null"),
    "a list": (200, PLAIN_JSON, b"[]"),
    "a text": (200, PLAIN_JSON, b'"ok"'),
    "no JSON": (200, {"Content-Type": "text/plain"}, b"ok"),
    "another service": (200, PLAIN_JSON, b'{"status":"green","nodes":[1,2]}'),
    "no content": (204, {}, b""),
    "accepted": (202, PLAIN_JSON, b'{"QueueUrl":"http://x/1/q","Messages":[]}'),
    "a redirect": (302, {"Location": "http://login.example/"}, b""),
    "another redirect": (307, {"Location": "http://login.example/"}, b"{}"),
    "half an object": (200, JSON, b'{"QueueUrl":"http://x/1/q","Messages":[{"MessageId":"'),
    "deep lists": (200, JSON, b'{"Messages":' + b"[" * 100_000),
    "another encoding": (200, JSON, b'{"QueueUrl":"\xff"}'),
    "a byte order mark": (200, JSON, b'\xef\xbb\xbf{"QueueUrl":"http://x/1/q","TaskHandle":"t"}'),
    "UTF-16": (200, JSON, '{"QueueUrl":"http://x/1/q","TaskHandle":"t"}'.encode("utf-16")),
    "an XML document": (200, {"Content-Type": "text/xml"}, b"<SendMessageResponse/>"),
}

ENTRY = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}

#: responses to one operation that look like those of SQS but are invalid
WRONG: list[tuple[str, Any]] = [
    ("receive", {"Messages": {}}),
    ("receive", {"Messages": "none"}),
    ("receive", {"Messages": [None]}),
    ("receive", {"Messages": ["text"]}),
    ("receive", {"Messages": [{}]}),
    ("receive", {"Messages": [{**ENTRY, "Body": None}]}),
    ("receive", {"Messages": [{**ENTRY, "Body": {"a": 1}}]}),
    ("receive", {"Messages": [{**ENTRY, "MessageId": 5}]}),
    ("receive", {"Messages": [{**ENTRY, "ReceiptHandle": None}]}),
    ("receive", {"Messages": [{**ENTRY, "Attributes": ["x"]}]}),
    ("receive", {"Messages": [{**ENTRY, "Attributes": 0}]}),
    ("receive", {"Messages": [{**ENTRY, "MessageAttributes": ""}]}),
    ("receive", {"Messages": [{**ENTRY, "Attributes": {"SentTimestamp": 5}}]}),
    ("receive", {"Messages": [{**ENTRY, "MessageAttributes": {"a": "text"}}]}),
    ("receive", {"Messages": [{**ENTRY, "MessageAttributes": {"a": {"StringValue": "x"}}}]}),
    ("receive", {"Messages": [{**ENTRY, "MessageAttributes": {"a": {"DataType": "Binary"}}}]}),
    *(
        ("receive", {"Messages": [{**ENTRY, "MessageAttributes": {"a": value}}]})
        for value in (
            {"DataType": "Binary", "BinaryValue": "\u20ac"},
            {"DataType": "Binary", "BinaryValue": "abc"},
        )
    ),
    ("find", {}),
    ("find", {"QueueUrl": None}),
    ("find", {"QueueUrl": ""}),
    ("find", {"QueueUrl": 5}),
    ("send", {}),
    ("send", {"MessageId": ""}),
    ("send", {"MessageId": ["m"]}),
    ("send_batch", {}),
    ("send_batch", {"Successful": [], "Failed": []}),
    ("send_batch", {"Successful": [{"Id": "0"}]}),
    ("send_batch", {"Successful": ["0"]}),
    ("send_batch", {"Successful": {"Id": "0"}}),
    ("send_batch", {"Failed": [{"Code": "x"}]}),
    ("send_batch", {"Successful": [{"Id": "0", "MessageId": "m"}], "Failed": 0}),
    ("send_batch", {"Successful": False, "Failed": [{"Id": "0"}]}),
    ("delete_batch", {}),
    ("delete_batch", {"Successful": [{"Id": 0}]}),
    ("delete_batch", {"Successful": [{}]}),
    ("change_visibility_batch", {}),
    ("change_visibility_batch", {"Failed": [None]}),
    ("attributes", {}),
    ("attributes", {"Attributes": []}),
    ("depth", {}),
    ("depth", {"Attributes": {"RedrivePolicy": "{}"}}),
    ("attributes", {"Attributes": {"QueueArn": 5}}),
    ("attributes", {"Attributes": {"QueueArn": "a", "VisibilityTimeout": "soon"}}),
    ("start_move", {}),
    ("purge", []),
    ("delete_queue", "done"),
]


class Server:
    """An HTTP server with the same response to every request."""

    def __init__(self) -> None:
        self.answer: Answer = (200, {}, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, body = outer.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def says(self, value: Any) -> None:
        """Answer all requests with this value, as SQS would."""
        self.answer = (200, JSON, json.dumps(value).encode())

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def queue(server: Server) -> QueueClient:
    # All tests share one client, which has no state: creating it takes longer than a test.
    session = boto3.session.Session(
        aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1"
    )
    env = SQSEnv(session, endpoint_url=server.url, retry_max_attempts=0)
    return env.queue_client(f"{server.url}/000000000000/emails")


def call(queue: QueueClient, name: str) -> Any:
    """Make one call on the queue; ``find`` looks up another queue by name."""
    server_url = queue.boto3_client.meta.endpoint_url
    messages: Any = []
    if name in ("delete_batch", "change_visibility_batch"):
        from sqsw.core.message import Message

        messages = [Message(str(i), "r", "", queue_name="emails") for i in range(2)]
    entry = {"MessageBody": "x"}
    calls = {
        "find": lambda: QueueClient(queue._clients, "q", "q").url,
        "receive": lambda: queue.receive(10),
        "send": lambda: queue.send(entry),
        "send_batch": lambda: queue.send_batch([entry, entry]),
        "lean_batch": lambda: queue.send_batch([entry, entry], lean=True),
        "delete_batch": lambda: queue.delete_batch(messages),
        "change_visibility_batch": lambda: queue.change_visibility_batch(
            [(message, 5) for message in messages]
        ),
        "attributes": queue.attributes,
        "depth": lambda: queue.attributes("ApproximateNumberOfMessages", "RedrivePolicy"),
        "set_attributes": lambda: queue.set_attributes({"VisibilityTimeout": "5"}),
        "purge": queue.purge,
        "delete_queue": queue.delete_queue,
        "start_move": lambda: queue.start_move("arn:aws:sqs:eu-west-1:0:emails", None, None),
        "moves": lambda: queue.moves("arn:aws:sqs:eu-west-1:0:emails"),
        "cancel_move": lambda: queue.cancel_move("handle"),
        "dead_letter_sources": queue.dead_letter_sources,
    }
    assert server_url
    return calls[name]()


CALLS = (
    *("find", "receive", "send", "send_batch", "lean_batch", "delete_batch"),
    *("change_visibility_batch", "attributes", "set_attributes", "purge", "delete_queue"),
    *("start_move", "moves", "cancel_move", "dead_letter_sources"),
)


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", CALLS)
def test_an_answer_from_another_server_is_an_error_in_three_parts(
    server: Server, queue: QueueClient, name: str, kind: str
) -> None:
    if name in ("set_attributes", "purge", "delete_queue") and kind == "half an object":
        server.answer = (200, JSON, b'{"a":')
    else:
        server.answer = FOREIGN[kind]
    with pytest.raises(UnexpectedAnswer, match="like SQS") as caught:
        call(queue, name)
    assert server.url in caught.value.message
    assert caught.value.why
    assert "endpoint" in (caught.value.next or "")


@pytest.mark.parametrize(("name", "answer"), WRONG)
def test_an_answer_without_its_required_members_is_an_error(
    server: Server, queue: QueueClient, name: str, answer: Any
) -> None:
    server.says(answer)
    with pytest.raises(UnexpectedAnswer):
        call(queue, name)
    if name == "send_batch":
        with pytest.raises(UnexpectedAnswer):
            call(queue, "lean_batch")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"ok"', b"5", b"\xe4<html>", b"<html>", b'{"__type":5}', b"  \n",
     b'{"message":{"a":1}}', b"[" * 100_000, b'{"Message":null}'],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 502, 511])
def test_an_error_of_another_server_becomes_an_sqsw_error(
    server: Server, queue: QueueClient, status: int, body: bytes
) -> None:
    server.answer = (status, HTML, body)
    for name in ("receive", "delete_batch", "attributes"):
        with pytest.raises(SQSError):
            call(queue, name)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "r"}, b""),
        (200, {"x-amzn-RequestId": "r"}, b"{}"),
        (200, JSON, b"{}"),
        (200, {}, b""),  # ElasticMQ
    ],
)
def test_answers_to_calls_without_a_result_are_accepted(
    server: Server, queue: QueueClient, answer: Answer
) -> None:
    server.answer = answer
    for name in ("set_attributes", "purge", "delete_queue"):
        assert call(queue, name) is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b"{}"),
        (JSON, b'{"Messages":null}'),
        ({"x-amzn-RequestId": "r"}, b"{}"),
        (PLAIN_JSON, b'{"Messages":[]}'),  # ElasticMQ
    ],
)
def test_a_receive_can_return_no_messages(
    server: Server, queue: QueueClient, headers: dict[str, str], body: bytes
) -> None:
    server.answer = (200, headers, body)
    assert call(queue, "receive") == []


def test_a_received_message_is_read_as_botocore_reads_it(
    server: Server, queue: QueueClient
) -> None:
    picture = {"DataType": "Binary.png", "BinaryValue": "AAEC"}
    server.says({"Messages": [{**ENTRY, "Body": "Grüße", "MessageAttributes": {"a": picture}}]})
    (message,) = call(queue, "receive")
    assert message.body == "Grüße"
    assert message.message_attributes == {"a": {**picture, "BinaryValue": b"\0\1\2"}}


DONE, REFUSED = {"Id": "0"}, {"Id": "1", "Code": "c", "Message": "m", "SenderFault": True}


@pytest.mark.parametrize(
    ("answer", "done", "codes"),
    [
        ({"Successful": [DONE, {"Id": "1"}]}, [0, 1], []),
        ({"Successful": [DONE], "Failed": [REFUSED]}, [0], ["c"]),
        ({"Successful": [DONE], "Failed": None}, [0], ["NoAnswer"]),
        ({"Failed": [REFUSED]}, [], ["NoAnswer", "c"]),
        ({"Successful": [DONE, DONE]}, [0], ["NoAnswer"]),
        ({"Successful": [DONE, {"Id": "7"}, {"Id": "x"}]}, [0], ["NoAnswer"]),
        ({"Successful": [DONE, {"Id": "1"}], "Failed": [REFUSED]}, [0], ["c"]),
        ({"Successful": [{"Id": "00"}, {"Id": " 1"}]}, [], ["NoAnswer", "NoAnswer"]),
    ],
)
def test_an_entry_succeeds_only_if_sqs_confirms_it(
    server: Server, queue: QueueClient, answer: Any, done: list[int], codes: list[str]
) -> None:
    sent, failures = read_batch(answer, 2)
    assert list(sent) == done
    assert [failure.code for failure in failures] == codes
    server.says(answer)
    for name in ("delete_batch", "change_visibility_batch"):
        assert call(queue, name) == failures


def test_null_lists_are_read_as_empty(server: Server, queue: QueueClient) -> None:
    server.says({"QueueUrls": None, "queueUrls": None, "Results": None, "Tags": None})
    assert call(queue, "moves") == call(queue, "dead_letter_sources") == []


@pytest.mark.parametrize("end", ["?token=secret", "#access_token=secret", ";token=secret"])
def test_a_redirect_is_shown_without_a_token(server: Server, queue: QueueClient, end: str) -> None:
    server.answer = (302, {"Location": f"https://ann:secret@login.example/in{end}"}, b"")
    with pytest.raises(UnexpectedAnswer, match=r"https://login\.example/in' ") as caught:
        call(queue, "receive")
    assert "secret" not in str(caught.value.why)


def test_an_error_does_not_quote_an_echoed_request(server: Server, queue: QueueClient) -> None:
    for body in (b'{"X-Amz-Security-Token":"FwoGZXsecret"}', b"FwoGZXsecret", b"<p>FwoGZXsecret"):
        server.answer = (200, {"Content-Type": "text/\x9b31mred"}, body)
        with pytest.raises(UnexpectedAnswer) as caught:
            call(queue, "receive")
        told = f"{caught.value.message} {caught.value.why} {caught.value.next}"
        assert "secret" not in told
        assert told.isprintable()
