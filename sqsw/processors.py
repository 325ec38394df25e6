"""The processor: decodes a job, calls its function, and decides how the job ended."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from types import CoroutineType, TracebackType
from typing import Any, Literal, Protocol

from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.codecs.envelope import Job, unpack_job
from sqsw.codecs.table import DEFAULT_CONTENT_TYPE
from sqsw.codecs.typed_arguments import TypedArguments
from sqsw.context import current_job, job_scope, running_job
from sqsw.core.arguments import call_handler
from sqsw.core.contracts import Backoff
from sqsw.core.failure_rules import Errors, FailureRules
from sqsw.core.jobs.awaitables import (
    is_coroutine_function,
    refuse_unrun,
    run_awaitable,
    wraps_coroutine_function,
)
from sqsw.core.jobs.current_job import CurrentJob, JobContext, RunsIn
from sqsw.core.jobs.job_list import JobList
from sqsw.core.jobs.runtime import FunctionCall, job_runtime
from sqsw.core.message import Message
from sqsw.core.results import SKIPPED, SUCCEEDED, FailedJobs, GiveUp, ProcessingResult, RetryJob
from sqsw.middleware.chain import Middleware, run_chain
from sqsw.middleware.options import Executor
from sqsw.middleware.time_limit import TimeLimit
from sqsw.transport.names import is_fifo

__all__ = ["DEFAULT_CONTEXT_VAR", "FailedJobs", "ProcessingResult", "Processor", "RetryJob"]

#: the default name of the parameter that takes the job context
DEFAULT_CONTEXT_VAR = "context"


#: A job that is about to run, and the call of its function. An alias, because Python evaluates the
#: annotations of an inner function each time it is defined, which is once per job.
Opened = tuple[CurrentJob, Callable[[], Any]]

#: Decodes a job and returns how to call it. If it raises, the job fails.
OpenJob = Callable[[RunsIn], Opened]


class ProcessorQueue(Protocol):
    """A queue, as far as its processors need it."""

    @property
    def name(self) -> str:
        """The name of the queue, without prefix."""
        ...

    @property
    def accept(self) -> Collection[str] | None:
        """The content types that can be read; None for all except pickle."""
        ...

    @property
    def middlewares(self) -> Sequence[Middleware]:
        """The middlewares of every job, the outermost first."""
        ...


class Ticks(Protocol):
    """What the schedules of a job know about its messages."""

    def is_outdated(self, message: Message) -> bool:
        """Return whether a message must not run because the next tick is already due."""
        ...

    def with_instant(self, message: Message, job_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with the instant of the tick as a datetime."""
        ...


@dataclass
class Processor:
    """Runs the jobs of one name. Subclass it to add code around them.

    Override :meth:`process`, and return what ``super().process(…)`` returns: for an ``async def``
    function, that is the coroutine::

        class Timed(Processor):
            def process(self, job_kwargs, job_context):
                with timer(self.queue_name, self.job_name):
                    return super().process(job_kwargs, job_context)

        env = SQSEnv(processor_maker=Timed)

    Attributes
    ----------
    queue :
        The queue that the jobs come from.
    fn :
        The function.
    job_name :
        The job name.
    pass_context, context_var :
        Whether the function takes the job context, and the name of its parameter.
    backoff_policy :
        How long its failed messages stay hidden; None for the policy of the queue.
    middlewares :
        The middlewares of these jobs, inside those of the queue.
    time_limit :
        Seconds that a job can run; None for the limit of the worker.
    executor :
        ``auto``: a thread, or the event loop if the function is ``async def``. ``process``: the
        function runs in a pool process of the worker, the rest of the job in the worker. The
        arguments of such a job must be picklable. An error that is not arrives as an ``SQSError``.
    check_arguments :
        Whether arguments are checked against the signature of the function, in the sender and in
        the worker. Use False for a decorator that adds or removes arguments and sets no
        ``__signature__``. Keywords are then sent as they are, and the function gets all of them.
    max_attempts :
        Attempts of one job, at least 1; None for the number of the queue.
    give_up_on :
        A job that raises one of these errors is not tried again. The errors of the queue and of the
        environment count too.
    typed_arguments :
        Whether arguments have the types of the annotations; see
        :class:`~sqsw.codecs.typed_arguments.TypedArguments`. Only for jobs that are sent as
        ``json``, and not for functions that take lists of jobs.
    ticks :
        The schedules of the job; None if it has none. See :meth:`sqsw.SQSEnv.periodic`.

    Raises
    ------
    TypeError
        ``executor`` is ``process``, and the function is ``async def``.
    SettingsError
        ``max_attempts`` is out of its range, or ``give_up_on`` is not made of exception classes.
    """

    queue: ProcessorQueue
    fn: Callable[..., Any]
    job_name: str = ""
    pass_context: bool = False
    context_var: str = DEFAULT_CONTEXT_VAR
    backoff_policy: Backoff | None = None
    middlewares: Sequence[Middleware] = ()
    time_limit: float | None = None
    executor: Executor = "auto"
    check_arguments: bool = True
    max_attempts: int | None = None
    give_up_on: Errors = ()
    typed_arguments: bool = False
    ticks: Ticks | None = None

    def __post_init__(self) -> None:
        FailureRules(self.max_attempts, self.give_up_on)  # raises if they are wrong
        if self.executor == "process" and self.is_async:
            raise TypeError(
                f"{self.job_name!r} is a coroutine, and cannot run in a pool process: "
                "write it as a plain function, or leave out executor"
            )

    @classmethod
    def maker(cls, **kwargs: Any) -> Callable[..., "Processor"]:
        """Return this class with some arguments set, for ``processor_maker=``."""
        return partial(cls, **kwargs)

    def copy(self, **changes: Any) -> "Processor":
        """Return a copy of the processor with some attributes changed."""
        return replace(self, **changes)

    @property
    def queue_name(self) -> str:
        """The name of the queue, without prefix."""
        return self.queue.name

    @cached_property
    def converter(self) -> TypedArguments | None:
        """What converts the arguments to JSON values and back; None if they are not typed.

        Raises
        ------
        SettingsError
            msgspec is not installed.
        """
        return TypedArguments(self.fn) if self.typed_arguments else None

    @cached_property
    def is_async(self) -> bool:
        """Whether the job runs as a coroutine on the event loop.

        For a plain function that wraps a coroutine function, this becomes true after the first
        coroutine that it returns.
        """
        return is_coroutine_function(self.fn) or is_coroutine_function(self.process)

    # With *args, type checkers accept overrides with and without ``job_context``.
    def process(self, job_kwargs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function and return its result: a coroutine if it is ``async def``.

        Call it as ``process(job_kwargs, job_context)``. Keywords that the function does not take
        are dropped, so senders and workers can be deployed in either order.
        """
        if not self.pass_context:
            return self._call_function([], job_kwargs)
        job_context = args[0] if args else kwargs.get("job_context")
        if job_context is None:  # an override that takes one argument did not pass it on
            job = current_job()
            job_context = job.context if job else {}
        return self._call_function([], {**job_kwargs, self.context_var: job_context})

    def process_batch(self, jobs: list[dict[str, Any]]) -> Any:
        """Call the function with a list: the keyword arguments of each job as a dictionary."""
        return self._call_function([jobs], {})

    def _call_function(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        elsewhere = job_runtime.get().call_elsewhere
        if self.executor != "process" or elsewhere is None:
            returned = call_handler(self.fn, args, kwargs, check=self.check_arguments)
            if returned is None or self.is_async or not inspect.isawaitable(returned):
                return returned
            # The function is plain, so middlewares and the time limit already treat this job as a
            # plain one. Later jobs can run on the event loop.
            if type(self).process is Processor.process and wraps_coroutine_function(self.fn):
                self.is_async = True
            returned = run_awaitable(returned)
            refuse_unrun(returned, self.job_name)
            return returned
        job = current_job()
        return elsewhere(
            FunctionCall(
                queue_name=self.queue_name,
                job_name=self.job_name,
                module=getattr(self.fn, "__module__", ""),
                qualified_name=getattr(self.fn, "__qualname__", ""),
                args=args,
                kwargs=kwargs,
                job=job and replace(job, messages=[m.without_content() for m in job.messages]),
                check_arguments=self.check_arguments,
            )
        )

    def _around(self) -> Sequence[Middleware]:
        return limited(self.time_limit, [*self.queue.middlewares, *self.middlewares])

    def process_message(self, message: Message) -> ProcessingResult:
        """Run the job of a message, and return how it ended."""
        if self.ticks is not None and self.ticks.is_outdated(message):
            return SKIPPED
        return run_job(partial(self._open, message), self._around())

    def process_messages(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Run the jobs of several messages as one list, and return one result per message."""
        readable, results = self._readable(messages)
        try:
            if readable:
                jobs = self._job_list(readable)
                open_job = self._opener(readable, jobs)
                self._add(readable, jobs.results(run_job(open_job, self._around())), results)
            return [results[message.receipt_handle] for message in messages]
        finally:
            results.clear()  # see run_job

    async def process_message_async(self, message: Message) -> ProcessingResult:
        """Do the same as :meth:`process_message`, on the event loop."""
        if self.ticks is not None and self.ticks.is_outdated(message):
            return SKIPPED
        return await run_job_async(partial(self._open, message), self._around())

    async def process_messages_async(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        """Do the same as :meth:`process_messages`, on the event loop."""
        readable, results = self._readable(messages)
        try:
            if readable:
                jobs = self._job_list(readable)
                open_job = self._opener(readable, jobs)
                self._add(
                    readable, jobs.results(await run_job_async(open_job, self._around())), results
                )
            return [results[message.receipt_handle] for message in messages]
        finally:
            results.clear()

    def _add(
        self,
        readable: Sequence[tuple[Message, Job]],
        found: Sequence[ProcessingResult],
        results: dict[str, ProcessingResult],
    ) -> None:
        handles = (message.receipt_handle for message, _ in readable)
        results.update(zip(handles, found, strict=True))

    def _open(self, message: Message, runs_in: RunsIn) -> Opened:
        """Decode the job of a message; see ``OpenJob``."""
        job = unpack_job(message, self.queue.accept)
        if self.converter is not None and job.content_type == DEFAULT_CONTENT_TYPE:
            job = job._replace(job_kwargs=self.converter.from_json(job.job_kwargs))
        if self.ticks is not None:
            job = job._replace(job_kwargs=self.ticks.with_instant(message, job.job_kwargs))
        context = JobContext(job.job_context)
        context_as = _context_argument(type(self).process)
        arguments = [job.job_kwargs, context] if context_as == "position" else [job.job_kwargs]
        process: Callable[..., Any] = self.process
        if context_as == "keyword":
            process = partial(process, job_context=context)
        if self.is_async and is_coroutine_function(self.fn):
            process = partial(self._call_checked, process)
        if self.executor == "process":
            runs_in = self._runs_in(runs_in)
        running = CurrentJob((message,), self.job_name, context, runs_in)
        return running, partial(process, *arguments)

    def _job_list(self, readable: Sequence[tuple[Message, Job]]) -> JobList:
        jobs = [job.job_kwargs for _, job in readable]
        if self.pass_context:
            jobs = [
                {**job.job_kwargs, self.context_var: JobContext(job.job_context)}
                for _, job in readable
            ]
        return JobList(jobs)

    def _opener(self, readable: Sequence[tuple[Message, Job]], jobs: JobList) -> OpenJob:
        """Return the ``OpenJob`` of a list of jobs that are decoded already."""

        def open_job(runs_in: RunsIn) -> Opened:
            context = JobContext(readable[0][1].job_context)
            messages = tuple(message for message, _ in readable)
            # A copy of the list, because the function can change it.
            call = partial(self._call_checked, self.process_batch, list(jobs.jobs))
            running = CurrentJob(messages, self.job_name, context, self._runs_in(runs_in))
            return running, jobs.noting(call)

        return open_job

    def _runs_in(self, otherwise: RunsIn) -> RunsIn:
        elsewhere = self.executor == "process" and job_runtime.get().call_elsewhere is not None
        return "process" if elsewhere else otherwise

    def _readable(
        self, messages: Sequence[Message]
    ) -> tuple[list[tuple[Message, Job]], dict[str, ProcessingResult]]:
        """Return the jobs that can be decoded, and the results of those that cannot."""
        readable: list[tuple[Message, Job]] = []
        results: dict[str, ProcessingResult] = {}
        for message in messages:
            if results and is_fifo(self.queue.name):
                # All messages of the list are of one group, and an earlier one has failed.
                results[message.receipt_handle] = _NOT_ITS_TURN
                continue
            try:
                readable.append((message, unpack_job(message, self.queue.accept)))
            except Exception as error:  # noqa: BLE001  # the other messages of the list can run
                results[message.receipt_handle] = judge(error)
        return readable, results

    def _call_checked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call an override of ``process``, and refuse it if it drops a coroutine."""
        returned = call(*arguments)
        if isinstance(returned, CoroutineType) or not is_coroutine_function(self.fn):
            return returned
        if not inspect.isawaitable(returned):
            raise TypeError(
                f"{type(self).__name__} dropped the coroutine of {self.job_name!r}: "
                "an override must return what super() returns"
            )
        return returned


#: The result of a job that did not run because an earlier one of its group failed. SQS delivers its
#: message again only after the failed one.
_NOT_ITS_TURN = ProcessingResult(False, IMMEDIATE_RETURN)


def limited(seconds: float | None, middlewares: Sequence[Middleware]) -> Sequence[Middleware]:
    """Return middlewares with a time limit around them, if there is a limit.

    Parameters
    ----------
    seconds :
        The time limit; None for the limit of the worker.
    """
    seconds = job_runtime.get().time_limit if seconds is None else seconds
    return middlewares if seconds is None else [TimeLimit(seconds), *middlewares]


def run_job(open_job: OpenJob, middlewares: Sequence[Middleware]) -> ProcessingResult:
    """Run one job and return how it ended.

    The traceback of a failed job refers to all frames that called it. A frame that keeps the error
    in a variable makes a reference cycle, and the objects of the job live until it is collected.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C is not a failure of the job.
    """
    try:
        job, call = open_job("thread")
        token = running_job.set(job)
        try:
            if middlewares:
                return _call_in_middlewares(middlewares, job, call)
            return _call_job(job, call)
        finally:
            running_job.reset(token)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # also SystemExit: a job cannot end the worker
        return judge(error)


def _call_job(job: CurrentJob, call: Callable[[], Any]) -> ProcessingResult:
    returned = call()
    if returned is not None:
        is_awaitable = inspect.isawaitable(returned)
        refuse_unrun(run_awaitable(returned) if is_awaitable else returned, job.job_name)
    return SUCCEEDED


def _call_in_middlewares(
    middlewares: Sequence[Middleware], job: CurrentJob, call: Callable[[], Any]
) -> ProcessingResult:
    raised = _Raised()
    try:
        with run_chain(middlewares, job), raised:
            _call_job(job, call)
        return raised.result()
    finally:
        del raised


async def run_job_async(open_job: OpenJob, middlewares: Sequence[Middleware]) -> ProcessingResult:
    """Do the same as :func:`run_job`, on the event loop.

    Raises
    ------
    asyncio.CancelledError
        The worker cancelled the job.
    """
    raised = _Raised()
    try:
        job, call = open_job("loop")
        with job_scope(job), run_chain(middlewares, job), raised:
            returned = call()
            if returned is not None:
                is_awaitable = inspect.isawaitable(returned)
                refuse_unrun(await returned if is_awaitable else returned, job.job_name)
        return raised.result()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if _was_cancelled(error):
            raise
        return judge(error)
    finally:
        del raised


def _was_cancelled(error: BaseException) -> bool:
    """Return whether the worker canceled the job; a job can also raise CancelledError itself."""
    import asyncio  # workers without coroutines start without it

    task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
    return task is not None and bool(task.cancelling())


class _Raised:
    """Remembers what a job raised: the job fails even if a middleware catches the error."""

    def __init__(self) -> None:
        self._error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._error = error

    def result(self) -> ProcessingResult:
        """Return how the job ended, after all middlewares have exited."""
        return SUCCEEDED if self._error is None else judge(self._error)


def judge(error: BaseException) -> ProcessingResult:
    """Return the result of a job that raised this."""
    if isinstance(error, RetryJob):
        return ProcessingResult(False, error.backoff_policy)
    error = error.with_traceback(_without_own_frames(error))
    return ProcessingResult(False, error=error, give_up=isinstance(error, GiveUp))


def _without_own_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame of the app on, without the frames of sqsw."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if not str(module).startswith(("sqsw.", "asyncio.")):
            break
        traceback = traceback.tb_next
    return traceback


def as_result(value: object) -> ProcessingResult:
    """Return a result for what ``process_message`` returned; overrides can return a bool."""
    if isinstance(value, ProcessingResult):
        return value
    return SUCCEEDED if value else ProcessingResult(False)


@lru_cache(maxsize=256)
def _context_argument(process: Callable[..., Any]) -> Literal["position", "keyword", "none"]:
    """Return how an override of ``process`` takes the job context."""
    parameters = inspect.signature(process).parameters
    named = parameters.get("job_context")
    if named is not None and named.kind is inspect.Parameter.KEYWORD_ONLY:
        return "keyword"
    positional = [
        p
        for p in parameters.values()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    return "position" if len(positional) > 2 or variadic else "none"
