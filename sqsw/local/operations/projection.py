"""Converts a stored message into the form of an answer, with the attributes asked for."""

from typing import Any, Final, NamedTuple

from sqsw.local.rules import message_attributes
from sqsw.local.rules.attributes import unknown_attribute
from sqsw.local.rules.digests import md5_of_attributes
from sqsw.local.rules.receipts import Receipt, write_receipt
from sqsw.local.rules.validate import Params
from sqsw.local.store import fifo
from sqsw.local.store.message_queries import Stored
from sqsw.local.store.queue_rows import Queue

_SYSTEM_ATTRIBUTES: Final = frozenset(
    {
        "All",
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    }
)


def system_names(params: Params) -> frozenset[str]:
    """Return the names of the system attributes that a call asks for."""
    names = params.texts("MessageSystemAttributeNames") or params.texts("AttributeNames")
    for name in names:
        if name not in _SYSTEM_ATTRIBUTES:
            raise unknown_attribute(name)
    return frozenset(names)


class Projection(NamedTuple):
    """The parts of messages that a call asks for."""

    account: str
    system_names: frozenset[str]
    attribute_names: list[str]

    def message(self, queue: Queue, message: Stored) -> dict[str, Any]:
        """Return a message for the answer, with the receipt handle of its latest delivery."""
        answer: dict[str, Any] = {
            "MessageId": message.id,
            "ReceiptHandle": write_receipt(queue.secret, Receipt(message.seq, message.receives)),
            "MD5OfBody": message.md5,
            "Body": message.body,
        }
        attributes = self._system_attributes(queue, message)
        if attributes:
            answer["Attributes"] = attributes
        if message.attributes is None or not self.attribute_names:
            return answer
        selected = message_attributes.select(
            message_attributes.from_json(message.attributes), self.attribute_names
        )
        if selected:
            answer["MD5OfMessageAttributes"] = md5_of_attributes(selected)
            answer["MessageAttributes"] = message_attributes.shown(selected)
        return answer

    def _system_attributes(self, queue: Queue, message: Stored) -> dict[str, str]:
        wanted = self.system_names
        if not wanted:
            return {}
        first = message.first_receive
        attributes = {
            "SenderId": self.account,
            "SentTimestamp": str(message.sent_at),
            "ApproximateReceiveCount": str(message.receives),
            "ApproximateFirstReceiveTimestamp": None if first is None else str(first),
            "SequenceNumber": fifo.sequence_number(message.seq) if queue.is_fifo else None,
            "MessageDeduplicationId": message.deduplication_id,
            "MessageGroupId": message.group_name,
            "AWSTraceHeader": message.trace_header,
            "DeadLetterQueueSourceArn": message.source_arn,
        }
        return {
            name: value
            for name, value in attributes.items()
            if value is not None and ("All" in wanted or name in wanted)
        }
