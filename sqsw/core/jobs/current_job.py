"""The job that runs, as its own code and what stands around it may see it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from threading import Event
from typing import Any, Literal

from sqsw.core.job_metadata import job_id_of
from sqsw.core.message import Message, list_lost
from sqsw.core.record import record

#: Where a job runs.
RunsIn = Literal["thread", "loop", "process"]


class JobContext(dict[str, Any]):
    """The context that came with a job: a dictionary, with what sqs-workers' contexts have."""

    def to_dict(self) -> dict[str, Any]:
        """A copy as a plain dictionary."""
        return dict(self)


@record()
class CurrentJob:
    """The job that runs here.

    Attributes
    ----------
    messages :
        Its message; several where the function takes a list.
    job_name :
        The job name; None on a raw queue.
    context :
        The job context that came with the (first) message.
    runs_in :
        ``thread``, ``loop`` (a coroutine on the event loop) or ``process`` (one of the pool).
    started_at :
        When it began, in seconds on the monotonic clock.
    """

    messages: Sequence[Message]
    job_name: str | None
    context: Mapping[str, Any]
    runs_in: RunsIn = "thread"
    started_at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def message(self) -> Message:
        """The (first) message."""
        return self.messages[0]

    @property
    def id(self) -> str:
        """The message id."""
        return self.message.message_id

    @property
    def job_id(self) -> str:
        """The job id of the (first) message; the message id if it was sent without one.

        It stays the same when the message is moved or sent again, for example by a redrive.
        """
        return job_id_of(self.message)

    @property
    def queue_name(self) -> str:
        """The name of the queue, without prefix."""
        return self.message.queue_name

    @property
    def receive_count(self) -> int:
        """How often the message was received so far, this time included."""
        return self.message.receive_count

    @property
    def attempt(self) -> int:
        """Which attempt of the job this is, from 1.

        On a FIFO queue more than the receives: a failed job can be tried again in the worker.
        """
        return self.message.attempt

    @property
    def lease_lost(self) -> Event:
        """Set once the message is no longer ours: what the job still does no longer counts.

        Of a list, once one of its messages is no longer ours: the others still count.

        A long job may look at ``current_job().lease_lost.is_set()`` and stop early.
        """
        if len(self.messages) == 1:
            return self.message.lease.lost
        return list_lost([message.lease for message in self.messages])
