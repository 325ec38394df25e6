"""A queue of jobs: each message has a job name, and each job name has a processor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from sqsw.async_task import MESSAGE_KEYWORDS, AsyncTask, JobBlock, function_of
from sqsw.backoff_policies import ConstantBackoff
from sqsw.codecs.envelope import JOB_NAME, job_name_of, pack_body, pack_job
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE
from sqsw.core.arguments import check_function, place_of
from sqsw.core.contracts import Backoff
from sqsw.core.errors import DecodeError, TaskAlreadyRegistered, TaskNotFound
from sqsw.core.failure_rules import DEFAULT_RULES, FailureRules
from sqsw.core.job_metadata import SQSW, JobMetadata
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.middleware.options import ProcessorOptions
from sqsw.processors import (
    DEFAULT_CONTEXT_VAR,
    Processor,
    as_result,
    judge,
)
from sqsw.queue.generic import GenericQueue
from sqsw.queue.outbox import JobBatch, Outbox
from sqsw.transport.batches import Entry, check_job_name, plain_job_name

P = ParamSpec("P")
R = TypeVar("R")

#: the backoff of a job without a processor, which a deploy can bring in the meantime
UNKNOWN_JOB_BACKOFF = ConstantBackoff(300)

#: the most characters of a job name in an error: the sender chooses the name
_SHOWN_NAME = 100

# Anything else is a processor: ``processor_maker`` can return objects of any class.
_RESULT = (ProcessingResult, bool)


def refusing_a_queue_name(method: Callable[P, R]) -> Callable[P, R]:
    """Make ``queue.processor()`` explain the mistake if it is called like ``env.processor()``."""

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        names = [argument for argument in args[1:3] if isinstance(argument, str)]
        if len(names) == 2:
            first, second = names
            raise TypeError(
                f"queue.processor() takes the job name only, and got {first!r} and {second!r}: "
                f"did you mean env.processor({first!r}, {second!r}, …) "
                f"or queue.processor({second!r}, …)?"
            )
        return method(*args, **kwargs)

    return checked


class JobQueue(GenericQueue):
    """A queue whose messages are jobs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.processors: dict[str, Processor] = {}
        self.sources: dict[str, str] = {}
        self._outbox = Outbox(lambda: self.client, self._parking_place)

    # -- registering -------------------------------------------------------------------------

    @overload
    def processor(
        self,
        job_name: str,
        pass_context: Literal[False] = False,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[P, object]], AsyncTask[P]]: ...
    @overload
    def processor(
        self,
        job_name: str,
        pass_context: bool,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]: ...
    @refusing_a_queue_name
    def processor(
        self,
        job_name: str,
        pass_context: bool = False,
        context_var: str = DEFAULT_CONTEXT_VAR,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]:
        """Run the decorated function for jobs of this name.

        With ``pass_context``, type checkers do not check the arguments of ``delay``, because the
        worker provides one of them.

        Parameters
        ----------
        job_name :
            The job name.
        pass_context, context_var :
            Whether the function takes the job context, and the name of its parameter.
        options :
            ``backoff_policy``, ``middlewares``, ``time_limit``, ``executor``, ``check_arguments``,
            ``max_attempts``, ``give_up_on`` and ``typed_arguments`` of its
            :class:`~sqsw.processors.Processor`; None for ``typed_arguments`` means that of the
            environment.

        Raises
        ------
        TaskAlreadyRegistered
            Another function already has this job name.
        TypeError
            The job name is missing, a queue name was given as well, or the function cannot be a
            job.
        SettingsError
            The job name is empty, or has a character that SQS does not accept.
        """
        job_name = check_job_name(job_name)

        def register(fn: Callable[..., object]) -> AsyncTask[...]:
            self.refuse_other(job_name, fn)
            return self.connect_processor(job_name, fn, pass_context, context_var, **options)

        return register

    def connect_processor(
        self,
        job_name: str,
        processor: Callable[P, object],
        pass_context: bool = False,
        context_var: str = DEFAULT_CONTEXT_VAR,
        **options: Unpack[ProcessorOptions],
    ) -> AsyncTask[P]:
        """Run ``processor`` for jobs of this name. It replaces the function that ran before.

        The other parameters are those of :meth:`processor`.

        Raises
        ------
        TypeError
            It is a generator function, or has a parameter that can never reach a job.
        SettingsError
            The job name is empty, or has a character that SQS does not accept.
        """
        job_name = check_job_name(job_name)
        processor = function_of(processor)
        check_function(processor, MESSAGE_KEYWORDS)
        # An application's processor_maker need not take these arguments.
        backoff_policy = options.pop("backoff_policy", None)
        rules = FailureRules(options.pop("max_attempts", None), options.pop("give_up_on", ()))
        is_typed = options.pop("typed_arguments", None)
        ticks = getattr(self.processors.get(job_name), "ticks", None)
        self.processors[job_name] = self.env.processor_maker(
            queue=self,
            fn=processor,
            job_name=job_name,
            pass_context=pass_context,
            context_var=context_var,
            **options,
        )
        if ticks is not None:
            self.processors[job_name].ticks = ticks
        if backoff_policy is not None:
            self.processors[job_name].backoff_policy = backoff_policy
        if rules != DEFAULT_RULES:
            self.processors[job_name].max_attempts = rules.max_attempts
            self.processors[job_name].give_up_on = rules.give_up_on
        if self.env.typed_arguments if is_typed is None else is_typed:
            self.processors[job_name].typed_arguments = True
            getattr(self.processors[job_name], "converter", None)  # raises without msgspec
        self.sources[job_name] = self.env.registration_source
        return AsyncTask(
            self,
            job_name,
            processor,
            (context_var,) if pass_context else (),
            options.get("check_arguments", True),
        )

    def refuse_other(self, job_name: str, fn: Callable[..., Any]) -> None:
        """Raise if another function has this job name.

        Raises
        ------
        TaskAlreadyRegistered
            The error names both functions and where they come from.
        """
        known, fn = self.processors.get(job_name), function_of(fn)
        if known is not None and place_of(known.fn) != place_of(fn):
            first, second = self.sources[job_name], self.env.registration_source
            by_app = first == second == "app"
            raise TaskAlreadyRegistered(
                f"job '{self.name}.{job_name}' is registered twice",
                reason=None if by_app else "plugin",
                why=f"by {place_of(known.fn)} ({first}) and {place_of(fn)} ({second})",
                next="rename one" if by_app else "rename one, or load no plugins",
            )

    def get_processor(self, job_name: str) -> Processor | None:
        """Return the processor of a job name, or None."""
        return self.processors.get(job_name)

    def copy_processors(self, dst_queue: "JobQueue") -> None:
        """Register the processors of this queue with another one, such as its dead-letter queue."""
        for job_name, processor in self.processors.items():
            dst_queue.processors[job_name] = processor.copy(queue=dst_queue)
            dst_queue.sources[job_name] = self.sources[job_name]

    def take_processor(self, job_name: str, source: "JobQueue") -> None:
        """Register the processor that another queue has for this job name.

        Raises
        ------
        TaskAlreadyRegistered
            Another function already has this job name.
        """
        processor = source.processors[job_name]
        self.refuse_other(job_name, processor.fn)
        if job_name not in self.processors:
            self.processors[job_name] = processor.copy(queue=self)
            self.processors[job_name].ticks = None  # the schedules belong to the other queue
            self.sources[job_name] = self.env.registration_source

    def _backoff_policies(self) -> Mapping[str | None, Backoff]:
        return {
            name: _backoff_of(processor) or self.backoff_policy
            for name, processor in self.processors.items()
        } or super()._backoff_policies()

    def _max_attempts_of(self, job_name: str | None) -> int | None:
        processor = None if job_name is None else self.get_processor(job_name)
        return getattr(processor, "max_attempts", None) or super()._max_attempts_of(job_name)

    # -- sending -----------------------------------------------------------------------------

    def add_job(
        self,
        job_name: str | None = None,
        /,
        _content_type: str | None = None,
        _delay_seconds: float | timedelta | None = None,
        _deduplication_id: str | None = None,
        _group_id: str | None = None,
        _job_id: str | None = None,
        _run_at: datetime | None = None,
        **job_kwargs: Any,
    ) -> str | None:
        """Send a job.

        Parameters
        ----------
        job_name :
            The job name. As in sqs-workers, it can be a keyword if the job has no argument of that
            name.
        _content_type :
            The codec; None for the codec of the environment.
        _delay_seconds :
            Seconds until the job can be received, or a timedelta. SQS delays a job of a standard
            queue by 0 to 900 seconds. Longer delays, up to 366 days, and all delays on FIFO queues
            need ``SQSEnv(parking=…)``.
        _deduplication_id :
            The deduplication ID; FIFO queues only.
        _group_id :
            The message group; None: ``default`` on FIFO queues.
        _job_id :
            The job id, 1 to 128 printable ASCII characters without spaces; None makes a new one.
        _run_at :
            When the job can be received: a datetime with a time zone, instead of a delay. A time in
            the past means now.

        Returns
        -------
        str | None
            The message ID; None inside a batch, because the message has not been sent yet.

        Raises
        ------
        MessageRefused
            SQS would refuse the message, the codec cannot encode a value, the delay is too long, or
            ``_run_at`` has no time zone.
        QueueNotFound
            The queue, or the parking queue, does not exist.
        TypeError
            Both ``_delay_seconds`` and ``_run_at`` are given.
        """
        if job_name is None:
            if "job_name" not in job_kwargs:
                raise TypeError("add_job() is missing the job name")
            job_name = job_kwargs.pop("job_name")
        job_name = plain_job_name(job_name)
        content_type = _content_type or self.env.codec
        entry = pack_job(
            job_name,
            self._sendable(job_name, job_kwargs, content_type),
            self.env.context.to_dict(),
            content_type,
            deduplication_id=_deduplication_id,
            group_id=_group_id,
        )
        return self._put(entry, job_name, _job_id, self._delay(entry, _delay_seconds, _run_at))

    def pack_tick(
        self,
        job_name: str,
        job_kwargs: Mapping[str, Any],
        at: str | None,
        *,
        group_id: str,
        deduplication_id: str,
        metadata: JobMetadata,
    ) -> Entry:
        """Return the entry of a periodic job, which :meth:`add_job` would send.

        Parameters
        ----------
        at :
            The argument ``at``; None: the function does not take it.
        metadata :
            The job id, the schedule and the instant.

        Raises
        ------
        MessageRefused
            SQS would refuse the message, or the codec cannot encode a value.
        """
        content_type = self.env.codec
        sendable = self._sendable(job_name, job_kwargs, content_type)
        entry = pack_job(
            job_name,
            sendable if at is None else {**sendable, "at": at},
            self.env.context.to_dict(),
            content_type,
            deduplication_id=deduplication_id,
            group_id=group_id,
        )
        entry["MessageAttributes"][SQSW] = metadata.to_attribute()
        self._complete(entry, job_name, None)
        return entry

    def _sendable(
        self, job_name: str, job_kwargs: Mapping[str, Any], content_type: str
    ) -> Mapping[str, Any]:
        """Return arguments as the codec takes them: typed ones, and ``at``, become JSON values."""
        if content_type != DEFAULT_CONTENT_TYPE or self.takes_lists:
            return job_kwargs
        # What a processor_maker makes need not have these attributes.
        processor = self.processors.get(job_name)
        converter = getattr(processor, "converter", None)
        if converter:
            return converter.to_json(job_kwargs)  # type: ignore[no-any-return]  # see above
        if getattr(processor, "ticks", None) is None or "at" not in job_kwargs:
            return job_kwargs
        to_text = getattr(job_kwargs["at"], "isoformat", None)
        return job_kwargs if to_text is None else {**job_kwargs, "at": to_text()}

    def add_raw_job(
        self,
        job_name: str,
        message_body: str,
        job_context: str = "{}",
        content_type: str = "json",
        delay_seconds: float | timedelta | None = None,
        deduplication_id: str | None = None,
        group_id: str | None = None,
        job_id: str | None = None,
        run_at: datetime | None = None,
    ) -> str | None:
        """Send a job whose body and context are encoded already; see :meth:`add_job`."""
        job_name = plain_job_name(job_name)
        entry = pack_body(
            job_name,
            message_body,
            job_context,
            content_type,
            deduplication_id=deduplication_id,
            group_id=group_id,
        )
        return self._put(entry, job_name, job_id, self._delay(entry, delay_seconds, run_at))

    def _put(
        self, entry: Entry, job_name: str, job_id: str | None, due: datetime | None
    ) -> str | None:
        self._complete(entry, job_name, job_id, due)
        if self._outbox.is_open:
            self._outbox.add(entry, due)
            return None
        return self._send(entry, due)

    def add_batch(self) -> JobBlock:
        """Collect the jobs that are added inside the block, and send them ten at a time.

        Use it as ``with queue.add_batch():``, or in a coroutine as ``async with
        queue.add_batch():``, which sends the last ones in a thread. A call to SQS goes out as soon
        as it is full: with ten jobs, or 1 MiB. The rest is sent at the end of the outermost block.

        If the block raises, the jobs that were added in it and are not sent yet are discarded. Jobs
        of full calls are at SQS already and will run.

        Raises
        ------
        SQSBatchError
            At the end, if some jobs were not sent; all others were.
        """
        return JobBatch(self._outbox)

    def open_add_batch(self) -> None:
        """Begin to collect jobs. Batches can be opened inside each other."""
        self._outbox.open()

    def close_add_batch(self) -> None:
        """Send what was collected since :meth:`open_add_batch`.

        Call it only if nothing was raised; :meth:`add_batch` discards the jobs otherwise.
        """
        self._outbox.close()

    # -- running -----------------------------------------------------------------------------

    def look_up(self, message: Message) -> JobKey:
        """Return the name of a message's job, and the executor that it wants."""
        job_name = message.string_attribute(JOB_NAME)
        processor = self.processors.get(job_name or "")
        if processor is None:
            return JobKey(job_name, is_registered=False)
        # What a processor_maker makes need not have it.
        most = getattr(processor, "max_attempts", None)
        if processor.executor == "process":
            return JobKey(job_name, "process", max_attempts=most)
        return JobKey(job_name, "loop" if processor.is_async else "thread", True, most)

    def process_message(self, message: Message) -> ProcessingResult | bool:
        """Run the job of a message, and return how it ended."""
        # Not _find() at once: nearly every message has a processor, and this is faster.
        processor = self.processors.get(message.string_attribute(JOB_NAME) or "")
        found = self._find(message) if processor is None else processor
        if isinstance(found, _RESULT):
            return found
        return _with_rules(found, found.process_message(message))

    async def process_message_async(self, message: Message) -> ProcessingResult | bool:
        """Do the same as :meth:`process_message`, on the event loop."""
        found = self._find(message)
        if isinstance(found, _RESULT):
            return found
        return _with_rules(found, await found.process_message_async(message))

    def process_messages(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run the jobs of several messages, one list per job name."""
        results: dict[str, ProcessingResult] = {}
        try:
            for processor, group in self._by_processor(messages, results):
                try:
                    _add(results, processor, group, processor.process_messages(group))
                except Exception as error:  # noqa: BLE001  # the other lists can still run
                    _add(results, processor, group, [judge(error)] * len(group))
            return [results[message.receipt_handle] for message in messages]
        finally:
            results.clear()  # see run_job

    async def process_messages_async(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Do the same as :meth:`process_messages`, on the event loop."""
        results: dict[str, ProcessingResult] = {}
        try:
            for processor, group in self._by_processor(messages, results):
                try:
                    _add(results, processor, group, await processor.process_messages_async(group))
                except Exception as error:  # noqa: BLE001  # as above
                    _add(results, processor, group, [judge(error)] * len(group))
            return [results[message.receipt_handle] for message in messages]
        finally:
            results.clear()

    def _by_processor(
        self, messages: Sequence[Message], results: dict[str, ProcessingResult]
    ) -> list[tuple[Processor, list[Message]]]:
        """Group messages by processor. Messages without a processor get their result here."""
        groups: dict[str, tuple[Processor, list[Message]]] = {}
        for message in messages:
            found = self._find(message)
            if isinstance(found, _RESULT):
                results[message.receipt_handle] = as_result(found)
            else:
                groups.setdefault(found.job_name, (found, []))[1].append(message)
        return list(groups.values())

    def _find(self, message: Message) -> Processor | ProcessingResult | bool:
        """Return the processor of a message, or the result of a message without one."""
        job_name = job_name_of(message)
        if job_name is None:
            missing = DecodeError(
                f"the message has no attribute {JOB_NAME}",
                why="sqsw and sqs-workers attach it to every job; something else sent this one",
                next="work such messages on a raw queue",
            )
            return ProcessingResult(False, error=missing)
        processor = self.processors.get(job_name)
        return self.process_message_fallback(job_name) if processor is None else processor

    def process_message_fallback(self, job_name: str) -> ProcessingResult | bool:
        """Return the result of a job without a processor: it is hidden for five minutes.

        Override this to do something else.
        """
        known = ", ".join(sorted(self.processors)) or "none"
        unknown = TaskNotFound(
            f"no processor for the job '{self.name}.{job_name[:_SHOWN_NAME]}'",
            why=f"registered for this queue: {known}",
            next="register it, or deploy the release that has it",
        )
        return ProcessingResult(False, UNKNOWN_JOB_BACKOFF, error=unknown)


def _add(
    results: dict[str, ProcessingResult],
    processor: Processor,
    messages: Sequence[Message],
    ended: Sequence[ProcessingResult | bool],
) -> None:
    handles = (message.receipt_handle for message in messages)
    ended_by_rules = [_with_rules(processor, result) for result in ended]
    results.update(zip(handles, ended_by_rules, strict=True))


def _with_rules(processor: Processor, result: ProcessingResult | bool) -> ProcessingResult:
    """Complete a failure with the backoff policy of its processor and its rules for giving up."""
    result = as_result(result)
    if result.success:
        return result
    # The objects of an application's processor_maker need not have these attributes.
    give_up_on = getattr(processor, "give_up_on", ())
    return replace(
        result,
        backoff_policy=result.backoff_policy or _backoff_of(processor),
        give_up=result.give_up or isinstance(result.error, give_up_on),
        max_attempts=getattr(processor, "max_attempts", None),
    )


def _backoff_of(processor: Processor) -> Backoff | None:
    # The objects of an application's processor_maker need not have this attribute.
    return getattr(processor, "backoff_policy", None)
