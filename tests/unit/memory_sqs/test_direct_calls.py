"""Direct calls of the engine return the same as calls with boto3."""

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from sqsw.memory_sqs import MemorySession
from sqsw.transport.client import ClientSource
from tests.backends import FrequentCalls

#: values that differ between messages, queues, or calls
_OWN = {
    *("MessageId", "ReceiptHandle", "SequenceNumber", "ResponseMetadata"),
    *("SentTimestamp", "ApproximateFirstReceiveTimestamp"),
    *("CreatedTimestamp", "LastModifiedTimestamp"),
}

_numbers = itertools.count()

_TEXTS = st.text(max_size=20)
_NAMES = st.one_of(st.sampled_from(["a", "b.c", "AWS.x", "", "x" * 300]), _TEXTS)
_ATTRIBUTES = st.one_of(
    st.fixed_dictionaries({"DataType": st.just("String"), "StringValue": _TEXTS}),
    st.fixed_dictionaries(
        {"DataType": st.sampled_from(["Number", "Number.a"]), "StringValue": _TEXTS}
    ),
    st.fixed_dictionaries({"DataType": st.just("Binary"), "BinaryValue": st.binary(max_size=9)}),
    st.fixed_dictionaries({"DataType": _TEXTS}, optional={"StringValue": _TEXTS}),
)
_ENTRIES = st.fixed_dictionaries(
    {"MessageBody": _TEXTS},
    optional={
        "DelaySeconds": st.integers(-1, 901),
        "MessageGroupId": st.sampled_from(["g", "", "g g"]),
        "MessageDeduplicationId": st.sampled_from(["d", "e"]),
        "MessageAttributes": st.dictionaries(_NAMES, _ATTRIBUTES, max_size=3),
    },
)


def equal_parts(value: Any) -> Any:
    """Return the value without the parts that differ each time."""
    if isinstance(value, dict):
        return {key: equal_parts(one) for key, one in value.items() if key not in _OWN}
    if isinstance(value, str):  # a failed entry quotes its receipt handle
        return re.sub("^Value .* for parameter ReceiptHandle", "", value)
    return [equal_parts(one) for one in value] if isinstance(value, list) else value


def run(client: Any, name: str, single: dict[str, Any], entries: list[dict[str, Any]]) -> Any:
    """Make calls on a new queue; return all results and errors."""
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    found: list[Any] = [equal_parts(client.get_queue_url(QueueName=name))]

    def note(method: str, **params: Any) -> dict[str, Any]:
        try:
            answer = getattr(client, method)(QueueUrl=url, **params)
        except (ClientError, ParamValidationError) as error:
            found.append(str(error))
            return {}
        found.append(equal_parts(answer))
        return dict(answer)

    note("send_message", **single)
    note("send_message_batch", Entries=[{"Id": str(i), **one} for i, one in enumerate(entries)])
    note("get_queue_attributes", AttributeNames=["All"])
    taken = note(
        "receive_message",
        MaxNumberOfMessages=10,
        VisibilityTimeout=30,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    handles = [
        {"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]}
        for i, one in enumerate(taken.get("Messages", []))
    ]
    hidden = [{**one, "VisibilityTimeout": i * 20_000} for i, one in enumerate(handles)]
    note("change_message_visibility_batch", Entries=hidden)
    note("delete_message_batch", Entries=[*handles, {"Id": "none", "ReceiptHandle": "x"}])
    return found


@pytest.fixture(scope="module")
def clients() -> Iterator[list[Any]]:
    """Return direct calls and a boto3 client, each with its own SQS."""
    with closing(MemorySession()) as one, closing(MemorySession()) as other:
        yield [FrequentCalls(ClientSource(one), "direct"), other.client("sqs")]


@settings(max_examples=40)
@given(st.booleans(), _ENTRIES, st.lists(_ENTRIES, max_size=11))
def test_direct_calls_return_the_same_as_boto3(
    clients: list[Any], fifo: bool, single: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
    name = f"q{next(_numbers)}{'.fifo' if fifo else ''}"
    direct, by_boto3 = (run(client, name, single, entries) for client in clients)
    assert direct == by_boto3


def test_a_message_does_not_change_with_the_objects_of_the_sender(clients: list[Any]) -> None:
    client = clients[0]
    url = client.create_queue(QueueName="kept")["QueueUrl"]
    data = bytearray(b"abc")
    attributes = {"a": {"DataType": "Binary", "BinaryValue": data}}
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    data[0] = 0
    attributes.clear()
    for _ in range(2):
        (message,) = client.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], VisibilityTimeout=0
        )["Messages"]
        assert message["MessageAttributes"]["a"]["BinaryValue"] == b"abc"
        message["MessageAttributes"].clear()
