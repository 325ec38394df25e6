"""The embedded SQS over HTTP: the application on uvicorn, from the bound socket to the last answer.

uvicorn is imported where it is needed: who only sends to a file does not pay for it.
"""

import asyncio
import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqsw.local.engine import DEFAULT_REGION, LocalEngine
from sqsw.local.http_app import HttpApp
from sqsw.local.signature import SignatureCheck

if TYPE_CHECKING:
    import uvicorn

#: seconds that the answers under way may take when the server ends
_GRACE_SECONDS = 5


class LocalServer:
    """A server on a socket of its own; it listens when it is made and answers when it runs.

    Parameters
    ----------
    engine :
        The embedded SQS.
    host, port :
        Where to listen; port 0: a free one.
    key :
        Access key and secret key that requests must be signed with; None: everybody is welcome.
    region :
        Of requests that are not signed.

    Raises
    ------
    OSError
        The address is in use, none of this machine, or not allowed.
    """

    def __init__(
        self,
        engine: LocalEngine,
        host: str,
        port: int,
        *,
        key: tuple[str, str] | None = None,
        region: str = DEFAULT_REGION,
    ) -> None:
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        address = f"{reachable(host)}:{self.port}"
        self.url = f"http://{address}"
        check = None if key is None else SignatureCheck(*key, engine.clock)
        self.app = HttpApp(engine, address, region, check)
        self._server: uvicorn.Server | None = None

    def run(self, on_ready: Callable[[], object]) -> None:
        """Answer requests until SIGTERM, SIGINT, SIGHUP or :meth:`stop`.

        Receives that wait are answered. A SIGHUP that is ignored or handled stays so.

        Parameters
        ----------
        on_ready :
            Called when requests are answered.
        """
        self._server = _make_server(self.app, on_ready)
        try:
            with self.app.engine.store.never_waiting():
                asyncio.run(self._server.serve([self._socket]))
        finally:
            self.app.log.write()
            self._socket.close()

    def answer_from(self, engine: LocalEngine) -> None:
        """Answer from this engine from now on; receives that wait at the former one end."""
        former, self.app.engine = self.app.engine, engine
        former.end_polls()

    def stop(self) -> None:
        """End :meth:`run`; from any thread."""
        if self._server is not None:
            self._server.should_exit = True


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
    return sorted(((int(family), address) for family, *_, address in found), key=_older_first)


def _older_first(address: tuple[int, Any]) -> bool:
    return address[0] != socket.AF_INET


def _listen(host: str, port: int) -> socket.socket:
    family, address = _addresses(host, port)[0]
    return socket.create_server(address, family=family, backlog=2048)


@contextmanager
def _hanging_up(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Hear SIGHUP, too, where it would end the process; under ``nohup`` it stays ignored."""
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    in_main_thread = threading.current_thread() is threading.main_thread()
    if number is None or not in_main_thread or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _make_server(app: HttpApp, on_ready: Callable[[], object]) -> "uvicorn.Server":
    import uvicorn

    from sqsw.local.connection import IDLE_SECONDS, Connection

    class Server(uvicorn.Server):
        """Ends by itself, not by the signal: who waits for the process sees success."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            with _hanging_up(self.handle_exit), super().capture_signals():
                yield

        def handle_exit(self, sig: int, frame: Any) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.end()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return Server(config)
