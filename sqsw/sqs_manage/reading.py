"""Read lines of input as messages: the arguments of a job, a whole message, or a body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqsw.codecs.envelope import JOB_CONTEXT
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE
from sqsw.core.errors import SettingsError
from sqsw.sqs_manage.outgoing import OutgoingMessage

#: what may stand in a message object, and what it has to be
_TYPES: dict[str, tuple[type, str]] = {
    "job": (str, "a string"),
    "args": (dict, "an object"),
    "group": (str, "a string"),
    "dedup_id": (str, "a string"),
    "delay": (int, "a whole number of seconds"),
    "context": (dict, "an object"),
    "body": (str, "a string"),
    "content_type": (str, "a string"),
}


@dataclass(frozen=True, slots=True)
class LineReader:
    """Reads the lines of one input.

    Attributes
    ----------
    source :
        What the input is called in errors: a file name, or ``stdin``.
    defaults :
        The message that each line completes: with a job, each line holds its arguments; without,
        a message object.
    raw :
        True: each line is a body, as it is.
    """

    source: str
    defaults: OutgoingMessage = field(default_factory=OutgoingMessage)
    raw: bool = False

    def read(self, text: str, line: int) -> OutgoingMessage:
        """The message of one line, counted from 1.

        Raises
        ------
        SettingsError
            The line is not what it has to be.
        """
        if self.raw:
            return replace(self.defaults, line=line, body=text)
        value = self._parse(text, line)
        if self.defaults.job is not None:
            return replace(self.defaults, line=line, args=value)
        return self._read_message(value, line)

    def _parse(self, text: str, line: int) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._invalid(line, f"it is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise self._invalid(line, f"expected a JSON object, got {_kind(value)}")
        return value

    def _read_message(self, value: Mapping[str, Any], line: int) -> OutgoingMessage:
        found: dict[str, Any] = {}
        for name, (kind, words) in _TYPES.items():
            item = value.get(name)
            if item is None:
                continue
            if not isinstance(item, kind) or isinstance(item, bool):
                raise self._invalid(line, f"{name} must be {words}, it is {_kind(item)}")
            found[name] = item
        if "job" in found and "args" in found:
            # Written anew: its body and content type are those of the queue it was seen in.
            found.pop("body", None)
            found.pop("content_type", None)
        elif "body" not in found:
            raise self._invalid(line, "it has neither job and args nor a body")
        else:
            found.pop("args", None)
            found["context_text"] = _context_text(value, found.get("content_type"))
        return replace(self.defaults, line=line, **found)

    def _invalid(self, line: int, why: str) -> SettingsError:
        return SettingsError(
            f"line {line} of {self.source} is not valid",
            why=why,
            next="nothing was sent; correct the line, or skip bad lines with --keep-going",
        )


def _context_text(value: Mapping[str, Any], content_type: str | None) -> str | None:
    """The job context of a message that is not written anew, as it was sent."""
    if content_type in (None, DEFAULT_CONTENT_TYPE):
        return None
    attributes = value.get("attributes")
    text = attributes.get(JOB_CONTEXT) if isinstance(attributes, dict) else None
    return text if isinstance(text, str) else None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return {"str": "a string", "list": "a list", "dict": "an object"}[type(value).__name__]
