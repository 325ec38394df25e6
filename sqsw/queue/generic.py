"""The base class of all queues."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from sqsw.backoff_policies import longest_wait, retry_horizon
from sqsw.batching import NoBatching
from sqsw.codecs.table import check_accept
from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Backoff, Batching, ShutdownPolicy, WallClock
from sqsw.core.errors import SettingsError, SQSBatchError
from sqsw.core.failure_rules import FailureOptions, FailureRules
from sqsw.core.job_metadata import SQSW, add_job_id
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.core.settings import WorkerSettings
from sqsw.core.wording import without_password
from sqsw.middleware.chain import Middleware
from sqsw.middleware.send_chain import OutgoingEntry, call_before_send
from sqsw.processors import as_result
from sqsw.queue.queue_env import QueueEnv
from sqsw.shutdown_policies import NEVER_SHUTDOWN
from sqsw.transport.batches import Entry, check_entry, check_with_spare, fit_to_queue
from sqsw.transport.queue_client import QueueClient

if TYPE_CHECKING:
    from sqsw.parking.places import ParkingPlace


class GenericQueue(ABC):
    """What job queues and raw queues share.

    Parameters
    ----------
    env :
        The environment that the queue belongs to.
    name :
        The name of the queue, without prefix.
    backoff_policy :
        How long a failed message stays hidden; None for the policy of the environment.
    batching_policy :
        Whether functions take one job or a list; None: one job.
    queue_url :
        The queue URL; None to look it up by the name.
    accept :
        The content types that can be read; None for those of the environment.
    middlewares :
        The middlewares of every job of this queue, inside those of the environment.
    failure :
        When a failed job is not retried; see :class:`~sqsw.core.failure_rules.FailureRules`.
    """

    def __init__(
        self,
        env: QueueEnv,
        name: str,
        backoff_policy: Backoff | None = None,
        batching_policy: Batching | None = None,
        *,
        queue_url: str | None = None,
        accept: Collection[str] | None = None,
        middlewares: Sequence[Middleware] = (),
        **failure: Unpack[FailureOptions],
    ) -> None:
        self.env = env
        self.own_middlewares = middlewares
        self.name = name
        self.backoff_policy = backoff_policy or env.backoff_policy
        self.batching_policy = batching_policy or NoBatching()
        self.queue_url = queue_url
        check_accept(accept)
        self._accept = accept
        self._client: QueueClient | None = None
        self._own_failure_rules = FailureRules(**failure)

    @property
    def failure_rules(self) -> FailureRules:
        """When a failed job is not retried."""
        return self._own_failure_rules.over(self.env.failure_rules)

    @classmethod
    def maker(cls, **kwargs: Any) -> Callable[..., Self]:
        """Return this class with some arguments set, for ``queue_maker=``."""
        return partial(cls, **kwargs)

    @property
    def client(self) -> QueueClient:
        if self._client is None:
            self._client = self.env.make_queue_client(self.name, self.queue_url)
        return self._client

    def client_of(self, arn: str) -> QueueClient:
        """Return a client for the queue with this ARN, such as the dead-letter queue."""
        return self.env.make_queue_client(arn, None)

    def refuse_other_options(
        self,
        queue_maker: Callable[..., Any] | None,
        queue_url: str | None,
        batching_policy: Batching | None,
        backoff_policy: Backoff | None,
        accept: Collection[str] | None,
        middlewares: Sequence[Middleware] | None,
        failure: FailureOptions,
    ) -> None:
        """Raise if options differ from those that this queue was created with.

        Raises
        ------
        ValueError
            The queue URL differs.
        SettingsError
            Another option differs. It would have no effect.
        """
        if queue_url is not None and self.queue_url != queue_url:
            differing = f"has the URL {self.queue_url!r}, not {queue_url!r}"
            raise ValueError(f"the queue {self.name!r} {without_password(differing)}")
        maker = getattr(queue_maker, "func", queue_maker)  # the class, also after maker(…)
        if isinstance(maker, type) and not isinstance(self, maker):
            raise SettingsError(
                f"the queue {self.name!r} is already a {type(self).__name__}",
                why=f"this call asks for a {maker.__name__}, an earlier call did not",
                next="set the class in the first env.queue(…) of this name",
            )
        asked = {
            "batching_policy": (batching_policy, batching_policy != self.batching_policy),
            "backoff_policy": (backoff_policy, backoff_policy != self.backoff_policy),
            "accept": (accept, set(accept or ()) != set(self.accept or ())),
            "middlewares": (middlewares, middlewares != self.own_middlewares),
            **{
                name: (value, value != getattr(self._own_failure_rules, name))
                for name, value in failure.items()
            },
        }
        for option, (value, differs) in asked.items():
            if value is not None and differs:
                raise SettingsError(
                    f"the queue {self.name!r} already exists with another {option}",
                    why=f"this call asks for {value!r}, which would have no effect",
                    next=f"set {option} in the first env.queue(…) of this name",
                )

    def forget_client(self) -> None:
        """Create a new client at the next call, after the session or the queue URL changed."""
        self._client = None

    @property
    def accept(self) -> Collection[str] | None:
        """The content types that can be read; None for all except pickle."""
        return self.env.accept if self._accept is None else self._accept

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """The middlewares of every job, the outermost first."""
        return [*self.env.middlewares, *self.own_middlewares]

    @property
    def takes_lists(self) -> bool:
        """Whether functions take a list of jobs."""
        return self.batching_policy.batching_enabled

    def retry_horizon(self, max_receives: int) -> RetryHorizon:
        """Return how long a failing job is retried if the queue allows this many receives."""
        policies = self._backoff_policies()
        attempts = {name: self._max_attempts_of(name) for name in policies}
        longest = longest_wait(parks=self.retry_parking is not None)
        return retry_horizon(self.name, policies, max_receives, attempts, longest)

    @property
    def retry_parking(self) -> "ParkingPlace | None":
        """Where jobs wait if their next attempt is more than twelve hours away.

        If it is None, they stay hidden for twelve hours. On a FIFO queue it is always None, because
        parked jobs would lose their place in the order.
        """
        return None if self.client.is_fifo else self.env.parking_place

    def _backoff_policies(self) -> Mapping[str | None, Backoff]:
        """Return the backoff policy of each job by its name; the name None stands for all jobs."""
        return {None: self.backoff_policy}

    def _max_attempts_of(self, job_name: str | None) -> int | None:
        """Return the attempts of a job; None if only the receives limit them."""
        return self.failure_rules.max_attempts

    @property
    def wall_clock(self) -> WallClock:
        """The time in seconds since 1970; see :attr:`sqsw.SQSEnv.wall_clock`."""
        return self.env.wall_clock

    def get_sqs_queue_name(self) -> str:
        return self.env.get_sqs_queue_name(self.name)

    def get_queue(self) -> Any:
        """Return a new boto3 resource of the queue, for calls that sqsw has no method for.

        Threads must not share a resource, so each call creates one.
        """
        return self.client.resource()

    # -- sending -----------------------------------------------------------------------------

    def _delay(
        self, entry: Entry, delay: float | timedelta | None, run_at: datetime | None
    ) -> datetime | None:
        """Set the delay of an entry if SQS can delay it; otherwise return when the job is due.

        Raises
        ------
        TypeError
            Both were given, or ``run_at`` is not a datetime.
        MessageRefused
            The delay is out of range, or ``run_at`` has no time zone.
        """
        if delay is None and run_at is None:
            return None
        from sqsw.parking.delays import delay_entry  # most jobs are not delayed

        return delay_entry(
            entry,
            delay,
            run_at,
            queue_name=self.name,
            is_fifo=self.client.is_fifo,
            can_park=self.env.parking_place is not None,
            now=self.env.wall_clock(),
        )

    def _parking_place(self) -> "ParkingPlace":
        place = self.env.parking_place
        if place is None:  # there was one when the delay was checked
            raise SettingsError("the environment no longer has a parking place")
        return place

    def _complete(
        self,
        entry: Entry,
        job_name: str | None,
        job_id: str | None,
        due: datetime | None = None,
    ) -> None:
        """Complete an entry, pass it through the middlewares, and check it.

        Parameters
        ----------
        due :
            When the job is due if it must be parked; None: SQS can delay it.

        Raises
        ------
        MessageRefused
            ``job_id`` is not valid, a middleware failed, SQS would refuse the entry, or the parking
            place cannot keep it.
        """
        fit_to_queue(entry, is_fifo=self.client.is_fifo, queue_name=self.name)
        add_job_id(entry, job_id)
        call_before_send(self.middlewares, OutgoingEntry(self.name, job_name, entry))
        if due is None:
            check_with_spare(entry, SQSW if job_id is None else None)
        else:
            entry.pop("DelaySeconds", None)  # a middleware can have added it
            check_entry(entry)
            self._parking_place().check(entry, self.client, due)

    def _send(self, entry: Entry, due: datetime | None) -> str:
        """Send a complete entry, or park it; return the message id."""
        if due is None:
            return str(self.client.send(entry)["MessageId"])
        return self._parking_place().park(entry, self.client, due)

    # -- running jobs ------------------------------------------------------------------------

    def process_queue(
        self,
        shutdown_policy: ShutdownPolicy = NEVER_SHUTDOWN,
        wait_second: float = 10,
        *,
        concurrency: int = 1,
    ) -> None:
        """Run jobs until the shutdown policy or a signal ends the worker.

        Parameters
        ----------
        shutdown_policy :
            When to stop.
        wait_second :
            Seconds that one receive waits for a message, 0 to 20.
        concurrency :
            Jobs that run at the same time, at least 1. With 1, functions need not be thread-safe.

        Raises
        ------
        QueueNotFound
            The queue does not exist.
        AccessDenied
            The queue cannot be read.
        """
        from sqsw.queue.work import work_queues  # a program that only sends needs no worker

        settings = WorkerSettings(concurrency=concurrency, wait_seconds=wait_second)
        work_queues(
            [self],
            settings=settings,
            events=self.env.events,
            policy_of=lambda _: shutdown_policy,
            companions=self.env.companions(),
        )

    def process_batch(self, wait_seconds: float = 0) -> BatchProcessingResult:
        """Receive once, run these jobs one after another, and delete or return their messages.

        Parameters
        ----------
        wait_seconds :
            Seconds to wait for a message, 0 to 20.

        Returns
        -------
        BatchProcessingResult
            The messages of jobs that succeeded and of jobs that failed, and the errors.
        """
        from sqsw.queue.work import work_once

        return work_once(self, wait_seconds, self.env.events)

    def handle(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run the jobs of messages: of one message, or of a list if functions take lists."""
        if self.batching_policy.batching_enabled:
            return [as_result(result) for result in self.process_messages(messages)]
        return [as_result(self.process_message(message)) for message in messages]

    async def handle_async(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Do the same as :meth:`handle`, on the event loop."""
        if self.takes_lists:
            return [as_result(result) for result in await self.process_messages_async(messages)]
        return [as_result(await self.process_message_async(message)) for message in messages]

    @abstractmethod
    def look_up(self, message: Message) -> JobKey:
        """Return the name of a message's job, and the executor that it wants."""

    @abstractmethod
    def process_message(self, message: Message) -> ProcessingResult | bool:
        """Run the job of a message, and return how it ended."""

    @abstractmethod
    def process_messages(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run the jobs of several messages as lists, and return one result per message."""

    @abstractmethod
    def process_message_async(self, message: Message) -> Awaitable[ProcessingResult | bool]:
        """Do the same as :meth:`process_message`, on the event loop."""

    @abstractmethod
    def process_messages_async(
        self, messages: Sequence[Message]
    ) -> Awaitable[list[ProcessingResult]]:
        """Do the same as :meth:`process_messages`, on the event loop."""

    # -- without running anything ------------------------------------------------------------

    def get_raw_messages(
        self, wait_seconds: float = 0, max_messages: int = MAX_BATCH_ENTRIES
    ) -> list[Message]:
        """Receive messages without running their jobs. The caller must delete or return them.

        Parameters
        ----------
        wait_seconds :
            Seconds to wait for a message, 0 to 20.
        max_messages :
            The most messages to return. Above 10, several receives are made, until one of them
            returns fewer than it asked for.
        """
        found: list[Message] = []
        while (wanted := min(max_messages - len(found), MAX_BATCH_ENTRIES)) > 0:
            received = self.client.receive(wanted, wait_seconds=wait_seconds)
            found += received
            if len(received) < wanted:
                break
        return found

    def drain_queue(self, wait_seconds: float = 0) -> int:
        """Receive and delete all messages that are visible now.

        Returns
        -------
        int
            The number of deleted messages.

        Raises
        ------
        SQSBatchError
            SQS did not delete some of them.
        """
        count, failed = 0, []
        while messages := self.get_raw_messages(wait_seconds):
            failures = self.client.delete_batch(messages)
            failed += [failure.as_error(messages[failure.index]) for failure in failures]
            count += len(messages) - len(failures)
        if failed:
            raise SQSBatchError(
                f"{len(failed)} message(s) of {self.name!r} were not deleted, {count} were",
                failed,
                why=f"{failed[0]['Code']}: {failed[0]['Message']}",
            )
        return count

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
