"""A message arrives as it was sent, with digests and attributes."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]

ATTRIBUTES = {
    "General": {"DataType": "String", "StringValue": "Kenobi"},
    "Hello": {"DataType": "String", "StringValue": "There"},
    "Help.Me": {"DataType": "String", "StringValue": "Me"},
}


def test_a_message_arrives_with_its_digest(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    body = "zwei\tZeilen\r\nund ein Ü 😀"
    sent = client.send_message(QueueUrl=url, MessageBody=body)
    received = take_one(client, url)
    digest = hashlib.md5(body.encode()).hexdigest()
    assert received["Body"] == body
    assert received["MessageId"] == sent["MessageId"]
    assert received["MD5OfBody"] == sent["MD5OfMessageBody"] == digest


def test_the_answer_to_a_plain_send_has_no_more(client: Any, make_queue: MakeQueue) -> None:
    answer = client.send_message(QueueUrl=make_queue(), MessageBody="message")
    del answer["ResponseMetadata"]
    assert answer.keys() == {"MessageId", "MD5OfMessageBody"}


def test_a_plain_receive_has_no_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=ATTRIBUTES)
    assert take_one(client, url).keys() == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


@pytest.mark.known_difference(elasticmq="answers an empty list")
def test_an_empty_receive_has_no_messages(client: Any, make_queue: MakeQueue) -> None:
    assert "Messages" not in client.receive_message(QueueUrl=make_queue())


def test_all_system_attributes_of_a_plain_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    attributes = take_one(client, url, AttributeNames=["All"])["Attributes"]
    assert attributes.keys() == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert int(attributes["ApproximateFirstReceiveTimestamp"]) >= int(attributes["SentTimestamp"])


def test_system_attributes_by_name_old_and_new(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x", "y")
    for option in ("AttributeNames", "MessageSystemAttributeNames"):
        message = take_one(client, url, **{option: ["ApproximateReceiveCount", "SequenceNumber"]})
        assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


@pytest.mark.known_difference(moto="leaves unknown names out", elasticmq="leaves unknown names out")
def test_unknown_system_attributes_are_refused(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidAttributeName", "Unknown Attribute Nonsense."):
        client.receive_message(QueueUrl=make_queue(), AttributeNames=["Nonsense"])


def test_the_digest_of_message_attributes(client: Any, make_queue: MakeQueue) -> None:
    answer = client.send_message(
        QueueUrl=make_queue(), MessageBody="x", MessageAttributes=ATTRIBUTES
    )
    assert answer["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"


@pytest.mark.known_difference(elasticmq="knows no beginnings of names")
def test_message_attributes_are_picked_and_the_digest_follows(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=ATTRIBUTES)
    for wanted, names, digest in (
        (["All"], {"General", "Hello", "Help.Me"}, "4c360f3fdafd970e05fae2f149d997f5"),
        (["General", "Hello"], {"General", "Hello"}, "fca026605781cb4126a1e9044df24232"),
        (["Hello"], {"Hello"}, "a311262e065454b75da111d535b8dacd"),
        (["Hello", "Help.Me"], {"Hello", "Help.Me"}, "83fee93c1bcd8b9a5a923ffacdc636c7"),
        ([".*"], {"General", "Hello", "Help.Me"}, "4c360f3fdafd970e05fae2f149d997f5"),
        (["Hel.*"], {"Hello", "Help.Me"}, "83fee93c1bcd8b9a5a923ffacdc636c7"),
    ):
        message = take_one(client, url, VisibilityTimeout=0, MessageAttributeNames=wanted)
        assert message["MessageAttributes"] == {name: ATTRIBUTES[name] for name in names}
        assert message["MD5OfMessageAttributes"] == digest


def test_no_match_gives_no_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=ATTRIBUTES)
    message = take_one(client, url, MessageAttributeNames=["hello", "AWS.", "..foo", "Gen"])
    assert "MessageAttributes" not in message
    assert "MD5OfMessageAttributes" not in message


def test_numbers_and_bytes_come_back_as_they_were(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    attributes = {
        "count": {"DataType": "Number.int", "StringValue": "007.50"},
        "data": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(moto="answers no digest of it", elasticmq="answers no digest of it")
def test_a_trace_header_travels_along(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = client.send_message(
        QueueUrl=url,
        MessageBody="x",
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    assert answer["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
    message = take_one(client, url, MessageSystemAttributeNames=["AWSTraceHeader"])
    assert message["Attributes"] == {"AWSTraceHeader": trace}


def test_messages_come_oldest_first_and_at_most_ten(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, *(str(n) for n in range(12)))
    received = take(client, url, 12)
    assert sorted(int(message["Body"]) for message in received) == list(range(12))
    assert is_empty(client, url)


def test_one_message_if_nothing_else_is_asked_for(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a", "b")
    assert len(client.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]) == 1


def test_a_deleted_message_does_not_come_again(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_a_group_on_a_standard_queue_orders_nothing(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for text in "ab":
        answer = client.send_message(QueueUrl=url, MessageBody=text, MessageGroupId="g")
        assert "SequenceNumber" not in answer
    first = take_one(client, url, AttributeNames=["All"])
    assert first["Attributes"]["MessageGroupId"] == "g"
    assert len(take(client, url)) == 1


@pytest.mark.known_difference(moto="takes it")
def test_deduplication_is_not_for_standard_queues(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidParameterValue", "not valid for this queue type"):
        client.send_message(QueueUrl=make_queue(), MessageBody="x", MessageDeduplicationId="d")
