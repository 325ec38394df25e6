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
