"""A received message and its lease."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sqsw.core.job_metadata import SQSW, read_attempts
from sqsw.core.lease_clock import lease_time
from sqsw.core.process_lock import ProcessLock
from sqsw.core.record import record

_making = ProcessLock()


class Lease:
    """How long a received message stays hidden from other receivers.

    The heartbeat extends it, and the job can read it.

    Attributes
    ----------
    expires_at :
        When the visibility timeout ends at the latest, in seconds of ``sqsw.core.lease_clock``.
    sure_until :
        When it ends at the earliest: SQS hides a message at some moment of a long poll, and its
        answer can be late. The heartbeat extends leases by this time.
    lost :
        Set if SQS refused an extension or the lease has ended. Another worker can run the job then,
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
        """The event. It is created at first use, because few messages need one."""
        if self._lost is None:
            with _making.here:
                if self._lost is None:
                    self._lost = threading.Event()
        return self._lost

    @property
    def is_lost(self) -> bool:
        return self._lost is not None and self._lost.is_set()

    def lose(self) -> None:
        """Set the event, and the event of the list that this message is in."""
        self.lost.set()
        with _making.here:
            list_lost = self._list_lost
        if list_lost is not None:
            list_lost.set()

    def renew(self, until: float) -> None:
        """Note that the lease now ends at ``until``, in seconds of the lease clock."""
        self.expires_at = self.sure_until = until

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process does not extend it, so a copy there never ends.
        return Lease, ()


def list_lost(leases: Sequence[Lease]) -> threading.Event:
    """Return the event of messages that run as one list: set once one of their leases is lost."""
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
        The ID that SQS assigned when the message was sent; the same at every delivery.
    receipt_handle :
        Needed to delete this delivery or to change its visibility timeout; new at every delivery.
    body :
        The text as it was sent.
    attributes :
        The attributes from SQS, such as ``SentTimestamp`` and ``ApproximateReceiveCount``.
    message_attributes :
        The attributes from the sender: name to ``{"DataType": …, "StringValue": …}``.
    queue_name :
        The name of the queue, without prefix.
    received_at :
        When the receive was answered, in seconds of ``sqsw.core.lease_clock``.
    lease :
        How long this delivery stays hidden from other receivers.
    tries :
        How many attempts of its job have started in this delivery, including this one.
    """

    message_id: str
    # Not in the repr: a message that is logged by mistake must not show its content or handle.
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
        """The number of this attempt of its job, from 1.

        It counts the receives of this message, further tries in the worker, and the attempts before
        the job was parked.
        """
        return self.receive_count + self.tries - 1 + self.earlier_attempts

    @property
    def earlier_attempts(self) -> int:
        """The attempts of its job in earlier messages, before it was parked; 0 for most jobs."""
        return read_attempts(self.string_attribute(SQSW))

    @property
    def receive_count(self) -> int:
        """The number of receives so far, including this one; 1 if SQS did not send it."""
        count = self.attributes.get("ApproximateReceiveCount", "1")
        return int(count) if count.isdecimal() else 1

    @property
    def group_id(self) -> str | None:
        """The message group; None if it was sent without one."""
        return self.attributes.get("MessageGroupId")

    @property
    def deduplication_id(self) -> str | None:
        """The deduplication ID; None on standard queues."""
        return self.attributes.get("MessageDeduplicationId")

    def without_content(self) -> "Message":
        """Return a copy with the IDs, but without body and receipt handle."""
        kept = self.message_attributes.get(SQSW)
        attributes = {} if kept is None else {SQSW: kept}
        return replace(
            self, body="", receipt_handle="", message_attributes=attributes, lease=Lease()
        )

    def string_attribute(self, name: str) -> str | None:
        """Return the text of a message attribute; None if it is missing or has no text."""
        attribute = self.message_attributes.get(name)
        value = None if attribute is None else attribute.get("StringValue")
        return value if isinstance(value, str) else None
