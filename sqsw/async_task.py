"""What a decorated function becomes: a task that is sent instead of called."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, cast, overload

from sqsw.core.arguments import bind_arguments
from sqsw.core.errors import UnboundTask

P = ParamSpec("P")


class AsyncTaskDelayArgs(TypedDict, total=False):
    """The keywords of :meth:`AsyncTask.delay` that are about the message and not about the job."""

    _content_type: str
    _delay_seconds: float | timedelta
    _deduplication_id: str
    _group_id: str
    _job_id: str
    _run_at: datetime


#: names that no parameter of a job can have
MESSAGE_KEYWORDS = frozenset(AsyncTaskDelayArgs.__annotations__)


class JobBlock(AbstractContextManager[None], AbstractAsyncContextManager[None], Protocol):
    """A block for ``with`` or ``async with``."""


class JobSender(Protocol):
    """All that a task asks of its queue."""

    @property
    def name(self) -> str: ...

    @property
    def takes_lists(self) -> bool: ...

    def add_job(self, job_name: str, /, **keywords: Any) -> str | None: ...

    def add_batch(self) -> JobBlock: ...


class AsyncTask(Generic[P]):
    """A function that runs in a worker.

    Parameters
    ----------
    queue :
        The queue to which jobs go; None until an environment takes the task.
    job_name :
        The name under which workers know the function.
    processor :
        The function.
    provided :
        Parameters that the worker provides (the job context).
    check_arguments :
        Whether calls are checked against the signature of the function.
    """

    def __init__(
        self,
        queue: JobSender | None,
        job_name: str,
        processor: Callable[P, object],
        provided: Collection[str] = (),
        check_arguments: bool = True,
    ) -> None:
        self._queue = queue
        self.job_name = job_name
        self.processor = processor
        self.provided = tuple(provided)
        self.check_arguments = check_arguments
        self.__doc__ = processor.__doc__
        self.__name__ = getattr(processor, "__name__", job_name)
        self.__wrapped__ = processor

    @property
    def queue(self) -> JobSender:
        """The queue to which jobs go.

        Raises
        ------
        UnboundTask
            The task belongs to a registry that no environment has taken yet.
        """
        if self._queue is None:
            raise UnboundTask(
                f"the task {self.job_name!r} has no queue yet",
                why="it was declared in a TaskRegistry that no SQSEnv has taken",
                next="call registry.bind(env) before the first delay()",
            )
        return self._queue

    def bind(self, queue: JobSender) -> None:
        """Send to this queue from now on."""
        self._queue = queue

    @overload
    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> str | None: ...
    @overload
    def delay(
        self,
        /,
        *args: Any,
        _delay_seconds: float | timedelta,
        _content_type: str = ...,
        _deduplication_id: str = ...,
        _group_id: str = ...,
        _job_id: str = ...,
        **kwargs: Any,
    ) -> str | None: ...
    @overload
    def delay(
        self,
        /,
        *args: Any,
        _run_at: datetime,
        _content_type: str = ...,
        _deduplication_id: str = ...,
        _group_id: str = ...,
        _job_id: str = ...,
        **kwargs: Any,
    ) -> str | None: ...
    @overload
    def delay(
        self,
        /,
        *args: Any,
        _content_type: str,
        _deduplication_id: str = ...,
        _group_id: str = ...,
        _job_id: str = ...,
        **kwargs: Any,
    ) -> str | None: ...
    @overload
    def delay(
        self,
        /,
        *args: Any,
        _deduplication_id: str,
        _group_id: str = ...,
        _job_id: str = ...,
        **kwargs: Any,
    ) -> str | None: ...
    @overload
    def delay(
        self, /, *args: Any, _group_id: str, _job_id: str = ..., **kwargs: Any
    ) -> str | None: ...
    @overload
    def delay(self, /, *args: Any, _job_id: str, **kwargs: Any) -> str | None: ...
    def delay(self, /, *args: Any, **kwargs: Any) -> str | None:
        """Send the call ``function(*args, **kwargs)`` as a job.

        Keywords that begin with an underscore are about the message:

        - ``_delay_seconds``: seconds or a timedelta, up to 15 minutes on standard queues; up to
          366 days on all queues with ``SQSEnv(parking=…)``;
        - ``_run_at``: a datetime with a time zone, instead of a delay;
        - ``_group_id`` and ``_deduplication_id`` (FIFO);
        - ``_content_type``;
        - ``_job_id``, which replaces the job id that sqsw would make (1 to 128 printable ASCII
          characters, no spaces).

        Returns
        -------
        str | None
            The message id; None inside a batch, where it is not known yet.

        Raises
        ------
        TypeError
            The function cannot be called like this, or both a delay and a time to run at are given.
        UnboundTask
            The task belongs to a registry that no environment has taken yet.
        MessageRefused
            SQS would not take the message, the codec cannot carry a value, the delay is too long,
            or ``_run_at`` has no time zone.
        """
        return self.send(self.message_of(args, kwargs))

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Send the call as a job, in a thread, so the event loop does not wait for SQS.

        It returns and raises what :meth:`delay` does. Use :meth:`options` for the delay and other
        values of the message. If the waiting task is cancelled, the job may still be sent.
        """
        return await _in_thread(self.send, self.message_of(args, kwargs))

    def options(
        self,
        *,
        delay: float | timedelta | None = None,
        run_at: datetime | None = None,
        group: str | None = None,
        deduplication_id: str | None = None,
        job_id: str | None = None,
        content_type: str | None = None,
    ) -> "TaskWithOptions[P]":
        """Return this task with values of the message, whose ``delay`` keeps the argument types.

        ::

            send_email.options(delay=60).delay(to="ann@example.com")

        Parameters
        ----------
        delay :
            Seconds until the job can be received, or a timedelta; see :meth:`delay`.
        run_at :
            When the job can be received: a datetime with a time zone, instead of a delay.
        group :
            The message group; on a FIFO queue the default is ``default``.
        deduplication_id :
            FIFO queues only.
        job_id :
            Replaces the job id that sqsw would make: 1 to 128 printable ASCII characters, no
            spaces.
        content_type :
            The codec; the default is that of the environment.
        """
        given = {
            "_delay_seconds": delay,
            "_run_at": run_at,
            "_group_id": group,
            "_deduplication_id": deduplication_id,
            "_job_id": job_id,
            "_content_type": content_type,
        }
        return TaskWithOptions(self, {k: v for k, v in given.items() if v is not None})

    def message_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keywords for ``add_job``: the bound arguments, and those about the message."""
        about_message = {k: v for k, v in kwargs.items() if k in MESSAGE_KEYWORDS}
        job_kwargs = {k: v for k, v in kwargs.items() if k not in MESSAGE_KEYWORDS}
        if not self.queue.takes_lists:
            bound = bind_arguments(
                self.processor,
                args,
                job_kwargs,
                job_name=self.job_name,
                provided=self.provided,
                also_taken=MESSAGE_KEYWORDS,
                check=self.check_arguments,
            )
        elif args:
            raise TypeError(self._keywords_only())
        else:
            bound = job_kwargs
        return {**bound, **about_message}

    def _keywords_only(self) -> str:
        return f"{self.job_name!r} is called with a list of jobs, so jobs have keywords only"

    def send(self, message: dict[str, Any]) -> str | None:
        """Send what :meth:`message_of` has made."""
        return self.queue.add_job(self.job_name, **message)

    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the function here and now; what it returns.

        A function that is called with a list of jobs gets a list of this one.
        """
        if self._queue is None or not self._queue.takes_lists:
            return self.processor(*args, **kwargs)
        if args:
            raise TypeError(self._keywords_only())
        return cast("Callable[[list[Any]], object]", self.processor)([kwargs])

    def bake(self, /, *args: P.args, **kwargs: P.kwargs) -> "BakedAsyncTask":
        """Keep the call, to be sent by ``.delay()`` later.

        Raises
        ------
        TypeError
            The function cannot be called like this.
        """
        return BakedAsyncTask(cast("AsyncTask[Any]", self), args, kwargs)

    def batch(self) -> JobBlock:
        """Collect the jobs that are sent to this queue inside the block, and send ten at a time.

        Use it as ``with task.batch():`` or ``async with task.batch():``. If the block raises, jobs
        that are not sent yet are discarded; see :meth:`sqsw.JobQueue.add_batch`.
        """
        return self.queue.add_batch()

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Refuse: a call would run the function here, which is rarely what is meant.

        Raises
        ------
        RuntimeError
            Always.
        """
        queue_name = self._queue.name if self._queue else "(no queue)"
        raise RuntimeError(
            f"the task {queue_name}.{self.job_name} was called like a function: "
            "use .delay(…) to send it as a job, or .run(…) to run it here"
        )

    def __repr__(self) -> str:
        queue_name = self._queue.name if self._queue else None
        return f"<AsyncTask {queue_name}.{self.job_name}>"


def function_of(fn: Callable[P, object]) -> Callable[P, object]:
    """The function itself, where it was decorated before: one function can serve two queues."""
    return cast("Callable[P, object]", fn.processor) if isinstance(fn, AsyncTask) else fn


async def _in_thread(
    send: Callable[[dict[str, Any]], str | None], message: dict[str, Any]
) -> str | None:
    import asyncio  # programs without coroutines do not need it

    return await asyncio.to_thread(send, message)


class TaskWithOptions(Generic[P]):
    """A task with values of the message; see :meth:`AsyncTask.options`."""

    def __init__(self, task: AsyncTask[P], about_message: dict[str, Any]) -> None:
        self.task = task
        self.about_message = about_message

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Send the call as a job; see :meth:`AsyncTask.delay`."""
        return self.task.send(self._message_of(args, kwargs))

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Send the call as a job, in a thread; see :meth:`AsyncTask.adelay`."""
        return await _in_thread(self.task.send, self._message_of(args, kwargs))

    def bake(self, /, *args: P.args, **kwargs: P.kwargs) -> "BakedAsyncTask":
        """Keep the call with these options; see :meth:`AsyncTask.bake`."""
        return BakedAsyncTask(
            cast("AsyncTask[Any]", self.task), args, {**kwargs, **self.about_message}
        )

    def _message_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**self.task.message_of(args, kwargs), **self.about_message}

    def __repr__(self) -> str:
        return f"<TaskWithOptions {self.task.job_name} {self.about_message}>"


class BakedAsyncTask:
    """A task together with its arguments."""

    def __init__(
        self, async_task: AsyncTask[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.async_task = async_task
        self.args = args
        self.kwargs = kwargs
        if async_task._queue is not None:
            async_task.message_of(args, kwargs)  # a wrong call fails here, where it is written

    def delay(self) -> str | None:
        """Send the call as a job; see :meth:`AsyncTask.delay`."""
        return self.async_task.send(self.async_task.message_of(self.args, self.kwargs))

    async def adelay(self) -> str | None:
        """Send the call as a job, in a thread; see :meth:`AsyncTask.adelay`."""
        task = self.async_task
        return await _in_thread(task.send, task.message_of(self.args, self.kwargs))

    def __repr__(self) -> str:
        return f"<BakedAsyncTask {self.async_task.job_name}>"
