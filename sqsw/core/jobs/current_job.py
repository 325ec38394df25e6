"""The running job, as its function and middlewares see it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from threading import Event
from typing import Any, Literal

from sqsw.core.job_metadata import job_id_of
from sqsw.core.message import Message, list_lost
from sqsw.core.record import record

#: where a job runs: in a thread, on the event loop, or in a pool process
RunsIn = Literal["thread", "loop", "process"]


class JobContext(dict[str, Any]):
    """The context that was sent with a job: a dictionary with the methods of sqs-workers."""

    def to_dict(self) -> dict[str, Any]:
        """Return a copy as a plain dictionary."""
        return dict(self)


@record()
class CurrentJob:
    """The running job.

    Attributes
    ----------
    messages :
        Its message; several messages if the function takes a list.
    job_name :
        The job name; None on a raw queue.
    context :
        The job context that was sent with the (first) message.
    runs_in :
        ``thread``, ``loop`` (a coroutine on the event loop) or ``process`` (a pool process).
    started_at :
        When it began, in seconds of the monotonic clock.
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
        """The message ID of the (first) message."""
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
        """The number of receives of the (first) message so far, including this one."""
        return self.message.receive_count

    @property
    def attempt(self) -> int:
        """The number of this attempt of the job, from 1.

        On a FIFO queue it can be larger than the number of receives, because the worker can try a
        failed job again without another receive.
        """
        return self.message.attempt

    @property
    def lease_lost(self) -> Event:
        """Set if the lease of the message is lost: the result of the job no longer counts.

        For a list, it is set if the lease of one message is lost. The other messages still count.

        A long job can check ``current_job().lease_lost.is_set()`` and stop early.
        """
        if len(self.messages) == 1:
            return self.message.lease.lost
        return list_lost([message.lease for message in self.messages])
