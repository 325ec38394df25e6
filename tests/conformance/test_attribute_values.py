"""Queue attributes: valid values, which ones can be set, and how to remove them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import attribute, refused

MakeQueue = Callable[..., str]

BOUNDS = {
    "DelaySeconds": ("0", "900"),
    "MaximumMessageSize": ("1024", "1048576"),
    "MessageRetentionPeriod": ("60", "1209600"),
    "ReceiveMessageWaitTimeSeconds": ("0", "20"),
    "VisibilityTimeout": ("0", "43200"),
    "KmsDataKeyReusePeriodSeconds": ("60", "86400"),
}
REFUSED = {
    "DelaySeconds": ["-1", "901", "x", ""],
    "MaximumMessageSize": ["1023", "1048577", "x"],
    "MessageRetentionPeriod": ["59", "1209601", "x"],
    "ReceiveMessageWaitTimeSeconds": ["-1", "21", "x"],
    "VisibilityTimeout": ["-1", "43201", "1.5", " 1"],
    "KmsDataKeyReusePeriodSeconds": ["59", "86401", "x"],
    "SqsManagedSseEnabled": ["yes", ""],
    "Policy": ["no json", "[]"],
}
#: invalid values of attributes that only FIFO queues have
FIFO_REFUSED = {
    "ContentBasedDeduplication": ["yes", ""],
    "DeduplicationScope": ["group", ""],
    "FifoThroughputLimit": ["perGroup", ""],
}
READ_ONLY = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
)


def set_one(client: Any, url: str, name: str, value: str) -> None:
    client.set_queue_attributes(QueueUrl=url, Attributes={name: value})


@pytest.mark.known_difference(
    moto={"does not keep the attribute": ["KmsDataKeyReusePeriodSeconds"]},
    elasticmq={
        "does not support the attribute": [
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "KmsDataKeyReusePeriodSeconds",
        ]
    },
)
@pytest.mark.parametrize("name", BOUNDS)
def test_minimum_and_maximum_values_are_accepted(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue()
    for value in BOUNDS[name]:
        set_one(client, url, name, value)
        assert attribute(client, url, name) == value


@pytest.mark.known_difference(
    moto="accepts it, or fails on it", elasticmq="accepts it, or uses different error codes"
)
@pytest.mark.parametrize("name", REFUSED)
def test_invalid_values_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue()
    before = attribute(client, url, name)
    for value in REFUSED[name]:
        with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            set_one(client, url, name, value)
    assert attribute(client, url, name) == before


@pytest.mark.known_difference(
    moto={
        "accepts it": [
            "DelaySeconds",
            "MessageRetentionPeriod",
            "ReceiveMessageWaitTimeSeconds",
            "VisibilityTimeout",
            "KmsDataKeyReusePeriodSeconds",
            "SqsManagedSseEnabled",
        ],
        "fails on it": ["Policy"],
    },
    elasticmq="accepts it, or uses different error texts",
)
@pytest.mark.parametrize("name", REFUSED)
def test_create_queue_refuses_invalid_values(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
        make_queue(**{name: REFUSED[name][0]})


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error codes")
@pytest.mark.parametrize("name", FIFO_REFUSED)
def test_invalid_fifo_values_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue(fifo=True)
    for value in FIFO_REFUSED[name]:
        with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            set_one(client, url, name, value)


@pytest.mark.known_difference(
    moto="accepts it, or fails on it", elasticmq="uses different error texts"
)
@pytest.mark.parametrize("name", [*READ_ONLY, "Colour"])
def test_read_only_and_unknown_attributes_cannot_be_set(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue()
    with refused("InvalidAttributeName", f"Unknown Attribute {name}."):
        client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "9", name: "1"})
    assert attribute(client, url, "VisibilityTimeout") == "30"


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_one_invalid_value_leaves_all_attributes_unchanged(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    with refused("InvalidAttributeValue"):
        client.set_queue_attributes(
            QueueUrl=url, Attributes={"VisibilityTimeout": "9", "DelaySeconds": "901"}
        )
    assert attribute(client, url, "VisibilityTimeout") == "30"


FIFO_ONLY = {
    "FifoQueue": ("false", "Unknown Attribute FifoQueue."),
    "ContentBasedDeduplication": ("true", "Unknown Attribute ContentBasedDeduplication."),
    "DeduplicationScope": (
        "queue",
        "You can specify the DeduplicationScope only when FifoQueue is set to true.",
    ),
    "FifoThroughputLimit": (
        "perQueue",
        "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
    ),
}


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("name", FIFO_ONLY)
def test_a_standard_queue_cannot_be_created_with_fifo_attributes(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    value, text = FIFO_ONLY[name]
    with refused("InvalidAttributeName", text):
        make_queue(**{name: value})


@pytest.mark.known_difference(
    moto="accepts it", elasticmq="accepts it, or uses different error texts"
)
@pytest.mark.parametrize("name", FIFO_ONLY)
def test_a_standard_queue_refuses_fifo_attributes(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    value, text = FIFO_ONLY[name]
    with refused("InvalidAttributeName", text):
        set_one(client, make_queue(), name, value)


def test_a_standard_queue_has_no_fifo_queue_attribute(client: Any, make_queue: MakeQueue) -> None:
    assert attribute(client, make_queue(), "FifoQueue") is None


@pytest.mark.known_difference(
    moto={"keeps uppercase letters": ["SqsManagedSseEnabled"]},
    elasticmq="keeps uppercase letters, or does not support the attribute",
)
@pytest.mark.parametrize("name", ["SqsManagedSseEnabled", "ContentBasedDeduplication"])
def test_booleans_are_read_in_any_case_and_returned_in_lowercase(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue(fifo=True, **{name: "True"})
    assert attribute(client, url, name) == "true"
    set_one(client, url, name, "FALSE")
    assert attribute(client, url, name) == "false"


JSON_ATTRIBUTES: dict[str, dict[str, object]] = {
    "Policy": {"Version": "2012-10-17", "Statement": []},
    "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
}


@pytest.mark.known_difference(moto="does not store policies", elasticmq="does not store policies")
@pytest.mark.parametrize("name", JSON_ATTRIBUTES)
def test_a_policy_is_returned_and_an_empty_string_removes_it(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue(**{name: JSON_ATTRIBUTES[name]})
    assert json.loads(attribute(client, url, name) or "") == JSON_ATTRIBUTES[name]
    set_one(client, url, name, "")
    assert attribute(client, url, name) is None


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_policy_has_at_most_8192_bytes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    frame = json.dumps({"Id": "", "Statement": []})
    set_one(client, url, "Policy", frame.replace('""', f'"{"x" * (8192 - len(frame))}"'))
    with refused("InvalidAttributeValue", "Invalid value for the parameter Policy."):
        set_one(client, url, "Policy", frame.replace('""', f'"{"x" * (8193 - len(frame))}"'))


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_a_policy_has_at_most_20_statements(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    statements = [{"Sid": str(number), "Effect": "Allow"} for number in range(21)]
    set_one(client, url, "Policy", json.dumps({"Statement": statements[:20]}))
    with refused("InvalidAttributeValue", "Invalid value for the parameter Policy."):
        set_one(client, url, "Policy", json.dumps({"Statement": statements}))


# -- encryption: the settings are stored but have no effect ------------------------------------


@pytest.mark.known_difference(moto="leaves it on", elasticmq="does not support the attribute")
def test_a_kms_key_turns_sqs_managed_encryption_off(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(KmsMasterKeyId="alias/key")
    assert attribute(client, url, "KmsMasterKeyId") == "alias/key"
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(moto="leaves it on", elasticmq="does not support the attribute")
def test_sqs_managed_encryption_stays_off_when_the_kms_key_is_removed(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(KmsMasterKeyId="alias/key")
    set_one(client, url, "KmsMasterKeyId", "")
    assert attribute(client, url, "KmsMasterKeyId") is None
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(elasticmq="does not support the attribute")
def test_the_kms_reuse_period_is_returned_only_with_a_kms_key(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(KmsMasterKeyId="alias/key", KmsDataKeyReusePeriodSeconds="6000")
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") == "6000"
    without = {"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"}
    client.set_queue_attributes(QueueUrl=url, Attributes=without)
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") is None


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_two_kinds_of_encryption_are_refused(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidAttributeName",
        "You can use one type of server-side encryption (SSE) at one time. You can either enable"
        " KMS SSE or SQS SSE.",
    ):
        make_queue(KmsMasterKeyId="alias/key", SqsManagedSseEnabled="true")
