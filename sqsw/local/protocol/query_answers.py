"""Answers of the older query protocol.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-xml-api-responses.html
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from sqsw.local.errors import QueueDoesNotExist, ServiceError
from sqsw.local.protocol.query_protocol import NoAction

CONTENT_TYPE: Final = "text/xml"

_NAMESPACE: Final = "http://queue.amazonaws.com/doc/2012-11-05/"
_PROLOGUE: Final = '<?xml version="1.0"?>'

#: Operations whose answer has no result element.
_WITHOUT_RESULT: Final = {
    *("AddPermission", "ChangeMessageVisibility", "DeleteMessage", "DeleteQueue", "PurgeQueue"),
    *("RemovePermission", "SetQueueAttributes", "TagQueue", "UntagQueue"),
}
#: Element names of maps: for an item, and for its key.
_MAPS: Final = {
    "Attributes": ("Attribute", "Name"),
    "MessageAttributes": ("MessageAttribute", "Name"),
    "Tags": ("Tag", "Key"),
}
#: Element names of list items.
_LISTS: Final = {
    "QueueUrls": "QueueUrl",
    "queueUrls": "QueueUrl",
    "Messages": "Message",
    "Failed": "BatchResultErrorEntry",
    "Results": "ListMessageMoveTasksResultEntry",
}

_MISSING_QUEUE: Final = "The specified queue does not exist for this wsdl version."
# XML parsers turn an unescaped carriage return into a line feed.
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}
)
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_answer(operation: str, result: Mapping[str, Any], request_id: str) -> bytes:
    inside = "" if operation in _WITHOUT_RESULT else _result(operation, result)
    metadata = _element("ResponseMetadata", _text("RequestId", request_id))
    name = f"{operation}Response"
    return f'{_PROLOGUE}<{name} xmlns="{_NAMESPACE}">{inside}{metadata}</{name}>'.encode()


def write_error(error: ServiceError, request_id: str) -> bytes:
    if isinstance(error, NoAction):
        return b"<UnknownOperationException/>"
    text = _MISSING_QUEUE if isinstance(error, QueueDoesNotExist) else error.text
    inside = (
        _text("Type", error.fault)
        + _text("Code", error.query_code)
        + _text("Message", text)
        + "<Detail/>"
    )
    answer = _element("Error", inside) + _text("RequestId", request_id)
    return (f'{_PROLOGUE}<ErrorResponse xmlns="{_NAMESPACE}">{answer}</ErrorResponse>').encode()


def _result(operation: str, result: Mapping[str, Any]) -> str:
    inside = _members(result, f"{operation}ResultEntry")
    name = f"{operation}Result"
    return _element(name, inside) if inside else f"<{name}/>"


def _members(structure: Mapping[str, Any], entry: str = "") -> str:
    """Return the XML of a structure; ``entry`` is the element name of a batch's successes."""
    return "".join(_member(name, value, entry) for name, value in structure.items())


def _member(name: str, value: Any, entry: str) -> str:
    if isinstance(value, Mapping):
        item, key = _MAPS[name]
        return "".join(
            _element(item, _text(key, inner) + _value(inner_value))
            for inner, inner_value in value.items()
        )
    if isinstance(value, list):
        item = _LISTS.get(name, entry)
        return "".join(
            _element(item, _members(inner)) if isinstance(inner, Mapping) else _text(item, inner)
            for inner in value
        )
    return _text(name, value)


def _value(value: Any) -> str:
    """Return the XML of a map's value: a text, or the structure of a message attribute."""
    if isinstance(value, Mapping):
        return _element("Value", _members(value))
    return _text("Value", value)


def _text(name: str, value: object) -> str:
    text = _NOT_XML.sub("\ufffd", _plain(value)).translate(_ESCAPES)
    return f"<{name}>{text}</{name}>"


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
