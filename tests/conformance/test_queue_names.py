"""Names, URLs, and ARNs of queues, and the ids that SQS creates."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.by_hand import is_uuid
from tests.conformance.calls import arn_of, refused, send, take_one

MakeQueue = Callable[..., str]

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_a_name_has_at_most_80_characters(client: Any, queue_name: str) -> None:
    name = queue_name + "Az09_-" + "x" * (80 - 6 - len(queue_name))
    assert client.create_queue(QueueName=name)["QueueUrl"].endswith(f"/{name}")
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName=name + "x")


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_the_suffix_counts_toward_the_length(client: Any, queue_name: str) -> None:
    name = queue_name.ljust(75, "x") + ".fifo"
    url = client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    assert url.endswith(f"/{name}")
    with refused("InvalidParameterValue"):
        client.create_queue(QueueName="x" + name, Attributes={"FifoQueue": "true"})


def test_names_are_case_sensitive(client: Any, queue_name: str) -> None:
    lower, upper = queue_name + "-a", queue_name + "-A"
    assert (
        client.create_queue(QueueName=lower)["QueueUrl"]
        != client.create_queue(QueueName=upper)["QueueUrl"]
    )
    assert len(client.list_queues(QueueNamePrefix=lower)["QueueUrls"]) == 1


@pytest.mark.known_difference(
    moto={"accepts it": ["suffix"]}, elasticmq="uses different error codes"
)
@pytest.mark.parametrize(
    "name",
    ["", "with space", "a/b", "dot.ted", "ä", "name.fifo"],
    ids=["empty", "space", "slash", "dot", "accent", "suffix"],
)
def test_invalid_names_are_refused(client: Any, name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    ):
        client.create_queue(QueueName=name)


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error codes"
)
def test_the_name_of_a_fifo_queue_needs_the_suffix(client: Any, queue_name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or"
        " underscores, must end with .fifo suffix and be 1 to 80 in length.",
    ):
        client.create_queue(QueueName=queue_name, Attributes={"FifoQueue": "true"})


def test_the_arn_contains_account_and_name(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    parts = arn_of(client, url).split(":")
    assert parts[:3] == ["arn", "aws", "sqs"]
    assert parts[4:] == [account, name]
    assert len(account) == 12
    assert account.isdigit()


@pytest.mark.known_difference(elasticmq="always uses the same region")
def test_the_arn_contains_the_region(client: Any, make_queue: MakeQueue) -> None:
    assert arn_of(client, make_queue()).split(":")[3] == client.meta.region_name


def test_the_host_of_a_queue_url_is_ignored(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    account, name = url.split("/")[-2:]
    send(client, f"https://elsewhere.test:1/{account}/{name}", "x")
    assert take_one(client, url)["Body"] == "x"


#: every operation that takes a queue URL, with its other required parameters
OPERATIONS: dict[str, dict[str, Any]] = {
    "add_permission": {"Label": "x", "AWSAccountIds": ["111111111111"], "Actions": ["*"]},
    "change_message_visibility": {"ReceiptHandle": "", "VisibilityTimeout": 0},
    "change_message_visibility_batch": {"Entries": [{"Id": "a", "ReceiptHandle": "x"}]},
    "delete_message": {"ReceiptHandle": ""},
    "delete_message_batch": {"Entries": [{"Id": "a", "ReceiptHandle": "x"}]},
    "delete_queue": {},
    "get_queue_attributes": {"AttributeNames": ["All"]},
    "list_dead_letter_source_queues": {},
    "list_queue_tags": {},
    "purge_queue": {},
    "receive_message": {},
    "remove_permission": {"Label": "kept"},
    "send_message": {"MessageBody": "x"},
    "send_message_batch": {"Entries": [{"Id": "a", "MessageBody": "x"}]},
    "set_queue_attributes": {"Attributes": {"DelaySeconds": "1"}},
    "tag_queue": {"Tags": {"a": "b"}},
    "untag_queue": {"TagKeys": ["a"]},
}


@pytest.mark.known_difference(
    elasticmq={
        "takes URLs alone": [
            "change_message_visibility",
            "delete_message",
            "delete_message_batch",
            "delete_queue",
            "get_queue_attributes",
            "list_dead_letter_source_queues",
            "list_queue_tags",
            "purge_queue",
            "receive_message",
            "send_message",
            "send_message_batch",
            "set_queue_attributes",
            "tag_queue",
            "untag_queue",
        ],
        "fails on it": ["change_message_visibility_batch"],
    }
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_name_is_accepted_as_a_queue_url(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    url = make_queue()
    client.add_permission(QueueUrl=url, Label="kept", AWSAccountIds=["111111111111"], Actions=["*"])
    send(client, url, "x")
    options = dict(OPERATIONS[operation])
    if "ReceiptHandle" in options:
        options["ReceiptHandle"] = take_one(client, url)["ReceiptHandle"]
    answer = getattr(client, operation)(QueueUrl=url.rpartition("/")[2], **options)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.known_difference(
    moto={"accepts it": ["change_message_visibility_batch"]},
    elasticmq="accepts it, fails on it, or uses different error codes",
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_queue_is_refused(client: Any, make_queue: MakeQueue, operation: str) -> None:
    url = make_queue() + "-no"
    options = dict(OPERATIONS[operation])
    if "ReceiptHandle" in options:
        options["ReceiptHandle"] = "x"
    with refused(MISSING):
        getattr(client, operation)(QueueUrl=url, **options)


@pytest.mark.known_difference(moto="does not find the queue")
def test_a_trailing_slash_is_ignored(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url + "/", "x")
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(elasticmq="uses different error codes")
@pytest.mark.parametrize("url", ["http://localhost/", "http://localhost/name", "/", ""])
def test_a_url_without_account_and_name_is_refused(client: Any, url: str) -> None:
    with refused(MISSING):
        client.send_message(QueueUrl=url, MessageBody="x")


def test_a_message_id_is_a_random_uuid(client: Any, make_queue: MakeQueue) -> None:
    first, second = send(client, make_queue(), "x", "x")
    assert is_uuid(first)
    assert first[14] == "4"
    assert first != second


def test_a_receipt_handle_is_new_for_each_delivery(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    handles = [take_one(client, url, VisibilityTimeout=0)["ReceiptHandle"] for _ in range(3)]
    assert len(set(handles)) == 3
    assert all(handle.isprintable() and len(handle) > 30 for handle in handles)


@pytest.mark.known_difference(elasticmq="accepts it")
def test_the_same_name_in_two_regions_is_two_queues(session: Any, queue_name: str) -> None:
    here, there = (session.client("sqs", region_name=name) for name in ("us-east-1", "eu-west-1"))
    url = here.create_queue(QueueName=queue_name)["QueueUrl"]
    with refused(MISSING):
        there.get_queue_url(QueueName=queue_name)
    other = there.create_queue(QueueName=queue_name)["QueueUrl"]
    send(here, url, "here")
    assert not there.receive_message(QueueUrl=other).get("Messages")
