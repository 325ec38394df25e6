"""Delayed messages cannot be received before their delay is over."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import counts, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def test_a_delayed_message_is_received_after_its_delay(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "later", DelaySeconds=1)
    assert counts(client, url) == (0, 0, 1)
    assert is_empty(client, url)
    clock.pass_seconds(1.1)
    assert counts(client, url) == (1, 0, 0)
    assert take_one(client, url)["Body"] == "later"


def test_the_queue_delay_applies_to_messages_without_one(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(DelaySeconds="1")
    send(client, url, "later")
    send(client, url, "at once", DelaySeconds=0)
    assert take_one(client, url)["Body"] == "at once"
    assert is_empty(client, url)
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "later"


def test_a_new_queue_delay_does_not_apply_to_earlier_messages(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(DelaySeconds="1")
    send(client, url, "x")
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "60"})
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(moto="uses the delay of the message")
def test_a_fifo_queue_ignores_a_delay_of_zero(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true", DelaySeconds="1")
    send(client, url, "x", MessageGroupId="g", DelaySeconds=0)
    assert is_empty(client, url)
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(moto="keeps the old delay", elasticmq="keeps the old delay")
def test_a_fifo_queue_applies_a_new_delay_to_delayed_messages(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true", DelaySeconds="60")
    send(client, url, "a", "b", MessageGroupId="g")
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    clock.pass_seconds(1.1)
    assert [message["Body"] for message in take(client, url, 2)] == ["a", "b"]


@pytest.mark.known_difference(moto={"accepts it": ["-1"]}, elasticmq="uses different error texts")
@pytest.mark.parametrize("seconds", [-1, 901])
def test_a_delay_out_of_range_is_refused(client: Any, make_queue: MakeQueue, seconds: int) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0"
        " and <= 900.",
    ):
        client.send_message(QueueUrl=make_queue(), MessageBody="x", DelaySeconds=seconds)


@pytest.mark.known_difference(elasticmq="uses different error texts")
def test_a_fifo_queue_refuses_a_delay_per_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    with refused(
        "InvalidParameterValue",
        "Value 1 for parameter DelaySeconds is invalid. Reason: The request include parameter that"
        " is not valid for this queue type.",
    ):
        client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", DelaySeconds=1)


def test_the_delay_of_a_fifo_queue_applies_to_all_messages(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true", DelaySeconds="60")
    send(client, url, "a", MessageGroupId="g")
    send(client, url, "b", MessageGroupId="h")
    assert counts(client, url) == (0, 0, 2)
    assert is_empty(client, url)


@pytest.mark.moves_clock
def test_the_longest_delay_is_900_seconds(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x", DelaySeconds=900)
    clock.pass_seconds(899)
    assert is_empty(client, url)
    clock.pass_seconds(1)
    assert take_one(client, url)["Body"] == "x"


def test_the_delay_does_not_apply_after_the_first_receive(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(DelaySeconds="60")
    send(client, url, "x", DelaySeconds=0)
    take_one(client, url, VisibilityTimeout=0)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(moto="keeps the old delay", elasticmq="keeps the old delay")
def test_groups_released_by_a_shorter_delay_keep_their_send_order(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true", DelaySeconds="60")
    for group in "cab":
        send(client, url, f"{group}-1", MessageGroupId=group)
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    assert [message["Body"] for message in take(client, url, 3)] == ["c-1", "a-1", "b-1"]


@pytest.mark.known_difference(moto="checks the delay first")
def test_a_missing_group_is_reported_before_a_delay(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    with refused("MissingParameter", "The request must contain the parameter MessageGroupId."):
        client.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=1)
