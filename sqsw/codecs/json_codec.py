"""The default codec. It rejects values without a JSON form when a job is sent."""

import json
from enum import Enum
from typing import Any

from sqsw.core.errors import MessageRefused

_ENCODER = json.JSONEncoder(allow_nan=False)
_UNESCAPED = json.JSONEncoder(allow_nan=False, ensure_ascii=False)

#: types without nested values; most job arguments have one of them
_PLAIN = frozenset({str, int, float, bool, type(None)})


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"the number {text[:20]} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _decode(text: str) -> Any:
    # decode() also skips white space, which takes longer than parsing a short text.
    try:
        value, end = _DECODER.raw_decode(text)
    except ValueError:
        end = -1
    return value if end == len(text) else _DECODER.decode(text)


class JSONCodec:
    """A codec for plain JSON, in ASCII because SQS refuses some other characters.

    The methods can also be called on the class. A tuple arrives as a list.
    """

    @staticmethod
    def serialize(message: dict[str, Any]) -> str:
        """Return the JSON text.

        Raises
        ------
        MessageRefused
            A value would not arrive unchanged: a datetime, a set, bytes, NaN, an unpaired
            surrogate, a key that is not a string, an enum member, a named tuple, or another
            instance of a subclass of a plain type. The error names the value.
        """
        try:
            if not message:  # as the context of most jobs
                return "{}"
            _refuse_changed(message)
            # Keep json's default spaces, like sqs-workers, so content-based deduplication sees the
            # same bytes from both.
            text = _ENCODER.encode(message)
            if "\\ud" in text:
                _UNESCAPED.encode(message).encode()
            return text
        except (TypeError, ValueError, RecursionError) as error:
            refused = _first_refused(message, "") or ("", f"cannot be written: {error}", None)
            path, reason, instead = refused
            raise MessageRefused(
                f"argument {path!r} {reason}" if path else f"the dictionary of arguments {reason}",
                why="the job is sent as json, which only has strings, numbers, true, false, null, "
                "lists and objects",
                next=instead or "send it as text (isoformat(), base64 …), or use another codec",
            ) from error

    @staticmethod
    def deserialize(serialized: str) -> Any:
        """Return the value of a JSON text.

        Raises
        ------
        ValueError, RecursionError
            The text is not JSON, is nested too deeply, or contains a value that ``serialize``
            rejects: NaN, an infinity or an unpaired surrogate.
        """
        if serialized == "{}":  # most job contexts
            return {}
        value = _decode(serialized)
        if not serialized.isascii():
            serialized.encode()
        if "\\ud" in serialized or "\\uD" in serialized:
            _UNESCAPED.encode(value).encode()
        return value


def _refuse_changed(value: Any) -> None:
    # json would write the key 1 as "1" and an enum member as its value, so the job would get other
    # values.
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError("a key is not a string")
            if type(item) not in _PLAIN:
                _refuse_changed(item)
    elif kind is list or kind is tuple:
        for item in value:
            if type(item) not in _PLAIN:
                _refuse_changed(item)
    else:
        raise TypeError("a value is not of a plain type")


#: The path of a value, what is wrong with it, and what to send instead (None for the general
#: advice).
_Refused = tuple[str, str, str | None]


def _first_refused(value: Any, path: str, depth: int = 0) -> _Refused | None:
    """Return the first value without a JSON form, or None."""
    if depth > 100:
        return path, "is nested too deeply (or contains itself)", None
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if reason := _refused_key(key):
                return path, reason, None
            if found := _first_refused(item, f"{path}.{key}" if path else key, depth + 1):
                return found
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            if found := _first_refused(item, f"{path}.{index}", depth + 1):
                return found
    elif kind in _PLAIN:
        reason = _refused_plain(value)
        return None if reason is None else (path, reason, None)
    else:
        return path, *_refused_type(value)
    return None


def _refused_key(key: object) -> str | None:
    if type(key) is str:
        return f"has the key {key!r} with an unpaired surrogate" if _is_half_pair(key) else None
    if isinstance(key, str):
        name = type(key).__name__
        return f"has a key of type {name}, which would arrive as a plain str"
    return f"has the key {key!r}, but JSON keys are strings"


def _refused_plain(value: Any) -> str | None:
    if type(value) is float and value - value != 0:
        return f"is {value}, which has no JSON form"
    if type(value) is str and _is_half_pair(value):
        return "contains an unpaired surrogate, which has no JSON form"
    try:
        repr(value)
    except ValueError:
        return "is a number with too many digits"
    return None


def _is_half_pair(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _refused_type(value: Any) -> tuple[str, str | None]:
    name = type(value).__name__
    for plain in (str, int, float, dict, list, tuple):
        if isinstance(value, plain):
            instead = f"send {plain.__name__}(value) instead"
            if isinstance(value, Enum):
                instead = "send its .value"
            elif hasattr(value, "_asdict"):
                instead = "send its ._asdict(), or tuple(value)"
            arrives = "list" if plain is tuple else plain.__name__
            return f"is of type {name}, which would arrive as a plain {arrives}", instead
    if isinstance(value, Enum):
        return f"is of type {name}, which has no JSON form", "send its .value"
    return f"is of type {name}, which has no JSON form", None
