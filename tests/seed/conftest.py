"""SQS servers for the examples of the README of sqs-workers, which use a bare ``SQSEnv()``."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.message import Message
from sqsw.memory_sqs import LocalSession
from sqsw.queue.generic import GenericQueue
from sqsw.sqs_env import SQSEnv
from tests.backends import Backend, Server, wait_until
from tests.conftest import BACKENDS

#: where the examples about queues run; no variable can select ``memory``
PLACES = ("file", "moto", "elasticmq")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" not in metafunc.fixturenames:
        return
    chosen = [*(metafunc.config.getoption("backend") or PLACES)]
    if "aws" in str(metafunc.config.getoption("keyword") or "").split():
        chosen.append("aws")
    if "server" in metafunc.fixturenames:
        chosen = [name for name in chosen if name != "file"]
    metafunc.parametrize(
        "place",
        [
            pytest.param(name, id=name, marks=[pytest.mark.localstack] * (name == "elasticmq"))
            for name in dict.fromkeys(chosen)
            if name != "memory"
        ],
        indirect=True,
    )


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    nothing_from_outside: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Backend]:
    """Prepare an SQS that a bare ``SQSEnv()`` finds, with unique queue names."""
    found: Backend = request.config.stash[BACKENDS][request.param]
    request.getfixturevalue("started_backends")
    found.start()
    monkeypatch.setenv("SQSW_QUEUE_PREFIX", f"seed{uuid.uuid4().hex[:12]}_")
    if isinstance(found, Server):
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", found.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        # moto knows only the regions of AWS, and ElasticMQ has its own.
        region = "us-east-1" if found.name == "moto" else "elasticmq"
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    elif found.name == "file":
        monkeypatch.setenv("SQSW_LOCAL", str(tmp_path / "local.db"))
    made: list[LocalSession] = []
    init = LocalSession.__init__

    def remembered(self: LocalSession, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(self)

    # The examples close nothing. An open database file is a warning, which is an error in tests.
    monkeypatch.setattr(LocalSession, "__init__", remembered)
    yield found
    if found.name == "aws":
        env = SQSEnv()
        for name in env.get_all_known_queues():
            env.sqs_client.delete_queue(QueueUrl=env.queue_client(name).url)
    for session in made:
        session.close()


def work(sqs: SQSEnv, queue_name: str, count: int) -> tuple[int, int]:
    """Run batches until this many jobs have ended; return how many succeeded and failed."""
    succeeded = failed = 0
    for _ in range(count + 5):
        if succeeded + failed < count:
            result = sqs.process_batch(queue_name, wait_seconds=1)
            succeeded += result.succeeded_count()
            failed += result.failed_count()
    return succeeded, failed


def receive(queue: GenericQueue, count: int) -> list[Message]:
    """Receive until this many messages have arrived, and delete them."""
    found: list[Message] = []
    for _ in range(count + 5):
        if len(found) < count:
            messages = queue.get_raw_messages(wait_seconds=1)
            if messages:
                queue.client.delete_batch(messages)
            found += messages
    return found


class Script:
    """A running program of a user."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        """Return its output and log so far."""
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until the program has printed this."""
        wait_until(
            lambda: text in self.output or self._process.poll() is not None,
            30,
            f"{text!r} in {self.output!r}",
        )
        assert text in self.output

    def ask_to_stop(self) -> None:
        """Send the signal that ends workers."""
        self._process.send_signal(signal.SIGTERM)

    def wait_for_end(self, nudge: Callable[[], object]) -> int:
        """Wait until the program has ended; return its exit status.

        A worker waits up to 20 seconds for its open receive. ``nudge`` sends a message to end it.
        """

        def ended() -> bool:
            nudge()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
            return self._process.returncode is not None

        wait_until(ended, 30, f"the end of the program, which has said {self.output!r}")
        return self._process.returncode


@pytest.fixture
def run_script(tmp_path: Path) -> Iterator[Callable[[str], Script]]:
    """Start a program: ``run_script(text)``."""
    started: list[subprocess.Popen[bytes]] = []

    def run(text: str) -> Script:
        path = tmp_path / f"script_{len(started)}.py"
        path.write_text(text)
        log = path.with_suffix(".log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-u", str(path)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        started.append(process)
        return Script(process, log)

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(10)
