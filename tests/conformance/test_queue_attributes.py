"""The attributes of queues: defaults, bounds, what may be set."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, attribute, refused

MakeQueue = Callable[..., str]

STANDARD = {
    "ApproximateNumberOfMessages": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
    "ApproximateNumberOfMessagesNotVisible": "0",
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
FIFO = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoQueue": "true",
    "FifoThroughputLimit": "perQueue",
}
LIVE = {"CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"}


def all_of(client: Any, url: str) -> dict[str, str]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer["Attributes"])


@pytest.mark.known_difference(elasticmq="knows no encryption and no limit")
def test_a_new_standard_queue_shows_its_defaults(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue())
    assert {name: shown.pop(name) for name in STANDARD} == STANDARD
    assert shown.keys() == LIVE


@pytest.mark.known_difference(elasticmq="knows no encryption and no limit")
def test_a_new_fifo_queue_shows_four_more(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue(fifo=True))
    expected = STANDARD | FIFO
    assert {name: shown.pop(name) for name in expected} == expected
    assert shown.keys() == LIVE


def test_the_arn_has_account_and_name(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    parts = arn_of(client, url).split(":")
    assert parts[:3] == ["arn", "aws", "sqs"]
    assert parts[4:] == [account, name]


@pytest.mark.known_difference(elasticmq="answers an empty map")
def test_no_name_gets_no_attributes(client: Any, make_queue: MakeQueue) -> None:
    assert "Attributes" not in client.get_queue_attributes(QueueUrl=make_queue())


def test_attributes_that_a_queue_has_not_are_left_out(client: Any, make_queue: MakeQueue) -> None:
    names = ["VisibilityTimeout", "RedrivePolicy", "KmsMasterKeyId"]
    answer = client.get_queue_attributes(QueueUrl=make_queue(), AttributeNames=names)
    assert answer["Attributes"] == {"VisibilityTimeout": "30"}


@pytest.mark.known_difference(elasticmq="leaves unknown names out")
def test_unknown_names_are_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for name in ("Nonsense", "", "visibilitytimeout"):
        with refused("InvalidAttributeName", f"Unknown Attribute {name}."):
            client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])


def test_what_is_set_is_shown_and_the_rest_stays(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11", DelaySeconds="2")
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "12"})
    assert attribute(client, url, "VisibilityTimeout") == "12"
    assert attribute(client, url, "DelaySeconds") == "2"


OUT_OF_RANGE = {
    "DelaySeconds": ["-1", "901", "x", ""],
    "MaximumMessageSize": ["1023", "1048577"],
    "MessageRetentionPeriod": ["59", "1209601"],
    "ReceiveMessageWaitTimeSeconds": ["-1", "21"],
    "VisibilityTimeout": ["-1", "43201", "1.5", " 1"],
    "KmsDataKeyReusePeriodSeconds": ["59", "86401"],
    "SqsManagedSseEnabled": ["yes"],
    "Policy": ["no json"],
}


@pytest.mark.known_difference(
    moto="takes values out of range", elasticmq="takes values out of range"
)
def test_values_out_of_range_are_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    before = all_of(client, url)
    for name, values in OUT_OF_RANGE.items():
        for value in values:
            with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
                client.set_queue_attributes(QueueUrl=url, Attributes={name: value})
    assert all_of(client, url) == before


@pytest.mark.known_difference(moto="takes read-only names", elasticmq="has texts of its own")
def test_what_is_read_only_cannot_be_set(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for name in ("QueueArn", "ApproximateNumberOfMessages", "CreatedTimestamp"):
        attributes = {"VisibilityTimeout": "12", name: "1"}
        with refused("InvalidAttributeName", f"Unknown Attribute {name}."):
            client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    assert attribute(client, url, "VisibilityTimeout") == "30"


@pytest.mark.known_difference(moto="takes them", elasticmq="takes them")
def test_a_standard_queue_knows_no_fifo_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for name, value, text in (
        ("FifoQueue", "false", "Unknown Attribute FifoQueue."),
        ("ContentBasedDeduplication", "true", "Unknown Attribute ContentBasedDeduplication."),
        ("DeduplicationScope", "queue", "You can specify the DeduplicationScope only when"),
        ("FifoThroughputLimit", "perQueue", "You can specify the FifoThroughputLimit only when"),
    ):
        with refused("InvalidAttributeName", text):
            make_queue(**{name: value})
        with refused("InvalidAttributeName", text):
            client.set_queue_attributes(QueueUrl=url, Attributes={name: value})


@pytest.mark.known_difference(moto="changes it", elasticmq="ignores the change")
def test_the_type_of_a_queue_cannot_change(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    client.set_queue_attributes(QueueUrl=url, Attributes={"FifoQueue": "true"})
    with refused("InvalidAttributeValue", "Modifying queue type is not supported."):
        client.set_queue_attributes(QueueUrl=url, Attributes={"FifoQueue": "false"})


@pytest.mark.known_difference(elasticmq="knows no throughput limit")
def test_high_throughput_needs_the_scope_of_the_group(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(
        fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
    )
    assert attribute(client, url, "FifoThroughputLimit") == "perMessageGroupId"
    make_queue(fifo=True, DeduplicationScope="messageGroup")


@pytest.mark.known_difference(moto="takes it", elasticmq="knows no throughput limit")
def test_high_throughput_without_the_scope_is_refused(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidAttributeValue"):
        make_queue(fifo=True, FifoThroughputLimit="perMessageGroupId")


@pytest.mark.known_difference(moto="keeps capitals", elasticmq="knows no encryption")
def test_booleans_are_read_in_any_case_and_shown_in_lower(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(SqsManagedSseEnabled="False")
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(moto="leaves it on", elasticmq="knows no encryption")
def test_a_kms_key_switches_the_other_encryption_off(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(KmsMasterKeyId="alias/key", KmsDataKeyReusePeriodSeconds="6000")
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") == "6000"
    without = {"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"}
    client.set_queue_attributes(QueueUrl=url, Attributes=without)
    assert attribute(client, url, "KmsMasterKeyId") is None
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") is None
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(moto="takes both", elasticmq="knows no encryption")
def test_one_kind_of_encryption_at_a_time(client: Any, make_queue: MakeQueue) -> None:
    with refused("InvalidAttributeName", "You can use one type of server-side encryption"):
        make_queue(KmsMasterKeyId="alias/key", SqsManagedSseEnabled="true")


@pytest.mark.known_difference(moto="shows a policy of its own", elasticmq="keeps no policy")
def test_an_empty_policy_takes_it_away(client: Any, make_queue: MakeQueue) -> None:
    policy = {"Version": "2012-10-17", "Statement": []}
    url = make_queue(Policy=policy)
    assert json.loads(attribute(client, url, "Policy") or "") == policy
    client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert not attribute(client, url, "Policy")


def test_setting_nothing_changes_nothing(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.set_queue_attributes(QueueUrl=url, Attributes={})
    assert attribute(client, url, "VisibilityTimeout") == "30"
