"""Shorter ways to say what the tests of this folder say often."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, text: str | None = None) -> Iterator[None]:
    """The call inside is refused with this ``Error.Code``; ``text`` is a part of the message."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    if text is not None:
        assert text in error["Message"]


def take(client: Any, url: str, count: int = 1, **options: Any) -> list[dict[str, Any]]:
    """Receive ``count`` messages; SQS may hand them out in several answers."""
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
    """Whether a receive finds nothing just now."""
    return not client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages")


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def send(client: Any, url: str, *texts: str, **options: Any) -> list[str]:
    """Send one by one; returns the message ids."""
    return [
        client.send_message(QueueUrl=url, MessageBody=text, **options)["MessageId"]
        for text in texts
    ]


def counts(client: Any, url: str) -> tuple[int, int, int]:
    """Available, in flight and delayed."""
    names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
    values = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    available, in_flight, delayed = (int(values[name]) for name in names)
    return available, in_flight, delayed


def attribute(client: Any, url: str, name: str) -> str | None:
    """One queue attribute; None if it is absent."""
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    value: str | None = answer.get("Attributes", {}).get(name)
    return value


def arn_of(client: Any, url: str) -> str:
    arn = attribute(client, url, "QueueArn")
    assert arn
    return arn
