"""The embedded SQS as an ASGI application, with ``/health`` and ``/metrics`` beside it.

1. the request, within limits
2. its signature, where keys are asked for
3. the operation; a receive that waits is a coroutine, and ends when its client hangs up
4. the answer, in the protocol of the caller, and a line in the log

No exception leaves it: what is our fault is answered and logged.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sqsw.local import metrics, wire
from sqsw.local.engine import LocalEngine
from sqsw.local.errors import (
    FileError,
    FileLocked,
    InternalFailure,
    RequestEntityTooLarge,
    ServiceError,
    ServiceUnavailable,
)
from sqsw.local.metrics import Metrics
from sqsw.local.polling import Hangup, wait_for, without_waiting
from sqsw.local.request_log import RequestLog, log_error
from sqsw.local.signature import SignatureCheck, Signed
from sqsw.local.wire import Answer, Call, Request

#: bytes of a body: a batch of 1 MiB as an encoding may inflate it, six bytes for one in JSON
MAX_BODY_BYTES: Final = 8 * 1024 * 1024

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Scope = Mapping[str, Any]


class ClientGone(Exception):
    """The client has hung up before its request was whole."""


class HttpApp:
    """Answers requests on one engine.

    Parameters
    ----------
    engine :
        The embedded SQS.
    host :
        Host and port for the URLs of queues where a client names none.
    region :
        Of requests that name none.
    check :
        Whether a request is signed as it should be; None: everybody is welcome.
    """

    def __init__(
        self, engine: LocalEngine, host: str, region: str, check: SignatureCheck | None = None
    ) -> None:
        self.engine, self._host, self._region, self._check = engine, host, region, check
        self._is_ending = False
        self.metrics = Metrics()
        self.log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        try:
            call = _call(scope, await _read_body(receive), self._host, self._region)
            page = await self._page(call)
            operation, answer = page or await self._answer(call, receive)
        except ClientGone:
            return
        except RequestEntityTooLarge as error:
            call = _call(scope, b"", self._host, self._region)
            page, operation, answer = None, "", wire.failure(call, error)
        if page is None:  # who looks at the figures does not change them
            self.metrics.count(operation, answer.status)
        await _send(send, answer)
        seconds = time.perf_counter() - begun
        self.log.add(operation, scope["path"], answer.status, scope.get("client"), seconds)

    def end(self) -> None:
        """Answer the receives that wait; those that come now do not wait any more."""
        self._is_ending = True
        self.engine.end_polls()

    async def _answer(self, call: Call, receive: Receive) -> tuple[str, Answer]:
        operation = ""
        try:
            if self._check is not None:
                self._check.check(
                    Signed(call.method, call.path, call.query, call.headers, call.body)
                )
            request = wire.read_request(call)
            operation = request.operation
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
            return operation, wire.failure(call, InternalFailure(f"The file failed: {error.why}."))
        except Exception as error:  # noqa: BLE001  # a defect of ours, which the log shows
            log_error("internal_failure", error, operation=operation)
            return operation, wire.failure(call, InternalFailure())

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
        """What was received for a client that has gone is for the next one."""
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

    async def _page(self, call: Call) -> tuple[str, Answer] | None:
        """The pages beside the API; they say nothing of what is in messages and ask for no key."""
        if call.path not in ("/health", "/metrics") or call.method not in ("GET", "HEAD"):
            return None
        store = self.engine.store
        try:
            text = await without_waiting(lambda: self.metrics.text(store))
        except Exception as error:  # noqa: BLE001  # whatever it is, that is what a health check asks
            log_error("health_failing", error=str(error))
            # Who may ask need not know which files there are: those stand in the log.
            reason = "the log says what"
            if isinstance(error, FileError):
                reason = f"the file failed: {error.why}"
            body = json.dumps({"status": "failing", "error": reason}).encode()
            return call.path, Answer(503, {"Content-Type": "application/json"}, body)
        if call.path == "/metrics":
            return call.path, Answer(200, {"Content-Type": metrics.CONTENT_TYPE}, text.encode())
        return call.path, Answer(200, {"Content-Type": "application/json"}, b'{"status": "ok"}')


async def _read_body(receive: Receive) -> bytes:
    """The body; who sends too much is refused while he is still sending."""
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body"):
        return _within_limit(event["body"])
    parts, size = [], 0
    while event["type"] == "http.request":
        parts.append(event["body"])
        size += len(event["body"])
        if size > MAX_BODY_BYTES or not event.get("more_body"):
            return _within_limit(b"".join(parts))
        event = await receive()
    raise ClientGone


def _within_limit(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge(f"A request can have {MAX_BODY_BYTES} bytes.")
    return body


def _call(scope: Scope, body: bytes, host: str, region: str) -> Call:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    headers.setdefault("host", host)
    headers.setdefault(wire.REGION_HEADER, region)
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return Call(scope["method"], headers, body, scope["scheme"], path, query)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
