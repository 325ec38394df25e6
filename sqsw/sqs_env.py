"""The environment: the connection to SQS, and the settings of all queues."""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, Unpack, overload

from sqsw.async_task import AsyncTask
from sqsw.backoff_policies import DEFAULT_BACKOFF, longest_wait, retry_horizon
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE, check_accept, codec_for_sending
from sqsw.context import SQSContext
from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Backoff, Batching, Companion, ShutdownPolicy, WallClock
from sqsw.core.errors import SettingsError
from sqsw.core.event_bus import EventBus, RequestSent
from sqsw.core.failure_rules import FailureOptions, FailureRules
from sqsw.core.process_lock import ProcessLock
from sqsw.core.redrive_policy import RedrivePolicy
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.core.settings import WorkerSettings
from sqsw.core.wording import without_password
from sqsw.middleware.chain import Middleware
from sqsw.middleware.options import ProcessorOptions
from sqsw.processors import DEFAULT_CONTEXT_VAR, Processor
from sqsw.queue.generic import GenericQueue
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawProcessor, RawQueue
from sqsw.queue.registrations import Registration as Registration
from sqsw.queue.registrations import registrations_of, take_away
from sqsw.shutdown_policies import NeverShutdown
from sqsw.transport.client import ClientSource
from sqsw.transport.endpoints import check_address, endpoint_of_environment
from sqsw.transport.names import (
    QueueRef,
    check_parking_queue_name,
    check_queue_name,
    has_only_parked_jobs,
    is_plain_queue_name,
    name_of_url,
)
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.queue_lookup import queue_urls

if TYPE_CHECKING:
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from sqsw.core.reports import WorkerReport
    from sqsw.parking.parking_lane import ParkingLane
    from sqsw.parking.places import ParkedJob, ParkingPlace
    from sqsw.parking.queue_parking import QueueParking
    from sqsw.queue.work_off import WorkOffResult
    from sqsw.schedule.schedule import Overlap, Schedule

P = ParamSpec("P")
Q = TypeVar("Q", bound=GenericQueue)


class SQSEnv:
    """The connection to SQS, and the settings of all queues.

    Creating one uses neither credentials nor the network; the first call does. It is thread-safe.

    Parameters
    ----------
    session :
        A boto3 session (or the ``boto3`` module), a :class:`~sqsw.MemorySession` or a
        :class:`~sqsw.LocalSession`. None uses the local file of ``SQSW_LOCAL``, or a new boto3
        session.
    queue_prefix :
        A prefix for every queue name; None uses ``SQSW_QUEUE_PREFIX``, if set.
    codec :
        The content type of sent jobs.
    retry_max_attempts, retry_mode :
        How botocore retries a call, after an attempt without botocore if ``wire`` is on. With 0, or
        with the mode ``adaptive``, botocore makes every call.
    backoff_policy :
        How long failed messages stay hidden, unless a queue has its own policy.
    processor_maker :
        The factory of processors, such as a subclass of :class:`~sqsw.processors.Processor`.
    context_maker :
        The factory of the job context.
    accept :
        The content types that workers accept; None for all except pickle.
    middlewares :
        The middlewares of every job, outermost first.
    events :
        The bus that workers publish to; None creates one. Events are logged by the logger
        ``sqsw.worker``, unless you subscribed a :class:`~sqsw.observe.logs.LogListener`.
    endpoint_url, region :
        The URL of an SQS-compatible server, and the region; None lets boto3 choose.
    max_attempts, give_up_on, explain_text, retry_in_place :
        When to stop retrying a failed job, and what to record about it; see
        :class:`~sqsw.core.failure_rules.FailureRules`. Queues and processors can override this.
    wire :
        Whether the frequent calls can bypass botocore, so they take much less CPU time. If it is
        False, or ``SQSW_WIRE=0`` is set in the environment, a boto3 client makes every call.
    typed_arguments :
        Whether jobs can have arguments such as ``datetime``, ``UUID``, ``Decimal``, dataclasses
        and pydantic models. They are sent as plain JSON and restored by the annotations of the
        function. It requires ``sqsw[typed]``. Processors can override this.
    parking :
        Where jobs wait that SQS cannot delay for long enough: the name of a parking queue without
        the prefix, which ``create_parking_queue()`` creates, or a
        :class:`~sqsw.parking.places.ParkingPlace`. Workers send the jobs of a parking queue when
        they are due. None uses the name in ``SQSW_PARKING``, if set.

    Raises
    ------
    ContentTypeRefused
        There is no codec for ``codec``.
    SettingsError
        ``parking`` is the name of a FIFO queue, or not the name of a queue; or it is a place of
        another environment.
    """

    def __init__(
        self,
        session: Any = None,
        queue_prefix: str | None = None,
        codec: str = DEFAULT_CONTENT_TYPE,
        retry_max_attempts: int = 3,
        retry_mode: str = "standard",
        backoff_policy: Backoff = DEFAULT_BACKOFF,
        processor_maker: Callable[..., Any] = Processor,
        context_maker: Callable[[], SQSContext] = SQSContext,
        *,
        accept: Collection[str] | None = None,
        middlewares: Sequence[Middleware] = (),
        events: EventBus | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        wire: bool = True,
        typed_arguments: bool = False,
        parking: "str | ParkingPlace | None" = None,
        **failure: Unpack[FailureOptions],
    ) -> None:
        codec_for_sending(codec)
        check_accept(accept)
        self.session = session
        self.codec = codec
        self.accept = accept
        self.backoff_policy = backoff_policy
        self.processor_maker = processor_maker
        self.context = context_maker()
        self.middlewares = middlewares
        self.failure_rules = FailureRules(**failure)
        self.events = events or EventBus()
        self.queues: dict[str, GenericQueue] = {}
        #: the schedules by their names; see :meth:`periodic`
        self.schedules: dict[str, Schedule] = {}
        self.registration_source = "app"
        self.typed_arguments = typed_arguments
        self._queue_prefix = queue_prefix
        self._retries: dict[str, Any] = {
            "retry_max_attempts": retry_max_attempts,
            "retry_mode": retry_mode,
        }
        self._endpoint_url = endpoint_url
        self._region = region
        self._wire = wire
        self._parking: str | ParkingPlace | None = None
        self._queue_parking: QueueParking | None = None
        self._clients: ClientSource | None = None
        self._lock = ProcessLock(threading.RLock)
        self._park_in(parking)

    # -- where ------------------------------------------------------------------------------------

    @property
    def clients(self) -> ClientSource:
        """The source of SQS calls. ``clients.way`` shows how they are made, and why if by boto3."""
        with self._lock.here:
            if self._clients is None:
                self._clients = ClientSource(
                    self._session(),
                    endpoint_url=self._endpoint_url,
                    region=self._region,
                    on_request=lambda action: self.events.publish(RequestSent(action)),
                    is_named=self.session is not None or self._endpoint_url is not None,
                    wire=self._wire,
                    **self._retries,
                )
            return self._clients

    @property
    def sqs_client(self) -> Any:
        """The boto3 client. If you mock it or register handlers on it, it makes all calls."""
        return self.clients.client

    @property
    def queue_prefix(self) -> str:
        """The prefix of every queue name."""
        if self._queue_prefix is None:
            return os.environ.get("SQSW_QUEUE_PREFIX", "")
        return self._queue_prefix

    def _session(self) -> Any:
        # Code wins over variables, including SQSW_LOCAL.
        if self.session is not None or self._endpoint_url is not None:
            return self.session
        if not os.environ.get("SQSW_LOCAL"):
            return None
        from sqsw.memory_sqs import LocalSession, local_path

        path = local_path(os.environ.get("SQSW_LOCAL"))
        return None if path is None else LocalSession(path)

    def connect_to(
        self,
        *,
        session: Any = None,
        queue_prefix: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        parking: "str | ParkingPlace | None" = None,
    ) -> None:
        """Change the connection from now on; None keeps a value.

        With this, command-line options override the application.

        Raises
        ------
        SettingsError
            ``parking`` is the name of a FIFO queue, or not the name of a queue; or it is a place of
            another environment.
        """
        with self._lock.here:
            self._park_in(parking)
            if session is not None or endpoint_url is not None:
                self.session, self._endpoint_url = session, endpoint_url
            if queue_prefix is not None:
                self._queue_prefix = queue_prefix
            if region is not None:
                self._region = region
            self._forget_clients()

    def _park_in(self, parking: "str | ParkingPlace | None") -> None:
        """Use this parking queue or place from now on; None keeps the current one."""
        if parking is None:
            return
        if isinstance(parking, str):
            check_parking_queue_name(parking)
        elif (bind := getattr(parking, "bind", None)) is not None:  # not every place needs it
            bind(self)
        self._parking = parking

    @contextmanager
    def connected_to(
        self,
        *,
        session: Any = None,
        queue_prefix: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        parking: "str | ParkingPlace | None" = None,
    ) -> Iterator[None]:
        """Call :meth:`connect_to` for the duration of a ``with`` block, for tests."""
        with self._lock.here:
            before = self.session, self._endpoint_url, self._queue_prefix, self._region
            parking_before = self._parking
        self.connect_to(
            session=session,
            queue_prefix=queue_prefix,
            endpoint_url=endpoint_url,
            region=region,
            parking=parking,
        )
        try:
            yield
        finally:
            with self._lock.here:
                self.session, self._endpoint_url, self._queue_prefix, self._region = before
                self._parking = parking_before
                self._forget_clients()

    def _forget_clients(self) -> None:
        self._clients = self._queue_parking = None
        for queue in self.queues.values():
            queue.forget_client()

    def connect(self, *queue_names: str) -> None:
        """Look up queues now, so the first send does not have to.

        The first call of a process takes 0.1 to 0.7 seconds: it imports what it needs, finds
        credentials and region, looks up the queue and opens a connection. Call this when a process
        of a web app starts, after it was forked. In a coroutine use
        ``await asyncio.to_thread(env.connect)``.

        Parameters
        ----------
        queue_names :
            Names without the prefix. Default: all queues with a registered function.

        Raises
        ------
        QueueNotFound
            A queue does not exist.
        SQSError
            SQS cannot be reached, or denies the request.
        """
        way, _ = self.clients.way
        if way == "boto3":
            _ = self.sqs_client
        for name in queue_names or self._worked_names():
            _ = self._known(name).client.url

    def location(self) -> str:
        """Describe where the queues are, for people, without any request.

        Raises
        ------
        SettingsError
            The endpoint is not a URL, so a password in it could not be masked.
        """
        session = self.clients.session
        place = getattr(session, "location", None)
        if isinstance(place, str):
            return place
        endpoint = self._endpoint_url or endpoint_of_environment()
        if endpoint:
            check_address(endpoint)
            return without_password(endpoint)
        return self.clients.region

    # -- names ------------------------------------------------------------------------------------

    def get_sqs_queue_name(self, queue_name: str) -> str:
        """Return the full name in SQS, with the prefix."""
        return f"{self.queue_prefix}{queue_name}"

    def name_of(self, sqs_name: str) -> str:
        """Return a queue name without the prefix, if it has it."""
        return sqs_name.removeprefix(self.queue_prefix)

    def get_queue_arn(self, queue_name: str) -> str:
        """Return the ARN of a queue.

        Raises
        ------
        QueueNotFound
            The queue does not exist.
        """
        return self.queue_client(queue_name).attributes("QueueArn")["QueueArn"]

    def get_all_known_queues(self) -> list[str]:
        """Return the names, without the prefix, of all queues in SQS that have the prefix."""
        urls = queue_urls(self.clients, self.queue_prefix)
        return [self.name_of(name_of_url(url)) for url in urls]

    def make_queue_client(self, queue_name: str, queue_url: str | None = None) -> QueueClient:
        """Return the client of a queue by its name (which gets the prefix) or URL.

        The name can also be an ARN, which gets no prefix.
        """
        if queue_url is None and queue_name.startswith("arn:"):
            return self.queue_client(queue_name)
        sqs_name = name_of_url(queue_url) if queue_url else self.get_sqs_queue_name(queue_name)
        return QueueClient(self.clients, queue_name, sqs_name, queue_url, self._worked_names)

    def _worked_names(self) -> list[str]:
        return list(dict.fromkeys(found.queue_name for found in self.registrations()))

    def queue_client(self, text: str) -> QueueClient:
        """Return the client of a queue by its name (which gets the prefix), URL or ARN.

        Raises
        ------
        SettingsError
            The text is empty, or is a malformed URL or ARN.
        """
        ref = QueueRef.parse(text)
        if ref.url is None and ref.arn is None:
            return self.make_queue_client(ref.name)
        # A URL or an ARN gets no prefix.
        name = self.name_of(ref.name)
        return QueueClient(self.clients, name, ref.name, ref.url, arn=ref.arn)

    # -- queues -----------------------------------------------------------------------------------

    @overload
    def queue(
        self,
        queue_name: str,
        queue_maker: None = None,
        batching_policy: Batching | None = None,
        backoff_policy: Backoff | None = None,
        *,
        queue_url: str | None = None,
        accept: Collection[str] | None = None,
        middlewares: Sequence[Middleware] | None = None,
        **failure: Unpack[FailureOptions],
    ) -> JobQueue: ...
    @overload
    def queue(
        self,
        queue_name: str,
        queue_maker: Callable[..., Q],
        batching_policy: Batching | None = None,
        backoff_policy: Backoff | None = None,
        *,
        queue_url: str | None = None,
        accept: Collection[str] | None = None,
        middlewares: Sequence[Middleware] | None = None,
        **failure: Unpack[FailureOptions],
    ) -> Q: ...
    def queue(
        self,
        queue_name: str,
        queue_maker: Callable[..., Any] | None = None,
        batching_policy: Batching | None = None,
        backoff_policy: Backoff | None = None,
        *,
        queue_url: str | None = None,
        accept: Collection[str] | None = None,
        middlewares: Sequence[Middleware] | None = None,
        **failure: Unpack[FailureOptions],
    ) -> Any:
        """Return the queue with this name, which the first call creates.

        Parameters
        ----------
        queue_name :
            The name without the prefix, or an ARN.
        queue_maker :
            The class, or the result of a ``maker()``; None for :class:`~sqsw.JobQueue`.
        batching_policy :
            Whether functions get one job or a list.
        backoff_policy :
            How long failed messages stay hidden; None for the policy of the environment.
        queue_url :
            The queue URL, to skip the lookup by name.
        accept :
            The content types to accept; None for those of the environment.
        middlewares :
            The middlewares of this queue's jobs, inside those of the environment.
        failure :
            ``max_attempts``, ``give_up_on``, ``explain_text`` and ``retry_in_place`` of this queue;
            see :class:`~sqsw.core.failure_rules.FailureRules`.

        Raises
        ------
        ValueError
            The name was already used with another queue URL.
        SettingsError
            The name was already used with another class, policy or ``accept``; it is that of the
            parking queue; or it is empty, or contains a space or a control character.
        TypeError
            The name is not a str.
        """
        # Use a plain str, because processes without the app, such as a supervisor, also get it.
        queue_name = check_queue_name(queue_name)
        with self._lock.here:
            known = self.queues.get(queue_name)
            if known is None:
                if queue_name == self.parking_queue:
                    raise has_only_parked_jobs(queue_name)
                options = {"queue_url": queue_url, "accept": accept, "middlewares": middlewares}
                known = self.queues[queue_name] = (queue_maker or JobQueue)(
                    env=self,
                    name=queue_name,
                    backoff_policy=backoff_policy or self.backoff_policy,
                    batching_policy=batching_policy,
                    **{name: value for name, value in options.items() if value is not None},
                    **failure,
                )
        known.refuse_other_options(
            queue_maker, queue_url, batching_policy, backoff_policy, accept, middlewares, failure
        )
        return known

    @overload
    def processor(
        self,
        queue_name: str,
        job_name: str,
        pass_context: Literal[False] = False,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[P, object]], AsyncTask[P]]: ...
    @overload
    def processor(
        self,
        queue_name: str,
        job_name: str,
        pass_context: bool,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]: ...
    def processor(
        self,
        queue_name: str,
        job_name: str,
        pass_context: bool = False,
        context_var: str = DEFAULT_CONTEXT_VAR,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]:
        """Register the decorated function for jobs with this name on this queue.

        See :meth:`sqsw.JobQueue.processor`.
        """
        return self.job_queue(queue_name).processor(job_name, pass_context, context_var, **options)

    @overload
    def task(
        self,
        queue: str,
        job_name: str | None = None,
        *,
        pass_context: Literal[False] = False,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[P, object]], AsyncTask[P]]: ...
    @overload
    def task(
        self,
        queue: str,
        job_name: str | None = None,
        *,
        pass_context: bool,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]: ...
    def task(
        self,
        queue: str,
        job_name: str | None = None,
        *,
        pass_context: bool = False,
        context_var: str = DEFAULT_CONTEXT_VAR,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]:
        """Register the decorated function as a task on this queue.

        ::

            @env.task(queue="emails")
            def send_email(to: str) -> None: ...

        Parameters
        ----------
        queue :
            The queue name without the prefix.
        job_name :
            The job name; None for the function's name. Senders and workers share it, so pass the
            former name here if you rename the function.
        pass_context, context_var, options :
            See :meth:`sqsw.JobQueue.processor`, which also lists the errors.
        """
        queue_name = check_queue_name(queue)

        def register(fn: Callable[..., object]) -> AsyncTask[...]:
            name: Any = getattr(fn, "__name__", None) if job_name is None else job_name
            return self.processor(queue_name, name, pass_context, context_var, **options)(fn)

        return register

    def periodic(
        self,
        cron: str | None = None,
        *,
        every: "timedelta | float | None" = None,
        tz: "str | ZoneInfo" = "UTC",
        queue: str,
        name: str | None = None,
        args: Mapping[str, Any] | None = None,
        overlap: "Overlap" = "wait",
        catch_up: Literal["skip"] = "skip",
    ) -> Callable[[Callable[P, object]], AsyncTask[P]]:
        """Run the decorated function or task on a schedule, without a scheduler process.

        ::

            @env.periodic("0 3 * * *", tz="Europe/Berlin", queue="cron.fifo")
            def report(at: datetime) -> None: ...

        Every worker of this environment sends the ticks of all schedules to a FIFO queue, which
        keeps one message for each tick. The job runs from that queue, with its retries and its
        dead-letter queue. Ticks of one schedule never run at the same time. If no worker sends a
        tick within 200 seconds after its instant, the tick is missed, and the job does not run.

        A parameter ``at`` of the function gets the instant of the tick, as an aware datetime in the
        time zone of the schedule.

        Parameters
        ----------
        cron :
            When it runs: minute, hour, day of month, month, and day of week, in the time zone
            ``tz``. It requires ``sqsw[cron]``. If clocks skip a time in spring, the job runs right
            after the gap. If they repeat a time in autumn, it runs once. If the minute or the hour
            begins with ``*``, the job follows the wall clock instead.
        every :
            The interval instead of ``cron``: a timedelta or whole seconds, from one second to 366
            days. The job runs at its multiples since 1970-01-01 00:00 UTC.
        tz :
            The time zone of ``cron`` and of ``at``: a name such as ``Europe/Berlin``.
        queue :
            The FIFO queue that the ticks go to, without the prefix.
        name :
            The name, the same in all workers: 1 to 128 printable ASCII characters without spaces.
            Default: the job name. SQS tells ticks apart by name and instant, so a new name makes a
            new schedule.
        args :
            The arguments of the job.
        overlap :
            What happens to a tick that starts when the next one is already due: ``wait`` runs it,
            and ``skip`` drops it with the event ``TickSkipped``.
        catch_up :
            ``skip``: ticks that were missed do not run later.

        Returns
        -------
        Callable
            A decorator. For a function, it registers the function on ``queue`` under its own name
            and returns the task. For a task of this environment, it registers the function of the
            task on ``queue`` too, with the same options, and returns the same task.

        Raises
        ------
        SettingsError
            A parameter has a wrong value, the package cronsim is missing, another schedule has the
            name, the arguments do not fit the function, or the task belongs to no environment or to
            another one.
        TaskAlreadyRegistered
            Another function of ``queue`` has this job name.
        """
        from sqsw.queue.periodic import Plan, add_schedule  # few programs need it
        from sqsw.schedule.schedule import rule_of, zone_name, zone_of

        zone = zone_name(tz)
        rule = rule_of(cron, every, zone_of(zone))
        queue_name = check_queue_name(queue)
        plan = Plan(rule, zone, queue_name, name, dict(args or {}), overlap, catch_up)
        return lambda fn: add_schedule(self, plan, fn)

    def job_queue(self, queue_name: str) -> JobQueue:
        """Return the queue with this name, which must not be a raw queue.

        Raises
        ------
        SettingsError
            It is a raw queue.
        """
        return self.queue(queue_name, JobQueue)

    def raw_processor(self, queue_name: str) -> Callable[[RawProcessor], RawProcessor]:
        """Register the decorated function for every message of this raw queue."""
        return self.queue(queue_name, RawQueue).raw_processor()

    def add_job(self, queue_name: str, job_name: str, /, **keywords: Any) -> str | None:
        """Send a job; see :meth:`sqsw.JobQueue.add_job`."""
        return self.job_queue(queue_name).add_job(job_name, **keywords)

    def redrive_policy(self, dead_letter_queue_name: str, max_receive_count: int) -> RedrivePolicy:
        """Return the redrive policy for this dead-letter queue and number of receives."""
        return RedrivePolicy(self, dead_letter_queue_name, max_receive_count)

    def retry_horizon(self, queue_name: str, max_receives: int) -> RetryHorizon:
        """Return how long a failing job is retried before it goes to the dead-letter queue.

        Parameters
        ----------
        queue_name :
            The name without the prefix. For an unknown queue, the backoff policy and
            ``max_attempts`` of the environment are used.
        max_receives :
            Receives that the redrive policy of the queue allows.
        """
        queue = self.queues.get(queue_name)
        if queue is not None:
            return queue.retry_horizon(max_receives)
        horizon = retry_horizon(
            queue_name,
            {None: self.backoff_policy},
            max_receives,
            {None: self.failure_rules.max_attempts},
            longest_wait(parks=self.parking_place is not None and not queue_name.endswith(".fifo")),
        )
        return replace(horizon, is_assumed=True)

    def registrations(self) -> list[Registration]:
        """Return all registered functions, sorted by queue and job name."""
        return registrations_of(self.queues)

    def unregister(self, registration: Registration) -> None:
        """Remove a registered function, and the schedules of its job."""
        take_away(self.queues, registration)
        job = registration.queue_name, registration.job_name
        self.schedules = {
            name: schedule
            for name, schedule in self.schedules.items()
            if (schedule.queue_name, schedule.job_name) != job
        }

    def middlewares_of(self, queue_name: str) -> Sequence[Middleware]:
        """Return the middlewares of the environment and of this queue, outermost first."""
        queue = self.queues.get(queue_name)
        return self.middlewares if queue is None else queue.middlewares

    @contextmanager
    def registering_from(self, source: str) -> Iterator[None]:
        """Record ``source`` as the origin of registrations inside the ``with`` block."""
        before, self.registration_source = self.registration_source, source
        try:
            yield
        finally:
            self.registration_source = before

    # -- running ----------------------------------------------------------------------------------

    @property
    def wall_clock(self) -> WallClock:
        """The time in seconds since 1970: the clock of an embedded SQS, which tests can move."""
        session = self.clients.session
        return session.clock if self.clients.embedded is not None else time.time

    @property
    def parking_queue(self) -> str | None:
        """The name of the parking queue without the prefix; None if there is no such queue.

        Raises
        ------
        SettingsError
            ``SQSW_PARKING`` is the name of a FIFO queue, or not the name of a queue.
        """
        if self._parking is None:
            name = os.environ.get("SQSW_PARKING")
            return check_parking_queue_name(name) if name else None
        return self._parking if isinstance(self._parking, str) else None

    @property
    def parking_place(self) -> "ParkingPlace | None":
        """Where jobs wait that SQS cannot delay for long enough; None if there is no such place."""
        name = self.parking_queue
        if name is None:
            return None if isinstance(self._parking, str) else self._parking
        from sqsw.parking.queue_parking import QueueParking  # only for environments with parking

        with self._lock.here:
            if self._queue_parking is None or self._queue_parking.client.name != name:
                self._queue_parking = QueueParking(self.make_queue_client(name), self.wall_clock)
            return self._queue_parking

    def parked_jobs(self) -> "Iterator[ParkedJob]":
        """Yield the jobs in the parking place, in no particular order.

        Raises
        ------
        SettingsError
            The environment has no parking place, or it cannot list its jobs. A parking queue can
            only do so on the embedded SQS.
        SQSError
            A request failed.
        """
        return self._some_parking_place("list").list()

    def cancel(self, job_id: str) -> bool:
        """Remove a job from the parking place, so it never runs.

        Parameters
        ----------
        job_id :
            The ID of the job. In a parking queue, it can also be the message ID that ``delay()``
            returned, for 12 days.

        Returns
        -------
        bool
            Whether the job was removed. If not, it is not parked; it may already be in its queue.

        Raises
        ------
        SettingsError
            The environment has no parking place, or it cannot remove a job. A parking queue can
            only do so on the embedded SQS.
        SQSError
            The request failed.
        """
        return self._some_parking_place("cancel").cancel(job_id)

    def _some_parking_place(self, verb: str) -> "ParkingPlace":
        place = self.parking_place
        if place is None:
            raise SettingsError(
                f"there are no parked jobs to {verb}",
                why="the environment has no parking place",
                next="use SQSEnv(parking=…), or set SQSW_PARKING",
            )
        return place

    def parking_lane(self) -> "ParkingLane | None":
        """Return the lane that sends the jobs of the parking queue; None if there is no queue.

        Raises
        ------
        SettingsError
            A function is registered for the parking queue.
        """
        name = self.parking_queue
        if name is None:
            return None
        from sqsw.parking.parking_lane import ParkingLane  # only for environments with parking

        client = self.make_queue_client(name)
        for worked in self._worked_names():
            if self._known(worked).client.sqs_name == client.sqs_name:
                raise has_only_parked_jobs(worked)
        return ParkingLane(client, self._queue_of_parked_job, self.events, self.wall_clock)

    def _queue_of_parked_job(self, name: str) -> QueueClient | None:
        """Return the queue that a parked message names; None if the name cannot be used.

        Anyone who can send to the parking queue chooses the name, so it cannot be an address.
        """
        queue = self.queues.get(name)
        if queue is not None:
            return queue.client
        return self.make_queue_client(name) if is_plain_queue_name(name) else None

    def companions(self, *, schedule: bool = True, parking: bool = True) -> list[Companion]:
        """Return what a worker of this environment does next to its jobs.

        Parameters
        ----------
        schedule, parking :
            Whether to send the ticks of the schedules, and the parked jobs that are due.

        Raises
        ------
        SettingsError
            A function is registered for the parking queue.
        """
        lane = self.parking_lane()  # also to find jobs on the parking queue, in all processes
        found: list[Companion] = [lane] if parking and lane is not None else []
        if schedule and self.schedules:
            from sqsw.schedule.ticker import Ticker  # few workers need it

            ticker = Ticker(self.schedules.values(), self.job_queue, self.events, self.wall_clock)
            found.append(ticker)
        return found

    def process_batch(self, queue_name: str, wait_seconds: float = 0) -> BatchProcessingResult:
        """Receive once from this queue, and run the received jobs one by one."""
        return self._known(queue_name).process_batch(wait_seconds)

    def work_off(
        self, *, max_attempts: int = 1_000, max_seconds: float = 43_200
    ) -> "WorkOffResult":
        """Run all queued jobs and the jobs that they send, without waiting. For tests.

        If no job can be received, the clock of the queues moves to the next delayed, hidden or
        parked job.
        Jobs run one at a time, in this thread. The coroutines of one call share an event loop, and
        can share clients that belong to it.

        Parameters
        ----------
        max_attempts :
            Stop after this many attempts.
        max_seconds :
            Maximum total time to move the clock, 12 hours if it is not given. This ends a job that
            always fails and has no dead-letter queue. Raise it for jobs that are parked for
            longer.

        Returns
        -------
        WorkOffResult
            The done jobs, the failed attempts with their errors, and the remaining messages.

        Raises
        ------
        SettingsError
            The session is not a :class:`~sqsw.MemorySession`, so its clock cannot be moved.
        """
        from sqsw.memory_sqs import MemorySession
        from sqsw.queue.work_off import work_off
        from sqsw.sqs_manage.depth import DepthReader

        session = self.clients.session
        if not (isinstance(session, MemorySession) and hasattr(session.clock, "advance")):
            raise SettingsError(
                "work_off() works only on queues in memory",
                why="it moves the clock of the queues; those of AWS and of a file go on by "
                "themselves",
                next="use the pytest fixture sqs_env, or SQSEnv(MemorySession())",
            )
        existing = self.get_all_known_queues()
        queues = [self._known(name) for name in self._worked_names() if name in existing]
        lane = self.parking_lane()
        result = work_off(
            queues,
            session.clock,
            max_attempts=max_attempts,
            max_seconds=max_seconds,
            parking=lane if lane is not None and lane.name in existing else None,
        )
        depths = DepthReader(self)
        for name in self.get_all_known_queues():
            depth = depths.read(name)
            if count := depth.ready + depth.in_flight + depth.delayed:
                result.left[name] = count
        return result

    def process_queues(
        self,
        queue_names: Iterable[str] | None = None,
        shutdown_policy_maker: Callable[[], ShutdownPolicy] = NeverShutdown,
        *,
        concurrency: int = 1,
    ) -> None:
        """Run the jobs of several queues until the policies or a signal end the workers.

        Each queue gets a forked process, which is restarted if it dies and shares the objects of
        this process. If forks are not possible (because of other threads, or queues in memory), one
        worker in this process runs all queues with shared slots.

        Parameters
        ----------
        queue_names :
            Names without the prefix; None for all queues with a registered function.
        shutdown_policy_maker :
            Creates the policy of each queue.
        concurrency :
            Concurrent jobs per process.

        Raises
        ------
        SettingsError
            No functions are registered.
        """
        names = list(queue_names or self._worked_names())
        if not names:
            raise SettingsError(
                "there are no jobs to run: no function is registered",
                next="import the modules that register them, then call process_queues()",
            )
        from sqsw.memory_sqs import MemorySession
        from sqsw.queue.work import find_queue, work_queues
        from sqsw.supervisor.per_queue import work_apart  # multiprocessing, which few workers need

        settings = WorkerSettings(concurrency=concurrency, wait_seconds=10)

        def work(queues: Sequence[GenericQueue], has_companions: bool) -> "WorkerReport":
            return work_queues(
                queues,
                settings=settings,
                events=self.events,
                policy_of=lambda _: shutdown_policy_maker(),
                companions=self.companions() if has_companions else (),
            )

        work_apart(
            [self._known(name) for name in names],
            find=partial(find_queue, events=self.events),
            work=work,
            drain_seconds=settings.drain_seconds,
            events=self.events,
            fork=not isinstance(self.clients.session, MemorySession),
        )

    def _known(self, queue_name: str) -> GenericQueue:
        # A known queue keeps its class.
        return self.queues.get(queue_name) or self.queue(queue_name)
