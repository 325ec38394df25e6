"""Shortcuts for calls that the tests in this folder often make."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, text: str | None = None) -> Iterator[None]:
    """Assert that the call inside fails with this ``Error.Code``, with ``text`` in its message."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    if text is not None:
        assert text in error["Message"]


def take(client: Any, url: str, count: int = 1, **options: Any) -> list[dict[str, Any]]:
    """Receive ``count`` messages; SQS can return them in several responses."""
    messages: list[dict[str, Any]] = []
    while len(messages) < count:
        answer = client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(10, count - len(messages)),
            WaitTimeSeconds=1,
            **options,
        )
        if not answer.get("Messages"):
            break
        messages += answer["Messages"]
    return messages


def take_one(client: Any, url: str, **options: Any) -> dict[str, Any]:
    (message,) = take(client, url, **options)
    return message


def is_empty(client: Any, url: str) -> bool:
    """Return whether a receive returns no messages now."""
    return not client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages")


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def send(client: Any, url: str, *texts: str, **options: Any) -> list[str]:
    """Send messages one by one; return their ids."""
    return [
        client.send_message(QueueUrl=url, MessageBody=text, **options)["MessageId"]
        for text in texts
    ]


def counts(client: Any, url: str) -> tuple[int, int, int]:
    """Return the numbers of available, in-flight, and delayed messages."""
    names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
    values = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    available, in_flight, delayed = (int(values[name]) for name in names)
    return available, in_flight, delayed


def attribute(client: Any, url: str, name: str) -> str | None:
    """Return one queue attribute; None if it is absent."""
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    value: str | None = answer.get("Attributes", {}).get(name)
    return value


def arn_of(client: Any, url: str) -> str:
    arn = attribute(client, url, "QueueArn")
    assert arn
    return arn
