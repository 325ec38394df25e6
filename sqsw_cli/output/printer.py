"""One command, three faces: tables for a person, lines for a pipe, JSON for a program.

stdout is data and stderr is talk. rich is imported where something is drawn.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sqsw.core.wording import safe
from sqsw_cli.errors.failures import CannotWrite, ConsumerGone, block
from sqsw_cli.output.columns import LINES
from sqsw_cli.output.progress import Bar
from sqsw_cli.output.records import json_line, record
from sqsw_cli.terminal import columns_of, echo_on_stderr, is_terminal, wants_color, wrapped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: between two columns
_GAP = "  "

#: columns of the terminal that something shortened needs, to be worth showing
_CUT_WIDTH = 16

#: characters of a queue name next to its progress
_NAME = 24

#: cells that need no color
_NOTHING = ("", "0", "?", "none")

#: characters of a cell, wider than any terminal
_CELL_LENGTH = 1_000


class Column(NamedTuple):
    """A column of a table.

    A column with ``cut`` is shortened first, at its end. Texts of the others are cut in the middle,
    to no less than ``least`` cells, before a column is left out. Numbers are never cut. The first
    column and those with ``keep`` are never left out. ``color`` is for numbers above 0.
    """

    title: str
    right: bool = False
    cut: bool = False
    least: int = 40
    keep: bool = False
    color: str | None = None


class Printer:
    def __init__(self, *, as_json: bool = False, color: str = "auto", quiet: bool = False) -> None:
        self.as_json = as_json
        self.terminal = not as_json and is_terminal(sys.stdout)
        self.gone = False
        self._color = color
        self._quiet = quiet
        self._finishes = False
        self._bar = Bar("", shown=False, color=False)
        if as_json:
            # Whatever the locale says; a stream that stands in for stdout may not have it.
            with suppress(AttributeError):
                sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # see above

    def finish_when_gone(self) -> None:
        """Something is being changed: if nobody reads any more, note it in ``gone`` and go on.

        Without this a reader that goes away ends the command at once.
        """
        self._finishes = True

    # -- data, on stdout ---------------------------------------------------------------------

    def json(self, kind: str, values: Mapping[str, Any]) -> None:
        """One JSON object, with all keys of its type."""
        self._write(json_line(record(kind, values)))

    def plain(self, kind: str, *fields: object) -> None:
        """One line of this kind, its fields with tabs between them; None is an empty field."""
        pairs = zip(LINES[kind].columns, fields, strict=True)
        self._write("\t".join("" if field is None else safe(str(field)) for _, field in pairs))

    def say(self, text: str = "") -> None:
        self._write(safe(text))

    def tell(self, text: str) -> None:
        """A line for a person, broken between words."""
        self._write(wrapped(safe(text), columns_of(sys.stdout), hanging=2))

    def done(self, text: str) -> None:
        self.signed("✓", "green", text)

    def signed(self, sign: str, shade: str | None, text: str) -> None:
        """A line behind a sign, whose meaning its words say as well."""
        line = wrapped(f"{sign} {safe(text)}", columns_of(sys.stdout), len(sign) + 1)
        colored = shade and wants_color(sys.stdout, self._color)
        self._write((click.style(sign, fg=shade) if colored else sign) + line[len(sign) :])

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Print a table as wide as the terminal: cut cells, then leave out columns."""
        console = self._console()
        rows = [[safe(cut_middle(cell, _CELL_LENGTH)) for cell in row] for row in rows]
        columns = [column._replace(title=safe(column.title)) for column in columns]
        natural = [_least(index, column, rows) for index, column in enumerate(columns)]
        kept, widths = _fitted(columns, natural, console.width)
        columns = [columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in rows]
        rows = [
            [
                cell if column.cut else cut_middle(cell, width)
                for cell, column, width in zip(row, columns, widths, strict=True)
            ]
            for row in rows
        ]
        for index, column in enumerate(columns):
            if column.cut:  # it gets what the others leave
                longest = _widest(index, column, rows)
                widths[index] += max(
                    0, min(console.width - _width(widths), longest - widths[index])
                )
        # A name that is a little longer than the terminal is wrapped by it. Before version 15, rich
        # counts blanks after the last column, which are not written.
        console.width = max(console.width, _width(widths)) + len(_GAP)
        with console.capture() as captured:
            console.print(_table(columns, widths, rows))
        for line in captured.get().rstrip("\n").split("\n"):
            self._write(line.rstrip())

    def _console(self) -> "Console":
        from rich.console import Console

        colored = wants_color(sys.stdout, self._color)
        return Console(
            file=sys.stdout,
            force_terminal=colored,
            no_color=not colored,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def _write(self, line: str) -> None:
        if self.gone:
            return
        try:
            # Flushed line by line: the reader is a program that waits for it, or a person.
            with self._bar.hidden() if self.terminal else nullcontext():
                click.echo(line, color=True)
        except BrokenPipeError as error:
            self.gone = True
            if not self._finishes:
                raise ConsumerGone from error
        except OSError as error:
            raise CannotWrite(error) from error

    # -- talk, on stderr ---------------------------------------------------------------------

    def note(self, text: str) -> None:
        if not self._quiet and not self.as_json:
            # Below the beginning of what follows a title, as in the banner of a worker.
            title = re.match(r" +\S+ {2,}", text)
            hanging = 0 if title is None else len(title[0])
            with self._bar.hidden():
                echo_on_stderr(wrapped(safe(text), columns_of(sys.stderr), hanging))

    def next(self, command: str) -> None:
        """The command that comes next, most likely; only on a terminal."""
        if self.terminal:
            self.note("")
            self.note(f"next: {command}")

    def warn(self, message: str, why: str | None = None, next: str | None = None) -> None:
        color = not self.as_json and wants_color(sys.stderr, self._color)
        with self._bar.hidden():
            echo_on_stderr(block("warning", message, why, next, color=color), color=color)

    def advise(self, message: str, why: str | None = None, next: str | None = None) -> None:
        """A warning of something that may well be meant: ``--quiet`` leaves it out."""
        if not self._quiet:
            self.warn(message, why, next)

    def progress(self, what: str) -> Bar:
        """How far something is, on stderr where a person looks at it."""
        shown = not self._quiet and not self.as_json and is_terminal(sys.stderr)
        self._bar = Bar(safe(what), shown=shown, color=wants_color(sys.stderr, self._color))
        return self._bar

    def progress_of_pass(self, queue: str) -> Bar:
        """How far a pass over the messages of a queue is; its line fits into 80 columns."""
        return self.progress(f"{cut_middle(queue, _NAME)}:")


def cut_middle(text: str, width: int) -> str:
    """Cut a text to a width in its middle, because long names often differ only at their ends."""
    if len(text) <= width and text.isascii():
        return text  # a worker does not import rich for short names
    from rich.cells import cell_len, set_cell_size

    if len(text) <= width and cell_len(text) <= width:
        return text
    tail = (width - 1) // 3
    end = set_cell_size(text[: -2 * width : -1], tail)[::-1] if tail else ""
    return f"{set_cell_size(text[:width], width - 1 - tail)}…{end}"


def _fitted(
    columns: Sequence[Column], natural: Sequence[int], room: int
) -> tuple[list[int], list[int]]:
    """Return which columns fit, and their widths, narrowed if that makes room for more."""
    kept = list(range(len(columns)))
    while True:
        widths = [natural[index] for index in kept]
        spare = [
            0
            if columns[index].right or columns[index].cut
            else max(0, natural[index] - columns[index].least)
            for index in kept
        ]
        while (over := _width(widths) - room) > 0 and any(spare):
            widest = max((i for i in range(len(kept)) if spare[i]), key=widths.__getitem__)
            less = min(over, spare[widest])
            widths[widest] -= less
            spare[widest] -= less
        droppable = [index for index in kept[1:] if not columns[index].keep]
        if over <= 0 or not droppable:
            return kept, widths
        kept.remove(droppable[-1])


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _table(
    columns: Sequence[Column], widths: Sequence[int], rows: Sequence[Sequence[str]]
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, len(_GAP), 0, 0),
        header_style="dim",
        show_header=any(column.title for column in columns),
    )
    for index, column in enumerate(columns):
        table.add_column(
            _cut_title(column.title, widths[index]),
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis" if column.cut else "crop",
            width=widths[index],
        )
    for row in rows:
        table.add_row(
            *(
                Text(cell, style=column.color if column.color and cell not in _NOTHING else "")
                for cell, column in zip(row, columns, strict=True)
            )
        )
    return table


def _cut_title(title: str, width: int) -> str:
    # rich 13.7 does not cut titles.
    return title if len(title) <= width else f"{title[: width - 1]}…"


def _least(index: int, column: Column, rows: Sequence[Sequence[str]]) -> int:
    widest = _widest(index, column, rows)
    return min(_CUT_WIDTH, widest) if column.cut else widest


def _widest(index: int, column: Column, rows: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    return max([len(column.title), *(cell_len(row[index]) for row in rows)])
