"""One HTTP/1.1 connection that carries one request at a time."""

import select
import socket
import ssl
import time
from typing import NamedTuple

import httptools

#: bytes of an answer, headers and body: ten messages of 1 MiB, and their escapes in JSON
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: seconds to connect to an address of the server, and for the TLS handshake; the system bounds the
#: lookup of the name
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
    """A whole answer.

    Attributes
    ----------
    is_signed :
        Whether it has headers that only SQS and compatible servers send.
    """

    status: int
    is_signed: bool
    body: bytes


class ConnectionBroken(Exception):
    """The answer did not arrive whole, or is not HTTP.

    The text names the failure and nothing of the request.
    """


class TimedOut(ConnectionBroken):
    """The request was sent, and no whole answer came in time."""


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
        except OSError as error:
            self._socket.close()
            raise ConnectionBroken("the TLS handshake failed") from error
        # poll() instead of select(): a worker can have more than 1,024 open files.
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    @property
    def is_old(self) -> bool:
        """Whether it was idle for so long that the server may have closed it."""
        return time.monotonic() - self._used_at > _IDLE_SECONDS

    @property
    def is_stale(self) -> bool:
        """Whether it must not be used again: it is old, or the server has closed it."""
        return self.is_old or bool(self._readable.poll(0))

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
            The answer did not arrive whole; :class:`TimedOut` if it did not arrive in time.
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
        except TimeoutError as error:
            raise TimedOut("no answer came in time") from error
        except OSError as error:
            raise ConnectionBroken(type(error).__name__) from error
        self._used_at = time.monotonic()
        self.can_be_kept = reader.keeps_alive
        return reader.answer

    #: whether the last answer leaves the connection open
    can_be_kept = True

    def close(self) -> None:
        """Close the socket.

        In a child process this closes only the child's copy: nothing is sent.
        """
        self._socket.close()

    def __del__(self) -> None:
        # A call that an exception has ended, such as a time limit, leaves its connection behind.
        if hasattr(self, "_socket"):
            self._socket.close()


class _AnswerReader:
    """Collects what httptools finds in the bytes of one answer."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._parts: list[bytes] = []
        self._is_signed = False
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
        except httptools.HttpParserUpgrade as error:
            raise ConnectionBroken("the server wants another protocol") from error
        except httptools.HttpParserError as error:
            raise ConnectionBroken("the answer is not HTTP") from error

    @property
    def answer(self) -> Answer:
        return Answer(self._parser.get_status_code(), self._is_signed, b"".join(self._parts))

    def on_message_begin(self) -> None:
        # A second answer, or the final one after a 100 Continue that was not asked for.
        if self.is_complete:
            raise httptools.HttpParserError("more than one answer came")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"x-amzn-requestid" or (
            name == b"content-type" and value.startswith(b"application/x-amz-json")
        ):
            self._is_signed = True

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
