"""Sizes, characters and numbers beyond what SQS takes are refused, in SQS's words."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import refused, take_one

MakeQueue = Callable[..., str]


@pytest.mark.known_difference(moto="takes an empty body", elasticmq="has codes of its own")
def test_an_empty_body_is_a_missing_parameter(client: Any, make_queue: MakeQueue) -> None:
    with refused("MissingParameter", "The request must contain the parameter MessageBody."):
        client.send_message(QueueUrl=make_queue(), MessageBody="")


@pytest.mark.known_difference(elasticmq="knows no limit of the queue")
def test_a_message_of_exactly_the_limit_is_taken(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(QueueUrl=url, MessageBody="x" * 1024)
    with refused("InvalidParameterValue", "Reason: Message must be shorter than 1024 bytes."):
        client.send_message(QueueUrl=url, MessageBody="x" * 1025)


@pytest.mark.known_difference(elasticmq="has the limit of 256 KiB")
def test_the_default_limit_is_one_mebibyte(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.send_message(QueueUrl=url, MessageBody="x" * 1_048_576)
    with refused(
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    ):
        client.send_message(QueueUrl=url, MessageBody="x" * 1_048_577)


@pytest.mark.known_difference(moto="counts characters", elasticmq="knows no limit of the queue")
def test_bytes_are_counted_not_characters(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(QueueUrl=url, MessageBody="ü" * 512)
    with refused("InvalidParameterValue"):
        client.send_message(QueueUrl=url, MessageBody="ü" * 513)


@pytest.mark.known_difference(moto="counts the body alone", elasticmq="knows no limit of the queue")
def test_attributes_count_with_name_type_and_value(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    attributes = {"k": {"DataType": "String", "StringValue": "x"}}
    client.send_message(QueueUrl=url, MessageBody="x" * 1016, MessageAttributes=attributes)
    with refused("InvalidParameterValue"):
        client.send_message(QueueUrl=url, MessageBody="x" * 1017, MessageAttributes=attributes)


@pytest.mark.known_difference(moto="takes any character", elasticmq="has codes of its own")
def test_characters_outside_xml_are_refused(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for text in ("\x00", "a\x1fb", "\ufffe", "\uffff", "\x0b"):
        with refused("InvalidMessageContents"):
            client.send_message(QueueUrl=url, MessageBody=text)
    for text in ("\t\n\r", "\ud7ff\ue000\ufffd", "\U0001f600\U0010ffff"):
        client.send_message(QueueUrl=url, MessageBody=text)


@pytest.mark.known_difference(moto="has texts of its own", elasticmq="has codes of its own")
def test_a_receive_has_bounds(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    for count in (0, 11):
        with refused(
            "InvalidParameterValue",
            f"Value {count} for parameter MaxNumberOfMessages is invalid. "
            "Reason: Must be between 1 and 10, if provided.",
        ):
            client.receive_message(QueueUrl=url, MaxNumberOfMessages=count)
    for seconds in (-1, 21):
        with refused(
            "InvalidParameterValue",
            f"Value {seconds} for parameter WaitTimeSeconds is invalid. "
            "Reason: Must be >= 0 and <= 20, if provided.",
        ):
            client.receive_message(QueueUrl=url, WaitTimeSeconds=seconds)


@pytest.mark.known_difference(moto="takes any number", elasticmq="has codes of its own")
def test_ten_message_attributes_are_the_most(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    attributes = {f"k{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    with refused("InvalidParameterValue", "Number of message attributes [11] exceeds"):
        client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)


@pytest.mark.known_difference(moto="refuses accented letters", elasticmq="takes any name")
def test_names_of_message_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()

    def attempt(name: str) -> None:
        attributes = {name: {"DataType": "String", "StringValue": "x"}}
        client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)

    for name in ("a-b_c.d", "øßä", "9", "x" * 256):
        attempt(name)
    for name in ("a b", "a!", 'a"', "(a", "a?", "§", "AWS.x", "aws.x", "Amazon.x", ".a", "a."):
        with refused("InvalidParameterValue"):
            attempt(name)
    for name in ("a..b", "x" * 257):
        with refused("InvalidParameterValue"):
            attempt(name)


@pytest.mark.known_difference(moto="takes any value", elasticmq="has codes of its own")
def test_types_and_values_of_message_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()

    def attempt(**value: object) -> None:
        client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes={"k": value})

    with refused("InvalidParameterValue", "has an invalid message attribute type"):
        attempt(DataType="Text", StringValue="x")
    with refused("InvalidParameterValue", "must contain a non-empty value of type 'String'."):
        attempt(DataType="String", StringValue="")
    with refused("InvalidParameterValue", "must contain a non-empty value of type 'Binary'."):
        attempt(DataType="Binary", BinaryValue=b"")
    with refused("InvalidParameterValue"):
        attempt(DataType="String", StringValue="\x00")
    with refused("InvalidParameterValue"):
        attempt(DataType="Number", StringValue="one")
    with refused("InvalidParameterValue"):
        attempt(DataType="Number", StringValue="1" * 39)
    attempt(DataType="Number", StringValue="-1.5e3")
    attempt(DataType="String.json", StringValue="{}")


def test_a_type_and_a_label_are_kept(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    attributes = {"k": {"DataType": "String.json", "StringValue": "{}"}}
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(moto="takes any name", elasticmq="takes any name")
def test_only_the_trace_header_is_a_system_attribute(client: Any, make_queue: MakeQueue) -> None:
    attributes = {"Other": {"DataType": "String", "StringValue": "x"}}
    with refused("InvalidParameterValue"):
        client.send_message(
            QueueUrl=make_queue(), MessageBody="x", MessageSystemAttributes=attributes
        )


@pytest.mark.known_difference(moto="takes any group", elasticmq="has codes of its own")
def test_group_ids_are_printable_without_blanks(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g!\"#$%&'()*+,-./:;<=>?@[]")
    for group in ("a b", "ä", "x" * 129):
        with refused(
            "InvalidParameterValue",
            f"Value {group} for parameter MessageGroupId is invalid. Reason: MessageGroupId can"
            " only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ):
            client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId=group)
    with refused("InvalidParameterValue", "Value  for parameter MessageGroupId is invalid."):
        client.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="")
