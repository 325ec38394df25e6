"""Sends jobs whose backoff is longer than twelve hours to the parking place.

A message is deleted from its own queue only after its copy was accepted. So a crash can leave two
copies, with one job id, but never loses the job. A message that the parking place refuses stays
hidden for twelve hours instead, the longest time that SQS allows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqsw.core.errors import AccessDenied, MessageRefused, QueueNotFound, SettingsError
from sqsw.core.events import EventBus, QueueReason, QueueWarning
from sqsw.core.job_metadata import (
    MAX_ATTEMPTS,
    MAX_METADATA_BYTES,
    SQSW,
    JobMetadata,
    metadata_of,
)
from sqsw.core.limits import MAX_MESSAGE_BYTES, MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.retry_horizon import long_backoff
from sqsw.core.wording import format_duration, text_of
from sqsw.transport.batches import Entry, split_entries
from sqsw.transport.resend import entry_to_resend
from sqsw.worker.delivery import Delivery
from sqsw.worker.lane import Lane, RetryParking, is_final

#: bytes that the parking place can add to the attribute of a message
_ADDED_BYTES = 512

#: maximum bytes of the messages of one call, so they still fit with what the parking place adds
_CALL_BYTES = MAX_MESSAGE_BYTES - 10 * _ADDED_BYTES

_LONGEST = format_duration(MAX_VISIBILITY_TIMEOUT_SECONDS)


class ParkedRetries:
    """Parks the jobs of a worker whose next attempt is more than twelve hours away."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._warned: set[tuple[str, str | None]] = set()

    def takes(self, lane: Lane, backoff_seconds: int) -> bool:
        """Return whether jobs of a lane can be parked; if not, warn once for each lane."""
        if lane.parking is not None:
            return True
        if not lane.is_warned_of_long_backoff:
            reason, text, hint = long_backoff(backoff_seconds, lane.is_fifo)
            self._warn(lane, reason, f"on {lane.name!r}, {text}", hint)
        return False

    def send(
        self, lane: Lane, batch: Sequence[Delivery]
    ) -> tuple[list[Delivery], dict[Delivery, str], list[Delivery]]:
        """Send copies of up to ten messages.

        Returns
        -------
        tuple
            The messages that were accepted, those to send again and why, and those that were
            refused.
        """
        parking = lane.parking
        if parking is None:
            return [], {}, list(batch)
        sent: list[Delivery] = []
        again: dict[Delivery, str] = {}
        entries, left = self._entries_of(lane, parking, batch)
        rest = iter(entries)
        for part in split_entries(entries.values(), max_bytes=_CALL_BYTES):
            deliveries = [next(rest) for _ in part]
            try:
                failures = parking.park_batch(part, lane.client, [*map(_due_of, deliveries)])
            except Exception as error:  # noqa: BLE001  # other parts can still work
                if _is_closed(error):
                    self._warn_of_refusal(lane, text_of(error))
                    left += deliveries
                else:
                    again |= dict.fromkeys(deliveries, text_of(error))
                continue
            failed = {failure.index: failure for failure in failures}
            for index, delivery in enumerate(deliveries):
                if index not in failed:
                    sent.append(delivery)
                    continue
                reason = f"{failed[index].reason} [{failed[index].code}]"
                if is_final(failed[index]):
                    self._warn_of_refusal(lane, reason)
                    left.append(delivery)
                else:
                    again[delivery] = reason
        return sent, again, left

    def _entries_of(
        self, lane: Lane, parking: RetryParking, batch: Sequence[Delivery]
    ) -> tuple[dict[Delivery, Entry], list[Delivery]]:
        """Return the copies of messages, and the messages that the parking place cannot keep."""
        entries: dict[Delivery, Entry] = {}
        left: list[Delivery] = []
        for delivery in batch:
            try:
                entry = _entry_of(lane, delivery)
                parking.check(entry, lane.client, _due_of(delivery))
            except Exception as error:  # noqa: BLE001  # a place can raise anything
                self._warn_of_refusal(lane, text_of(error))
                left.append(delivery)
            else:
                entries[delivery] = entry
        return entries, left

    def _warn_of_refusal(self, lane: Lane, why: str) -> None:
        text = f"a job of {lane.name!r} was not parked, and comes back after {_LONGEST}: {why}"
        self._warn(
            lane, "parking", text, "check the parking place, and the permission to send to it"
        )

    def _warn(self, lane: Lane, reason: QueueReason, text: str, hint: str) -> None:
        if (lane.name, reason) not in self._warned:
            self._warned.add((lane.name, reason))
            self._events.publish(QueueWarning(lane.name, text, hint, reason))


def _is_closed(error: Exception) -> bool:
    """Return whether the parking place refuses everything until a person changes something."""
    if isinstance(error, AccessDenied):
        return error.reason == "denied"  # new credentials can come
    return isinstance(error, QueueNotFound | SettingsError)


def _due_of(delivery: Delivery) -> datetime:
    return datetime.fromtimestamp(delivery.park_until or 0.0, UTC)


def _entry_of(lane: Lane, delivery: Delivery) -> Entry:
    """Return the copy of a message, with the number of its attempts so far.

    Raises
    ------
    MessageRefused
        It has an attribute ``Sqsw`` that is not from sqsw.
    """
    message = delivery.message
    metadata = metadata_of(message)
    if SQSW in message.message_attributes and metadata == JobMetadata():
        raise MessageRefused(f"it has an attribute {SQSW!r} that is not from sqsw")
    entry = entry_to_resend(message, lane.client)
    attribute = _attribute_of(
        replace(
            metadata,
            job_id=metadata.job_id or message.message_id,
            attempts=min(message.attempt, MAX_ATTEMPTS),
            **dict.fromkeys(("due", "to", "group", "dedup")),
        )
    )
    entry["MessageAttributes"] = {**entry.get("MessageAttributes", {}), SQSW: attribute}
    return entry


def _attribute_of(metadata: JobMetadata) -> dict[str, str]:
    """Return the attribute; leave out parts of an earlier record if it would be too long."""
    dead = metadata.dead
    for record in () if dead is None else (dead, dead.without_trace()):
        attribute = replace(metadata, dead=record).to_attribute()
        if len(attribute["StringValue"]) + _ADDED_BYTES <= MAX_METADATA_BYTES:
            return attribute
    if dead is not None:
        metadata = replace(metadata, dead=dead.without_text())
    return metadata.to_attribute()
