"""Message attributes: checks, sizes, and stored form.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

import base64
import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqsw.local.errors import InvalidParameterValueException, SerializationException
from sqsw.local.rules.digests import AttributeValue
from sqsw.local.rules.validate import Params, is_valid_text

MessageAttributes = dict[str, AttributeValue]

#: the most attributes of a message
MAX_ATTRIBUTES: Final = 10
#: the most digits of a value of type Number
_MAX_DIGITS: Final = 38

# SQS accepts letters beyond ASCII, but no other characters beyond it.
_NAME = re.compile(r"[\w.-]{1,256}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_TYPE = re.compile(r"(String|Number|Binary)(\..*)?", re.DOTALL)
_LOWEST, _HIGHEST = Decimal("-1e128"), Decimal("1e126")


def read_attributes(params: Params, name: str = "MessageAttributes") -> MessageAttributes:
    members = params.members(name)
    if not members:
        return {}
    if len(members) > MAX_ATTRIBUTES:
        raise InvalidParameterValueException(
            f"Number of message attributes [{len(members)}] exceeds the allowed maximum"
            f" [{MAX_ATTRIBUTES}]."
        )
    return {key: _read(key, value, params) for key, value in members.items()}


def read_trace_header(params: Params) -> str | None:
    """Return the tracing header, which is the only system attribute that a sender can set."""
    trace = None
    for name, value in params.members("MessageSystemAttributes").items():
        if name != "AWSTraceHeader":
            raise InvalidParameterValueException(
                f"Message system attribute name '{name}' is invalid."
            )
        attribute = _read_value(name, value, params)
        if attribute.data_type != "String" or not isinstance(attribute.value, str):
            raise InvalidParameterValueException(
                f"Message system attribute '{name}' must be of type 'String'."
            )
        trace = attribute.value
    return trace


def size_of(attributes: MessageAttributes) -> int:
    """Return the bytes that the attributes add to the size of a message."""
    size = 0
    for name, (data_type, value) in attributes.items():
        size += len(name.encode()) + len(data_type.encode())
        size += len(value if isinstance(value, bytes) else value.encode())
    return size


def to_json(attributes: MessageAttributes) -> str | None:
    if not attributes:
        return None
    return json.dumps(
        {
            name: [data_type, value]
            if isinstance(value, str)
            else [data_type, base64.b64encode(value).decode(), "base64"]
            for name, (data_type, value) in attributes.items()
        }
    )


def from_json(text: str | None) -> MessageAttributes:
    if text is None:
        return {}
    return {
        name: AttributeValue(data_type, base64.b64decode(value) if encoding else value)
        for name, (data_type, value, *encoding) in json.loads(text).items()
    }


def select(attributes: MessageAttributes, wanted: list[str]) -> MessageAttributes:
    """Return the attributes that a receive asks for: names, prefixes with ``.*``, or ``All``."""
    if not wanted or not attributes:
        return {}
    if any(name in ("All", "*", ".*") for name in wanted):
        return attributes
    beginnings = tuple(name[:-2] for name in wanted if name.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in wanted or name.startswith(beginnings)
    }


def shown(attributes: MessageAttributes) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "BinaryValue" if isinstance(value, bytes) else "StringValue": value,
            "DataType": data_type,
        }
        for name, (data_type, value) in attributes.items()
    }


def _read(name: str, value: object, params: Params) -> AttributeValue:
    if not _NAME.fullmatch(name):
        raise InvalidParameterValueException(
            "Message (user) attributes name can only contain upper and lower score characters,"
            " digits, periods, hyphens and underscores. "
        )
    lowered = name.lower()
    if lowered.startswith(("aws.", "amazon.", ".")) or name.endswith(".") or ".." in name:
        raise InvalidParameterValueException(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These"
            " strings are reserved for internal use. Additionally, they cannot start or end"
            " with '.'."
        )
    return _read_value(name, value, params)


def _read_value(name: str, value: object, params: Params) -> AttributeValue:
    if not isinstance(value, Mapping):
        raise SerializationException(f"The attribute {name} must be a structure.")
    inside = params.inside(value)
    if inside.items("StringListValues") or inside.items("BinaryListValues"):
        raise InvalidParameterValueException(
            "Message attribute list values in SendMessage operation are not supported."
        )
    data_type = inside.text("DataType") or ""
    match = _TYPE.fullmatch(data_type)
    if not match or len(data_type) > 256:
        raise InvalidParameterValueException(
            f"The message attribute '{name}' has an invalid message attribute type, the set of"
            " supported type prefixes is Binary, Number, and String."
        )
    if match[1] == "Binary":
        return AttributeValue(data_type, _read_binary(name, value))
    text = inside.raw_text("StringValue")
    if not text:
        raise _empty(name, match[1])
    if not is_valid_text(text):
        raise InvalidParameterValueException(
            f"Message (user) attribute '{name}' value contains invalid characters."
        )
    if match[1] == "Number" and not _is_number(text):
        raise InvalidParameterValueException(
            f"Can't cast the value of message (user) attribute '{name}' to a number."
        )
    return AttributeValue(data_type, text)


def _read_binary(name: str, value: Mapping[str, object]) -> bytes:
    data = value.get("BinaryValue")
    if data is None or data in (b"", ""):
        raise _empty(name, "Binary")
    if not isinstance(data, bytes | bytearray):
        raise SerializationException(f"BinaryValue of the attribute {name} must be binary.")
    return bytes(data)


def _empty(name: str, kind: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
    )


def _is_number(text: str) -> bool:
    if not _NUMBER.fullmatch(text):
        return False
    mantissa = re.split("[eE]", text)[0].lstrip("+-").replace(".", "")
    if len(mantissa.strip("0")) > _MAX_DIGITS:
        return False
    try:
        return _LOWEST <= Decimal(text) <= _HIGHEST
    except InvalidOperation:
        return False
