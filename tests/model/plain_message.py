"""A message of the plain model, and its form in answers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTRIBUTES = {"k": {"DataType": "String", "StringValue": "x"}}
#: their digest, from SQS
MD5_OF_ATTRIBUTES = "a45daa70926828a2f0a1db3418e6feb4"


class Refused(Exception):
    """SQS refuses a call, or an entry of a batch."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class Message:
    """A message in a queue; all times in milliseconds since 1970."""

    #: None if the server chose a new id that no answer has shown yet
    id: str | None
    body: str
    sent_at: int
    #: the start of its age
    aged_from: int
    #: its position in the queue
    place: int
    has_attributes: bool = False
    group: str | None = None
    deduplication_id: str | None = None
    #: None if no answer has shown it yet, or on a standard queue
    sequence_number: str | None = None
    hidden_until: int = 0
    #: whether it is hidden by a delay, not by a delivery
    is_delayed: bool = False
    receives: int = 0
    #: only those from the current queue
    receives_here: int = 0
    first_receive: int = 0
    last_receive: int = 0
    source_arn: str | None = None

    def digests(self) -> dict[str, str]:
        """Return the digests in the answer to a send."""
        digests = {"MD5OfMessageBody": hashlib.md5(self.body.encode()).hexdigest()}
        if self.has_attributes:
            digests["MD5OfMessageAttributes"] = MD5_OF_ATTRIBUTES
        return digests

    def learn(self, answered: Mapping[str, Any]) -> None:
        """Store values that only the server knows: a new id, a new sequence number."""
        if self.id is None:
            self.id = answered["MessageId"]
        if self.sequence_number is None:
            self.sequence_number = answered["Attributes"].get("SequenceNumber")

    def shown(self, receipt_handle: str) -> dict[str, Any]:
        """Return the message as in ReceiveMessage, with all attributes."""
        attributes = {
            "SenderId": "000000000000",
            "SentTimestamp": str(self.sent_at),
            "ApproximateReceiveCount": str(self.receives),
            "ApproximateFirstReceiveTimestamp": str(self.first_receive),
            "SequenceNumber": self.sequence_number,
            "MessageGroupId": self.group,
            "MessageDeduplicationId": self.deduplication_id,
            "DeadLetterQueueSourceArn": self.source_arn,
        }
        shown: dict[str, Any] = {
            "MessageId": self.id,
            "ReceiptHandle": receipt_handle,
            "MD5OfBody": self.digests()["MD5OfMessageBody"],
            "Body": self.body,
            # Omit attributes that the message does not have.
            "Attributes": {name: value for name, value in attributes.items() if value is not None},
        }
        if self.has_attributes:
            shown["MessageAttributes"] = ATTRIBUTES
            shown["MD5OfMessageAttributes"] = MD5_OF_ATTRIBUTES
        return shown
