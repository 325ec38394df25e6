"""A command that loads no app runs no code from the current directory."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.life.serving import environment

#: the code of every hostile module, which records that it ran
TELL = "open({!r}, 'a').write(__name__ + '\\n')\n"
#: modules that commands, completion and their child processes import
NAMES = ("boto3", "botocore", "json", "queue", "struct", "click", "structlog", "sqsw_cli", "sqsw")


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Create hostile modules in ``here``; return the file that records which of them ran."""
    here = tmp_path / "here"
    here.mkdir()
    told = tmp_path / "told"
    text = TELL.format(str(told))
    for name in NAMES:
        (here / name).mkdir()
        (here / name / "__init__.py").write_text(text)
    for name in ("renew_queue_names", "__main__", "main"):
        (here / "sqsw_cli" / f"{name}.py").write_text(text)
    return told


def run(told: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run ``sqsw`` as installed: a script whose directory comes first on ``sys.path``."""
    script = told.parent / "sqsw"
    script.write_text("from sqsw_cli.main import run\nrun()\n")
    env = {**environment(), "XDG_CACHE_HOME": str(told.parent / "cache"), **variables}
    return subprocess.run(
        [sys.executable, str(script), *words],
        cwd=told.parent / "here",
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("place", [{"SQSW_LOCAL": "1"}, {"SQSW_LOCAL": ""}])
def test_commands_import_nothing_from_the_current_directory(
    told: Path, place: dict[str, str]
) -> None:
    # Without SQSW_LOCAL, they load boto3 and then fail, because no server listens.
    remote = {
        "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9",
        "AWS_REGION": "local",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for words in (
        "--help",
        "create-queue q --dlq dead",
        "send q job a=1",
        "send q --raw x",
        "inspect q",
        "inspect q --peek 1",
        "redrive dead --yes",
        "purge q --yes",
        "delete-queue q --yes",
        "serve --print-env",
        "completion bash",
    ):
        ran = run(told, *words.split(), **remote, **place)
        assert not told.exists(), (words, told.read_text(), ran)
        assert "unexpected" not in ran.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_imports_nothing_from_the_current_directory(told: Path, shell: str) -> None:
    line = "sqsw purge "
    words = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": ""},
        "zsh": {"COMP_WORDS": line, "COMP_CWORD": "2"},
        "fish": {"COMP_WORDS": line, "COMP_CWORD": ""},
    }[shell]
    ran = run(
        told,
        _SQSW_COMPLETE=f"{shell}_complete",
        SQSW_LOCAL="",
        AWS_REGION="eu-west-1",
        AWS_ENDPOINT_URL_SQS="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
        AWS_MAX_ATTEMPTS="1",
        **words,
    )
    assert ran.returncode == 0, ran
    assert list((told.parent / "cache" / "sqsw").glob("asked-*")), "a child process was asked"
    time.sleep(1)  # it can live longer than its parent
    assert not told.exists(), told.read_text()


def test_python_m_imports_nothing_from_the_current_directory(told: Path) -> None:
    """``python -m`` itself imports ``sqsw_cli`` from there; ``sqsw_cli`` imports nothing else."""
    os.rename(told.parent / "here" / "sqsw_cli", told.parent / "here" / "other")
    os.rename(told.parent / "here" / "sqsw", told.parent / "here" / "another")
    for words in ("create-queue q", "send q --raw x", "purge q --yes"):
        ran = subprocess.run(
            [sys.executable, "-m", "sqsw_cli", *words.split()],
            cwd=told.parent / "here",
            env={**environment(), "SQSW_LOCAL": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran
        assert not told.exists(), told.read_text()
