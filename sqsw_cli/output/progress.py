"""How far something is, on stderr where that is a terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A bar where the end is known, else a count; nothing where nobody looks."""

    def __init__(self, what: str, *, shown: bool, color: bool) -> None:
        self._what = what
        self._shown = shown
        self._color = color
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def at(self, completed: int, total: int | None = None) -> None:
        if not self._shown or total == 0:  # a bar of nothing says nothing
            return
        if self._progress is None or self._task is None:
            self._progress = self._make(total)
            self._task = self._progress.add_task(self._what, total=total)
            self._progress.start()
        self._progress.update(self._task, completed=completed, total=total)

    def _make(self, total: int | None) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns: list[TextColumn | BarColumn | TimeRemainingColumn] = [
            TextColumn("{task.description}", markup=False)
        ]
        if total is None:
            columns.append(TextColumn("{task.completed:,}"))
        else:
            columns += [
                BarColumn(),
                TextColumn("{task.completed:,} of about {task.total:,}"),
                TimeRemainingColumn(compact=True),
            ]
        console = Console(stderr=True, no_color=not self._color)
        return Progress(*columns, console=console, transient=True)
