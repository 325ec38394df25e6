"""Lists of queues, in pages."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, refused

MakeQueue = Callable[..., str]


@pytest.fixture
def urls(client: Any, queue_name: str) -> list[str]:
    """Five queues whose names begin alike, in the order of their names."""
    names = [f"{queue_name}-{letter}" for letter in "dbeac"]
    return sorted(client.create_queue(QueueName=name)["QueueUrl"] for name in names)


@pytest.mark.known_difference(elasticmq="answers an empty list")
def test_no_queue_is_no_list(client: Any, queue_name: str) -> None:
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix=queue_name)


def test_queues_are_listed_by_their_beginning(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    assert sorted(client.list_queues(QueueNamePrefix=queue_name)["QueueUrls"]) == urls
    found = client.list_queues(QueueNamePrefix=queue_name + "-a")["QueueUrls"]
    assert found == urls[:1]


@pytest.mark.known_difference(moto="takes it for a pattern")
def test_a_beginning_is_plain_text(client: Any, queue_name: str, urls: list[str]) -> None:
    assert not client.list_queues(QueueNamePrefix=queue_name + "*").get("QueueUrls")
    assert not client.list_queues(QueueNamePrefix=queue_name[1:]).get("QueueUrls")


@pytest.mark.known_difference(
    moto="lists in the order of creation", elasticmq="sometimes lists in another order"
)
def test_queues_are_listed_in_the_order_of_their_names(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    assert client.list_queues(QueueNamePrefix=queue_name)["QueueUrls"] == urls


def test_without_a_size_there_is_no_token(client: Any, queue_name: str, urls: list[str]) -> None:
    answer = client.list_queues(QueueNamePrefix=queue_name)
    assert len(answer["QueueUrls"]) == len(urls)
    assert "NextToken" not in answer


@pytest.mark.known_difference(moto="lists in the order of creation", elasticmq="knows no pages")
def test_a_page_has_a_token_exactly_if_more_follow(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    answer = client.list_queues(QueueNamePrefix=queue_name, MaxResults=4)
    assert answer["QueueUrls"] == urls[:4]
    rest = {"MaxResults": 4, "NextToken": answer["NextToken"]}
    answer = client.list_queues(QueueNamePrefix=queue_name, **rest)
    assert answer["QueueUrls"] == urls[4:]
    assert "NextToken" not in answer
    assert "NextToken" not in client.list_queues(QueueNamePrefix=queue_name, MaxResults=5)


@pytest.mark.known_difference(moto="lists in the order of creation", elasticmq="knows no pages")
def test_the_pages_of_a_paginator(client: Any, queue_name: str, urls: list[str]) -> None:
    pages = client.get_paginator("list_queues").paginate(
        QueueNamePrefix=queue_name, PaginationConfig={"PageSize": 2}
    )
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]


@pytest.mark.known_difference(moto="lists in the order of creation", elasticmq="knows no pages")
def test_a_page_goes_on_where_a_queue_was_deleted(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    first = client.list_queues(QueueNamePrefix=queue_name, MaxResults=2)
    client.delete_queue(QueueUrl=urls[1])
    rest = {"MaxResults": 1000, "NextToken": first["NextToken"]}
    assert client.list_queues(QueueNamePrefix=queue_name, **rest)["QueueUrls"] == urls[2:]


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
@pytest.mark.parametrize("count", [0, 1001])
def test_the_size_of_a_page_has_bounds(client: Any, count: int) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {count} for parameter MaxResults is invalid. Reason: MaxResults must be an integer"
        " between 1 and 1000.",
    ):
        client.list_queues(MaxResults=count)


def test_sources_of_a_dead_letter_queue_are_listed(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 3}
    sources = sorted(make_queue(RedrivePolicy=policy) for _ in range(2))
    make_queue()
    answer = client.list_dead_letter_source_queues(QueueUrl=dead)
    assert sorted(answer["queueUrls"]) == sources


def test_no_source_is_an_empty_list(client: Any, make_queue: MakeQueue) -> None:
    assert client.list_dead_letter_source_queues(QueueUrl=make_queue())["queueUrls"] == []


@pytest.mark.known_difference(moto="knows no pages of sources", elasticmq="knows no pages")
def test_sources_are_listed_in_pages(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 3}
    sources = sorted(make_queue(RedrivePolicy=policy) for _ in range(3))
    answer = client.list_dead_letter_source_queues(QueueUrl=dead, MaxResults=2)
    assert answer["queueUrls"] == sources[:2]
    rest = {"MaxResults": 2, "NextToken": answer["NextToken"]}
    answer = client.list_dead_letter_source_queues(QueueUrl=dead, **rest)
    assert answer["queueUrls"] == sources[2:]
    assert "NextToken" not in answer
