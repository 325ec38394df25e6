"""Views of messages for people and programs, and the results of operations on them.

A payload is decoded only if that is safe, so never from pickle.
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
    """A parsed message. Unknown values are None.

    Attributes
    ----------
    queue, id :
        The queue name without the prefix, and the message ID.
    job_id :
        The job ID, which does not change when the message moves; the message ID if it has none.
    job, args, context :
        The job name, arguments and context. Arguments and context are None if the payload is
        invalid, or unsafe to read (pickle).
    content_type, body, raw :
        The content type, the text as sent, and whether the message is not a job.
    group, dedup_id :
        The message group and deduplication ID.
    sent_at, first_received_at :
        Times in UTC.
    receives :
        The receive count.
    size :
        Its size in bytes, as it counts toward SQS's limit.
    source :
        The name of the queue that a dead letter came from.
    error :
        Why a worker last gave it up: the fields of :class:`~sqsw.core.dead_record.DeadRecord`; None
        without a record.
    attributes :
        All message attributes as text by name; binary ones as base64.
    attribute_types :
        The data types of all message attributes: ``String``, ``Number`` or ``Binary``, with the
        sender's custom suffix, if any.
    trace_header :
        The AWS X-Ray trace header, if any.
    action :
        What was done: ``peeked``, ``moved``, ``deleted``, ``skipped``, ``dropped_twin``,
        ``would_move``, ``would_delete`` or ``would_drop_twin``.
    twin_of :
        The ID of an earlier message with the same job. A worker crashed after it sent one of them
        here, and before it deleted the other from its queue.
    copy_of :
        The ID of the message that the worker copied here, if this is a copy.
    due, to :
        When a parked job is sent to its queue, in UTC, and the name of this queue; None for other
        messages.
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
    copy_of: str | None = None
    due: datetime | None = None
    to: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The IDs by which a person can ask for this message."""
        ids = (self.job_id, self.id)
        return ids if self.copy_of is None else (*ids, self.copy_of)

    def did(self, action: str) -> "MessageView":
        """Return the view with this action."""
        return replace(self, action=action)

    def value_at(self, path: str) -> Any:
        """Return the value at a path of dotted keys and list indices, or None.

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
        """Return the object ``message`` of the command line's ``--json``."""
        values = {name: getattr(self, name) for name in _FIELDS}
        for name in ("sent_at", "first_received_at", "due"):
            values[name] = values[name] and format_time(values[name])
        return {"type": "message", **values}


_FIELDS = tuple(field.name for field in fields(MessageView))

# Enough for any list in a message, and within Python's limit of 4300 digits.
_INDEX = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed operation on one message.

    Attributes
    ----------
    queue :
        The queue name without the prefix.
    line :
        The input line for a send, otherwise None.
    id :
        The message ID, if any.
    code, message :
        The error code (SQS's code if SQS refused), and the reason in words.
    retryable :
        Whether a retry can succeed.
    item :
        The message, as an object that can be sent again.
    job_id :
        The job ID, if known.
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
    """The result for one message, in ``view.action`` or ``failure``."""

    view: MessageView
    failure: Failure | None = None

    @classmethod
    def failed(
        cls, view: MessageView, code: str, reason: str, *, retryable: bool = False
    ) -> "HandledMessage":
        """Return the result for a message whose operation failed; it stays in its queue."""
        failure = Failure(
            *(view.queue, None, view.id, code, reason, retryable, view.to_json()),
            job_id=view.job_id,
        )
        return cls(view, failure)


def view_message(
    message: Message, *, name_of: Callable[[str], str] = str, action: str | None = None
) -> MessageView:
    """Parse a message without running code of its sender.

    Parameters
    ----------
    name_of :
        Removes the prefix from a queue name.
    action :
        What was done to the message.
    """
    system = message.attributes
    job = job_name_of(message)
    args, context = _payload(message) if job is not None else (None, None)
    source_arn, metadata = system.get("DeadLetterQueueSourceArn"), metadata_of(message)
    dead = metadata.dead
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
        copy_of=metadata.copy_of,
        due=None if metadata.due is None else read_milliseconds(str(metadata.due)),
        to=metadata.to,
    )


def _payload(message: Message) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    try:
        job = unpack_job(message)  # accepts all content types except pickle
    except (DecodeError, ContentTypeRefused):
        return None, None
    context_text = message.string_attribute(JOB_CONTEXT) or ""
    if is_too_deep(message.body, job.job_kwargs) or is_too_deep(context_text, job.job_context):
        return None, None  # readable, but perhaps too deep to write again
    if not (_is_finite(job.job_kwargs) and _is_finite(job.job_context)):
        return None, None  # NaN, Infinity or 1e999: not valid JSON
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
