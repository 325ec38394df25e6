"""A received message is hidden for its visibility timeout, and receipt handles rule over it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, counts, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def test_a_received_message_is_hidden_and_comes_back(
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


def test_the_timeout_of_a_receive_is_for_this_delivery_only(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="30")
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    take_one(client, url)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


def test_a_timeout_of_zero_delivers_and_does_not_hide(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    message = take_one(client, url, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_the_first_receive_is_remembered(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    name = "ApproximateFirstReceiveTimestamp"
    first = take_one(client, url, VisibilityTimeout=0, AttributeNames=[name])
    second = take_one(client, url, AttributeNames=[name])
    assert second["Attributes"] == first["Attributes"]


@pytest.mark.known_difference(elasticmq="puts it at the end")
def test_a_message_goes_back_to_its_old_place(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "a", "b")
    assert take_one(client, url)["Body"] == "a"
    clock.pass_seconds(1.1)
    assert bodies(take(client, url, 2)) == ["a", "b"]


def test_a_message_is_made_visible_at_once(client: Any, make_queue: MakeQueue) -> None:
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


def test_an_expired_handle_still_hides_and_deletes(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    clock.pass_seconds(1.1)
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=30)
    assert is_empty(client, url)
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert is_empty(client, url)


@pytest.mark.known_difference(elasticmq="refuses the second delete")
def test_deleting_twice_is_a_success(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)


@pytest.mark.known_difference(moto="has codes of its own", elasticmq="has codes of its own")
def test_a_deleted_message_cannot_be_hidden(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    client.delete_message(QueueUrl=url, ReceiptHandle=handle)
    with refused("InvalidParameterValue", "Message does not exist or is not available"):
        client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=5)


@pytest.mark.known_difference(moto="has texts of its own", elasticmq="has texts of its own")
def test_what_is_no_receipt_handle_is_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    text = 'The input receipt handle "nonsense" is not a valid receipt handle.'
    with refused("ReceiptHandleIsInvalid", text):
        client.delete_message(QueueUrl=url, ReceiptHandle="nonsense")
    with refused("ReceiptHandleIsInvalid", text):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle="nonsense", VisibilityTimeout=0
        )


def test_a_handle_of_another_queue_is_refused(client: Any, make_queue: MakeQueue) -> None:
    url, other = make_queue(), make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    with refused("ReceiptHandleIsInvalid"):
        client.delete_message(QueueUrl=other, ReceiptHandle=handle)


@pytest.mark.known_difference(
    moto="takes values out of range", elasticmq="takes any visibility timeout"
)
def test_a_visibility_timeout_has_bounds(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    for seconds in (-1, 43201):
        with refused("InvalidParameterValue", "VisibilityTimeout must be an integer between 0"):
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds
            )
        with refused("InvalidParameterValue", "Must be >= 0 and <= 43200, if provided."):
            client.receive_message(QueueUrl=url, VisibilityTimeout=seconds)


@pytest.mark.known_difference(elasticmq="knows no total")
def test_twelve_hours_in_total_are_the_most(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    clock.pass_seconds(2)
    with refused("InvalidParameterValue", "is beyond the limit [43200 seconds]"):
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43200
        )


def test_counts_follow_a_message(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x", "y")
    assert counts(client, url) == (2, 0, 0)
    take_one(client, url)
    assert counts(client, url) == (1, 1, 0)
    clock.pass_seconds(1.1)
    assert counts(client, url) == (2, 0, 0)


def test_a_change_of_the_queue_spares_messages_in_flight(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    take_one(client, url)
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    clock.pass_seconds(1.1)
    assert take_one(client, url)["Body"] == "x"
