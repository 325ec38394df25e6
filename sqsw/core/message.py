"""The message that walks through the house, and the lease that goes with it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sqsw.core.lease_clock import lease_time
from sqsw.core.process_lock import ProcessLock
from sqsw.core.record import record

#: the message attribute in which sqsw keeps what it knows of a job
SQSW = "Sqsw"

_making = ProcessLock()


class Lease:
    """How long a received message is still ours; written by the heartbeat, read by the job.

    Attributes
    ----------
    expires_at :
        Seconds of ``sqsw.core.lease_clock`` at which the visibility timeout ends.
    sure_until :
        The earliest moment at which it may end: SQS hides a message at some time of a long poll,
        and its answer may have been held up on the way. Leases are renewed by this one.
    lost :
        Set once SQS refused an extension or the time is over: somebody else may run the job now,
        so its result here no longer counts.
    """

    __slots__ = ("_list_lost", "_lost", "expires_at", "sure_until")

    def __init__(self, expires_at: float = float("inf"), sure_until: float | None = None) -> None:
        self.expires_at = expires_at
        self.sure_until = expires_at if sure_until is None else sure_until
        self._lost: threading.Event | None = None
        self._list_lost: threading.Event | None = None

    @property
    def lost(self) -> threading.Event:
        """The event; made when it is asked for, as hardly any message needs one."""
        if self._lost is None:
            with _making.here:
                if self._lost is None:
                    self._lost = threading.Event()
        return self._lost

    @property
    def is_lost(self) -> bool:
        return self._lost is not None and self._lost.is_set()

    def lose(self) -> None:
        """Set it, and that of the list of messages that this one is run with."""
        self.lost.set()
        with _making.here:
            list_lost = self._list_lost
        if list_lost is not None:
            list_lost.set()

    def renew(self, until: float) -> None:
        """It ends then, for sure."""
        self.expires_at = self.sure_until = until

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process it is nobody's.
        return Lease, ()


def list_lost(leases: Sequence[Lease]) -> threading.Event:
    """The event of messages that are run as one list: set once one of their leases is lost."""
    with _making.here:
        event = leases[0]._list_lost
        if event is None:
            event = threading.Event()
            for lease in leases:
                lease._list_lost = event
    if any(lease.is_lost for lease in leases):
        event.set()
    return event


@record()
class Message:
    """One delivery of one message.

    Attributes
    ----------
    message_id :
        The id that SQS gave at the send; the same at every delivery.
    receipt_handle :
        The right to delete this delivery or to change its visibility; new at every delivery.
    body :
        The text as it was sent.
    attributes :
        What SQS says about the message (``SentTimestamp``, ``ApproximateReceiveCount`` …).
    message_attributes :
        What the sender attached: name to ``{"DataType": …, "StringValue": …}``.
    queue_name :
        The name of the queue, without prefix.
    received_at :
        Seconds of ``sqsw.core.lease_clock`` at which the receive was answered.
    lease :
        How long this delivery is still ours.
    tries :
        How often its job was started in this delivery, this time included.
    """

    message_id: str
    # A message that is printed or logged by mistake shows neither what it says nor the right to it.
    receipt_handle: str = field(repr=False)
    body: str = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    message_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    queue_name: str = ""
    received_at: float = field(default_factory=lease_time, compare=False, repr=False)
    lease: Lease = field(default_factory=Lease, compare=False, repr=False)
    tries: int = field(default=1, compare=False, repr=False)

    @property
    def attempt(self) -> int:
        """Which attempt of its job this is, from 1: receives, and tries of this one."""
        return self.receive_count + self.tries - 1

    @property
    def receive_count(self) -> int:
        """How often it was received so far, this time included; 1 where SQS did not say."""
        count = self.attributes.get("ApproximateReceiveCount", "1")
        return int(count) if count.isdecimal() else 1

    @property
    def group_id(self) -> str | None:
        """The message group, if it was sent with one."""
        return self.attributes.get("MessageGroupId")

    @property
    def deduplication_id(self) -> str | None:
        """The deduplication id, on FIFO queues."""
        return self.attributes.get("MessageDeduplicationId")

    def without_content(self) -> "Message":
        """The same delivery with its ids, but without what it says and the right to it."""
        kept = self.message_attributes.get(SQSW)
        attributes = {} if kept is None else {SQSW: kept}
        return replace(
            self, body="", receipt_handle="", message_attributes=attributes, lease=Lease()
        )

    def string_attribute(self, name: str) -> str | None:
        """The text of a message attribute, or None where the sender attached none of this name."""
        attribute = self.message_attributes.get(name)
        value = None if attribute is None else attribute.get("StringValue")
        return value if isinstance(value, str) else None
