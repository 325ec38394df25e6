"""One connection of a client: uvicorn's protocol, with limits on headers and time.

What a client does before its request is whole never reaches the application, so it is judged here:
too long a header, too slow a request, and what is no HTTP at all are answered in SQS's own form.
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

#: bytes of the request line and the headers together
MAX_HEAD_BYTES: Final = 64 * 1024
#: seconds from the first byte of a request to its last
REQUEST_SECONDS: Final = 30.0
#: seconds that a connection stays open without a request: longer than SDKs keep one in their pools
IDLE_SECONDS: Final = 75
#: seconds that a client may take to read what is left when its connection ends
_LINGER_SECONDS: Final = 5.0


class BadRequest(ServiceError):
    query_code = "BadRequest"
    default_text = "The request is not valid HTTP."


class RequestTimeout(ServiceError):
    query_code = "RequestTimeout"
    status = 408
    default_text = "The request was not complete in time."


class HeaderTooLarge(ServiceError):
    query_code = "RequestHeaderSectionTooLarge"
    status = 431
    default_text = f"The headers of a request can have {MAX_HEAD_BYTES} bytes."


class _OneWrite:
    """A transport that sends head and body of an answer together: each send is a system call."""

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
        """Send a head that has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """Reads requests off one connection; the timer runs only while a request is incomplete."""

    #: seconds; a test makes it shorter
    request_seconds = REQUEST_SECONDS

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._is_incomplete = False
        #: nothing that comes now is read
        self._is_refused = False
        #: the head of a request that offers another protocol, without the offer
        self._head_again = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        gathering: Any = _OneWrite(transport)
        super().connection_made(gathering)
        # asyncio does it only for sockets that name their protocol. Without it the second half of
        # an answer waits 40 ms for the client's acknowledgement of the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # uvicorn sets this one only after a request; some clients never make any.
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
        """Read on as if nothing had been offered where a client offers another protocol.

        The parser takes what comes behind such a head for that protocol, and the request for one
        without a body. Java's own client offers HTTP/2 with every first request.

        Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.8
        """
        while True:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            head, self._head_again = self._head_again, b""
            if head:
                # The old one reads nothing more after "Connection: close".
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head)

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(map(len, chain.from_iterable(self.headers)))
        if head > MAX_HEAD_BYTES:
            self._refuse(HeaderTooLarge())
        if self._is_refused:
            return  # and so is what came behind it in one piece
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
            # Refused before its end was here, so uvicorn's own timer was stopped by the rest.
            self._wait_for_next()

    def on_response_complete(self) -> None:
        transport: Any = self.transport
        transport.flush()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # What a client does not read would keep the connection for good.
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """The server ends: who has asked for something gets it, who is still asking does not."""
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
        """Answer without the application, and close; once is enough."""
        self._stop_timer()
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        is_pending = cycle is not None and not cycle.response_complete
        if cycle is not None and is_pending and (self._in_head or cycle.response_started):
            # What came before is answered first, and nothing after it.
            cycle.keep_alive = False
            return
        if not self.pipeline:
            self.transport.write(self._written(error))
        self.transport.close()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _written(self, error: ServiceError) -> bytes:
        """The whole answer, in the protocol that the headers so far speak."""
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
