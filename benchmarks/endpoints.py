"""The endpoints to compare: the embedded SQS in its forms, and other SQS servers.

A place is a string: ``memory``, a URL, or the path of a file. The same client calls all of them.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.processes import ROOT, free_port, running, wait_until

#: where benchmarks/setup installs the peers
CACHE = Path(__file__).parent / ".cache"
_PYTHON = CACHE / "venv" / "bin" / "python"
_NODE = CACHE / "node_modules" / ".bin" / "node"
_FAUXQS = CACHE / "node_modules" / "fauxqs" / "dist" / "cli.js"
_ELASTICMQ = ROOT / ".ci" / "cache" / "elasticmq"
_START_SECONDS = 60

#: the headers of the cheapest request that every server answers
_QUESTION = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "AmazonSQS.ListQueues",
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sqs/aws4_request,"
    " SignedHeaders=host, Signature=0",
}


@dataclass(frozen=True)
class Opened:
    """An endpoint that answers."""

    name: str
    #: the argument of :func:`make_client`
    place: str
    #: the process of the server; None if it is this process
    pid: int | None
    #: seconds from the start of the process to its first response
    start_seconds: float = 0.0


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that behaves like SQS.

    Parameters
    ----------
    command :
        Starts the server; ``{port}`` and ``{directory}`` are filled in. Empty without a server.
    environment :
        Variables for the server, filled in the same way.
    place :
        The place of an endpoint without a server.
    needs :
        Files that must exist; otherwise the endpoint is absent.
    """

    name: str
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    needs: Sequence[Path] = ()
    is_ours: bool = False

    @property
    def is_server(self) -> bool:
        return bool(self.command)

    def absence(self) -> str | None:
        """Return why the endpoint cannot be started, or None if it can."""
        missing = [str(path) for path in self.needs if not path.exists()]
        if missing:
            return f"no {missing[0]}; run benchmarks/setup"
        if self.command and shutil.which(self.command[0]) is None:
            return f"no {self.command[0]}"
        return None

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Run the endpoint inside the block; then end its process and delete its files."""
        with tempfile.TemporaryDirectory(prefix="sqsw-bench-") as directory, ExitStack() as stack:
            facts = {"port": str(free_port()), "directory": directory}
            if not self.is_server:
                yield Opened(self.name, self.place.format(**facts), None)
                return
            begun = time.perf_counter()
            process = stack.enter_context(
                running(
                    [part.format(**facts) for part in self.command],
                    Path(directory),
                    {name: value.format(**facts) for name, value in self.environment.items()},
                )
            )
            url = f"http://127.0.0.1:{facts['port']}"

            def answers() -> bool:
                if process.poll() is not None:
                    output = (Path(directory) / "output.log").read_text(errors="replace")
                    raise RuntimeError(f"{self.name} ended unexpectedly:\n{output[-2000:]}")
                return does_answer(url)

            wait_until(answers, _START_SECONDS, f"{self.name} to answer")
            yield Opened(self.name, url, process.pid, time.perf_counter() - begun)


def does_answer(url: str) -> bool:
    """Return whether a server responds."""
    connection = HTTPConnection(str(urlsplit(url).netloc), timeout=10)
    try:
        connection.request("POST", "/", b"{}", _QUESTION)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def make_client(place: str) -> Any:
    """Return a boto3 client with default settings, except connections for eight threads."""
    if not place.startswith("http"):
        from sqsw.memory_sqs import LocalSession, MemorySession

        session = MemorySession() if place == "memory" else LocalSession(place)
        return session.client("sqs")
    import boto3
    from botocore.config import Config

    return boto3.session.Session("local", "local", region_name="us-east-1").client(
        "sqs",
        endpoint_url=place,
        config=Config(max_pool_connections=16, retries={"total_max_attempts": 1}),
    )


def chosen(names: Sequence[str], *, servers_only: bool = False) -> list[Endpoint]:
    """Return the installed endpoints with these names, or all; report others as absent.

    Raises
    ------
    SystemExit
        A name is unknown.
    """
    unknown = set(names) - {endpoint.name for endpoint in ENDPOINTS}
    if unknown:
        raise SystemExit(
            f"no endpoint named {sorted(unknown)[0]!r};"
            f" choose from: {', '.join(endpoint.name for endpoint in ENDPOINTS)}"
        )
    found = []
    for endpoint in ENDPOINTS:
        if (names and endpoint.name not in names) or (servers_only and not endpoint.is_server):
            continue
        absence = endpoint.absence()
        if absence is None:
            found.append(endpoint)
        else:
            print(f"absent: {endpoint.name} ({absence})")
    return found


def _serve(*options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "sqsw_cli", "serve", "--port", "{port}", *options)


_OURS = {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
#: a peer must import only what was installed for it
_THEIRS = {"PYTHONPATH": ""}

ENDPOINTS = (
    Endpoint("MemorySession", place="memory", is_ours=True),
    Endpoint("LocalSession", place="{directory}/local.db", is_ours=True),
    Endpoint("serve", _serve("--local={directory}/local.db"), _OURS, is_ours=True),
    Endpoint("serve-memory", _serve("--memory"), _OURS, is_ours=True),
    Endpoint(
        "fauxqs",
        (str(_NODE), str(_FAUXQS)),
        {"FAUXQS_PORT": "{port}"},
        needs=(_NODE, _FAUXQS),
    ),
    Endpoint(
        "ministack",
        (str(_PYTHON), "-m", "ministack"),
        {**_THEIRS, "GATEWAY_PORT": "{port}", "BIND_HOST": "127.0.0.1", "SERVICES": "sqs"},
        needs=(_PYTHON,),
    ),
    Endpoint(
        "moto",
        (str(_PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"),
        _THEIRS,
        needs=(_PYTHON,),
    ),
    Endpoint(
        "elasticmq",
        (
            "java",
            "-Drest-sqs.bind-hostname=127.0.0.1",
            "-Drest-sqs.bind-port={port}",
            "-Drest-stats.enabled=false",
            *("-cp", f"{_ELASTICMQ}/*", "org.elasticmq.server.Main"),
        ),
        needs=(_ELASTICMQ,),
    ),
)
