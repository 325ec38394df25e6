"""Render the live view as text, without terminal, clock or state."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import click

from sqsw.core.wording import counted, format_duration, safe
from sqsw_cli.output.format import brief, thousands
from sqsw_cli.output.printer import cut_middle
from sqsw_cli.working.live.figures import Depth, Look, Row

#: between columns, and between the parts of the line below them
_GAP, _DOT = "  ", " · "

_UNKNOWN = "-"

#: characters to which a longer name is cut before a column is left out
_NAME = 16

#: columns that are left out if there is no room, in this order; dead letters always stay
_DROPPED = ("longest", "retry", "/s", "in flight", "running", "failed", "done", "ready")


class _Column(NamedTuple):
    title: str
    text: Callable[[Row], str]
    color: str | None = None


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else thousands(number)


def _rate(rate: float) -> str:
    return thousands(round(rate)) if rate >= 100 else f"{rate:.1f}"


_COLUMNS = (
    _Column("queue", lambda row: safe(row.name)),
    _Column("running", lambda row: _count(row.running)),
    _Column("longest", lambda row: _UNKNOWN if row.longest is None else brief(row.longest)),
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
    """Return the view for a terminal of this size.

    If it is too narrow, long names are cut in the middle. If that is not enough, columns are left
    out, but never the dead letters. If it is too low, the last queues are left out.
    """
    if not look.was_up:
        return []  # the worker may have failed to start, and its error is enough
    below = _below(look, columns)
    rows = list(look.rows)
    # The other lines: the header, the total and the state.
    others = 3 if len(rows) > 1 else 2
    if len(rows) > lines - others:
        rows = rows[: max(0, lines - others - 1)]
    left_out = len(look.rows) - len(rows)
    if rows and others == 3:
        rows.append(_total(look.rows))
    table = _table(rows, columns, colored=colored) if rows else []
    if table and left_out:
        table.insert(-1, f"and {counted(left_out, 'more queue')}"[:columns])
    attention = colored and not (look.has_ended or _receives(look))
    return [*table, click.style(below, fg="yellow") if attention else below]


def _total(rows: Sequence[Row]) -> Row:
    dead: dict[str, int | None] = {
        row.depth.dead_letter_queue or row.name: row.depth.dead
        for row in rows
        if row.depth.has_dead_letters
    }
    return Row(
        "total",
        running=sum(row.running for row in rows),
        longest=max((row.longest for row in rows if row.longest is not None), default=None),
        done=sum(row.done for row in rows),
        failed=sum(row.failed for row in rows),
        retried=sum(row.retried for row in rows),
        rate=sum(row.rate for row in rows),
        depth=Depth(
            _sum(row.depth.ready for row in rows),
            _sum(row.depth.in_flight for row in rows),
            _sum(dead.values()),
            has_dead_letters=bool(dead),
        ),
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None if one of the numbers is unknown."""
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


def _table(rows: Sequence[Row], columns: int, *, colored: bool) -> list[str]:
    shown = {column.title: [column.text(row) for row in rows] for column in _COLUMNS}
    widths = {title: max(len(title), *map(len, texts)) for title, texts in shown.items()}

    def over() -> int:
        return sum(widths.values()) + len(_GAP) * (len(widths) - 1) - columns

    longest = widths["queue"]
    for title in ("", *_DROPPED):
        widths.pop(title, None)
        widths["queue"] = longest
        widths["queue"] = max(longest - max(0, over()), min(longest, _NAME))
        if over() <= 0:
            break
    else:
        widths["queue"] = max(1, widths["queue"] - over())

    def fit(column: _Column, text: str) -> str:
        width = widths[column.title]
        return (
            text.rjust(width) if column.title != "queue" else cut_middle(text, width).ljust(width)
        )

    def paint(column: _Column, text: str) -> str:
        has_color = colored and column.color is not None and text not in ("0", "none", _UNKNOWN)
        return click.style(fit(column, text), fg=column.color) if has_color else fit(column, text)

    kept = [column for column in _COLUMNS if column.title in widths]
    head = _GAP.join(fit(column, column.title) for column in kept)
    return [
        click.style(head, dim=True) if colored else head,
        *(
            _GAP.join(paint(column, shown[column.title][line]) for column in kept)
            for line in range(len(rows))
        ),
    ]


def _below(look: Look, columns: int) -> str:
    """Return the line for all queues; if it is too long, leave out the least important parts."""
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
    running = f"{counted(look.busy, 'job')} running"
    if look.drain_seconds is not None:
        # Without jobs, the worker waits for the response of an open receive.
        what = running if look.busy else "waiting for an open receive"
        return f"draining: {what}, {format_duration(look.drain_seconds)} left"
    if look.is_quiet:
        return f"quiet: {running}, not receiving"
    if not look.slots:
        return "no worker is running"
    return f"{thousands(look.busy)} of {thousands(look.slots)} slots busy"
