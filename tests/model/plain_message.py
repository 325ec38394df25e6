"""A message of the plain model, and how SQS shows it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTRIBUTES = {"k": {"DataType": "String", "StringValue": "x"}}
#: the digest of these, as SQS answers it
MD5_OF_ATTRIBUTES = "a45daa70926828a2f0a1db3418e6feb4"


class Refused(Exception):
    """SQS refuses the call, or the entry of a batch."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class Message:
    """One message in one queue; all times in milliseconds since 1970."""

    #: None: SQS gave it a new one that nobody has seen yet
    id: str | None
    body: str
    sent_at: int
    #: from when its age counts
    aged_from: int
    #: where it stands in the order of the queue
    place: int
    has_attributes: bool = False
    group: str | None = None
    deduplication_id: str | None = None
    #: None: nobody has seen it yet, or a standard queue
    sequence_number: str | None = None
    hidden_until: int = 0
    #: hidden because of a delay, not of a delivery
    is_delayed: bool = False
    receives: int = 0
    #: of these, from the queue where it is now
    receives_here: int = 0
    first_receive: int = 0
    last_receive: int = 0
    source_arn: str | None = None

    def digests(self) -> dict[str, str]:
        """What lets a sender check what arrived."""
        digests = {"MD5OfMessageBody": hashlib.md5(self.body.encode()).hexdigest()}
        if self.has_attributes:
            digests["MD5OfMessageAttributes"] = MD5_OF_ATTRIBUTES
        return digests

    def learn(self, answered: Mapping[str, Any]) -> None:
        """Take over what only the server can know: a new id, a new sequence number."""
        if self.id is None:
            self.id = answered["MessageId"]
        if self.sequence_number is None:
            self.sequence_number = answered["Attributes"].get("SequenceNumber")

    def shown(self, receipt_handle: str) -> dict[str, Any]:
        """As ReceiveMessage answers it if everything is asked for."""
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
            # What a message has not is left out.
            "Attributes": {name: value for name, value in attributes.items() if value is not None},
        }
        if self.has_attributes:
            shown["MessageAttributes"] = ATTRIBUTES
            shown["MD5OfMessageAttributes"] = MD5_OF_ATTRIBUTES
        return shown
