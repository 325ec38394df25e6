"""Entry points of installed packages, wherever they are installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CODE = (
    "import sys\n"
    "from sqsw.core.entry_points import entry_points_of\n"
    "print(*[point.name for point in entry_points_of('acme.things')])\n"
    "print('importlib_metadata' in sys.modules)"
)
TEXT = "[acme.things]\nb = os:path\na = os:sep\n"


def found_in(place: Path) -> list[str]:
    """Return the names found on this path, and whether importlib_metadata was imported."""
    code = f"import sys; sys.path.append({str(place)!r})\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("folder", ["acme-1.0.dist-info", "acme.egg-info"])
def test_entry_points_are_sorted_by_name_wherever_their_file_is(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (tmp_path / folder / "entry_points.txt").write_text(TEXT)
    assert found_in(tmp_path) == ["a b", "True"]


def test_entry_points_in_an_archive_are_found(tmp_path: Path) -> None:
    archive = tmp_path / "acme.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\n")
        file.writestr("acme-1.0.dist-info/entry_points.txt", TEXT)
    assert found_in(archive) == ["a b", "True"]


def test_if_no_package_has_the_group_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "broken-1.0.dist-info").write_text("a file, where a directory is usual")
    (tmp_path / "none-1.0.dist-info").mkdir()
    assert found_in(tmp_path) == ["", "False"]
    assert found_in(tmp_path / "nothing") == ["", "False"]
