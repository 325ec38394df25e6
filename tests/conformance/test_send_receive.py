"""A message is received as it was sent, with digests and attributes."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def test_a_message_arrives_with_its_digest(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    body = "zwei\tZeilen\r\nund ein Ü 😀"
    sent = client.send_message(QueueUrl=url, MessageBody=body)
    received = take_one(client, url)
    digest = hashlib.md5(body.encode()).hexdigest()
    assert received["Body"] == body
    assert received["MessageId"] == sent["MessageId"]
    assert received["MD5OfBody"] == sent["MD5OfMessageBody"] == digest


def test_a_plain_send_returns_only_id_and_digest(client: Any, make_queue: MakeQueue) -> None:
    answer = client.send_message(QueueUrl=make_queue(), MessageBody="message")
    answer.pop("ResponseMetadata", None)
    assert answer.keys() == {"MessageId", "MD5OfMessageBody"}


@pytest.mark.known_difference(elasticmq="returns an empty list")
def test_an_empty_receive_omits_the_messages(client: Any, make_queue: MakeQueue) -> None:
    assert "Messages" not in client.receive_message(QueueUrl=make_queue())


def test_a_deleted_message_is_not_received_again(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_a_group_does_not_order_a_standard_queue(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for text in "ab":
        answer = client.send_message(QueueUrl=url, MessageBody=text, MessageGroupId="g")
        assert "SequenceNumber" not in answer
    first = take_one(client, url, AttributeNames=["All"])
    assert first["Attributes"]["MessageGroupId"] == "g"
    assert len(take(client, url)) == 1


def test_a_fifo_send_returns_a_sequence_number(client: Any, make_queue: MakeQueue) -> None:
    answer = client.send_message(
        QueueUrl=make_queue(fifo=True),
        MessageBody="x",
        MessageGroupId="g",
        MessageDeduplicationId="d",
        MessageAttributes={"k": {"DataType": "String", "StringValue": "x"}},
    )
    answer.pop("ResponseMetadata", None)
    assert answer.keys() == {
        "MessageId",
        "MD5OfMessageBody",
        "MD5OfMessageAttributes",
        "SequenceNumber",
    }


def test_a_receive_returns_one_message_by_default(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a", "b")
    assert len(client.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]) == 1


def test_one_receive_returns_ten_messages_oldest_first(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    texts = [str(n) for n in range(11)]
    for text in texts:
        send(client, url, text)
        time.sleep(0.002)  # ElasticMQ does not order messages of one millisecond
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    assert bodies(answer["Messages"]) == texts[:10]
    assert bodies(take(client, url)) == texts[10:]


def test_a_hidden_message_is_not_received_again(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    ids = send(client, url, *"abcdefghijkl")
    assert sorted(message["MessageId"] for message in take(client, url, 12)) == sorted(ids)
    assert is_empty(client, url)


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error texts")
def test_a_standard_queue_refuses_a_deduplication_id(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidParameterValue",
        "Value d for parameter MessageDeduplicationId is invalid. Reason: The request includes a"
        " parameter that is not valid for this queue type.",
    ):
        client.send_message(QueueUrl=make_queue(), MessageBody="x", MessageDeduplicationId="d")


def test_a_group_does_not_block_a_standard_queue(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a", "b", MessageGroupId="g")
    assert len(take(client, url)) == 1
    assert len(take(client, url)) == 1


def test_a_batch_to_a_standard_queue_can_have_groups(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    entry = {"Id": "a", "MessageBody": "x", "MessageGroupId": "tenant-1"}
    client.send_message_batch(QueueUrl=url, Entries=[entry])
    message = take_one(client, url, AttributeNames=["MessageGroupId"])
    assert message["Attributes"] == {"MessageGroupId": "tenant-1"}
