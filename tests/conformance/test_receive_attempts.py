"""A receive that is repeated under its attempt id gets the same answer, within limits."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import counts, refused, send, take_one

MakeQueue = Callable[..., str]


@pytest.fixture
def url(client: Any, make_queue: MakeQueue) -> str:
    """A FIFO queue with two messages of one group."""
    made = make_queue(fifo=True, ContentBasedDeduplication="true", VisibilityTimeout="30")
    send(client, made, "a", "b", MessageGroupId="g")
    return made


def attempt(client: Any, url: str, attempt_id: str = "once", **options: Any) -> list[Any]:
    answer = client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, ReceiveRequestAttemptId=attempt_id, **options
    )
    return list(answer.get("Messages", []))


@pytest.mark.known_difference(moto="knows no attempts", elasticmq="gives new receipt handles")
def test_the_same_attempt_gets_the_same_handles(client: Any, url: str) -> None:
    first = attempt(client, url)
    assert len(first) == 2
    assert attempt(client, url) == first


@pytest.mark.known_difference(elasticmq="answers the first of them again")
def test_the_same_attempt_never_gets_more_than_it_asks_for(client: Any, url: str) -> None:
    assert len(attempt(client, url)) == 2
    options = {"QueueUrl": url, "ReceiveRequestAttemptId": "once"}
    assert not client.receive_message(MaxNumberOfMessages=1, **options).get("Messages")


def test_another_attempt_gets_nothing(client: Any, url: str) -> None:
    attempt(client, url)
    assert attempt(client, url, "other") == []


@pytest.mark.known_difference(elasticmq="counts it")
def test_a_repeated_answer_counts_no_receive(client: Any, url: str) -> None:
    for _ in range(2):
        for message in attempt(client, url, AttributeNames=["ApproximateReceiveCount"]):
            assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


@pytest.mark.known_difference(moto="knows no attempts")
def test_a_repeated_answer_hides_anew(client: Any, clock: Any, url: str) -> None:
    attempt(client, url, VisibilityTimeout=1)
    attempt(client, url, VisibilityTimeout=60)
    clock.pass_seconds(1.1)
    assert counts(client, url) == (0, 2, 0)


@pytest.mark.known_difference(elasticmq="fails on it")
def test_a_delete_ends_it(client: Any, url: str) -> None:
    first = attempt(client, url)
    client.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    assert attempt(client, url) == []


@pytest.mark.known_difference(elasticmq="repeats it all the same")
def test_a_change_of_visibility_ends_it(client: Any, url: str) -> None:
    first = attempt(client, url)
    client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"], VisibilityTimeout=60
    )
    assert attempt(client, url) == []


@pytest.mark.known_difference(moto="loses the order after a visibility timeout")
def test_the_end_of_a_visibility_timeout_ends_it(client: Any, clock: Any, url: str) -> None:
    first = attempt(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    again = attempt(client, url)
    assert [message["Body"] for message in again] == ["a", "b"]
    assert again[0]["ReceiptHandle"] != first[0]["ReceiptHandle"]


@pytest.mark.moves_clock
def test_it_ends_after_five_minutes(client: Any, clock: Any, url: str) -> None:
    first = attempt(client, url, VisibilityTimeout=900)
    clock.pass_seconds(299)
    assert attempt(client, url, VisibilityTimeout=900) == first
    clock.pass_seconds(1)
    assert attempt(client, url) == []


def test_an_attempt_without_an_answer_leaves_nothing(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    assert attempt(client, url) == []
    send(client, url, "x", MessageGroupId="g")
    assert [message["Body"] for message in attempt(client, url)] == ["x"]


@pytest.mark.known_difference(moto="takes it", elasticmq="has texts of its own")
def test_an_attempt_id_is_for_fifo_queues(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidParameterValue", "for parameter ReceiveRequestAttemptId is invalid."):
        attempt(client, make_queue())


@pytest.mark.known_difference(moto="takes it", elasticmq="has texts of its own")
@pytest.mark.parametrize(
    "attempt_id", ["", "a b", "ä", "x" * 129], ids=["empty", "blank", "accent", "long"]
)
def test_an_attempt_id_has_a_form(client: Any, url: str, attempt_id: str) -> None:
    with refused("InvalidParameterValue", "for parameter ReceiveRequestAttemptId is invalid."):
        attempt(client, url, attempt_id)
    assert take_one(client, url)["Body"] == "a"
