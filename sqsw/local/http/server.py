"""The HTTP server of the embedded SQS.

uvicorn is imported when a server is created.
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

#: seconds that requests in progress have to finish when the server stops
_GRACE_SECONDS = 5

logger = logging.getLogger("sqsw.serve")


class LocalServer:
    """An HTTP server; it listens after its creation and answers while it runs.

    For the parameters, see :func:`sqsw.memory_sqs.serve`.

    Raises
    ------
    OSError
        The address is in use, does not belong to this machine, or is not permitted.
    ValueError
        An entry of ``allow_hosts`` is not a host name.
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
        """Answer requests until SIGTERM, SIGINT, SIGHUP, or :meth:`stop`.

        Waiting receives then get empty answers. If SIGHUP is already ignored or handled, that does
        not change.
        """
        with self.app.engine.store.never_waiting():
            self._server.run(on_ready)

    def answer_from(self, engine: LocalEngine) -> None:
        """Switch to another engine, and end the receives that wait on the old one."""
        former, self.app.engine = self.app.engine, engine
        former.end_polls()

    def stop(self) -> None:
        self._server.stop()


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach this host."""
    try:
        return all(
            ipaddress.ip_address(address[0]).is_loopback for _, address in _addresses(host, 0)
        )
    except OSError:
        return False


def reachable(host: str) -> str:
    """Return the host for a URL: a loopback address for "all", and IPv6 in brackets."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        # As bytes: for a str, Python imports the idna codec, which takes longer than the rest.
        name = host.encode("ascii" if host.isascii() else "idna") or None
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:  # raised by the idna codec
        raise OSError(errno.EINVAL, f"not a valid host name: {error}") from error
    # One socket is enough. Prefer IPv4 if a name has addresses of both kinds.
    return sorted(
        ((int(family), address) for family, *_, address in found),
        key=lambda each: each[0] != socket.AF_INET,
    )


def _listen(host: str, port: int) -> socket.socket:
    family, address = _addresses(host, port)[0]
    return socket.create_server(address, family=family, backlog=2048)
