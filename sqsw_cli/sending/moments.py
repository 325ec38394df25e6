"""Read times that people write, such as ``2026-12-24T08:00+01:00``."""

from datetime import UTC, datetime

from sqsw_cli.output.format import brief

#: how many seconds in the past a time can be, because reading the command line takes time
_JUST_NOW = 10


def read_moment(text: str, now: float) -> datetime:
    """Return a time in ISO 8601 with a UTC offset, which is not in the past.

    Raises
    ------
    ValueError
        The text is not such a time; the message says why.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write 2026-12-24T08:00+01:00") from None
    if moment.utcoffset() is None:
        raise ValueError(f"{text!r} has no UTC offset; {_with_offset(moment)}")
    ago = (datetime.fromtimestamp(now, UTC) - moment).total_seconds()
    if ago > _JUST_NOW:
        raise ValueError(f"{text!r} is in the past, {brief(ago)} ago")
    return moment


def _with_offset(moment: datetime) -> str:
    try:
        here = moment.astimezone().isoformat(timespec="minutes")
    except (OverflowError, OSError, ValueError):  # at the ends of the calendar
        return "write +01:00 after it, or Z for UTC"
    return f"write {here} for the time here, or {moment.isoformat(timespec='minutes')}Z for UTC"
