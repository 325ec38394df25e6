"""Serves the embedded SQS over HTTP on a bound socket until it is stopped.

uvicorn is imported when a server is made.
"""

import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

from sqsw.local.engine import DEFAULT_REGION, LocalEngine
from sqsw.local.http.app import HttpApp
from sqsw.local.http.signature import SignatureCheck
from sqsw.web.request_guard import RequestGuard

#: seconds that the answers under way may take when the server ends
_GRACE_SECONDS = 5

logger = logging.getLogger("sqsw.serve")


class LocalServer:
    """A server on a socket of its own; it listens when it is made and answers when it runs.

    The parameters are those of :func:`sqsw.memory_sqs.serve`.

    Raises
    ------
    OSError
        The address is in use, none of this machine, or not allowed.
    ValueError
        One of ``allow_hosts`` is not a host name.
    """

    def __init__(
        self,
        engine: LocalEngine,
        host: str,
        port: int,
        *,
        key: tuple[str, str] | None = None,
        region: str = DEFAULT_REGION,
        allow_hosts: Iterable[str] = (),
        hint: str = "allow_hosts=[{host!r}]",
    ) -> None:
        from sqsw.local.http.connection import IDLE_SECONDS, Connection
        from sqsw.web.http_server import HttpServer

        self._socket = _listen(host, port)
        bound, self.port = self._socket.getsockname()[:2]
        address = f"{reachable(host)}:{self.port}"
        self.url = f"http://{address}"
        try:
            guard = RequestGuard(bound, (reachable(host), *allow_hosts), hint=hint)
        except ValueError:
            self._socket.close()
            raise
        check = None if key is None else SignatureCheck(*key, engine.clock)
        self.app = HttpApp(engine, address, region, guard, check)
        self._server = HttpServer(
            self.app,
            self._socket,
            logger,
            grace_seconds=_GRACE_SECONDS,
            protocol=Connection,
            idle_seconds=IDLE_SECONDS,
            on_stop=self.app.end,
        )

    def run(self, on_ready: Callable[[], object]) -> None:
        """Answer requests until SIGTERM, SIGINT, SIGHUP or :meth:`stop`.

        Receives that wait are answered. A SIGHUP that is ignored or handled stays so.
        """
        with self.app.engine.store.never_waiting():
            self._server.run(on_ready)

    def answer_from(self, engine: LocalEngine) -> None:
        """Answer from this engine from now on; receives that wait at the former one end."""
        former, self.app.engine = self.app.engine, engine
        former.end_polls()

    def stop(self) -> None:
        self._server.stop()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach this host."""
    try:
        return all(
            ipaddress.ip_address(address[0]).is_loopback for _, address in _addresses(host, 0)
        )
    except OSError:
        return False


def reachable(host: str) -> str:
    """The host as it stands in an address: a name for "all", and brackets around colons."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        # In bytes, since the codec for text takes longer to import than all the rest of this.
        name = host.encode("ascii" if host.isascii() else "idna") or None
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:  # from the codec of host names, before anybody is asked
        raise OSError(errno.EINVAL, f"no name of a host: {error}") from error
    # One socket is enough, and what a name of both kinds is meant for is the older kind.
    return sorted(
        ((int(family), address) for family, *_, address in found),
        key=lambda each: each[0] != socket.AF_INET,
    )


def _listen(host: str, port: int) -> socket.socket:
    family, address = _addresses(host, port)[0]
    return socket.create_server(address, family=family, backlog=2048)
