"""Parking places: they keep jobs that SQS cannot delay for long enough."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqsw.core.limits import MAX_PARKED_SECONDS
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.queue_client import QueueClient

#: the longest delay of a job
MAX_DELAY = timedelta(seconds=MAX_PARKED_SECONDS)


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job that waits in a parking place.

    Attributes
    ----------
    job_id :
        The job id, which the job keeps when it is sent to its queue.
    job_name :
        The job name; None for a raw message, or if the place does not report it.
    queue_name :
        The queue that the job is sent to, without the prefix.
    due :
        When it is sent there, in UTC.
    sent_at :
        When it was parked, in UTC; None if the place does not report it. The parking queue renews
        its messages every 12 days, and reports the time of the last renewal.
    message_id :
        The id of the message that waits; None if it is not a message.
    arguments :
        The arguments of the job; None if they cannot be read.
    """

    job_id: str
    job_name: str | None
    queue_name: str
    due: datetime
    sent_at: datetime | None = None
    message_id: str | None = None
    arguments: Mapping[str, Any] | None = None


class ParkingPlace(Protocol):
    """Keeps jobs until they are due, and then sends them to their queues.

    Pass one as ``SQSEnv(parking=…)``. It must be thread-safe. If it has a method ``bind``, the
    environment calls it with itself.

    The entries are the parameters of a SendMessage to the queue of the job, without the queue URL
    and without ``DelaySeconds``. They are complete: they have passed the middlewares, have a job id
    in the attribute ``Sqsw``, and on FIFO queues a ``MessageGroupId``. An entry to a FIFO queue
    without a ``MessageDeduplicationId`` gets the job id as its deduplication ID.
    """

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        """Refuse a job that this place cannot keep, without a request.

        It is called before each :meth:`park`, and for each job that is added to a batch.

        Parameters
        ----------
        entry :
            The complete entry of the job.
        destination :
            The queue that gets the job.
        due :
            When it gets the job: an aware time, at most 366 days from now.

        Raises
        ------
        MessageRefused
            The job is too large, or has a value that this place cannot keep.
        """
        ...

    def park(self, entry: Entry, destination: QueueClient, due: datetime) -> str:
        """Keep a job until it is due; the parameters are those of :meth:`check`.

        Returns
        -------
        str
            The id of the message that waits; the job id if there is no message.

        Raises
        ------
        SQSError
            The job was not accepted.
        """
        ...

    def park_batch(
        self, entries: Sequence[Entry], destination: QueueClient, dues: Sequence[datetime]
    ) -> list[EntryFailure]:
        """Keep up to ten jobs of one queue until they are due.

        Parameters
        ----------
        entries, dues :
            The entries of the jobs, and when each of them is due: the same number of both.

        Returns
        -------
        list of EntryFailure
            The jobs that were not accepted, by their index in ``entries``.

        Raises
        ------
        SQSError
            No job was accepted.
        """
        ...

    def cancel(self, job_id: str) -> bool:
        """Remove a job that waits.

        Returns
        -------
        bool
            Whether it was waiting. If not, it may have been sent to its queue already.

        Raises
        ------
        SettingsError
            This place cannot do it.
        SQSError
            The request failed.
        """
        ...

    def list(self) -> Iterator[ParkedJob]:
        """Yield the jobs that wait, in no particular order.

        Raises
        ------
        SettingsError
            This place cannot do it.
        SQSError
            A request failed.
        """
        ...
