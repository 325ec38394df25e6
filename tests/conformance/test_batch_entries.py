"""Batches: what refuses the whole request, and what only its entry."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def entries(*texts: str, **options: Any) -> list[dict[str, Any]]:
    return [{"Id": str(n), "MessageBody": text, **options} for n, text in enumerate(texts)]


@pytest.mark.known_difference(moto="answers an empty Failed")
def test_a_batch_is_answered_entry_by_entry(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    answer = client.send_message_batch(QueueUrl=url, Entries=entries("a", "b"))
    assert "Failed" not in answer
    assert [entry["Id"] for entry in answer["Successful"]] == ["0", "1"]
    assert answer["Successful"][0].keys() == {"Id", "MessageId", "MD5OfMessageBody"}
    received = take(client, url, 2)
    assert {m["MessageId"] for m in received} == {e["MessageId"] for e in answer["Successful"]}


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_ten_entries_are_the_most(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    with refused(
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 11.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=entries(*"abcdefghijk"))
    assert is_empty(client, url)


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_ids_must_be_distinct(client: Any, make_queue: MakeQueue) -> None:
    batch = [{"Id": "same", "MessageBody": text} for text in "ab"]
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id same repeated."):
        client.send_message_batch(QueueUrl=make_queue(), Entries=batch)


@pytest.mark.known_difference(elasticmq="has codes of its own")
def test_a_batch_has_a_size_of_its_own(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    half = "x" * 524_288
    with refused(
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=entries(half, half + "x"))


@pytest.mark.known_difference(
    moto="refuses the whole batch for one long entry", elasticmq="takes long entries"
)
def test_one_bad_entry_does_not_hinder_the_others(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    answer = client.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "long", "MessageBody": "x" * 1025},
            {"Id": "good", "MessageBody": "x"},
            {"Id": "odd", "MessageBody": "\x00"},
            {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    failed = {entry["Id"]: entry for entry in answer["Failed"]}
    assert failed["long"] == {
        "Id": "long",
        "Code": "InvalidParameterValue",
        "Message": "One or more parameters cannot be validated. Reason: Message must be shorter"
        " than 1024 bytes.",
        "SenderFault": True,
    }
    assert failed["odd"]["Code"] == "InvalidMessageContents"
    assert failed["late"]["Code"] == "InvalidParameterValue"
    assert len(take(client, url, 1)) == 1


def test_messages_are_deleted_in_a_batch(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a", "b")
    received = take(client, url, 2)
    batch = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received)]
    batch.append({"Id": "bad", "ReceiptHandle": "nonsense"})
    answer = client.delete_message_batch(QueueUrl=url, Entries=batch)
    assert answer["Successful"] == [{"Id": "0"}, {"Id": "1"}]
    (failed,) = answer["Failed"]
    assert failed["Id"] == "bad"
    assert failed["Code"] == "ReceiptHandleIsInvalid"
    assert failed["SenderFault"] is True


@pytest.mark.known_difference(elasticmq="takes any visibility timeout")
def test_visibility_is_changed_in_a_batch(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a", "b")
    received = take(client, url, 2)
    batch = [
        {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0}
        for n, m in enumerate(received)
    ]
    batch[1]["VisibilityTimeout"] = 43201
    answer = client.change_message_visibility_batch(QueueUrl=url, Entries=batch)
    assert answer["Successful"] == [{"Id": "0"}]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"]) == ("1", "InvalidParameterValue")
    assert bodies(take(client, url)) == [received[0]["Body"]]


@pytest.mark.known_difference(
    moto="answers no sequence numbers for batches",
    elasticmq="answers no sequence numbers for batches",
)
def test_a_fifo_batch_keeps_its_order(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    answer = client.send_message_batch(QueueUrl=url, Entries=entries(*"cab", MessageGroupId="g"))
    numbers = [entry["SequenceNumber"] for entry in answer["Successful"]]
    assert numbers == sorted(numbers)
    assert bodies(take(client, url, 3)) == ["c", "a", "b"]


def test_a_batch_may_hold_duplicates(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    batch = entries("a", "b", MessageGroupId="g", MessageDeduplicationId="same")
    answer = client.send_message_batch(QueueUrl=url, Entries=batch)
    assert len(answer["Successful"]) == 2
    assert take_one(client, url)["Body"] == "a"


@pytest.mark.known_difference(
    moto="has the code of a single send", elasticmq="takes messages without a group"
)
def test_one_entry_without_a_group_refuses_a_fifo_batch(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    batch = entries("a", "b", MessageGroupId="g")
    del batch[1]["MessageGroupId"]
    with refused("InvalidParameterValue", "The request must contain the parameter MessageGroupId."):
        client.send_message_batch(QueueUrl=url, Entries=batch)
    assert is_empty(client, url)


#: the batches, and an entry of each that is well-formed
BATCHES: dict[str, dict[str, Any]] = {
    "send_message_batch": {"MessageBody": "x"},
    "delete_message_batch": {"ReceiptHandle": "nonsense"},
    "change_message_visibility_batch": {"ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
}


@pytest.mark.known_difference(
    moto={"takes it": ["change_message_visibility_batch"]}, elasticmq="takes it"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_a_batch_without_entries(client: Any, make_queue: MakeQueue, operation: str) -> None:
    with refused("AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one"):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=[])


@pytest.mark.known_difference(
    moto="takes it, or has codes of its own", elasticmq="has codes of its own"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_a_batch_of_eleven(client: Any, make_queue: MakeQueue, operation: str) -> None:
    """The count is told before the ids, which are all the same here."""
    batch = [{"Id": "same", **BATCHES[operation]}] * 11
    with refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "You have sent 11."):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)


@pytest.mark.known_difference(
    moto={"takes it": ["change_message_visibility_batch"]}, elasticmq="has codes of its own"
)
@pytest.mark.parametrize("operation", BATCHES)
def test_a_batch_with_an_id_twice(client: Any, make_queue: MakeQueue, operation: str) -> None:
    batch = [{"Id": "same", **BATCHES[operation]}] * 2
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id same repeated."):
        getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)


@pytest.mark.known_difference(moto={"takes it": ["accent"]}, elasticmq="takes it")
@pytest.mark.parametrize(
    "entry_id", ["", "a b", "a.b", "ä", "x" * 81], ids=["empty", "blank", "dot", "accent", "long"]
)
def test_an_id_that_is_refused(client: Any, make_queue: MakeQueue, entry_id: str) -> None:
    url = make_queue()
    with refused(
        "AWS.SimpleQueueService.InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores.",
    ):
        client.send_message_batch(QueueUrl=url, Entries=[{"Id": entry_id, "MessageBody": "x"}])


def test_an_id_that_is_taken(client: Any, make_queue: MakeQueue) -> None:
    entry_id = "Az-09_".ljust(80, "x")
    answer = client.send_message_batch(
        QueueUrl=make_queue(), Entries=[{"Id": entry_id, "MessageBody": "x"}]
    )
    assert answer["Successful"][0]["Id"] == entry_id


@pytest.mark.known_difference(moto="takes it", elasticmq="has the limit of 256 KiB")
def test_the_size_of_a_batch_is_that_of_all_entries(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    batch = entries("x" * 524_288, "x" * 524_288)
    assert len(client.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) == 2
    batch[0]["MessageAttributes"] = {"k": {"DataType": "String", "StringValue": "x"}}
    with refused("AWS.SimpleQueueService.BatchRequestTooLong", "You have sent 1048584 bytes."):
        client.send_message_batch(QueueUrl=url, Entries=batch)


@pytest.mark.known_difference(moto="answers no digest of it", elasticmq="answers no digest of it")
def test_an_entry_is_answered_with_all_its_digests(client: Any, make_queue: MakeQueue) -> None:
    entry = {
        "Id": "a",
        "MessageBody": "message",
        "MessageAttributes": {"k": {"DataType": "String", "StringValue": "x"}},
        "MessageSystemAttributes": {
            "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}
        },
    }
    (sent,) = client.send_message_batch(QueueUrl=make_queue(), Entries=[entry])["Successful"]
    assert sent["MD5OfMessageBody"] == "78e731027d8fd50ed642340b7c9a63b3"
    assert sent["MD5OfMessageAttributes"] == "a45daa70926828a2f0a1db3418e6feb4"
    assert len(sent["MD5OfMessageSystemAttributes"]) == 32


FAILURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "long": (
        {"MessageBody": "x" * 1025},
        "InvalidParameterValue",
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024"
        " bytes.",
    ),
    "odd": ({"MessageBody": "\x00"}, "InvalidMessageContents", "Invalid characters found."),
    "late": (
        {"MessageBody": "x", "DelaySeconds": 901},
        "InvalidParameterValue",
        "Value 901 for parameter DelaySeconds is invalid.",
    ),
    "empty": (
        {"MessageBody": ""},
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    ),
}


@pytest.mark.known_difference(
    moto={"takes it, or refuses the whole batch": ["long", "odd", "empty"]},
    elasticmq="takes it, or has texts of its own",
)
@pytest.mark.parametrize("name", FAILURES)
def test_an_entry_that_fails_by_itself(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue(MaximumMessageSize="1024")
    options, code, text = FAILURES[name]
    batch = [{"Id": name, **options}, {"Id": "good", "MessageBody": "x"}]
    answer = client.send_message_batch(QueueUrl=url, Entries=batch)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    (failed,) = answer["Failed"]
    assert failed.pop("Message").startswith(text)
    assert failed == {"Id": name, "Code": code, "SenderFault": True}
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(
    moto={"has texts of its own": ["change_message_visibility_batch"]},
    elasticmq="has texts of its own",
)
@pytest.mark.parametrize("operation", ["delete_message_batch", "change_message_visibility_batch"])
def test_a_handle_that_is_none_fails_its_entry(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    batch = [{"Id": "a", **BATCHES[operation]}]
    (failed,) = getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)["Failed"]
    assert failed == {
        "Id": "a",
        "Code": "ReceiptHandleIsInvalid",
        "Message": 'The input receipt handle "nonsense" is not a valid receipt handle.',
        "SenderFault": True,
    }


@pytest.mark.known_difference(elasticmq="takes it")
def test_one_entry_without_deduplication_refuses_a_fifo_batch(
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
