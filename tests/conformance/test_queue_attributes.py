"""The attributes of queues: defaults, bounds, what may be set."""

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


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_setting_no_attribute_is_a_missing_parameter(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter Attribute.Name."):
        client.set_queue_attributes(QueueUrl=make_queue(), Attributes={})


@pytest.mark.known_difference(elasticmq="answers an empty map")
def test_an_empty_list_of_names_gets_no_attributes(client: Any, make_queue: MakeQueue) -> None:
    answer = client.get_queue_attributes(QueueUrl=make_queue(), AttributeNames=[])
    assert "Attributes" not in answer


def test_all_among_others_gets_everything(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds", "All"])
    assert answer["Attributes"] == all_of(client, url)


@pytest.mark.known_difference(moto="answers fractions")
def test_times_are_whole_seconds(client: Any, make_queue: MakeQueue) -> None:
    shown = all_of(client, make_queue())
    assert shown["CreatedTimestamp"].isdigit()
    assert shown["LastModifiedTimestamp"].isdigit()
    assert len(shown["CreatedTimestamp"]) == 10


@pytest.mark.known_difference(moto="answers fractions", elasticmq="keeps the old date")
def test_a_change_is_dated(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    before = all_of(client, url)
    clock.pass_seconds(1.1)
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    after = all_of(client, url)
    assert int(after["LastModifiedTimestamp"]) > int(before["LastModifiedTimestamp"])
    assert after["CreatedTimestamp"] == before["CreatedTimestamp"]


@pytest.mark.known_difference(elasticmq="knows no scope of deduplication")
@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_the_scope_of_deduplication_can_be_set_later(
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
