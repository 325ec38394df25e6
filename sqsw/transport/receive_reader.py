"""Read answers with many messages by json alone: botocore's own way costs five times as much."""

import json
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import SQSError

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


def read_by_json(client: "SQSClient") -> None:
    """Have this client read the answers to receives and batches of sends by json, where plain.

    The event is botocore's, made for such a thing; where one does not emit it, its own way runs.
    """
    for action in ("ReceiveMessage", "SendMessageBatch"):
        client.meta.events.register(f"before-parse.sqs.{action}", _read)


def _read(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    body = response_dict["body"]
    # Errors, XML and what is base64 in JSON and bytes in Python are botocore's business.
    if (
        response_dict["status_code"] == 200
        and body.startswith(b"{")
        and b'"BinaryValue"' not in body
        and b'"BinaryListValues"' not in body
    ):
        try:
            customized_response_dict.update(json.loads(body))
        except (ValueError, TypeError, RecursionError) as error:
            raise SQSError("cannot read an answer of SQS", why=str(error)) from error
        response_dict["body"] = b"{}"
