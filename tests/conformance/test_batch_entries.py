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


@pytest.mark.known_difference(
    moto="takes an empty batch of deletes", elasticmq="takes an empty batch"
)
def test_an_empty_batch_is_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    code = "AWS.SimpleQueueService.EmptyBatchRequest"
    with refused(code, "There should be at least one SendMessageBatchRequestEntry in the request."):
        client.send_message_batch(QueueUrl=url, Entries=[])
    with refused(code, "DeleteMessageBatchRequestEntry"):
        client.delete_message_batch(QueueUrl=url, Entries=[])
    with refused(code, "ChangeMessageVisibilityBatchRequestEntry"):
        client.change_message_visibility_batch(QueueUrl=url, Entries=[])


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


@pytest.mark.known_difference(elasticmq="takes any id")
def test_ids_have_a_form(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for entry_id in ("", "a b", "a.b", "x" * 81):
        with pytest.raises(client.exceptions.InvalidBatchEntryId) as caught:
            client.send_message_batch(QueueUrl=url, Entries=[{"Id": entry_id, "MessageBody": "x"}])
        error = caught.value.response["Error"]
        assert error["Code"] == "AWS.SimpleQueueService.InvalidBatchEntryId"
        assert error["Message"].startswith("A batch entry id can only contain alphanumeric")


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
