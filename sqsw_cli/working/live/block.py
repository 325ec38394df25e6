"""The live view as lines of text: no terminal, no clock, no state."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import click

from sqsw.core.wording import format_duration, safe
from sqsw_cli.output.format import brief, count_of, thousands
from sqsw_cli.working.live.figures import Look, Row

#: between two columns, and between two words of the line below them
_GAP, _DOT = "  ", " · "

_UNKNOWN = "-"

#: characters to which a longer name is cut before columns are left out
_NAME = 40


class _Column(NamedTuple):
    title: str
    text: Callable[[Row], str]
    shade: str | None = None


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else thousands(number)


def _rate(rate: float) -> str:
    return thousands(round(rate)) if rate >= 100 else f"{rate:.1f}"


_COLUMNS = (
    _Column("queue", lambda row: safe(row.name)),
    _Column("running", lambda row: _count(row.running)),
    _Column("oldest", lambda row: _UNKNOWN if row.oldest is None else brief(row.oldest)),
    _Column("done", lambda row: _count(row.done)),
    _Column("failed", lambda row: _count(row.failed), "red"),
    _Column("retry", lambda row: _count(row.retried)),
    _Column("/s", lambda row: _rate(row.rate)),
    _Column("ready", lambda row: _count(row.depth.ready)),
    _Column("in flight", lambda row: _count(row.depth.in_flight)),
    _Column(
        "dead",
        lambda row: _count(row.depth.dead) if row.depth.has_dead_letters else "none",
        "red",
    ),
)


def lines_of(look: Look, columns: int, lines: int, *, colored: bool = False) -> list[str]:
    """The view in a terminal of this size.

    If columns do not fit, long names are cut. Then columns are left out from the right, and queues
    from below. The terminal wraps only a name that is wider than itself.
    """
    if not look.was_up:
        return []  # there may be an error to tell of instead
    below = _below(look, columns)
    rows = look.rows
    if len(rows) > lines - 2:
        rows = rows[: max(0, lines - 3)]  # the head, what is left out, the line below
    table = _table(rows, columns, colored=colored) if rows else []
    left_out = len(look.rows) - len(rows)
    more = [f"and {count_of(left_out, 'more queue')}"[:columns]] if left_out and rows else []
    attention = colored and not (look.has_ended or _receives(look))
    return [*table, *more, click.style(below, fg="yellow") if attention else below]


def _table(rows: Sequence[Row], columns: int, *, colored: bool) -> list[str]:
    cells = [[column.text(row) for row in rows] for column in _COLUMNS]
    widths = _widths(cells)
    if (over := sum(widths) + len(_GAP) * (len(widths) - 1) - columns) > 0:
        longest = max(_NAME, widths[0] - over)
        cells[0] = [_cut(name, longest) for name in cells[0]]
        widths = _widths(cells)
    count = len(_COLUMNS)
    while count > 1 and sum(widths[:count]) + len(_GAP) * (count - 1) > columns:
        count -= 1

    def fit(index: int, text: str) -> str:
        return text.rjust(widths[index]) if index else text.ljust(widths[index])

    def paint(index: int, text: str) -> str:
        shade = _COLUMNS[index].shade if colored and text not in ("0", "none", _UNKNOWN) else None
        fitted = fit(index, text)
        return click.style(fitted, fg=shade) if shade else fitted

    shown = range(count)
    head = _GAP.join(fit(index, _COLUMNS[index].title) for index in shown)
    return [
        click.style(head, dim=True) if colored else head,
        *(_GAP.join(paint(i, cells[i][line]) for i in shown) for line in range(len(rows))),
    ]


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(len(column.title), *map(len, texts))
        for column, texts in zip(_COLUMNS, cells, strict=True)
    ]


def _cut(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 3
    return f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def _below(look: Look, columns: int) -> str:
    """What holds for all queues; what matters least is left out first."""
    words = [_state(look), f"up {brief(look.up_seconds)}"]
    if look.requests_per_job is not None:
        words.append(f"{look.requests_per_job:.2f} requests per job")
    if look.empty_seconds is not None and _receives(look):
        words.append(f"empty in about {brief(look.empty_seconds)}")
    for index in (2, 1, 1):
        if len(words) > index and len(_DOT.join(words)) > columns:
            del words[index]
    return _DOT.join(words)[:columns]


def _receives(look: Look) -> bool:
    return not (look.has_ended or look.is_quiet or look.drain_seconds is not None)


def _state(look: Look) -> str:
    if look.has_ended:
        return "stopped"
    running = f"{count_of(look.busy, 'job')} running"
    if look.drain_seconds is not None:
        # Without a job it is the answer of an open receive that is waited for.
        what = running if look.busy else "waiting for an open receive"
        return f"draining: {what}, {format_duration(look.drain_seconds)} left"
    if look.is_quiet:
        return f"quiet: {running}, nothing is received"
    if not look.slots:
        return "no worker is up"
    return f"{thousands(look.busy)} of {thousands(look.slots)} slots busy"
