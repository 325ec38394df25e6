"""Moments as text."""

from datetime import UTC, datetime


def format_time(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds, as ``--json`` has it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_instant(moment: datetime) -> str:
    """Return the instant of a tick as RFC 3339 in UTC, in whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime | None:
    """Return a time in ISO 8601, in UTC if it names no zone; None for other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def read_milliseconds(milliseconds: str | None) -> datetime | None:
    """Return a time as SQS writes it, in UTC; None if it is not one."""
    if milliseconds is None or not milliseconds.isdecimal():
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
