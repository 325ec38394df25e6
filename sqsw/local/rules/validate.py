"""Reads and checks the parameters of a call.

Nothing here trusts its input: with a plain HTTP client, any member can be missing or have any type.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sqsw.local.errors import (
    BatchEntryIdsNotDistinct,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValueException,
    MissingRequiredParameterException,
    SerializationException,
    TooManyEntriesInBatchRequest,
)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
#: the most bytes in a batch: bodies and message attributes together
MAX_BATCH_BYTES: Final = 1_048_576
#: the most entries in a batch, and messages in a receive
MAX_BATCH_ENTRIES: Final = 10
#: the longest delay of a message, in seconds
MAX_DELAY_SECONDS: Final = 900
#: the longest time that a message can stay hidden after its receive, in seconds
MAX_VISIBILITY_SECONDS: Final = 43_200
#: the longest wait of a receive, in seconds
MAX_WAIT_SECONDS: Final = 20
#: the most levels of nested lists and objects, in a request or a policy
MAX_NESTING: Final = 100

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_PRINTABLE_ID = re.compile(r"[!-~]{1,128}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORBIDDEN_TEXT = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF |"
    " #xE000 to #xFFFD | #x10000 to #x10FFFF"
)


def read_json_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the members of a JSON object; None if the text is anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # Python's nesting limit depends on the current stack depth, so a deeper object could be read
    # here and then fail to be written.
    return values if isinstance(values, dict) and not _is_too_deep(text, values) else None


def _is_too_deep(text: str | bytes, values: dict[str, Any]) -> bool:
    if _brackets(text) <= MAX_NESTING:
        return False
    level: list[Any] = [values]
    for _ in range(MAX_NESTING):
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _brackets(text: str | bytes) -> int:
    if isinstance(text, bytes):
        return text.count(b"[") + text.count(b"{")
    return text.count("[") + text.count("{")


class Params:
    """The members of a request, and the region and origin that it was sent to.

    Parameters
    ----------
    values :
        The members by their names in the model; blobs are bytes.
    region :
        The region of the call.
    origin :
        The scheme and host that the caller used. Queue URLs start with it.
    """

    __slots__ = ("origin", "region", "values")

    def __init__(self, values: Mapping[str, Any], region: str, origin: str) -> None:
        self.values, self.region, self.origin = values, region, origin

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return None if value is None else _text(value, name)

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise MissingRequiredParameterException(name)
        return value

    def raw_text(self, name: str) -> str:
        """Return a text whose characters the caller checks; empty if it is missing."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise _wrong_type(name, "a string", value)
        return value

    def integer(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value)  # the query protocol sends numbers as text
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 63:
            raise _wrong_type(name, "a 64-bit integer", value)
        return value

    def texts(self, name: str) -> list[str]:
        return [_text(value, name) for value in self.items(name)]

    def items(self, name: str) -> list[Any]:
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise _wrong_type(name, "a list", value)
        return list(value)

    def members(self, name: str) -> Mapping[str, Any]:
        """Return a map or a structure; empty if it is missing."""
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise _wrong_type(name, "a map", value)
        for key in value:
            _text(key, name)
        return value

    def text_map(self, name: str) -> dict[str, str]:
        return {key: _text(value, name) for key, value in self.members(name).items()}

    def inside(self, values: Mapping[str, Any]) -> "Params":
        return Params(values, self.region, self.origin)


def batch_entries(params: Params, kind: str) -> list[tuple[str, Params]]:
    items = params.items("Entries")
    if not items:
        raise EmptyBatchRequest(f"There should be at least one {kind} in the request.")
    if len(items) > MAX_BATCH_ENTRIES:
        raise TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {MAX_BATCH_ENTRIES}."
            f" You have sent {len(items)}."
        )
    entries = []
    for item in items:
        if type(item) is not dict and not isinstance(item, Mapping):  # the first check is faster
            raise _wrong_type("Entries", "a list of structures", item)
        entry = params.inside(item)
        entries.append((entry.required_text("Id"), entry))
    ids = [entry_id for entry_id, _ in entries]
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        raise InvalidBatchEntryId
    if len(set(ids)) < len(ids):
        repeated = next(entry_id for index, entry_id in enumerate(ids) if entry_id in ids[:index])
        raise BatchEntryIdsNotDistinct(f"Id {repeated} repeated.")
    return entries


def check_characters(body: str) -> None:
    if not is_valid_text(body):
        raise InvalidMessageContents(_FORBIDDEN_TEXT)


def is_valid_text(text: str) -> bool:
    """Return whether SQS accepts these characters in a body or an attribute value."""
    # For most texts, the first two checks are enough, and ten times faster than the pattern.
    return (text.isascii() and text.isprintable()) or _FORBIDDEN.search(text) is None


def text_in_json(value: object) -> str | None:
    """Return the value if it is a valid text; None if not.

    Escapes in JSON can be unpaired surrogates.
    """
    return value if isinstance(value, str) and is_valid_text(value) else None


def check_printable_id(name: str, value: str) -> None:
    """Check a group, deduplication, or receive attempt id: printable ASCII without spaces."""
    if not _PRINTABLE_ID.fullmatch(value):
        raise invalid_value(
            name,
            value,
            f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )


def check_range(params: Params, name: str, low: int, high: int, reason: str) -> int | None:
    """Return an integer within bounds; None if it is missing."""
    value = params.integer(name)
    if value is not None and not low <= value <= high:
        raise invalid_value(name, value, reason)
    return value


def invalid_value(name: str, value: object, reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value {value} for parameter {name} is invalid. Reason: {reason}"
    )


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "a string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidParameterValueException(
                f"The parameter {name} contains an unpaired surrogate, which is not a character."
            ) from None
    return value


def _wrong_type(name: str, expected: str, value: object) -> SerializationException:
    return SerializationException(f"{name} must be {expected}, not {type(value).__name__}.")
