"""The system attributes of received messages."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, is_empty, refused, send, take_one

MakeQueue = Callable[..., str]

PLAIN = {
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
}
FIFO = {"SequenceNumber", "MessageDeduplicationId", "MessageGroupId"}
TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}


def attributes_of(client: Any, url: str, *names: str, **options: Any) -> dict[str, str]:
    message = take_one(client, url, AttributeNames=list(names), **options)
    attributes: dict[str, str] = message.get("Attributes", {})
    return attributes


def test_all_returns_the_attributes_of_a_standard_message(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    assert attributes_of(client, url, "All").keys() == PLAIN


def test_all_returns_the_attributes_of_a_fifo_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    send(client, url, "x", MessageGroupId="g", MessageDeduplicationId="d")
    assert attributes_of(client, url, "All").keys() == PLAIN | FIFO


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_one_attribute_can_be_requested_by_name(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue()
    send(client, url, "x")
    (value,) = attributes_of(client, url, name).values()
    assert isinstance(value, str)
    assert value


def test_timestamps_are_whole_milliseconds(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    attributes = attributes_of(client, url, "All")
    sent, first = (
        attributes[name] for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
    )
    assert len(sent) == len(first) == 13
    assert int(sent) <= int(first)


def test_the_receive_count_includes_the_current_delivery(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    for count in "123":
        attributes = attributes_of(client, url, "ApproximateReceiveCount", VisibilityTimeout=0)
        assert attributes == {"ApproximateReceiveCount": count}


def test_the_first_receive_timestamp_does_not_change(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    name = "ApproximateFirstReceiveTimestamp"
    first = attributes_of(client, url, name, VisibilityTimeout=0)
    clock.pass_seconds(0.1)
    assert attributes_of(client, url, name) == first


def test_a_fifo_message_has_its_group_and_deduplication_id(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    send(client, url, "x", MessageGroupId="g", MessageDeduplicationId="d")
    attributes = attributes_of(client, url, "MessageGroupId", "MessageDeduplicationId")
    assert attributes == {"MessageGroupId": "g", "MessageDeduplicationId": "d"}


def test_a_content_based_deduplication_id_is_a_digest(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send(client, url, "x", MessageGroupId="g")
    digest = hashlib.sha256(b"x").hexdigest()
    attributes = attributes_of(client, url, "MessageDeduplicationId")
    assert attributes == {"MessageDeduplicationId": digest}


@pytest.mark.known_difference(moto="returns no sequence numbers")
def test_the_sequence_number_equals_that_of_the_send(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    number = client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g")[
        "SequenceNumber"
    ]
    assert attributes_of(client, url, "SequenceNumber") == {"SequenceNumber": number}


def test_a_standard_message_can_have_a_group(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x", MessageGroupId="g")
    attributes = attributes_of(client, url, "All")
    assert attributes.keys() == {*PLAIN, "MessageGroupId"}
    assert attributes["MessageGroupId"] == "g"


def test_a_trace_header_is_received(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x", MessageSystemAttributes=TRACE)
    attributes = attributes_of(client, url, "All")
    assert attributes.keys() == {*PLAIN, "AWSTraceHeader"}
    assert attributes["AWSTraceHeader"] == "Root=1"


@pytest.mark.known_difference(moto="does not name the source")
def test_a_dead_letter_names_its_source(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    url = make_queue(RedrivePolicy=policy)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    attributes = attributes_of(client, dead, "All")
    assert attributes.keys() == {*PLAIN, "DeadLetterQueueSourceArn"}
    assert attributes["DeadLetterQueueSourceArn"] == arn_of(client, url)


def test_attributes_without_a_value_are_omitted(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    assert attributes_of(client, url, "ApproximateReceiveCount", "SequenceNumber") == {
        "ApproximateReceiveCount": "1"
    }


def test_without_requested_names_there_are_no_attributes(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    assert "Attributes" not in take_one(client, url)


def test_the_newer_parameter_for_names_is_accepted(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    message = take_one(client, url, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


@pytest.mark.known_difference(
    moto="returns the attributes of both lists", elasticmq="returns the attributes of both lists"
)
def test_the_newer_parameter_for_names_wins(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    message = take_one(
        client,
        url,
        AttributeNames=["SentTimestamp"],
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
    )
    assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("option", ["AttributeNames", "MessageSystemAttributeNames"])
def test_an_unknown_name_is_refused(client: Any, make_queue: MakeQueue, option: str) -> None:
    with refused("InvalidAttributeName", "Unknown Attribute Nonsense."):
        client.receive_message(QueueUrl=make_queue(), **{option: ["Nonsense"]})


@pytest.mark.known_difference(moto="accepts it", elasticmq={"accepts it": ["another name"]})
@pytest.mark.parametrize(
    "attributes",
    [
        {"Other": {"DataType": "String", "StringValue": "x"}},
        {"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}},
        {"AWSTraceHeader": {"DataType": "Binary", "BinaryValue": b"x"}},
    ],
    ids=["another name", "a number", "bytes"],
)
def test_a_sender_can_set_only_the_trace_header(
    client: Any, make_queue: MakeQueue, attributes: dict[str, Any]
) -> None:
    with refused("InvalidParameterValue"):
        client.send_message(
            QueueUrl=make_queue(), MessageBody="x", MessageSystemAttributes=attributes
        )
