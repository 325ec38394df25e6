"""MD5 digests of bodies and attributes, compared with recorded ones."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import take_one

MakeQueue = Callable[..., str]


def texts(**values: str) -> dict[str, Any]:
    return {
        name.replace("__", "."): {"DataType": "String", "StringValue": value}
        for name, value in values.items()
    }


TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
PAIRS: dict[str, dict[str, Any]] = {
    "a45daa70926828a2f0a1db3418e6feb4": texts(k="x"),
    "ae7155c6026991b6d54b11589678bf9c": texts(Foo="Bar"),
    "4c360f3fdafd970e05fae2f149d997f5": texts(Help__Me="Me", Hello="There", General="Kenobi"),
    "fca026605781cb4126a1e9044df24232": texts(General="Kenobi", Hello="There"),
    "a311262e065454b75da111d535b8dacd": texts(Hello="There"),
    "83fee93c1bcd8b9a5a923ffacdc636c7": texts(Hello="There", Help__Me="Me"),
    "235c5c510d26fb653d073faed50ae77c": {
        "timestamp": {"DataType": "Number", "StringValue": "1493147359900"}
    },
}


@pytest.mark.parametrize("body", ["message", "zwei\tZeilen\r\nund ein Ü 😀"], ids=["plain", "odd"])
def test_the_digest_of_a_body_is_the_recorded_one(
    client: Any, make_queue: MakeQueue, body: str
) -> None:
    url = make_queue()
    digest = hashlib.md5(body.encode()).hexdigest()
    assert client.send_message(QueueUrl=url, MessageBody=body)["MD5OfMessageBody"] == digest
    assert take_one(client, url)["MD5OfBody"] == digest


@pytest.mark.parametrize("digest", PAIRS)
def test_the_digest_of_attributes_is_the_recorded_one(
    client: Any, make_queue: MakeQueue, digest: str
) -> None:
    url = make_queue()
    answer = client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=PAIRS[digest])
    assert answer["MD5OfMessageAttributes"] == digest
    message = take_one(client, url, MessageAttributeNames=["All"])
    assert message["MD5OfMessageAttributes"] == digest


def test_binary_values_have_their_own_type_byte(client: Any, make_queue: MakeQueue) -> None:
    """In AWS's algorithm, the byte before a binary value is 2 instead of 1."""
    url = make_queue()
    attributes = {"k": {"DataType": "Binary.x", "BinaryValue": b"\xff"}}
    recipe = b"\0\0\0\x01k\0\0\0\x08Binary.x\x02\0\0\0\x01\xff"
    answer = client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    assert answer["MD5OfMessageAttributes"] == hashlib.md5(recipe).hexdigest()


@pytest.mark.known_difference(
    moto="returns no digest for them", elasticmq="returns no digest for them"
)
def test_system_attributes_have_a_separate_digest(client: Any, make_queue: MakeQueue) -> None:
    answer = client.send_message(
        QueueUrl=make_queue(),
        MessageBody="message",
        MessageAttributes=texts(Foo="Bar"),
        MessageSystemAttributes=texts(AWSTraceHeader=TRACE),
    )
    assert answer["MD5OfMessageBody"] == "78e731027d8fd50ed642340b7c9a63b3"
    assert answer["MD5OfMessageAttributes"] == "ae7155c6026991b6d54b11589678bf9c"
    assert answer["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
