"""JSON: the default. What it cannot carry is refused in the sender (a tuple arrives as a list)."""

import json
from typing import Any

from sqsw.core.errors import MessageRefused

_ENCODER = json.JSONEncoder(allow_nan=False)
#: types of values that hold no others: most of what jobs are given
_PLAIN = frozenset({str, int, float, bool, type(None)})


class JSONCodec:
    """Plain JSON, in ASCII, so that no character of a job can be one that SQS refuses."""

    def serialize(self, message: dict[str, Any]) -> str:
        """The JSON text.

        Raises
        ------
        MessageRefused
            JSON has no way to write a value (a datetime, a set, bytes, NaN, a key that is no
            string); the error names where it stands.
        """
        try:
            if not message:  # as the context of most jobs
                return "{}"
            _refuse_lossy_keys(message)
            # With json's own spaces, as sqs-workers writes it: a FIFO queue that deduplicates by
            # content sees the same bytes from both.
            return _ENCODER.encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            path, reason = _first_refused(message, "") or ("", str(error))
            raise MessageRefused(
                f"argument {path!r} {reason}" if path else f"the arguments {reason}",
                why="the job is sent as json, which knows strings, numbers, true, false, null, "
                "lists and objects only",
                next="send it as text (isoformat(), base64 …), or choose another codec",
            ) from error

    def deserialize(self, serialized: str) -> Any:
        """What the JSON text says.

        Raises
        ------
        ValueError, RecursionError
            It is no JSON, or nested too deeply.
        """
        # Nothing at all is what most job contexts say.
        return {} if serialized == "{}" else json.loads(serialized)


def _refuse_lossy_keys(value: Any) -> None:
    # json would write the key 1 as "1": the job would get another dictionary than was sent.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r}")
            if type(item) not in _PLAIN:
                _refuse_lossy_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _PLAIN:
                _refuse_lossy_keys(item)


def _first_refused(value: Any, path: str, depth: int = 0) -> tuple[str, str] | None:
    """Where the first value stands that JSON cannot carry, and what is wrong with it."""
    if depth > 100:
        return path, "is nested too deeply (or contains itself)"
    if value is None or isinstance(value, str | int):
        return None
    if isinstance(value, float):
        return (path, f"is {value}, which json cannot carry") if value - value != 0 else None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return path, f"has the key {key!r}, and keys in json are strings"
            found = _first_refused(item, f"{path}.{key}" if path else key, depth + 1)
            if found:
                return found
        return None
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            found = _first_refused(item, f"{path}.{index}", depth + 1)
            if found:
                return found
        return None
    return path, f"is of type {type(value).__name__}, which json cannot carry"
