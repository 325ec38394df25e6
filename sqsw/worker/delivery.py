"""What the register knows about a received message and about the run of its job."""

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
#: ``waiting``: it waits for a slot or for its next attempt. ``settling``: SQS must delete or return
#: it. ``lost``: its lease is over, and no request is sent. Only ``InFlight`` and its ``LaneState``
#: change a state.
State = Literal["received", "waiting", "running", "settling", "gone", "lost"]

#: states of messages that are in hand and not settling
IN_HAND: tuple[State, ...] = ("received", "waiting", "running")


@dataclass(slots=True, eq=False)
class Settlement:
    """What to do with a message at SQS: delete it, return it, or send a copy and delete it.

    Attributes
    ----------
    hidden_seconds :
        Seconds to hide the message; None deletes it.
    record :
        Why its job is given up: a copy of the message with this record is sent to the dead-letter
        queue first. None if there is nothing to send, or the copy has been sent.
    park_until :
        If the job must be parked: when it must be tried again, in seconds since 1970. None if it
        need not be parked, or its copy was accepted already.
    is_copied :
        Whether its copy is in the dead-letter queue or in the parking place.
    started :
        Whether its job has started.
    due :
        The latest time to send it, in seconds of the worker's clock.
    calls :
        How many calls for it have failed so far.
    repeat_until :
        The latest time to repeat the call. Later, SQS could make it after another worker has
        received the message, because an earlier call without an answer has returned it.
    """

    hidden_seconds: int | None
    started: bool
    due: float
    calls: int = 0
    repeat_until: float = float("inf")
    record: DeadRecord | None = None
    park_until: float | None = None
    is_copied: bool = False


class Outcome(NamedTuple):
    """How a job ended.

    Attributes
    ----------
    name :
        The name of its counter in the report.
    hidden_seconds :
        Seconds to hide its message; None deletes it.
    record :
        Why it is given up. None if it is not, or if its message is not sent to the dead-letter
        queue.
    in_place :
        Whether it can wait in the worker for its next attempt.
    park_until :
        When it must be tried again, in seconds since 1970, if its message is parked; else None.
        ``hidden_seconds`` is for a message that cannot be parked.
    """

    name: str
    hidden_seconds: int | None
    record: DeadRecord | None = None
    in_place: bool = False
    park_until: float | None = None


@dataclass(slots=True, eq=False)
class Delivery:
    """One received message.

    Attributes
    ----------
    extending :
        Whether a call that extends its lease is under way.
    settlement :
        What to do with it at SQS; None until it is settling.
    cell :
        Where the crash notes have it; -1 if they do not.
    """

    message: Message
    run: "JobRun"
    job: JobKey
    state: State = "received"
    extending: bool = False
    settlement: Settlement | None = None
    cell: int = -1

    @property
    def is_delete(self) -> bool:
        """Whether SQS must delete it."""
        return self.settlement is not None and self.settlement.hidden_seconds is None

    @property
    def record(self) -> DeadRecord | None:
        """Why its job is given up; None if no copy must be sent to the dead-letter queue."""
        return None if self.settlement is None else self.settlement.record

    @property
    def park_until(self) -> float | None:
        """Until when it must be parked, in seconds since 1970; None if it need not be parked."""
        return None if self.settlement is None else self.settlement.park_until

    @property
    def needs_copy(self) -> bool:
        """Whether a copy of it must be sent before it is deleted."""
        return self.record is not None or self.park_until is not None


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
        How many of its messages must be deleted before the next run of its group can start.
    is_claimed :
        True once a thread handles its end, or its messages were returned while it ran. The end of
        a run is handled once.
    is_slow :
        True once it was counted as a slow run before its end.
    retry_until :
        Until when its messages are kept while the failed head of its group waits in the worker, in
        seconds of the worker's clock; 0 at other times.
    runs_alone :
        Whether it is a suspect, which runs while nothing else is in hand.
    ends_by :
        The result that it ends with instead of running; None if it runs.
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
    retry_until: float = 0.0
    runs_alone: bool = False
    ends_by: ProcessingResult | None = None
    runner: object = None

    @property
    def is_last_chance(self) -> bool:
        """Whether a message of the run would never run if it were returned now."""
        return any(self.lane.is_last_receive(each.message) for each in self.deliveries)

    def run(self) -> list[ProcessingResult]:
        """Run the job and return a result per message. It raises nothing."""
        try:
            # Not in a variable: the traceback of a failed job refers to this frame, so the result
            # would be part of a reference cycle.
            return self._checked(self.lane.queue.handle([each.message for each in self.deliveries]))
        except BaseException as error:  # noqa: BLE001  # SystemExit in a job is a failed job
            return self.failed(error)

    async def run_async(self) -> list[ProcessingResult]:
        """Do the same on the event loop."""
        try:
            return self._checked(
                await self.lane.queue.handle_async([each.message for each in self.deliveries])
            )
        except BaseException as error:  # noqa: BLE001  # as above, and so is a cancellation
            return self.failed(error)

    def failed(self, error: BaseException) -> list[ProcessingResult]:
        """Return a failure with this error for each message."""
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
    """A receive that may bring so many runs, of so many messages in all."""

    lane: Lane
    credit: int
    messages: int


def tell_unrun(events: EventBus, runs: Iterable[JobRun]) -> None:
    """Publish ``JobUnrun`` for messages that were returned unrun on their last receive.

    Other runs publish nothing.
    """
    for run in runs:
        for delivery in run.deliveries:
            if delivery.state == "settling" and run.lane.is_last_receive(delivery.message):
                dead_letter_queue = run.lane.dead_letter_queue
                events.publish(JobUnrun(delivery.message, delivery.job.name, dead_letter_queue))
