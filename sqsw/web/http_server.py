"""Run an ASGI application on uvicorn's HTTP protocol, in a separate event loop.

uvicorn's ``Server`` is not used, for two reasons. It accepts connections with asyncio's server,
which spins and fills the log when the process is out of file descriptors. It also checks every 0.1
seconds whether it should stop, with a clock and an ``asyncio.sleep`` that tests can replace.
"""

import asyncio
import errno
import logging
import resource
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

#: Maximum number of connections, even if the process can have more file descriptors.
MAX_CONNECTIONS: Final = 20_000
#: File descriptors that are reserved for everything except connections.
_OTHER_DESCRIPTORS: Final = 32
#: Maximum connections accepted in one iteration of the event loop.
_TURN: Final = 64
#: Seconds between two attempts to accept while the limit is reached.
_RETRY_SECONDS: Final = 0.1
#: Seconds after which an idle connection is closed while the limit is reached. Clients send a
#: request as soon as they are connected, and reconnect if an idle connection was closed.
_IDLE_SECONDS: Final = 0.5
#: Seconds without a shortage after which it counts as over.
_RELIEF_SECONDS: Final = 5.0
#: Seconds for cancelled requests to end.
_CANCEL_SECONDS: Final = 1.0
#: Errors for a connection that its client closed before it was accepted.
_GIVEN_UP: Final = (errno.ECONNABORTED, errno.EPROTO)


class HttpServer:
    """An HTTP server on one listening socket, from :meth:`run` until :meth:`stop`.

    Parameters
    ----------
    app :
        The ASGI application.
    listening :
        The socket, which is closed at the end.
    logger :
        Logs the start and the end of a shortage of connections.
    grace_seconds :
        Seconds for the requests in progress to finish when the server ends.
    protocol :
        A subclass of uvicorn's protocol. Default: uvicorn's own.
    idle_seconds :
        How long a connection stays open without a request.
    on_stop :
        Called in the event loop when the server begins to end.
    """

    def __init__(
        self,
        app: App,
        listening: socket.socket,
        logger: logging.Logger,
        *,
        grace_seconds: float,
        protocol: "type[HttpToolsProtocol] | None" = None,
        idle_seconds: int = 5,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        from uvicorn import Config
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
        from uvicorn.server import ServerState

        config = Config(
            app,
            http=protocol or HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=idle_seconds,
        )
        config.load()
        self._config, self._state = config, ServerState()
        self._socket, self._logger, self._on_stop = listening, logger, on_stop
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup = asyncio.Event()
        self._is_stopped = self._is_forced = False

    def run(self, on_ready: Callable[[], object]) -> None:
        """Serve requests until :meth:`stop` or, in the main thread, a signal.

        Handles SIGTERM and SIGINT, and SIGHUP unless it is ignored or has a handler, and restores
        the former handlers at the end. A second signal ends the server at once.
        """
        loop = self._loop = _RealTimeLoop()
        try:
            with _signals(self._on_signal):
                loop.run_until_complete(self._serve(loop, on_ready))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            self._loop = None
            self._socket.close()
            loop.close()

    def stop(self) -> None:
        """End :meth:`run`. Can be called from any thread, and before :meth:`run`."""
        self._is_stopped = True
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(self._wakeup.set)

    def _on_signal(self, number: int, frame: object) -> None:
        self._is_forced = self._is_stopped
        self.stop()

    async def _serve(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> None:
        acceptor = _Acceptor(
            loop,
            self._socket,
            lambda: self._make_protocol(loop),
            self._state.connections,
            _connection_limit(),
            self._logger,
        )
        self._write_date(loop)
        acceptor.start()
        on_ready()
        if not self._is_stopped:
            await self._wakeup.wait()
        self._on_stop()
        acceptor.close()
        await acceptor.settle()
        await self._finish(loop)

    async def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the requests in progress, and cancel those that take too long."""
        connections, tasks = self._state.connections, self._state.tasks
        for connection in list(connections):
            connection.shutdown()
        ends = loop.time() + self._grace_seconds
        while (connections or tasks) and not self._is_forced and loop.time() < ends:
            await _pause(loop)
        for connection in list(connections):
            connection.transport.abort()
        for task in list(tasks):
            task.cancel()
        ends = loop.time() + _CANCEL_SECONDS
        while tasks and loop.time() < ends:
            await _pause(loop)

    def _make_protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        kind: Any = self._config.http_protocol_class
        made: asyncio.Protocol = kind(
            config=self._config, server_state=self._state, app_state={}, _loop=loop
        )
        return made

    def _write_date(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the ``Date`` header every second. SDKs use it to correct a wrong clock."""
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        loop.call_later(1, self._write_date, loop)


async def _pause(loop: asyncio.AbstractEventLoop) -> None:
    """Wait without ``asyncio.sleep``, which a test can replace."""
    over = loop.create_future()
    loop.call_later(0.02, over.set_result, None)
    await over


class _RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers work even if a test freezes or moves ``time.monotonic``."""

    def time(self) -> float:
        return time.clock_gettime(time.CLOCK_MONOTONIC)


class _Acceptor:
    """An acceptor with a connection limit; further connections wait in the kernel's queue.

    At the limit it tries again every 0.1 seconds, and closes connections that have been idle for
    half a second.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        connections: Collection[Any],
        limit: int,
        logger: logging.Logger,
    ) -> None:
        self._loop, self._socket, self._make_protocol = loop, listening, make_protocol
        self._connections, self._limit, self._logger = connections, limit, logger
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        #: the timer that ends a shortage; None if there is none
        self._relief: asyncio.TimerHandle | None = None
        #: connections that were idle at the last check, with their last request
        self._idle: dict[Any, Any] = {}
        self._next_look = 0.0

    def start(self) -> None:
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def settle(self) -> None:
        """Wait until the last accepted connections are registered."""
        while self._opening:
            await _pause(self._loop)

    def _accept(self) -> None:
        for _ in range(_TURN):
            if len(self._connections) + len(self._opening) >= self._limit:
                self._wait_for_room(f"{self._limit} connections are open")
                return
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _GIVEN_UP:
                    continue
                self._wait_for_room(error.strerror or str(error))
                return
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:  # the client is gone, or the selector is full
            connection.close()

    def _wait_for_room(self, why: str) -> None:
        now = self._loop.time()
        if self._relief is None:
            self._logger.warning("accept_paused", extra={"reason": why})
            self._idle, self._next_look = self._idle_now(), now + _IDLE_SECONDS
        else:
            self._relief.cancel()
            if now >= self._next_look:
                self._close_idle()
                self._next_look = now + _IDLE_SECONDS
        self._relief = self._loop.call_later(_RELIEF_SECONDS, self._on_relief)
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._socket, self._accept)

    def _on_relief(self) -> None:
        self._relief, self._idle = None, {}
        self._logger.info("accept_resumed")

    def _idle_now(self) -> dict[Any, Any]:
        return {
            connection: connection.cycle
            for connection in self._connections
            if connection.cycle is None or connection.cycle.response_complete
        }

    def _close_idle(self) -> None:
        """Close connections that had no request since the last check."""
        former, self._idle = self._idle, self._idle_now()
        for connection, cycle in self._idle.items():
            if connection in former and former[connection] is cycle:
                connection.transport.abort()


def _connection_limit() -> int:
    """Return the number of connections that this process's file descriptors allow."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(descriptors - _OTHER_DESCRIPTORS, descriptors // 4))


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle the signals that end the server, and SIGHUP if it would end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # else: under nohup
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in former.items():
            signal.signal(number, one)
