"""Tags of queues."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import refused

MakeQueue = Callable[..., str]


def tags_of(client: Any, url: str) -> dict[str, str] | None:
    tags: dict[str, str] | None = client.list_queue_tags(QueueUrl=url).get("Tags")
    return tags


def test_a_queue_can_be_created_with_tags(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name, tags={"team": "mail"})["QueueUrl"]
    assert tags_of(client, url) == {"team": "mail"}


def test_a_queue_without_tags_omits_the_map(client: Any, make_queue: MakeQueue) -> None:
    assert not tags_of(client, make_queue())


def test_tags_are_merged_and_overwritten(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1", "b": "2"})
    client.tag_queue(QueueUrl=url, Tags={"b": "3", "B": "4"})
    assert tags_of(client, url) == {"a": "1", "b": "3", "B": "4"}


def test_untagging_ignores_unknown_keys(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1", "b": "2"})
    client.untag_queue(QueueUrl=url, TagKeys=["a", "nothing"])
    assert tags_of(client, url) == {"b": "2"}


def test_an_empty_value_is_accepted(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": ""})
    assert tags_of(client, url) == {"a": ""}


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_queue_has_at_most_fifty_tags(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    fifty = {str(n): "x" for n in range(50)}
    client.tag_queue(QueueUrl=url, Tags=fifty)
    with refused("InvalidParameterValue", "Too many tags added for queue"):
        client.tag_queue(QueueUrl=url, Tags={"0": "y", "51": "x"})
    assert tags_of(client, url) == fifty


@pytest.mark.known_difference(elasticmq="accepts it")
def test_tagging_without_tags_is_a_missing_parameter(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter Tags."):
        client.tag_queue(QueueUrl=make_queue(), Tags={})


@pytest.mark.known_difference(elasticmq="accepts it")
def test_untagging_without_keys_is_refused(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidParameterValue", "Tag keys must be between 1 and 128 characters in length."
    ):
        client.untag_queue(QueueUrl=make_queue(), TagKeys=[])


def test_the_longest_key_and_value_are_accepted(client: Any, make_queue: MakeQueue) -> None:
    url, tags = make_queue(), {"k" * 128: "v" * 256}
    client.tag_queue(QueueUrl=url, Tags=tags)
    assert tags_of(client, url) == tags


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize(
    "tags",
    [{"k" * 129: "v"}, {"": "v"}, {"k": "v" * 257}, {"aws:k": "v"}],
    ids=["long key", "empty key", "long value", "reserved"],
)
def test_invalid_tags_are_refused(client: Any, make_queue: MakeQueue, tags: dict[str, str]) -> None:
    url = make_queue()
    with refused("InvalidParameterValue"):
        client.tag_queue(QueueUrl=url, Tags=tags)
    assert not tags_of(client, url)
