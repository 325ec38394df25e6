"""The message attribute ``Sqsw``: what sqsw knows of a job beyond the format of sqs-workers."""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqsw.core.dead_record import DeadRecord
from sqsw.core.errors import MessageRefused
from sqsw.core.wording import shortened

#: the name of the message attribute
SQSW = "Sqsw"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: maximum length of its text in bytes, and of a job id in characters
MAX_METADATA_BYTES, MAX_JOB_ID_LENGTH = 4_096, 128

#: more attempts than any job has
MAX_ATTEMPTS = 1_000_000

#: the numbers that it can have, with their maximum
_NUMBERS = {"due": 253_402_300_799_999, "attempts": MAX_ATTEMPTS}

#: the keys whose values are written unchanged: these numbers, and texts like job ids
_PLAIN_KEYS = ("copy_of", "due", "to", "group", "dedup", "attempts", "schedule", "at")


class Carrier(Protocol):
    """The part of a received message that holds its metadata."""

    @property
    def message_id(self) -> str: ...

    def string_attribute(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class JobMetadata:
    """What the attribute says.

    Attributes
    ----------
    job_id :
        The job id, which stays the same when the message moves; None if there is none.
    dead :
        Why the job was last given up; None if it never was.
    copy_of :
        The id of the message that was given up, of which the dead letter is a copy.
    due :
        When a parked job must be sent to its queue, in milliseconds since 1970.
    to :
        The queue of a parked job, without the prefix.
    group, dedup :
        The message group and the deduplication ID with which a parked job is sent.
    attempts :
        The attempts that the job had in earlier messages, before it was parked.
    schedule, at :
        The schedule of a tick, and the instant that the tick is for, in ISO 8601.
    """

    job_id: str | None = None
    dead: DeadRecord | None = None
    copy_of: str | None = None
    due: int | None = None
    to: str | None = None
    group: str | None = None
    dedup: str | None = None
    attempts: int | None = None
    schedule: str | None = None
    at: str | None = None

    def to_attribute(self) -> dict[str, str]:
        """Return the attribute as SendMessage takes it."""
        value: dict[str, Any] = {}
        if self.job_id is not None:
            value["id"] = self.job_id
        if self.dead is not None:
            value["dead"] = {k: v for k, v in self.dead.to_json().items() if v is not None}
        for key in _PLAIN_KEYS:
            if getattr(self, key) is not None:
                value[key] = getattr(self, key)
        return {"DataType": "String", "StringValue": json.dumps(value, separators=(",", ":"))}


def metadata_of(message: Carrier) -> JobMetadata:
    """Return the metadata of a message; it is empty if the attribute is missing or not ours."""
    return read_metadata(message.string_attribute(SQSW))


def read_metadata(text: str | None) -> JobMetadata:
    """Return the metadata in the text of the attribute; None: the message has no attribute."""
    if text is None or len(text) > MAX_METADATA_BYTES:
        return JobMetadata()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return JobMetadata()
    if not isinstance(value, Mapping):
        return JobMetadata()
    job_id = value.get("id")
    plain = {key: _plain_value(key, value[key]) for key in _PLAIN_KEYS if key in value}
    return JobMetadata(
        job_id if is_job_id(job_id) else None, DeadRecord.from_json(value.get("dead")), **plain
    )


def read_attempts(text: str | None) -> int:
    """Return the attempts of a job before it was parked, from the text of the attribute."""
    if text is None or '"attempts"' not in text:  # nearly all messages; parsing JSON takes longer
        return 0
    return read_metadata(text).attempts or 0


def _plain_value(key: str, value: object) -> Any:
    """Return a value of the attribute if it can be one; None otherwise."""
    if key in _NUMBERS:
        return value if type(value) is int and 0 <= value <= _NUMBERS[key] else None
    return value if is_job_id(value) else None


def job_id_of(message: Carrier) -> str:
    """Return the job id of a message: the one in its metadata, else the message id."""
    return metadata_of(message).job_id or message.message_id


def entry_job_id(entry: Mapping[str, Any]) -> str | None:
    """Return the job id in the parameters of a SendMessage; None if there is none."""
    attribute = entry.get("MessageAttributes", {}).get(SQSW, {})
    return read_metadata(attribute.get("StringValue")).job_id


def add_job_id(entry: dict[str, Any], job_id: str | None = None) -> None:
    """Add a job id to the parameters of a SendMessage, but keep an attribute that is not ours.

    Parameters
    ----------
    job_id :
        1 to 128 printable ASCII characters without spaces. None: keep the id of the entry, or make
        one.

    Raises
    ------
    MessageRefused
        ``job_id`` is something else.
    """
    attributes = entry.setdefault("MessageAttributes", {})
    carried = attributes.get(SQSW)
    if job_id is None:
        if carried is None:  # written by hand, as every send does this and json takes longer
            text = f'{{"id":"{new_job_id()}"}}'
            attributes[SQSW] = {"DataType": "String", "StringValue": text}
        return
    if not is_job_id(job_id):
        raise MessageRefused(
            f"{shortened(repr(job_id))} cannot be a job id",
            why=f"a job id is a text of 1 to {MAX_JOB_ID_LENGTH} printable ASCII characters "
            "without spaces",
        )
    known = JobMetadata() if carried is None else read_metadata(carried.get("StringValue"))
    if carried is None or (known != JobMetadata() and known.job_id != job_id):
        attributes[SQSW] = replace(known, job_id=job_id).to_attribute()


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID, as message ids are, and job ids that sqsw makes."""
    return _UUID.fullmatch(text) is not None


def is_job_id(value: object) -> bool:
    """Return whether a value can be a job id: 1 to 128 printable ASCII characters, no spaces."""
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
    at = f"{time.time_ns() // 1_000_000:012x}"
    # The digit of the variant has two free bits, which 72 random bits do not need.
    random = os.urandom(9).hex()
    return f"{at[:8]}-{at[8:]}-7{random[:3]}-8{random[3:6]}-{random[6:]}"
