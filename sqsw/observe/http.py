"""Serve ``/live``, ``/ready``, ``/health`` and ``/metrics`` of workers over HTTP.

The standard library reads one request per connection. Each has a thread, so jobs delay an answer
only while they hold the GIL. Requests from web pages are refused, as in ``sqsw serve``.
"""

import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

from sqsw.core.errors import SettingsError, not_listening
from sqsw.core.safe_logger import log_event
from sqsw.observe.health import Health
from sqsw.observe.metrics import Metrics
from sqsw.web.request_guard import RequestGuard, read_headers

logger = logging.getLogger("sqsw.worker")

#: lowercase names and values
_Headers = list[tuple[bytes, bytes]]
#: status, content type and body
_Answer = tuple[int, str, bytes]

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"

#: seconds for answers in progress at the end
_GRACE_SECONDS = 1.0
#: maximum seconds for a read from or a write to a client
_CLIENT_SECONDS = 5
#: maximum connections, because each takes a file descriptor away from jobs
_MAX_CONNECTIONS = 100
#: seconds to wait if the process has no file descriptor left for a connection
_RETRY_SECONDS = 0.1


class HealthServer:
    """A context manager that runs the HTTP server.

    Parameters
    ----------
    host, port :
        The address to listen on; port 0 chooses a free one.
    allow_hosts, allow_host_hint :
        See :class:`~sqsw.web.request_guard.RequestGuard`.

    Raises
    ------
    Busy
        The port is in use.
    SettingsError
        The address does not belong to this machine or is not permitted, or one of ``allow_hosts``
        is not a host name.
    """

    def __init__(
        self,
        host: str,
        port: int,
        health: Health,
        metrics: Metrics,
        *,
        allow_hosts: Collection[str] = (),
        allow_host_hint: str = "allow_hosts=[{host!r}]",
    ) -> None:
        self._health, self._metrics = health, metrics
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise not_listening(error, host, port) from error
        bound, self.port = self._socket.getsockname()[:2]
        try:
            self._guard = RequestGuard(bound, (host or bound, *allow_hosts), hint=allow_host_hint)
        except ValueError as error:
            self._socket.close()
            raise SettingsError(
                str(error),
                why="an allowed host is a name or an address, with or without a port",
                next="leave out the scheme and the path: worker.test, or worker.test:8080",
            ) from error
        # A client can give up between select() and accept(), which then must not block.
        self._socket.setblocking(False)
        self._stopper, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._lock = threading.Lock()
        #: open connections, the oldest first, and their threads
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="sqsw-http", daemon=True)

    def __enter__(self) -> "HealthServer":
        self._thread.start()
        log_event(logger, logging.INFO, "http_started", port=self.port)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ends = time.monotonic() + _GRACE_SECONDS
        self._stopper.close()
        self._thread.join(_GRACE_SECONDS)
        with self._lock:
            threads = list(self._open.values())
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _accept(self) -> None:
        with self._socket, self._stopped, self._selector:
            while all(key.fileobj is self._socket for key, _ in self._selector.select()):
                try:
                    self._open_connection(*self._socket.accept())
                except OSError:
                    time.sleep(_RETRY_SECONDS)

    def _open_connection(self, connection: socket.socket, address: Any) -> None:
        thread = threading.Thread(
            target=self._serve, args=(connection, address), name="sqsw-http", daemon=True
        )
        with self._lock:
            if len(self._open) >= _MAX_CONNECTIONS:
                # Probes and scrapers take milliseconds, so the oldest client is neither.
                oldest = next(iter(self._open))
                del self._open[oldest]
                with suppress(OSError):  # closed by the client
                    oldest.shutdown(socket.SHUT_RDWR)
            self._open[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads
            self._close_connection(connection)

    def _close_connection(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
        connection.close()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            _Request(connection, address, self._answer)
        except OSError:  # the client is gone or too slow
            pass
        except Exception as error:  # noqa: BLE001  # jobs must continue
            log_event(logger, logging.ERROR, "http_failed", error)
        finally:
            self._close_connection(connection)

    def _answer(self, path: str, headers: _Headers) -> _Answer:
        refusal = self._guard.refusal(read_headers(headers))
        if refusal is not None:
            return 403, _JSON, json.dumps({"error": refusal}).encode()
        return self._page(path)

    def _page(self, path: str) -> _Answer:
        if path == "/metrics":
            return 200, _TEXT, self._metrics.text()
        why = {
            "/live": self._health.why_not_live,
            "/ready": self._health.why_not_ready,
            "/health": self._health.why_unhealthy,
        }.get(path)
        if why is None:
            return 404, _JSON, b'{"error": "there are /live, /ready, /health and /metrics"}'
        problem = why()
        if problem is None:
            return 200, _JSON, b'{"status": "ok"}'
        failing: dict[str, str | None] = {
            "status": "failing",
            "reason": problem.reason,
            "error": problem.text,
        }
        if path == "/ready":
            failing["code"] = problem.code
        return 503, _JSON, json.dumps(failing).encode()


class _Request(BaseHTTPRequestHandler):
    """A handler that reads one request and writes its answer in the constructor."""

    protocol_version = "HTTP/1.1"
    timeout = _CLIENT_SECONDS
    wbufsize = -1  # one write for headers and body

    def __init__(
        self,
        connection: socket.socket,
        address: Any,
        answer: Callable[[str, _Headers], _Answer],
    ) -> None:
        self._answer = answer
        super().__init__(connection, address, None)  # type: ignore[arg-type]  # it is not used

    def do_GET(self) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self.headers.items()
        ]
        status, kind, body = self._answer(self.path.partition("?")[0], headers)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def version_string(self) -> str:
        return "sqsw"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because probes would fill the log."""
