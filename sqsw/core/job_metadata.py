"""The message attribute ``Sqsw``: what sqsw knows of a job beyond the format of sqs-workers."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqsw.core.dead_record import DeadRecord
from sqsw.core.message import Message

#: the name of the attribute
SQSW = "Sqsw"

#: bytes of its text at most, and characters of a job id
MAX_METADATA_BYTES, MAX_JOB_ID_LENGTH = 4_096, 128


@dataclass(frozen=True, slots=True)
class JobMetadata:
    """What the attribute says.

    Attributes
    ----------
    job_id :
        The id of the job, which stays the same when its message moves; None if it has none.
    dead :
        Why it was given up the last time; None if it never was.
    """

    job_id: str | None = None
    dead: DeadRecord | None = None

    def to_attribute(self) -> dict[str, str]:
        """The attribute as the parameters of a SendMessage have it."""
        value: dict[str, Any] = {}
        if self.job_id is not None:
            value["id"] = self.job_id
        if self.dead is not None:
            value["dead"] = {k: v for k, v in self.dead.to_json().items() if v is not None}
        return {"DataType": "String", "StringValue": json.dumps(value, separators=(",", ":"))}


def metadata_of(message: Message) -> JobMetadata:
    """What the attribute of a message says; nothing if it has none, or one that is not ours."""
    text = message.string_attribute(SQSW)
    if text is None or len(text) > MAX_METADATA_BYTES:
        return JobMetadata()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return JobMetadata()
    if not isinstance(value, Mapping):
        return JobMetadata()
    job_id = value.get("id")
    return JobMetadata(
        job_id if is_job_id(job_id) else None, DeadRecord.from_json(value.get("dead"))
    )


def job_id_of(message: Message) -> str:
    """The id of a job: that of its metadata, else the message id."""
    return metadata_of(message).job_id or message.message_id


def is_job_id(value: object) -> bool:
    """Whether a value can be a job id: 1 to 128 printable characters of ASCII, without spaces."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_JOB_ID_LENGTH
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def new_job_id() -> str:
    """Return a UUID of version 7, so that ids sort by the time at which they were made.

    Source: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    """
    random = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    high, low = random >> 64 & 0xFFF, random & (1 << 62) - 1
    digits = f"{milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
