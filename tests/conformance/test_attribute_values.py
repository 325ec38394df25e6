"""The table of queue attributes: what each may be, who may set it, what takes it away."""

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
#: values of attributes that only FIFO queues have
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
        "does not know the attribute": [
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "KmsDataKeyReusePeriodSeconds",
        ]
    },
)
@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_themselves_are_taken(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue()
    for value in BOUNDS[name]:
        set_one(client, url, name, value)
        assert attribute(client, url, name) == value


@pytest.mark.known_difference(
    moto="takes it, or fails on it", elasticmq="takes it, or has codes of its own"
)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_beyond_them_is_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue()
    before = attribute(client, url, name)
    for value in REFUSED[name]:
        with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            set_one(client, url, name, value)
    assert attribute(client, url, name) == before


@pytest.mark.known_difference(
    moto={
        "takes it": [
            "DelaySeconds",
            "MessageRetentionPeriod",
            "ReceiveMessageWaitTimeSeconds",
            "VisibilityTimeout",
            "KmsDataKeyReusePeriodSeconds",
            "SqsManagedSseEnabled",
        ],
        "fails on it": ["Policy"],
    },
    elasticmq="takes it, or has texts of its own",
)
@pytest.mark.parametrize("name", REFUSED)
def test_a_queue_is_not_made_with_it(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
        make_queue(**{name: REFUSED[name][0]})


@pytest.mark.known_difference(moto="takes it", elasticmq="has codes of its own")
@pytest.mark.parametrize("name", FIFO_REFUSED)
def test_the_same_for_what_fifo_queues_have(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue(fifo=True)
    for value in FIFO_REFUSED[name]:
        with refused("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            set_one(client, url, name, value)


@pytest.mark.known_difference(moto="takes it, or fails on it", elasticmq="has texts of its own")
@pytest.mark.parametrize("name", [*READ_ONLY, "Colour"])
def test_what_is_read_only_or_unknown_cannot_be_set(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue()
    with refused("InvalidAttributeName", f"Unknown Attribute {name}."):
        client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "9", name: "1"})
    assert attribute(client, url, "VisibilityTimeout") == "30"


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_one_bad_value_leaves_all_as_they_were(client: Any, make_queue: MakeQueue) -> None:
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


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
@pytest.mark.parametrize("name", FIFO_ONLY)
def test_a_standard_queue_is_not_made_with_fifo_attributes(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    value, text = FIFO_ONLY[name]
    with refused("InvalidAttributeName", text):
        make_queue(**{name: value})


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it, or has texts of its own")
@pytest.mark.parametrize("name", FIFO_ONLY)
def test_a_standard_queue_takes_no_fifo_attributes(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    value, text = FIFO_ONLY[name]
    with refused("InvalidAttributeName", text):
        set_one(client, make_queue(), name, value)


def test_a_standard_queue_does_not_show_its_type(client: Any, make_queue: MakeQueue) -> None:
    assert attribute(client, make_queue(), "FifoQueue") is None


@pytest.mark.known_difference(
    moto={"keeps capitals": ["SqsManagedSseEnabled"]},
    elasticmq="keeps capitals, or does not know the attribute",
)
@pytest.mark.parametrize("name", ["SqsManagedSseEnabled", "ContentBasedDeduplication"])
def test_booleans_are_read_in_any_case_and_shown_in_lower(
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


@pytest.mark.known_difference(moto="keeps no policy", elasticmq="keeps no policy")
@pytest.mark.parametrize("name", JSON_ATTRIBUTES)
def test_a_policy_is_shown_and_an_empty_text_takes_it_away(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue(**{name: JSON_ATTRIBUTES[name]})
    assert json.loads(attribute(client, url, name) or "") == JSON_ATTRIBUTES[name]
    set_one(client, url, name, "")
    assert attribute(client, url, name) is None


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_a_policy_has_8192_bytes_at_most(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    frame = json.dumps({"Id": "", "Statement": []})
    set_one(client, url, "Policy", frame.replace('""', f'"{"x" * (8192 - len(frame))}"'))
    with refused("InvalidAttributeValue", "Invalid value for the parameter Policy."):
        set_one(client, url, "Policy", frame.replace('""', f'"{"x" * (8193 - len(frame))}"'))


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_a_policy_has_20_statements_at_most(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    statements = [{"Sid": str(number), "Effect": "Allow"} for number in range(21)]
    set_one(client, url, "Policy", json.dumps({"Statement": statements[:20]}))
    with refused("InvalidAttributeValue", "Invalid value for the parameter Policy."):
        set_one(client, url, "Policy", json.dumps({"Statement": statements}))


# -- encryption, which is stored and not done ------------------------------------------------


@pytest.mark.known_difference(moto="leaves it on", elasticmq="does not know the attribute")
def test_a_kms_key_switches_the_other_encryption_off(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(KmsMasterKeyId="alias/key")
    assert attribute(client, url, "KmsMasterKeyId") == "alias/key"
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(moto="leaves it on", elasticmq="does not know the attribute")
def test_it_stays_off_without_the_key(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(KmsMasterKeyId="alias/key")
    set_one(client, url, "KmsMasterKeyId", "")
    assert attribute(client, url, "KmsMasterKeyId") is None
    assert attribute(client, url, "SqsManagedSseEnabled") == "false"


@pytest.mark.known_difference(elasticmq="does not know the attribute")
def test_the_age_of_data_keys_is_absent_until_it_is_set(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(KmsMasterKeyId="alias/key", KmsDataKeyReusePeriodSeconds="6000")
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") == "6000"
    without = {"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"}
    client.set_queue_attributes(QueueUrl=url, Attributes=without)
    assert attribute(client, url, "KmsDataKeyReusePeriodSeconds") is None


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_one_kind_of_encryption_at_a_time(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidAttributeName",
        "You can use one type of server-side encryption (SSE) at one time. You can either enable"
        " KMS SSE or SQS SSE.",
    ):
        make_queue(KmsMasterKeyId="alias/key", SqsManagedSseEnabled="true")
