"""One HTTP/1.1 connection that carries one request at a time."""

import select
import socket
import ssl
import time
from typing import NamedTuple

import httptools

#: bytes of an answer, headers and body
MAX_ANSWER_BYTES = 16 * 1024 * 1024

#: seconds to connect, name lookup and TLS handshake included
CONNECT_SECONDS = 3.0

#: seconds after which a connection is not used again: servers close idle ones, and a request that
#: meets the close cannot be told from one that was carried out
_IDLE_SECONDS = 10.0

_READ_BYTES = 256 * 1024


class Address(NamedTuple):
    """Where to connect to."""

    host: str
    port: int
    is_tls: bool


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    content_type: bytes
    body: bytes


class ConnectionBroken(Exception):
    """The answer did not arrive whole, or is not HTTP.

    The text names the failure and nothing of the request.
    """


class Connection:
    """A connection to SQS.

    It is used by one thread at a time. After :class:`ConnectionBroken` it must be closed.

    Parameters
    ----------
    address :
        The server.
    tls :
        How to check certificate and host name; needed if the address says TLS.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._used_at = time.monotonic()
        deadline = self._used_at + CONNECT_SECONDS
        try:
            self._socket = socket.create_connection(address[:2], CONNECT_SECONDS)
        except OSError as error:
            raise ConnectionBroken("cannot connect") from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.is_tls:
                assert tls is not None
                self._socket.settimeout(_left(deadline))
                self._socket = tls.wrap_socket(self._socket, server_hostname=address.host)
        except (OSError, TimeoutError) as error:
            self._socket.close()
            raise ConnectionBroken("the TLS handshake failed") from error
        # poll() instead of select(): a worker can have more than 1,024 open files.
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    @property
    def is_stale(self) -> bool:
        """Whether the server may have closed it: it was idle for long, or something arrived."""
        return time.monotonic() - self._used_at > _IDLE_SECONDS or bool(self._readable.poll(0))

    def exchange(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return the answer.

        Parameters
        ----------
        request :
            Headers and body.
        seconds :
            How long the whole exchange can take.

        Raises
        ------
        ConnectionBroken
            No whole answer came in time.
        """
        deadline = time.monotonic() + seconds
        reader = _AnswerReader()
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(request)
            while not reader.is_complete:
                self._socket.settimeout(_left(deadline))
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    raise ConnectionBroken("the connection was closed before the answer was whole")
                reader.feed(data)
        except (OSError, TimeoutError) as error:
            raise ConnectionBroken(type(error).__name__) from error
        self._used_at = time.monotonic()
        self.can_be_kept = reader.keeps_alive
        return reader.answer

    #: whether the last answer leaves the connection open
    can_be_kept = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _AnswerReader:
    """Collects what httptools finds in the bytes of one answer."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._parts: list[bytes] = []
        self._content_type = b""
        self.is_complete = False
        self.keeps_alive = True

    def feed(self, data: bytes) -> None:
        if self.is_complete:
            raise ConnectionBroken("more than one answer came")
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            raise ConnectionBroken("the answer is too large")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ConnectionBroken("the answer is not HTTP") from error

    @property
    def answer(self) -> Answer:
        return Answer(self._parser.get_status_code(), self._content_type, b"".join(self._parts))

    def on_message_begin(self) -> None:
        # A second answer, or the final one after a 100 Continue that was not asked for.
        if self.is_complete:
            raise httptools.HttpParserError("more than one answer came")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._content_type = value

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = True
        self.keeps_alive = self._parser.should_keep_alive()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
