"""Queue attributes: defaults, selection, and changes."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import attribute, refused, send, take_one

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


@pytest.mark.known_difference(elasticmq="does not support encryption and throughput limits")
def test_a_new_standard_queue_has_the_defaults(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue())
    assert {name: shown.pop(name) for name in STANDARD} == STANDARD
    assert shown.keys() == LIVE


@pytest.mark.known_difference(elasticmq="does not support encryption and throughput limits")
def test_a_new_fifo_queue_has_four_more_attributes(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue(fifo=True))
    expected = STANDARD | FIFO
    assert {name: shown.pop(name) for name in expected} == expected
    assert shown.keys() == LIVE


@pytest.mark.known_difference(elasticmq="returns an empty map")
def test_without_requested_names_there_are_no_attributes(
    client: Any, make_queue: MakeQueue
) -> None:
    assert "Attributes" not in client.get_queue_attributes(QueueUrl=make_queue())


def test_attributes_without_a_value_are_omitted(client: Any, make_queue: MakeQueue) -> None:
    names = ["VisibilityTimeout", "RedrivePolicy", "KmsMasterKeyId"]
    answer = client.get_queue_attributes(QueueUrl=make_queue(), AttributeNames=names)
    assert answer["Attributes"] == {"VisibilityTimeout": "30"}


@pytest.mark.known_difference(elasticmq="omits unknown names")
def test_unknown_names_are_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for name in ("Nonsense", "", "visibilitytimeout"):
        with refused("InvalidAttributeName", f"Unknown Attribute {name}."):
            client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])


def test_setting_some_attributes_keeps_the_others(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11", DelaySeconds="2")
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "12"})
    assert attribute(client, url, "VisibilityTimeout") == "12"
    assert attribute(client, url, "DelaySeconds") == "2"


@pytest.mark.known_difference(moto="changes it", elasticmq="ignores the change")
def test_the_type_of_a_queue_cannot_change(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    client.set_queue_attributes(QueueUrl=url, Attributes={"FifoQueue": "true"})
    with refused("InvalidAttributeValue", "Modifying queue type is not supported."):
        client.set_queue_attributes(QueueUrl=url, Attributes={"FifoQueue": "false"})


@pytest.mark.known_difference(elasticmq="does not support throughput limits")
def test_high_throughput_is_accepted_with_the_group_scope(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(
        fifo=True, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
    )
    assert attribute(client, url, "FifoThroughputLimit") == "perMessageGroupId"
    make_queue(fifo=True, DeduplicationScope="messageGroup")


@pytest.mark.known_difference(moto="accepts it", elasticmq="does not support throughput limits")
def test_high_throughput_without_the_group_scope_is_refused(
    client: Any, make_queue: MakeQueue
) -> None:
    with refused("InvalidAttributeValue"):
        make_queue(fifo=True, FifoThroughputLimit="perMessageGroupId")


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_setting_no_attribute_is_a_missing_parameter(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter Attribute.Name."):
        client.set_queue_attributes(QueueUrl=make_queue(), Attributes={})


@pytest.mark.known_difference(elasticmq="returns an empty map")
def test_an_empty_list_of_names_returns_no_attributes(client: Any, make_queue: MakeQueue) -> None:
    answer = client.get_queue_attributes(QueueUrl=make_queue(), AttributeNames=[])
    assert "Attributes" not in answer


def test_all_together_with_other_names_returns_everything(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "All"])
    assert answer["Attributes"] == all_of(client, url)


@pytest.mark.known_difference(moto="returns fractions of a second")
def test_times_are_whole_seconds(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue())
    assert shown["CreatedTimestamp"].isdigit()
    assert shown["LastModifiedTimestamp"].isdigit()
    assert len(shown["CreatedTimestamp"]) == 10


@pytest.mark.known_difference(
    moto="returns fractions of a second", elasticmq="keeps the old timestamp"
)
def test_a_change_sets_the_modified_timestamp(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    before = all_of(client, url)
    clock.pass_seconds(1.1)
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    after = all_of(client, url)
    assert int(after["LastModifiedTimestamp"]) > int(before["LastModifiedTimestamp"])
    assert after["CreatedTimestamp"] == before["CreatedTimestamp"]


@pytest.mark.known_difference(elasticmq="does not support deduplication scopes")
@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_the_deduplication_scope_can_be_changed(
    client: Any, make_queue: MakeQueue, scope: str
) -> None:
    other = {"queue": "messageGroup", "messageGroup": "queue"}[scope]
    url = make_queue(fifo=True, DeduplicationScope=other)
    client.set_queue_attributes(QueueUrl=url, Attributes={"DeduplicationScope": scope})
    assert attribute(client, url, "DeduplicationScope") == scope


def test_a_change_takes_effect_at_once(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    for _ in range(2):
        assert take_one(client, url)["Body"] == "x"
