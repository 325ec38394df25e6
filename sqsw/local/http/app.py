"""The embedded SQS as an ASGI application, with the pages ``/health`` and ``/metrics``.

1. Check the headers. A request that could come from a web page, or that lacks a required signature,
   is refused before its body is read.
2. Read the body, within limits, and verify its signature.
3. Run the operation. A waiting receive is a coroutine, and ends if its client disconnects.
4. Send the answer in the client's protocol, and log the request.

No exception leaves the application: internal errors are answered and logged.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import (
    AccessDeniedException,
    FileError,
    FileLocked,
    InternalFailure,
    RequestEntityTooLarge,
    ServiceError,
    ServiceUnavailable,
)
from sqsw.local.http import metrics
from sqsw.local.http.metrics import Metrics
from sqsw.local.http.polling import Hangup, wait_for, without_waiting
from sqsw.local.http.request_log import log_error, log_request
from sqsw.local.http.signature import SignatureCheck, Signed
from sqsw.local.protocol import wire
from sqsw.local.protocol.wire import Call, HttpAnswer, Request
from sqsw.web.request_guard import RequestGuard, has_browser_headers, read_headers

#: the largest body: room for a batch of 1 MiB, of which JSON can turn each byte into six
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
#: the most bytes that the bodies of all requests in progress can have together
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
#: the largest body that is read even beyond that limit, so slow uploads of large bodies do not
#: block receives, deletes, and small sends
_SMALL_BYTES: Final = 16 * 1024
#: after a peak of this many bytes in progress, free memory is returned to the system
_MANY_BYTES: Final = 16 * 1024 * 1024

#: Operations that change nothing, not even the visibility of a message.
_READS: Final = frozenset(
    {
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "ListMessageMoveTasks",
        "ListQueueTags",
        "ListQueues",
    }
)

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Scope = Mapping[str, Any]


class ClientGone(Exception):
    """The client disconnected before its request was complete or answered."""


class HttpApp:
    def __init__(
        self,
        engine: LocalEngine,
        host: str,
        region: str,
        guard: RequestGuard,
        check: SignatureCheck | None = None,
    ) -> None:
        self.engine, self._host, self._region = engine, host, region
        self._guard, self._check = guard, check
        self._is_ending = False
        self._held_bytes, self._has_held_many = 0, False
        self.metrics = Metrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        call = _call(scope, self._host, self._region)
        page: tuple[str, HttpAnswer] | None = None
        refusal = self._guard.refusal(call.headers)
        if refusal is not None:
            operation, answer = "", wire.failure(call, AccessDeniedException(refusal))
        elif page := await self._page(call):
            operation, answer = page
        else:
            try:
                operation, answer = await self._answer(call, receive)
            except ClientGone:
                return
        if page is None:  # requests for /health and /metrics are not counted
            self.metrics.count(operation, answer.status)
        await _send(send, answer)
        seconds = time.perf_counter() - begun
        log_request(operation, scope["path"], answer.status, scope.get("client"), seconds)

    def end(self) -> None:
        """End the waiting receives; new ones no longer wait."""
        self._is_ending = True
        self.engine.end_polls()

    async def _answer(self, call: Call, receive: Receive) -> tuple[str, HttpAnswer]:
        operation, held = "", 0
        try:
            claim = None if self._check is None else self._check.read_claim(_signed(call))
            body = await self._read_body(receive)
            held = len(body)
            call = call._replace(body=body)
            if self._check is not None and claim is not None:
                self._check.check(_signed(call), claim)
            request = wire.read_request(call)
            operation = request.operation
            if (
                call.method == "GET"
                and operation not in _READS
                and has_browser_headers(call.headers)
            ):
                raise AccessDeniedException(
                    f"A browser cannot call {operation} with GET, because any web page could make"
                    " it do that. Send a POST from a program."
                )
            result = await self._do(request, receive)
            return operation, wire.success(call, operation, result)
        except ServiceError as error:
            return operation, wire.failure(call, error)
        except ClientGone:
            raise
        except FileLocked:
            return operation, wire.failure(call, ServiceUnavailable())
        except FileError as error:
            log_error("file_error", operation=operation, error=str(error))
            text = f"The file cannot be used: {error.why}."
            return operation, wire.failure(call, InternalFailure(text))
        except Exception as error:  # noqa: BLE001  # a bug; the log shows it
            log_error("internal_failure", error, operation=operation)
            return operation, wire.failure(call, InternalFailure())
        finally:
            self._release(held)

    async def _read_body(self, receive: Receive) -> bytes:
        """Read the body and count its bytes as held.

        Raises
        ------
        ServiceError
            The body is too large, or the bodies in progress together are.
        ClientGone
            The client disconnected.
        """
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                event = await receive()
                if event["type"] != "http.request":
                    raise ClientGone
                parts.append(event["body"])
                size += len(event["body"])
                self._held_bytes += len(event["body"])
                self._has_held_many |= self._held_bytes > _MANY_BYTES
                if size > MAX_BODY_BYTES:
                    raise RequestEntityTooLarge(
                        f"A request body can have at most {MAX_BODY_BYTES} bytes."
                    )
                if self._held_bytes > MAX_HELD_BYTES and size > _SMALL_BYTES:
                    raise ServiceUnavailable(
                        "The requests in progress have reached this server's limit of"
                        f" {MAX_HELD_BYTES} bytes. Try again."
                    )
                if not event.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
        except BaseException:
            self._release(size)
            raise

    def _release(self, size: int) -> None:
        self._held_bytes -= size
        if self._has_held_many and self._held_bytes < _SMALL_BYTES:
            self._has_held_many = False
            # Not at once: the body of this request is still in use.
            asyncio.get_running_loop().call_later(1, _give_memory_back)

    async def _do(self, request: Request, receive: Receive) -> Mapping[str, Any]:
        engine, where = self.engine, {"region": request.region, "origin": request.origin}
        if request.operation != "ReceiveMessage":
            return await without_waiting(
                lambda: engine.handle(request.operation, request.params, **where)
            )
        poll = await without_waiting(lambda: engine.receive(request.params, **where))
        answer = await without_waiting(poll.look)
        if answer is not None:
            return answer
        if not poll.wait_seconds or self._is_ending:
            return {}
        self.metrics.waiting += 1
        try:
            hangup = Hangup(receive)
            answer = await wait_for(poll, engine.store, hangup)
        finally:
            self.metrics.waiting -= 1
        if hangup.has_happened:
            await self._give_back(request, answer)
            raise ClientGone
        return answer

    async def _give_back(self, request: Request, answer: Mapping[str, Any]) -> None:
        """Return messages to the queue if their client has disconnected."""
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for index, message in enumerate(answer.get("Messages", ()))
        ]
        if entries:
            params = {"QueueUrl": request.params["QueueUrl"], "Entries": entries}
            await without_waiting(
                lambda: self.engine.handle(
                    "ChangeMessageVisibilityBatch", params, region=request.region
                )
            )

    async def _page(self, call: Call) -> tuple[str, HttpAnswer] | None:
        """Return ``/health`` or ``/metrics``; None for other paths.

        They need no signature, and do not show the contents of messages.
        """
        if call.path not in ("/health", "/metrics") or call.method not in ("GET", "HEAD"):
            return None
        store = self.engine.store
        try:
            text = await without_waiting(lambda: self.metrics.text(store))
        except Exception as error:  # noqa: BLE001  # a health check must report any failure
            log_error("health_failing", error=str(error))
            # Anyone can request this page, so file names are only in the log.
            reason = "see the log of the server"
            if isinstance(error, FileError):
                reason = f"the file cannot be used: {error.why}"
            body = json.dumps({"status": "failing", "error": reason}).encode()
            return call.path, HttpAnswer(503, {"Content-Type": "application/json"}, body)
        if call.path == "/metrics":
            return call.path, HttpAnswer(200, {"Content-Type": metrics.CONTENT_TYPE}, text.encode())
        return call.path, HttpAnswer(200, {"Content-Type": "application/json"}, b'{"status": "ok"}')


def _give_memory_back() -> None:
    """Return free memory of malloc to the system, after a burst of large bodies."""
    import ctypes

    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _signed(call: Call) -> Signed:
    return Signed(call.method, call.path, call.query, call.headers, call.body)


def _call(scope: Scope, host: str, region: str) -> Call:
    headers = read_headers(scope["headers"])
    headers.setdefault("host", host)
    headers.setdefault(wire.REGION_HEADER, region)
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    scheme = scope["scheme"]
    if "x-forwarded-proto" in headers:  # set by a proxy with TLS; the first value is the client's
        forwarded = headers["x-forwarded-proto"].partition(",")[0].strip().lower()
        scheme = forwarded if forwarded in ("http", "https") else scheme
    return Call(scope["method"], headers, b"", scheme, path, query)


async def _send(send: Send, answer: HttpAnswer) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
