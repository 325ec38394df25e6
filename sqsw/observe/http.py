"""``/health``, ``/ready`` and ``/metrics`` of workers over HTTP.

uvicorn is imported when the server is made. It answers in a thread with an event loop of its own,
so jobs do not delay it as long as they do not hold the interpreter. As in ``sqsw serve``, requests
from web pages are refused.
"""

import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Any

from sqsw.core.errors import SettingsError, not_listening
from sqsw.core.safe_logger import log_event
from sqsw.observe.health import Health
from sqsw.observe.metrics import Metrics
from sqsw.web.request_guard import RequestGuard, read_headers

logger = logging.getLogger("sqsw.worker")

Send = Callable[[Any], Awaitable[None]]

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"

#: seconds that the answers under way may take at the end
_GRACE_SECONDS = 1
#: connections at a time, because each one takes a file descriptor away from jobs
_MAX_CONNECTIONS = 100


class HealthServer:
    """Answers from ``with`` to its end.

    Parameters
    ----------
    host, port :
        Where to listen; port 0: a free one.
    allow_hosts, allow_host_hint :
        See :class:`~sqsw.web.request_guard.RequestGuard`.

    Raises
    ------
    Busy
        Another program listens there.
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
        from sqsw.web.http_server import HttpServer

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
        self._server = HttpServer(
            self._answer,
            self._socket,
            logger,
            grace_seconds=_GRACE_SECONDS,
            max_connections=_MAX_CONNECTIONS,
        )
        self._thread = threading.Thread(target=self._work, name="sqsw-http", daemon=True)

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
        self._server.stop()
        self._thread.join(2 * _GRACE_SECONDS)

    def _work(self) -> None:
        try:
            self._server.run(lambda: None)
        except Exception as error:  # noqa: BLE001  # jobs run without it
            log_event(logger, logging.ERROR, "http_failed", error)

    async def _answer(self, scope: Mapping[str, Any], receive: object, send: Send) -> None:
        refusal = self._guard.refusal(read_headers(scope["headers"]))
        if refusal is not None:
            status, kind, body = 403, _JSON, json.dumps({"error": refusal}).encode()
        else:
            status, kind, body = self._page(str(scope.get("path")))
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        is_head = scope.get("method") == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else body})

    def _page(self, path: str) -> tuple[int, str, bytes]:
        failing: Mapping[str, str | None] | None = None
        if path == "/metrics":
            return 200, _TEXT, self._metrics.text()
        if path == "/health":
            problem = self._health.why_unhealthy()
            if problem is not None:
                failing = {"reason": problem.reason, "error": problem.text}
        elif path == "/ready":
            why = self._health.why_not_ready()
            if why is not None:
                failing = {"reason": why.reason, "error": why.text, "code": why.code}
        else:
            return 404, _JSON, b'{"error": "there are /health, /ready and /metrics"}'
        if failing is None:
            return 200, _JSON, b'{"status": "ok"}'
        return 503, _JSON, json.dumps({"status": "failing", **failing}).encode()
