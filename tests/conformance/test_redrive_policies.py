"""Redrive policies and redrive allow policies: their format, and which queues they allow."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, attribute, refused, send, take_one

MakeQueue = Callable[..., str]


def set_policy(client: Any, url: str, policy: object, name: str = "RedrivePolicy") -> None:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    client.set_queue_attributes(QueueUrl=url, Attributes={name: text})


def to(client: Any, dead: str, count: object = 1) -> dict[str, object]:
    return {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": count}


@pytest.mark.parametrize("count", [5, "5"], ids=["number", "text"])
def test_the_receive_count_is_returned_as_a_number(
    client: Any, make_queue: MakeQueue, count: object
) -> None:
    dead = make_queue()
    url = make_queue(RedrivePolicy=to(client, dead, count))
    assert json.loads(attribute(client, url, "RedrivePolicy") or "") == to(client, dead, 5)


@pytest.mark.parametrize("count", [1, 1000])
def test_the_smallest_and_largest_receive_counts_are_accepted(
    client: Any, make_queue: MakeQueue, count: int
) -> None:
    make_queue(RedrivePolicy=to(client, make_queue(), count))


WRONG: dict[str, object] = {
    "no json": "no json",
    "a list": [],
    "no count": {"deadLetterTargetArn": "TARGET"},
    "no target": {"maxReceiveCount": 1},
    "no number": {"deadLetterTargetArn": "TARGET", "maxReceiveCount": "many"},
    "a fraction": {"deadLetterTargetArn": "TARGET", "maxReceiveCount": 1.5},
    "zero": {"deadLetterTargetArn": "TARGET", "maxReceiveCount": 0},
    "1001": {"deadLetterTargetArn": "TARGET", "maxReceiveCount": 1001},
    "no arn": {"deadLetterTargetArn": "nonsense", "maxReceiveCount": 1},
}


@pytest.mark.known_difference(
    moto="accepts it, fails on it, or uses different error codes",
    elasticmq="accepts it, fails on it, or uses different error codes",
)
@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_redrive_policies_are_refused(
    client: Any, make_queue: MakeQueue, wrong: str
) -> None:
    policy = json.loads(json.dumps(WRONG[wrong]).replace("TARGET", arn_of(client, make_queue())))
    url = make_queue()
    with refused("InvalidParameterValue", "for parameter RedrivePolicy is invalid. Reason: "):
        set_policy(client, url, policy)
    assert attribute(client, url, "RedrivePolicy") is None


@pytest.mark.known_difference(elasticmq="refuses an empty policy")
@pytest.mark.parametrize("empty", ["", "{}"], ids=["empty", "braces"])
def test_an_empty_policy_removes_the_redrive_policy(
    client: Any, make_queue: MakeQueue, empty: str
) -> None:
    url = make_queue(RedrivePolicy=to(client, make_queue()))
    set_policy(client, url, empty)
    assert attribute(client, url, "RedrivePolicy") is None
    send(client, url, "x")
    for _ in range(3):
        take_one(client, url, VisibilityTimeout=0)


@pytest.mark.known_difference(
    moto="uses different error codes", elasticmq="uses different error codes"
)
def test_the_dead_letter_queue_must_exist(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    policy = to(client, url)
    policy["deadLetterTargetArn"] = f"{policy['deadLetterTargetArn']}-no"
    with refused("InvalidParameterValue", "Dead letter target does not exist."):
        set_policy(client, url, policy)


@pytest.mark.known_difference(moto="uses different error codes", elasticmq="accepts it")
def test_the_dead_letter_queue_must_be_in_the_same_region(
    client: Any, session: Any, make_queue: MakeQueue, queue_name: str
) -> None:
    elsewhere = session.client("sqs", region_name="eu-west-1")
    dead = elsewhere.create_queue(QueueName=queue_name)["QueueUrl"]
    with refused("InvalidParameterValue", "Dead letter target does not exist."):
        set_policy(client, make_queue(), to(elsewhere, dead))


@pytest.mark.known_difference(
    moto="accepts it, or uses different error codes", elasticmq="accepts it"
)
@pytest.mark.parametrize("fifo", [True, False], ids=["fifo", "standard"])
def test_the_dead_letter_queue_must_have_the_same_type(
    client: Any, make_queue: MakeQueue, fifo: bool
) -> None:
    dead = make_queue(fifo=not fifo)
    with refused("InvalidParameterValue"):
        set_policy(client, make_queue(fifo=fifo), to(client, dead))


def test_a_queue_can_be_its_own_dead_letter_queue(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    set_policy(client, url, to(client, url))
    assert json.loads(attribute(client, url, "RedrivePolicy") or "") == to(client, url)


# -- redrive allow policies ------------------------------------------------------------------


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_deny_all_refuses_every_source(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue(RedriveAllowPolicy={"redrivePermission": "denyAll"})
    with refused("InvalidParameterValue"):
        set_policy(client, make_queue(), to(client, dead))


def test_allow_all_accepts_any_source(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue(RedriveAllowPolicy={"redrivePermission": "allowAll"})
    set_policy(client, make_queue(), to(client, dead))


@pytest.mark.known_difference(moto="accepts it", elasticmq="does not support the attribute")
def test_by_queue_accepts_only_listed_sources(client: Any, make_queue: MakeQueue) -> None:
    url, other, dead = make_queue(), make_queue(), make_queue()
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [arn_of(client, url)]}
    set_policy(client, dead, allowed, "RedriveAllowPolicy")
    set_policy(client, url, to(client, dead))
    with refused("InvalidParameterValue"):
        set_policy(client, other, to(client, dead))


@pytest.mark.known_difference(elasticmq="does not support the attribute")
def test_an_allow_policy_does_not_affect_existing_policies(
    client: Any, make_queue: MakeQueue
) -> None:
    dead = make_queue()
    url = make_queue(RedrivePolicy=to(client, dead))
    set_policy(client, dead, {"redrivePermission": "denyAll"}, "RedriveAllowPolicy")
    assert json.loads(attribute(client, url, "RedrivePolicy") or "") == to(client, dead)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    assert not client.receive_message(QueueUrl=url).get("Messages")
    assert take_one(client, dead)["Body"] == "x"


WRONG_ALLOWANCE: dict[str, object] = {
    "no json": "no json",
    "no permission": {"sourceQueueArns": ["ARN"]},
    "unknown permission": {"redrivePermission": "some"},
    "sources with allowAll": {"redrivePermission": "allowAll", "sourceQueueArns": ["ARN"]},
    "sources with denyAll": {"redrivePermission": "denyAll", "sourceQueueArns": ["ARN"]},
    "byQueue without sources": {"redrivePermission": "byQueue"},
    "byQueue with no source": {"redrivePermission": "byQueue", "sourceQueueArns": []},
    "byQueue with 11": {"redrivePermission": "byQueue", "sourceQueueArns": ["ARN"] * 11},
}


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error codes")
@pytest.mark.parametrize("wrong", WRONG_ALLOWANCE)
def test_invalid_allow_policies_are_refused(client: Any, make_queue: MakeQueue, wrong: str) -> None:
    url = make_queue()
    text = json.dumps(WRONG_ALLOWANCE[wrong]).replace("ARN", arn_of(client, url))
    with refused("InvalidAttributeValue"):
        set_policy(client, url, json.loads(text), "RedriveAllowPolicy")


@pytest.mark.known_difference(
    moto="does not support allow policies", elasticmq="does not support the attribute"
)
def test_ten_sources_can_be_allowed(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    arn = arn_of(client, url)
    sources = [f"{arn}-{number}" for number in range(10)]
    policy = {"redrivePermission": "byQueue", "sourceQueueArns": sources}
    set_policy(client, url, policy, "RedriveAllowPolicy")
    assert json.loads(attribute(client, url, "RedriveAllowPolicy") or "") == policy
