"""The errors of SQS: code, shape, status, and text of each."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.calls import arn_of, send, take_one

MakeQueue = Callable[..., str]
Cause = Callable[[Any, MakeQueue], None]

PREFIX = "AWS.SimpleQueueService."


def entries(*ids: str, body: str = "x") -> list[dict[str, str]]:
    return [{"Id": entry_id, "MessageBody": body} for entry_id in ids]


def missing_queue(client: Any, make_queue: MakeQueue) -> None:
    client.send_message(QueueUrl=make_queue() + "-no", MessageBody="x")


def other_attribute(client: Any, make_queue: MakeQueue) -> None:
    make_queue(make_queue(DelaySeconds="1").rpartition("/")[2], DelaySeconds="2")


def early_create(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.delete_queue(QueueUrl=url)
    make_queue(url.rpartition("/")[2])


def early_purge(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue("q-purged-twice")
    for _ in range(2):
        client.purge_queue(QueueUrl=url)


def empty_sends(client: Any, make_queue: MakeQueue) -> None:
    client.send_message_batch(QueueUrl=make_queue(), Entries=[])


def empty_deletes(client: Any, make_queue: MakeQueue) -> None:
    client.delete_message_batch(QueueUrl=make_queue(), Entries=[])


def empty_changes(client: Any, make_queue: MakeQueue) -> None:
    client.change_message_visibility_batch(QueueUrl=make_queue(), Entries=[])


def eleven_entries(client: Any, make_queue: MakeQueue) -> None:
    client.send_message_batch(QueueUrl=make_queue(), Entries=entries(*"abcdefghijk"))


def same_ids(client: Any, make_queue: MakeQueue) -> None:
    client.send_message_batch(QueueUrl=make_queue(), Entries=entries("same", "same"))


def bad_id(client: Any, make_queue: MakeQueue) -> None:
    client.send_message_batch(QueueUrl=make_queue(), Entries=entries("a b"))


def long_batch(client: Any, make_queue: MakeQueue) -> None:
    batch = entries("a", "b", body="x" * 524_289)
    client.send_message_batch(QueueUrl=make_queue(), Entries=batch)


def no_handle(client: Any, make_queue: MakeQueue) -> None:
    client.delete_message(QueueUrl=make_queue(), ReceiptHandle="nonsense")


def bad_character(client: Any, make_queue: MakeQueue) -> None:
    client.send_message(QueueUrl=make_queue(), MessageBody="a\x00b")


def unknown_attribute(client: Any, make_queue: MakeQueue) -> None:
    client.get_queue_attributes(QueueUrl=make_queue(), AttributeNames=["Colour"])


def bad_attribute(client: Any, make_queue: MakeQueue) -> None:
    make_queue(DelaySeconds="901")


def eight_actions(client: Any, make_queue: MakeQueue) -> None:
    client.add_permission(
        QueueUrl=make_queue(),
        Label="x",
        AWSAccountIds=["111111111111"],
        Actions=["SendMessage"] * 8,
    )


def missing_source(client: Any, make_queue: MakeQueue) -> None:
    client.start_message_move_task(SourceArn=arn_of(client, make_queue()) + "-no")


def bad_parameter(client: Any, make_queue: MakeQueue) -> None:
    client.receive_message(QueueUrl=make_queue(), MaxNumberOfMessages=11)


def no_group(client: Any, make_queue: MakeQueue) -> None:
    client.send_message(QueueUrl=make_queue(fifo=True), MessageBody="x")


#: cause, shape, code, status, text
TABLE: list[tuple[Cause, str, str, int, str]] = [
    (
        missing_queue,
        "QueueDoesNotExist",
        f"{PREFIX}NonExistentQueue",
        400,
        "The specified queue does not exist.",
    ),
    (
        other_attribute,
        "QueueNameExists",
        "QueueAlreadyExists",
        400,
        "A queue already exists with the same name and a different value for attribute"
        " DelaySeconds",
    ),
    (
        early_create,
        "QueueDeletedRecently",
        f"{PREFIX}QueueDeletedRecently",
        400,
        "You must wait 60 seconds after deleting a queue before you can create another with the"
        " same name.",
    ),
    (
        early_purge,
        "PurgeQueueInProgress",
        f"{PREFIX}PurgeQueueInProgress",
        403,
        "Only one PurgeQueue operation on q-purged-twice is allowed every 60 seconds.",
    ),
    (
        empty_sends,
        "EmptyBatchRequest",
        f"{PREFIX}EmptyBatchRequest",
        400,
        "There should be at least one SendMessageBatchRequestEntry in the request.",
    ),
    (
        empty_deletes,
        "EmptyBatchRequest",
        f"{PREFIX}EmptyBatchRequest",
        400,
        "There should be at least one DeleteMessageBatchRequestEntry in the request.",
    ),
    (
        empty_changes,
        "EmptyBatchRequest",
        f"{PREFIX}EmptyBatchRequest",
        400,
        "There should be at least one ChangeMessageVisibilityBatchRequestEntry in the request.",
    ),
    (
        eleven_entries,
        "TooManyEntriesInBatchRequest",
        f"{PREFIX}TooManyEntriesInBatchRequest",
        400,
        "Maximum number of entries per request are 10. You have sent 11.",
    ),
    (
        same_ids,
        "BatchEntryIdsNotDistinct",
        f"{PREFIX}BatchEntryIdsNotDistinct",
        400,
        "Id same repeated.",
    ),
    (
        bad_id,
        "InvalidBatchEntryId",
        f"{PREFIX}InvalidBatchEntryId",
        400,
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores."
        " It can be at most 80 letters long.",
    ),
    (
        long_batch,
        "BatchRequestTooLong",
        f"{PREFIX}BatchRequestTooLong",
        400,
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048578 bytes.",
    ),
    (
        no_handle,
        "ReceiptHandleIsInvalid",
        "ReceiptHandleIsInvalid",
        400,
        'The input receipt handle "nonsense" is not a valid receipt handle.',
    ),
    (
        bad_character,
        "InvalidMessageContents",
        "InvalidMessageContents",
        400,
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF"
        " | #xE000 to #xFFFD | #x10000 to #x10FFFF",
    ),
    (
        unknown_attribute,
        "InvalidAttributeName",
        "InvalidAttributeName",
        400,
        "Unknown Attribute Colour.",
    ),
    (
        bad_attribute,
        "InvalidAttributeValue",
        "InvalidAttributeValue",
        400,
        "Invalid value for the parameter DelaySeconds.",
    ),
    (
        eight_actions,
        "OverLimit",
        "OverLimit",
        403,
        "8 Actions were found, maximum allowed is 7.",
    ),
    (
        missing_source,
        "ResourceNotFoundException",
        "ResourceNotFoundException",
        404,
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    ),
    (
        bad_parameter,
        "InvalidParameterValueException",
        "InvalidParameterValue",
        400,
        "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10,"
        " if provided.",
    ),
    (
        no_group,
        "MissingRequiredParameterException",
        "MissingParameter",
        400,
        "The request must contain the parameter MessageGroupId.",
    ),
]


@pytest.mark.known_difference(
    moto={
        "uses different error texts": ["other_attribute", "no_handle"],
        "does not support move tasks": ["missing_source"],
        "does not name the error shape": ["bad_parameter"],
        "accepts it": ["early_create", "empty_changes", "bad_character", "bad_attribute"],
    },
    elasticmq="accepts it, or uses different error codes",
)
@pytest.mark.parametrize(
    ("cause", "shape", "code", "status", "text"), TABLE, ids=[row[0].__name__ for row in TABLE]
)
def test_each_error_has_its_code_shape_status_and_text(
    client: Any,
    make_queue: MakeQueue,
    cause: Cause,
    shape: str,
    code: str,
    status: int,
    text: str,
) -> None:
    with pytest.raises(ClientError) as caught:
        cause(client, make_queue)
    error: dict[str, Any] = {**caught.value.response["Error"]}
    assert error["Code"] == code
    assert error["QueryErrorCode"] == shape
    assert error["Message"] == text
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert type(caught.value).__name__ == (
        shape if hasattr(client.exceptions, shape) else "ClientError"
    )


def test_changing_a_message_that_is_not_in_flight_hides_it(
    client: Any, make_queue: MakeQueue
) -> None:
    """The documentation lists MessageNotInflight, but SQS hides the message instead."""
    url = make_queue()
    send(client, url, "x")
    handle = take_one(client, url, VisibilityTimeout=0)["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=30)
    assert not client.receive_message(QueueUrl=url).get("Messages")
