"""The digests are equal to those of SQS for the same content."""

import pytest

from sqsw.local.rules.digests import AttributeValue, md5_of_attributes, md5_of_body

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def test_the_digest_of_a_body_is_that_of_sqs() -> None:
    assert md5_of_body("message") == "78e731027d8fd50ed642340b7c9a63b3"


@pytest.mark.parametrize(
    ("values", "digest"),
    [
        ({"k": "x"}, "a45daa70926828a2f0a1db3418e6feb4"),
        ({"Foo": "Bar"}, "ae7155c6026991b6d54b11589678bf9c"),
        (
            {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"},
            "4c360f3fdafd970e05fae2f149d997f5",
        ),
        ({"General": "Kenobi", "Hello": "There"}, "fca026605781cb4126a1e9044df24232"),
        ({"Hello": "There"}, "a311262e065454b75da111d535b8dacd"),
        ({"Hello": "There", "Help.Me": "Me"}, "83fee93c1bcd8b9a5a923ffacdc636c7"),
        ({"AWSTraceHeader": TRACE}, "5ae4d5d7636402d80f4eb6d213245a88"),
    ],
)
def test_the_digest_of_attributes_is_that_of_sqs(values: dict[str, str], digest: str) -> None:
    attributes = {name: AttributeValue("String", value) for name, value in values.items()}
    assert md5_of_attributes(attributes) == digest


def test_the_digest_of_a_number_is_that_of_sqs() -> None:
    attributes = {"timestamp": AttributeValue("Number", "1493147359900")}
    assert md5_of_attributes(attributes) == "235c5c510d26fb653d073faed50ae77c"


def test_bytes_and_equal_text_have_different_digests() -> None:
    as_bytes = md5_of_attributes({"k": AttributeValue("Binary", b"x")})
    assert as_bytes != md5_of_attributes({"k": AttributeValue("Binary", "x")})
