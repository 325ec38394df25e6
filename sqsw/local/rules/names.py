"""Queue names, ARNs, and URLs: how to build and parse them.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
"""

import os
import re
from typing import NamedTuple

from sqsw.local.errors import InvalidParameterValueException

_STANDARD_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIFO_NAME = re.compile(r"(?=.{1,80}\Z)[A-Za-z0-9_-]+\.fifo", re.DOTALL)
_VARIANTS = {digit: "89ab"[number % 4] for number, digit in enumerate("0123456789abcdef")}
_ARN = re.compile(r"arn:([^:]+):([^:]+):([^:]*):([^:]*):([^:]+)")


class QueueArn(NamedTuple):
    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"


def new_id() -> str:
    """Return a random UUID of version 4, for a message or an answer.

    It takes a third of the time of ``str(uuid.uuid4())``; a batch needs ten.
    """
    # Version and variant have fixed places: https://www.rfc-editor.org/rfc/rfc9562#section-5.4
    text = os.urandom(16).hex()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def check_queue_name(name: str, *, is_fifo: bool) -> None:
    if is_fifo:
        if not _FIFO_NAME.fullmatch(name):
            raise InvalidParameterValueException(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or"
                " underscores, must end with .fifo suffix and be 1 to 80 in length."
            )
    elif not _STANDARD_NAME.fullmatch(name):
        raise InvalidParameterValueException(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def parse_arn(text: str) -> QueueArn | None:
    """Return the parts of an ARN; None if the text is not an ARN."""
    match = _ARN.fullmatch(text)
    return QueueArn(match[3], match[4], match[5]) if match else None


def queue_url(origin: str, account: str, name: str) -> str:
    return f"{origin}/{account}/{name}"


def parse_queue_url(url: str) -> tuple[str | None, str] | None:
    """Return the account and name from a queue URL; the account is None for a bare name.

    Host and scheme are ignored, because clients can reach a queue under several. ``/queue/NAME``,
    the form of older versions of ElasticMQ, has no account.
    """
    path = url.partition("://")[2].partition("/")[2] if "://" in url else url
    parts = path.strip("/").split("/")
    if len(parts) >= 2:
        return None if parts[-2] == "queue" else parts[-2], parts[-1]
    if "/" in url or not url:
        return None
    return None, url
