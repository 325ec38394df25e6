"""Calls of SQS over own connections, in AWS's JSON protocol."""

import json
import os
import ssl
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

from sqsw.transport.calls import NotPlain
from sqsw.transport.wire.connection import Address, Answer, Connection, ConnectionBroken
from sqsw.transport.wire.signature import Signer, SigningCredentials

#: seconds that an answer may take; a receive may take its waiting time and these
_ANSWER_SECONDS, _AFTER_WAIT_SECONDS = 10.0, 8.0

#: after so many failures in a row no call is made this way for so many seconds
_MOST_FAILURES, _PAUSE_SECONDS = 5, 30.0

#: what SQS itself answers with; a proxy or a portal answers with something else
_JSON_TYPE = b"application/x-amz-json-1.0"

_HEAD = "POST / HTTP/1.1\r\nuser-agent:sqsw\r\naccept-encoding:identity\r\n"


class Endpoint(NamedTuple):
    """Where calls go and how they are signed.

    Attributes
    ----------
    address :
        The server.
    host :
        The value of the ``Host`` header.
    region :
        The region of the signature.
    tls :
        How certificates are checked; None for plain HTTP.
    credentials :
        Gives the credentials of the moment; None if requests are not signed.
    """

    address: Address
    host: str
    region: str
    tls: ssl.SSLContext | None
    credentials: Callable[[], SigningCredentials] | None


class WireCalls:
    """Calls over one connection per thread.

    Parameters
    ----------
    endpoint :
        Where calls go.
    on_request :
        Called with the action of every request that is sent.
    """

    def __init__(self, endpoint: Endpoint, on_request: Callable[[str], object]) -> None:
        self._endpoint = endpoint
        self._signer = Signer(endpoint.host, endpoint.region)
        self._on_request = on_request
        self._mine = threading.local()
        self._failures = 0
        self._paused_until = 0.0

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call; see :class:`~sqsw.transport.calls.Calls`."""
        if self._failures >= _MOST_FAILURES and time.monotonic() < self._paused_until:
            raise NotPlain("the wire pauses after several failures")
        body = _as_body(params)
        seconds = _ANSWER_SECONDS
        if action == "ReceiveMessage":
            seconds = params.get("WaitTimeSeconds", 0) + _AFTER_WAIT_SECONDS
        credentials = self._endpoint.credentials
        headers = self._signer.headers(action, body, credentials and credentials())
        request = f"{_HEAD}{headers}\r\n".encode("latin-1") + body
        try:
            connection = self._connection()
            self._on_request(action)
            answer = connection.exchange(request, seconds)
        except ConnectionBroken as error:
            self._drop()
            self._count_failure()
            raise NotPlain(str(error)) from error
        if not connection.can_be_kept:
            self._drop()
        return self._read(answer)

    def _read(self, answer: Answer) -> dict[str, Any]:
        if answer.status == 200 and answer.content_type.startswith(_JSON_TYPE):
            try:
                found = _as_answer(answer.body)
            except (ValueError, TypeError, AttributeError, RecursionError):
                pass
            else:
                self._failures = 0
                return found
        self._drop()
        # A refused call says nothing about the connection. Anything else can come from a server
        # that is not SQS.
        if not 400 <= answer.status < 500:
            self._count_failure()
        raise NotPlain(f"the answer is not a plain success: status {answer.status}")

    def _count_failure(self) -> None:
        self._failures += 1
        self._paused_until = time.monotonic() + _PAUSE_SECONDS

    def _connection(self) -> Connection:
        """The connection of this thread, in this process."""
        pid, connection = getattr(self._mine, "kept", (0, None))
        if connection is not None:
            # Another process's connection: closing our copy of the socket does not end its own.
            if pid == os.getpid() and not connection.is_stale:
                return connection  # type: ignore[no-any-return]  # a thread local has no types
            connection.close()
        connection = Connection(self._endpoint.address, self._endpoint.tls)
        self._mine.kept = os.getpid(), connection
        return connection

    def _drop(self) -> None:
        kept = getattr(self._mine, "kept", None)
        if kept is not None:
            kept[1].close()
            del self._mine.kept


def _as_body(params: dict[str, Any]) -> bytes:
    return json.dumps(params, separators=(",", ":"), default=_as_base64).encode()


def _as_base64(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    raise NotPlain(f"a parameter is a {type(value).__name__}")


def _as_answer(body: bytes) -> dict[str, Any]:
    """Read an answer as botocore would: an object, with bytes where its JSON has base64."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise TypeError("not an object")
    if b'"BinaryValue"' in body:
        for message in found.get("Messages") or ():
            for attribute in (message.get("MessageAttributes") or {}).values():
                if "BinaryValue" in attribute:
                    attribute["BinaryValue"] = b64decode(attribute["BinaryValue"], validate=True)
    return found
