"""Results for the entries of a batch."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import bodies, send, take, take_one

MakeQueue = Callable[..., str]


def entries(*texts: str, **options: Any) -> list[dict[str, Any]]:
    return [{"Id": str(n), "MessageBody": text, **options} for n, text in enumerate(texts)]


@pytest.mark.known_difference(moto="returns an empty Failed")
def test_a_batch_has_a_result_for_each_entry(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    answer = client.send_message_batch(QueueUrl=url, Entries=entries("a", "b"))
    assert "Failed" not in answer
    assert [entry["Id"] for entry in answer["Successful"]] == ["0", "1"]
    assert answer["Successful"][0].keys() == {"Id", "MessageId", "MD5OfMessageBody"}
    received = take(client, url, 2)
    assert {m["MessageId"] for m in received} == {e["MessageId"] for e in answer["Successful"]}


@pytest.mark.known_difference(
    moto="refuses the whole batch for one long entry", elasticmq="accepts long entries"
)
def test_one_invalid_entry_does_not_affect_the_others(client: Any, make_queue: MakeQueue) -> None:
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


def test_a_delete_batch_reports_each_entry(client: Any, make_queue: MakeQueue) -> None:
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


@pytest.mark.known_difference(elasticmq="accepts any visibility timeout")
def test_a_visibility_batch_reports_each_entry(client: Any, make_queue: MakeQueue) -> None:
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
    moto="returns no sequence numbers for batches",
    elasticmq="returns no sequence numbers for batches",
)
def test_a_fifo_batch_keeps_its_order(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    answer = client.send_message_batch(QueueUrl=url, Entries=entries(*"cab", MessageGroupId="g"))
    numbers = [entry["SequenceNumber"] for entry in answer["Successful"]]
    assert numbers == sorted(numbers)
    assert bodies(take(client, url, 3)) == ["c", "a", "b"]


def test_a_batch_can_contain_duplicates(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    batch = entries("a", "b", MessageGroupId="g", MessageDeduplicationId="same")
    answer = client.send_message_batch(QueueUrl=url, Entries=batch)
    assert len(answer["Successful"]) == 2
    assert take_one(client, url)["Body"] == "a"


NO_HANDLES: dict[str, dict[str, Any]] = {
    "delete_message_batch": {"ReceiptHandle": "nonsense"},
    "change_message_visibility_batch": {"ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
}


@pytest.mark.known_difference(
    moto="returns no digest for them", elasticmq="returns no digest for them"
)
def test_a_result_has_all_digests_of_its_entry(client: Any, make_queue: MakeQueue) -> None:
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
    moto={"accepts it, or refuses the whole batch": ["long", "odd", "empty"]},
    elasticmq="accepts it, or uses different error texts",
)
@pytest.mark.parametrize("name", FAILURES)
def test_an_invalid_entry_fails_alone(client: Any, make_queue: MakeQueue, name: str) -> None:
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
    moto={"uses different error texts": ["change_message_visibility_batch"]},
    elasticmq="uses different error texts",
)
@pytest.mark.parametrize("operation", NO_HANDLES)
def test_an_invalid_handle_fails_its_entry(
    client: Any, make_queue: MakeQueue, operation: str
) -> None:
    batch = [{"Id": "a", **NO_HANDLES[operation]}]
    (failed,) = getattr(client, operation)(QueueUrl=make_queue(), Entries=batch)["Failed"]
    assert failed == {
        "Id": "a",
        "Code": "ReceiptHandleIsInvalid",
        "Message": 'The input receipt handle "nonsense" is not a valid receipt handle.',
        "SenderFault": True,
    }
