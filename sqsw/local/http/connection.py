"""One client connection: uvicorn's protocol, with limits on headers and time.

The application never sees an incomplete request. So this module answers headers that are too long,
requests that are too slow, and input that is not HTTP, in the form of SQS errors.
"""

import asyncio
import socket
from http import HTTPStatus
from itertools import chain
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sqsw.local.errors import ServiceError
from sqsw.local.protocol import wire

#: the most bytes of the request line and the headers together
MAX_HEAD_BYTES: Final = 64 * 1024
#: the most seconds from the first byte of a request to its last
REQUEST_SECONDS: Final = 30.0
#: seconds that an idle connection stays open: longer than SDKs keep one in their pools
IDLE_SECONDS: Final = 75
#: seconds that a client has to read the rest of an answer before its connection is aborted
_LINGER_SECONDS: Final = 5.0


class BadRequest(ServiceError):
    query_code = "BadRequest"
    default_text = "The request is not valid HTTP."


class RequestTimeout(ServiceError):
    query_code = "RequestTimeout"
    status = 408
    default_text = f"The request was not complete within {REQUEST_SECONDS:.0f} seconds."


class HeaderTooLarge(ServiceError):
    query_code = "RequestHeaderSectionTooLarge"
    status = 431
    default_text = f"The headers of a request can have at most {MAX_HEAD_BYTES} bytes."


class _OneWrite:
    """A transport that sends head and body of an answer together, to save a system call."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        is_head = data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n")
        if is_head and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def flush(self) -> None:
        """Send a head that was not followed by a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """Reads requests from one connection; the timer runs only while a request is incomplete."""

    #: seconds; tests make it shorter
    request_seconds = REQUEST_SECONDS

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._is_incomplete = False
        #: whether further input is ignored
        self._is_refused = False
        #: the head of a request that offers another protocol, without its Upgrade header
        self._head_again = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        gathering: Any = _OneWrite(transport)
        super().connection_made(gathering)
        # asyncio sets this only on sockets created with an explicit protocol. Without it, the
        # second part of an answer waits 40 ms until the client acknowledges the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # uvicorn starts the idle timer only after a request; some clients never send one.
        self._wait_for_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._is_incomplete = True
        self._unset_keepalive_if_required()
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError:
            self._refuse(BadRequest())
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeaderTooLarge())
        elif self._is_incomplete and self._timer is None:
            self._timer = self.loop.call_later(self.request_seconds, self._on_timeout)

    def _parse(self, data: memoryview) -> None:
        """Parse input; ignore a client's offer to upgrade to another protocol.

        After such a head, the parser assumes that the request has no body and that the other
        protocol follows. Java's HTTP client offers HTTP/2 with every first request.

        Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.8
        """
        while True:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            head, self._head_again = self._head_again, b""
            if head:
                # The old parser stops reading after "Connection: close".
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head)

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        if head > MAX_HEAD_BYTES:
            self._refuse(HeaderTooLarge())
        if self._is_refused:
            return  # also ignore requests that arrived in the same chunk
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            self._head_again = self._without_offer(method)
            return
        super().on_headers_complete()
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._head_again:
            return
        self._stop_timer()
        self._head_bytes, self._in_head, self._is_incomplete = 0, True, False
        if self._is_refused:
            return
        super().on_message_complete()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # The request was answered before it was complete, and the rest of its body has stopped
            # uvicorn's idle timer.
            self._wait_for_next()

    def on_response_complete(self) -> None:
        transport: Any = self.transport
        transport.flush()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # If a client does not read its answer, the connection would stay open forever.
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """Stop: complete requests are still answered, incomplete ones are dropped."""
        if self._is_incomplete:
            self.transport.close()
        super().shutdown()

    def _without_offer(self, method: bytes) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def _on_timeout(self) -> None:
        self._timer = None
        self._refuse(RequestTimeout())

    def _refuse(self, error: ServiceError) -> None:
        """Answer with an error instead of calling the application, and close the connection."""
        self._stop_timer()
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        is_pending = cycle is not None and not cycle.response_complete
        if cycle is not None and is_pending and (self._in_head or cycle.response_started):
            # An earlier request is still in progress: answer it, then close.
            cycle.keep_alive = False
            return
        if not self.pipeline:
            self.transport.write(self._written(error))
        self.transport.close()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _written(self, error: ServiceError) -> bytes:
        """Return the complete answer, in the protocol that the headers read so far indicate."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers or ()
        }
        answer = wire.failure(wire.Call("", headers, b""), error)
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += [f"Content-Length: {len(answer.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + answer.body

    def _wait_for_next(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
