"""Every block of the README that is code runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- (file: (?P<file>\S+)|shell|python) -->\n```\w+\n(?P<text>.*?)```", re.S)


@pytest.fixture
def blocks() -> list[tuple[str, str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [(m.group(2) or m.group(1), m.group("text")) for m in BLOCK.finditer(text)]
    assert len(found) == text.count("```") // 2, "a code block of the README is not run"
    return found


def run(command: list[str], directory: Path) -> str:
    finished = subprocess.run(
        command,
        cwd=directory,
        env={
            **os.environ,
            "PATH": f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            "SQSW_LOCAL": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def test_every_code_block_of_the_readme_runs(blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sqsw"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sqsw_cli "$@"\n')
    command.chmod(0o755)
    outputs: list[str] = []
    for what, text in blocks:
        if what == "shell":
            outputs.append(run(["bash", "-euc", text], tmp_path))
        elif what == "python":
            outputs.append(run([sys.executable, "-c", text], tmp_path))
        else:
            file = tmp_path / what
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    assert "sending 'Hello' to ann@example.com" in "".join(outputs)
