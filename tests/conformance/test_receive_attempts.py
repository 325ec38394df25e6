"""A receive with the same attempt id returns the same messages, until something changes them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import counts, refused, send, take_one

MakeQueue = Callable[..., str]


@pytest.fixture
def url(client: Any, make_queue: MakeQueue) -> str:
    """Create a FIFO queue with two messages in one group; return its URL."""
    made = make_queue(fifo=True, ContentBasedDeduplication="true", VisibilityTimeout="30")
    send(client, made, "a", "b", MessageGroupId="g")
    return made


def attempt(client: Any, url: str, attempt_id: str = "once", **options: Any) -> list[Any]:
    answer = client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, ReceiveRequestAttemptId=attempt_id, **options
    )
    return list(answer.get("Messages", []))


@pytest.mark.known_difference(
    moto="does not support attempts", elasticmq="gives new receipt handles"
)
def test_a_repeated_attempt_returns_the_same_handles(client: Any, url: str) -> None:
    first = attempt(client, url)
    assert len(first) == 2
    assert attempt(client, url) == first


@pytest.mark.known_difference(elasticmq="returns the first of them again")
def test_a_repeated_attempt_never_returns_more_than_requested(client: Any, url: str) -> None:
    assert len(attempt(client, url)) == 2
    options = {"QueueUrl": url, "ReceiveRequestAttemptId": "once"}
    assert not client.receive_message(MaxNumberOfMessages=1, **options).get("Messages")


def test_another_attempt_returns_no_messages(client: Any, url: str) -> None:
    attempt(client, url)
    assert attempt(client, url, "other") == []


@pytest.mark.known_difference(elasticmq="counts it")
def test_a_repeated_attempt_does_not_count_as_a_receive(client: Any, url: str) -> None:
    for _ in range(2):
        for message in attempt(client, url, AttributeNames=["ApproximateReceiveCount"]):
            assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


@pytest.mark.known_difference(moto="does not support attempts")
def test_a_repeated_attempt_restarts_the_visibility_timeout(
    client: Any, clock: Any, url: str
) -> None:
    attempt(client, url, VisibilityTimeout=1)
    attempt(client, url, VisibilityTimeout=60)
    clock.pass_seconds(1.1)
    assert counts(client, url) == (0, 2, 0)


@pytest.mark.known_difference(elasticmq="fails on it")
def test_a_delete_ends_an_attempt(client: Any, url: str) -> None:
    first = attempt(client, url)
    client.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    assert attempt(client, url) == []


@pytest.mark.known_difference(elasticmq="repeats it anyway")
def test_a_visibility_change_ends_an_attempt(client: Any, url: str) -> None:
    first = attempt(client, url)
    client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"], VisibilityTimeout=60
    )
    assert attempt(client, url) == []


@pytest.mark.known_difference(moto="loses the order after a visibility timeout")
def test_the_end_of_a_visibility_timeout_ends_an_attempt(client: Any, clock: Any, url: str) -> None:
    first = attempt(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    again = attempt(client, url)
    assert [message["Body"] for message in again] == ["a", "b"]
    assert again[0]["ReceiptHandle"] != first[0]["ReceiptHandle"]


@pytest.mark.moves_clock
def test_an_attempt_ends_after_five_minutes(client: Any, clock: Any, url: str) -> None:
    first = attempt(client, url, VisibilityTimeout=900)
    clock.pass_seconds(299)
    assert attempt(client, url, VisibilityTimeout=900) == first
    clock.pass_seconds(1)
    assert attempt(client, url) == []


def test_an_attempt_without_messages_is_not_remembered(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    assert attempt(client, url) == []
    send(client, url, "x", MessageGroupId="g")
    assert [message["Body"] for message in attempt(client, url)] == ["x"]


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error texts")
def test_a_standard_queue_refuses_an_attempt_id(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidParameterValue", "for parameter ReceiveRequestAttemptId is invalid."):
        attempt(client, make_queue())


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error texts")
@pytest.mark.parametrize(
    "attempt_id", ["", "a b", "ä", "x" * 129], ids=["empty", "space", "accent", "long"]
)
def test_invalid_attempt_ids_are_refused(client: Any, url: str, attempt_id: str) -> None:
    with refused("InvalidParameterValue", "for parameter ReceiveRequestAttemptId is invalid."):
        attempt(client, url, attempt_id)
    assert take_one(client, url)["Body"] == "a"
