"""The order within a message group, and which group is next."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, counts, is_empty, send, take, take_one

MakeQueue = Callable[..., str]


@pytest.fixture
def url(make_queue: MakeQueue) -> str:
    return make_queue(fifo=True, ContentBasedDeduplication="true")


def send_named(client: Any, url: str, *names: str) -> None:
    """Send each name as a body; the part before the dash is the group."""
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


def test_a_group_is_received_in_send_order(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    assert bodies(take(client, url, 3)) == ["g-1", "g-2", "g-3"]


def test_a_message_in_flight_blocks_only_its_group(client: Any, url: str) -> None:
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


@pytest.mark.known_difference(moto="ignores groups when it selects messages")
def test_a_receive_returns_as_many_messages_of_one_group_as_possible(client: Any, url: str) -> None:
    send_named(client, url, "g1-1", "g2-1", "g1-2", "g1-3")
    assert receive(client, url) == ["g1-1", "g1-2", "g1-3", "g2-1"]


@pytest.mark.known_difference(
    moto="ignores groups when it selects messages", elasticmq="keeps groups in send order"
)
def test_a_received_group_moves_to_the_end(client: Any, url: str) -> None:
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
    moto="keeps groups in send order", elasticmq="keeps groups in send order"
)
def test_a_released_group_comes_after_waiting_groups(client: Any, url: str) -> None:
    send_named(client, url, "g1-1", "g2-1", "g3-1")
    first = take_one(client, url)
    hide(client, url, first, 0)
    assert receive(client, url) == ["g2-1", "g3-1", "g1-1"]


@pytest.mark.known_difference(moto="loses the order after a visibility timeout")
def test_a_group_keeps_its_order_after_a_visibility_timeout(
    client: Any, clock: Any, url: str
) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    assert receive(client, url, VisibilityTimeout=1) == ["g-1", "g-2", "g-3"]
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1", "g-2", "g-3"]


def test_extending_the_first_message_blocks_the_group(client: Any, clock: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[0], 60)
    clock.pass_seconds(1.1)
    assert is_empty(client, url)


@pytest.mark.known_difference(moto="blocks the whole group")
def test_extending_the_second_message_leaves_the_first_available(
    client: Any, clock: Any, url: str
) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[1], 60)
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1"]


@pytest.mark.known_difference(moto="blocks the whole group")
def test_extending_the_third_message_leaves_the_first_two_available(
    client: Any, clock: Any, url: str
) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 3, VisibilityTimeout=1)
    hide(client, url, received[2], 60)
    clock.pass_seconds(1.1)
    assert receive(client, url) == ["g-1", "g-2"]


@pytest.mark.known_difference(moto="blocks the whole group")
def test_only_the_first_message_is_received_when_it_is_made_visible(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    received = take(client, url, 2)
    hide(client, url, received[0], 0)
    assert receive(client, url) == ["g-1"]


def test_a_group_continues_when_all_its_messages_in_flight_are_deleted(
    client: Any, url: str
) -> None:
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
    moto="returns no sequence numbers", elasticmq="returns shorter sequence numbers"
)
def test_sequence_numbers_increase_and_are_received(client: Any, url: str) -> None:
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


def test_groups_are_independent(client: Any, url: str) -> None:
    send_named(client, url, "g-1", "h-1", "g-2", "h-2")
    received = take(client, url, 4)
    for group in "gh":
        assert [x for x in bodies(received) if x[0] == group] == [f"{group}-1", f"{group}-2"]


def test_a_group_continues_when_its_last_message_in_flight_is_visible_again(
    client: Any, url: str
) -> None:
    send_named(client, url, "g-1", "g-2", "g-3")
    first, second = take(client, url, 2)
    delete(client, url, first)
    assert is_empty(client, url)
    hide(client, url, second, 0)
    assert receive(client, url) == ["g-2", "g-3"]


def test_a_fifo_receive_returns_up_to_ten_messages(client: Any, url: str) -> None:
    send_named(client, url, *(f"g-{n:02}" for n in range(11)))
    assert receive(client, url) == [f"g-{n:02}" for n in range(10)]


def test_the_same_group_in_two_queues_is_two_groups(client: Any, make_queue: MakeQueue) -> None:
    urls = [make_queue(fifo=True, ContentBasedDeduplication="true") for _ in range(2)]
    for url in urls:
        send_named(client, url, "g-1")
    take_one(client, urls[0])
    assert receive(client, urls[1]) == ["g-1"]


@pytest.mark.known_difference(moto="returns no sequence numbers")
def test_sequence_numbers_increase_across_groups(client: Any, url: str) -> None:
    numbers = [
        client.send_message(QueueUrl=url, MessageBody=group, MessageGroupId=group)["SequenceNumber"]
        for group in "gh"
    ]
    assert numbers[0] < numbers[1]


@pytest.mark.known_difference(
    moto="ignores groups when it selects messages",
    elasticmq="returns the group with the earliest send first",
)
def test_groups_released_by_one_batch_follow_the_order_of_its_entries(
    client: Any, url: str
) -> None:
    send_named(client, url, "g-1", "h-1", "g-2", "h-2")
    in_flight = {
        message["Body"]: message["ReceiptHandle"]
        for _ in range(2)
        for message in take(client, url, 1)
    }
    entries = [{"Id": body[0], "ReceiptHandle": in_flight[body]} for body in ("h-1", "g-1")]
    client.delete_message_batch(QueueUrl=url, Entries=entries)
    assert receive(client, url, 1) == ["h-2"]
    assert receive(client, url, 1) == ["g-2"]
