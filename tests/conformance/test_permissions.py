"""AddPermission and RemovePermission change a policy, which is not enforced."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, attribute, refused, send

MakeQueue = Callable[..., str]

ACCOUNT = "111111111111"


def add(
    client: Any,
    url: str,
    label: str = "one",
    accounts: tuple[str, ...] = (ACCOUNT,),
    actions: tuple[str, ...] = ("SendMessage",),
) -> None:
    client.add_permission(
        QueueUrl=url, Label=label, AWSAccountIds=list(accounts), Actions=list(actions)
    )


def policy_of(client: Any, url: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(attribute(client, url, "Policy") or "")
    return policy


@pytest.mark.known_difference(
    moto="writes another policy version", elasticmq="does not store permissions"
)
def test_a_permission_is_a_statement_of_the_policy(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url)
    arn = arn_of(client, url)
    assert policy_of(client, url) == {
        "Version": "2008-10-17",
        "Id": f"{arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "one",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "SQS:SendMessage",
                "Resource": arn,
            }
        ],
    }


@pytest.mark.known_difference(elasticmq="does not store permissions")
def test_several_accounts_and_actions_are_lists(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url, "two", (ACCOUNT, "222222222222"), ("SendMessage", "ReceiveMessage"))
    (statement,) = policy_of(client, url)["Statement"]
    assert statement["Action"] == ["SQS:SendMessage", "SQS:ReceiveMessage"]
    assert statement["Principal"]["AWS"] == [
        f"arn:aws:iam::{account}:root" for account in (ACCOUNT, "222222222222")
    ]


@pytest.mark.known_difference(elasticmq="does not store permissions")
def test_a_second_permission_is_appended(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url, "one")
    add(client, url, "two")
    assert [statement["Sid"] for statement in policy_of(client, url)["Statement"]] == ["one", "two"]


@pytest.mark.known_difference(elasticmq="does not store permissions")
def test_a_permission_can_allow_everything(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url, actions=("*",))
    assert policy_of(client, url)["Statement"][0]["Action"] == "SQS:*"


def test_permissions_are_not_enforced(client: Any, make_queue: MakeQueue) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "SQS:*", "Resource": "*"}
    url = make_queue(Policy={"Version": "2012-10-17", "Statement": [deny]})
    send(client, url, "x")
    assert client.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]


@pytest.mark.known_difference(elasticmq="accepts it")
def test_a_label_can_be_used_only_once(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url, "two")
    with refused(
        "InvalidParameterValue",
        "Value two for parameter Label is invalid. Reason: Already exists.",
    ):
        add(client, url, "two")


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("label", ["a b", "x" * 81, "ä"], ids=["space", "long", "accent"])
def test_invalid_labels_are_refused(client: Any, make_queue: MakeQueue, label: str) -> None:
    url = make_queue()
    with refused("InvalidParameterValue", f"Value {label} for parameter Label is invalid."):
        add(client, url, label)
    add(client, url, "A-b_9".ljust(80, "x"))


@pytest.mark.known_difference(elasticmq="accepts it")
def test_actions_are_required(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter Actions."):
        add(client, make_queue(), actions=())


@pytest.mark.known_difference(elasticmq="accepts it")
def test_accounts_are_required(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidParameterValue",
        "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.",
    ):
        add(client, make_queue(), accounts=())


@pytest.mark.known_difference(elasticmq="accepts it")
def test_a_permission_has_at_most_seven_actions(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    with refused("OverLimit", "8 Actions were found, maximum allowed is 7."):
        add(client, url, actions=("SendMessage",) * 8)
    assert attribute(client, url, "Policy") is None


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_queue_has_at_most_twenty_permissions(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for number in range(20):
        add(client, url, str(number))
    with refused("OverLimit"):
        add(client, url, "20")
    assert len(policy_of(client, url)["Statement"]) == 20


@pytest.mark.known_difference(elasticmq="accepts it")
@pytest.mark.parametrize(
    "action",
    [
        "AddPermission",
        "RemovePermission",
        "CreateQueue",
        "DeleteQueue",
        "SetQueueAttributes",
        "TagQueue",
        "UntagQueue",
        "ListQueues",
        "ListQueueTags",
        "Nonsense",
    ],
)
def test_actions_of_the_owner_cannot_be_granted(
    client: Any, make_queue: MakeQueue, action: str
) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is"
        " allowed to invoke this action.",
    ):
        add(client, make_queue(), actions=(action,))


@pytest.mark.known_difference(elasticmq="does not store permissions")
def test_a_permission_is_removed_by_its_label(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url, "one")
    add(client, url, "two")
    client.remove_permission(QueueUrl=url, Label="one")
    assert [statement["Sid"] for statement in policy_of(client, url)["Statement"]] == ["two"]


def test_the_policy_is_removed_with_its_last_statement(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    add(client, url)
    client.remove_permission(QueueUrl=url, Label="one")
    assert attribute(client, url, "Policy") is None


@pytest.mark.known_difference(moto="uses different error texts", elasticmq="accepts it")
def test_an_unknown_label_is_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    with refused(
        "InvalidParameterValue",
        "Value three for parameter Label is invalid. Reason: can't find label.",
    ):
        client.remove_permission(QueueUrl=url, Label="three")
