"""``sqsw serve`` as a process, and clients that are not SDKs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[2]


class Serving:
    """A running ``sqsw serve``."""

    def __init__(self, process: "subprocess.Popen[str]", ready: dict[str, Any]) -> None:
        self.process, self.ready = process, ready
        self.url: str = ready["url"]
        self.port: int = ready["port"]

    def client(
        self,
        access_key: str = "local",
        secret_key: str = "local",
        region: str = "local",
        config: Config | None = None,
    ) -> Any:
        return boto3.session.Session(access_key, secret_key, region_name=region).client(
            "sqs", endpoint_url=self.url, config=config
        )

    def page(self, path: str, **params: str) -> str:
        """Return the answer to a GET."""
        query = f"?{urlencode(params)}" if params else ""
        with urlopen(self.url + path + query, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def waiting(self) -> int:
        """Return the number of receives that are waiting."""
        (line,) = (x for x in self.page("/metrics").splitlines() if x.startswith("sqsw_waiting"))
        return int(line.split()[1])

    def connect(self, data: bytes = b"") -> socket.socket:
        """Return a plain connection after sending this on it."""
        url = urlsplit(self.url)
        made = socket.create_connection((url.hostname, self.port), timeout=30)
        made.sendall(data)
        return made

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and the log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, log


def read_answer(connection: socket.socket) -> bytes:
    """Read one answer; return its head and its body."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65536)
        assert part, answer
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
    assert found, head
    while len(body) < int(found[1]):
        part = connection.recv(65536)
        assert part, answer
        body += part
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(
    *options: str,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    descriptors: int | None = None,
) -> Iterator[Serving]:
    """Run ``sqsw serve`` on a free port.

    Parameters
    ----------
    descriptors :
        The maximum number of file descriptors of the process.
    """
    limit = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
    process = subprocess.Popen(
        [*limit, sys.executable, "-m", "sqsw_cli", "serve", "--json", "--port", "0", *options],
        cwd=cwd,
        env={**environment(), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stderr
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield Serving(process, json.loads(line))
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


def environment() -> dict[str, str]:
    """Return variables for a process that runs outside the project's directory."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "SQSW_CONFIG": "none"}


def plain_variables(home: Path, url: str) -> dict[str, str]:
    """Return variables for a process that gets all settings from the environment."""
    kept = {
        name: value
        for name, value in environment().items()
        if not name.startswith(("AWS_", "BOTO")) and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
