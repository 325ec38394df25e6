"""Edge cases of tags and permissions."""

import json

import pytest

from sqsw.local.errors import InvalidAttributeValue, InvalidParameterValueException
from tests.unit.local.manual import Calls, refused


def permit(sqs: Calls, url: str, label: str) -> None:
    sqs(
        "AddPermission",
        QueueUrl=url,
        Label=label,
        AWSAccountIds=["111111111111"],
        Actions=["SendMessage"],
    )


def policy_of(sqs: Calls, url: str) -> object:
    answer = sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"])
    return json.loads(answer["Attributes"]["Policy"]) if answer else None


@pytest.mark.parametrize("statement", [{"Sid": "theirs"}, [{"Sid": "theirs"}], "odd", [1]])
def test_permissions_are_added_to_policies_of_any_form(sqs: Calls, statement: object) -> None:
    url = sqs.make(Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    permit(sqs, url, "ours")
    policy = policy_of(sqs, url)
    assert isinstance(policy, dict)
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"][-1]["Sid"] == "ours"
    assert len(policy["Statement"]) == 2


@pytest.mark.parametrize(
    "value",
    [*("[" * depth + "]" * depth for depth in (100, 950, 100_000)), r'"\ud800"', "1e999", "NaN"],
    ids=["deep", "deeper", "deepest", "surrogate", "infinite", "not a number"],
)
def test_a_policy_that_cannot_be_written_again_is_refused(sqs: Calls, value: str) -> None:
    policy = '{"Condition":' + value + "}"
    with refused(InvalidAttributeValue, "for the parameter Policy"):
        sqs.make(Policy=policy)


@pytest.mark.parametrize("label", ["", "a b", "x" * 81])
def test_invalid_labels_are_refused(sqs: Calls, label: str) -> None:
    with refused(InvalidParameterValueException, "for parameter Label is invalid"):
        permit(sqs, sqs.make(), label)


@pytest.mark.parametrize(
    "tags", [{"": "x"}, {"k" * 129: "x"}, {"k": "x" * 257}, {"aws:k": "x"}, {"AWS:k": "x"}]
)
def test_invalid_tags_are_refused(sqs: Calls, tags: dict[str, str]) -> None:
    url = sqs.make()
    with refused(InvalidParameterValueException):
        sqs("TagQueue", QueueUrl=url, Tags=tags)
    with refused(InvalidParameterValueException):
        sqs("CreateQueue", QueueName="other", tags=tags)
    assert sqs("ListQueueTags", QueueUrl=url) == {}
