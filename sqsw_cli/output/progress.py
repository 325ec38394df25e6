"""Progress on stderr, if it is a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqsw_cli.output.format import clock, thousands

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class Bar:
    """A progress bar if the total is known, else a count.

    Parameters
    ----------
    what :
        The text before the bar.
    shown, color :
        Whether to show the bar, and whether to use color.
    """

    def __init__(self, what: str, *, shown: bool, color: bool) -> None:
        self._what = what
        self.shown = shown
        self._color = color
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the bar while something else is written to the terminal."""
        progress = self._progress
        if progress is None:
            yield
            return
        progress.stop()
        try:
            yield
        finally:
            progress.start()

    def at(self, completed: int, total: int | None = None) -> None:
        if not self.shown or total == 0:  # there is nothing to show
            return
        self._update(thousands(completed), completed, total)

    def looked_at(self, count: int, total: int | None, outcome: str) -> None:
        """Show how many messages of a queue were looked at, their outcome, and the time."""
        if self.shown:
            of = "" if total is None else f" of about {thousands(max(count, total))}"
            self._update(f"looked at {thousands(count)}{of} · {outcome} ·")

    def _update(self, text: str, completed: int = 0, total: int | None = None) -> None:
        if self._progress is None or self._task is None:
            self._progress = self._make(total)
            self._task = self._progress.add_task(self._what, total=total, text=text)
            self._progress.start()
        self._progress.update(self._task, completed=completed, total=total, text=text)

    def _make(self, total: int | None) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if total is None:
            columns += [TextColumn("{task.fields[text]}", markup=False), _elapsed_column()]
        else:
            columns += [
                BarColumn(),
                TextColumn("{task.completed:,} of about {task.total:,}"),
                TimeRemainingColumn(compact=True),
            ]
        console = Console(stderr=True, no_color=not self._color)
        return Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )


def _elapsed_column() -> "ProgressColumn":
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Elapsed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(clock(task.elapsed or 0))

    return Elapsed()
