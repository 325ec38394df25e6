"""A message that was received too often moves to the dead-letter queue."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, attribute, bodies, is_empty, send, take, take_one

MakeQueue = Callable[..., str]


def with_dead_letters(
    client: Any, make_queue: MakeQueue, count: object = 1, **options: Any
) -> tuple[str, str]:
    dead = make_queue(**options)
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": count}
    return make_queue(RedrivePolicy=policy, **options), dead


def test_a_message_moves_on_the_receive_after_its_last(client: Any, make_queue: MakeQueue) -> None:
    url, dead = with_dead_letters(client, make_queue, 2)
    send(client, url, "x")
    for _ in range(2):
        take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, dead)
    assert is_empty(client, url)
    assert take_one(client, dead)["Body"] == "x"


def test_a_message_moves_only_during_a_receive(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    assert is_empty(client, dead)
    assert is_empty(client, url)
    assert take_one(client, dead)["Body"] == "x"


@pytest.mark.known_difference(elasticmq="moves a message when its timeout ends")
def test_the_receive_that_moves_a_message_returns_the_next_one(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "first", "second")
    assert take_one(client, url, VisibilityTimeout=0)["Body"] == "first"
    answer = client.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert bodies(answer["Messages"]) == ["second"]
    assert take_one(client, dead)["Body"] == "first"


@pytest.mark.known_difference(moto="does not name the source")
def test_a_dead_letter_keeps_its_attributes_and_names_its_source(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    attributes = {"k": {"DataType": "String", "StringValue": "x"}}
    (message_id,) = send(client, url, "x", MessageAttributes=attributes)
    wanted = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    before = take_one(client, url, VisibilityTimeout=0, **wanted)
    assert is_empty(client, url)
    after = take_one(client, dead, **wanted)
    assert after["MessageId"] == message_id
    assert after["MessageAttributes"] == attributes
    # The receive that moves it does not count. The count continues after the move.
    assert after["Attributes"].pop("ApproximateReceiveCount") == "2"
    assert after["Attributes"].pop("DeadLetterQueueSourceArn") == arn_of(client, url)
    del before["Attributes"]["ApproximateReceiveCount"]
    assert after["Attributes"] == before["Attributes"]


@pytest.mark.known_difference(moto="refuses the old handle", elasticmq="refuses the old handle")
def test_an_old_handle_has_no_effect_after_the_move(client: Any, make_queue: MakeQueue) -> None:
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "x")
    handle = take_one(client, url, VisibilityTimeout=0)["ReceiptHandle"]
    assert is_empty(client, url)
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert take_one(client, dead)["Body"] == "x"


@pytest.mark.known_difference(
    moto="counts the receives of all queues", elasticmq="moves a message when its timeout ends"
)
def test_each_queue_of_a_chain_counts_its_own_receives(client: Any, make_queue: MakeQueue) -> None:
    middle, last = with_dead_letters(client, make_queue, 2)
    policy = {"deadLetterTargetArn": arn_of(client, middle), "maxReceiveCount": 2}
    url = make_queue(RedrivePolicy=policy)
    send(client, url, "x")
    for _ in range(2):
        take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    for _ in range(2):
        take_one(client, middle, VisibilityTimeout=0)
    assert is_empty(client, middle)
    assert take_one(client, last)["Body"] == "x"


def test_a_fifo_group_continues_in_the_same_receive(client: Any, make_queue: MakeQueue) -> None:
    url, dead = with_dead_letters(client, make_queue, fifo=True, ContentBasedDeduplication="true")
    send(client, url, "a", "b", MessageGroupId="g")
    assert take_one(client, url, VisibilityTimeout=0)["Body"] == "a"
    assert bodies(take(client, url, 1)) == ["b"]
    message = take_one(client, dead, AttributeNames=["All"])
    assert message["Body"] == "a"
    assert message["Attributes"]["MessageGroupId"] == "g"


@pytest.mark.known_difference(elasticmq="returns no messages after it moved one")
def test_a_fifo_receive_that_moves_a_whole_group_returns_the_next_group(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue, fifo=True, ContentBasedDeduplication="true")
    send(client, url, "a", MessageGroupId="g1")
    handle = take_one(client, url)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    send(client, url, "b", MessageGroupId="g2")
    answer = client.receive_message(QueueUrl=url, WaitTimeSeconds=0)
    assert bodies(answer["Messages"]) == ["b"]
    assert take_one(client, dead)["Body"] == "a"


@pytest.mark.known_difference(moto="keeps the old ID")
def test_two_dead_letters_with_one_deduplication_id_both_arrive(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue, fifo=True)
    policy = json.loads(attribute(client, url, "RedrivePolicy") or "")
    other = make_queue(fifo=True, RedrivePolicy=policy)
    for source in (url, other):
        options = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
        (message_id,) = send(client, source, "x", **options)
        take_one(client, source, VisibilityTimeout=0)
        assert is_empty(client, source)
        message = take_one(client, dead, AttributeNames=["All"])
        assert message["Attributes"]["MessageDeduplicationId"] == message_id
        client.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


@pytest.mark.known_difference(moto="moves it, so it is lost", elasticmq="moves it, so it is lost")
def test_a_message_stays_if_the_dead_letter_queue_is_deleted(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "x")
    client.delete_queue(QueueUrl=dead)
    for _ in range(3):
        take_one(client, url, VisibilityTimeout=0)


def test_the_receive_count_continues_in_the_dead_letter_queue(
    client: Any, make_queue: MakeQueue
) -> None:
    """The receive that moves the message does not count."""
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    message = take_one(client, dead, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"] == {"ApproximateReceiveCount": "2"}


def test_the_delay_of_the_dead_letter_queue_does_not_apply(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    client.set_queue_attributes(QueueUrl=dead, Attributes={"DelaySeconds": "60"})
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    assert take_one(client, dead)["Body"] == "x"


@pytest.mark.known_difference(
    moto="does not deliver it again", elasticmq="does not deliver it again"
)
def test_a_queue_that_is_its_own_dead_letter_queue_keeps_delivering(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, url), "maxReceiveCount": 1}
    client.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
    send(client, url, "x")
    for _ in range(3):
        assert take_one(client, url, VisibilityTimeout=0)["Body"] == "x"


def test_a_new_policy_applies_to_existing_messages(client: Any, make_queue: MakeQueue) -> None:
    dead, url = make_queue(), make_queue()
    send(client, url, "x")
    for _ in range(2):
        take_one(client, url, VisibilityTimeout=0)
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    client.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
    assert is_empty(client, url)
    assert take_one(client, dead)["Body"] == "x"


@pytest.mark.known_difference(moto="returns no sequence numbers", elasticmq="keeps the number")
def test_a_fifo_dead_letter_has_a_new_sequence_number(client: Any, make_queue: MakeQueue) -> None:
    url, dead = with_dead_letters(client, make_queue, fifo=True, ContentBasedDeduplication="true")
    number = client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g")[
        "SequenceNumber"
    ]
    take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    message = take_one(client, dead, AttributeNames=["SequenceNumber"])
    assert message["Attributes"]["SequenceNumber"] > number


@pytest.mark.known_difference(moto="forgets the ID with the message")
def test_the_source_still_remembers_the_deduplication_id(
    client: Any, make_queue: MakeQueue
) -> None:
    url, _ = with_dead_letters(client, make_queue, fifo=True)
    options = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    send(client, url, "x", **options)
    take_one(client, url, VisibilityTimeout=0)
    assert is_empty(client, url)
    send(client, url, "y", **options)
    assert is_empty(client, url)
