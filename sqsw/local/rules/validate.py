"""The parameters of one call, read with their checks.

Nothing here trusts its input: behind a plain HTTP client any member may be missing or of any type.
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
#: bytes in one batch: bodies and message attributes together
MAX_BATCH_BYTES: Final = 1_048_576
#: entries in one batch, and messages in one receive
MAX_BATCH_ENTRIES: Final = 10
#: seconds a message can be delayed
MAX_DELAY_SECONDS: Final = 900
#: seconds a message can stay hidden, from its receive
MAX_VISIBILITY_SECONDS: Final = 43_200
#: seconds a receive can wait
MAX_WAIT_SECONDS: Final = 20
#: lists and objects inside each other, in a request or a policy
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
    """The members of a JSON object; None if the text is anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # Deeper ones may not be written again: what Python can nest depends on where it stands.
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
    """The members of a request, and where the request came from.

    Parameters
    ----------
    values :
        The members by their names in the model; blobs are bytes.
    region :
        The region that the call is for.
    origin :
        Scheme and host under which the caller reached us: the beginning of queue URLs.
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
        """A text whose characters the caller checks; empty if it is not given."""
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
            value = int(value)  # forms carry numbers as text
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
        """A map or a structure; empty if it is not given."""
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
        if type(item) is not dict and not isinstance(item, Mapping):  # the first is seen faster
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
    """Whether SQS takes these characters in a body or in the value of an attribute."""
    # The first two look at most texts ten times faster than the pattern does.
    return (text.isascii() and text.isprintable()) or _FORBIDDEN.search(text) is None


def text_in_json(value: object) -> str | None:
    """A text out of JSON, whose escapes can be half of a surrogate pair; None: it is none."""
    return value if isinstance(value, str) and is_valid_text(value) else None


def check_printable_id(name: str, value: str) -> None:
    """Group, deduplication and receive attempt ids: printable ASCII without blanks."""
    if not _PRINTABLE_ID.fullmatch(value):
        raise invalid_value(
            name,
            value,
            f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )


def check_range(params: Params, name: str, low: int, high: int, reason: str) -> int | None:
    """An integer within bounds; None if it is not given."""
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
                f"The parameter {name} holds half of a surrogate pair, which is no character."
            ) from None
    return value


def _wrong_type(name: str, expected: str, value: object) -> SerializationException:
    return SerializationException(f"{name} must be {expected}, not {type(value).__name__}.")
