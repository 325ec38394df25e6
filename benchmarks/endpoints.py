"""What is compared: the embedded SQS in three forms, and the SQS servers of others.

A place is a text: ``memory``, a URL, or the path of a file; one client program asks them all.
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

#: where benchmarks/setup puts the peers
CACHE = Path(__file__).parent / ".cache"
_PYTHON = CACHE / "venv" / "bin" / "python"
_NODE = CACHE / "node_modules" / ".bin" / "node"
_FAUXQS = CACHE / "node_modules" / "fauxqs" / "dist" / "cli.js"
_ELASTICMQ = ROOT / ".ci" / "cache" / "elasticmq"
_START_SECONDS = 60

#: the cheapest question that every server answers
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
    #: what :func:`make_client` takes
    place: str
    #: the server's process; None: this one
    pid: int | None
    #: seconds from the start of the process to its first answer
    start_seconds: float = 0.0


@dataclass(frozen=True)
class Endpoint:
    """Something that answers as SQS does.

    Parameters
    ----------
    command :
        Starts the server; ``{port}`` and ``{directory}`` are filled in. Empty: no server.
    environment :
        Variables for it, filled in the same way.
    place :
        Of an endpoint without a server.
    needs :
        Files without which it is absent.
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
        """Why it cannot be started; None: it can."""
        missing = [str(path) for path in self.needs if not path.exists()]
        if missing:
            return f"no {missing[0]}; run benchmarks/setup"
        if self.command and shutil.which(self.command[0]) is None:
            return f"no {self.command[0]}"
        return None

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """It answers while this is entered; its process and its files are gone afterwards."""
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
                    raise RuntimeError(f"{self.name} ended by itself:\n{output[-2000:]}")
                return does_answer(url)

            wait_until(answers, _START_SECONDS, f"{self.name} to answer")
            yield Opened(self.name, url, process.pid, time.perf_counter() - begun)


def does_answer(url: str) -> bool:
    """Whether a request gets an answer now."""
    connection = HTTPConnection(str(urlsplit(url).netloc), timeout=10)
    try:
        connection.request("POST", "/", b"{}", _QUESTION)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def make_client(place: str) -> Any:
    """The one client program: boto3 as it comes, with room for eight threads."""
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
    """Those of these names (all without any) that are here; the others are said to be absent.

    Raises
    ------
    SystemExit
        There is no such name.
    """
    unknown = set(names) - {endpoint.name for endpoint in ENDPOINTS}
    if unknown:
        raise SystemExit(
            f"no endpoint is called {sorted(unknown)[0]!r};"
            f" there are: {', '.join(endpoint.name for endpoint in ENDPOINTS)}"
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
#: a peer imports what was installed for it, and nothing from here
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
