"""Detect changes in the source files of an app.

1. report  (a child sends the directories that its modules were loaded from)
2. poll    (the supervisor checks the ``.py`` files there twice a second)
3. settle  (files saved shortly after each other count as one change)

Polling needs no dependency, works on every file system, and also finds new and deleted files.
"""

import importlib.util
import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import ModuleType

from sqsw.core.contracts import Clock
from sqsw.core.events import Event, SourcesLoaded

#: seconds between two checks, normally and after a change
_LOOK_SECONDS, _SETTLE_SECONDS = 0.5, 0.2

#: maximum share of time for checks, even for a large app
_LARGEST_PART = 0.004

#: directories of installed packages, which are not watched because they do not change
_INSTALLED = ("site-packages", "dist-packages")

#: modification time in nanoseconds, and size
_Stamp = tuple[int, int]


class SourceWatch:
    """A watch on the ``.py`` files of some directories, including the current directory."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[str, dict[str, _Stamp]] = {}
        self._changed: set[str] = set()
        self.look_at = clock() + _LOOK_SECONDS
        self.restart()
        self._here = os.getcwd()
        self.add([self._here])

    def restart(self) -> None:
        """Treat files saved from now on as changes, also in directories that are added later."""
        self._changed = set()
        self._since = time.time_ns()

    def add(self, directories: Iterable[str]) -> None:
        for directory in directories:
            if directory not in self._files:
                files = self._files[directory] = dict(_sources_in(directory))
                # These were saved before the first check, but after the worker began to load.
                self._changed |= {path for path, (at, _) in files.items() if at > self._since}

    def changes(self) -> list[str]:
        """Check if it is due; return the changed files once no more files change."""
        begin = self._clock()
        if begin < self.look_at:
            return []
        changed = {path for directory in self._files for path in self._changes_in(directory)}
        self._changed |= changed
        is_settling = bool(changed)
        least = _SETTLE_SECONDS if is_settling else _LOOK_SECONDS
        now = self._clock()
        self.look_at = now + max(least, (now - begin) / _LARGEST_PART)
        if is_settling or not self._changed:
            return []
        found = sorted(self._changed)
        self.restart()
        for path in found:
            # A bytecode file records only the second and size of its source, so Python could run
            # the old bytecode if the source was saved twice in one second.
            with suppress(OSError, NotImplementedError):
                os.unlink(importlib.util.cache_from_source(path))
        return [path.removeprefix(self._here + os.sep) for path in found]

    def _changes_in(self, directory: str) -> set[str]:
        before = self._files[directory]
        now = self._files[directory] = dict(_sources_in(directory))
        return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}


def _sources_in(directory: str) -> Iterator[tuple[str, _Stamp]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:  # removed, perhaps only for a moment
        return
    for entry in entries:
        # Editors put temporary files with other names next to the saved files.
        if entry.name.endswith(".py") and entry.name[:-3].isidentifier():
            with suppress(OSError):  # just removed
                state = entry.stat()
                yield entry.path, (state.st_mtime_ns, state.st_size)


class SourceTeller:
    """A listener in a child that sends the app's directories; called at each pulse."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._modules = 0
        self._told: set[str] = set()

    def __call__(self, event: object = None) -> None:
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            new = set(_directories()) - self._told
            self._told |= new
            if new:
                self._tell(SourcesLoaded(tuple(sorted(new))))


def _directories() -> Iterator[str]:
    """Yield the directories that the app's modules were, or can be, imported from."""
    standard = sysconfig.get_path("stdlib")
    found = {path for path in map(os.path.abspath, sys.path) if os.path.isdir(path)}
    for module in list(sys.modules.values()):
        found.update(_places_of(module))
    for place in found:
        inside = place == standard or place.startswith(standard + os.sep)
        if not inside and not any(part in place.split(os.sep) for part in _INSTALLED):
            yield place


def _places_of(module: ModuleType) -> Iterator[str]:
    name = getattr(module, "__name__", "")
    if not isinstance(name, str) or name.partition(".")[0] in ("sqsw", "sqsw_cli"):
        return
    file = getattr(module, "__file__", None)
    if isinstance(file, str) and file.endswith(".py"):
        yield os.path.dirname(os.path.abspath(file))
    elif file is None:  # a namespace package
        with suppress(Exception):  # sys.modules can contain objects that are not modules
            yield from map(os.path.abspath, getattr(module, "__path__", ()))
