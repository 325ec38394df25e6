"""The MD5 digests that let clients verify messages.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple


class AttributeValue(NamedTuple):
    """The value of a message attribute; bytes if its type is ``Binary``."""

    data_type: str
    value: str | bytes


def md5_of_body(body: str) -> str:
    return _md5(body.encode())


def md5_of_attributes(attributes: Mapping[str, AttributeValue]) -> str:
    """Return the digest of these attributes, which can be only some of the message's."""
    parts: list[bytes] = []
    for name, value in sorted((name.encode(), value) for name, value in attributes.items()):
        parts += _with_length(name)
        parts += _with_length(value.data_type.encode())
        if isinstance(value.value, bytes):
            parts.append(b"\x02")
            parts += _with_length(value.value)
        else:
            parts.append(b"\x01")
            parts += _with_length(value.value.encode())
    return _md5(b"".join(parts))


def _with_length(data: bytes) -> tuple[bytes, bytes]:
    return len(data).to_bytes(4, "big"), data


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
