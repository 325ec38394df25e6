"""Check that answers come from SQS, and read the frequent ones.

A captive portal, an ingress or a service on the wrong port can also answer with status 200.
botocore reads this as an empty answer: a receive returns no messages, and a delete seems to
succeed.
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import UnexpectedAnswer
from sqsw.core.wording import without_password

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: members that the answer to an operation must have
_REQUIRED = {
    "CreateQueue": "QueueUrl",
    "GetQueueUrl": "QueueUrl",
    "SendMessage": "MessageId",
    "StartMessageMoveTask": "TaskHandle",
}

_BATCHES = {"SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}

#: members that a successful batch entry must have in addition to its ID
_NAMED_BY = {"SendMessageBatch": "MessageId"}

#: the frequent calls; an answer usually has at least one of the members listed for its call
_FREQUENT = {
    "ReceiveMessage": {"Messages"},
    "DeleteMessageBatch": {"Successful", "Failed"},
    "ChangeMessageVisibilityBatch": {"Successful", "Failed"},
    "SendMessage": {"MessageId"},
    "SendMessageBatch": {"Successful", "Failed"},
    "GetQueueUrl": {"QueueUrl"},
    "GetQueueAttributes": {"Attributes"},
}

_TEXT = {str}
_LIST_OR_NULL = {list, type(None)}

#: queue attributes whose text is a number
_NUMBERS = {
    *("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"),
    *("ApproximateNumberOfMessagesNotVisible", "DelaySeconds", "MaximumMessageSize"),
    *("MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"),
}

#: maximum characters of a header that an error shows if the answer is not from SQS
_SHOWN = 60


def check_answers(client: "SQSClient", *, read: bool) -> None:
    """Make a client reject answers that SQS would not send.

    Parameters
    ----------
    read :
        Whether this module parses the answers with ``json``. This takes a fifth of the time of
        botocore's parser, and keeps members that botocore's model lacks.
    """
    client.meta.events.register("before-parse.sqs", _Answers(client.meta.endpoint_url, read=read))


class _Answers:
    def __init__(self, endpoint_url: str, *, read: bool) -> None:
        self._endpoint = without_password(endpoint_url)
        self._read = read

    def __call__(
        self,
        operation_model: Any,
        response_dict: dict[str, Any],
        customized_response_dict: dict[str, Any],
        **_: object,
    ) -> None:
        status = response_dict["status_code"]
        if status >= 400:
            response_dict["body"] = _readable_error(response_dict["body"])
            return
        body = response_dict["body"]
        value, flaw = _read(operation_model, status, response_dict["headers"], body)
        if flaw is not None:
            raise UnexpectedAnswer(
                f"{self._endpoint} did not answer {operation_model.name} like SQS",
                reason="not_sqs",
                why=flaw,
                next="check the endpoint (AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL), and whether a "
                "proxy or a captive portal answers instead of SQS",
            )
        # Leave answers with binary values to botocore, which decodes their base64.
        if self._read and b'"BinaryValue"' not in body and b'"BinaryListValues"' not in body:
            customized_response_dict.update(value)
            response_dict["body"] = b"{}"


def is_answer(action: str, value: Any, *, has_sqs_headers: bool) -> bool:
    """Return whether a JSON value is a valid SQS answer to one of the frequent calls.

    Parameters
    ----------
    has_sqs_headers :
        Whether its headers are ones that only SQS and compatible servers send.
    """
    if type(value) is not dict or not (has_sqs_headers or not _FREQUENT[action].isdisjoint(value)):
        return False
    return _flaw(action, value) is None


def _read(
    operation: Any, status: int, headers: Mapping[str, str], body: bytes
) -> tuple[dict[str, Any], str | None]:
    """Return the object in the body, or the reason why it is not an SQS answer."""
    if status >= 300:
        # The query after the path can contain a token.
        target = re.split("[?#;]", without_password(headers.get("location", "nowhere")))[0]
        return {}, f"it redirects to {target[:_SHOWN]!r} ({status})"
    if status != 200:
        return {}, f"it answered with status {status}, but SQS answers with 200"
    shape = operation.output_shape
    if not body and shape is None:
        # ElasticMQ sends neither a content type nor a request ID here.
        is_plain = "content-type" not in headers or _has_sqs_headers(headers)
        return {}, None if is_plain else _described(headers, body)
    try:
        # Decode as botocore does: from bytes, json would also accept UTF-16 and a byte order mark.
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return {}, _described(headers, body)
    if type(value) is not dict or not (
        (shape is not None and not shape.members.keys().isdisjoint(value))
        or _has_sqs_headers(headers)
    ):
        return {}, _described(headers, body)
    flaw = _flaw(operation.name, value)
    return ({}, flaw) if flaw is not None else (value, None)


def _flaw(name: str, value: dict[str, Any]) -> str | None:
    """Return what is wrong with the members of an answer, or None."""
    required = _REQUIRED.get(name)
    if required is not None and not value.get(required):
        return f"the answer has no {required}"
    if name in _BATCHES and not (value.get("Successful") or value.get("Failed")):
        return "the answer lists none of the batch entries"
    if not _has_right_types(name, value):
        return "a value in the answer has the wrong type"
    return None


def _has_sqs_headers(headers: Mapping[str, str]) -> bool:
    """Return whether any header is one that only SQS and compatible servers send."""
    return "x-amzn-requestid" in headers or headers.get("content-type", "").startswith(
        "application/x-amz-json"
    )


def _has_right_types(name: str, answer: dict[str, Any]) -> bool:
    """Return whether the values have the types that this package relies on."""
    try:
        if name == "ReceiveMessage":
            messages = answer.get("Messages")
            return messages is None or _are_messages(messages)
        if name in _REQUIRED:
            return type(answer[_REQUIRED[name]]) is str
        if name in _BATCHES:
            done, failed = answer.get("Successful"), answer.get("Failed")
            if not {type(done), type(failed)} <= _LIST_OR_NULL:
                return False
            done, key = done or [], _NAMED_BY.get(name, "Id")
            return {type(one["Id"]) for one in done} | {
                type(one[key]) for one in done
            } <= _TEXT and _are_failures(failed or [])
        if name == "GetQueueAttributes":
            attributes = answer.get("Attributes")
            if attributes is None:
                return True
            return {*map(type, attributes.values())} <= _TEXT and all(
                attributes[name].isdecimal() for name in _NUMBERS & attributes.keys()
            )
        return True
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _are_messages(messages: Any) -> bool:
    # Must be fast: this runs for the most frequent call.
    if type(messages) is not list:
        return False
    for message in messages:
        attributes, own = message.get("Attributes"), message.get("MessageAttributes")
        if not (
            type(message["MessageId"]) is type(message["ReceiptHandle"]) is str
            and type(message["Body"]) is str
            and (attributes is None or {*map(type, attributes.values())} <= _TEXT)
        ):
            return False
        for attribute in () if own is None else own.values():
            text, blob = attribute.get("StringValue"), attribute.get("BinaryValue")
            if type(text) is type(attribute["DataType"]) is str and blob is None:
                continue
            if blob is not None:
                b64decode(blob)  # botocore would fail on invalid base64
            if text is None:
                text = blob
            if not type(text) is type(attribute["DataType"]) is str:
                return False
    return True


def _are_failures(entries: list[dict[str, Any]]) -> bool:
    return all(
        type(entry["Id"]) is str
        and isinstance(entry.get("Code", ""), str)
        and isinstance(entry.get("Message"), str | None)
        for entry in entries
    )


def _described(headers: Mapping[str, str], body: bytes) -> str:
    """Describe an answer without quoting it, because it can repeat the request and its token."""
    kind = headers.get("content-type", "no content type")[:_SHOWN]
    return f"it sent {len(body)} bytes ({kind!r}) that are not an SQS answer"


def _readable_error(body: bytes) -> bytes:
    """Return an error's body in the only JSON form that botocore can parse."""
    try:
        value = json.loads(body.decode()) if body else {}
    except (ValueError, RecursionError):
        value = None
    if type(value) is dict and all(
        type(value.get(key, "")) is str for key in ("__type", "message", "Message")
    ):
        return body
    return json.dumps({"message": body[:4096].decode("utf-8", "replace")}).encode()
