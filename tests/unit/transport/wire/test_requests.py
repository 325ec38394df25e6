"""The wire sends the same action, body, and headers as botocore."""

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from sqsw.core.message import Lease, Message
from sqsw.transport.client import ClientSource
from tests.unit.transport.wire.scripted_server import (
    GOOD,
    Request,
    ScriptedServer,
    queue_for,
    serving,
    source_for,
    with_body,
)

#: headers that SQS reads and that do not depend on the time
_SAME_HEADERS = (
    "host",
    "content-type",
    "x-amz-target",
    "x-amzn-query-mode",
    "x-amz-security-token",
)

_ATTRIBUTES: dict[str, Any] = {
    "Text": {"DataType": "String", "StringValue": 'Grüße \u2028 \U0001f680 "quoted" \\'},
    "Count": {"DataType": "Number.int", "StringValue": "-12"},
    "Bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
}
_FIFO = {"MessageGroupId": "g\u00e9", "MessageDeduplicationId": "d-1"}
_TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}}

_URL = "http://queue.example/1/jobs"
#: parameters of each frequent call
CALLS: list[tuple[str, dict[str, Any]]] = [
    (
        "ReceiveMessage",
        {
            "QueueUrl": _URL,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 20,
            "VisibilityTimeout": 43_200,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        },
    ),
    ("DeleteMessageBatch", {"QueueUrl": _URL, "Entries": [{"Id": "0", "ReceiptHandle": "a+/="}]}),
    (
        "ChangeMessageVisibilityBatch",
        {
            "QueueUrl": _URL,
            "Entries": [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 0}],
        },
    ),
    (
        "SendMessage",
        {
            "QueueUrl": _URL,
            "MessageBody": "\U0001f680 \x7f\t",
            "DelaySeconds": 900,
            "MessageAttributes": _ATTRIBUTES,
            "MessageSystemAttributes": _TRACE,
        },
    ),
    ("SendMessage", {"QueueUrl": _URL, "MessageBody": "x" * 300_000, **_FIFO}),
    (
        "SendMessageBatch",
        {
            "QueueUrl": _URL,
            "Entries": [
                {"Id": "0", "MessageBody": "ß", "MessageAttributes": _ATTRIBUTES, **_FIFO},
                {"Id": "1", "MessageBody": " ", "DelaySeconds": 0},
            ],
        },
    ),
    ("GetQueueUrl", {"QueueName": "jobs.fifo", "QueueOwnerAWSAccountId": "123456789012"}),
    ("GetQueueAttributes", {"QueueUrl": _URL, "AttributeNames": ["All"]}),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    def answer(request: Request) -> bytes:
        value = GOOD[request.action]
        if request.action == "SendMessageBatch":
            ids = [entry["Id"] for entry in json.loads(request.body)["Entries"]]
            value = {"Successful": [{"Id": id_, "MessageId": "m"} for id_ in ids]}
        return with_body(json.dumps(value).encode())

    with serving(answer) as running:
        yield running


@pytest.fixture(scope="module")
def sources(server: ScriptedServer) -> list[ClientSource]:
    """Return a source that uses the wire, and one that uses only boto3."""
    return [source_for(server.url, wire=wire) for wire in (True, False)]


def check_same(by_wire: Request, by_botocore: Request) -> None:
    assert not by_wire.is_of_botocore and by_botocore.is_of_botocore
    assert by_wire.action == by_botocore.action
    assert json.loads(by_wire.body) == json.loads(by_botocore.body)
    headers, expected = by_wire.headers, by_botocore.headers
    for name in _SAME_HEADERS:
        assert headers.get(name) == expected.get(name), name
    assert parts(headers)[:2] == parts(expected)[:2]
    for request in (by_wire, by_botocore):
        assert signed_again(request) == parts(request.headers)[2]


def parts(headers: dict[str, str]) -> tuple[str, set[str], str]:
    """Return the scope without the date, the signed headers, and the signature."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=my-id/[0-9]{8}/(.*), SignedHeaders=(.*), Signature=(.*)",
        headers["authorization"],
    )
    assert found
    assert headers["x-amz-date"]
    return found[1], set(found[2].split(";")), found[3]


def signed_again(request: Request) -> str:
    """Sign the received request, as AWS does to verify it."""
    signed = parts(request.headers)[1]
    kept = {name: value for name, value in request.headers.items() if name in signed}
    again = AWSRequest("POST", f"http://{request.headers['host']}/", kept, request.body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials("my-id", "my-secret", "my-token"), "sqs", "eu-west-1")
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return str(signer.signature(text, again))


@pytest.mark.parametrize(
    ("action", "params"), CALLS, ids=lambda one: one if type(one) is str else ""
)
def test_both_routes_send_the_same_request(
    server: ScriptedServer, sources: list[ClientSource], action: str, params: dict[str, Any]
) -> None:
    server.requests.clear()
    answers = [source.call(action, params, "plain") for source in sources]
    check_same(*server.requests)
    assert answers[1].pop("ResponseMetadata")["RetryAttempts"] == 0
    assert answers[0] == answers[1]


def test_every_frequent_call_is_compared() -> None:
    assert {action for action, _ in CALLS} == GOOD.keys()


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_VALUES = st.one_of(
    _TEXTS.map(lambda text: {"DataType": "String", "StringValue": text}),
    st.integers().map(lambda number: {"DataType": "Number", "StringValue": str(number)}),
    st.binary(min_size=1).map(lambda data: {"DataType": "Binary.x", "BinaryValue": data}),
)
_ENTRIES = st.fixed_dictionaries(
    {"MessageBody": _TEXTS},
    optional={
        "DelaySeconds": st.integers(0, 900),
        "MessageGroupId": _TEXTS,
        "MessageDeduplicationId": _TEXTS,
        "MessageAttributes": st.dictionaries(_TEXTS, _VALUES, min_size=1, max_size=4),
    },
)


@given(st.lists(_ENTRIES, min_size=1, max_size=10))
def test_both_routes_send_random_entries_in_the_same_way(
    server: ScriptedServer, sources: list[ClientSource], entries: list[Any]
) -> None:
    server.requests.clear()
    for source in sources:
        queue = queue_for(source)
        sent, failed = queue.send_batch(entries)
        assert (len(sent), failed) == (len(entries), [])
        queue.send(entries[0])
    check_same(server.requests[0], server.requests[2])
    check_same(server.requests[1], server.requests[3])


def test_both_routes_send_calls_on_a_queue_in_the_same_way(
    server: ScriptedServer, sources: list[ClientSource]
) -> None:
    server.requests.clear()
    message = Message("m", "r", "b", {}, {}, "jobs", 0.0, Lease())
    for source in sources:
        queue = queue_for(source)
        queue.receive(10, wait_seconds=20, visibility_timeout=30)
        queue.delete_batch([message])
        queue.change_visibility_batch([(message, 5)])
        queue.attributes("QueueArn")
    half = len(server.requests) // 2
    for by_wire, by_botocore in zip(server.requests[:half], server.requests[half:], strict=True):
        check_same(by_wire, by_botocore)


def test_a_session_without_a_token_does_not_send_one(server: ScriptedServer) -> None:
    server.requests.clear()
    for wire in (True, False):
        session = boto3.session.Session("my-id", "my-secret", region_name="eu-west-1")
        queue_for(source_for(server.url, wire=wire, session=session)).send({"MessageBody": "x"})
    for request in server.requests:
        assert "x-amz-security-token" not in request.headers
        assert "x-amz-security-token" not in parts(request.headers)[1]
