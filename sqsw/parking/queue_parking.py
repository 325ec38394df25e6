"""The parking queue: a standard queue in which jobs wait until they are due."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqsw.core.contracts import WallClock
from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.parking.parked_entry import parked_entry
from sqsw.parking.places import ParkedJob
from sqsw.transport.batches import Entry, EntryFailure, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import send_entries


class QueueParking:
    """A :class:`~sqsw.parking.places.ParkingPlace` that is a queue.

    The workers of the environment send its jobs to their queues when they are due; see
    :mod:`sqsw.parking.parking_lane`.

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
        """Refuse a job that has no room for the time at which it is due, and for its queue."""
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
        try:
            # The keys of parked messages can make a full batch too large.
            for part in split_entries(parked):
                for index, failure in send_entries(self.client, part).failures.items():
                    code, reason = failure.code, failure.reason
                    fault = failure.sender_fault
                    failures.append(EntryFailure(start + index, code, reason, fault))
                start += len(part)
        except QueueNotFound as error:
            raise missing_parking_queue(error) from error.__cause__
        return failures

    def cancel(self, job_id: str) -> bool:
        """Refuse: SQS cannot find a message by its job id.

        Raises
        ------
        SettingsError
            Always.
        """
        raise self._cannot("cancel a job in")

    def list(self) -> Iterator[ParkedJob]:
        """Refuse: SQS does not show the messages of a queue without receiving them.

        Raises
        ------
        SettingsError
            Always.
        """
        raise self._cannot("list the jobs of")

    def _cannot(self, doing: str) -> SettingsError:
        return SettingsError(
            f"cannot {doing} the parking queue {self.client.name!r}",
            reason="parking",
            why="SQS can neither find a message by its content nor list the messages of a queue",
            next="use SQSEnv(parking=EventBridgeScheduler(…)), which can do both",
        )


def missing_parking_queue(error: QueueNotFound) -> QueueNotFound:
    """Return the error for a parking queue that does not exist.

    Its advice keeps the retention in mind: with SQS's default of four days, SQS would delete jobs
    before they are due.
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
