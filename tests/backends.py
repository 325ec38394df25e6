"""The SQS servers that tests run against: ours, others, and AWS.

``pytest -k NAME`` or ``pytest --backend NAME`` picks one.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config

from sqsw.core.calls import DIRECT_ACTIONS
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.transport.client import ClientSource

#: the directory where .ci/elasticmq.sh installs ElasticMQ
ELASTICMQ_JARS = Path(__file__).parent.parent / ".ci" / "cache" / "elasticmq"

#: the address where the README of sqs-workers expects an SQS server
LOCALSTACK_PORT = 4566


class EndpointSession(boto3.session.Session):
    """A boto3 session that uses another SQS endpoint."""

    def __init__(self, endpoint_url: str, region_name: str) -> None:
        super().__init__(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=region_name
        )
        self.endpoint_url = endpoint_url

    def client(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self.endpoint_url)
        # These servers answer 500 to calls that they do not know, so a retry only takes time.
        kwargs.setdefault("config", Config(retries={"total_max_attempts": 1}))
        return super().client(*args, **kwargs)

    def resource(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self.endpoint_url)
        return super().resource(*args, **kwargs)


class Clock:
    """Lets time pass for a backend: in reality, unless it is our engine in memory."""

    def pass_seconds(self, seconds: float) -> None:
        """Wait until this many seconds have passed."""
        time.sleep(seconds + 0.05)


class EngineClock(Clock):
    """Moves the clock of one of our sessions in this process."""

    def __init__(self, session: MemorySession | LocalSession) -> None:
        self._session = session

    def pass_seconds(self, seconds: float) -> None:
        """Move the clock without waiting."""
        self._session.clock.advance(seconds=seconds)


class Backend(ABC):
    """One kind of SQS."""

    name: str
    #: whether tests can call it directly over HTTP
    is_server = False
    #: whether its clock can be moved, so that minutes and days take no time
    moves_clock = False

    def start(self) -> None:
        """Start the server, if there is one; called once for all tests."""

    def stop(self) -> None:
        """Stop what :meth:`start` started."""

    @abstractmethod
    def session(self, directory: Path) -> Any:
        """Return a session for one test."""

    def clock(self, session: Any) -> Clock:
        """Return the clock of the backend."""
        return Clock()

    def client(self, session: Any) -> Any:
        """Return a client for one test."""
        return session.client("sqs")


class Memory(Backend):
    """The embedded SQS in this process."""

    name = "memory"
    moves_clock = True

    def session(self, directory: Path) -> Any:
        return MemorySession()

    def clock(self, session: Any) -> Clock:
        return EngineClock(session)


class File(Backend):
    """The embedded SQS in a file."""

    name = "file"
    moves_clock = True

    def session(self, directory: Path) -> Any:
        return LocalSession(directory / "local.db")

    def clock(self, session: Any) -> Clock:
        return EngineClock(session)


class Server(Backend):
    """An SQS server in a separate process."""

    is_server = True
    region_name = "us-east-1"

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._session: EndpointSession | None = None

    @abstractmethod
    def command(self, port: int, directory: Path) -> list[str]:
        """Return the command that starts the server on this port."""

    def port(self) -> int:
        """Return the port to listen on."""
        return free_port()

    @property
    def endpoint_url(self) -> str:
        """Return the URL of the server."""
        assert self._session is not None
        return self._session.endpoint_url

    def start(self) -> None:
        if self._session is not None:
            return
        port = self.port()
        directory = Path(os.environ.get("TMPDIR", "/tmp")) / f"sqsw-{self.name}-{os.getpid()}"
        directory.mkdir(exist_ok=True)
        self._directory = directory
        if not answers(port):
            self._process = self.open_process(self.command(port, directory), directory)
            wait_until(lambda: answers(port), 60, f"{self.name} to listen on port {port}")
        self._session = EndpointSession(f"http://127.0.0.1:{port}", self.region_name)

    def open_process(self, command: list[str], directory: Path) -> "subprocess.Popen[bytes]":
        """Start the process, with its output in a file."""
        with (directory / "server.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        if self._session is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def session(self, directory: Path) -> Any:
        return self._session


class ServedClock(Clock):
    """Moves the clock of our server, for all its users."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def pass_seconds(self, seconds: float) -> None:
        """Move the clock without waiting."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{seconds}\n".encode())
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"moved\n"


class Served(Server):
    """The embedded SQS in memory, over HTTP, in a separate process."""

    name = "served"
    moves_clock = True

    def command(self, port: int, directory: Path) -> list[str]:
        return [sys.executable, "-m", "tests.served", str(port)]

    def open_process(self, command: list[str], directory: Path) -> "subprocess.Popen[bytes]":
        with (directory / "server.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parent.parent,
            )

    def clock(self, session: Any) -> Clock:
        assert self._process is not None
        return ServedClock(self._process)

    def stop(self) -> None:
        super().stop()
        for stream in (self._process.stdin, self._process.stdout) if self._process else ():
            assert stream is not None
            stream.close()


class Moto(Server):
    """The mock server of moto."""

    name = "moto"

    def command(self, port: int, directory: Path) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


class ElasticMQ(Server):
    """ElasticMQ, the server that the README of sqs-workers names for its tests."""

    name = "elasticmq"

    def __init__(self, port: int | None = None) -> None:
        super().__init__()
        self._port = port

    def port(self) -> int:
        return self._port or free_port()

    def start(self) -> None:
        # If a server already runs at the expected address, use it.
        if self._port is None or not answers(self._port):
            if shutil.which("java") is None:
                pytest.skip("ElasticMQ needs Java")
            if not ELASTICMQ_JARS.is_dir():
                pytest.skip("ElasticMQ is not installed: run .ci/elasticmq.sh")
        super().start()

    def command(self, port: int, directory: Path) -> list[str]:
        config = directory / "elasticmq.conf"
        config.write_text(
            'include classpath("application.conf")\n'
            "generate-node-address = true\n"
            f'rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", '
            "sqs-limits = strict }\n"
            "rest-stats { enabled = false }\n"
        )
        main = "org.elasticmq.server.Main"
        options = ["-Xmx256m", f"-Dconfig.file={config}", "-cp", f"{ELASTICMQ_JARS}/*"]
        return ["java", *options, main]


class AWS(Backend):
    """SQS itself: costs a little, and needs credentials and a region."""

    name = "aws"

    def session(self, directory: Path) -> Any:
        session = boto3.session.Session()
        if session.get_credentials() is None:
            pytest.skip("AWS needs credentials")
        return session


#: the frequent calls, by method name
_FREQUENT = {xform_name(action): action for action in DIRECT_ACTIONS}


class FrequentCalls:
    """A client that makes the frequent calls without botocore and all others with boto3.

    Parameters
    ----------
    source :
        The source of the calls.
    way :
        The way that every successful call must take.
    """

    def __init__(self, source: ClientSource, way: str) -> None:
        self._source, self._way = source, way

    def __getattr__(self, method: str) -> Any:
        action = _FREQUENT.get(method)
        return getattr(self._source.client, method) if action is None else self._call(action)

    def _call(self, action: str) -> Callable[..., dict[str, Any]]:
        def call(**params: Any) -> dict[str, Any]:
            answer = self._source.call(action, params, "plain")
            assert self._source.way == (self._way, None)
            # Only boto3 adds this metadata, so boto3 made the call, although it succeeds on the
            # tested way.
            assert "ResponseMetadata" not in answer
            return answer

        return call


class Bypassed(Backend):
    """Another backend whose frequent calls bypass botocore; only for the rules of SQS."""

    def __init__(self, base: Backend, way: str) -> None:
        self.base, self._way = base, way
        self._source: ClientSource | None = None
        self.name = f"{base.name}_{way}"
        self.moves_clock = base.moves_clock

    def start(self) -> None:
        self.base.start()

    def session(self, directory: Path) -> Any:
        return self.base.session(directory)

    def clock(self, session: Any) -> Clock:
        return self.base.clock(session)

    def client(self, session: Any) -> Any:
        if not isinstance(self.base, Server):
            return FrequentCalls(ClientSource(session), self._way)
        if self._source is None:
            # A subclass of boto3's session would always use botocore.
            plain = boto3.session.Session("test", "test", region_name=self.base.region_name)
            url = self.base.endpoint_url
            self._source = ClientSource(plain, endpoint_url=url, retry_max_attempts=1)
        return FrequentCalls(self._source, self._way)


def make_backends(localstack: bool) -> dict[str, Backend]:
    """Return all backends by name, not started."""
    elasticmq = ElasticMQ(LOCALSTACK_PORT if localstack else None)
    memory, file, served, moto = Memory(), File(), Served(), Moto()
    bypassed = [
        *(Bypassed(base, "direct") for base in (memory, file)),
        *(Bypassed(base, "wire") for base in (served, moto, elasticmq)),
    ]
    return {b.name: b for b in (memory, file, served, moto, elasticmq, AWS(), *bypassed)}


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return whether a server listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    condition: Callable[[], object], seconds: float = 60, what: str = "what this test is about"
) -> None:
    """Wait until the condition is true; fail if it is still false after this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
