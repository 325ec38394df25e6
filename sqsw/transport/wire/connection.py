"""An HTTP/1.1 connection that sends one request at a time."""

import select
import socket
import ssl
import time
from typing import NamedTuple

import httptools

#: maximum bytes of headers and body: enough for ten messages of 1 MiB with JSON escapes
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: seconds to connect to one of the server's addresses, and for name lookup, TCP and TLS handshake
#: together. Only the operating system limits the name lookup.
CONNECT_SECONDS = 3.0

#: idle seconds after which a connection is not reused: if the server closes it during a send, we
#: cannot know whether the server executed the request
_IDLE_SECONDS = 10.0

#: seconds for slow transfers, in addition to the server's silence limit
_TRANSFER_SECONDS = 120.0

_READ_BYTES = 256 * 1024


class Address(NamedTuple):
    host: str
    port: int
    is_tls: bool


class Answer(NamedTuple):
    """A complete answer.

    Attributes
    ----------
    has_sqs_headers :
        Whether it has headers that only SQS and compatible servers send.
    """

    status: int
    has_sqs_headers: bool
    body: bytes


class ConnectionBroken(Exception):
    """A failure to get a complete answer.

    The text never quotes the request.
    """


class NotConnected(ConnectionBroken):
    """No connection: nothing was sent."""


class NotHTTP(ConnectionBroken):
    """An answer that is not valid HTTP, although botocore's parser can perhaps read it."""


class TimedOut(ConnectionBroken):
    """A timeout, because the server was silent or the exchange took too long."""


class Connection:
    """A connection to SQS.

    Only one thread can use it at a time. Close it after :class:`ConnectionBroken`.

    Parameters
    ----------
    address :
        The server.
    tls :
        How to check the certificate and the host name; required for a TLS address.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._used_at = time.monotonic()
        deadline = self._used_at + CONNECT_SECONDS
        try:
            self._socket = socket.create_connection(address[:2], CONNECT_SECONDS)
        except (OSError, ValueError) as error:  # ValueError: invalid host name
            raise NotConnected("cannot connect") from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.is_tls:
                assert tls is not None
                self._socket.settimeout(_left(deadline))
                self._socket = tls.wrap_socket(self._socket, server_hostname=address.host)
        except (OSError, ValueError) as error:
            self._socket.close()
            raise NotConnected("the TLS handshake failed") from error
        # With a timeout, Python would poll before each system call and release the GIL each time.
        self._socket.setblocking(False)
        # poll(), not select(): a worker can have more than 1,024 open files.
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    @property
    def is_stale(self) -> bool:
        """Whether the connection is too old, is closed, or has unread data."""
        is_old = time.monotonic() - self._used_at > _IDLE_SECONDS
        return is_old or bool(self._readable.poll(0))

    def exchange(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return the answer.

        Parameters
        ----------
        request :
            Headers and body.
        seconds :
            How long the server can be silent. The whole exchange can take two minutes more.

        Raises
        ------
        ConnectionBroken
            No complete answer arrived; :class:`TimedOut` if it was too late.
        """
        deadline = time.monotonic() + seconds + _TRANSFER_SECONDS
        reader = _AnswerReader()
        try:
            rest = memoryview(request)
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except _BLOCKED as blocked:
                    self._wait(blocked, select.POLLOUT, seconds, deadline)
            _wait(self._readable, seconds, deadline)
            while not reader.is_complete:
                try:
                    data = self._socket.recv(_READ_BYTES)
                except _BLOCKED as blocked:
                    self._wait(blocked, select.POLLIN, seconds, deadline)
                    continue
                if data:
                    reader.feed(data)
                else:
                    reader.end()
        except TimeoutError as error:
            raise TimedOut("no complete answer arrived in time") from error
        except OSError as error:
            raise ConnectionBroken(type(error).__name__) from error
        self._used_at = time.monotonic()
        self.can_be_kept = reader.keeps_alive
        return reader.answer

    def _wait(self, blocked: OSError, event: int, seconds: float, deadline: float) -> None:
        """Wait until the socket is ready. TLS can need the other direction first."""
        if isinstance(blocked, ssl.SSLWantReadError):
            event = select.POLLIN
        elif isinstance(blocked, ssl.SSLWantWriteError):
            event = select.POLLOUT
        poll = select.poll()
        poll.register(self._socket, event)
        _wait(poll, seconds, deadline)

    #: whether the server keeps the connection open after the last answer
    can_be_kept = True

    def close(self) -> None:
        """Close the socket.

        In a forked child, this closes only the child's copy and sends nothing.
        """
        self._socket.close()

    def __del__(self) -> None:
        # An exception during a call, such as a job's time limit, leaves the connection open.
        if hasattr(self, "_socket"):
            self._socket.close()


class _AnswerReader:
    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._parts: list[bytes] = []
        self._has_sqs_headers = self._has_headers = self._has_length = False
        self.is_complete = False
        self.keeps_alive = True

    def feed(self, data: bytes) -> None:
        if self.is_complete:
            raise NotHTTP("more than one answer arrived")
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            raise ConnectionBroken("the answer is too large")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise ConnectionBroken("the server requested another protocol") from error
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if cause is None or isinstance(cause, httptools.HttpParserError):
                raise NotHTTP("the answer is not HTTP") from error
            raise cause from None  # such as a job's time limit
        except httptools.HttpParserError as error:
            raise NotHTTP("the answer is not HTTP") from error

    def end(self) -> None:
        """Handle a closed connection, which can end an answer of unknown length."""
        if not self._has_headers or self._has_length:
            raise ConnectionBroken("the server closed the connection before the end of the answer")
        self.is_complete, self.keeps_alive = True, False

    @property
    def answer(self) -> Answer:
        return Answer(self._parser.get_status_code(), self._has_sqs_headers, b"".join(self._parts))

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise httptools.HttpParserError("more than one answer arrived")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._has_length = True
        if name == b"x-amzn-requestid" or (
            name == b"content-type" and value.startswith(b"application/x-amz-json")
        ):
            self._has_sqs_headers = True

    def on_headers_complete(self) -> None:
        self._has_headers = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() == 100:  # Continue: the answer follows
            self._has_sqs_headers = self._has_headers = self._has_length = False
            return
        self.is_complete = True
        self.keeps_alive = self._parser.should_keep_alive()


#: errors of a socket that is not ready
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _wait(poll: select.poll, seconds: float, deadline: float) -> None:
    if not poll.poll(min(seconds, _left(deadline)) * 1000):
        raise TimeoutError


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
