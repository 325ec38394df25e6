"""What a decorated function becomes: a task that is sent instead of called."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, cast, overload

from sqsw.core.arguments import bind_arguments
from sqsw.core.errors import UnboundTask

P = ParamSpec("P")


class AsyncTaskDelayArgs(TypedDict, total=False):
    """The keywords of :meth:`AsyncTask.delay` that are about the message and not about the job."""

    _content_type: str
    _delay_seconds: float
    _deduplication_id: str
    _group_id: str
    _job_id: str


#: names that no parameter of a job can have
MESSAGE_KEYWORDS = frozenset(AsyncTaskDelayArgs.__annotations__)


class JobSender(Protocol):
    """All that a task asks of its queue."""

    @property
    def name(self) -> str: ...

    @property
    def takes_lists(self) -> bool: ...

    def add_job(self, job_name: str, /, **keywords: Any) -> str | None: ...

    def add_batch(self) -> AbstractContextManager[None]: ...


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
        _delay_seconds: float,
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

        Keywords that begin with an underscore are about the message: ``_delay_seconds`` (0 to 900),
        ``_group_id`` and ``_deduplication_id`` (FIFO), ``_content_type``, and ``_job_id``, which
        replaces the job id that sqsw would make (1 to 128 printable ASCII characters, no spaces).

        Returns
        -------
        str | None
            The message id; None inside a batch, where it is not known yet.

        Raises
        ------
        TypeError
            The function cannot be called like this.
        UnboundTask
            The task belongs to a registry that no environment has taken yet.
        MessageRefused
            SQS would not take the message, or the codec cannot carry a value.
        """
        return self.send(self.message_of(args, kwargs))

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

    def batch(self) -> AbstractContextManager[None]:
        """Collect the jobs that this queue gets inside the ``with`` block, send them in batches."""
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

    def __repr__(self) -> str:
        return f"<BakedAsyncTask {self.async_task.job_name}>"
