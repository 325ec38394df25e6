"""Turns a request to SQS into an operation, and its result into an answer.

It does not know the transport: the HTTP server and the botocore sessions both use it.

1. Detect the protocol: JSON 1.0 or the older query protocol.
2. Read the operation, its parameters, and the region.
3. Call the engine.
4. Write status, headers, and body, also for errors of SQS.

A ``FileError`` is not an answer of SQS, so it is raised to the caller.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqsw.local.engine import DEFAULT_ORIGIN, DEFAULT_REGION, OPERATIONS, LocalEngine
from sqsw.local.errors import ServiceError, UnknownOperationException
from sqsw.local.protocol import json_protocol, query_answers, query_protocol
from sqsw.local.protocol.query_protocol import NoAction
from sqsw.local.rules.names import new_id

#: the header that gives the region of an unsigned request
REGION_HEADER: Final = "x-sqsw-region"

Headers = dict[str, str]

# Credential=AKID/20260101/eu-west-1/sqs/aws4_request; a query string has %2F for each slash
_SCOPE = re.compile(
    r"Credential=[^/,\s]*?(?:/|%2F)[0-9]{8}(?:/|%2F)([A-Za-z0-9-]{1,64})(?:/|%2F)sqs"
)
# A host name or an address, and an optional port: what the URL of a queue can contain.
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


class Call(NamedTuple):
    """One request, not parsed yet.

    Parameters
    ----------
    headers :
        The headers, with lowercase names.
    scheme :
        The scheme of the request, for the URLs of queues.
    path, query :
        The path and the raw query string of the URL.
    """

    method: str
    headers: Mapping[str, str]
    body: bytes
    scheme: str = "http"
    path: str = "/"
    query: str = ""

    @property
    def speaks_json(self) -> bool:
        """Whether the request uses the JSON protocol; all others count as query protocol."""
        return "x-amz-target" in self.headers or (
            "content-type" in self.headers
            and (self.headers["content-type"].startswith("application/x-amz-json"))
        )


class Request(NamedTuple):
    operation: str
    params: dict[str, Any]
    region: str
    origin: str


class HttpAnswer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


def answer(engine: LocalEngine, call: Call) -> HttpAnswer:
    """Answer one request; a waiting receive blocks the calling thread."""
    try:
        request = read_request(call)
        result = engine.handle(
            request.operation, request.params, region=request.region, origin=request.origin
        )
    except ServiceError as error:
        return failure(call, error)
    return success(call, request.operation, result)


def read_request(call: Call) -> Request:
    """Return the operation, its parameters, and where the request came from.

    Raises
    ------
    ServiceError
        The request is not valid in its protocol.
    """
    origin = origin_of(call.scheme, call.headers.get("host"))
    if call.speaks_json:
        if call.method != "POST":
            raise UnknownOperationException(f"{call.method} is not supported: use POST.")
        params = json_protocol.read_params(call.body)
        operation = json_protocol.operation_of(call.headers.get("x-amz-target", ""))
    else:
        if call.method not in ("GET", "POST"):
            raise NoAction
        operation, params = query_protocol.read_request(call.path, call.query, call.body, origin)
        if operation not in OPERATIONS:
            raise query_protocol.invalid_action(operation)
    _add_trace(params, call.headers)
    return Request(operation, params, region_of(call), origin)


def success(call: Call, operation: str, result: Mapping[str, Any]) -> HttpAnswer:
    request_id = new_id()
    if call.speaks_json:
        headers = _headers(json_protocol.CONTENT_TYPE, request_id)
        return HttpAnswer(200, headers, json_protocol.write_answer(result))
    headers = _headers(query_answers.CONTENT_TYPE, request_id)
    return HttpAnswer(200, headers, query_answers.write_answer(operation, result, request_id))


def failure(call: Call, error: ServiceError) -> HttpAnswer:
    request_id = new_id()
    if call.speaks_json:
        headers = _headers(json_protocol.CONTENT_TYPE, request_id)
        headers |= json_protocol.error_headers(error)
        return HttpAnswer(error.status, headers, json_protocol.write_error(error))
    headers = _headers(query_answers.CONTENT_TYPE, request_id)
    return HttpAnswer(error.status, headers, query_answers.write_error(error, request_id))


def region_of(call: Call) -> str:
    """Return the region that the call is signed for, or that the embedded session set."""
    headers = call.headers
    scope = _SCOPE.search(headers.get("authorization", "")) or (
        _SCOPE.search(call.query) if call.query else None
    )
    return scope[1] if scope else headers.get(REGION_HEADER, DEFAULT_REGION)


def origin_of(scheme: str, host: str | None) -> str:
    """Return the scheme and host of queue URLs for a request with this ``Host`` header."""
    return f"{scheme}://{host}" if host and _HOST.fullmatch(host) else DEFAULT_ORIGIN


def _headers(content_type: str, request_id: str) -> Headers:
    return {"Content-Type": content_type, "x-amzn-RequestId": request_id}


def _add_trace(params: dict[str, object], headers: Mapping[str, str]) -> None:
    """Copy the tracing header to messages that do not set system attributes themselves."""
    trace = headers.get("x-amzn-trace-id")
    if not trace:
        return
    entries = params.get("Entries")
    for message in [params, *(entries if isinstance(entries, list) else [])]:
        if isinstance(message, dict) and "MessageBody" in message:
            message.setdefault(
                "MessageSystemAttributes",
                {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
            )
