"""Start the clients that ``.ci/clients.sh`` installs, and check their results."""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.backends import wait_until
from tests.life.serving import ROOT, Serving

CLIENTS = ROOT / ".ci" / "cache" / "clients"
APPS = Path(__file__).parent / "apps"
#: the key for signed requests, with characters that must be escaped
KEY = ("AKID", "se/cr+et=")
KEY_OF_SERVER = dict(zip(("SQSW_SERVE_ACCESS_KEY", "SQSW_SERVE_SECRET_KEY"), KEY, strict=True))
#: seconds for any step of another program, on a busy machine
PATIENCE = 60.0


def fetched(path: str) -> str:
    """Return a file that ``.ci/clients.sh`` installs; skip the test if it is missing."""
    found = CLIENTS / path
    if not found.exists():
        pytest.skip(f"{path} is not installed: run .ci/clients.sh")
    return str(found)


def installed(name: str) -> str:
    """Return a program of this machine; skip the test if it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def environment(server: Serving, key: tuple[str, str] = ("local", "local")) -> dict[str, str]:
    """Return the variables that point a client to this server."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return variables | {
        "AWS_ENDPOINT_URL_SQS": server.url,
        "AWS_REGION": "local",
        "AWS_DEFAULT_REGION": "local",
        "AWS_ACCESS_KEY_ID": key[0],
        "AWS_SECRET_ACCESS_KEY": key[1],
    }


class Program:
    """A process that has its own children."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, lines: Path, count: int) -> None:
        """Wait until this many lines are written; if they are not, fail with the program's log."""

        def is_done() -> bool:
            assert self._process.poll() is None, self.log
            return len(read_lines(lines)) >= count

        try:
            wait_until(is_done, PATIENCE, f"{count} lines in {lines.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {read_lines(lines)}\n{self.log}") from None

    def terminate(self, saying: str = "") -> None:
        """Send SIGTERM, and wait until the program logs that it is ending."""
        self._process.send_signal(signal.SIGTERM)
        wait_until(lambda: saying in self.log, PATIENCE, f"{saying!r} in {self._log.name}")

    def wait(self) -> int:
        """Return the exit code."""
        return self._process.wait(PATIENCE)


@contextmanager
def running(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], name: str = "program"
) -> Iterator[Program]:
    """Run a program in the background."""
    log = cwd / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Program(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """Run a program that must succeed; return its output."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_lines(path: Path) -> list[str]:
    """Return the lines that the jobs wrote."""
    return path.read_text().splitlines() if path.exists() else []


def assert_each_once(done: list[str], expected: list[str]) -> None:
    """Assert that each job ran exactly once."""
    assert Counter(done) == dict.fromkeys(expected, 1)


def count_left(client: Any, name: str) -> int:
    """Return the number of messages in this queue, in any state."""
    states = ("", "Delayed", "NotVisible")
    counts = client.get_queue_attributes(
        QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"],
        AttributeNames=[f"ApproximateNumberOfMessages{state}" for state in states],
    )["Attributes"]
    assert len(counts) == len(states)
    return sum(map(int, counts.values()))


def assert_empty(client: Any, *names: str) -> None:
    """Assert that these queues are empty."""
    assert {name: count_left(client, name) for name in names} == dict.fromkeys(names, 0)
