"""The parking queue: a standard queue in which jobs wait until they are due."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqsw.codecs.envelope import job_name_of, unpack_job
from sqsw.core.contracts import WallClock
from sqsw.core.errors import (
    ContentTypeRefused,
    DecodeError,
    MessageRefused,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.core.message import Message
from sqsw.core.times import read_milliseconds
from sqsw.parking.parked_entry import from_milliseconds, parked_entry, parked_metadata
from sqsw.parking.places import ParkedJob
from sqsw.transport.batches import Entry, EntryFailure, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import all_failed, send_entries

#: how often ``cancel`` looks for a job, and the seconds in between
_TRIES, _PAUSE_SECONDS = 20, 0.05


class QueueParking:
    """The parking queue as a :class:`~sqsw.parking.places.ParkingPlace`.

    Workers send its jobs to their queues when they are due; see ``sqsw.parking.parking_lane``.

    Parameters
    ----------
    client :
        The parking queue.
    clock :
        Seconds since 1970.
    """

    def __init__(self, client: QueueClient, clock: WallClock) -> None:
        self.client = client
        self._clock = clock

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        """Refuse a job that has no room for its due time and queue, or is for the parking queue.

        Workers of the parking queue would run its jobs before they are due.
        """
        if destination.sqs_name == self.client.sqs_name:
            raise MessageRefused(
                f"{destination.name!r} cannot be the parking queue of its own jobs",
                why="its workers would run the jobs before they are due",
                next="name a queue that has no jobs: create_parking_queue(env, 'parked')",
            )
        parked_entry(entry, destination, due, self._clock())

    def park(self, entry: Entry, destination: QueueClient, due: datetime) -> str:
        """Send a job to the parking queue; return the message id."""
        parked = parked_entry(entry, destination, due, self._clock())
        try:
            return str(self.client.send(parked)["MessageId"])
        except QueueNotFound as error:
            raise missing_parking_queue(error) from error.__cause__

    def park_batch(
        self, entries: Sequence[Entry], destination: QueueClient, dues: Sequence[datetime]
    ) -> list[EntryFailure]:
        """Send up to ten jobs to the parking queue; return those that were not sent."""
        now = self._clock()
        parked = [
            parked_entry(entry, destination, due, now)
            for entry, due in zip(entries, dues, strict=True)
        ]
        failures: list[EntryFailure] = []
        start = 0
        # The keys of parked messages can make a full batch too large for one call.
        for part in split_entries(parked):
            try:
                failed = send_entries(self.client, part).failures
            except SQSError as error:
                if start:  # the jobs of the first call are parked
                    failed = all_failed(part, error, error.summary)
                elif isinstance(error, QueueNotFound):
                    raise missing_parking_queue(error) from error.__cause__
                else:
                    raise
            failures += [replace(each, index=start + index) for index, each in failed.items()]
            start += len(part)
        return failures

    def cancel(self, job_id: str) -> bool:
        """Delete a job; only the embedded SQS can find it.

        If the job is due and a worker has received it, the worker has one second to send it. If it
        does not, the job is deleted.

        Parameters
        ----------
        job_id :
            The job id, or the message id that the send returned, which is valid for 12 days.

        Raises
        ------
        SettingsError
            The queue is not on the embedded SQS.
        """
        was_deleted = False
        for attempt in range(_TRIES):
            # Look again, because a worker may have renewed the job, which leaves a copy of it.
            found = [each for each in self._messages("cancel a job in") if _has_id(each, job_id)]
            if not found:
                break
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            for message in found:
                can_wait = self._is_due(message) and attempt < _TRIES - 1
                if self.client.discard(message.message_id, in_flight=not can_wait):
                    was_deleted = True
        return was_deleted

    def list(self) -> Iterator[ParkedJob]:
        """Yield the jobs, including hidden ones; only the embedded SQS can list them.

        Raises
        ------
        SettingsError
            The queue is not on the embedded SQS.
        """
        messages = self._messages("list the jobs of")
        return (job for job in map(_parked_job, messages) if job is not None)

    def _messages(self, doing: str) -> Iterator[Message]:
        try:
            # Check this first: peek() would look up a queue on AWS.
            messages = self.client.peek(hidden=True) if self.client.is_embedded else None
        except QueueNotFound as error:
            raise missing_parking_queue(error) from error.__cause__
        if messages is None:
            raise self._cannot(doing)
        return messages

    def _is_due(self, message: Message) -> bool:
        due = parked_metadata(message).due
        return due is not None and due <= self._clock() * 1000

    def _cannot(self, doing: str) -> SettingsError:
        return SettingsError(
            f"cannot {doing} the parking queue {self.client.name!r}",
            reason="parking",
            why="SQS on AWS can neither search nor list the messages of a queue",
            next="use SQSEnv(parking=EventBridgeScheduler(…)), which can do both; or the embedded "
            "SQS",
        )


def _has_id(message: Message, wanted: str) -> bool:
    return wanted in (message.message_id, parked_metadata(message).job_id)


def _parked_job(message: Message) -> ParkedJob | None:
    """Return the parked job in a message; None if it is not one."""
    metadata = parked_metadata(message)
    if metadata.due is None or metadata.to is None:
        return None
    return ParkedJob(
        job_id=metadata.job_id or message.message_id,
        job_name=job_name_of(message),
        queue_name=metadata.to,
        due=from_milliseconds(metadata.due),
        sent_at=read_milliseconds(message.attributes.get("SentTimestamp")),
        message_id=message.message_id,
        arguments=_arguments(message),
    )


def _arguments(message: Message) -> dict[str, Any] | None:
    if job_name_of(message) is None:
        return None
    try:
        arguments = unpack_job(message).job_kwargs  # accepts all content types except pickle
        json.dumps(arguments, allow_nan=False)  # raises for NaN and for deep nesting
    except (DecodeError, ContentTypeRefused, ValueError, RecursionError):
        return None
    return arguments


def missing_parking_queue(error: QueueNotFound) -> QueueNotFound:
    """Return the error for a parking queue that does not exist.

    It suggests a queue that keeps messages for 14 days. With its default of four days, SQS would
    delete jobs before they are due.
    """
    cure = f"create it: create_parking_queue(env, {error.queue!r})"
    if error.similar is not None:
        cure = f"did you mean {error.similar!r}? If not, {cure}"
    return QueueNotFound(
        error.message.replace("no queue named", "no parking queue named"),
        reason="parking",
        queue=error.queue,
        location=error.location,
        account=error.account,
        similar=error.similar,
        why=error.why,
        next=cure,
        code=error.code,
    )
