"""Queues are made, found, listed and deleted."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, refused, send, take_one

MakeQueue = Callable[..., str]


def test_a_queue_is_found_by_its_name(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name)["QueueUrl"]
    assert url.endswith(f"/{queue_name}")
    assert client.get_queue_url(QueueName=queue_name)["QueueUrl"] == url


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_a_queue_that_is_not_there_has_a_code_and_a_class(client: Any, queue_name: str) -> None:
    with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
        client.get_queue_url(QueueName=queue_name)
    error = caught.value.response["Error"]
    assert error["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert error["Message"].startswith("The specified queue does not exist")


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_operations_on_a_queue_that_is_not_there_are_refused(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue() + "-other"
    for operation, options in (
        (client.send_message, {"MessageBody": "x"}),
        (client.receive_message, {}),
        (client.get_queue_attributes, {"AttributeNames": ["All"]}),
        (client.purge_queue, {}),
        (client.delete_queue, {}),
        (client.list_queue_tags, {}),
    ):
        with refused("AWS.SimpleQueueService.NonExistentQueue"):
            operation(QueueUrl=url, **options)


@pytest.mark.known_difference(elasticmq="takes URLs alone")
def test_a_bare_name_stands_for_the_url(client: Any, make_queue: MakeQueue) -> None:
    name = make_queue().rpartition("/")[2]
    client.send_message(QueueUrl=name, MessageBody="by name")
    assert take_one(client, name)["Body"] == "by name"


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


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_bad_names_are_refused(client: Any) -> None:
    for name in ("", "with space", "a/b", "dot.ted", "x" * 81):
        with refused("InvalidParameterValue"):
            client.create_queue(QueueName=name)


@pytest.mark.known_difference(moto="has texts of its own", elasticmq="has codes of its own")
def test_a_fifo_queue_needs_its_suffix(client: Any, queue_name: str) -> None:
    with refused("InvalidParameterValue", "must end with .fifo suffix"):
        client.create_queue(QueueName=queue_name, Attributes={"FifoQueue": "true"})


@pytest.mark.known_difference(moto="makes a standard queue", elasticmq="has codes of its own")
def test_the_suffix_needs_a_fifo_queue(client: Any, fifo_queue_name: str) -> None:
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=fifo_queue_name)


@pytest.mark.known_difference(elasticmq="answers an empty list")
def test_queues_are_listed_by_their_beginning(client: Any, queue_name: str) -> None:
    names = [f"{queue_name}-{letter}" for letter in "cab"]
    urls = [client.create_queue(QueueName=name)["QueueUrl"] for name in names]
    assert sorted(client.list_queues(QueueNamePrefix=queue_name)["QueueUrls"]) == sorted(urls)
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix=queue_name + "-d")


@pytest.mark.known_difference(elasticmq="knows no pages")
def test_queues_are_listed_in_pages(client: Any, queue_name: str) -> None:
    urls = [client.create_queue(QueueName=f"{queue_name}-{n}")["QueueUrl"] for n in range(5)]
    pages = client.get_paginator("list_queues").paginate(
        QueueNamePrefix=queue_name, PaginationConfig={"PageSize": 2}
    )
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]


@pytest.mark.known_difference(moto="takes any size", elasticmq="takes any size")
def test_the_size_of_a_page_has_bounds(client: Any) -> None:
    for count in (0, 1001):
        with refused("InvalidParameterValue", "MaxResults must be an integer between 1 and 1000"):
            client.list_queues(MaxResults=count)


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_a_deleted_queue_is_gone(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "lost")
    client.delete_queue(QueueUrl=url)
    with refused("AWS.SimpleQueueService.NonExistentQueue"):
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


def test_sources_of_a_dead_letter_queue_are_listed(client: Any, make_queue: MakeQueue) -> None:
    dead, empty = make_queue(), make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 3}
    sources = sorted(make_queue(RedrivePolicy=policy) for _ in range(2))
    answer = client.list_dead_letter_source_queues(QueueUrl=dead)
    assert sorted(answer["queueUrls"]) == sources
    assert client.list_dead_letter_source_queues(QueueUrl=empty)["queueUrls"] == []
