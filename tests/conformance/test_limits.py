"""Invalid sizes, characters, and numbers are refused with the error texts of SQS."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.calls import refused, take_one

MakeQueue = Callable[..., str]


@pytest.mark.known_difference(moto="accepts an empty body", elasticmq="uses different error codes")
def test_an_empty_body_is_a_missing_parameter(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter MessageBody."):
        client.send_message(QueueUrl=make_queue(), MessageBody="")


@pytest.mark.known_difference(elasticmq="does not support the limit of a queue")
def test_a_message_of_exactly_the_size_limit_is_accepted(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(QueueUrl=url, MessageBody="x" * 1024)
    with refused("InvalidParameterValue", "Reason: Message must be shorter than 1024 bytes."):
        client.send_message(QueueUrl=url, MessageBody="x" * 1025)


@pytest.mark.known_difference(elasticmq="has a limit of 256 KiB")
def test_the_default_limit_is_one_mebibyte(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.send_message(QueueUrl=url, MessageBody="x" * 1_048_576)
    with refused(
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    ):
        client.send_message(QueueUrl=url, MessageBody="x" * 1_048_577)


@pytest.mark.known_difference(
    moto="counts characters", elasticmq="does not support the limit of a queue"
)
def test_the_size_limit_counts_bytes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(QueueUrl=url, MessageBody="ü" * 512)
    with refused("InvalidParameterValue"):
        client.send_message(QueueUrl=url, MessageBody="ü" * 513)


@pytest.mark.known_difference(moto="accepts any character", elasticmq="uses different error codes")
def test_characters_that_xml_does_not_allow_are_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for text in ("\x00", "a\x1fb", "\ufffe", "\uffff", "\x0b"):
        with refused("InvalidMessageContents"):
            client.send_message(QueueUrl=url, MessageBody=text)
    for text in ("\t\n\r", "\ud7ff\ue000\ufffd", "\U0001f600\U0010ffff"):
        client.send_message(QueueUrl=url, MessageBody=text)


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error codes"
)
@pytest.mark.parametrize("count", [0, 11, -1])
def test_a_receive_asks_for_1_to_10_messages(
    client: Any, make_queue: MakeQueue, count: int
) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {count} for parameter MaxNumberOfMessages is invalid. "
        "Reason: Must be between 1 and 10, if provided.",
    ):
        client.receive_message(QueueUrl=make_queue(), MaxNumberOfMessages=count)


@pytest.mark.known_difference(
    moto="uses different error texts", elasticmq="uses different error codes"
)
@pytest.mark.parametrize("seconds", [-1, 21])
def test_a_receive_waits_0_to_20_seconds(client: Any, make_queue: MakeQueue, seconds: int) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {seconds} for parameter WaitTimeSeconds is invalid. "
        "Reason: Must be >= 0 and <= 20, if provided.",
    ):
        client.receive_message(QueueUrl=make_queue(), WaitTimeSeconds=seconds)


@pytest.mark.known_difference(
    moto="accepts it, or uses different error texts", elasticmq="accepts it"
)
@pytest.mark.parametrize("seconds", [-1, 43201])
def test_a_receive_hides_for_0_to_43200_seconds(
    client: Any, make_queue: MakeQueue, seconds: int
) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {seconds} for parameter VisibilityTimeout is invalid. "
        "Reason: Must be >= 0 and <= 43200, if provided.",
    ):
        client.receive_message(QueueUrl=make_queue(), VisibilityTimeout=seconds)


IDS = {
    "MessageGroupId": {"MessageDeduplicationId": "d"},
    "MessageDeduplicationId": {"MessageGroupId": "g"},
}


@pytest.mark.known_difference(
    moto="accepts it, or uses different error codes", elasticmq="uses different error texts"
)
@pytest.mark.parametrize(
    "wrong", ["", "a b", "ä", "x" * 129], ids=["empty", "space", "accent", "long"]
)
@pytest.mark.parametrize("name", IDS)
def test_invalid_group_and_deduplication_ids_are_refused(
    client: Any, make_queue: MakeQueue, name: str, wrong: str
) -> None:
    with refused(
        "InvalidParameterValue",
        f"Value {wrong} for parameter {name} is invalid. Reason: {name} can only include"
        " alphanumeric and punctuation characters. 1 to 128 in length.",
    ):
        client.send_message(
            QueueUrl=make_queue(fifo=True), MessageBody="x", **{**IDS[name], name: wrong}
        )


@pytest.mark.parametrize("name", IDS)
def test_ids_can_have_128_characters_and_any_punctuation(
    client: Any, make_queue: MakeQueue, name: str
) -> None:
    url = make_queue(fifo=True)
    longest = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".ljust(128, "x")
    client.send_message(QueueUrl=url, MessageBody="x", **{**IDS[name], name: longest})
    assert take_one(client, url, AttributeNames=[name])["Attributes"] == {name: longest}


@pytest.mark.known_difference(moto="accepts it")
@pytest.mark.parametrize("wrong", ["", "a b"], ids=["empty", "space"])
def test_invalid_group_ids_are_refused_on_a_standard_queue(
    client: Any, make_queue: MakeQueue, wrong: str
) -> None:
    with refused("InvalidParameterValue", "MessageGroupId can only include alphanumeric"):
        client.send_message(QueueUrl=make_queue(), MessageBody="x", MessageGroupId=wrong)


ORDER: list[tuple[dict[str, Any], str]] = [
    ({"MessageBody": ""}, "parameter MessageBody."),
    ({"MessageBody": "\x00" * 1025}, "must be shorter than 1024 bytes"),
    ({"MessageBody": "\x00"}, "Invalid characters found."),
    ({"MessageAttributes": {"a b": {"DataType": "String", "StringValue": "x"}}}, "name can only"),
    ({"DelaySeconds": 901}, "for parameter DelaySeconds"),
    ({"MessageGroupId": "a b"}, "for parameter MessageGroupId"),
    ({}, "parameter MessageGroupId."),  # the deduplication id is missing, too
]


@pytest.mark.known_difference(
    moto={"checks in another order": ["0", "1", "2", "3", "4", "5"]},
    elasticmq={"checks in another order": ["1", "2", "3", "4", "5"]},
)
@pytest.mark.parametrize("number", range(len(ORDER)))
def test_the_first_error_is_reported(client: Any, make_queue: MakeQueue, number: int) -> None:
    """Each message also has all the errors that come later in ``ORDER``."""
    url = make_queue(fifo=True, MaximumMessageSize="1024")
    options: dict[str, Any] = {"MessageBody": "x"}
    for mistake, _ in reversed(ORDER[number:]):
        options |= mistake
    with pytest.raises(ClientError) as caught:
        client.send_message(QueueUrl=url, **options)
    assert ORDER[number][1] in caught.value.response["Error"]["Message"]
