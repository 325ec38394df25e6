"""The lane: what the roles of a worker need to know of one queue."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import time
from typing import Protocol

from sqsw.core.contracts import Backoff, ShutdownPolicy, WallClock
from sqsw.core.failure_rules import DEFAULT_RULES, FailureRules
from sqsw.core.job_metadata import SQSW, metadata_of
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.limits import (
    MAX_BATCH_ENTRIES,
    MAX_PARKED_SECONDS,
    MAX_VISIBILITY_TIMEOUT_SECONDS,
)
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.settings import QueueShare
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.queue_client import QueueClient

logger = SafeLogger(__name__)

#: seconds of margin: SQS counts the 12 hours of a message from its receive, a little before the
#: worker gets the answer
_LIMIT_MARGIN_SECONDS = 5

#: seconds that a failed message stays hidden if its backoff policies fail: long enough to save its
#: receives, short enough that someone notices
_FALLBACK_SECONDS = 30


class JobSource(Protocol):
    """A queue that can run the jobs of its messages."""

    def look_up(self, message: Message) -> JobKey:
        """Return what a message says about its job."""
        ...

    def handle(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run jobs and return one result per message: one message, or the messages of a list."""
        ...

    def handle_async(self, messages: Sequence[Message]) -> Awaitable[list[ProcessingResult]]:
        """Do the same on the event loop."""
        ...


class RetryParking(Protocol):
    """The part of a parking place that long backoffs use.

    See ``sqsw.parking.places.ParkingPlace``.
    """

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        """Refuse a job that this place cannot keep, with ``MessageRefused``."""
        ...

    def park_batch(
        self, entries: Sequence[Entry], destination: QueueClient, dues: Sequence[datetime]
    ) -> list[EntryFailure]:
        """Keep up to ten jobs until they are due; return those that were not accepted."""
        ...


@dataclass(frozen=True, slots=True)
class Lane:
    """One queue inside a worker.

    Attributes
    ----------
    name :
        The name of the queue, without prefix.
    client :
        Makes the SQS calls for the queue.
    queue :
        Runs the jobs.
    backoff_policy :
        How long a failed message stays hidden, unless its result has a policy.
    batch_size :
        The most messages in one call of a function.
    max_wait_seconds :
        How long a list that is not full waits for more messages.
    visibility_timeout :
        The lease to ask for at each receive, in seconds.
    share :
        Slots and weight of the queue.
    shutdown_policy :
        When the worker stops receiving from this lane. Lanes with the same policy object stop
        together.
    max_receives, dead_letter_queue :
        The number of receives after which SQS moves a message, and the name of the queue it moves
        it to; None if the queue has no redrive policy.
    dead_letter_client :
        Makes the SQS calls for the dead-letter queue; None if the worker sends nothing there.
    rules :
        When a failed job is not tried again.
    retry_in_place :
        The longest backoff, in seconds, for which a failed job and its group stay in the worker; 0
        if they never do.
    parking :
        Keeps messages whose backoff is longer than twelve hours; None if they stay hidden for
        twelve hours instead.
    wall_clock :
        Returns the time in seconds since 1970, for when parked messages are due.
    is_warned_of_long_backoff :
        Whether the worker warned at its start that waits are shortened to twelve hours.
    is_fifo :
        Whether the worker must keep the order within a message group.
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
    parking: RetryParking | None = None
    wall_clock: WallClock = time
    is_warned_of_long_backoff: bool = False
    is_fifo: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_fifo", self.client.is_fifo)

    def end_polls(self) -> bool:
        """Make the open long polls return now; return False if the client cannot do that."""
        try:
            return self.client.end_polls()
        except Exception:  # they end by themselves after their wait time
            logger.debug("could not end the polls of %s", self.name, exc_info=True)
            return False

    def next_queue(self, message: Message) -> str | None:
        """Return the dead-letter queue if this is a message's last receive; otherwise None."""
        return self.dead_letter_queue if self.is_last_receive(message) else None

    def is_last_attempt(self, message: Message, result: ProcessingResult) -> bool:
        """Return whether a failed job has used up its attempts or its message its receives."""
        if self.is_last_receive(message):
            return True
        attempt, most = message.attempt, self.max_receives
        # SQS counts only the receives of this message, but attempts before the parking count too.
        if most is not None and message.earlier_attempts and attempt >= most:
            return True
        most = result.max_attempts or self.rules.max_attempts or most
        return most is not None and attempt >= most

    def gives_up(self, result: ProcessingResult) -> bool:
        """Return whether a job failed in a way that rules out any further attempt."""
        return result.give_up or isinstance(result.error, self.rules.give_up_on)

    def is_last_receive(self, message: Message) -> bool:
        """Return whether SQS will move a message to the dead-letter queue after this receive.

        If a message has more receives than the redrive policy allows, the policy is not in force:
        it changed after the worker started, or the dead-letter queue was deleted.
        """
        return message.receive_count == self.max_receives

    def backoff_seconds(self, message: Message, result: ProcessingResult) -> int:
        """Return how long a failed job waits for its next attempt, from 0 to 366 days."""
        if message.attempt != message.receive_count:
            message = _as_one_message(message)
        for policy in (result.backoff_policy, self.backoff_policy):
            if policy is not None:
                try:
                    seconds = policy.get_visibility_timeout(message)
                    return max(0, round(min(seconds, MAX_PARKED_SECONDS)))
                except KeyboardInterrupt:
                    raise
                except BaseException:  # an application's policy must not stop a worker
                    logger.exception("the backoff policy %r failed", policy)
        return _FALLBACK_SECONDS


def _as_one_message(message: Message) -> Message:
    """Return a message whose receive count is the number of attempts of its job.

    Backoff policies read the receive count. Attempts in the worker do not raise it, and parking a
    job resets it.
    """
    attributes = {**message.attributes, "ApproximateReceiveCount": str(message.attempt)}
    carried = message.message_attributes
    if message.earlier_attempts:
        attribute = replace(metadata_of(message), attempts=None).to_attribute()
        carried = {**carried, SQSW: attribute}
    return replace(message, attributes=attributes, message_attributes=carried, tries=1)


def within_limit(message: Message, seconds: float, now: float) -> int:
    """Return ``seconds`` as a visibility timeout for this message: whole, within its 12 hours."""
    left = message.received_at + MAX_VISIBILITY_TIMEOUT_SECONDS - now
    return max(0, round(min(seconds, left - _LIMIT_MARGIN_SECONDS)))


def receive(
    lane: Lane, wanted: int, wait_seconds: float, go_on: Callable[[], bool] = lambda: True
) -> Iterator[tuple[list[Message], bool]]:
    """Receive up to ``wanted`` messages in as many calls as it takes.

    One call returns at most ten messages. On a lane with lists, more calls follow without waiting,
    until one returns nothing.

    Parameters
    ----------
    go_on :
        Asked before each further call.

    Yields
    ------
    tuple
        The messages of one call, and whether another call follows. Pass them on before the next
        call, because their leases have begun.
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
            # The earlier calls returned messages, which are a list too. The next receive meets the
            # error again.
            logger.debug("a receive for a list from %s failed", lane.name, exc_info=True)
            arrived = []
        count += len(arrived)
        more = bool(arrived) and lane.batch_size > 1 and count < wanted and go_on()
        yield arrived, more


def is_final(failure: EntryFailure) -> bool:
    """Return whether sending this entry of a batch again cannot help."""
    return failure.sender_fault and "throttl" not in failure.code.lower()
