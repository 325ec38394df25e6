"""Reports of benchmarks: tables and goals, as text and as JSON."""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import end_with_me

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Figures in rows; a missing figure is None."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def text(self) -> str:
        """Return the table as printed."""
        lines = [[str(column) for column in self.columns]]
        lines += [[shown(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        written = []
        for first, *rest in lines:
            cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
            written.append("  ".join([f"{first:<{widths[0]}}", *cells]))
        return "\n".join(["", self.title, *written])


@dataclass(frozen=True)
class Goal:
    """A goal and its figure; ``is_met`` is None if it was not measured, as without a peer."""

    text: str
    figure: str
    is_met: bool | None


@dataclass
class Report:
    """The results of one benchmark."""

    name: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the tables and notes as printed."""
        return "\n".join([*(table.text() for table in self.tables), *self.notes])


Benchmark = Callable[[argparse.Namespace], Report]


def shown(cell: Cell) -> str:
    """Return a figure with the digits that are significant."""
    if cell is None:
        return "-"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 20 else f"{cell:.2f}"


def median(values: Iterable[float]) -> float | None:
    """Return the median, or None if there are no values."""
    found = list(values)
    return statistics.median(found) if found else None


def ratio(figure: float | None, to: float | None) -> float | None:
    """Return the ratio, or None if one figure was not measured."""
    return figure / to if figure is not None and to else None


def at_least(text: str, ratios: Iterable[tuple[str, float | None]], bound: float) -> Goal:
    """Return a goal that is met if the lowest ratio reaches the bound."""
    found = sorted((figure, name) for name, figure in ratios if figure is not None)
    if not found:
        return Goal(text, "not measured", None)
    lowest, where = found[0]
    missed = sum(figure < bound for figure, _ in found)
    of_all = f", {missed} of {len(found)} below" if missed else ""
    return Goal(text, f"lowest {lowest:.2f} ({where}){of_all}", not missed)


def below(text: str, figures: Iterable[tuple[str, float | None]], bound: float, unit: str) -> Goal:
    """Return a goal that is met if the highest figure is below the bound."""
    found = sorted((figure, name) for name, figure in figures if figure is not None)
    if not found:
        return Goal(text, "not measured", None)
    highest, where = found[-1]
    return Goal(text, f"{highest:.2f} {unit} ({where})", highest < bound)


def goals_text(reports: Sequence[Report]) -> str:
    """Return the summary: every goal, its figure, and whether it is met."""
    words = {True: "met", False: "NOT MET", None: "not measured"}
    rows = [
        [goal.text, words[goal.is_met], goal.figure] for report in reports for goal in report.goals
    ]
    lines = ["", "goals"]
    width = max((len(row[0]) for row in rows), default=0)
    lines += [f"{text:<{width}}  {word:<12}  {figure}" for text, word, figure in rows]
    return "\n".join(lines)


def parser(description: str, only: str = "endpoints") -> argparse.ArgumentParser:
    """Return the options that all benchmarks have."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument(
        "--json", metavar="FILE", type=Path, help="also write all figures to this file"
    )
    made.add_argument("--only", metavar="NAME", nargs="+", default=[], help=f"{only} (all)")
    return made


def finish(reports: Sequence[Report], options: argparse.Namespace) -> None:
    """Print the summary, and write the figures to a file if one is given."""
    print(goals_text(reports))
    print(f"load average {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    if options.json is not None:
        found: list[dict[str, Any]] = [asdict(report) for report in reports]
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main(benchmark: Benchmark, options: argparse.ArgumentParser) -> None:
    """Run one benchmark as a command."""
    end_with_me()
    parsed = options.parse_args()
    report = benchmark(parsed)
    print(report.text())
    finish([report], parsed)
