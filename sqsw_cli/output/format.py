"""Format numbers, times and durations for people, pipes and programs."""

import time
from contextlib import suppress
from datetime import datetime

from sqsw.core.times import format_time
from sqsw.core.wording import UNITS, format_duration


def thousands(number: int | None) -> str:
    """Return a count for people, such as ``20,000``; a question mark if it is unknown."""
    return "?" if number is None else f"{number:,}"


def clock(seconds: float) -> str:
    """Return seconds as on a stopwatch: ``0:31``, ``1:02:09``.

    >>> clock(31), clock(3729)
    ('0:31', '1:02:09')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def elapsed(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 10 else format_duration(seconds)


def brief(seconds: float) -> str:
    """Return seconds in their largest unit: ``12s``, ``4m``."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def ago(moment: datetime | None, now: float | None = None) -> str:
    """Return how long ago a moment was, in the largest unit: ``4m ago``."""
    if moment is None:
        return "?"
    seconds = max(0, (time.time() if now is None else now) - moment.timestamp())
    return f"{brief(seconds)} ago" if seconds >= 1 else "now"


def local_time(moment: datetime) -> str:
    """Return a time for people, in the local time zone: ``2026-12-24 08:00:00+01:00``."""
    with suppress(OverflowError):  # a sender can choose the last moment of the calendar
        moment = moment.astimezone()
    return moment.isoformat(sep=" ", timespec="seconds")


def rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def size(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.3g} KiB"
    return f"{count / (1024 * 1024):.3g} MiB"
