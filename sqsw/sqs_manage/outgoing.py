"""Messages for bulk sends, and the checks whether a queue accepts them."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

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
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.sqs_manage.message_view import Failure
from sqsw.transport.batches import Entry, check_with_spare, fit_to_queue
from sqsw.transport.queue_client import QueueClient

#: the default message group in a FIFO queue, as in fit_to_queue
DEFAULT_GROUP = "default"

# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_GROUP_OR_DEDUP_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")


@dataclass(frozen=True, slots=True)
class QueueRules:
    """The requirements of a queue for messages.

    Attributes
    ----------
    name :
        The queue name without the prefix.
    fifo :
        Whether it is a FIFO queue.
    content_dedup :
        Whether it deduplicates by body; None if access to this attribute is denied.
    max_bytes :
        The maximum bytes of a message.
    can_park :
        Whether the environment has a parking place, so a job can be delayed by up to 366 days.
    """

    name: str
    fifo: bool
    content_dedup: bool | None = None
    max_bytes: int = MAX_MESSAGE_BYTES
    can_park: bool = False

    @classmethod
    def of(cls, queue: QueueClient, *, can_park: bool = False) -> "QueueRules":
        """Return the rules of a queue; a standard queue needs no request.

        Raises
        ------
        QueueNotFound
            There is no such queue.
        """
        if not queue.is_fifo:
            return cls(queue.name, False, can_park=can_park)
        try:
            found = queue.attributes("ContentBasedDeduplication", "MaximumMessageSize")
        except AccessDenied:  # a sender does not need the permission to read attributes
            return cls(queue.name, True, can_park=can_park)
        return cls(
            queue.name,
            True,
            found.get("ContentBasedDeduplication") == "true",
            int(found.get("MaximumMessageSize", MAX_MESSAGE_BYTES)),
            can_park,
        )


class ReadyMessage(NamedTuple):
    """The parameters of a SendMessage, and when the job is due; None if it need not be parked."""

    entry: Entry
    due: datetime | None


@dataclass(frozen=True, slots=True)
class UnreadLine(Failure):
    """A line that is not a message.

    Attributes
    ----------
    group :
        Its message group, which stops at this line on a FIFO queue; None if unknown, which stops
        all groups.
    """

    group: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send: a job with arguments, or a raw body.

    Attributes
    ----------
    line :
        The input line, counted from 1.
    job :
        The job name; None for a raw body.
    args :
        The arguments of the job. If ``body`` is also set, it contains the same arguments, and the
        body is sent.
    group, dedup_id :
        Message group and deduplication id.
    delay :
        Delay in seconds: up to 900 on a standard queue, and up to 366 days if the environment has a
        parking place.
    run_at :
        The time to run the job at instead of a delay, with a time zone. A time in the past means
        now.
    context :
        The job context.
    body, content_type :
        The text and content type of the body, for a raw message or a job whose body is sent byte
        for byte.
    context_text :
        The job context as text, in that content type.
    attributes, attribute_types :
        Message attributes as text, and their data types (default: ``String``). ``Binary`` values
        are base64. If they include ``JobName`` and ``body`` is set, the message gets no other
        attributes.
    trace_header :
        The AWS X-Ray trace header.
    job_id :
        The job ID, 1 to 128 printable ASCII characters without spaces. None keeps the ID in the
        attribute ``Sqsw``, or creates one.
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
    run_at: datetime | None = None

    def prepare(self, rules: QueueRules, now: float) -> ReadyMessage:
        """Return the parameters of a SendMessage, and when the job is due if it must be parked.

        Parameters
        ----------
        now :
            The time in seconds since 1970, for the delay.

        Raises
        ------
        MessageRefused
            SQS, or this queue, would not take it.
        ContentTypeRefused
            There is no codec for its content type.
        """
        if self.job == "":
            raise MessageRefused("the job name is empty", why="no function can have this name")
        if isinstance(self.delay, bool):
            raise MessageRefused("the delay is a boolean", why="a delay is a number of seconds")
        self._check_ids()
        entry = self._pack(deduplication_id=self.dedup_id, group_id=self.group)
        due = None
        if self.delay is not None or self.run_at is not None:
            from sqsw.parking.delays import delay_entry  # most sends do not need it

            due = delay_entry(
                *(entry, self.delay, self.run_at),
                queue_name=rules.name,
                is_fifo=rules.fifo,
                can_park=rules.can_park,
                now=now,
            )
        if due is None:  # a parked job gets its job id as its deduplication id
            self._check_deduplication(rules)
        fit_to_queue(entry, is_fifo=rules.fifo, queue_name=rules.name)
        add_job_id(entry, self.job_id)
        self.check(entry, rules)
        return ReadyMessage(entry, due)

    def check(self, entry: Entry, rules: QueueRules) -> None:
        """Check an entry of :meth:`prepare`; drop its job ID if there is no room for it.

        Raises
        ------
        MessageRefused
            SQS, or this queue, would not take it.
        """
        # An attribute that the message came with is never dropped.
        check_with_spare(entry, None if SQSW in self.attributes else SQSW, rules.max_bytes)

    def to_item(self) -> dict[str, Any]:
        """Return the message as an object that can be sent again."""
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
            "at": None if self.run_at is None else self.run_at.isoformat(),
            "context": dict(self.context) or None,
        }
        return item | {name: value for name, value in optional.items() if value is not None}

    def all_attributes(self) -> dict[str, str]:
        """Return the attributes as text, including the job context if it is given as text."""
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
            # The worker reads the context with the codec of the body.
            entry = pack_job(self.job, {}, self.context, content_type, **options)
            return entry | {"MessageBody": self.body or ""}
        return pack_body(self.job, self.body or "", self.context_text, content_type, **options)

    def _pack_raw(self, given: Mapping[str, Any], **options: Any) -> Entry:
        entry = raw_entry(self.body or "", **options)
        if self.content_type and CONTENT_TYPE not in given:
            text = {"DataType": "String", "StringValue": self.content_type}
            entry["MessageAttributes"] = {CONTENT_TYPE: text}
        return entry

    def _check_ids(self) -> None:
        for name, value in (("group", self.group), ("deduplication id", self.dedup_id)):
            if value is not None and not _GROUP_OR_DEDUP_ID.fullmatch(value):
                raise MessageRefused(
                    f"{value!r} is not a valid {name}",
                    why="SQS accepts 1 to 128 letters, digits and punctuation characters",
                )

    def _check_deduplication(self, rules: QueueRules) -> None:
        if rules.fifo and self.dedup_id is None and rules.content_dedup is False:
            raise MessageRefused(
                f"{rules.name!r} needs a deduplication id",
                reason="needs_deduplication_id",
                queue=rules.name,
                why="content-based deduplication is off for this queue",
                next="set dedup_id, or turn on ContentBasedDeduplication of the queue",
            )


def _sqs_attribute(name: str, data_type: str, text: str) -> dict[str, Any]:
    kind = data_type.partition(".")[0]
    if kind not in ("String", "Number", "Binary"):
        raise MessageRefused(
            f"the attribute {name!r} has the unknown type {data_type!r}",
            why="SQS supports String, Number and Binary, with an optional suffix such as .int",
        )
    if kind != "Binary":
        return {"DataType": data_type, "StringValue": text}
    try:
        return {"DataType": data_type, "BinaryValue": base64.b64decode(text, validate=True)}
    except ValueError as error:
        raise MessageRefused(
            f"the value of the binary attribute {name!r} is not base64", why=str(error)
        ) from error
