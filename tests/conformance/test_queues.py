"""Queues are created, found, and deleted."""

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


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_a_missing_queue_has_an_error_code_and_class(client: Any, queue_name: str) -> None:
    with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
        client.get_queue_url(QueueName=queue_name)
    error = caught.value.response["Error"]
    assert error["Code"] == MISSING
    assert error["Message"].startswith("The specified queue does not exist")


def test_creating_a_queue_again_returns_the_same_url(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11")
    name = url.rpartition("/")[2]
    assert make_queue(name) == url
    assert make_queue(name, VisibilityTimeout="11") == url


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error codes"
)
def test_creating_a_queue_again_with_another_attribute_is_refused(
    client: Any, make_queue: MakeQueue
) -> None:
    name = make_queue(VisibilityTimeout="11").rpartition("/")[2]
    with refused("QueueAlreadyExists", "different value for attribute VisibilityTimeout"):
        make_queue(name, VisibilityTimeout="12")
    with pytest.raises(client.exceptions.QueueNameExists):
        make_queue(name, VisibilityTimeout="12")


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_creating_a_queue_again_compares_current_values(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11")
    name = url.rpartition("/")[2]
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "12"})
    assert make_queue(name, VisibilityTimeout="12") == url
    with refused("QueueAlreadyExists"):
        make_queue(name, VisibilityTimeout="11")


def test_an_explicit_default_is_not_a_difference(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    assert make_queue(url.rpartition("/")[2], VisibilityTimeout="30") == url


@pytest.mark.known_difference(
    moto="creates a standard queue", elasticmq="uses different error codes"
)
def test_the_suffix_is_refused_on_a_standard_queue(client: Any, fifo_queue_name: str) -> None:
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=fifo_queue_name)


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_a_deleted_queue_is_gone(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "lost")
    client.delete_queue(QueueUrl=url)
    with refused(MISSING):
        client.send_message(QueueUrl=url, MessageBody="x")


@pytest.mark.known_difference(moto="accepts the name at once", elasticmq="accepts the name at once")
def test_a_name_cannot_be_used_for_60_seconds_after_a_delete(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    client.delete_queue(QueueUrl=url)
    with pytest.raises(client.exceptions.QueueDeletedRecently) as caught:
        make_queue(url.rpartition("/")[2])
    error = caught.value.response["Error"]
    assert error["Code"] == "AWS.SimpleQueueService.QueueDeletedRecently"
    assert error["Message"].startswith("You must wait 60 seconds after deleting a queue")


@pytest.mark.known_difference(moto="applies the new tags", elasticmq="refuses other tags")
def test_creating_a_queue_again_keeps_its_tags(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name, tags={"team": "mail"})["QueueUrl"]
    assert client.create_queue(QueueName=queue_name, tags={"team": "web"})["QueueUrl"] == url
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "mail"}


def test_creating_a_queue_again_compares_only_given_attributes(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(VisibilityTimeout="11", DelaySeconds="2")
    assert make_queue(url.rpartition("/")[2], DelaySeconds="2") == url


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_queue_with_an_invalid_attribute_is_not_created(client: Any, queue_name: str) -> None:
    with refused("InvalidAttributeValue"):
        client.create_queue(QueueName=queue_name, Attributes={"DelaySeconds": "901"})
    with refused(MISSING):
        client.get_queue_url(QueueName=queue_name)


@pytest.mark.known_difference(moto="fails on it", elasticmq="uses different error codes")
def test_a_queue_with_an_invalid_redrive_policy_is_not_created(
    client: Any, queue_name: str
) -> None:
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=queue_name, Attributes={"RedrivePolicy": "no json"})
    with refused(MISSING):
        client.get_queue_url(QueueName=queue_name)


def test_a_queue_is_found_with_the_account_of_its_owner(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    found = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
    assert found["QueueUrl"] == url


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_queue_of_another_account_is_not_found(client: Any, make_queue: MakeQueue) -> None:
    name = make_queue().rpartition("/")[2]
    with refused(MISSING):
        client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId="999999999999")


@pytest.mark.moves_clock
def test_a_name_can_be_used_again_after_60_seconds(
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


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_deleting_a_queue_deletes_its_tags(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "b"})
    client.delete_queue(QueueUrl=url)
    with refused(MISSING):
        client.list_queue_tags(QueueUrl=url)
