"""Show schedules and their ticks."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqsw.core.wording import counted, format_duration
from sqsw_cli.output.format import rfc3339, thousands
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.terminal import columns_of

if TYPE_CHECKING:
    from sqsw.app.schedules import Tick
    from sqsw.schedule.schedule import Schedule

#: ticks in a list of schedules, and the width of a terminal that shows more than one of them
_NEXT, _WIDE = 3, 120

#: ticks that a terminal shows: at the beginning, and on each side of a clock change
_FIRST, _AROUND = 5, 2


def show_schedules(printer: Printer, schedules: "Sequence[Schedule]", now: datetime) -> None:
    """Show schedules with their next ticks after a moment."""
    found = [(one, one.upcoming(now, _NEXT)) for one in schedules]
    if printer.terminal:
        is_wide = (columns_of(sys.stdout) or 0) >= _WIDE
        columns = [
            Column("schedule", least=12),
            Column("rule", least=12),
            Column("zone", least=8),
            Column("queue", least=12),
            Column("job", least=12),
            Column("next", cut=is_wide, keep=True),
        ]
        shown = _NEXT if is_wide else 1
        printer.table(columns, [_row(one, ticks[:shown]) for one, ticks in found])
        return
    for one, ticks in found:
        if printer.as_json:
            printer.json("schedule", _values(one, ticks))
        else:
            times = ",".join(str(rfc3339(tick)) for tick in ticks)
            fields = (one.name, one.rule.text, one.zone, one.queue_name, times, one.job_name)
            printer.plain("schedule", *fields)


def _row(schedule: "Schedule", ticks: Sequence[datetime]) -> list[str]:
    return [
        schedule.name,
        schedule.rule.text,
        schedule.zone,
        schedule.queue_name,
        schedule.job_name,
        " · ".join(_local(tick) for tick in ticks),
    ]


def _values(schedule: "Schedule", ticks: Sequence[datetime]) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "rule": schedule.rule.text,
        "zone": schedule.zone,
        "queue": schedule.queue_name,
        "job": schedule.job_name,
        "next": list(ticks),
        "args": dict(schedule.args),
        "takes_at": schedule.takes_at,
        "overlap": schedule.overlap,
    }


def show_ticks(
    printer: Printer, schedule: "Schedule", after: datetime, until: datetime, *, shows_all: bool
) -> None:
    """Show the ticks between two moments; on a terminal, only some unless ``shows_all``."""
    from sqsw.app.schedules import ticks_of

    ticks = ticks_of(schedule, after, until)
    if not printer.terminal:
        for tick in ticks:
            _show_tick(printer, schedule, tick)
        return
    totals = _Totals()
    seen = totals.of(ticks)
    printer.say(f"{schedule.name}: {schedule.rule.text} in {schedule.zone}")
    for shown in seen if shows_all else _some_of(seen):
        if isinstance(shown, int):
            printer.say(f"  … {thousands(shown)} more")
            continue
        if shown.clock_change is not None:
            printer.say(f"  {_change(shown.clock_change)} clock change")
        printer.say(f"  {_local(shown.at)}")
    printer.say(totals.text())


def _show_tick(printer: Printer, schedule: "Schedule", tick: "Tick") -> None:
    change = None if tick.clock_change is None else int(tick.clock_change.total_seconds())
    local = tick.at.isoformat(timespec="seconds")
    if printer.as_json:
        values = {"at": tick.at, "local": local, "clock_change_s": change}
        printer.json("tick", {"schedule": schedule.name, **values})
    else:
        printer.plain("tick", rfc3339(tick.at), local, change)


def _some_of(ticks: "Iterable[Tick]") -> "Iterator[Tick | int]":
    """Yield the first ticks, those around clock changes, and the last; between them, a count."""
    recent: deque[Tick] = deque()
    left, skipped = _FIRST, 0
    for tick in ticks:
        if tick.clock_change is not None:
            if skipped:
                yield skipped
            yield from recent
            recent.clear()
            left, skipped = max(left, _AROUND), 0
        if left:
            left -= 1
            yield tick
            continue
        recent.append(tick)
        if len(recent) > _AROUND:
            recent.popleft()
            skipped += 1
    if skipped:
        yield skipped
    yield from recent


class _Totals:
    """Counts ticks, and finds the shortest and the longest time between them."""

    def __init__(self) -> None:
        self._count = 0
        self._first: Tick | None = None
        self._last: Tick | None = None
        self._gaps: tuple[float, float] | None = None

    def of(self, ticks: "Iterable[Tick]") -> "Iterator[Tick]":
        """Yield the ticks, and count them."""
        for tick in ticks:
            self._count += 1
            if self._last is not None:
                # Subtracting the datetimes of one zone would ignore a clock change.
                gap = tick.at.timestamp() - self._last.at.timestamp()
                shortest, longest = self._gaps or (gap, gap)
                self._gaps = min(shortest, gap), max(longest, gap)
            self._first, self._last = self._first or tick, tick
            yield tick

    def text(self) -> str:
        """Return a line about all ticks seen."""
        if self._first is None or self._last is None:
            return "no ticks in this time"
        if self._gaps is None:
            return f"1 tick, at {_local(self._first.at)}"
        shortest, longest = map(format_duration, self._gaps)
        gaps = (
            f"always {shortest} apart" if shortest == longest else f"{shortest} to {longest} apart"
        )
        return (
            f"{counted(self._count, 'tick')} from {_local(self._first.at)} "
            f"to {_local(self._last.at)}, {gaps}"
        )


def _local(moment: datetime) -> str:
    """Return a time with its offset for people, without seconds if there are none."""
    text = moment.isoformat(" ", "seconds" if moment.second else "minutes")
    return f"{text[:-6]} {text[-6:]}"


def _change(change: timedelta) -> str:
    sign = "+" if change > timedelta() else "-"
    return f"{sign}{format_duration(abs(change).total_seconds())}"
