"""AWS JSON 1.0, the protocol of current SDKs.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from sqsw.local.errors import SerializationException, ServiceError
from sqsw.local.rules.validate import read_json_object

CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_TARGET: Final = "AmazonSQS."


def operation_of(target: str) -> str:
    return target.removeprefix(_TARGET)


def read_params(body: bytes) -> dict[str, Any]:
    """Return the members of a request, with blobs decoded."""
    params = read_json_object(body or b"{}")
    if params is None:
        raise SerializationException("The body of the request must be a JSON object.")
    for structure in (params, *_structures(params.get("Entries"))):
        for name in ("MessageAttributes", "MessageSystemAttributes"):
            _decode_blobs(structure.get(name))
    return params


def write_answer(answer: Mapping[str, Any]) -> bytes:
    return _encode(answer).encode()


def write_error(error: ServiceError) -> bytes:
    return json.dumps(
        {"__type": f"com.amazonaws.sqs#{error.shape}", "message": error.text}
    ).encode()


def error_headers(error: ServiceError) -> dict[str, str]:
    """Return the headers from which botocore reads the error codes."""
    return {
        "x-amzn-query-error": f"{error.query_code};{error.fault}",
        "x-amzn-errortype": f"com.amazonaws.sqs#{error.shape}",
    }


def _structures(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _decode_blobs(attributes: object) -> None:
    values = attributes.values() if isinstance(attributes, dict) else ()
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("BinaryValue"), str):
            try:
                value["BinaryValue"] = base64.b64decode(value["BinaryValue"], validate=True)
            except (ValueError, binascii.Error):
                raise SerializationException("A BinaryValue is not valid base64.") from None


def _encode_blob(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_encode: Final = json.JSONEncoder(default=_encode_blob, separators=(",", ":")).encode
