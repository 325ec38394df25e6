"""A message with an id from the last five minutes is accepted but not stored."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, is_empty, refused, take, take_one

MakeQueue = Callable[..., str]


def send_as(client: Any, url: str, text: str, group: str = "g", **options: Any) -> Any:
    return client.send_message(QueueUrl=url, MessageBody=text, MessageGroupId=group, **options)


@pytest.mark.known_difference(moto="returns a new message ID for a duplicate")
def test_a_duplicate_succeeds_and_is_not_stored(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    first = send_as(client, url, "a", MessageDeduplicationId="d")
    second = send_as(client, url, "b", MessageDeduplicationId="d")
    assert second["MessageId"] == first["MessageId"]
    assert "SequenceNumber" in second
    assert bodies(take(client, url, 1)) == ["a"]
    assert is_empty(client, url)


def test_with_content_based_deduplication_equal_bodies_are_duplicates(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    for value in ("x", "y"):
        attributes = {"k": {"DataType": "String", "StringValue": value}}
        send_as(client, url, "a", MessageAttributes=attributes)
    message = take_one(client, url, AttributeNames=["MessageDeduplicationId"])
    digest = hashlib.sha256(b"a").hexdigest()
    assert message["Attributes"]["MessageDeduplicationId"] == digest


def test_a_deduplication_id_overrides_the_content(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send_as(client, url, "a", MessageDeduplicationId="1")
    send_as(client, url, "a", MessageDeduplicationId="2")
    assert bodies(take(client, url, 2)) == ["a", "a"]


def test_a_deduplication_id_can_equal_a_content_digest(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send_as(client, url, "a")
    send_as(client, url, "b", MessageDeduplicationId=hashlib.sha256(b"a").hexdigest())
    assert bodies(take(client, url, 1)) == ["a"]
    assert is_empty(client, url)


def test_without_content_based_deduplication_an_id_is_required(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    with refused(
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or"
        " MessageDeduplicationId provided explicitly",
    ):
        send_as(client, url, "a")


@pytest.mark.known_difference(moto="forgets the ID with the message")
def test_deduplication_continues_after_receive_and_delete(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    send_as(client, url, "a", MessageDeduplicationId="d")
    message = take_one(client, url)
    send_as(client, url, "b", MessageDeduplicationId="d")
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    send_as(client, url, "c", MessageDeduplicationId="d")
    assert is_empty(client, url)


def test_by_default_groups_share_deduplication_ids(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    send_as(client, url, "a", "g1", MessageDeduplicationId="d")
    send_as(client, url, "b", "g2", MessageDeduplicationId="d")
    assert bodies(take(client, url, 1)) == ["a"]
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto="does not support deduplication scopes", elasticmq="does not support deduplication scopes"
)
def test_with_the_group_scope_each_group_has_its_own_ids(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, DeduplicationScope="messageGroup")
    send_as(client, url, "a", "g1", MessageDeduplicationId="d")
    send_as(client, url, "b", "g2", MessageDeduplicationId="d")
    send_as(client, url, "c", "g1", MessageDeduplicationId="d")
    assert bodies(take(client, url, 2)) == ["a", "b"]
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto={"does not support deduplication scopes": ["messageGroup"]},
    elasticmq="does not support deduplication scopes",
)
@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_a_changed_scope_does_not_take_effect(
    client: Any, make_queue: MakeQueue, scope: str
) -> None:
    url = make_queue(fifo=True, DeduplicationScope=scope)
    other = {"queue": "messageGroup", "messageGroup": "queue"}[scope]
    client.set_queue_attributes(QueueUrl=url, Attributes={"DeduplicationScope": other})
    send_as(client, url, "a", "g1", MessageDeduplicationId="d")
    send_as(client, url, "b", "g2", MessageDeduplicationId="d")
    expected = {"queue": ["a"], "messageGroup": ["a", "b"]}[scope]
    assert bodies(take(client, url, len(expected))) == expected
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto="does not support deduplication scopes", elasticmq="does not support deduplication scopes"
)
def test_the_group_scope_works_with_any_throughput_limit(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(
        fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
    )
    send_as(client, url, "a", "g1", MessageDeduplicationId="d")
    send_as(client, url, "b", "g2", MessageDeduplicationId="d")
    assert bodies(take(client, url, 2)) == ["a", "b"]


@pytest.mark.known_difference(moto="returns a new number")
def test_a_duplicate_returns_the_sequence_number_of_the_first_send(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    first, second = (send_as(client, url, text, MessageDeduplicationId="d") for text in "ab")
    assert second["SequenceNumber"] == first["SequenceNumber"]


def test_each_queue_has_its_own_deduplication_ids(client: Any, make_queue: MakeQueue) -> None:
    urls = [make_queue(fifo=True) for _ in range(2)]
    for url in urls:
        send_as(client, url, "x", MessageDeduplicationId="d")
        assert take_one(client, url)["Body"] == "x"


@pytest.mark.moves_clock
def test_deduplication_ends_five_minutes_after_the_first_send(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    send_as(client, url, "a", "g1", MessageDeduplicationId="d")
    clock.pass_seconds(200)
    send_as(client, url, "b", "g2", MessageDeduplicationId="d")  # does not extend the five minutes
    clock.pass_seconds(99)
    send_as(client, url, "c", "g3", MessageDeduplicationId="d")
    clock.pass_seconds(1)
    send_as(client, url, "d", "g4", MessageDeduplicationId="d")
    assert bodies(take(client, url, 2)) == ["a", "d"]
    assert is_empty(client, url)
