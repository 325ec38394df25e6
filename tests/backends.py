"""The SQS servers that tests run against: our own, those of others, and AWS.

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

#: where .ci/elasticmq.sh puts ElasticMQ
ELASTICMQ_JARS = Path(__file__).parent.parent / ".ci" / "cache" / "elasticmq"

#: the place where the README of sqs-workers expects an SQS server
LOCALSTACK_PORT = 4566


class EndpointSession(boto3.session.Session):
    """A boto3 session whose SQS is somewhere else."""

    def __init__(self, endpoint_url: str, region_name: str) -> None:
        super().__init__(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=region_name
        )
        self.endpoint_url = endpoint_url

    def client(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self.endpoint_url)
        # A 500 is what these servers answer to what they do not know: asking again only takes time.
        kwargs.setdefault("config", Config(retries={"total_max_attempts": 1}))
        return super().client(*args, **kwargs)

    def resource(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self.endpoint_url)
        return super().resource(*args, **kwargs)


class Clock:
    """Lets time pass for a backend: for real, unless it is our own engine in memory."""

    def pass_seconds(self, seconds: float) -> None:
        """Go on when this many seconds are over."""
        time.sleep(seconds + 0.05)


class EngineClock(Clock):
    """Moves the clock of a session of ours, for this process."""

    def __init__(self, session: MemorySession | LocalSession) -> None:
        self._session = session

    def pass_seconds(self, seconds: float) -> None:
        """Be this many seconds later at once."""
        self._session.clock.advance(seconds=seconds)


class Backend(ABC):
    """One kind of SQS."""

    name: str
    #: it can be called by hand over HTTP
    is_server = False
    #: its time can be moved, so that minutes and days take no time
    moves_clock = False

    def start(self) -> None:
        """Begin to serve, where there is a server; once for all tests."""

    def stop(self) -> None:
        """End what :meth:`start` began."""

    @abstractmethod
    def session(self, directory: Path) -> Any:
        """A session for one test."""

    def clock(self, session: Any) -> Clock:
        """The clock of the backend."""
        return Clock()

    def client(self, session: Any) -> Any:
        """A client for one test."""
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
    """An SQS server in a process of its own."""

    is_server = True
    region_name = "us-east-1"

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._session: EndpointSession | None = None

    @abstractmethod
    def command(self, port: int, directory: Path) -> list[str]:
        """What starts the server on this port."""

    def port(self) -> int:
        """The port to listen on."""
        return free_port()

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
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
        """Start it; what it says goes into a file."""
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
    """Moves the clock of our server, for all who use it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def pass_seconds(self, seconds: float) -> None:
        """Be this many seconds later at once."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{seconds}\n".encode())
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"moved\n"


class Served(Server):
    """The embedded SQS in memory, over HTTP, in a process of its own."""

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
        # A server that somebody runs at the named place is taken as it is.
        if self._port is None or not answers(self._port):
            if shutil.which("java") is None:
                pytest.skip("ElasticMQ needs Java, and there is none")
            if not ELASTICMQ_JARS.is_dir():
                pytest.skip("ElasticMQ is not here: run .ci/elasticmq.sh")
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
            pytest.skip("AWS needs credentials, and there are none")
        return session


#: frequent calls by the name of their method
_FREQUENT = {xform_name(action): action for action in DIRECT_ACTIONS}


class FrequentCalls:
    """A client that makes the frequent calls without botocore, and all others as boto3 does.

    Parameters
    ----------
    source :
        Where the calls go.
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
            # Only boto3 adds this: the call went there although it succeeds.
            assert "ResponseMetadata" not in answer
            return answer

        return call


class Bypassed(Backend):
    """Another backend, whose frequent calls bypass botocore; for the rules of SQS only."""

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
            # A subclass of boto3's session would keep to botocore.
            plain = boto3.session.Session("test", "test", region_name=self.base.region_name)
            url = self.base.endpoint_url
            self._source = ClientSource(plain, endpoint_url=url, retry_max_attempts=1)
        return FrequentCalls(self._source, self._way)


def make_backends(localstack: bool) -> dict[str, Backend]:
    """All backends by name; none is started."""
    elasticmq = ElasticMQ(LOCALSTACK_PORT if localstack else None)
    memory, file, served, moto = Memory(), File(), Served(), Moto()
    bypassed = [
        *(Bypassed(base, "direct") for base in (memory, file)),
        *(Bypassed(base, "wire") for base in (served, moto, elasticmq)),
    ]
    return {b.name: b for b in (memory, file, served, moto, elasticmq, AWS(), *bypassed)}


def free_port() -> int:
    """A port on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    condition: Callable[[], object], seconds: float = 60, what: str = "what this test is about"
) -> None:
    """Go on once the condition holds; fail where it does not within these seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
