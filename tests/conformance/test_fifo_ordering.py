"""Order within a message group, and which group comes next."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, counts, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


@pytest.fixture
def url(make_queue: MakeQueue) -> str:
    return make_queue(fifo=True, ContentBasedDeduplication="true")


def send_named(client: Any, url: str, *names: str) -> None:
    """Each name is a body; the group is what stands before the dash."""
    for name in names:
        send(client, url, name, MessageGroupId=name.partition("-")[0])


def hide(client: Any, url: str, message: dict[str, Any], seconds: int) -> None:
    client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
    )


def delete(client: Any, url: str, message: dict[str, Any]) -> None:
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def receive(client: Any, url: str, count: int = 10, **options: Any) -> list[str]:
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=count, **options)
    return bodies(answer.get("Messages", []))


def test_a_group_comes_in_the_order_of_sending(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    assert bodies(take(client, url, 3)) == ["g-1", "g-2", "g-3"]


def test_a_message_in_flight_blocks_its_group_not_others(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "h-1")
    assert receive(client, url, 1) == ["g-1"]
    assert receive(client, url) == ["h-1"]
    assert is_empty(client, url)


def test_a_new_message_of_a_blocked_group_waits(client: Any, url: str) -> None:
    send_named(client, url, "g-1")
    first = take_one(client, url)
    send_named(client, url, "g-2")
    assert is_empty(client, url)
    delete(client, url, first)
    assert receive(client, url) == ["g-2"]


@pytest.mark.known_difference(moto="ignores groups when it picks")
def test_a_receive_takes_as_much_as_it_can_of_one_group(client: Any, url: str) -> None:
    send_named(client, url, "g1-1", "g2-1", "g1-2", "g1-3")
    assert receive(client, url) == ["g1-1", "g1-2", "g1-3", "g2-1"]


@pytest.mark.known_difference(
    moto="ignores groups when it picks", elasticmq="keeps groups in the order of sending"
)
def test_a_group_that_was_received_from_goes_to_the_end(client: Any, url: str) -> None:
    send_named(client, url, "g1-1", "g2-1", "g2-2", "g3-1", "g1-2")
    assert receive(client, url, 3, VisibilityTimeout=0) == ["g1-1", "g1-2", "g2-1"]
    assert receive(client, url, 10, VisibilityTimeout=0) == [
        "g3-1",
        "g1-1",
        "g1-2",
        "g2-1",
        "g2-2",
    ]


@pytest.mark.known_difference(
    moto="keeps groups in the order of sending", elasticmq="keeps groups in the order of sending"
)
def test_a_group_that_is_freed_comes_after_those_that_wait(client: Any, url: str) -> None:
    send_named(client, url, "g1-1", "g2-1", "g3-1")
    first = take_one(client, url)
    hide(client, url, first, 0)
    assert receive(client, url) == ["g2-1", "g3-1", "g1-1"]


@pytest.mark.known_difference(moto="loses the order after a visibility timeout")
def test_a_group_comes_again_in_its_old_order(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    assert receive(client, url, VisibilityTimeout=1) == ["g-1", "g-2", "g-3"]
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1", "g-2", "g-3"]


def test_the_extended_first_blocks_all(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[0], 60)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


@pytest.mark.known_difference(moto="blocks the whole group")
def test_the_extended_second_leaves_only_the_first(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[1], 60)
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1"]


@pytest.mark.known_difference(moto="blocks the whole group")
def test_the_extended_third_leaves_the_two_before(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[2], 60)
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1", "g-2"]


@pytest.mark.known_difference(moto="blocks the whole group")
def test_the_first_made_visible_comes_alone(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 2)
    hide(client, url, received[0], 0)
    assert receive(client, url) == ["g-1"]


def test_the_group_goes_on_when_all_in_flight_are_deleted(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 2)
    delete(client, url, received[0])
    assert is_empty(client, url)
    delete(client, url, received[1])
    assert receive(client, url) == ["g-3"]


def test_blocked_messages_count_as_available(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    take_one(client, url)
    assert counts(client, url) == (2, 1, 0)


@pytest.mark.known_difference(
    moto="answers no sequence numbers", elasticmq="has shorter sequence numbers"
)
def test_sequence_numbers_grow_and_come_back(client: Any, url: str) -> None:
    numbers = [
        client.send_message(QueueUrl=url, MessageBody=text, MessageGroupId="g")["SequenceNumber"]
        for text in "abc"
    ]
    assert all(len(number) == 20 and number.isdigit() for number in numbers)
    assert numbers == sorted(set(numbers))
    messages = take(client, url, 3, AttributeNames=["All"])
    assert [message["Attributes"]["SequenceNumber"] for message in messages] == numbers
    assert messages[0]["Attributes"]["MessageGroupId"] == "g"
    assert len(messages[0]["Attributes"]["MessageDeduplicationId"]) == 64


@pytest.mark.known_difference(
    moto="deletes with an expired handle", elasticmq="deletes with an expired handle"
)
def test_an_expired_handle_does_not_delete(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1")
    message = take_one(client, url, VisibilityTimeout=1)
    clock.pass_seconds(1.1)
    with refused("InvalidParameterValue", "Reason: The receipt handle has expired."):
        delete(client, url, message)
    assert receive(client, url) == ["g-1"]


@pytest.mark.known_difference(elasticmq="refuses the second delete")
def test_an_extended_handle_deletes(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1")
    message = take_one(client, url, VisibilityTimeout=1)
    hide(client, url, message, 60)
    clock.pass_seconds(1.1)
    delete(client, url, message)
    delete(client, url, message)


def test_a_message_needs_a_group(client: Any, url: str) -> None:
    with refused("MissingParameter", "The request must contain the parameter MessageGroupId."):
        client.send_message(QueueUrl=url, MessageBody="x")


@pytest.mark.known_difference(moto="knows no attempts", elasticmq="gives new receipt handles")
def test_the_same_attempt_gets_the_same_answer(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2")

    def attempt(attempt_id: str) -> list[Any]:
        answer = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, ReceiveRequestAttemptId=attempt_id
        )
        return list(answer.get("Messages", []))

    first = attempt("once")
    assert attempt("once") == first
    assert attempt("other") == []


@pytest.mark.known_difference(elasticmq="answers the first of them again")
def test_the_same_attempt_never_gets_more_than_it_asks_for(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2")
    options = {"QueueUrl": url, "ReceiveRequestAttemptId": "once"}
    assert len(client.receive_message(MaxNumberOfMessages=2, **options)["Messages"]) == 2
    assert not client.receive_message(MaxNumberOfMessages=1, **options).get("Messages")


@pytest.mark.known_difference(elasticmq="fails when a message was deleted")
def test_an_attempt_ends_when_one_of_its_messages_changes(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2")
    options = {"QueueUrl": url, "MaxNumberOfMessages": 10, "ReceiveRequestAttemptId": "once"}
    first = client.receive_message(**options)["Messages"]
    delete(client, url, first[0])
    assert not client.receive_message(**options).get("Messages")


@pytest.mark.known_difference(moto="takes it on any queue")
def test_an_attempt_id_is_for_fifo_queues(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidParameterValue"):
        client.receive_message(QueueUrl=make_queue(), ReceiveRequestAttemptId="once")
