"""A received message is hidden for its visibility timeout."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, counts, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def test_a_received_message_is_hidden_until_its_timeout(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    first = take_one(client, url)
    assert is_empty(client, url)
    clock.pass_seconds(1.1)
    second = take_one(client, url, AttributeNames=["ApproximateReceiveCount"])
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_the_timeout_of_a_receive_applies_to_this_delivery_only(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="30")
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    take_one(client, url)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_a_timeout_of_zero_does_not_hide_the_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    message = take_one(client, url, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


@pytest.mark.known_difference(elasticmq="puts it at the end")
def test_a_message_returns_to_its_old_position(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "a", "b")
    assert take_one(client, url)["Body"] == "a"
    clock.pass_seconds(1.1)
    assert bodies(take(client, url, 2)) == ["a", "b"]


def test_a_change_to_zero_makes_a_message_visible_at_once(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert take_one(client, url)["Body"] == "x"


def test_an_extension_counts_from_now(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=2)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(elasticmq="does not limit the total")
def test_a_message_is_hidden_for_at_most_twelve_hours_in_total(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    clock.pass_seconds(2)
    with refused("InvalidParameterValue", "is beyond the limit [43200 seconds]"):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43200
        )


def test_counts_include_messages_in_flight(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x", "y")
    assert counts(client, url) == (2, 0, 0)
    take_one(client, url)
    assert counts(client, url) == (1, 1, 0)
    clock.pass_seconds(1.1)
    assert counts(client, url) == (2, 0, 0)


def test_a_changed_queue_timeout_does_not_apply_to_messages_in_flight(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    take_one(client, url)
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.moves_clock
def test_a_changed_timeout_applies_to_this_delivery_only(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="30")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    take_one(client, url)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_a_change_can_shorten_the_timeout(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="30")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"


def test_a_change_does_not_count_as_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    for seconds in (60, 0):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds
        )
    message = take_one(client, url, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"] == {"ApproximateReceiveCount": "2"}


@pytest.mark.known_difference(
    moto="accepts it, or uses different error texts", elasticmq="accepts it"
)
@pytest.mark.parametrize("seconds", [-1, 43201])
def test_a_change_out_of_range_is_refused(client: Any, make_queue: MakeQueue, seconds: int) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    with refused(
        "InvalidParameterValue",
        f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout"
        " must be an integer between 0 and 43200.",
    ):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds
        )


def test_a_timeout_of_zero_counts_as_available(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    assert counts(client, url) == (1, 0, 0)


@pytest.mark.moves_clock
def test_the_longest_timeout_is_twelve_hours(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="43200")
    send(client, url, "x")
    take_one(client, url)
    clock.pass_seconds(43_199)
    assert is_empty(client, url)
    clock.pass_seconds(1)
    assert take_one(client, url)["Body"] == "x"
