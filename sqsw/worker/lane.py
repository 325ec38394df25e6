"""One queue as the worker sees it: everything the roles need to know, and no queue class."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sqsw.core.contracts import Backoff, ShutdownPolicy
from sqsw.core.failure_rules import DEFAULT_RULES, FailureRules
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.limits import MAX_BATCH_ENTRIES, MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.settings import QueueShare
from sqsw.transport.batches import EntryFailure
from sqsw.transport.queue_client import QueueClient

logger = SafeLogger(__name__)

#: seconds: SQS counts the 12 hours of a message from a moment a little before we know of it
_LIMIT_MARGIN_SECONDS = 5

#: seconds that a failed message stays hidden where no backoff policy can say it: long enough not to
#: burn its receives, short enough not to be missed
_FALLBACK_SECONDS = 30


class JobSource(Protocol):
    """A queue, to run the jobs of its messages."""

    def look_up(self, message: Message) -> JobKey:
        """Return what a message says about its job."""
        ...

    def handle(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run the jobs of messages (one, unless the queue takes lists): a result for each."""
        ...

    def handle_async(self, messages: Sequence[Message]) -> Awaitable[list[ProcessingResult]]:
        """The same on the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Lane:
    """One queue inside a worker.

    Attributes
    ----------
    name :
        The name of the queue, without prefix.
    client :
        The calls to SQS.
    queue :
        Runs the jobs.
    backoff_policy :
        How long a failed message stays hidden, where its result does not say.
    batch_size :
        Messages in one call of a function, at most.
    max_wait_seconds :
        How long a call that is not full waits for more messages.
    visibility_timeout :
        Seconds: the lease to ask for at each receive.
    share :
        Slots and weight of the queue.
    shutdown_policy :
        When this lane is to be quieted. Lanes that hold the same object are judged together.
    max_receives, dead_letter_queue :
        After how many receives SQS moves a message, and where to; None: it never does.
    dead_letter_client :
        The calls on the dead-letter queue; None if the worker sends nothing there.
    rules :
        When a failed job is not tried again.
    retry_in_place :
        The longest backoff, in seconds, for which a failed job and its group stay in the worker; 0
        if they never do.
    is_fifo :
        Whether order within a message group is to be kept.
    """

    name: str
    client: QueueClient
    queue: JobSource
    backoff_policy: Backoff
    batch_size: int
    max_wait_seconds: float
    visibility_timeout: int
    share: QueueShare
    shutdown_policy: ShutdownPolicy
    max_receives: int | None = None
    dead_letter_queue: str | None = None
    dead_letter_client: QueueClient | None = None
    rules: FailureRules = DEFAULT_RULES
    retry_in_place: float = 0.0
    is_fifo: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_fifo", self.client.is_fifo)

    def end_polls(self) -> bool:
        """Ask the other side to answer the receives that wait now; whether it could be asked."""
        try:
            return self.client.end_polls()
        except Exception:  # then they end by themselves
            logger.debug("could not end the polls of %s", self.name, exc_info=True)
            return False

    def next_queue(self, message: Message) -> str | None:
        """The dead-letter queue, where this was the last receive of a message; else None."""
        return self.dead_letter_queue if self.is_last_receive(message) else None

    def is_last_attempt(self, message: Message, result: ProcessingResult) -> bool:
        """Return whether the job that failed is not tried again because it was tried so often."""
        most = result.max_attempts or self.rules.max_attempts or self.max_receives
        return self.is_last_receive(message) or (most is not None and message.attempt >= most)

    def gives_up(self, result: ProcessingResult) -> bool:
        """Return whether the job that failed must not be tried again, however often it was."""
        return result.give_up or isinstance(result.error, self.rules.give_up_on)

    def is_last_receive(self, message: Message) -> bool:
        """Return whether SQS will move a message to the dead-letter queue, not deliver it again.

        A message with more receives than the redrive policy allows shows that the policy is not in
        force: it changed after the worker started, or the dead-letter queue is gone.
        """
        return message.receive_count == self.max_receives

    def hidden_seconds(self, message: Message, result: ProcessingResult, now: float) -> int:
        """How long a failed message stays hidden, 0 to what is left of its 12 hours."""
        if message.tries > 1:
            # Policies know receives only.
            counted = {**message.attributes, "ApproximateReceiveCount": str(message.attempt)}
            message = replace(message, attributes=counted, tries=1)
        for policy in (result.backoff_policy, self.backoff_policy):
            if policy is not None:
                try:
                    seconds = policy.get_visibility_timeout(message)
                    return within_limit(message, seconds, now)
                except KeyboardInterrupt:
                    raise
                except BaseException:  # not ours, and one bad policy must not stop a worker
                    logger.exception("the backoff policy %r failed", policy)
        return within_limit(message, _FALLBACK_SECONDS, now)


def within_limit(message: Message, seconds: float, now: float) -> int:
    """``seconds`` as SQS takes them for this message: whole, and within its 12 hours."""
    left = message.received_at + MAX_VISIBILITY_TIMEOUT_SECONDS - now
    return max(0, round(min(seconds, left - _LIMIT_MARGIN_SECONDS)))


def receive(
    lane: Lane, wanted: int, wait_seconds: float, go_on: Callable[[], bool] = lambda: True
) -> Iterator[tuple[list[Message], bool]]:
    """Up to ``wanted`` messages: those of each call, and whether another call follows.

    One call brings ten at most. A lane that hands out lists asks for more, as long as there are
    any, without waiting. To be handed over call by call: the leases run already.
    """
    count = 0
    more = True
    while more:
        try:
            arrived = lane.client.receive(
                min(MAX_BATCH_ENTRIES, wanted - count),
                wait_seconds=0 if count else wait_seconds,
                visibility_timeout=lane.visibility_timeout,
            )
        except Exception:
            if not count:
                raise
            # What has come already is a list, too. The error will show again.
            logger.debug("a list of %s stays shorter", lane.name, exc_info=True)
            arrived = []
        count += len(arrived)
        more = bool(arrived) and lane.batch_size > 1 and count < wanted and go_on()
        yield arrived, more


def is_final(failure: EntryFailure) -> bool:
    """Whether trying this entry of a batch again cannot help."""
    return failure.sender_fault and "throttl" not in failure.code.lower()
