"""The rules of schedules: when their ticks are due.

A rule has no state, so all workers compute the same instants. Cron fields are matched against the
wall clock of a time zone. When the clock changes, rules behave like Debian's cron:

* For a time that the clock skips in spring, the tick is due at the first moment after the gap. For
  a time that it repeats in autumn, one tick is due, the first time.
* If the minute or the hour begins with ``*``, the rule follows the wall clock: no tick is due at a
  skipped time, and two are due at a repeated one.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Protocol

from sqsw.core.errors import SettingsError
from sqsw.core.wording import format_duration

#: the bounds of ``EveryRule``
MIN_EVERY, MAX_EVERY = timedelta(seconds=1), timedelta(days=366)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY, _MINUTE, _ZERO = timedelta(days=1), timedelta(minutes=1), timedelta(0)


class Rule(Protocol):
    """When ticks are due."""

    @property
    def text(self) -> str:
        """The rule as a person writes it."""
        ...

    def next_after(self, moment: datetime) -> datetime:
        """Return the first instant after an aware datetime, in UTC."""
        ...

    def last_before(self, moment: datetime) -> datetime | None:
        """Return the last instant at or before an aware datetime, in UTC; None if there is none."""
        ...


class EveryRule:
    """Ticks at a fixed interval. Their instants are multiples of it since 1970-01-01 00:00 UTC.

    Parameters
    ----------
    every :
        The interval, or its seconds: whole seconds, from one second to 366 days.

    Raises
    ------
    SettingsError
        The interval is out of bounds.
    """

    def __init__(self, every: timedelta | float) -> None:
        try:
            interval = every if isinstance(every, timedelta) else timedelta(seconds=every)
        except (OverflowError, TypeError, ValueError) as error:
            raise _bad_interval(every) from error
        if isinstance(every, bool) or interval.microseconds:
            raise _bad_interval(every)
        if not MIN_EVERY <= interval <= MAX_EVERY:
            raise _bad_interval(every)
        self.every = interval

    @property
    def text(self) -> str:
        """The rule in words, such as ``every 1h30m``."""
        return f"every {format_duration(self.every.total_seconds())}"

    def next_after(self, moment: datetime) -> datetime:
        """Return the first instant after an aware datetime, in UTC."""
        return _EPOCH + ((moment - _EPOCH) // self.every + 1) * self.every

    def last_before(self, moment: datetime) -> datetime | None:
        """Return the last instant at or before an aware datetime, in UTC."""
        return _EPOCH + (moment - _EPOCH) // self.every * self.every

    def __repr__(self) -> str:
        return f"EveryRule({self.every!r})"


def _bad_interval(every: object) -> SettingsError:
    return SettingsError(
        f"a schedule cannot have the interval {every!r}",
        why="an interval is a timedelta or a number of seconds: whole seconds, from 1 second to "
        "366 days",
        next="write every=timedelta(minutes=5), or every=300",
        setting="every",
        value=every,
        bounds=(MIN_EVERY.total_seconds(), MAX_EVERY.total_seconds()),
    )


class _Moments(NamedTuple):
    """The moments when the clocks of a zone show a given time.

    ``earliest`` and ``latest`` increase with the time, even across times that the zone skips.
    """

    instants: tuple[datetime, ...]
    earliest: datetime
    latest: datetime


class CronRule:
    """Ticks at the times of a cron expression.

    Parameters
    ----------
    expression :
        Five fields: minute, hour, day of month, month, day of week. See the documentation of
        `cronsim <https://github.com/cuu508/cronsim>`_ for their syntax.
    tz :
        The time zone of the fields.

    Raises
    ------
    SettingsError
        cronsim is not installed, or the expression is not valid or never matches.
    """

    def __init__(self, expression: str, tz: tzinfo = UTC) -> None:
        self._simulate, parse_error = _cronsim()
        if not isinstance(expression, str):
            raise _bad_expression(expression, f"it is a {type(expression).__name__}, not a str")
        fields = expression.split()
        self.text = " ".join(fields)
        self.tz = tz
        self._follows_clock = any(field.startswith("*") for field in fields[:2])
        if len(fields) != 5:
            why = "it must have five fields: minute, hour, day of month, month, day of week"
            raise _bad_expression(expression, why)
        try:
            first = next(self._times(datetime(2000, 1, 1)), None)
        except parse_error as error:
            raise _bad_expression(expression, str(error)) from error
        if first is None:
            raise _bad_expression(expression, "no date matches it")

    def next_after(self, moment: datetime) -> datetime:
        """Return the first instant after an aware datetime, in UTC."""
        # If clocks go back during the next day, they repeat times before this one.
        back = max(_ZERO, self._offset(moment) - self._offset(moment + _DAY))
        found: datetime | None = None
        for time in self._times(self._minute_of(moment) - back):
            moments = self._moments(time)
            if found is not None and moments.earliest >= found:
                break
            for instant in moments.instants:
                if instant > moment and (found is None or instant < found):
                    found = instant
        if found is None:  # only at the end of the calendar: the constructor found one
            raise OverflowError(f"{self.text!r} has no instant after {moment}")
        return found

    def last_before(self, moment: datetime) -> datetime | None:
        """Return the last instant at or before an aware datetime, in UTC; None if there is none."""
        # If clocks went back during the last day, they showed later times before that.
        ahead = max(_ZERO, self._offset(moment - _DAY) - self._offset(moment))
        found: datetime | None = None
        for time in self._times(self._minute_of(moment) + _MINUTE + ahead, reverse=True):
            moments = self._moments(time)
            if found is not None and moments.latest <= found:
                break
            for instant in moments.instants:
                if instant <= moment and (found is None or instant > found):
                    found = instant
        return found

    def _times(self, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
        """Yield the matching wall clock times after (or before) ``start``, all without a zone."""
        times: Iterator[datetime] = self._simulate(self.text, start, reverse=reverse)
        return times

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.tz).utcoffset() or _ZERO

    def _minute_of(self, moment: datetime) -> datetime:
        return moment.astimezone(self.tz).replace(second=0, microsecond=0, tzinfo=None)

    def _moments(self, time: datetime) -> _Moments:
        first, second = self._utc(time, 0), self._utc(time, 1)
        if first == second:
            return _Moments((first,), first, first)
        if first < second:  # clocks show it twice
            both = (first, second) if self._follows_clock else (first,)
            return _Moments(both, first, second)
        if self._follows_clock:  # clocks never show it
            return _Moments((), second, first)
        return _Moments((self._end_of_gap(time),), second, first)

    def _end_of_gap(self, time: datetime) -> datetime:
        while self._utc(time, 0) > self._utc(time, 1):
            time += _MINUTE
        return self._utc(time, 0)

    def _utc(self, time: datetime, fold: int) -> datetime:
        return time.replace(tzinfo=self.tz, fold=fold).astimezone(UTC)

    def __repr__(self) -> str:
        return f"CronRule({self.text!r}, {self.tz!r})"


def _cronsim() -> tuple[Callable[..., Any], type[Exception]]:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise SettingsError(
            "cron expressions require the package cronsim",
            why="it is not installed",
            next="pip install 'sqsw[cron]'",
        ) from error
    return CronSim, CronSimError


def _bad_expression(expression: object, why: str) -> SettingsError:
    return SettingsError(
        f"{expression!r} is not a cron expression",
        why=why,
        next="write it like '0 3 * * *': every day at 3:00",
        setting="cron",
        value=expression,
    )
