"""Hand queues to the worker."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from typing import Protocol, TypeVar

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Backoff, Batching, ShutdownPolicy
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
from sqsw.worker.lane import JobSource, Lane
from sqsw.worker.signals import SignalInbox, is_child
from sqsw.worker.worker import Worker

#: seconds before a queue is looked at again that could not be reached, at first and at most
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 25.0

#: the longest backoff, in seconds, for which a failed job of a FIFO queue stays in the worker
_STAYS_SECONDS = 300.0

# A name of this module, so that a test can take its place.
_jitter = random.random

Answer = TypeVar("Answer")


class WorkableQueue(JobSource, Protocol):
    """All that a lane needs of a queue."""

    name: str
    backoff_policy: Backoff
    batching_policy: Batching

    @property
    def takes_lists(self) -> bool:
        """True where functions are called with a list of jobs."""
        ...

    @property
    def client(self) -> QueueClient:
        """The calls to SQS on this queue."""
        ...

    @property
    def failure_rules(self) -> FailureRules:
        """When a failed job is not retried."""
        ...

    def retry_horizon(self, max_receives: int) -> RetryHorizon:
        """How long a failing job is retried if the queue allows this many receives."""
        ...

    def client_of(self, arn: str) -> QueueClient:
        """The calls to SQS on the queue with this ARN."""
        ...


def never(queue_name: str) -> ShutdownPolicy:
    """The shutdown policy of queues that are worked until a signal comes."""
    return NEVER_SHUTDOWN


def work_queues(
    queues: Iterable[WorkableQueue],
    *,
    settings: WorkerSettings,
    events: EventBus,
    shares: Iterable[QueueShare] = (),
    policy_of: Callable[[str], ShutdownPolicy] = never,
    load: Load | None = None,
) -> WorkerReport:
    """Run the jobs of these queues in one worker until it is told to stop.

    Parameters
    ----------
    shares :
        Slots and weights, by queue name; queues that are not named share equally.
    policy_of :
        The shutdown policy for the queue of this name. Queues that are given the same policy
        object leave together.
    load :
        Finds the functions of jobs in the processes of the pool; None: by the modules that they
        are in.

    Raises
    ------
    QueueNotFound, AccessDenied
        One of the queues cannot be read.
    SettingsError
        A share has what its queue cannot have.
    """
    with handing_over():
        return _work(queues, settings, events, shares, policy_of, load)


def _work(
    queues: Iterable[WorkableQueue],
    settings: WorkerSettings,
    events: EventBus,
    shares: Iterable[QueueShare],
    policy_of: Callable[[str], ShutdownPolicy],
    load: Load | None,
) -> WorkerReport:
    ensure_logged(events)
    by_name = {share.queue_name: share for share in shares}
    lanes = []
    try:
        # A child whose supervisor ends it before it is up has nothing to give back.
        with nullcontext() if is_child() else SignalInbox() as inbox:
            for queue in queues:
                read = queue.client.attributes
                attributes = _patiently(read, queue.name, events, inbox)
                for warning in _warnings(queue.name, attributes):
                    events.publish(warning)
                share = by_name.get(queue.name, QueueShare(queue.name))
                lane = _lane(queue, attributes, settings, share, policy_of(queue.name))
                for found in _retries(queue, lane):
                    events.publish(found)
                lanes.append(lane)
            _pause(0, inbox)
    except _ToldToStop as told:
        return report_of({}, stopped_by=str(told))
    return Worker(lanes, settings, events, load=load).run()


def find_queue(queue: WorkableQueue, events: EventBus) -> None:
    """Find a queue before any worker is started; ask again while SQS does not answer.

    Raises
    ------
    QueueNotFound, AccessDenied
        The queue cannot be found.
    """
    _patiently(partial(getattr, queue.client, "url"), queue.name, events)


class _ToldToStop(Exception):
    """A signal came before the worker was up; it is the text of this."""


def _pause(seconds: float, inbox: SignalInbox | None) -> None:
    """Wait.

    Raises
    ------
    _ToldToStop
        Somebody wants no worker any more.
    """
    if inbox is None:
        time.sleep(seconds)
        return
    for notice in inbox.wait(seconds):
        if notice.verb in ("drain", "force"):
            raise _ToldToStop(notice.reason)


def _patiently(
    call: Callable[[], Answer],
    queue_name: str,
    events: EventBus,
    inbox: SignalInbox | None = None,
) -> Answer:
    """Return the result of a call at the start; repeat it while SQS does not answer."""
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
    """Receive once and run these jobs one after another."""
    from sqsw.worker.once import process_once  # workers start without it

    ensure_logged(events)
    return process_once(lane_of(queue, WorkerSettings(), NEVER_SHUTDOWN), wait_seconds, events)


def lane_of(
    queue: WorkableQueue, settings: WorkerSettings, shutdown_policy: ShutdownPolicy
) -> Lane:
    """The queue as a worker sees it; asks SQS for its visibility timeout and dead-letter queue."""
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
            f"slots of a message group have no meaning on {queue.name!r}",
            why="it is a FIFO queue, of which one message of a group runs at a time anyway",
            reason="group_slots",
            value=share.group_slots,
            next=f"leave out group_slots={share.group_slots}",
        )
    dead_letters, max_receives = redrive_target(attributes)
    prefix = queue.client.sqs_name.removesuffix(queue.client.name)
    dead_letter_client = None
    if dead_letters is not None and settings.dead_letters == "explain":
        with suppress(SettingsError):  # not an ARN as SQS has them: that server moves its messages
            dead_letter_client = queue.client_of(dead_letters)
    explains = dead_letter_client is not None
    rules = queue.failure_rules
    stays = settings.retry_in_place
    if stays is None:
        stays = _STAYS_SECONDS if rules.retry_in_place is None else rules.retry_in_place
    # In the native way attempts could not end, because SQS counts receives.
    can_stay = explains and settings.heartbeat and queue.client.is_fifo and not queue.takes_lists
    return Lane(
        name=queue.name,
        client=queue.client,
        queue=queue,
        backoff_policy=queue.backoff_policy,
        batch_size=queue.batching_policy.batch_size,
        # Policies of users know the number only.
        max_wait_seconds=getattr(queue.batching_policy, "max_wait", 0.0),
        # A message that is visible again while it is worked on would be run twice.
        visibility_timeout=settings.visibility_timeout
        or int(attributes.get("VisibilityTimeout", 30))
        or MIN_LEASE_SECONDS,
        share=share,
        shutdown_policy=shutdown_policy,
        max_receives=max_receives,
        dead_letter_queue=dead_letters and name_of_arn(dead_letters).removeprefix(prefix),
        dead_letter_client=dead_letter_client,
        rules=rules,
        retry_in_place=stays if can_stay else 0,
    )


def _warnings(name: str, attributes: dict[str, str]) -> Iterable[QueueWarning]:
    # Only ListDeadLetterSourceQueues knows, which a worker needs no right to call.
    is_dead_letter_queue = "RedriveAllowPolicy" in attributes or source_by_name(name) is not None
    if "RedrivePolicy" not in attributes and not is_dead_letter_queue:
        yield QueueWarning(
            name,
            f"{name!r} has no dead-letter queue: a job that always fails is tried again "
            "until the message expires",
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


def _retries(queue: WorkableQueue, lane: Lane) -> Iterator[RetriesPlanned | QueueWarning]:
    if lane.max_receives is None or lane.dead_letter_queue is None:
        return
    horizon, dead = queue.retry_horizon(lane.max_receives), lane.dead_letter_queue
    yield RetriesPlanned(queue.name, horizon, dead)
    for reason, text, hint in horizon.problems(dead, lane.is_fifo, queue.retry_horizon):
        yield QueueWarning(queue.name, f"on {queue.name!r}, {text}", hint, reason, dead)
