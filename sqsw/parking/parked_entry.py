"""Convert the entry of a job to the entry of a parked message, and back.

A parked message has the body and the attributes of its job. Only the attribute ``Sqsw`` gets more
keys: ``due`` and ``to``, and ``group`` and ``dedup`` if the job has them.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqsw.core.errors import MessageRefused
from sqsw.core.job_metadata import (
    MAX_METADATA_BYTES,
    SQSW,
    JobMetadata,
    is_job_id,
    job_id_of,
    metadata_of,
    read_metadata,
)
from sqsw.core.json_depth import read_json
from sqsw.core.limits import MAX_DELAY_SECONDS
from sqsw.core.message import Message
from sqsw.transport.batches import Entry, check_entry
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.resend import entry_to_resend

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

#: the keys that only parked messages have
_KEYS = ("due", "to", "group", "dedup")


def to_milliseconds(moment: datetime) -> int:
    """Return a time in milliseconds since 1970, rounded up, so a job never runs early."""
    return -((_EPOCH - moment) // _MILLISECOND)


def from_milliseconds(milliseconds: int) -> datetime:
    """Return a time in UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


def parked_entry(entry: Entry, destination: QueueClient, due: datetime, now: float) -> Entry:
    """Return the entry that parks a job.

    Parameters
    ----------
    entry :
        The complete entry for the queue of the job.
    due :
        When the job must be sent there: an aware time.
    now :
        The time in seconds since 1970. SQS delays the message for the first 15 minutes of the wait,
        so no worker has to receive and hide it in that time.

    Raises
    ------
    MessageRefused
        The job has no job id, has a group or a deduplication ID that SQS would refuse, or has no
        room for the keys of a parked message.
    """
    attributes: Mapping[str, Any] = entry.get("MessageAttributes", {})
    attribute = attributes.get(SQSW, {})
    text = attribute.get("StringValue")
    if read_metadata(text).job_id is None:
        raise MessageRefused(
            "a job without a job id cannot be parked",
            why=f"the message has its own attribute {SQSW!r}, or no room for that of sqsw",
            next=f"send it without the attribute {SQSW!r}, and with at most nine attributes",
        )
    due_ms = to_milliseconds(due)
    keys = {
        "due": due_ms,
        # In the environment, a queue with an ARN is named by the ARN.
        "to": _checked("the queue name", destination.arn or destination.name),
        "group": _checked("the message group", entry.get("MessageGroupId")),
        "dedup": _checked("the deduplication ID", entry.get("MessageDeduplicationId")),
    }
    value = read_json(text) | {key: each for key, each in keys.items() if each is not None}
    parked: Entry = {
        "MessageBody": entry["MessageBody"],
        "MessageAttributes": {**attributes, SQSW: _attribute(attribute, value)},
    }
    if "MessageSystemAttributes" in entry:
        parked["MessageSystemAttributes"] = entry["MessageSystemAttributes"]
    size = len(parked["MessageAttributes"][SQSW]["StringValue"])
    if size > MAX_METADATA_BYTES:
        raise MessageRefused(
            f"the job cannot be parked: its attribute {SQSW!r} would have {size} bytes",
            why=f"the limit is {MAX_METADATA_BYTES}",
        )
    parked["DelaySeconds"] = seconds_until(due_ms, int(now * 1000), MAX_DELAY_SECONDS)
    check_entry(parked)
    return parked


def due_entry(message: Message, destination: QueueClient) -> Entry:
    """Return the entry that sends a parked job to its queue, as if it had not been parked."""
    metadata, job_id = metadata_of(message), job_id_of(message)
    entry = entry_to_resend(message, destination)
    if metadata.group is not None:
        entry["MessageGroupId"] = metadata.group
    if destination.is_fifo:
        entry["MessageDeduplicationId"] = metadata.dedup or job_id
    else:
        entry["DelaySeconds"] = 0  # the job is due, whatever the delay of the queue
    attribute = message.message_attributes[SQSW]
    value = read_json(attribute["StringValue"])
    kept = {"id": None} | {key: each for key, each in value.items() if key not in _KEYS}
    entry["MessageAttributes"][SQSW] = _attribute(attribute, {**kept, "id": job_id})
    return entry


def copied_entry(message: Message, parking: QueueClient, delay_seconds: int) -> Entry:
    """Return the entry that parks a job once more, so SQS keeps it for another 14 days.

    Parameters
    ----------
    delay_seconds :
        Seconds until the copy can be received, 0 to 900.
    """
    entry = entry_to_resend(message, parking)
    metadata = metadata_of(message)
    if metadata.job_id is None:  # or it would get another one with each copy
        attribute = replace(metadata, job_id=message.message_id).to_attribute()
        entry["MessageAttributes"][SQSW] = attribute
    return entry | {"DelaySeconds": delay_seconds}


def parked_metadata(message: Message) -> JobMetadata:
    """Return the metadata of a parked message; ``due`` or ``to`` is None if it is not one."""
    try:
        read_json(message.string_attribute(SQSW) or "")
    except ValueError:  # not JSON, or nested so deeply that it cannot be written again
        return JobMetadata()
    return metadata_of(message)


def seconds_until(due: int, now: int, most: int) -> int:
    """Return the seconds until a time, rounded up, from 0 to ``most``; times in milliseconds."""
    return min(most, max(0, -((now - due) // 1000)))


def _checked(what: str, text: str | None) -> str | None:
    """Return a value that the attribute can have.

    Raises
    ------
    MessageRefused
        SQS would refuse the value when the job is due.
    """
    if text is None or is_job_id(text):
        return text
    raise MessageRefused(
        f"the job cannot be parked: {what} is {text[:130]!r}",
        why="it must have 1 to 128 printable ASCII characters without spaces",
    )


def _attribute(attribute: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(value, separators=(",", ":"))
    return {"DataType": attribute["DataType"], "StringValue": text}
