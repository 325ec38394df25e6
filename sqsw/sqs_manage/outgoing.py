"""Messages to be sent in bulk: what a line says, and whether the queue would take it."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqsw.codecs.envelope import (
    CONTENT_TYPE,
    JOB_CONTEXT,
    JOB_NAME,
    pack_body,
    pack_job,
    raw_entry,
)
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE
from sqsw.core.errors import AccessDenied, MessageRefused
from sqsw.core.job_metadata import SQSW, add_job_id
from sqsw.core.limits import MAX_DELAY_SECONDS, MAX_MESSAGE_BYTES
from sqsw.core.wording import format_duration
from sqsw.sqs_manage.message_view import Failure
from sqsw.transport.batches import Entry, check_with_spare, fit_to_queue
from sqsw.transport.queue_client import QueueClient

#: the message group in a FIFO queue where nobody names one, as fit_to_queue has it
DEFAULT_GROUP = "default"

# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_GROUP_OR_DEDUP_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What a queue asks of a message.

    Attributes
    ----------
    name :
        The name of the queue without prefix.
    fifo :
        Whether it is a FIFO queue.
    content_dedup :
        Whether it deduplicates by body; None where that may not be read.
    max_bytes :
        Bytes of one message, at most.
    """

    name: str
    fifo: bool
    content_dedup: bool | None = None
    max_bytes: int = MAX_MESSAGE_BYTES

    @classmethod
    def of(cls, queue: QueueClient) -> "QueueRules":
        """The rules of a queue; a standard queue is not asked.

        Raises
        ------
        QueueNotFound
            There is no such queue.
        """
        if not queue.is_fifo:
            return cls(queue.name, False)
        try:
            found = queue.attributes("ContentBasedDeduplication", "MaximumMessageSize")
        except AccessDenied:  # who may send need not be allowed to look
            return cls(queue.name, True)
        return cls(
            queue.name,
            True,
            found.get("ContentBasedDeduplication") == "true",
            int(found.get("MaximumMessageSize", MAX_MESSAGE_BYTES)),
        )


@dataclass(frozen=True, slots=True)
class UnreadLine(Failure):
    """A line that is no message.

    Attributes
    ----------
    group :
        The message group that it belongs to, which stops there on a FIFO queue; None where nobody
        can tell: then all of them do.
    """

    group: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to be sent: a job with its arguments, or a body as it is.

    Attributes
    ----------
    line :
        The line of the input that it came from, counted from 1.
    job :
        The job name; None for a raw body.
    args :
        The arguments of the job. If ``body`` is set too, it has the same arguments, and the body
        is sent.
    group, dedup_id :
        Message group and deduplication id.
    delay :
        Seconds until it can be received, 0 to 900; standard queues only.
    context :
        The job context.
    body, content_type :
        The text and the content type of the body, for a raw message, or for a job whose body is
        sent byte for byte.
    context_text :
        The job context as text, in that content type.
    attributes, attribute_types :
        Message attributes as text, and their data types; one without a type is a ``String``.
        Values of type ``Binary`` are base64. If they include ``JobName`` and ``body`` is set, the
        message gets no other attributes.
    trace_header :
        The AWS X-Ray trace header.
    job_id :
        The job id, 1 to 128 printable ASCII characters without spaces. None keeps the one in the
        attribute ``Sqsw``, or makes a new one.
    """

    line: int = 1
    job: str | None = None
    args: Mapping[str, Any] | None = None
    group: str | None = None
    dedup_id: str | None = None
    delay: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    body: str | None = None
    content_type: str | None = None
    context_text: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    trace_header: str | None = None
    job_id: str | None = None

    def to_entry(self, rules: QueueRules) -> Entry:
        """The parameters of a SendMessage.

        Raises
        ------
        MessageRefused
            SQS, or this queue, would not take it.
        ContentTypeRefused
            There is no codec for its content type.
        """
        if self.job == "":
            raise MessageRefused("the job name is empty", why="no function can be found by it")
        self._check_delay()
        self._check_ids(rules)
        entry = self._pack(
            delay_seconds=self.delay,
            deduplication_id=self.dedup_id,
            group_id=self.group,
        )
        fit_to_queue(entry, is_fifo=rules.fifo, queue_name=rules.name)
        add_job_id(entry, self.job_id)
        self.check(entry, rules)
        return entry

    def check(self, entry: Entry, rules: QueueRules) -> None:
        """Check an entry of :meth:`to_entry`; leave out its job id if there is no room for it.

        Raises
        ------
        MessageRefused
            SQS, or this queue, would not take it.
        """
        # What the message came with is never left out.
        check_with_spare(entry, None if SQSW in self.attributes else SQSW, rules.max_bytes)

    def to_item(self) -> dict[str, Any]:
        """The message as an object that can be read and sent again."""
        item: dict[str, Any] = {"job": self.job}
        if self.args is not None:
            item["args"] = self.args
        if self.args is None or self.body is not None:
            item |= {"body": self.body, "content_type": self.content_type}
        optional = {
            "attributes": self.all_attributes() or None,
            "attribute_types": dict(self.attribute_types) or None,
            "trace_header": self.trace_header,
            "job_id": self.job_id,
            "group": self.group,
            "dedup_id": self.dedup_id,
            "delay": self.delay,
            "context": dict(self.context) or None,
        }
        return item | {name: value for name, value in optional.items() if value is not None}

    def all_attributes(self) -> dict[str, str]:
        """Return the attributes as text, with the job context if it is given as text."""
        context = {} if self.context_text is None else {JOB_CONTEXT: self.context_text}
        return {**self.attributes, **context}

    def _pack(self, **options: Any) -> Entry:
        given = {
            name: _sqs_attribute(name, self.attribute_types.get(name, "String"), text)
            for name, text in self.attributes.items()
        }
        entry = self._pack_payload(given, **options)
        if given:
            entry["MessageAttributes"] = {**given, **entry.get("MessageAttributes", {})}
        if self.trace_header is not None:
            header = {"DataType": "String", "StringValue": self.trace_header}
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        return entry

    def _pack_payload(self, given: Mapping[str, Any], **options: Any) -> Entry:
        if self.job is None:
            return self._pack_raw(given, **options)
        if self.body is not None and "StringValue" in given.get(JOB_NAME, {}):
            return raw_entry(self.body, **options)
        if self.body is None and self.args is not None:
            return pack_job(self.job, self.args, self.context, **options)
        content_type = self.content_type or DEFAULT_CONTENT_TYPE
        if self.context_text is None:
            # As the codec of the body writes it, or the worker could not read it.
            entry = pack_job(self.job, {}, self.context, content_type, **options)
            return entry | {"MessageBody": self.body or ""}
        return pack_body(self.job, self.body or "", self.context_text, content_type, **options)

    def _pack_raw(self, given: Mapping[str, Any], **options: Any) -> Entry:
        entry = raw_entry(self.body or "", **options)
        if self.content_type and CONTENT_TYPE not in given:
            text = {"DataType": "String", "StringValue": self.content_type}
            entry["MessageAttributes"] = {CONTENT_TYPE: text}
        return entry

    def _check_delay(self) -> None:
        if isinstance(self.delay, bool):
            raise MessageRefused("the delay is a boolean", why="a delay is a number of seconds")
        if self.delay is not None and self.delay > MAX_DELAY_SECONDS:
            raise MessageRefused(
                f"a delay of {format_duration(self.delay)} is more than SQS can hold",
                why="the limit is 15 minutes per message",
                next="use 15 minutes at most, or send it later from cron",
            )

    def _check_ids(self, rules: QueueRules) -> None:
        for name, value in (("group", self.group), ("deduplication id", self.dedup_id)):
            if value is not None and not _GROUP_OR_DEDUP_ID.fullmatch(value):
                raise MessageRefused(
                    f"{value!r} cannot be a {name}",
                    why="SQS takes 1 to 128 letters, digits and punctuation characters, no space",
                )
        if rules.fifo and self.dedup_id is None and rules.content_dedup is False:
            raise MessageRefused(
                f"{rules.name!r} needs a deduplication id",
                reason="needs_deduplication_id",
                queue=rules.name,
                why="content-based deduplication is off for this queue",
                next="give it a dedup_id, or turn on ContentBasedDeduplication of the queue",
            )


def _sqs_attribute(name: str, data_type: str, text: str) -> dict[str, Any]:
    kind = data_type.partition(".")[0]
    if kind not in ("String", "Number", "Binary"):
        raise MessageRefused(
            f"the attribute {name!r} has the type {data_type!r}",
            why="SQS knows String, Number and Binary, each with a custom suffix such as .int",
        )
    if kind != "Binary":
        return {"DataType": data_type, "StringValue": text}
    try:
        return {"DataType": data_type, "BinaryValue": base64.b64decode(text, validate=True)}
    except ValueError as error:
        raise MessageRefused(
            f"the attribute {name!r} is binary, and its value is not base64", why=str(error)
        ) from error
