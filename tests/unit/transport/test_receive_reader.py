"""What a receive brings is the same, whoever reads it."""

from typing import Any

import pytest

from sqsw.core.errors import SQSError
from sqsw.transport import receive_reader


def read(body: bytes, status: int = 200) -> tuple[bytes, dict[str, Any]]:
    """What is left for botocore, and what was read."""
    response: dict[str, Any] = {"status_code": status, "headers": {}, "body": body}
    found: dict[str, Any] = {}
    receive_reader._read(response_dict=response, customized_response_dict=found, context={})
    return response["body"], found


def test_plain_json_is_read_here() -> None:
    body = b'{"Messages":[{"Body":"Gr\\u00fc\\u00dfe"}]}'
    assert read(body) == (b"{}", {"Messages": [{"Body": "Grüße"}]})


@pytest.mark.parametrize("body", [b'{"Messages":[', b'{"Messages":' + b"[" * 100_000])
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(SQSError, match="cannot read an answer of SQS"):
        read(body)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"__type":"QueueDoesNotExist"}', 400),
        (b"<ReceiveMessageResponse/>", 200),
        (b'{"Messages":[{"MessageAttributes":{"a":{"BinaryValue":"AAEC"}}}]}', 200),
        (b"", 200),
    ],
)
def test_all_else_is_botocore_s_business(body: bytes, status: int) -> None:
    assert read(body, status) == (body, {})
