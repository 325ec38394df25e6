"""Make SQS calls over our own connections, in AWS's JSON protocol."""

import json
import ssl
import time
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from sqsw.core.calls import NoAnswerInTime, NotPlain, Unanswered
from sqsw.transport.answers import is_answer
from sqsw.transport.wire.connection import (
    Address,
    Answer,
    Connection,
    ConnectionBroken,
    NotConnected,
    NotHTTP,
    TimedOut,
)
from sqsw.transport.wire.signature import Signer, SigningCredentials

#: seconds to wait for an answer: of most calls, of a receive in addition to its wait time, and of a
#: send. A send waits as long as in a boto3 client, because a retry can store the message twice.
_ANSWER_SECONDS, _AFTER_WAIT_SECONDS, _SEND_SECONDS = 10.0, 8.0, 28.0

#: after this many failures in a row, the wire pauses for this many seconds
_MAX_FAILURES, _PAUSE_SECONDS = 5, 30.0

#: seconds to pause after an answer that is not valid HTTP
_LONG_PAUSE = 3600.0

#: maximum number of idle connections
_MAX_IDLE = 16

#: the schemes of endpoints, and their default ports
PORTS = {"http": 80, "https": 443}

_HEAD = "POST / HTTP/1.1\r\nuser-agent:sqsw\r\naccept-encoding:identity\r\n"


class Endpoint(NamedTuple):
    """The server of the calls, and how to sign them.

    Attributes
    ----------
    url :
        The URL in botocore's form.
    address :
        The server.
    host :
        The value of the ``Host`` header.
    region :
        The region in the signatures.
    tls :
        How to check certificates; None for plain HTTP.
    credentials :
        Returns the current credentials.
    """

    url: str
    address: Address
    host: str
    region: str
    tls: ssl.SSLContext | None
    credentials: Callable[[], SigningCredentials]

    @classmethod
    def at(
        cls,
        url: str,
        region: str,
        tls: ssl.SSLContext | None,
        credentials: Callable[[], SigningCredentials],
    ) -> Self:
        """Return the endpoint for a URL with a scheme of :data:`PORTS`; its path is ignored."""
        parts = urlsplit(url)
        host, default = parts.hostname or "", PORTS[parts.scheme]
        port = default if parts.port is None else parts.port
        name = f"[{host}]" if ":" in host else host
        return cls(
            url,
            Address(host, port, is_tls=parts.scheme == "https"),
            name if port == default else f"{name}:{port}",
            region,
            tls,
            credentials,
        )


class WireCalls:
    """A pool of connections that makes calls. It is thread-safe, but not shared by processes.

    1. Sign the request.
    2. Send it over an idle or a new connection.
    3. Read the answer, and keep the connection for the next call.

    Anything but a plain success raises :class:`~sqsw.core.calls.NotPlain`.

    Parameters
    ----------
    endpoint :
        The server of the calls.
    on_request :
        Called with the action before each request.
    """

    def __init__(self, endpoint: Endpoint, on_request: Callable[[str], object]) -> None:
        self.endpoint = endpoint
        self._signer = Signer(endpoint.host, endpoint.region)
        self._on_request = on_request
        # Reuse the most recent connection first, so surplus ones become stale.
        self._idle: deque[Connection] = deque()
        self._failures = 0
        self._paused_until = 0.0

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call; see :class:`~sqsw.core.calls.Calls`."""
        if self._failures >= _MAX_FAILURES and time.monotonic() < self._paused_until:
            raise NotPlain("the wire is paused after repeated failures")
        body = _as_body(params)
        headers = self._signer.headers(action, body, self.endpoint.credentials())
        request = f"{_HEAD}{headers}\r\n".encode("latin-1") + body
        seconds = _ANSWER_SECONDS
        if action == "ReceiveMessage":
            seconds = params.get("WaitTimeSeconds", 0) + _AFTER_WAIT_SECONDS
        elif action in ("SendMessage", "SendMessageBatch"):
            seconds = _SEND_SECONDS
        try:
            connection = self._connection()
            self._on_request(action)
            answer = connection.exchange(request, seconds)
        except TimedOut as error:
            # The caller can keep the error, which would keep the connection open.
            connection.close()
            self._count_failure()
            raise NoAnswerInTime(str(error)) from error
        except NotHTTP as error:
            # The next answer would fail in the same way, and each retried send is sent twice.
            self._failures, self._paused_until = _MAX_FAILURES, time.monotonic() + _LONG_PAUSE
            raise NotPlain(str(error)) from error
        except NotConnected as error:
            self._count_failure()
            raise NotPlain(str(error)) from error
        except ConnectionBroken as error:
            self._count_failure()
            raise Unanswered(str(error)) from error
        return self._read(action, answer, connection)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _read(self, action: str, answer: Answer, connection: Connection) -> dict[str, Any]:
        if answer.status == 200:
            try:
                value = json.loads(answer.body.decode())
                if is_answer(action, value, has_sqs_headers=answer.has_sqs_headers):
                    _decode_blobs(value, answer.body)
                    self._failures = 0
                    self._keep(connection)
                    return value  # type: ignore[no-any-return]  # is_answer() accepts only a dict
            except (ValueError, RecursionError):
                pass
        # A refused call does not mean that the wire is broken. Any other answer can come from a
        # server that is not SQS.
        if 400 <= answer.status < 500:
            self._keep(connection)
        else:
            connection.close()
            self._count_failure()
        raise NotPlain(f"the answer is not a plain success: status {answer.status}")

    def _count_failure(self) -> None:
        self._failures += 1
        self._paused_until = time.monotonic() + _PAUSE_SECONDS

    def _connection(self) -> Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return Connection(self.endpoint.address, self.endpoint.tls)
            if not connection.is_stale:
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        if not connection.can_be_kept or len(self._idle) >= _MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)


def _as_body(params: dict[str, Any]) -> bytes:
    try:
        return _write(params).encode()
    except (TypeError, ValueError, RecursionError) as error:  # keys, NaN, cycles
        raise NotPlain("a parameter cannot be written as JSON") from error


def _as_base64(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    raise NotPlain(f"a parameter is a {type(value).__name__}")


_write = json.JSONEncoder(separators=(",", ":"), default=_as_base64, allow_nan=False).encode


def _decode_blobs(answer: dict[str, Any], body: bytes) -> None:
    """Decode base64 values and drop nulls, as botocore does."""
    if b'"BinaryValue"' not in body and b"null" not in body:
        return
    for message in answer.get("Messages") or ():
        for name, attribute in (message.get("MessageAttributes") or {}).items():
            message["MessageAttributes"][name] = {
                key: b64decode(value) if key == "BinaryValue" else value
                for key, value in attribute.items()
                if value is not None
            }
