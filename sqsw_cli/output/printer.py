"""Print results as tables for people, lines for pipes or JSON for programs.

Results go to stdout, everything else to stderr. rich is imported only to draw something.
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

#: minimum width of a shortened column, in cells
_CUT_WIDTH = 16

#: characters of a queue name next to its progress
_NAME = 24

#: cells that need no color
_NOTHING = ("", "0", "?", "none")

#: maximum characters in a cell, more than any terminal is wide
_CELL_LENGTH = 1_000


class Column(NamedTuple):
    """A column of a table.

    If a table is too wide, columns with ``cut`` are shortened first, at their end. Then text in the
    other columns is cut in the middle, to at least ``least`` cells, and then columns are left out,
    but never the first one and those with ``keep``. Numbers are never cut. ``color`` is for numbers
    above 0.
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
            # UTF-8 in any locale; a replacement for stdout can lack the method.
            with suppress(AttributeError):
                sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # see above

    def finish_when_gone(self) -> None:
        """Continue and set ``gone`` if the reader of stdout exits; for commands that change queues.

        Without this, the command ends at once.
        """
        self._finishes = True

    # -- data, on stdout ---------------------------------------------------------------------

    def json(self, kind: str, values: Mapping[str, Any]) -> None:
        """Print one JSON object with all keys of its type."""
        self._write(json_line(record(kind, values)))

    def plain(self, kind: str, *fields: object) -> None:
        """Print one line of this kind with fields separated by tabs; None is an empty field."""
        pairs = zip(LINES[kind].columns, fields, strict=True)
        self._write("\t".join("" if field is None else safe(str(field)) for _, field in pairs))

    def say(self, text: str = "") -> None:
        self._write(safe(text))

    def tell(self, text: str) -> None:
        """Print a line for a person, wrapped between words."""
        self._write(wrapped(safe(text), columns_of(sys.stdout), hanging=2))

    def done(self, text: str) -> None:
        self.signed("✓", "green", text)

    def signed(self, sign: str, shade: str | None, text: str) -> None:
        """Print a line after a sign; the text must make sense without the sign."""
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
            if column.cut:  # it gets the remaining width
                longest = _widest(index, column, rows)
                widths[index] += max(
                    0, min(console.width - _width(widths), longest - widths[index])
                )
        # The terminal wraps a name that is still too long. Before version 15, rich counts the
        # padding after the last column, which is not written.
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
            # click flushes each line, because the reader can be waiting for it.
            with self._bar.hidden() if self.terminal else nullcontext():
                click.echo(line, color=True)
        except BrokenPipeError as error:
            self.gone = True
            if not self._finishes:
                raise ConsumerGone from error
        except OSError as error:
            raise CannotWrite(error) from error

    # -- notes, on stderr --------------------------------------------------------------------

    def note(self, text: str) -> None:
        if not self._quiet and not self.as_json:
            # Align wrapped lines with the text after a title, as in the banner of a worker.
            title = re.match(r" +\S+ {2,}", text)
            hanging = 0 if title is None else len(title[0])
            with self._bar.hidden():
                echo_on_stderr(wrapped(safe(text), columns_of(sys.stderr), hanging))

    def next(self, command: str) -> None:
        """Suggest the next command, only on a terminal."""
        if self.terminal:
            self.note("")
            self.note(f"next: {command}")

    def warn(self, message: str, why: str | None = None, next: str | None = None) -> None:
        color = not self.as_json and wants_color(sys.stderr, self._color)
        with self._bar.hidden():
            echo_on_stderr(block("warning", message, why, next, color=color), color=color)

    def advise(self, message: str, why: str | None = None, next: str | None = None) -> None:
        """Warn about something that can be intended; ``--quiet`` hides it."""
        if not self._quiet:
            self.warn(message, why, next)

    def progress(self, what: str) -> Bar:
        """Return a progress bar on stderr, which is shown only on a terminal."""
        shown = not self._quiet and not self.as_json and is_terminal(sys.stderr)
        self._bar = Bar(safe(what), shown=shown, color=wants_color(sys.stderr, self._color))
        return self._bar

    def progress_of_pass(self, queue: str) -> Bar:
        """Return a progress bar for a pass over a queue; its line fits into 80 columns."""
        return self.progress(f"{cut_middle(queue, _NAME)}:")


def cut_middle(text: str, width: int) -> str:
    """Cut a text in the middle to fit a width: long names often differ only at their ends."""
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
