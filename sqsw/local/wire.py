"""A request to SQS becomes an operation, its result an answer; what carries them is not known here.

1. protocol, operation and region out of the headers
2. parameters out of the body
3. the engine
4. status, headers and body, errors of SQS included

A file that cannot be used is not an answer of SQS: that exception goes on to the caller.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqsw.local import json_protocol
from sqsw.local.engine import DEFAULT_ORIGIN, DEFAULT_REGION, LocalEngine
from sqsw.local.errors import ServiceError, UnknownOperationException

#: names the region where nothing is signed
REGION_HEADER: Final = "x-sqsw-region"

Headers = dict[str, str]

# Credential=AKID/20260101/eu-west-1/sqs/aws4_request
_SCOPE = re.compile(r"Credential=[^/,\s]*/[0-9]{8}/([A-Za-z0-9-]{1,64})/sqs/")


class Request(NamedTuple):
    """What a caller wants, whatever protocol said it."""

    operation: str
    params: dict[str, Any]
    region: str
    origin: str


class Answer(NamedTuple):
    """What goes back to the caller."""

    status: int
    headers: Headers
    body: bytes


def answer(
    engine: LocalEngine,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    scheme: str = "http",
) -> Answer:
    """Answer one request; a receive that waits blocks the calling thread.

    Parameters
    ----------
    headers :
        With names in lower case.
    scheme :
        Under which the request came, for the URLs of queues.
    """
    try:
        request = read_request(method, headers, body, scheme=scheme)
        result = engine.handle(
            request.operation, request.params, region=request.region, origin=request.origin
        )
    except ServiceError as error:
        return failure(error)
    return success(result)


def read_request(method: str, headers: Mapping[str, str], body: bytes, *, scheme: str) -> Request:
    """The operation and its parameters.

    Raises
    ------
    ServiceError
        It is no request of a protocol that is known here.
    """
    if method != "POST":
        raise UnknownOperationException(f"{method} is not a way to call this service.")
    params = json_protocol.read_params(body)
    _add_trace(params, headers)
    operation = json_protocol.operation_of(headers.get("x-amz-target", ""))
    return Request(operation, params, region_of(headers), _origin(headers, scheme))


def success(result: Mapping[str, Any]) -> Answer:
    return Answer(200, _headers(), json_protocol.write_answer(result))


def failure(error: ServiceError) -> Answer:
    headers = _headers() | json_protocol.error_headers(error)
    return Answer(error.status, headers, json_protocol.write_error(error))


def region_of(headers: Mapping[str, str]) -> str:
    """The region that the call is signed for, or that our own sessions name."""
    scope = _SCOPE.search(headers.get("authorization", ""))
    return scope[1] if scope else headers.get(REGION_HEADER, DEFAULT_REGION)


def _origin(headers: Mapping[str, str], scheme: str) -> str:
    host = headers.get("host")
    return f"{scheme}://{host}" if host else DEFAULT_ORIGIN


def _headers() -> Headers:
    return {
        "Content-Type": json_protocol.CONTENT_TYPE,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }


def _add_trace(params: dict[str, object], headers: Mapping[str, str]) -> None:
    """The tracing header is the system attribute, unless the message has one of its own."""
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
