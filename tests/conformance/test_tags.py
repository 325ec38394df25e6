"""Tags of queues, and the permissions in their policy."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, attribute, refused

MakeQueue = Callable[..., str]


def tags_of(client: Any, url: str) -> dict[str, str] | None:
    tags: dict[str, str] | None = client.list_queue_tags(QueueUrl=url).get("Tags")
    return tags


def test_a_queue_is_made_with_tags(client: Any, queue_name: str) -> None:
    url = client.create_queue(QueueName=queue_name, tags={"team": "mail"})["QueueUrl"]
    assert tags_of(client, url) == {"team": "mail"}


def test_a_queue_without_tags_answers_none(client: Any, make_queue: MakeQueue) -> None:
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


@pytest.mark.known_difference(moto="counts only the new ones", elasticmq="takes any number")
def test_too_many_tags_change_nothing(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1"})
    with refused("InvalidParameterValue", "Too many tags added for queue"):
        client.tag_queue(QueueUrl=url, Tags={str(n): "x" for n in range(50)})
    assert tags_of(client, url) == {"a": "1"}
    with refused("MissingParameter", "The request must contain the parameter Tags."):
        client.tag_queue(QueueUrl=url, Tags={})
    with refused("InvalidParameterValue"):
        client.untag_queue(QueueUrl=url, TagKeys=[])


@pytest.mark.known_difference(moto="has another version in it", elasticmq="keeps no permissions")
def test_permissions_are_statements_of_the_policy(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.add_permission(
        QueueUrl=url, Label="one", AWSAccountIds=["111111111111"], Actions=["SendMessage"]
    )
    policy = json.loads(attribute(client, url, "Policy") or "")
    arn = arn_of(client, url)
    assert policy == {
        "Version": "2008-10-17",
        "Id": f"{arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "one",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": "SQS:SendMessage",
                "Resource": arn,
            }
        ],
    }


@pytest.mark.known_difference(moto="has texts of its own", elasticmq="keeps no permissions")
def test_permissions_have_labels(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.add_permission(
        QueueUrl=url,
        Label="two",
        AWSAccountIds=["111111111111", "222222222222"],
        Actions=["*", "ReceiveMessage"],
    )
    (statement,) = json.loads(attribute(client, url, "Policy") or "")["Statement"]
    assert statement["Action"] == ["SQS:*", "SQS:ReceiveMessage"]
    assert len(statement["Principal"]["AWS"]) == 2
    with refused("InvalidParameterValue", "Value two for parameter Label is invalid."):
        client.add_permission(
            QueueUrl=url, Label="two", AWSAccountIds=["111111111111"], Actions=["*"]
        )
    with refused("InvalidParameterValue", "can't find label."):
        client.remove_permission(QueueUrl=url, Label="three")
    client.remove_permission(QueueUrl=url, Label="two")
    assert attribute(client, url, "Policy") is None


@pytest.mark.known_difference(elasticmq="keeps no permissions")
def test_permissions_are_checked(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()

    def add(actions: list[str], accounts: list[str]) -> None:
        client.add_permission(QueueUrl=url, Label="x", AWSAccountIds=accounts, Actions=actions)

    with refused("MissingParameter", "The request must contain the parameter Actions."):
        add([], ["111111111111"])
    with refused("InvalidParameterValue", "Value [] for parameter PrincipalId is invalid."):
        add(["SendMessage"], [])
    with refused("OverLimit", "8 Actions were found, maximum allowed is 7."):
        add(["SendMessage"] * 8, ["111111111111"])
    with refused("InvalidParameterValue", "Only the queue owner is allowed to invoke this action"):
        add(["DeleteQueue"], ["111111111111"])
