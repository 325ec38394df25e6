"""Sends jobs that are given up to the dead-letter queue, with the reason.

A message is deleted from its own queue only after its copy was accepted. So a crash can leave it
twice, with one job id, and never loses it. What SQS does not accept, it moves by itself after the
last receive, without a reason.
"""

from collections.abc import Sequence

from sqsw.core.errors import AccessDenied, MessageRefused, QueueNotFound
from sqsw.core.events import EventBus, QueueWarning
from sqsw.core.job_metadata import SQSW, JobMetadata, job_id_of
from sqsw.transport.batches import Entry, check_entry, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.resend import entry_to_resend
from sqsw.worker.delivery import Delivery
from sqsw.worker.lane import Lane, is_final


class DeadLetters:
    """The dead-letter queues of a worker."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._closed: set[str] = set()
        self._warned: set[str] = set()

    def takes(self, lane: Lane) -> bool:
        """Whether jobs of a lane that are given up are sent to its dead-letter queue."""
        return lane.dead_letter_client is not None and lane.name not in self._closed

    def send(
        self, lane: Lane, batch: Sequence[Delivery]
    ) -> tuple[list[Delivery], dict[Delivery, str], list[Delivery]]:
        """Send copies of up to ten messages.

        Returns
        -------
        tuple
            Those that were accepted, those to try again and why, and those that are left to SQS.

        Raises
        ------
        Exception
            The call failed; nothing is known of any of them.
        """
        client = lane.dead_letter_client
        if client is None or lane.name in self._closed:
            return [], {}, list(batch)
        entries: list[Entry] = []
        sendable: list[Delivery] = []
        left: list[Delivery] = []
        for delivery in batch:
            entry = _entry_of(delivery, client)
            if entry is None:
                self._warn(lane, "a message has no room for it")
                left.append(delivery)
            else:
                entries.append(entry)
                sendable.append(delivery)
        sent: list[Delivery] = []
        again: dict[Delivery, str] = {}
        rest = iter(sendable)
        for part in split_entries(entries):
            deliveries = [next(rest) for _ in part]
            try:
                _, failures = client.send_batch(part)
            except (AccessDenied, QueueNotFound) as error:
                self._closed.add(lane.name)
                self._warn(lane, error.message)
                return sent, again, [*left, *deliveries, *rest]
            failed = {failure.index: failure for failure in failures}
            for index, delivery in enumerate(deliveries):
                if index not in failed:
                    sent.append(delivery)
                elif not is_final(failed[index]) or _shorten(delivery):
                    again[delivery] = f"{failed[index].reason} [{failed[index].code}]"
                else:
                    self._warn(lane, f"{failed[index].reason} [{failed[index].code}]")
                    left.append(delivery)
        return sent, again, left

    def _warn(self, lane: Lane, reason: str) -> None:
        if lane.name in self._warned:
            return
        self._warned.add(lane.name)
        self._events.publish(
            QueueWarning(
                lane.name,
                f"jobs of {lane.name!r} that fail for good cannot be sent to "
                f"{lane.dead_letter_queue!r} with the reason: {reason}; SQS moves them without it",
                f"allow sqs:SendMessage on {lane.dead_letter_queue!r}, "
                "and leave one of ten message attributes free",
                "dead_letters",
                lane.dead_letter_queue,
            )
        )


def _entry_of(delivery: Delivery, client: QueueClient) -> Entry | None:
    """The copy, with as much of the record as there is room for; None if there is no room."""
    record, message = delivery.record, delivery.message
    if record is None:
        return None
    for each in (record, record.without_trace(), record.without_text()):
        entry = entry_to_resend(message, client)
        metadata = JobMetadata(job_id_of(message), each)
        attributes = {**entry.get("MessageAttributes", {}), SQSW: metadata.to_attribute()}
        entry["MessageAttributes"] = attributes
        try:
            check_entry(entry)
        except MessageRefused:
            continue
        return entry
    return None


def _shorten(delivery: Delivery) -> bool:
    """Leave out a part of the record, if there is one to leave out."""
    settlement, record = delivery.settlement, delivery.record
    if settlement is None or record is None:
        return False
    shorter = record.without_trace() if record.trace is not None else record.without_text()
    settlement.record = shorter
    return shorter != record
