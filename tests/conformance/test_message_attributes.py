"""Message attributes: names, types, values, and sizes, and which of them a receive returns."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import refused, send, take_one

MakeQueue = Callable[..., str]

THREE = {
    "General": {"DataType": "String", "StringValue": "Kenobi"},
    "Hello": {"DataType": "String", "StringValue": "There"},
    "Help.Me": {"DataType": "String", "StringValue": "Me"},
}
TEXT = {"DataType": "String", "StringValue": "x"}


def attempt(client: Any, url: str, attributes: dict[str, Any], body: str = "x") -> None:
    client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)


# -- valid and invalid attributes -------------------------------------------------------------


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error codes")
def test_a_message_has_at_most_ten_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    attempt(client, url, {f"k{n}": TEXT for n in range(10)})
    with refused(
        "InvalidParameterValue",
        "Number of message attributes [11] exceeds the allowed maximum [10].",
    ):
        attempt(client, url, {f"k{n}": TEXT for n in range(11)})


@pytest.mark.known_difference(moto={"refuses accented letters": ["accents"]})
@pytest.mark.parametrize(
    "name", ["a-b_c.d", "øßä", "9", "x" * 256], ids=["signs", "accents", "digit", "long"]
)
def test_valid_names_are_accepted(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue()
    attempt(client, url, {name: TEXT})
    assert take_one(client, url, MessageAttributeNames=[name])["MessageAttributes"] == {name: TEXT}


@pytest.mark.known_difference(
    moto="accepts it, or uses different error texts", elasticmq="accepts it"
)
@pytest.mark.parametrize("name", ["a b", "a!", 'a"', "(a", "a?", "§", "x" * 257])
def test_invalid_names_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "Message (user) attributes name can only contain upper and lower score characters, digits,"
        " periods, hyphens and underscores. ",
    ):
        attempt(client, make_queue(), {name: TEXT})


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("name", ["AWS.x", "aws.x", "Amazon.x", "aMAZON.x", ".a", "a.", "a..b"])
def test_reserved_names_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings"
        " are reserved for internal use. Additionally, they cannot start or end with '.'.",
    ):
        attempt(client, make_queue(), {name: TEXT})


@pytest.mark.known_difference(
    moto={"uses different error texts": [""], "accepts it": ["kind4"]},
    elasticmq="accepts it, or uses different error texts",
)
@pytest.mark.parametrize("kind", ["Text", "string", "Strings", "", "String" + "." + "x" * 250])
def test_invalid_types_are_refused(client: Any, make_queue: MakeQueue, kind: str) -> None:
    with refused(
        "InvalidParameterValue",
        "The message attribute 'k' has an invalid message attribute type, the set of supported"
        " type prefixes is Binary, Number, and String.",
    ):
        attempt(client, make_queue(), {"k": {"DataType": kind, "StringValue": "x"}})


@pytest.mark.parametrize("kind", ["String.json", "Number.int", "String." + "x" * 249])
def test_a_custom_type_label_is_kept(client: Any, make_queue: MakeQueue, kind: str) -> None:
    url, attributes = make_queue(), {"k": {"DataType": kind, "StringValue": "1"}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(
    moto="accepts it", elasticmq="accepts it, or uses different error codes"
)
@pytest.mark.parametrize("kind", ["String", "Number", "Binary"])
def test_empty_values_are_refused(client: Any, make_queue: MakeQueue, kind: str) -> None:
    value = {"BinaryValue": b""} if kind == "Binary" else {"StringValue": ""}
    with refused(
        "InvalidParameterValue",
        f"Message (user) attribute 'k' must contain a non-empty value of type '{kind}'.",
    ):
        attempt(client, make_queue(), {"k": {"DataType": kind, **value}})


@pytest.mark.known_difference(moto="accepts it", elasticmq="uses different error codes")
@pytest.mark.parametrize("text", ["\x00", "a\x1fb", "\uffff"])
def test_invalid_characters_in_a_value_are_refused(
    client: Any, make_queue: MakeQueue, text: str
) -> None:
    """The error differs from the one for the same characters in a body."""
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {"DataType": "String", "StringValue": text}})


@pytest.mark.parametrize("text", ["-1.5e3", "0", "1" * 38, "1E126", "-1e128"])
def test_a_number_is_returned_exactly_as_sent(
    client: Any, make_queue: MakeQueue, text: str
) -> None:
    url, attributes = make_queue(), {"k": {"DataType": "Number", "StringValue": text}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(
    moto="accepts it", elasticmq="accepts it, or uses different error codes"
)
@pytest.mark.parametrize(
    "text",
    ["one", "1" * 39, "1e127", "-1e129", "NaN", "1_000"],
    ids=["word", "39 digits", "too high", "too low", "NaN", "underscore"],
)
def test_invalid_numbers_are_refused(client: Any, make_queue: MakeQueue, text: str) -> None:
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {"DataType": "Number", "StringValue": text}})


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
@pytest.mark.parametrize("name", ["StringListValues", "BinaryListValues"])
def test_lists_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    item = "x" if name.startswith("String") else b"x"
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {**TEXT, name: [item]}})


# -- size ------------------------------------------------------------------------------------


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_the_size_counts_name_type_and_value(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    attempt(client, url, {"k": TEXT}, "x" * 1016)
    with refused("InvalidParameterValue"):
        attempt(client, url, {"k": TEXT}, "x" * 1017)


@pytest.mark.known_difference(moto="accepts it", elasticmq="accepts it")
def test_the_size_counts_raw_bytes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    attributes = {"k": {"DataType": "Binary", "BinaryValue": b"x" * 1016}}
    attempt(client, url, attributes, "x")
    with refused("InvalidParameterValue"):
        attempt(client, url, attributes, "xx")


def test_the_size_does_not_count_system_attributes(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(
        QueueUrl=url,
        MessageBody="x" * 1024,
        MessageSystemAttributes={"AWSTraceHeader": {**TEXT, "StringValue": "Root=1"}},
    )
    assert take_one(client, url, AttributeNames=["AWSTraceHeader"])["Attributes"]


# -- which attributes a receive returns --------------------------------------------------------


def test_bytes_are_received_unchanged(client: Any, make_queue: MakeQueue) -> None:
    url, attributes = make_queue(), {"k": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


def test_without_requested_names_there_are_no_attributes(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    attempt(client, url, THREE)
    assert take_one(client, url).keys() == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


PICKS: dict[str, tuple[list[str], str]] = {
    "All": (["General", "Hello", "Help.Me"], "4c360f3fdafd970e05fae2f149d997f5"),
    ".*": (["General", "Hello", "Help.Me"], "4c360f3fdafd970e05fae2f149d997f5"),
    "*": (["General", "Hello", "Help.Me"], "4c360f3fdafd970e05fae2f149d997f5"),
    "General Hello": (["General", "Hello"], "fca026605781cb4126a1e9044df24232"),
    "Hello": (["Hello"], "a311262e065454b75da111d535b8dacd"),
    "Hello Help.Me": (["Hello", "Help.Me"], "83fee93c1bcd8b9a5a923ffacdc636c7"),
    "Hel.*": (["Hello", "Help.Me"], "83fee93c1bcd8b9a5a923ffacdc636c7"),
    "Hello Nothing": (["Hello"], "a311262e065454b75da111d535b8dacd"),
}


@pytest.mark.known_difference(
    moto={"treats the asterisk as a name": ["*"]},
    elasticmq={"does not support prefixes": ["*", "Hel.*"]},
)
@pytest.mark.parametrize("wanted", PICKS)
def test_the_digest_covers_only_selected_attributes(
    client: Any, make_queue: MakeQueue, wanted: str
) -> None:
    url = make_queue()
    attempt(client, url, THREE)
    names, digest = PICKS[wanted]
    message = take_one(client, url, MessageAttributeNames=wanted.split())
    assert message["MessageAttributes"] == {name: THREE[name] for name in names}
    assert message["MD5OfMessageAttributes"] == digest


@pytest.mark.parametrize("wanted", ["hello", "Gen", "AWS.", "..foo", "Nothing.*"])
def test_without_a_match_there_are_no_attributes(
    client: Any, make_queue: MakeQueue, wanted: str
) -> None:
    url = make_queue()
    attempt(client, url, THREE)
    message = take_one(client, url, MessageAttributeNames=[wanted])
    assert "MessageAttributes" not in message
    assert "MD5OfMessageAttributes" not in message


def test_a_message_without_attributes_returns_none(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    assert "MessageAttributes" not in take_one(client, url, MessageAttributeNames=["All"])
