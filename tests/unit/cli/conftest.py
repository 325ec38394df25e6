"""The command line, in this process and as a separate process, in its own directory."""

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from sqsw_cli.main import cli

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "docs" / "schemas"

TASKS = """
import logging

from sqsw.sqs_env import SQSEnv

env = SQSEnv()
log = logging.getLogger(__name__)


@env.processor("emails", "send_email")
def send_email(to, subject, body=""):
    log.info("sending")


@env.processor("emails", "fail")
def fail():
    raise ValueError("no such address")


@env.processor("slow", "sleep")
def sleep(n):
    import time
    time.sleep(n)
"""


@cache
def validator(kind: str) -> Draft202012Validator:
    """Return a validator for the published schema of a type of object."""
    schema = json.loads((SCHEMAS / f"{kind}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def valid(values: dict[str, Any]) -> dict[str, Any]:
    """Return an object that a command printed, after checking it against its schema."""
    validator(values["type"]).validate(values)
    return values


@dataclass
class Ran:
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Return the JSON objects on stdout, each checked against its schema."""
        return [valid(json.loads(line)) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """Return the JSON object at the end of stderr."""
        return valid(json.loads(self.err.splitlines()[-1]))


class Sqsw:
    """Calls ``sqsw`` with words, or with one text as a user would type it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def words(self, call: tuple[str, ...]) -> list[str]:
        """``("send emails x",)`` and ``("send", "emails", "x")`` are the same."""
        return shlex.split(call[0]) if len(call) == 1 else list(call)

    def __call__(self, *call: str, input: str | None = None) -> Ran:
        """Run in this process, which is fast. Do not use it if signals or terminals matter."""
        try:
            runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]  # click before 8.2
        except TypeError:
            runner = CliRunner()
        result = runner.invoke(cli, self.words(call), input=input)
        return Ran(result.exit_code, result.stdout, result.stderr)

    def command(self, *call: str) -> list[str]:
        """Return the command line for a process."""
        return [sys.executable, "-m", "sqsw_cli", *self.words(call)]

    def process(
        self, *call: str, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run as a separate process."""
        done = subprocess.run(
            self.command(*call),
            input=input if input is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **(env or {})},
            # Without a terminal, even if the tests run on one.
            start_new_session=True,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *call: str) -> "subprocess.Popen[str]":
        """Start a process that keeps running."""
        return subprocess.Popen(
            self.command(*call),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def env(self) -> SQSEnv:
        """Return an environment on the same queues."""
        return SQSEnv(LocalSession(self.home / "local.db"))

    def visible(self, queue: str) -> int:
        """Return the number of messages that can be received."""
        name = "ApproximateNumberOfMessages"
        return int(self.env.queue_client(queue).attributes(name)[name])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create an empty directory with a local file and an app in ``myapp.tasks``, and work in it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SQSW_")) or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "local.db"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "myapp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text("")
    (package / "tasks.py").write_text(TASKS)
    return tmp_path


@pytest.fixture
def sqsw(home: Path) -> Iterator[Sqsw]:
    """Return ``sqsw`` in that directory, and undo what calls change in this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    path, modules = sys.path[:], set(sys.modules)
    yield Sqsw(home)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("myapp", "acme_")):
            del sys.modules[name]


def write_plugin(
    home: Path, name: str, entry_points: str, module: str, version: str = "2.1"
) -> None:
    """Write a distribution that looks installed to the reader of entry points."""
    info = home / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    (home / f"{name.replace('-', '_')}.py").write_text(module)


def lines(words: Sequence[Any]) -> str:
    """Return texts as JSON Lines."""
    return "".join(json.dumps(word) + "\n" for word in words)
