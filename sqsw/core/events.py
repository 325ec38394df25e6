"""The events of a worker. :mod:`sqsw.core.event_bus` passes them to listeners."""

import time
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.dead_record import DeadRecord, Verdict
from sqsw.core.event_bus import Event as Event
from sqsw.core.event_bus import EventBus as EventBus
from sqsw.core.event_bus import Listener as Listener
from sqsw.core.event_bus import RequestSent as RequestSent
from sqsw.core.job_metadata import job_id_of, metadata_of
from sqsw.core.message import Message
from sqsw.core.record import record
from sqsw.core.retry_horizon import RetryHorizon, RetryReason


@record(repr=False, eq=False)
class WorkerStarted(Event):
    """A worker started, with the names of its queues and its number of slots."""

    queues: tuple[str, ...]
    concurrency: int


@record(repr=False, eq=False)
class DrainStarted(Event):
    """A worker drains: it receives no more, and running jobs have ``drain_seconds`` to finish."""

    reason: str
    running: int
    waiting: int
    drain_seconds: float


@record(repr=False, eq=False)
class QuietStarted(Event):
    """A worker became quiet: it receives no more, but stays. ``hint``: how to receive again."""

    reason: str
    running: int
    hint: str


@record(repr=False, eq=False)
class WorkerStopped(Event):
    """The worker ended. ``unfinished``: jobs that were still running and may run again."""

    reason: str
    unfinished: int


@record(repr=False, eq=False)
class WorkerFailed(Event):
    """A worker could not start or could not continue."""

    pid: int
    error: BaseException


#: whether a worker receives new messages
Receiving = Literal["receiving", "quiet", "draining"]


@record(repr=False, eq=False)
class Pulse(Event):
    """A sign of life of a worker, once a second.

    Attributes
    ----------
    pid :
        Its process.
    slots, running :
        Jobs that it can run at the same time, and messages whose jobs run now.
    in_hand :
        Messages that were received and not yet deleted or returned, by queue name.
    ended :
        Jobs that have ended so far.
    memory_bytes :
        Resident memory of the process.
    lease_seconds :
        After this many seconds without a pulse, all of its leases have ended.
    ready :
        Whether it receives: it is neither quiet nor draining.
    problem :
        The problem with its receives or its heartbeat; None if there is none.
    busy :
        Messages whose jobs run now, and how many seconds the oldest of these jobs has run, by queue
        name. Queues without running jobs are left out.
    state :
        ``receiving``, ``quiet`` or ``draining``.
    stuck :
        The log or the listener that has been stuck for a minute; None if none is.
    halted :
        The part of the worker that no longer moves, its heartbeat or its event loop, so that only a
        restart helps; None if all parts move.
    """

    pid: int
    slots: int
    running: int
    in_hand: Mapping[str, int]
    ended: int
    memory_bytes: int
    lease_seconds: float
    ready: bool
    problem: str | None
    busy: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    state: Receiving = "receiving"
    stuck: str | None = None
    halted: str | None = None


#: what is wrong with a queue, as a word for programs
QueueReason = Literal[
    "no_dead_letter_queue",
    "missing_dead_letter_queue",
    "visibility_timeout",
    "dead_letters",
    "no_room",
    "parking",
    "parked_too_old",
    RetryReason,
]


@record(repr=False, eq=False)
class QueueWarning(Event):
    """The settings of a queue will cause problems.

    Attributes
    ----------
    text, reason :
        The problem in words, and as one word for programs.
    hint, dead_letter_queue :
        What to do, and the name of the dead-letter queue; a proposed name if there is none.
    """

    queue_name: str
    text: str
    hint: str
    reason: QueueReason | None = None
    dead_letter_queue: str | None = None


@record(repr=False, eq=False)
class RetriesPlanned(Event):
    """How long a worker retries the jobs of a queue. Published at the start of the worker."""

    queue_name: str
    horizon: RetryHorizon
    dead_letter_queue: str


@record(repr=False, eq=False)
class ReceiveError(Event):
    """A receive failed; the next one follows after ``retry_seconds``."""

    queue_name: str
    error: BaseException
    retry_seconds: float


@record(repr=False, eq=False)
class ReceiveDone(Event):
    """A receive was answered, with ``count`` messages."""

    queue_name: str
    count: int


@record(repr=False, eq=False)
class MessageEvent(Event):
    """Something happened to one message."""

    message: Message

    @property
    def job_id(self) -> str:
        """The job id; the message id if it was sent without one."""
        return job_id_of(self.message)


@record(repr=False, eq=False)
class MessageReceived(MessageEvent):
    """A message was received."""


@record(repr=False, eq=False)
class JobEvent(MessageEvent):
    """Something happened to the job of a message.

    Attributes
    ----------
    job_name :
        The job name; None on a raw queue.
    is_registered :
        Whether the queue has a processor for the job. If not, the sender made up the name.
    """

    job_name: str | None
    is_registered: bool = field(default=True, kw_only=True)


@record(repr=False, eq=False)
class JobStarted(JobEvent):
    """A job got a slot. ``at``: seconds since 1970."""

    at: float = field(default_factory=time.time, compare=False)


@record(repr=False, eq=False)
class JobStuck(JobEvent):
    """A job still runs ten seconds after its time limit. Its worker drains and ends."""


@record(repr=False, eq=False)
class JobEnded(JobEvent):
    """A job ended. ``duration_seconds`` is wall time in the processor."""

    duration_seconds: float


@record(repr=False, eq=False)
class JobDone(JobEnded):
    """The processor returned."""


@record(repr=False, eq=False)
class JobFailed(JobEnded):
    """The processor raised.

    Attributes
    ----------
    error :
        What it raised.
    hidden_seconds :
        Seconds until the job can be tried again. Above 43200, its message is parked.
    dead_letter_queue :
        The queue that the message goes to if the job is not tried again; None if it is, or if there
        is no such queue.
    verdict :
        Why the job is not tried again; None if it is.
    """

    error: BaseException
    hidden_seconds: float
    dead_letter_queue: str | None = None
    verdict: Verdict | None = None


@record(repr=False, eq=False)
class JobRetry(JobEnded):
    """The job asked for its retry; the attributes are those of ``JobFailed``.

    ``backoff_policy`` is the ``repr`` of the policy that decided on ``hidden_seconds``; None if
    that was the policy of the queue.
    """

    hidden_seconds: float
    dead_letter_queue: str | None = None
    backoff_policy: str | None = None
    verdict: Verdict | None = None


@record(repr=False, eq=False)
class JobDead(JobEvent):
    """The job was given up, and its message is in ``dead_letter_queue``.

    ``record`` says why. The message carries it, or as much of it as there was room for.
    """

    dead_letter_queue: str
    record: DeadRecord


@record(repr=False, eq=False)
class JobParked(JobEvent):
    """The job waits in the parking place until ``due`` (UTC), and then comes back to its queue.

    Its backoff is longer than the twelve hours for which SQS can hide a message.
    """

    due: datetime


@record(repr=False, eq=False)
class JobKilledProcess(JobEvent):
    """A process died while this job ran in it.

    Attributes
    ----------
    exit_code, memory_bytes :
        The exit code of the process, negative for a signal, and its memory shortly before; None if
        unknown.
    suspects :
        How many jobs ran in the process. If it is 1, this job ended it; otherwise one of them did.
    """

    exit_code: int | None
    memory_bytes: int | None
    suspects: int = 1


@record(repr=False, eq=False)
class JobDropped(JobEnded):
    """A job ended after its lease was lost, so its result does not count."""


@record(repr=False, eq=False)
class JobUnknown(JobEvent):
    """No processor is registered for this job; its next attempt follows in ``hidden_seconds``."""

    error: BaseException
    hidden_seconds: float


@record(repr=False, eq=False)
class JobUnrun(JobEvent):
    """The message was returned on its last receive, before its job ran.

    SQS moves it to ``dead_letter_queue`` at the next receive.
    """

    dead_letter_queue: str | None


@record(repr=False, eq=False)
class MessageDeleted(MessageEvent):
    """SQS deleted the message."""


@record(repr=False, eq=False)
class MessageReturned(MessageEvent):
    """The message can be received again after ``hidden_seconds``. ``started``: its job has run."""

    hidden_seconds: float
    started: bool


@record(repr=False, eq=False)
class VisibilityExtended(Event):
    """The leases of ``count`` messages in hand were extended."""

    queue_name: str
    count: int


@record(repr=False, eq=False)
class BeatLate(Event):
    """The heartbeat was late: a C call held the interpreter lock, or the process was stopped.

    Leases can be lost if it is later than ``bound_seconds``; see ``sqsw.worker.heartbeat``.
    """

    late_seconds: float
    bound_seconds: float


@record(repr=False, eq=False)
class ExtensionFailed(Event):
    """Leases could not be extended. Published once, until an extension succeeds."""

    queue_name: str
    reason: str


@record(repr=False, eq=False)
class LeaseLost(MessageEvent):
    """The lease of a message ended. Another worker can run its job; the result here is dropped."""

    reason: str


@record(repr=False, eq=False)
class AckFailed(MessageEvent):
    """A delete or another ``action`` failed for good or was late, so the job can run again."""

    action: str
    reason: str


@record(repr=False, eq=False)
class BatchFinished(Event):
    """The messages of one call to SQS were settled."""

    result: BatchProcessingResult


@record(repr=False, eq=False)
class ParkedSent(Event):
    """A parked job was sent to its queue.

    Attributes
    ----------
    queue_name, job_id :
        The queue, without prefix, and the job.
    due :
        When the job was due, in UTC.
    late_seconds :
        How many seconds later it was sent.
    """

    queue_name: str
    job_id: str
    due: datetime
    late_seconds: float


@record(repr=False, eq=False)
class ParkedFailed(Event):
    """Parked jobs could not be sent to their queue. They stay parked.

    Published once for each queue and reason, until the queue gets a parked job.

    Attributes
    ----------
    queue_name :
        The queue, without prefix. For a message that is not a parked job, and for a job whose queue
        the app does not have, it is the parking queue.
    reason :
        Why it failed, in words.
    retry_seconds :
        Seconds until the next attempt.
    """

    queue_name: str
    reason: str
    retry_seconds: float


@record(repr=False, eq=False)
class TickSent(Event):
    """SQS accepted the tick of a schedule for the instant ``at`` (UTC).

    Every worker sends each tick, and SQS keeps one copy.
    """

    schedule: str
    queue_name: str
    at: datetime


#: why a tick was not sent: the worker was suspended or its clock jumped, SQS did not accept it, or
#: it was due before the worker started
TickMissReason = Literal["late", "failed", "started"]


@record(repr=False, eq=False)
class TickMissed(Event):
    """This worker did not send ticks of a schedule. Another worker may have sent them.

    Attributes
    ----------
    first_at, last_at :
        The first and the last instant, in UTC.
    count :
        The number of ticks, at most 10,000.
    reason :
        ``late``: it was too late when the worker could send them. ``failed``: SQS did not accept
        them in time. ``started``: the last tick that was too old to send when the worker started.
    error :
        With ``failed``: the last error.
    """

    schedule: str
    queue_name: str
    first_at: datetime
    last_at: datetime
    count: int
    reason: TickMissReason
    error: BaseException | None = None


@record(repr=False, eq=False)
class TickSkipped(MessageEvent):
    """A tick of a schedule with ``overlap="skip"`` did not run: the next one was already due."""

    @property
    def schedule(self) -> str:
        """The name of the schedule."""
        return metadata_of(self.message).schedule or ""

    @property
    def at(self) -> str:
        """The instant of the tick, in ISO 8601."""
        return metadata_of(self.message).at or ""


@record(repr=False, eq=False)
class ChildExited(Event):
    """A worker process ended unexpectedly or had to be killed. ``reason`` says why."""

    pid: int
    exit_code: int | None
    reason: str | None = None


@record(repr=False, eq=False)
class ChildEnded(Event):
    """A worker process ended as expected."""

    pid: int


@record(repr=False, eq=False)
class ChildReplaced(Event):
    """A new worker process replaces this one, which drains now."""

    pid: int
    reason: str


@record(repr=False, eq=False)
class SourcesLoaded(Event):
    """A worker process loaded modules of the app from these directories."""

    directories: tuple[str, ...]


@record(repr=False, eq=False)
class Reloading(Event):
    """Source files changed. The worker processes drain, and new ones start with the new code."""

    files: tuple[str, ...]
