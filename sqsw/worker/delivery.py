"""What the register knows of a received message, and of the job that takes it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqsw.core.dead_record import DeadRecord
from sqsw.core.errors import JobNotStarted
from sqsw.core.events import EventBus, JobUnrun
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.worker.lane import Lane

#: ``received``: it waits for the message before it in its group, or for more messages of its list.
#: ``waiting``: it waits for a slot. ``settling``: SQS must delete or return it. ``lost``: its lease
#: is over, and no request is sent. Only ``InFlight`` changes a state.
State = Literal["received", "waiting", "running", "settling", "gone", "lost"]


@dataclass(slots=True, eq=False)
class Settlement:
    """What SQS is to be told of a message.

    Attributes
    ----------
    hidden_seconds :
        Seconds to hide the message; None deletes it.
    record :
        Why its job is given up. A copy of the message with this record is sent to the dead-letter
        queue first; None: there is nothing to send, or it has been sent.
    is_buried :
        Whether its copy is in the dead-letter queue.
    started :
        Whether its job had started.
    due :
        The latest time to send it, in seconds of the worker's clock.
    calls :
        How often SQS has refused it.
    """

    hidden_seconds: int | None
    started: bool
    due: float
    calls: int = 0
    record: DeadRecord | None = None
    is_buried: bool = False


class Outcome(NamedTuple):
    """How a job ended.

    Attributes
    ----------
    name :
        The name of the count in the report.
    hidden_seconds :
        For how long its message is hidden; None deletes it.
    record :
        Why it is given up; its message is sent to the dead-letter queue then.
    can_stay :
        Whether it can wait in the worker for its next attempt.
    """

    name: str
    hidden_seconds: int | None
    record: DeadRecord | None = None
    can_stay: bool = False


@dataclass(slots=True, eq=False)
class Delivery:
    """One received message.

    Attributes
    ----------
    extending :
        Whether a call that extends its lease is under way.
    settlement :
        What SQS is to be told, once it is settling.
    """

    message: Message
    run: "JobRun"
    job: JobKey
    state: State = "received"
    extending: bool = False
    settlement: Settlement | None = None

    @property
    def is_delete(self) -> bool:
        """Whether SQS must delete it."""
        return self.settlement is not None and self.settlement.hidden_seconds is None

    @property
    def record(self) -> DeadRecord | None:
        """Why its job is given up, if the dead-letter queue is still to be told."""
        return None if self.settlement is None else self.settlement.record


@dataclass(slots=True, eq=False)
class JobRun:
    """What takes one slot and one credit: one message, or the messages of one list.

    Attributes
    ----------
    runs_in :
        The executor that its job wants.
    group :
        The message group on a FIFO queue, else None.
    fair_group :
        The message group on a standard queue that limits the slots of each group, else None.
    started_at :
        Seconds of the worker's clock.
    undeleted :
        Messages still to be deleted before its group opens for the next run.
    is_claimed :
        True once its results are being judged, or it was put back while it ran.
    is_slow :
        True once it has counted as a slow one before its end.
    kept_until :
        Until when its messages are kept while the failed head of its group waits in the worker, in
        seconds of the worker's clock; 0 at other times.
    runner :
        The thread id or the asyncio task that runs it; written by the executor.
    """

    lane: Lane
    deliveries: list[Delivery]
    runs_in: RunsIn
    group: str | None = None
    fair_group: str | None = None
    started_at: float = 0.0
    undeleted: int = 0
    is_claimed: bool = False
    is_slow: bool = False
    kept_until: float = 0.0
    runner: object = None

    @property
    def is_last_chance(self) -> bool:
        """Return whether a message never runs if it goes back now."""
        return any(self.lane.is_last_receive(each.message) for each in self.deliveries)

    def run(self) -> list[ProcessingResult]:
        """The results of the messages; a failure for each if the queue itself fails."""
        try:
            # No variable for the results: the frames of a failed job refer to this one.
            return self._checked(self.lane.queue.handle([each.message for each in self.deliveries]))
        except BaseException as error:  # noqa: BLE001  # SystemExit in a job is a failed job
            return self.failed(error)

    async def run_async(self) -> list[ProcessingResult]:
        """The same on the event loop."""
        try:
            return self._checked(
                await self.lane.queue.handle_async([each.message for each in self.deliveries])
            )
        except BaseException as error:  # noqa: BLE001  # as above, and so is a cancellation
            return self.failed(error)

    def failed(self, error: BaseException) -> list[ProcessingResult]:
        """A failure for each message."""
        return [ProcessingResult(False, error=error)] * len(self.deliveries)

    def not_started(self, error: BaseException) -> list[ProcessingResult]:
        """Return the results of a run that could not start because of this error."""
        return self.failed(JobNotStarted.of(error))

    def _checked(self, results: list[ProcessingResult]) -> list[ProcessingResult]:
        if len(results) != len(self.deliveries):
            raise RuntimeError(f"{len(results)} results for {len(self.deliveries)} messages")
        return results


@dataclass(slots=True, eq=False)
class Poll:
    """A receive that may bring so many runs."""

    lane: Lane
    credit: int


def tell_unrun(events: EventBus, runs: Iterable[JobRun]) -> None:
    """Publish the jobs that never ran and never will, because SQS moves their messages away."""
    for run in runs:
        for delivery in run.deliveries:
            if delivery.state == "settling" and run.lane.is_last_receive(delivery.message):
                dead_letter_queue = run.lane.dead_letter_queue
                events.publish(JobUnrun(delivery.message, delivery.job.name, dead_letter_queue))
