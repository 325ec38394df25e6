"""Types of option values: durations, filters, key=value pairs and queue specs.

This module only parses text. The library defines what the values mean.
"""

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sqsw.core.errors import SettingsError, SQSError
from sqsw.core.settings import QueueShare
from sqsw.core.wording import format_duration, without_password

if TYPE_CHECKING:
    from click import ParamType

    from sqsw.app.supervised import RecyclePolicy
    from sqsw.sqs_manage.selection import Filter
else:

    class ParamType(click.ParamType):
        """A subscriptable class; older releases of click have none."""

        def __class_getitem__(cls, item):
            return cls


_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(?:\d+[smhd])+", re.ASCII)
_PART = re.compile(r"(\d+)([smhd])", re.ASCII)
#: 100 years in seconds; much larger numbers overflow times and system clocks
_LONGEST = 36_500 * _SECONDS["d"]


def _is_number(text: str) -> bool:
    # Longer numbers are never meant, and Python refuses to read more than 4300 digits.
    return text.isascii() and text.isdigit() and len(text) <= 18


class AppName(ParamType[str]):
    """``module:attribute`` or ``module``."""

    name = "app"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        # Click takes the word after --app as its value, even if it is another option.
        if str(value).startswith("-"):
            self.fail(f"{str(value)!r} is an option, not the name of an app", param, ctx)
        return str(value)


class Duration(ParamType[int]):
    """A duration in seconds: ``30`` or ``30s``, ``15m``, ``12h``, ``4d``, ``1h30m``."""

    name = "duration"

    def __init__(self, lowest: int = 0, highest: int = _LONGEST) -> None:
        self.lowest = lowest
        self.highest = highest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip()
        written = f"{text}s" if text.isascii() and text.isdigit() else text
        if not _DURATION.fullmatch(written):
            self.fail(
                f"{text!r} is not a duration; write 30, 30s, 15m, 12h, 4d or 1h30m", param, ctx
            )
        seconds = sum(
            (int(count) if _is_number(count) else _LONGEST + 1) * _SECONDS[unit]
            for count, unit in _PART.findall(written)
        )
        if not self.lowest <= seconds <= self.highest:
            bounds = f"{format_duration(self.lowest)} and {format_duration(self.highest)}"
            self.fail(f"{text!r} is out of range: it must be between {bounds}", param, ctx)
        return seconds


class Moment(ParamType[datetime]):
    """A time in ISO 8601 with a UTC offset, which is not in the past."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        from sqsw_cli.sending.moments import read_moment  # only a few sends need it

        try:
            return read_moment(str(value).strip(), time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class FilterType(ParamType["Filter"]):
    """``PATH OPERATOR VALUE``, as :class:`sqsw.sqs_manage.selection.Filter` reads it."""

    name = "filter"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Filter":
        from sqsw.sqs_manage.selection import Filter

        if isinstance(value, Filter):
            return value
        try:
            return Filter.parse(str(value))
        except SQSError as error:
            parts = (error.message, error.why, error.next)
            self.fail("; ".join(filter(None, parts)), param, ctx)


class KeyValue(ParamType[tuple[str, str]]):
    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, sign, text = str(value).partition("=")
        if not sign or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, text


class QueueWord(ParamType[str]):
    """A queue name, URL or ARN; removes the password from a URL, because output repeats it."""

    name = "queue"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return without_password(str(value))


class QueueSpec(ParamType["QueueAsked"]):
    """``NAME[=N][,weight=W][,group=G]``: a queue, its slots, its weight, its slots per group.

    ``NAME,concurrency=N`` means the same as ``NAME=N``. Numbers that are left out stay None, so the
    configuration can set them.
    """

    name = "queue"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "QueueAsked":
        if isinstance(value, QueueAsked):
            return value
        text = QUEUE.convert(value, param, ctx)
        head, *settings = text.split(",")
        name, sign, slots = _name_and_slots(head)
        if not name:
            self.fail(f"{text!r} does not name a queue", param, ctx)
        numbers: dict[str, int] = {}
        for setting in settings:
            key, _, number = setting.partition("=")
            if key not in ("concurrency", "weight", "group"):
                self.fail(
                    f"unknown setting {setting!r} of the queue {name!r}; "
                    "write concurrency=N, weight=W or group=G",
                    *(param, ctx),
                )
            numbers[key] = self._number(number, f"the {key} of {name!r}", param, ctx)
        if sign:
            if "concurrency" in numbers:
                self.fail(
                    f"the concurrency of {name!r} is given twice; write {name}={slots}", param, ctx
                )
            numbers["concurrency"] = self._number(slots, f"the concurrency of {name!r}", param, ctx)
        return QueueAsked(
            name, numbers.get("concurrency"), numbers.get("weight"), numbers.get("group")
        )

    def _number(
        self, text: str, what: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if not (_is_number(text) and int(text) >= 1):
            self.fail(f"{what} must be a number of 1 or more, got {text!r}", param, ctx)
        return int(text)


class QueueAsked(NamedTuple):
    """A queue as given to ``--queue``; numbers that were left out are None."""

    name: str
    slots: int | None = None
    weight: int | None = None
    group_slots: int | None = None

    def share(self, table: dict[str, int]) -> QueueShare:
        """Return the share; the file's numbers replace those that the option left out."""
        slots = table.get("concurrency") if self.slots is None else self.slots
        weight = table.get("weight", 1) if self.weight is None else self.weight
        group_slots = table.get("group") if self.group_slots is None else self.group_slots
        return QueueShare(self.name, slots=slots, weight=weight, group_slots=group_slots)


def _name_and_slots(head: str) -> tuple[str, str, str]:
    # The query of a URL can contain an equals sign; the slots are always last.
    name, sign, slots = head.rpartition("=")
    return (name, sign, slots) if sign else (head, "", "")


class Prefetch(ParamType[int | str]):
    """A number of messages, or ``auto``."""

    name = "prefetch"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if text == "auto":
            return text
        if not _is_number(text):
            self.fail(f"{text!r} is neither a number nor 'auto'", param, ctx)
        return int(text)


_SIZE = re.compile(r"(\d{1,18})([kMG]?)", re.ASCII)
_SIZES = {"": 1, "k": 1024, "M": 1024**2, "G": 1024**3}


class Recycle(ParamType["RecyclePolicy"]):
    name = "recycle"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "RecyclePolicy":
        from sqsw.app.supervised import RecyclePolicy

        if isinstance(value, RecyclePolicy):
            return value
        limits: dict[str, Any] = {}
        for part in str(value).split(","):
            key, _, text = part.partition("=")
            if key == "age":
                limits["age_seconds"] = DURATION.convert(text, param, ctx)
            elif key == "jobs" and _is_number(text):
                limits["jobs"] = int(text)
            elif key == "memory" and (size := _SIZE.fullmatch(text)):
                limits["memory_bytes"] = int(size[1]) * _SIZES[size[2]]
            else:
                self.fail(
                    f"{part!r} is not valid; write jobs=N, memory=500M or age=12h", param, ctx
                )
        try:
            return RecyclePolicy(**limits)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def address_of(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (_is_number(port) and int(port) < 65536):
        raise click.BadParameter(f"{text!r} is not [HOST:]PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


APP = AppName()
DURATION = Duration()
RECYCLE = Recycle()
FILTER = FilterType()
KEY_VALUE = KeyValue()
MOMENT = Moment()
QUEUE = QueueWord()
QUEUE_SPEC = QueueSpec()
PREFETCH = Prefetch()
