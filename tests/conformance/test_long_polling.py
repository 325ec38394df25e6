"""A waiting receive returns as soon as a message is available, for any reason."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.conformance.calls import arn_of, send, take_one

MakeQueue = Callable[..., str]


class Waiting:
    """A receive that waits in its own thread."""

    def __init__(self, client: Any, url: str, **options: Any) -> None:
        self._answer: dict[str, Any] = {}
        self.seconds = float("inf")
        self._began = time.monotonic()
        arguments = (client, url, options)
        self._thread = threading.Thread(target=self._receive, args=arguments, daemon=True)
        self._thread.start()
        time.sleep(0.3)  # so the receive is waiting

    def _receive(self, client: Any, url: str, options: dict[str, Any]) -> None:
        # If a server responds after the test, its error must not show up in the next test.
        with suppress(BotoCoreError, ClientError):
            options = {"WaitTimeSeconds": 10} | options
            self._answer = client.receive_message(QueueUrl=url, **options)
        self.seconds = time.monotonic() - self._began

    def bodies(self, within: float = 20) -> list[str]:
        self._thread.join(within)
        assert not self._thread.is_alive()
        return [message["Body"] for message in self._answer.get("Messages", [])]


def test_a_receive_returns_no_messages_after_its_wait_time(
    client: Any, make_queue: MakeQueue
) -> None:
    waiting = Waiting(client, make_queue(), WaitTimeSeconds=1)
    assert waiting.bodies() == []
    assert 0.9 < waiting.seconds < 3


def test_the_wait_time_of_the_queue_is_the_default(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(ReceiveMessageWaitTimeSeconds="1")
    began = time.monotonic()
    client.receive_message(QueueUrl=url)
    assert time.monotonic() - began > 0.9
    began = time.monotonic()
    client.receive_message(QueueUrl=url, WaitTimeSeconds=0)
    assert time.monotonic() - began < 0.9


def test_a_receive_does_not_wait_if_there_is_a_message(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    waiting = Waiting(client, url, MaxNumberOfMessages=10)
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 2


def test_a_send_wakes_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    waiting = Waiting(client, url)
    send(client, url, "x")
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 2


def test_the_end_of_a_delay_wakes_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    waiting = Waiting(client, url)
    send(client, url, "x", DelaySeconds=1)
    assert waiting.bodies() == ["x"]
    assert 1 < waiting.seconds < 4


def test_the_end_of_a_visibility_timeout_wakes_a_receive(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="1")
    send(client, url, "x")
    take_one(client, url)
    waiting = Waiting(client, url)
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 4


def test_a_message_that_is_made_visible_wakes_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    waiting = Waiting(client, url)
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 2


def test_a_shortened_visibility_timeout_wakes_a_receive_earlier(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url)["ReceiptHandle"]
    waiting = Waiting(client, url)
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 4


@pytest.mark.known_difference(moto="does not wake the receive")
def test_a_delete_that_releases_a_group_wakes_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send(client, url, "a", "b", MessageGroupId="g")
    first = take_one(client, url)
    waiting = Waiting(client, url)
    client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert waiting.bodies() == ["b"]
    assert waiting.seconds < 2


@pytest.mark.known_difference(elasticmq="moves a message when its timeout ends")
def test_a_dead_letter_wakes_a_receive(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    url = make_queue(RedrivePolicy=policy)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    waiting = Waiting(client, dead)
    assert not client.receive_message(QueueUrl=url).get("Messages")
    assert waiting.bodies() == ["x"]
    assert waiting.seconds < 2


def test_each_message_goes_to_only_one_waiting_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    waiting = [Waiting(client, url) for _ in range(3)]
    send(client, url, "a", "b", "c")
    assert sorted(body for one in waiting for body in one.bodies()) == ["a", "b", "c"]


@pytest.mark.known_difference(moto="keeps waiting", elasticmq="never answers")
def test_deleting_the_queue_ends_a_receive(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    waiting = Waiting(client, url, WaitTimeSeconds=3)
    client.delete_queue(QueueUrl=url)
    assert waiting.bodies(within=2) == []
