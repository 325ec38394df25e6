"""Permissions are checked without receiving messages; fake responses stand in for AWS."""

import json
from collections.abc import Collection
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import Check, check_queue


class Raw:
    """The body of a response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body


def operation_of(request: Any) -> str:
    target = request.headers["X-Amz-Target"]
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2]


def answer(request: Any, status: int, values: Any) -> AWSResponse:
    body = Raw(json.dumps(values).encode())
    headers: Any = {"x-amzn-RequestId": "1"}
    return AWSResponse(request.url, status, headers, body)


URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/emails"
ARN = "arn:aws:sqs:eu-west-1:123456789012:emails"
ANSWERS: dict[str, Any] = {
    "GetQueueUrl": {"QueueUrl": URL},
    "GetQueueAttributes": {"Attributes": {"QueueArn": ARN, "VisibilityTimeout": "30"}},
    "ListDeadLetterSourceQueues": {"queueUrls": []},
    "ListQueueTags": {},
}
REFUSED = {
    "ReceiveMessage": "InvalidParameterValue",
    "DeleteMessage": "ReceiptHandleIsInvalid",
    "ChangeMessageVisibility": "ReceiptHandleIsInvalid",
}


def permissions(denied: Collection[str]) -> tuple[Check, dict[str, Any]]:
    """Return the check for an account without these permissions, and its requests."""
    session = boto3.session.Session("key", "secret", region_name="eu-west-1")
    asked: dict[str, Any] = {}

    def aws(request: Any, **_: Any) -> Any:
        operation = operation_of(request)
        asked[operation] = json.loads(request.body)
        if operation in ANSWERS:
            return answer(request, 200, ANSWERS[operation])
        code = "AccessDenied" if operation in denied else REFUSED[operation]
        return answer(request, 400, {"__type": code, "message": "no"})

    listen: Any = session.events.register
    listen("before-send.sqs", aws)
    (found,) = [one for one in check_queue(SQSEnv(session), "emails") if "permissions" in one.name]
    return found, asked


def test_denied_actions_are_named_and_nothing_is_received() -> None:
    found, asked = permissions(["ReceiveMessage", "DeleteMessage"])
    assert (found.status, found.detail) == ("fail", "not allowed: ReceiveMessage, DeleteMessage")
    # The limit is 10, so SQS refuses this call even with the permission to receive.
    assert asked["ReceiveMessage"]["MaxNumberOfMessages"] == 11


def test_all_permissions_are_granted() -> None:
    assert permissions([])[0].status == "ok"
