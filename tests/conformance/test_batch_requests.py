"""Batches that are refused as a whole: size, entry ids, and missing ids of FIFO queues."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import is_empty, refused

MakeQueue = Callable[..., str]

#: a valid entry for each batch operation
BATCHES: dict[str, dict[str, Any]] = {
    "send_message_batch": {"MessageBody": "x"},
    "delete_message_batch": {"ReceiptHandle": "nonsense"},
    "change_message_visibility_batch": {"ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
}


def entries(*texts: str, **options: Any) -> list[dict[str, Any]]:
    return [{"Id": str(n), "MessageBody": text, **options} for n, text in enumerate(texts)]


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_a_batch_has_at_most_ten_entries(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    with refused(
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 11.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=entries(*"abcdefghijk"))
    assert is_empty(client, url)


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_a_batch_has_its_own_size_limit(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    half = "x" * 524_288
    with refused(
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=entries(half, half + "x"))


@pytest.mark.known_difference(
    moto="uses the error code of a single send", elasticmq="accepts messages without a group"
)
def test_a_fifo_batch_with_one_entry_without_a_group_is_refused(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    batch = entries("a", "b", MessageGroupId="g")
    del batch[1]["MessageGroupId"]
    with refused("InvalidParameterValue", "The request must contain the parameter MessageGroupId."):
        client.send_message_batch(QueueUrl=url, Entries=batch)
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto={"accepts it": ["change_message_visibility_batch"]}, elasticmq="accepts it"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_an_empty_batch_is_refused(client: Any, make_queue: MakeQueue, operation: str) -> None:
    with refused("AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one"):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=[])


@pytest.mark.known_difference(
    moto="accepts it, or uses different error codes", elasticmq="uses different error codes"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_a_batch_of_eleven_is_refused_before_its_ids_are_checked(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    """All ids are the same here, but the error is about the count."""
    batch = [{"Id": "same", **BATCHES[operation]}] * 11
    with refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "You have sent 11."):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)


@pytest.mark.known_difference(
    moto={"accepts it": ["change_message_visibility_batch"]}, elasticmq="uses different error codes"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_a_repeated_entry_id_is_refused(client: Any, make_queue: MakeQueue, operation: str) -> None:
    batch = [{"Id": "same", **BATCHES[operation]}] * 2
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id same repeated."):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)


@pytest.mark.known_difference(moto={"accepts it": ["accent"]}, elasticmq="accepts it")
@pytest.mark.parametrize(
    "entry_id", ["", "a b", "a.b", "ä", "x" * 81], ids=["empty", "space", "dot", "accent", "long"]
)
def test_invalid_entry_ids_are_refused(client: Any, make_queue: MakeQueue, entry_id: str) -> None:
    url = make_queue()
    with refused(
        "AWS.SimpleQueueService.InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=[{"Id": entry_id, "MessageBody": "x"}])


def test_valid_entry_ids_are_accepted(client: Any, make_queue: MakeQueue) -> None:
    entry_id = "Az-09_".ljust(80, "x")
    answer = client.send_message_batch(
        QueueUrl=make_queue(), Entries=[{"Id": entry_id, "MessageBody": "x"}]
    )
    assert answer["Successful"][0]["Id"] == entry_id


@pytest.mark.known_difference(moto="accepts it", elasticmq="has a limit of 256 KiB")
def test_the_size_of_a_batch_counts_all_entries(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    batch = entries("x" * 524_288, "x" * 524_288)
    assert len(client.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) == 2
    batch[0]["MessageAttributes"] = {"k": {"DataType": "String", "StringValue": "x"}}
    with refused("AWS.SimpleQueueService.BatchRequestTooLong", "You have sent 1048584 bytes."):
        client.send_message_batch(QueueUrl=url, Entries=batch)


@pytest.mark.known_difference(elasticmq="accepts it")
def test_a_fifo_batch_with_one_entry_without_a_deduplication_id_is_refused(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(fifo=True)
    batch = entries("a", "b", MessageGroupId="g", MessageDeduplicationId="d")
    del batch[1]["MessageDeduplicationId"]
    with refused(
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId"
        " provided explicitly",
    ):
        client.send_message_batch(QueueUrl=url, Entries=batch)
    assert is_empty(client, url)
