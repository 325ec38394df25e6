"""Message attributes: names, types, values and sizes, and which of them a receive answers."""

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


# -- what is taken ---------------------------------------------------------------------------


@pytest.mark.known_difference(moto="takes it", elasticmq="has codes of its own")
def test_ten_are_the_most(client: Any, make_queue: MakeQueue) -> None:
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
def test_a_name_that_is_taken(client: Any, make_queue: MakeQueue, name: str) -> None:
    url = make_queue()
    attempt(client, url, {name: TEXT})
    assert take_one(client, url, MessageAttributeNames=[name])["MessageAttributes"] == {name: TEXT}


@pytest.mark.known_difference(moto="takes it, or has texts of its own", elasticmq="takes it")
@pytest.mark.parametrize("name", ["a b", "a!", 'a"', "(a", "a?", "§", "x" * 257])
def test_a_name_that_is_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "Message (user) attributes name can only contain upper and lower score characters, digits,"
        " periods, hyphens and underscores. ",
    ):
        attempt(client, make_queue(), {name: TEXT})


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
@pytest.mark.parametrize("name", ["AWS.x", "aws.x", "Amazon.x", "aMAZON.x", ".a", "a.", "a..b"])
def test_a_name_that_is_reserved(client: Any, make_queue: MakeQueue, name: str) -> None:
    with refused(
        "InvalidParameterValue",
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings"
        " are reserved for internal use. Additionally, they cannot start or end with '.'.",
    ):
        attempt(client, make_queue(), {name: TEXT})


@pytest.mark.known_difference(
    moto={"has texts of its own": [""], "takes it": ["kind4"]},
    elasticmq="takes it, or has texts of its own",
)
@pytest.mark.parametrize("kind", ["Text", "string", "Strings", "", "String" + "." + "x" * 250])
def test_a_type_that_is_refused(client: Any, make_queue: MakeQueue, kind: str) -> None:
    with refused(
        "InvalidParameterValue",
        "The message attribute 'k' has an invalid message attribute type, the set of supported"
        " type prefixes is Binary, Number, and String.",
    ):
        attempt(client, make_queue(), {"k": {"DataType": kind, "StringValue": "x"}})


@pytest.mark.parametrize("kind", ["String.json", "Number.int", "String." + "x" * 249])
def test_a_label_is_kept(client: Any, make_queue: MakeQueue, kind: str) -> None:
    url, attributes = make_queue(), {"k": {"DataType": kind, "StringValue": "1"}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it, or has codes of its own")
@pytest.mark.parametrize("kind", ["String", "Number", "Binary"])
def test_a_value_is_not_empty(client: Any, make_queue: MakeQueue, kind: str) -> None:
    value = {"BinaryValue": b""} if kind == "Binary" else {"StringValue": ""}
    with refused(
        "InvalidParameterValue",
        f"Message (user) attribute 'k' must contain a non-empty value of type '{kind}'.",
    ):
        attempt(client, make_queue(), {"k": {"DataType": kind, **value}})


@pytest.mark.known_difference(moto="takes it", elasticmq="has codes of its own")
@pytest.mark.parametrize("text", ["\x00", "a\x1fb", "\uffff"])
def test_characters_of_a_value(client: Any, make_queue: MakeQueue, text: str) -> None:
    """The error is not the one for the same characters in a body."""
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {"DataType": "String", "StringValue": text}})


@pytest.mark.parametrize("text", ["-1.5e3", "0", "1" * 38, "1E126", "-1e128"])
def test_a_number_is_given_back_as_it_was_written(
    client: Any, make_queue: MakeQueue, text: str
) -> None:
    url, attributes = make_queue(), {"k": {"DataType": "Number", "StringValue": text}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it, or has codes of its own")
@pytest.mark.parametrize(
    "text",
    ["one", "1" * 39, "1e127", "-1e129", "NaN", "1_000"],
    ids=["word", "39 digits", "too high", "too low", "NaN", "underscore"],
)
def test_what_is_no_number(client: Any, make_queue: MakeQueue, text: str) -> None:
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {"DataType": "Number", "StringValue": text}})


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
@pytest.mark.parametrize("name", ["StringListValues", "BinaryListValues"])
def test_lists_are_refused(client: Any, make_queue: MakeQueue, name: str) -> None:
    item = "x" if name.startswith("String") else b"x"
    with refused("InvalidParameterValue"):
        attempt(client, make_queue(), {"k": {**TEXT, name: [item]}})


# -- their size ------------------------------------------------------------------------------


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_name_type_and_value_count(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    attempt(client, url, {"k": TEXT}, "x" * 1016)
    with refused("InvalidParameterValue"):
        attempt(client, url, {"k": TEXT}, "x" * 1017)


@pytest.mark.known_difference(moto="takes it", elasticmq="takes it")
def test_bytes_count_as_they_are(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    attributes = {"k": {"DataType": "Binary", "BinaryValue": b"x" * 1016}}
    attempt(client, url, attributes, "x")
    with refused("InvalidParameterValue"):
        attempt(client, url, attributes, "xx")


def test_system_attributes_do_not_count(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MaximumMessageSize="1024")
    client.send_message(
        QueueUrl=url,
        MessageBody="x" * 1024,
        MessageSystemAttributes={"AWSTraceHeader": {**TEXT, "StringValue": "Root=1"}},
    )
    assert take_one(client, url, AttributeNames=["AWSTraceHeader"])["Attributes"]


# -- what a receive answers ------------------------------------------------------------------


def test_bytes_come_back_as_they_were(client: Any, make_queue: MakeQueue) -> None:
    url, attributes = make_queue(), {"k": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"}}
    attempt(client, url, attributes)
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == attributes


def test_without_a_name_there_are_none(client: Any, make_queue: MakeQueue) -> None:
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
    moto={"takes the asterisk for a name": ["*"]},
    elasticmq={"knows no beginnings of names": ["*", "Hel.*"]},
)
@pytest.mark.parametrize("wanted", PICKS)
def test_attributes_are_picked_and_the_digest_follows(
    client: Any, make_queue: MakeQueue, wanted: str
) -> None:
    url = make_queue()
    attempt(client, url, THREE)
    names, digest = PICKS[wanted]
    message = take_one(client, url, MessageAttributeNames=wanted.split())
    assert message["MessageAttributes"] == {name: THREE[name] for name in names}
    assert message["MD5OfMessageAttributes"] == digest


@pytest.mark.parametrize("wanted", ["hello", "Gen", "AWS.", "..foo", "Nothing.*"])
def test_no_match_gives_no_attributes(client: Any, make_queue: MakeQueue, wanted: str) -> None:
    url = make_queue()
    attempt(client, url, THREE)
    message = take_one(client, url, MessageAttributeNames=[wanted])
    assert "MessageAttributes" not in message
    assert "MD5OfMessageAttributes" not in message


def test_a_message_without_attributes_shows_none(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    assert "MessageAttributes" not in take_one(client, url, MessageAttributeNames=["All"])
