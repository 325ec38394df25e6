"""Queues are made, found, listed and deleted."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import is_empty, refused, send

MakeQueue = Callable[..., str]

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


def test_a_queue_is_found_by_its_name(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name)["QueueUrl"]
    assert url.endswith(f"/{queue_name}")
    assert client.get_queue_url(QueueName=queue_name)["QueueUrl"] == url


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_a_queue_that_is_not_there_has_a_code_and_a_class(client: Any, queue_name: str) -> None:
    with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
        client.get_queue_url(QueueName=queue_name)
    error = caught.value.response["Error"]
    assert error["Code"] == MISSING
    assert error["Message"].startswith("The specified queue does not exist")


def test_creating_it_again_answers_the_same_url(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11")
    name = url.rpartition("/")[2]
    assert make_queue(name) == url
    assert make_queue(name, VisibilityTimeout="11") == url


@pytest.mark.known_difference(moto="has texts of its own", elasticmq="has codes of its own")
def test_creating_it_with_another_attribute_is_refused(client: Any, make_queue: MakeQueue) -> None:
    name = make_queue(VisibilityTimeout="11").rpartition("/")[2]
    with refused("QueueAlreadyExists", "different value for attribute VisibilityTimeout"):
        make_queue(name, VisibilityTimeout="12")
    with pytest.raises(client.exceptions.QueueNameExists):
        make_queue(name, VisibilityTimeout="12")


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_what_counts_is_the_value_now_not_at_creation(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11")
    name = url.rpartition("/")[2]
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "12"})
    assert make_queue(name, VisibilityTimeout="12") == url
    with refused("QueueAlreadyExists"):
        make_queue(name, VisibilityTimeout="11")


def test_a_default_that_is_given_is_no_difference(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    assert make_queue(url.rpartition("/")[2], VisibilityTimeout="30") == url


@pytest.mark.known_difference(moto="makes a standard queue", elasticmq="has codes of its own")
def test_the_suffix_needs_a_fifo_queue(client: Any, fifo_queue_name: str) -> None:
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=fifo_queue_name)


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_a_deleted_queue_is_gone(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "lost")
    client.delete_queue(QueueUrl=url)
    with refused(MISSING):
        client.send_message(QueueUrl=url, MessageBody="x")


@pytest.mark.known_difference(moto="takes the name at once", elasticmq="takes the name at once")
def test_a_name_rests_for_60_seconds_after_a_delete(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.delete_queue(QueueUrl=url)
    with pytest.raises(client.exceptions.QueueDeletedRecently) as caught:
        make_queue(url.rpartition("/")[2])
    error = caught.value.response["Error"]
    assert error["Code"] == "AWS.SimpleQueueService.QueueDeletedRecently"
    assert error["Message"].startswith("You must wait 60 seconds after deleting a queue")


@pytest.mark.known_difference(moto="takes the new tags", elasticmq="refuses other tags")
def test_an_existing_queue_keeps_its_tags(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name, tags={"team": "mail"})["QueueUrl"]
    assert client.create_queue(QueueName=queue_name, tags={"team": "web"})["QueueUrl"] == url
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "mail"}


def test_only_what_is_given_is_compared(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11", DelaySeconds="2")
    assert make_queue(url.rpartition("/")[2], DelaySeconds="2") == url


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_a_queue_with_a_bad_attribute_is_not_made(client: Any, queue_name: str) -> None:
    with refused("InvalidAttributeValue"):
        client.create_queue(QueueName=queue_name, Attributes={"DelaySeconds": "901"})
    with refused(MISSING):
        client.get_queue_url(QueueName=queue_name)


@pytest.mark.known_difference(moto="fails on it", elasticmq="has codes of its own")
def test_a_queue_with_a_bad_redrive_policy_is_not_made(client: Any, queue_name: str) -> None:
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=queue_name, Attributes={"RedrivePolicy": "no json"})
    with refused(MISSING):
        client.get_queue_url(QueueName=queue_name)


def test_a_queue_is_found_with_its_owner(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    found = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
    assert found["QueueUrl"] == url


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_a_queue_of_another_owner_is_not_found(client: Any, make_queue: MakeQueue) -> None:
    name = make_queue().rpartition("/")[2]
    with refused(MISSING):
        client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId="999999999999")


@pytest.mark.moves_clock
def test_a_name_can_be_taken_again_after_60_seconds(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "lost")
    client.delete_queue(QueueUrl=url)
    clock.pass_seconds(59.5)
    with refused("AWS.SimpleQueueService.QueueDeletedRecently"):
        make_queue(url.rpartition("/")[2])
    clock.pass_seconds(0.5)
    assert make_queue(url.rpartition("/")[2]) == url
    assert is_empty(client, url)


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_deleting_a_queue_takes_its_tags(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "b"})
    client.delete_queue(QueueUrl=url)
    with refused(MISSING):
        client.list_queue_tags(QueueUrl=url)
