"""Read what ``send`` sends: items, JSON, or lines of a file."""

import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SettingsError, SQSError
from sqsw_cli.sending.items import parse_item, parse_json
from sqsw_cli.sending.moments import read_moment

if TYPE_CHECKING:
    from sqsw.sqs_manage.outgoing import OutgoingMessage


class BadLine(SettingsError):
    """A line that is not a message; ``group`` is None if it is unknown."""

    number = 0
    text = ""
    kind = "InvalidLine"
    group: str | None = None


@dataclass(frozen=True)
class Common:
    """The settings that options give to every message; those of a line take precedence.

    ``now`` is when the command started, so times near the end of a long file are not in the past.
    """

    job: str | None = None
    group: str | None = None
    dedup_id: str | None = None
    delay: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    raw: bool = False
    run_at: datetime | None = None
    now: float = field(default_factory=time.time)

    def message(self, line: int, **given: Any) -> "OutgoingMessage":
        from sqsw.sqs_manage.outgoing import OutgoingMessage

        own = {key: value for key, value in given.items() if value is not None}
        shared: dict[str, Any] = {
            "job": None if self.raw else self.job,
            "group": self.group,
            "dedup_id": self.dedup_id,
            "context": self.context,
        }
        if not own.keys() & {"delay", "run_at"}:
            shared |= {"delay": self.delay, "run_at": self.run_at}
        return OutgoingMessage(line=line, **{**shared, **own})


def items_of(words: Sequence[str], what: str = "argument") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        key, value = parse_item(word)
        if key in found:
            raise SettingsError(f"the {what} {key!r} is given twice", next="give it once")
        found[key] = value
    return found


def object_of(text: str, what: str) -> dict[str, Any]:
    value = parse_json(text, what)
    if not isinstance(value, dict):
        raise SettingsError(
            f"{what} is not a JSON object", why=f"expected an object, got {_kind(value)}"
        )
    return value


def read_lines(
    lines: Iterable[tuple[int, bytes]],
    common: Common,
    file_name: str,
    check: Callable[["OutgoingMessage"], None] | None,
) -> "Iterator[OutgoingMessage | BadLine]":
    """Yield the messages of a file of JSON Lines or bodies; for an invalid line, its error.

    A byte order mark at the beginning of the file is skipped.
    """
    for number, line in lines:
        stripped = line.rstrip(b"\r\n")
        if number == 1:
            stripped = stripped.removeprefix(BOM_UTF8)
        if not stripped.strip():
            continue
        try:
            message = _read(stripped, number, common)
            if check is not None:
                check(message)
        except SQSError as error:
            bad = BadLine(
                f"line {number} of {file_name} is not valid",
                why="; ".join(part for part in (error.message, error.why) if part),
                next="nothing was sent; fix the line, or skip bad lines with --keep-going",
            )
            bad.number, bad.text = number, stripped.decode(errors="backslashreplace")
            if not isinstance(error, BadLine):
                bad.kind = error.code or type(error).__name__
            bad.group = _group_of(bad.text, common)
            yield bad
        else:
            yield message


def _group_of(text: str, common: Common) -> str | None:
    from sqsw.sqs_manage.outgoing import DEFAULT_GROUP

    own: Any = None
    if common.job is None and not common.raw:
        try:
            own = object_of(text, "the line").get("group")
        except SettingsError:
            return None
        if not isinstance(own, str | None):
            return None
    return own or common.group or DEFAULT_GROUP


def _read(line: bytes, number: int, common: Common) -> "OutgoingMessage":
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BadLine("", why=f"not UTF-8: {error}") from error
    if common.raw:
        return common.message(number, body=text)
    try:
        value = parse_json(text, "the line")
    except SettingsError as error:
        raise BadLine("", why=f"not JSON: {error.why}") from error
    if not isinstance(value, dict):
        raise BadLine("", why=f"expected a JSON object, got {_kind(value)}")
    if common.job is not None:
        return common.message(number, args=value)
    return _read_message(value, number, common)


def _read_message(value: Mapping[str, Any], number: int, common: Common) -> "OutgoingMessage":
    """Read a ``message`` object, as ``inspect --peek --json`` prints it."""
    keys: dict[str, tuple[type, ...]] = {
        "job": (str,),
        "args": (dict,),
        "group": (str,),
        "dedup_id": (str,),
        "delay": (int,),
        "at": (str,),
        "context": (dict,),
        "body": (str,),
        "content_type": (str,),
        "attributes": (dict,),
        "attribute_types": (dict,),
        "trace_header": (str,),
        "job_id": (str,),
    }
    for key, kinds in keys.items():
        if not isinstance(value.get(key), (*kinds, type(None))):
            raise BadLine("", why=f"{key!r} is {_kind(value[key])}")
    for key in ("attributes", "attribute_types"):
        for name, text in (value.get(key) or {}).items():
            if not isinstance(text, str):
                raise BadLine("", why=f"{name!r} in {key!r} is {_kind(text)}")
    job, body = value.get("job"), value.get("body")
    own = {
        key: value.get(key)
        for key in (
            *("group", "dedup_id", "delay"),
            *("attributes", "attribute_types", "trace_header", "job_id"),
        )
    }
    own["run_at"] = _run_at(value, common.now)
    if job is None and body is None:
        raise BadLine("", why="it has neither 'job' nor 'body'")
    if job is None:
        if common.context:
            raise BadLine("", why="it is a raw body, but --context is for jobs")
        for key in ("args", "context"):
            if value.get(key):
                raise BadLine("", why=f"it has {key!r} but no 'job'")
        own["content_type"] = value.get("content_type")
        return replace(common, raw=True).message(number, body=body, **own)
    from sqsw.sqs_manage.copied_job import copied_job

    own |= {"job": job, "context": value.get("context"), **copied_job(value)}
    return common.message(number, **own)


def _run_at(value: Mapping[str, Any], now: float) -> datetime | None:
    text = value.get("at")
    if text is None:
        return None
    if value.get("delay") is not None:
        raise BadLine("", why="it has both 'delay' and 'at'")
    try:
        return read_moment(text, now)
    except ValueError as error:
        raise BadLine("", why=f"'at': {error}") from error


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
