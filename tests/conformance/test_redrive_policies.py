"""Redrive policies and redrive allow policies: their form, and who may name whom."""

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
def test_the_count_is_shown_as_a_number(client: Any, make_queue: MakeQueue, count: object) -> None:
    dead = make_queue()
    url = make_queue(RedrivePolicy=to(client, dead, count))
    assert json.loads(attribute(client, url, "RedrivePolicy") or "") == to(client, dead, 5)


@pytest.mark.parametrize("count", [1, 1000])
def test_the_bounds_of_the_count_are_taken(client: Any, make_queue: MakeQueue, count: int) -> None:
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
    moto="takes it, or fails on it, or has codes of its own",
    elasticmq="takes it, or fails on it, or has codes of its own",
)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_policy_that_makes_no_sense(client: Any, make_queue: MakeQueue, wrong: str) -> None:
    policy = json.loads(json.dumps(WRONG[wrong]).replace("TARGET", arn_of(client, make_queue())))
    url = make_queue()
    with refused("InvalidParameterValue", "for parameter RedrivePolicy is invalid. Reason: "):
        set_policy(client, url, policy)
    assert attribute(client, url, "RedrivePolicy") is None


@pytest.mark.known_difference(elasticmq="refuses an empty policy")
@pytest.mark.parametrize("empty", ["", "{}"], ids=["empty", "braces"])
def test_an_empty_policy_takes_it_away(client: Any, make_queue: MakeQueue, empty: str) -> None:
    url = make_queue(RedrivePolicy=to(client, make_queue()))
    set_policy(client, url, empty)
    assert attribute(client, url, "RedrivePolicy") is None
    send(client, url, "x")
    for _ in range(3):
        take_one(client, url, VisibilityTimeout=0)


@pytest.mark.known_difference(moto="has codes of its own", elasticmq="has codes of its own")
def test_the_target_must_exist(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    policy = to(client, url)
    policy["deadLetterTargetArn"] = f"{policy['deadLetterTargetArn']}-no"
    with refused("InvalidParameterValue", "Dead letter target does not exist."):
        set_policy(client, url, policy)


@pytest.mark.known_difference(moto="has codes of its own", elasticmq="takes it")
def test_the_target_must_be_in_the_same_region(
    client: Any, session: Any, make_queue: MakeQueue, queue_name: str
) -> None:
    elsewhere = session.client("sqs", region_name="eu-west-1")
    dead = elsewhere.create_queue(QueueName=queue_name)["QueueUrl"]
    with refused("InvalidParameterValue", "Dead letter target does not exist."):
        set_policy(client, make_queue(), to(elsewhere, dead))


@pytest.mark.known_difference(moto="takes it, or has codes of its own", elasticmq="takes it")
@pytest.mark.parametrize("fifo", [True, False], ids=["fifo", "standard"])
def test_the_target_must_be_of_the_same_type(
    client: Any, make_queue: MakeQueue, fifo: bool
) -> None:
    dead = make_queue(fifo=not fifo)
    with refused("InvalidParameterValue"):
        set_policy(client, make_queue(fifo=fifo), to(client, dead))


def test_a_queue_may_name_itself(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    set_policy(client, url, to(client, url))
    assert json.loads(attribute(client, url, "RedrivePolicy") or "") == to(client, url)


# -- who allows whom -------------------------------------------------------------------------


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_a_target_that_allows_nobody(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue(RedriveAllowPolicy={"redrivePermission": "denyAll"})
    with refused("InvalidParameterValue"):
        set_policy(client, make_queue(), to(client, dead))


def test_a_target_that_allows_all(client: Any, make_queue: MakeQueue) -> None:
    dead = make_queue(RedriveAllowPolicy={"redrivePermission": "allowAll"})
    set_policy(client, make_queue(), to(client, dead))


@pytest.mark.known_difference(moto="takes it", elasticmq="does not know the attribute")
def test_a_target_that_allows_some(client: Any, make_queue: MakeQueue) -> None:
    url, other, dead = make_queue(), make_queue(), make_queue()
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [arn_of(client, url)]}
    set_policy(client, dead, allowed, "RedriveAllowPolicy")
    set_policy(client, url, to(client, dead))
    with refused("InvalidParameterValue"):
        set_policy(client, other, to(client, dead))


@pytest.mark.known_difference(elasticmq="does not know the attribute")
def test_existing_policies_are_not_looked_at_again(client: Any, make_queue: MakeQueue) -> None:
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


@pytest.mark.known_difference(moto="takes it", elasticmq="has codes of its own")
@pytest.mark.parametrize("wrong", WRONG_ALLOWANCE)
def test_an_allow_policy_that_makes_no_sense(
    client: Any, make_queue: MakeQueue, wrong: str
) -> None:
    url = make_queue()
    text = json.dumps(WRONG_ALLOWANCE[wrong]).replace("ARN", arn_of(client, url))
    with refused("InvalidAttributeValue"):
        set_policy(client, url, json.loads(text), "RedriveAllowPolicy")


@pytest.mark.known_difference(moto="knows no allow policy", elasticmq="does not know the attribute")
def test_ten_sources_can_be_allowed(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    arn = arn_of(client, url)
    sources = [f"{arn}-{number}" for number in range(10)]
    policy = {"redrivePermission": "byQueue", "sourceQueueArns": sources}
    set_policy(client, url, policy, "RedriveAllowPolicy")
    assert json.loads(attribute(client, url, "RedriveAllowPolicy") or "") == policy
