"""Declare tasks before there is an environment, for example in a plugin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, ParamSpec, Protocol, Unpack, cast, overload

from sqsw.async_task import MESSAGE_KEYWORDS, AsyncTask, JobSender, function_of
from sqsw.core.arguments import check_function
from sqsw.core.errors import TaskAlreadyRegistered
from sqsw.middleware.options import ProcessorOptions
from sqsw.transport.batches import check_job_name
from sqsw.transport.names import check_queue_name

P = ParamSpec("P")


class TaskQueue(JobSender, Protocol):
    """The part of a queue that a registry needs."""

    def refuse_other(self, job_name: str, fn: Callable[..., Any]) -> None: ...

    def connect_processor(
        self,
        job_name: str,
        processor: Callable[..., Any],
        pass_context: bool,
        context_var: str,
        **options: Unpack[ProcessorOptions],
    ) -> object: ...


class TaskEnv(Protocol):
    """The part of an environment that a registry needs."""

    def job_queue(self, queue_name: str) -> TaskQueue: ...


@dataclass(frozen=True, slots=True)
class TaskSpec(Generic[P]):
    """A declared task."""

    queue_name: str
    task: AsyncTask[P]
    pass_context: bool
    context_var: str
    options: ProcessorOptions


class TaskRegistry:
    """A registry of tasks without an environment.

    ::

        tasks = TaskRegistry()

        @tasks.task("emails", "send_email")
        def send_email(to: str, subject: str) -> None: ...

        tasks.bind(env)                       # or: an entry point in the group sqsw.processors
        send_email.delay(to="ann@example.com", subject="Hello")
    """

    def __init__(self) -> None:
        self.specs: list[TaskSpec[Any]] = []

    @overload
    def task(
        self,
        queue_name: str,
        job_name: str | None = None,
        *,
        pass_context: Literal[False] = False,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[P, object]], AsyncTask[P]]: ...
    @overload
    def task(
        self,
        queue_name: str,
        job_name: str | None = None,
        *,
        pass_context: bool,
        context_var: str = ...,
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]: ...
    def task(
        self,
        queue_name: str,
        job_name: str | None = None,
        *,
        pass_context: bool = False,
        context_var: str = "context",
        **options: Unpack[ProcessorOptions],
    ) -> Callable[[Callable[..., object]], AsyncTask[...]]:
        """Declare the decorated function as a task.

        Parameters
        ----------
        queue_name :
            The queue name without the prefix.
        job_name :
            The job name. Default: the function's name.
        pass_context, context_var :
            Whether the function takes the job context, and the name of that parameter.
        options :
            See :meth:`JobQueue.processor <sqsw.JobQueue.processor>`.

        Raises
        ------
        TaskAlreadyRegistered
            Another function of this registry has this name.
        TypeError
            A name is not a str, or the function cannot be a job.
        SettingsError
            A name is empty, or contains a character that SQS does not accept.
        """
        queue_name = check_queue_name(queue_name)

        def declare(fn: Callable[..., object]) -> AsyncTask[...]:
            function = function_of(fn)
            check_function(function, MESSAGE_KEYWORDS)
            name = check_job_name(
                getattr(function, "__name__", None) if job_name is None else job_name
            )
            if any(s.queue_name == queue_name and s.task.job_name == name for s in self.specs):
                raise TaskAlreadyRegistered(f"job '{queue_name}.{name}' is declared twice")
            task = AsyncTask(
                None,
                name,
                function,
                (context_var,) if pass_context else (),
                options.get("check_arguments", True),
            )
            self.specs.append(TaskSpec(queue_name, task, pass_context, context_var, options))
            return task

        return declare

    def bind(self, env: TaskEnv) -> None:
        """Register all tasks with an environment, and send to its queues from now on.

        Raises
        ------
        TaskAlreadyRegistered
            Another function has one of the names. Nothing is registered.
        """
        for spec in self.specs:
            env.job_queue(spec.queue_name).refuse_other(spec.task.job_name, spec.task.processor)
        for spec in self.specs:
            queue = env.job_queue(spec.queue_name)
            queue.connect_processor(
                spec.task.job_name,
                spec.task.processor,
                spec.pass_context,
                spec.context_var,
                **spec.options,
            )
            spec.task.bind(cast(JobSender, queue))

    def __call__(self, env: TaskEnv) -> None:
        """Call :meth:`bind`, so a registry can be a plugin."""
        self.bind(env)

    def __repr__(self) -> str:
        return f"<TaskRegistry of {len(self.specs)} tasks>"
