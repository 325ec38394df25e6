"""mypy reports exactly the errors that the comments in the files next to this one expect.

``# E: text`` after a line means that mypy reports this error. It accepts all other lines.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CASES = sorted(
    path for path in HERE.glob("*.py") if path.name not in ("__init__.py", "test_types.py")
)
ANSWER = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)$")


@pytest.fixture(scope="module")
def said(pytestconfig: pytest.Config) -> dict[str, dict[int, list[str]]]:
    """Run mypy; return its errors by file and line."""
    assert pytestconfig.cache is not None
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy"),
            *("--config-file", "", "--strict", "--python-version", "3.11"),
            *("--no-error-summary", "--hide-error-context", "--no-pretty"),
            *("--cache-dir", str(pytestconfig.cache.mkdir("mypy"))),
            *(str(path.relative_to(ROOT)) for path in CASES),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, dict[int, list[str]]] = {path.name: {} for path in CASES}
    for line in done.stdout.splitlines():
        answer = ANSWER.match(line)
        if answer:
            lines = found.setdefault(Path(answer["file"]).name, {})
            lines.setdefault(int(answer["line"]), []).append(answer["text"])
    return found


def test_there_are_files() -> None:
    assert {path.stem for path in CASES} >= {"face", "queues", "registry", "tasks"}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_mypy_refuses_exactly_the_marked_lines(
    path: Path, said: dict[str, dict[int, list[str]]]
) -> None:
    wanted = {
        number: line.partition("# E: ")[2].strip()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "# E: " in line
    }
    errors = said[path.name]
    for number in sorted({*wanted, *errors}):
        place = f"{path.name}:{number}"
        assert number in wanted, f"{place}: mypy refuses it: {errors[number]}"
        assert number in errors, f"{place}: mypy accepts it"
        assert any(wanted[number] in text for text in errors[number]), f"{place}: {errors[number]}"


def test_mypy_reports_no_errors_in_other_files(said: dict[str, dict[int, list[str]]]) -> None:
    assert set(said) == {path.name for path in CASES}
