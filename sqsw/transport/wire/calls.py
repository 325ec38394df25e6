"""Make calls of SQS over our own connections, in AWS's JSON protocol."""

import json
import ssl
import time
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from sqsw.core.calls import NoAnswerInTime, NotPlain
from sqsw.transport.answers import is_answer
from sqsw.transport.wire.connection import (
    Address,
    Answer,
    Connection,
    ConnectionBroken,
    NotHTTP,
    TimedOut,
)
from sqsw.transport.wire.signature import Signer, SigningCredentials

#: seconds that an answer can take. A receive can take its wait time plus the second number. A send
#: can take as long as in a boto3 client, because a repeated send can store the message twice.
_ANSWER_SECONDS, _AFTER_WAIT_SECONDS, _SEND_SECONDS = 10.0, 8.0, 28.0

#: after this many failures in a row, the wire makes no call for this many seconds
_MAX_FAILURES, _PAUSE_SECONDS = 5, 30.0

#: seconds of the pause if a server does not answer in the way that HTTP prescribes
_LONG_PAUSE = 3600.0

#: connections that are kept for later calls
_MAX_IDLE = 16

#: the schemes of endpoints, and their default ports
PORTS = {"http": 80, "https": 443}

_HEAD = "POST / HTTP/1.1\r\nuser-agent:sqsw\r\naccept-encoding:identity\r\n"


class Endpoint(NamedTuple):
    """Where calls go and how to sign them.

    Attributes
    ----------
    url :
        The URL, as botocore has it.
    address :
        The server.
    host :
        The value of the ``Host`` header.
    region :
        The region that signatures name.
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
        """Return the endpoint at a URL of a scheme in :data:`PORTS`; only its host counts."""
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
    """Calls over a pool of connections; it can be used from many threads of one process.

    1. Sign the request.
    2. Send it over an idle connection or a new one.
    3. Read the answer, and keep the connection for the next call.

    Anything but a plain success raises :class:`~sqsw.core.calls.NotPlain`.

    Parameters
    ----------
    endpoint :
        Where calls go.
    on_request :
        Called with the action of every request that is about to be sent.
    """

    def __init__(self, endpoint: Endpoint, on_request: Callable[[str], object]) -> None:
        self.endpoint = endpoint
        self._signer = Signer(endpoint.host, endpoint.region)
        self._on_request = on_request
        # The connection that was used last is used next, so that extra ones become stale.
        self._idle: deque[Connection] = deque()
        self._failures = 0
        self._paused_until = 0.0

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call; see :class:`~sqsw.core.calls.Calls`."""
        if self._failures >= _MAX_FAILURES and time.monotonic() < self._paused_until:
            raise NotPlain("the wire pauses after several failures in a row")
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
            # The error reaches the caller, and would keep the connection open while it is kept.
            connection.close()
            self._count_failure()
            raise NoAnswerInTime(str(error)) from error
        except NotHTTP as error:
            # The next answer will be like this one, and each send that is repeated is made twice.
            self._failures, self._paused_until = _MAX_FAILURES, time.monotonic() + _LONG_PAUSE
            raise NotPlain(str(error)) from error
        except ConnectionBroken as error:
            self._count_failure()
            raise NotPlain(str(error)) from error
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
                    return value  # type: ignore[no-any-return]  # it is an object, as checked
            except (ValueError, RecursionError):
                pass
        # If SQS refuses a call, the wire still works. Any other answer can come from a server that
        # is not SQS.
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
    """Replace base64 text by bytes and leave out null, as botocore does."""
    if b'"BinaryValue"' not in body and b"null" not in body:
        return
    for message in answer.get("Messages") or ():
        for name, attribute in (message.get("MessageAttributes") or {}).items():
            message["MessageAttributes"][name] = {
                key: b64decode(value) if key == "BinaryValue" else value
                for key, value in attribute.items()
                if value is not None
            }
