"""A message as people and other programs see it, and what became of it.

A payload is decoded where that is harmless: pickle never is.
"""

import base64
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from sqsw.codecs.envelope import CONTENT_TYPE, JOB_CONTEXT, job_name_of, unpack_job
from sqsw.core.errors import ContentTypeRefused, DecodeError
from sqsw.core.job_metadata import job_id_of, metadata_of
from sqsw.core.json_depth import is_too_deep
from sqsw.core.message import Message
from sqsw.core.times import format_time, read_milliseconds
from sqsw.transport.batches import entry_bytes
from sqsw.transport.names import name_of_arn


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message, taken apart. What is unknown is None.

    Attributes
    ----------
    queue, id :
        The queue name without prefix, and the message id.
    job_id :
        The job id, which stays the same when the message moves; the message id if it has none.
    job, args, context :
        The job name, its arguments and its context; arguments and context are None where the
        payload cannot be read without danger (pickle), or not at all.
    content_type, body, raw :
        What the sender called the payload; the text as it was sent; True for a message that
        carries no job.
    group, dedup_id :
        Message group and deduplication id.
    sent_at, first_received_at :
        Times, in UTC.
    receives :
        How often it was received.
    size :
        What it counts towards SQS's limit, in bytes.
    source :
        The name of the queue that a dead letter came from.
    error :
        Why a worker gave it up the last time: the fields of
        :class:`~sqsw.core.dead_record.DeadRecord`; None if no worker recorded it.
    attributes :
        Every message attribute, name to text; binary ones as base64.
    attribute_types :
        The data type of every message attribute: ``String``, ``Number`` or ``Binary``, each with a
        custom suffix if the sender gave one.
    trace_header :
        The AWS X-Ray trace header, if the message has one.
    action :
        What happened to it here: ``peeked``, ``moved``, ``deleted``, ``skipped``,
        ``dropped_twin``, ``would_move``, ``would_delete``, ``would_drop_twin``.
    twin_of :
        The id of a message that was seen before it and carries the same job: a worker crashed after
        it sent one of them here, and before it deleted the other from its queue.
    """

    queue: str
    id: str
    job_id: str
    job: str | None
    args: dict[str, Any] | None
    context: dict[str, Any] | None
    content_type: str | None
    body: str
    raw: bool
    group: str | None
    dedup_id: str | None
    sent_at: datetime | None
    first_received_at: datetime | None
    receives: int
    size: int
    source: str | None
    error: dict[str, Any] | None
    attributes: dict[str, str]
    attribute_types: dict[str, str]
    trace_header: str | None
    action: str | None = None
    twin_of: str | None = None

    def did(self, action: str) -> "MessageView":
        """The same message after something happened to it."""
        return replace(self, action=action)

    def value_at(self, path: str) -> Any:
        """What stands at a path of dotted keys and list indices; None where nothing does.

        >>> view.value_at("args.items.0")  # doctest: +SKIP
        'book'
        """
        first, *keys = path.split(".")
        value: Any = getattr(self, first) if first in _FIELDS else None
        for key in keys:
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

    def to_json(self) -> dict[str, Any]:
        """The object ``message`` of the command line's ``--json``, ready for ``json``."""
        values = {name: getattr(self, name) for name in _FIELDS}
        for name in ("sent_at", "first_received_at"):
            values[name] = values[name] and format_time(values[name])
        return {"type": "message", **values}


_FIELDS = tuple(field.name for field in fields(MessageView))

# As long as lists of one message can be, and Python reads no number of 4300 digits.
_INDEX = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be done to one message.

    Attributes
    ----------
    queue :
        The name of the queue without prefix.
    line :
        The line of the input, when sending; None otherwise.
    id :
        The message id, where there is one.
    code, message :
        The error code (that of SQS where SQS refused), and the reason in words.
    retryable :
        Whether the same may work another time.
    item :
        What was to be sent or moved: an object that can be sent again.
    job_id :
        The job id, where it is known.
    """

    queue: str
    line: int | None
    id: str | None
    code: str
    message: str
    retryable: bool
    item: Any
    job_id: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class HandledMessage:
    """What became of one message: ``view.action`` says it, or ``failure`` does."""

    view: MessageView
    failure: Failure | None = None

    @classmethod
    def failed(
        cls, view: MessageView, code: str, reason: str, *, retryable: bool = False
    ) -> "HandledMessage":
        """A message to which it could not be done; it stays where it was."""
        failure = Failure(
            *(view.queue, None, view.id, code, reason, retryable, view.to_json()),
            job_id=view.job_id,
        )
        return cls(view, failure)


def view_message(
    message: Message, *, name_of: Callable[[str], str] = str, action: str | None = None
) -> MessageView:
    """Take a message apart, without running anything that its sender wrote.

    Parameters
    ----------
    name_of :
        Takes the prefix off a queue name.
    action :
        What happened to the message.
    """
    system = message.attributes
    job = job_name_of(message)
    args, context = _payload(message) if job is not None else (None, None)
    source_arn, dead = system.get("DeadLetterQueueSourceArn"), metadata_of(message).dead
    source = None
    if source_arn:
        source = name_of(name_of_arn(source_arn))
    elif dead is not None and dead.queue != message.queue_name:
        source = dead.queue
    return MessageView(
        queue=message.queue_name,
        id=message.message_id,
        job_id=job_id_of(message),
        job=job,
        args=args,
        context=context,
        content_type=message.string_attribute(CONTENT_TYPE),
        body=message.body,
        raw=job is None,
        group=message.group_id,
        dedup_id=message.deduplication_id,
        sent_at=read_milliseconds(system.get("SentTimestamp")),
        first_received_at=read_milliseconds(system.get("ApproximateFirstReceiveTimestamp")),
        receives=message.receive_count,
        size=entry_bytes(
            {"MessageBody": message.body, "MessageAttributes": message.message_attributes}
        ),
        source=source,
        error=None if dead is None else dead.to_json(),
        attributes={name: _text(value) for name, value in message.message_attributes.items()},
        action=action,
        attribute_types={
            name: str(value.get("DataType", "String"))
            for name, value in message.message_attributes.items()
        },
        trace_header=system.get("AWSTraceHeader"),
    )


def _payload(message: Message) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    try:
        job = unpack_job(message)  # accepts what a queue accepts by default: all but pickle
    except (DecodeError, ContentTypeRefused):
        return None, None
    context_text = message.string_attribute(JOB_CONTEXT) or ""
    if is_too_deep(message.body, job.job_kwargs) or is_too_deep(context_text, job.job_context):
        return None, None  # could be read, but perhaps not be written again
    if not (_is_finite(job.job_kwargs) and _is_finite(job.job_context)):
        return None, None  # NaN, Infinity or 1e999: Python reads them, JSON cannot say them
    return job.job_kwargs, job.job_context


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _text(attribute: Mapping[str, Any]) -> str:
    if "BinaryValue" in attribute:
        return base64.b64encode(attribute["BinaryValue"]).decode("ascii")
    return str(attribute.get("StringValue", ""))
