"""Requests of the older query protocol: forms and query strings with flattened lists and maps.

SDKs released before the end of 2023 and hand-written clients use it. For the answers, see
:mod:`sqsw.local.protocol.query_answers`.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-xml.html
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from sqsw.local.errors import (
    InvalidAction,
    InvalidParameterValueException,
    MissingRequiredParameterException,
    ServiceError,
)

#: the most parameters of a request; ten messages with ten attributes each need fewer than 400
_MAX_PARAMETERS: Final = 10_000
#: the most parts of a name: ``SendMessageBatchRequestEntry.1.MessageAttribute.2.Value.StringValue``
#: has six
_MAX_PARTS: Final = 8

_LISTS: Final = {
    "AttributeName": "AttributeNames",
    "MessageAttributeName": "MessageAttributeNames",
    "MessageSystemAttributeName": "MessageSystemAttributeNames",
    "TagKey": "TagKeys",
    "AWSAccountId": "AWSAccountIds",
    "ActionName": "Actions",
}
_TEXT_MAPS: Final = {"Attribute": ("Attributes", "Name"), "Tag": ("Tags", "Key")}
_ATTRIBUTE_MAPS: Final = {
    "MessageAttribute": "MessageAttributes",
    "MessageSystemAttribute": "MessageSystemAttributes",
}
_ENTRY: Final = "BatchRequestEntry"
#: Members that SDKs send as a name without a value if they are empty.
_EMPTY: Final[Mapping[str, Callable[[], Any]]] = {
    **dict.fromkeys((*_LISTS.values(), "Entries"), list),
    **dict.fromkeys(("Attributes", "Tags", *_ATTRIBUTE_MAPS.values()), dict),
}
#: Fields of the protocol, not parameters of the operation.
_NOT_PARAMETERS: Final = {"Action", "Version", "Timestamp", "Expires"}
#: Actions that SQS refuses on the URL of a queue.
_NOT_ON_A_QUEUE: Final = {"CreateQueue", "ListQueues"}


class NoAction(ServiceError):
    """The request does not name an action; SQS answers it in a special form."""

    query_code = "UnknownOperationException"
    status = 404


class _Node:
    """The value and children of one part of a dotted name."""

    __slots__ = ("parts", "value")

    def __init__(self) -> None:
        self.value: str | None = None
        self.parts: dict[str, _Node] = {}

    def numbered(self) -> "Iterator[_Node]":
        """Yield the members of a list in order.

        A list with one member can omit its number. A name without a value is an empty list.
        """
        numbers = [part for part in self.parts if part.isascii() and part.isdigit()]
        if numbers:
            for number in sorted(numbers, key=lambda part: (len(part), part)):
                yield self.parts[number]
        elif self.parts or self.value:
            yield self

    def text(self, part: str) -> str | None:
        node = self.parts.get(part)
        return None if node is None else node.value


def read_request(path: str, query: str, body: bytes, origin: str) -> tuple[str, dict[str, Any]]:
    """Return the operation and its parameters, by their names in the model.

    Parameters
    ----------
    path :
        ``/``, or the path of a queue's URL, which is used if the parameter QueueUrl is missing.
    origin :
        The scheme and host of the URL.

    Raises
    ------
    ServiceError
        The action is missing or not allowed on the URL of a queue, or the form cannot be parsed.
    """
    root = _tree([*_pairs(query), *_pairs(body)])
    action = root.text("Action")
    if not action:
        raise NoAction
    is_queue = path.strip("/") != ""
    if is_queue and action in _NOT_ON_A_QUEUE:
        raise invalid_action(action)
    params = _structure(root, action)
    if is_queue:
        params.setdefault("QueueUrl", origin + unquote(path))
    return action, params


def invalid_action(action: str) -> InvalidAction:
    return InvalidAction(f"The action {action} is not valid for this endpoint.")


def _pairs(form: str | bytes) -> list[tuple[str, str]]:
    try:
        text = form if isinstance(form, str) else form.decode()
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidParameterValueException(
            "The request has too many parameters, or they are not valid UTF-8."
        ) from None


def _tree(pairs: list[tuple[str, str]]) -> _Node:
    root = _Node()
    for name, value in pairs:
        node = root
        for part in name.split(".", _MAX_PARTS):
            node = node.parts.setdefault(part, _Node())
        node.value = value
    return root


def _structure(root: _Node, action: str = "") -> dict[str, Any]:
    members: dict[str, Any] = {}
    for part, node in root.parts.items():
        if part in _LISTS:
            members[_LISTS[part]] = [item.value for item in node.numbered() if item.value]
        elif part in _TEXT_MAPS:
            name, key = _TEXT_MAPS[part]
            # The only member that begins with a lowercase letter.
            name = "tags" if (action, name) == ("CreateQueue", "Tags") else name
            members[name] = _text_map(node, part, key)
        elif part in _ATTRIBUTE_MAPS:
            members[_ATTRIBUTE_MAPS[part]] = _attribute_map(node, part)
        elif part.endswith(_ENTRY):
            members["Entries"] = [_structure(entry) for entry in node.numbered()]
        elif node.value == "" and part in _EMPTY:
            members.setdefault(part, _EMPTY[part]())
        elif node.value is not None and part not in _NOT_PARAMETERS:
            members[part] = node.value
    return members


def _text_map(root: _Node, part: str, key: str) -> dict[str, str]:
    return {
        _key(node, part, index, key): node.text("Value") or ""
        for index, node in enumerate(root.numbered(), 1)
    }


def _attribute_map(root: _Node, part: str) -> dict[str, dict[str, Any]]:
    attributes = {}
    for index, node in enumerate(root.numbered(), 1):
        value = node.parts.get("Value", _Node())
        attributes[_key(node, part, index, "Name")] = _attribute(value)
    return attributes


def _attribute(node: _Node) -> dict[str, Any]:
    value: dict[str, Any] = {
        name: node.text(name) for name in ("DataType", "StringValue") if name in node.parts
    }
    if "BinaryValue" in node.parts:
        value["BinaryValue"] = _binary(node.text("BinaryValue") or "")
    for name in ("StringListValue", "BinaryListValue"):
        if name in node.parts:
            value[f"{name}s"] = [item.value for item in node.parts[name].numbered()]
    return value


def _binary(text: str) -> bytes:
    try:
        # If a client does not escape plus signs, they arrive as spaces.
        return base64.b64decode(text.replace(" ", "+"), validate=True)
    except ValueError:
        raise InvalidParameterValueException("A BinaryValue is not valid base64.") from None


def _key(node: _Node, part: str, index: int, key: str) -> str:
    found = node.text(key)
    if found is None:
        raise MissingRequiredParameterException(f"{part}.{index}.{key}")
    return found
