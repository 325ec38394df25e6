"""Watched source files: what counts as a change, and when it is reported."""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sqsw.core.events import SourcesLoaded
from sqsw.supervisor import reload
from sqsw.supervisor.reload import SourceTeller, SourceWatch
from tests.unit.worker.doubles import ManualClock


class Kit:
    """A watch on one directory, with a manual clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.save("tasks.py", "1")
        self.watch = SourceWatch(self.clock)

    def save(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def look(self) -> list[str]:
        """Return what the next check reports."""
        self.clock.advance(self.watch.look_at - self.clock())
        return self.watch.changes()

    def looks(self) -> list[str]:
        """Return what is reported after changes have settled."""
        return self.look() or self.look()


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.chdir(tmp_path)
    return Kit(tmp_path)


def test_without_changes_nothing_is_reported(kit: Kit) -> None:
    assert kit.looks() == []


CHANGES: dict[str, Callable[[Kit], object]] = {
    "saved": lambda kit: kit.save("tasks.py", "12"),
    "new": lambda kit: kit.save("other.py", "1"),
    "deleted": lambda kit: (kit.folder / "tasks.py").unlink(),
    "replaced": lambda kit: kit.save("swap", "2").rename(kit.folder / "tasks.py"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_reported_once(kit: Kit, change: str) -> None:
    CHANGES[change](kit)
    assert kit.looks() == ["other.py" if change == "new" else "tasks.py"]
    assert kit.looks() == []


@pytest.mark.parametrize("name", [".#tasks.py", "tasks.py~", "4913", "my-notes.py", "notes.txt"])
def test_changes_to_other_files_are_ignored(kit: Kit, name: str) -> None:
    kit.save(name, "x")
    assert kit.looks() == []


def test_consecutive_changes_count_as_one(kit: Kit) -> None:
    for text in ("12", "123", "1234"):
        kit.save("tasks.py", text)
        assert kit.look() == []
    kit.save("other.py", "1")
    assert kit.look() == []
    assert kit.look() == ["other.py", "tasks.py"]


def test_files_are_not_checked_before_the_next_check_is_due(kit: Kit) -> None:
    kit.look()
    kit.save("tasks.py", "12")
    kit.clock.advance(0.4)
    assert kit.watch.changes() == []
    kit.clock.advance(0.2)
    assert kit.watch.changes() == []  # noticed; it is reported after it has settled
    assert kit.look() == ["tasks.py"]


def test_directories_added_later_are_watched(kit: Kit) -> None:
    path = kit.save("package/jobs.py", "1")
    os.utime(path, (1, 1))
    kit.watch.add([str(path.parent)])
    assert kit.looks() == []
    kit.save("package/jobs.py", "12")
    assert kit.looks() == [os.path.join("package", "jobs.py")]


def test_a_file_saved_while_the_app_loaded_counts_as_changed(kit: Kit) -> None:
    path = kit.save("package/jobs.py", "1")
    os.utime(path, (time.time() + 1, time.time() + 1))
    kit.watch.add([str(path.parent)])
    assert kit.looks() == [os.path.join("package", "jobs.py")]
    assert kit.looks() == []


def test_bytecode_of_the_same_second_is_not_reused(kit: Kit) -> None:
    compiled = Path(importlib.util.cache_from_source(str(kit.folder / "tasks.py")))
    compiled.parent.mkdir()
    compiled.write_bytes(b"old")
    kit.save("tasks.py", "2")
    assert kit.looks() == ["tasks.py"]
    assert not compiled.exists()


def test_checks_take_a_limited_share_of_the_time(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    look = reload._sources_in

    def slowly(directory: str) -> object:
        kit.clock.advance(0.1)  # like a very large app
        return look(directory)

    monkeypatch.setattr(reload, "_sources_in", slowly)
    kit.look()
    assert kit.watch.look_at - kit.clock() == pytest.approx(25)


def test_a_child_reports_its_directories_without_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[SourcesLoaded] = []
    tell = SourceTeller(told.append)  # type: ignore[arg-type]  # it publishes nothing else
    tell()
    directories = {each for event in told for each in event.directories}
    assert not any("site-packages" in each.split(os.sep) for each in directories)
    assert os.path.dirname(str(json.__file__)) not in directories
    assert os.path.dirname(reload.__file__) not in directories

    module, package = ModuleType("mine.jobs"), ModuleType("mine")
    module.__file__ = str(tmp_path / "here" / "jobs.py")
    package.__path__ = [str(tmp_path / "there")]
    monkeypatch.setitem(sys.modules, "mine.jobs", module)
    monkeypatch.setitem(sys.modules, "mine", package)
    told.clear()
    tell()
    assert told == [SourcesLoaded((str(tmp_path / "here"), str(tmp_path / "there")))]
    tell()
    assert len(told) == 1
