"""Every block of code in the README and in docs/ runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed import needs_plugin

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- (file: (?P<file>\S+)|shell|python) -->\n```\w+\n(?P<text>.*?)```", re.S)
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```" in path.read_text(encoding="utf-8")
]
#: what a reader has set before the first block
ENVIRONMENT = {"README.md": {"SQSW_LOCAL": "1"}}
#: what a page says will be printed
OUTPUT = {
    "README.md": "sending 'Hello' to ann@example.com",
    "docs/embedded-sqs.md": "http://127.0.0.1:",
    "docs/testing.md": "8 passed",
}


def blocks_of(page: str) -> list[tuple[str, str]]:
    """What each block is, and its text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(m.group(2) or m.group(1), m.group("text")) for m in BLOCK.finditer(text)]
    assert len(found) == text.count("```") // 2, f"a code block of {page} is not run"
    return found


def run(command: list[str], directory: Path, environment: dict[str, str]) -> str:
    finished = subprocess.run(
        command,
        cwd=directory,
        env={
            **os.environ,
            "PATH": f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=needs_plugin if page == "docs/testing.md" else ()) for page in PAGES],
)
def test_every_code_block_runs(page: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name, what in (("sqsw", "-m sqsw_cli"), ("pytest", "-m pytest"), ("python", "")):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n')
        command.chmod(0o755)
    environment = ENVIRONMENT.get(page, {})
    outputs: list[str] = []
    for what, text in blocks_of(page):
        if what == "shell":
            outputs.append(run(["bash", "-euc", text], tmp_path, environment))
        elif what == "python":
            outputs.append(run([sys.executable, "-c", text], tmp_path, environment))
        else:
            file = tmp_path / what
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    assert OUTPUT.get(page, "") in "".join(outputs)
