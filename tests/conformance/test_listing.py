"""Lists of queues and of dead-letter sources, in pages."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, refused

MakeQueue = Callable[..., str]


@pytest.fixture
def urls(client: Any, queue_name: str) -> list[str]:
    """Create five queues with a common prefix; return their URLs in the order of their names."""
    names = [f"{queue_name}-{letter}" for letter in "dbeac"]
    return sorted(client.create_queue(QueueName=name)["QueueUrl"] for name in names)


@pytest.mark.known_difference(elasticmq="returns an empty list")
def test_the_list_is_absent_if_no_queue_matches(client: Any, queue_name: str) -> None:
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix=queue_name)


def test_queues_are_listed_by_prefix(client: Any, queue_name: str, urls: list[str]) -> None:
    assert sorted(client.list_queues(QueueNamePrefix=queue_name)["QueueUrls"]) == urls
    found = client.list_queues(QueueNamePrefix=queue_name + "-a")["QueueUrls"]
    assert found == urls[:1]


@pytest.mark.known_difference(moto="treats it as a pattern")
def test_a_prefix_is_not_a_pattern(client: Any, queue_name: str, urls: list[str]) -> None:
    assert not client.list_queues(QueueNamePrefix=queue_name + "*").get("QueueUrls")
    assert not client.list_queues(QueueNamePrefix=queue_name[1:]).get("QueueUrls")


@pytest.mark.known_difference(
    moto="lists in the order of creation", elasticmq="sometimes lists in another order"
)
def test_queues_are_sorted_by_name(client: Any, queue_name: str, urls: list[str]) -> None:
    assert client.list_queues(QueueNamePrefix=queue_name)["QueueUrls"] == urls


def test_without_a_page_size_there_is_no_token(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    answer = client.list_queues(QueueNamePrefix=queue_name)
    assert len(answer["QueueUrls"]) == len(urls)
    assert "NextToken" not in answer


@pytest.mark.known_difference(
    moto="lists in the order of creation", elasticmq="does not support paging"
)
def test_a_page_has_a_token_only_if_more_queues_follow(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    answer = client.list_queues(QueueNamePrefix=queue_name, MaxResults=4)
    assert answer["QueueUrls"] == urls[:4]
    rest = {"MaxResults": 4, "NextToken": answer["NextToken"]}
    answer = client.list_queues(QueueNamePrefix=queue_name, **rest)
    assert answer["QueueUrls"] == urls[4:]
    assert "NextToken" not in answer
    assert "NextToken" not in client.list_queues(QueueNamePrefix=queue_name, MaxResults=5)


@pytest.mark.known_difference(
    moto="lists in the order of creation", elasticmq="does not support paging"
)
def test_botocores_paginator_reads_all_pages(client: Any, queue_name: str, urls: list[str]) -> None:
    pages = client.get_paginator("list_queues").paginate(
        QueueNamePrefix=queue_name, PaginationConfig={"PageSize": 2}
    )
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]


@pytest.mark.known_difference(
    moto="lists in the order of creation", elasticmq="does not support paging"
)
def test_paging_continues_after_the_last_listed_queue_was_deleted(
    client: Any, queue_name: str, urls: list[str]
) -> None:
    first = client.list_queues(QueueNamePrefix=queue_name, MaxResults=2)
    client.delete_queue(QueueUrl=urls[1])
    rest = {"MaxResults": 1000, "NextToken": first["NextToken"]}
    assert client.list_queues(QueueNamePrefix=queue_name, **rest)["QueueUrls"] == urls[2:]


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("count", [0, 1001])
def test_a_page_size_out_of_range_is_refused(client: Any, count: int) -> None:
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


def test_the_list_of_sources_can_be_empty(client: Any, make_queue: MakeQueue) -> None:
    assert client.list_dead_letter_source_queues(QueueUrl=make_queue())["queueUrls"] == []


@pytest.mark.known_difference(moto="does not page sources", elasticmq="does not support paging")
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
