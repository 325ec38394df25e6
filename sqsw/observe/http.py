"""``/health``, ``/ready`` and ``/metrics`` of workers over HTTP.

uvicorn is imported when the server is made. It answers in a thread with an event loop of its own,
so that jobs do not delay it, as long as they do not hold the interpreter.
"""

import asyncio
import errno
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.core.safe_logger import log_event
from sqsw.observe.health import Health
from sqsw.observe.metrics import Metrics

logger = logging.getLogger("sqsw.worker")

Send = Callable[[Any], Awaitable[None]]

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"

#: seconds that the answers under way may take at the end
_GRACE_SECONDS = 1


class HealthServer:
    """Answers from ``with`` to its end.

    Parameters
    ----------
    host, port :
        Where to listen; port 0: a free one.

    Raises
    ------
    Busy
        Another program listens there.
    SettingsError
        The address is none of this machine, or not allowed.
    """

    def __init__(self, host: str, port: int, health: Health, metrics: Metrics) -> None:
        import uvicorn

        self._health, self._metrics = health, metrics
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise _not_listening(error, host, port) from error
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
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
        self._server.should_exit = True
        self._thread.join(2 * _GRACE_SECONDS)
        self._socket.close()

    def _work(self) -> None:
        try:
            asyncio.run(self._server.serve([self._socket]))
        except Exception as error:  # noqa: BLE001  # the jobs go on without it
            log_event(logger, logging.ERROR, "http_failed", error)

    async def _answer(self, scope: Mapping[str, Any], receive: object, send: Send) -> None:
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


def _not_listening(error: OSError, host: str, port: int) -> SQSError:
    if error.errno == errno.EADDRINUSE:
        return Busy(
            f"cannot listen on {host}:{port}",
            why="another program listens there",
            next="end it, or choose another port",
        )
    return SettingsError(f"cannot listen on {host}:{port}", why=error.strerror or str(error))
