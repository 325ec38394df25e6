"""Builds lanes from queues and runs a worker on them."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Backoff, Batching, Companion, ShutdownPolicy, WallClock
from sqsw.core.delivery import handing_over
from sqsw.core.errors import Busy, ConnectionFailed, SettingsError, UnexpectedAnswer
from sqsw.core.events import EventBus, QueueWarning, ReceiveError, RetriesPlanned
from sqsw.core.failure_rules import FailureRules
from sqsw.core.jobs.runtime import Load
from sqsw.core.redrive_policy import redrive_target
from sqsw.core.reports import WorkerReport, report_of
from sqsw.core.retry import retry_seconds
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.core.settings import MIN_LEASE_SECONDS, QueueShare, WorkerSettings
from sqsw.core.wording import format_duration
from sqsw.observe.logs import ensure_logged
from sqsw.shutdown_policies import NEVER_SHUTDOWN
from sqsw.transport.names import dead_letter_name, name_of_arn, source_by_name
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.lane import JobSource, Lane, RetryParking
from sqsw.worker.signals import SignalInbox, is_child
from sqsw.worker.worker import Worker

#: the first and the longest wait, in seconds, before an SQS call of the start is repeated
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 25.0

#: the default of ``retry_in_place``, in seconds
_RETRY_IN_PLACE_SECONDS = 300.0

# A name of this module, so tests can replace it.
_jitter = random.random

Answer = TypeVar("Answer")


class WorkableQueue(JobSource, Protocol):
    """A queue, as far as its lane needs it."""

    name: str
    backoff_policy: Backoff
    batching_policy: Batching

    @property
    def takes_lists(self) -> bool:
        """Whether functions take a list of jobs."""
        ...

    @property
    def client(self) -> QueueClient:
        """Makes the SQS calls for this queue."""
        ...

    @property
    def failure_rules(self) -> FailureRules:
        """When a failed job is not retried."""
        ...

    def retry_horizon(self, max_receives: int) -> RetryHorizon:
        """Return how long a failing job is retried if the queue allows this many receives."""
        ...

    @property
    def retry_parking(self) -> RetryParking | None:
        """Where jobs wait if their next attempt is more than twelve hours away; None: nowhere."""
        ...

    @property
    def wall_clock(self) -> WallClock:
        """The time in seconds since 1970."""
        ...

    def client_of(self, arn: str) -> QueueClient:
        """Return a client for the queue with this ARN."""
        ...


def never(queue_name: str) -> ShutdownPolicy:
    """Return the policy of a queue whose worker runs until a signal arrives."""
    return NEVER_SHUTDOWN


def work_queues(
    queues: Iterable[WorkableQueue],
    *,
    settings: WorkerSettings,
    events: EventBus,
    shares: Iterable[QueueShare] = (),
    policy_of: Callable[[str], ShutdownPolicy] = never,
    load: Load | None = None,
    companions: Sequence[Companion] = (),
) -> WorkerReport:
    """Run the jobs of these queues in one worker until a shutdown policy or a signal ends it.

    Parameters
    ----------
    shares :
        Slots and weights of queues. Queues without a share get an equal part.
    policy_of :
        Returns the shutdown policy for a queue name. Queues with the same policy object stop
        together.
    load :
        Finds the functions of jobs in the pool processes; None: by the modules that they are in.
    companions :
        They start and stop with the worker. If there are any, ``queues`` can be empty.

    Raises
    ------
    QueueNotFound, AccessDenied
        One of the queues cannot be read.
    SettingsError
        A share has an option that does not fit its queue.
    """
    with handing_over():
        return _work(queues, settings, events, shares, policy_of, load, companions)


def _work(
    queues: Iterable[WorkableQueue],
    settings: WorkerSettings,
    events: EventBus,
    shares: Iterable[QueueShare],
    policy_of: Callable[[str], ShutdownPolicy],
    load: Load | None,
    companions: Sequence[Companion],
) -> WorkerReport:
    ensure_logged(events)
    by_name = {share.queue_name: share for share in shares}
    lanes = []
    try:
        # A child needs no inbox yet: SIGTERM can simply end it, because it holds no messages.
        with nullcontext() if is_child() else SignalInbox() as inbox:
            for queue in queues:
                read = queue.client.attributes
                attributes = _repeat_until_answered(read, queue.name, events, inbox)
                for warning in _warnings(queue.name, attributes):
                    events.publish(warning)
                share = by_name.get(queue.name, QueueShare(queue.name))
                lane = _lane(queue, attributes, settings, share, policy_of(queue.name))
                is_warned = False
                for event in _retry_events(queue, lane):
                    events.publish(event)
                    is_warned |= isinstance(event, QueueWarning) and event.reason == "long_backoff"
                lanes.append(replace(lane, is_warned_of_long_backoff=is_warned))
            for companion in companions:
                _repeat_until_answered(companion.check, companion.name, events, inbox)
            _pause(0, inbox)
    except _StoppedAtStart as stop:
        return report_of({}, stopped_by=str(stop))
    return Worker(lanes, settings, events, load=load, companions=companions).run()


def find_queue(queue: WorkableQueue, events: EventBus) -> None:
    """Look up the URL of a queue before a worker starts; repeat it while SQS does not answer.

    Raises
    ------
    QueueNotFound, AccessDenied
        The queue does not exist or cannot be read.
    """
    _repeat_until_answered(partial(getattr, queue.client, "url"), queue.name, events)


class _StoppedAtStart(Exception):
    """A signal arrived before the worker started. Its name is the text."""


def _pause(seconds: float, inbox: SignalInbox | None) -> None:
    """Wait.

    Raises
    ------
    _StoppedAtStart
        A signal to stop arrived.
    """
    if inbox is None:
        time.sleep(seconds)
        return
    for notice in inbox.wait(seconds):
        if notice.verb in ("drain", "force"):
            raise _StoppedAtStart(notice.reason)


def _repeat_until_answered(
    call: Callable[[], Answer],
    queue_name: str,
    events: EventBus,
    inbox: SignalInbox | None = None,
) -> Answer:
    """Return the result of an SQS call; repeat it while SQS does not answer."""
    failures = 0
    while True:
        try:
            return call()
        except (ConnectionFailed, UnexpectedAnswer, Busy) as error:
            seconds = retry_seconds(failures, _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS, _jitter)
            events.publish(ReceiveError(queue_name, error, seconds))
            _pause(seconds, inbox)
            failures += 1


def work_once(queue: WorkableQueue, wait_seconds: float, events: EventBus) -> BatchProcessingResult:
    """Receive once, run these jobs one after another, and delete or return their messages."""
    from sqsw.worker.once import process_once  # workers start without it

    ensure_logged(events)
    return process_once(lane_of(queue, WorkerSettings(), NEVER_SHUTDOWN), wait_seconds, events)


def lane_of(
    queue: WorkableQueue, settings: WorkerSettings, shutdown_policy: ShutdownPolicy
) -> Lane:
    """Return the lane of a queue. Reads its visibility timeout and redrive policy from SQS."""
    attributes = queue.client.attributes("VisibilityTimeout", "RedrivePolicy")
    return _lane(queue, attributes, settings, QueueShare(queue.name), shutdown_policy)


def _lane(
    queue: WorkableQueue,
    attributes: dict[str, str],
    settings: WorkerSettings,
    share: QueueShare,
    shutdown_policy: ShutdownPolicy,
) -> Lane:
    if share.group_slots is not None and queue.client.is_fifo:
        raise SettingsError(
            f"the FIFO queue {queue.name!r} cannot have group_slots",
            why="on a FIFO queue, one message of a group runs at a time anyway",
            reason="group_slots",
            value=share.group_slots,
            next=f"leave out group_slots={share.group_slots}",
        )
    dead_letters, max_receives = redrive_target(attributes)
    prefix = queue.client.sqs_name.removesuffix(queue.client.name)
    dead_letter_client = None
    if dead_letters is not None and settings.dead_letters == "explain":
        with suppress(SettingsError):  # not an ARN of SQS: leave dead letters to that server
            dead_letter_client = queue.client_of(dead_letters)
    explains = dead_letter_client is not None
    rules = queue.failure_rules
    longest = settings.retry_in_place
    if longest is None:
        longest = rules.retry_in_place
    if longest is None:
        longest = _RETRY_IN_PLACE_SECONDS
    # Only a worker that sends dead letters itself can end such attempts: SQS counts receives.
    can_stay = explains and settings.heartbeat and queue.client.is_fifo and not queue.takes_lists
    return Lane(
        name=queue.name,
        client=queue.client,
        queue=queue,
        backoff_policy=queue.backoff_policy,
        batch_size=queue.batching_policy.batch_size,
        # An application's policy need not have a wait time.
        max_wait_seconds=getattr(queue.batching_policy, "max_wait", 0.0),
        # Not 0: a message that becomes visible while its job runs would run twice.
        visibility_timeout=settings.visibility_timeout
        or int(attributes.get("VisibilityTimeout", 30))
        or MIN_LEASE_SECONDS,
        share=share,
        shutdown_policy=shutdown_policy,
        max_receives=max_receives,
        dead_letter_queue=dead_letters and name_of_arn(dead_letters).removeprefix(prefix),
        dead_letter_client=dead_letter_client,
        rules=rules,
        retry_in_place=longest if can_stay else 0,
        parking=queue.retry_parking,
        wall_clock=queue.wall_clock,
    )


def _warnings(name: str, attributes: dict[str, str]) -> Iterable[QueueWarning]:
    # A guess: only ListDeadLetterSourceQueues knows for sure, and a worker may lack the permission.
    is_dead_letter_queue = "RedriveAllowPolicy" in attributes or source_by_name(name) is not None
    if "RedrivePolicy" not in attributes and not is_dead_letter_queue:
        yield QueueWarning(
            name,
            f"{name!r} has no dead-letter queue: a job that always fails is tried again "
            "until its message expires",
            "give the queue a redrive policy",
            "no_dead_letter_queue",
            dead_letter_name(name),
        )
    if attributes.get("VisibilityTimeout") == "0":
        yield QueueWarning(
            name,
            f"the visibility timeout of {name!r} is 0: every receiver gets every message; "
            f"this worker asks for {format_duration(MIN_LEASE_SECONDS)} at each receive",
            "set VisibilityTimeout of the queue to 30",
            "visibility_timeout",
        )


def _retry_events(queue: WorkableQueue, lane: Lane) -> Iterator[RetriesPlanned | QueueWarning]:
    """Yield how long a queue retries failing jobs, and warnings if that is too short."""
    if lane.max_receives is None or lane.dead_letter_queue is None:
        return
    horizon, dead = queue.retry_horizon(lane.max_receives), lane.dead_letter_queue
    yield RetriesPlanned(queue.name, horizon, dead)
    for reason, text, hint in horizon.problems(dead, lane.is_fifo, queue.retry_horizon):
        yield QueueWarning(queue.name, f"on {queue.name!r}, {text}", hint, reason, dead)
