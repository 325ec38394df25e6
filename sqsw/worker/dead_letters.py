"""Sends jobs that are given up to the dead-letter queue, with the reason.

A message is deleted from its own queue only after its copy was accepted. So a crash can leave it
twice, with one job id, and never loses it. What SQS does not accept, it moves by itself after the
last receive, without a reason.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqsw.core.errors import AccessDenied, MessageRefused, QueueNotFound
from sqsw.core.events import EventBus, QueueReason, QueueWarning
from sqsw.core.job_metadata import MAX_METADATA_BYTES, SQSW, JobMetadata, metadata_of
from sqsw.core.wording import text_of
from sqsw.transport.batches import Entry, check_entry, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.resend import entry_to_resend
from sqsw.transport.sending import send_once
from sqsw.worker.delivery import Delivery
from sqsw.worker.lane import Lane, is_final

#: a reason for programs, and what helps
Kind = tuple[QueueReason | None, str]


class DeadLetters:
    """The dead-letter queues of a worker."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._closed: set[str] = set()
        self._warned: set[tuple[str, str | None]] = set()

    def takes(self, lane: Lane) -> bool:
        """Whether jobs of a lane that are given up are sent to its dead-letter queue."""
        return lane.dead_letter_client is not None and lane.name not in self._closed

    def send(
        self, lane: Lane, batch: Sequence[Delivery]
    ) -> tuple[list[Delivery], dict[Delivery, str], list[Delivery]]:
        """Send copies of up to ten messages.

        A copy without room for the record is sent without it, because the job must not run again.
        On its last receive, SQS moves the message.

        Returns
        -------
        tuple
            Those that were accepted, those to try again and why, and those that are left to SQS.
        """
        client = lane.dead_letter_client
        if client is None or lane.name in self._closed:
            return [], {}, list(batch)
        sent: list[Delivery] = []
        again: dict[Delivery, str] = {}
        left: list[Delivery] = []
        entries: dict[Delivery, Entry] = {}
        for delivery in batch:
            entry, is_explained = _entry_of(delivery, client)
            if not is_explained:
                self._warn(lane, "a message has no room for it", _NO_ROOM)
            if is_explained or not lane.is_last_receive(delivery.message):
                entries[delivery] = entry
            else:
                left.append(delivery)
        rest = iter(entries)
        for part in split_entries(entries.values()):
            deliveries = [next(rest) for _ in part]
            try:
                _, failures = send_once(client, part)
            except (AccessDenied, QueueNotFound) as error:
                if isinstance(error, AccessDenied) and error.reason != "denied":
                    again |= dict.fromkeys(deliveries, error.message)  # new credentials can come
                    continue
                self._closed.add(lane.name)
                missing = isinstance(error, QueueNotFound)
                self._warn(lane, error.message, _MISSING if missing else _DENIED)
                return sent, again, [*left, *deliveries, *rest]
            except Exception as error:  # noqa: BLE001  # nothing is known of this part alone
                again |= dict.fromkeys(deliveries, text_of(error))
                continue
            failed = {failure.index: failure for failure in failures}
            for index, delivery in enumerate(deliveries):
                if index not in failed:
                    sent.append(delivery)
                elif not is_final(failed[index]) or _shorten(delivery):
                    again[delivery] = f"{failed[index].reason} [{failed[index].code}]"
                else:
                    reason = f"{failed[index].reason} [{failed[index].code}]"
                    self._warn(lane, reason, _REFUSED)
                    left.append(delivery)
        return sent, again, left

    def _warn(self, lane: Lane, why: str, kind: Kind) -> None:
        reason, hint = kind
        if (lane.name, reason) in self._warned:
            return
        self._warned.add((lane.name, reason))
        dead_letter_queue = lane.dead_letter_queue
        text = (
            f"jobs of {lane.name!r} go to {dead_letter_queue!r} without the reason why they failed"
        )
        self._events.publish(
            QueueWarning(lane.name, f"{text}: {why}", hint, reason, dead_letter_queue)
        )


_NO_ROOM: Kind = ("no_room", "leave one of the ten message attributes free, and 4 KiB of the size")
_MISSING: Kind = ("missing_dead_letter_queue", "create it, or change the redrive policy")
_DENIED: Kind = ("dead_letters", "allow sqs:SendMessage on the dead-letter queue")
_REFUSED: Kind = (None, "check the attributes of the dead-letter queue")


def _entry_of(delivery: Delivery, client: QueueClient) -> tuple[Entry, bool]:
    """Return the copy with as much of the record as there is room for, and whether it has one."""
    record, message = delivery.record, delivery.message
    metadata = metadata_of(message)
    is_ours = SQSW not in message.message_attributes or metadata != JobMetadata()
    records = (record, record.without_trace(), record.without_text()) if record and is_ours else ()
    for each in records:
        entry = entry_to_resend(message, client)
        job_id = metadata.job_id or message.message_id
        # The record has the attempts, and after a redrive the count starts again.
        sent = replace(
            metadata, job_id=job_id, dead=each, copy_of=message.message_id, attempts=None
        )
        attribute = sent.to_attribute()
        entry["MessageAttributes"] = {**entry.get("MessageAttributes", {}), SQSW: attribute}
        if len(attribute["StringValue"]) > MAX_METADATA_BYTES:
            continue
        try:
            check_entry(entry)
        except MessageRefused:
            continue
        return entry, True
    return entry_to_resend(message, client), False


def _shorten(delivery: Delivery) -> bool:
    """Leave out a part of the record, if there is one to leave out."""
    settlement, record = delivery.settlement, delivery.record
    if settlement is None or record is None:
        return False
    shorter = record.without_trace() if record.trace is not None else record.without_text()
    settlement.record = shorter
    return shorter != record
