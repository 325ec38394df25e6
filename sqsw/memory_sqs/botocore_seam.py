"""Sends a boto3 client's requests to an engine instead of the network."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sqsw.local.engine import LocalEngine
from sqsw.local.protocol import wire
from sqsw.memory_sqs.file_errors import told_errors


def attach(client: Any, engine: LocalEngine, region_name: str, path: str | None) -> None:
    """Make a client send its requests to this engine; ``path`` is its file, for errors."""
    client.meta.events.register("before-send.sqs", _Seam(engine, region_name, path))


class _Seam:
    """Answers a client's requests; it must never return None, or botocore uses the network.

    It adds the region of its client, because unsigned requests do not contain it. Queues with the
    same name in two regions are separate.
    """

    def __init__(self, engine: LocalEngine, region_name: str, path: str | None) -> None:
        self._engine, self._region_name, self._path = engine, region_name, path

    def __call__(self, request: Any, **_: object) -> Any:
        from botocore.awsrequest import AWSResponse

        url = urlsplit(request.url)
        headers = {
            name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        headers |= {"host": url.netloc, wire.REGION_HEADER: self._region_name}
        with told_errors(self._path):
            call = wire.Call(request.method, headers, request.body, url.scheme, url.path, url.query)
            answer = wire.answer(self._engine, call)
        answer_headers: Any = answer.headers  # AWSResponse accepts any mapping
        return AWSResponse(request.url, answer.status, answer_headers, _RawBody(answer.body))


class _RawBody:
    """The body as botocore reads it from a connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
