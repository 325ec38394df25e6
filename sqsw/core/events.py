"""What happens in a worker; :mod:`sqsw.core.event_bus` tells it to whoever listens."""

import time
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.dead_record import DeadRecord, Verdict
from sqsw.core.event_bus import Event as Event
from sqsw.core.event_bus import EventBus as EventBus
from sqsw.core.event_bus import Listener as Listener
from sqsw.core.event_bus import RequestSent as RequestSent
from sqsw.core.job_metadata import job_id_of
from sqsw.core.message import Message
from sqsw.core.record import record
from sqsw.core.retry_horizon import RetryHorizon, RetryReason


@record(repr=False, eq=False)
class WorkerStarted(Event):
    """A worker began: the names of its queues, and its slots."""

    queues: tuple[str, ...]
    concurrency: int


@record(repr=False, eq=False)
class DrainStarted(Event):
    """No more receives; what runs may finish within ``drain_seconds``."""

    reason: str
    running: int
    waiting: int
    drain_seconds: float


@record(repr=False, eq=False)
class QuietStarted(Event):
    """No more receives, and the worker stays; ``hint`` says how to receive again."""

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
    """A worker could not start, or could not go on."""

    pid: int
    error: BaseException


#: what a worker does about new messages
Receiving = Literal["receiving", "quiet", "draining"]


@record(repr=False, eq=False)
class Pulse(Event):
    """A sign of life of a worker, once a second.

    Attributes
    ----------
    pid :
        Its process.
    slots, running :
        Jobs that it can run at once, and messages whose jobs run now.
    in_hand :
        Messages that were received and are not acknowledged, by queue name.
    ended :
        Jobs that have ended so far, one way or the other.
    memory_bytes :
        Memory of the process that is not swapped out.
    lease_seconds :
        After so many seconds without a sign of life all of its leases are over.
    ready :
        Whether it receives: it is neither quiet nor draining.
    problem :
        The problem with its receives or its heartbeat; None if there is none.
    busy :
        Messages whose jobs run now, and the seconds for which the oldest of them has been running,
        by queue name; a queue without any is not there.
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


@record(repr=False, eq=False)
class QueueWarning(Event):
    """A queue is set up in a way that will hurt.

    Attributes
    ----------
    text, reason :
        What is wrong, in words and as a word for programs.
    hint, dead_letter_queue :
        What would help, and the name of the dead-letter queue; a proposed name if it is missing.
    """

    queue_name: str
    text: str
    hint: str
    reason: (
        Literal["no_dead_letter_queue", "visibility_timeout", "dead_letters", RetryReason] | None
    ) = None
    dead_letter_queue: str | None = None


@record(repr=False, eq=False)
class RetriesPlanned(Event):
    """A worker starts: how long it retries the jobs of a queue that has a dead-letter queue."""

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
    """A message came in."""


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
    """A slot took the job. ``at``: seconds since 1970."""

    at: float = field(default_factory=time.time, compare=False)


@record(repr=False, eq=False)
class JobStuck(JobEvent):
    """The time limit of a job is over for a while, and the job has not ended."""


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
        Seconds until the message can be received again.
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
    """The job was given up: its message is in ``dead_letter_queue`` now, with ``record``."""

    dead_letter_queue: str
    record: DeadRecord


@record(repr=False, eq=False)
class JobDropped(JobEnded):
    """A job ended, one way or the other, after its lease was lost: its result does not count."""


@record(repr=False, eq=False)
class JobUnknown(JobEvent):
    """No processor for this job; it stays hidden for ``hidden_seconds`` and is never deleted."""

    error: BaseException
    hidden_seconds: float


@record(repr=False, eq=False)
class JobUnrun(JobEvent):
    """The message goes back on its last receive, and its job did not run.

    SQS moves it to ``dead_letter_queue`` at the next receive.
    """

    dead_letter_queue: str | None


@record(repr=False, eq=False)
class MessageDeleted(MessageEvent):
    """The delete succeeded."""


@record(repr=False, eq=False)
class MessageReturned(MessageEvent):
    """It can be received again after ``hidden_seconds``; ``started``: whether its job ran."""

    hidden_seconds: float
    started: bool


@record(repr=False, eq=False)
class VisibilityExtended(Event):
    """The leases of ``count`` messages in hand were renewed."""

    queue_name: str
    count: int


@record(repr=False, eq=False)
class BeatLate(Event):
    """The heartbeat was held up: by a C call that kept the interpreter, or a stopped process.

    A lease is lost where it is held up for ``bound_seconds`` (see ``Heartbeat``).
    """

    late_seconds: float
    bound_seconds: float


@record(repr=False, eq=False)
class ExtensionFailed(Event):
    """Leases could not be renewed, for the first time since it last went well."""

    queue_name: str
    reason: str


@record(repr=False, eq=False)
class LeaseLost(MessageEvent):
    """Somebody else may run this message now; what it does here no longer counts."""

    reason: str


@record(repr=False, eq=False)
class AckFailed(MessageEvent):
    """A delete (or a return) failed for good: the message may run again."""

    action: str
    reason: str


@record(repr=False, eq=False)
class BatchFinished(Event):
    """Messages were acknowledged together."""

    result: BatchProcessingResult


@record(repr=False, eq=False)
class ChildExited(Event):
    """A worker process ended without being asked to, or had to be killed: ``reason`` says why."""

    pid: int
    exit_code: int | None
    reason: str | None = None


@record(repr=False, eq=False)
class ChildEnded(Event):
    """A worker process ended as it was to."""

    pid: int


@record(repr=False, eq=False)
class ChildReplaced(Event):
    """Another worker process has taken over from this one, which drains now."""

    pid: int
    reason: str


@record(repr=False, eq=False)
class SourcesLoaded(Event):
    """A worker process has loaded modules of the app from these directories."""

    directories: tuple[str, ...]


@record(repr=False, eq=False)
class Reloading(Event):
    """Source files have changed: the worker processes drain, and others begin with the new code."""

    files: tuple[str, ...]
