"""Select messages by job, content, age, ID and count."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqsw.core.dead_record import DeadRecord
from sqsw.core.errors import SettingsError
from sqsw.core.job_metadata import is_uuid
from sqsw.core.settings import check_bounds
from sqsw.core.times import format_time, read_time
from sqsw.core.wording import nearest
from sqsw.sqs_manage.message_view import MessageView

_FILTER = re.compile(r"\s*([^\s=!<>~]+)\s*(<=|>=|!=|!~|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
# A date alone can mean something else, so only text with date and time is read as a time.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_TIME_PATHS = ("sent_at", "first_received_at", "error.at", "error.first_at")
_NUMBER_PATHS = ("receives", "size", "error.attempts", "error.receives", "error.deaths")
# Senders choose the keys below these paths.
_OPEN_PATHS = ("args", "context", "attributes", "attribute_types")
_ERROR_FIELDS = tuple(one.name for one in fields(DeadRecord))
# These are only set after the selection.
_OUTCOMES = ("action", "twin_of")

_UUID_PART = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}|[0-9a-f-]{0,28}[0-9a-f]{8}")

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition: a path into the message, an operator and a value.

    Two numbers are compared as numbers, and values are compared as times if the left side is a
    time. Everything else is compared as text. A missing key is null, which is neither less nor
    greater than anything and matches no regular expression.

    Attributes
    ----------
    path :
        Dotted keys and list indices into :class:`~sqsw.sqs_manage.message_view.MessageView`.
    operator :
        ``=`` ``!=`` ``<`` ``<=`` ``>`` ``>=``, or ``~`` ``!~`` for a regular expression.
    value :
        The text to compare with.
    """

    path: str
    operator: str
    value: str
    _pattern: "re.Pattern[str] | None" = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Filter":
        """Parse a filter such as ``args.customer=acme``, ``receives < 5`` or ``body~timeout``.

        Raises
        ------
        SettingsError
            The operator is missing, no message can have this path, or the value is not the required
            regular expression, time or number.
        """
        match = _FILTER.fullmatch(text)
        if match is None:
            raise SettingsError(
                f"{text!r} is not a filter",
                why="a filter is a path, one of = != < <= > >= ~ !~ and a value",
                next="use the form args.customer=acme or receives<5",
            )
        path, operator, value = match.groups()
        check_path(path)
        pattern = None
        if operator in ("~", "!~"):
            try:
                pattern = re.compile(value)
            except re.error as error:
                raise SettingsError(
                    f"{value!r} is not a regular expression", why=str(error)
                ) from error
        elif path in _TIME_PATHS and value != "null" and read_time(value) is None:
            raise SettingsError(
                f"{value!r} is not a time, and {path} is a time",
                next=f"write {path}{operator}2026-11-01 or {path}{operator}2026-11-01T12:30:00Z",
            )
        elif path in _NUMBER_PATHS and value != "null" and not _NUMBER.fullmatch(value):
            raise SettingsError(
                f"{value!r} is not a number, and {path} is a number",
                next=f"write {path}{operator}3",
            )
        elif _NUMBER.fullmatch(value):
            try:
                _read_number(value)
            except ValueError as error:  # too many digits for Python
                raise SettingsError(f"the number for {path} is too long", why=str(error)) from error
        return cls(path, operator, value, pattern)

    def matches(self, view: MessageView) -> bool:
        """Return whether a message meets the condition."""
        left = view.value_at(self.path)
        if self._pattern is not None:
            found = left is not None and self._pattern.search(_text(left)) is not None
            return found is (self.operator == "~")
        mine, given = _comparable(left, self.value)
        if self.operator in ("=", "!="):
            return (mine == given) is (self.operator == "=")
        return left is not None and _ORDER[self.operator](mine, given)


@dataclass(frozen=True, slots=True)
class Selection:
    """The messages to select. Without a condition, it selects all messages.

    Attributes
    ----------
    jobs :
        Job names, one of which must match; ``*`` matches any text.
    filters :
        Conditions that must all be met.
    older_than :
        Minimum age in seconds since the send.
    ids :
        Message IDs or job IDs; also the message ID that a job had before a worker copied it. A UUID
        can be shortened to at least its first or last 8 characters. If these match several IDs,
        they select no message. To find out, sqsw reads all messages.
    limit :
        Maximum number of messages.
    """

    jobs: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    older_than: float | None = None
    ids: frozenset[str] | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        check_bounds("limit", self.limit, 1)
        check_bounds("older_than", self.older_than, 0)

    def __bool__(self) -> bool:
        return self.has_conditions or self.limit is not None

    @property
    def has_conditions(self) -> bool:
        """Return whether there is more than a limit, so messages must be read."""
        return (
            bool(self.jobs or self.filters) or self.older_than is not None or self.ids is not None
        )

    def matches(self, view: MessageView, now: datetime) -> bool:
        """Return whether this message is selected. The caller applies the limit.

        Only full IDs match here.

        Parameters
        ----------
        now :
            The current time, with a time zone, to compute ages.
        """
        if self.ids is not None and self.ids.isdisjoint(view.ids):
            return False
        return self.matches_but_for_ids(view, now)

    def matches_but_for_ids(self, view: MessageView, now: datetime) -> bool:
        """Return whether a message meets all conditions except the IDs."""
        if self.jobs and not any(_job_matches(name, view.job) for name in self.jobs):
            return False
        if self.older_than is not None and not (
            view.sent_at is not None and (now - view.sent_at).total_seconds() >= self.older_than
        ):
            return False
        return all(condition.matches(view) for condition in self.filters)


def is_part_of_id(text: str, *, whole: bool = False) -> bool:
    """Return whether a text is a UUID, such as a message ID, or the start or end of one.

    Parameters
    ----------
    whole :
        Whether to accept only full UUIDs; otherwise 8 characters are enough.
    """
    return is_uuid(text) if whole else _UUID_PART.fullmatch(text) is not None


#: A selection of every message.
EVERYTHING = Selection()


def check_path(path: str) -> None:
    """Reject a path that no message can have: it would select nothing, or everything with ``!=``.

    Raises
    ------
    SettingsError
        No message can have this path. ``next`` suggests a similar one.
    """
    known = [one.name for one in fields(MessageView) if one.name not in _OUTCOMES]
    first, *keys = path.split(".")
    if first not in known:
        meant = f"error.{first}" if first in _ERROR_FIELDS else nearest(first, known)
        rest = path[len(first) :]
        raise _not_a_path(path, f"a path must start with one of {', '.join(known)}", meant, rest)
    if first == "error" and keys:
        name, *keys = keys
        if name not in _ERROR_FIELDS:
            near = nearest(name, _ERROR_FIELDS)
            why = f"an error has the fields {', '.join(_ERROR_FIELDS)}"
            raise _not_a_path(path, why, near and f"error.{near}")
        first = f"error.{name}"
    if keys and first not in _OPEN_PATHS:
        raise _not_a_path(path, f"{first} has no fields", first)


def _not_a_path(path: str, why: str, meant: str | None, rest: str = "") -> SettingsError:
    return SettingsError(
        f"{path!r} is not a path into a message",
        why=why,
        next=f"did you mean {meant + rest!r}?" if meant else None,
    )


def _job_matches(wanted: str, job: str | None) -> bool:
    if job is None:
        return False
    pattern = ".*".join(map(re.escape, wanted.split("*")))
    return re.fullmatch(pattern, job, re.DOTALL) is not None


def _comparable(left: Any, value: str) -> tuple[Any, Any]:
    if isinstance(left, int | float) and not isinstance(left, bool) and _NUMBER.fullmatch(value):
        return left, _read_number(value)
    mine = left if isinstance(left, datetime) else None
    if isinstance(left, str) and _TIMESTAMP.fullmatch(left):
        mine = read_time(left)
    if mine is not None:
        given = read_time(value)
        if given is not None:
            return mine, given
    return _text(left), value


def _read_number(text: str) -> int | float:
    # A float cannot represent all digits of a sequence number.
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return format_time(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
