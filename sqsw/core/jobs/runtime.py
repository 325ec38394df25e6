"""What a worker gives to the jobs that run in it: on context variables, which executors copy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqsw.core.jobs.current_job import CurrentJob

#: Finds the function of a job, by the names of queue and job.
Find = Callable[[str, str], Callable[..., object] | None]

#: Loads what is needed for that, once in each process of the pool.
Load = Callable[[], Find]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call for another process: names and values.

    Attributes
    ----------
    queue_name, job_name :
        Whose function it is.
    module, qualified_name :
        Where that stands, for a process that has not loaded an app.
    args, kwargs :
        What it is called with; keywords that it does not take are dropped there.
    job :
        The job, for ``current_job()`` there; its messages have no content.
    check_arguments :
        False: pass the keywords to the function unchecked.
    """

    queue_name: str
    job_name: str
    module: str
    qualified_name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    job: CurrentJob | None
    check_arguments: bool = True

    @property
    def jobs(self) -> Sequence[object]:
        """The list of jobs that it is called with; empty where it is called with one."""
        return self.args[0] if self.args else ()


@dataclass(frozen=True, slots=True)
class JobRuntime:
    """What a worker gives to its jobs.

    Attributes
    ----------
    time_limit :
        Seconds that a job may run whose processor has no limit of its own; None: no limit.
    on_stuck :
        Called where a job has not ended long after its limit, from another thread.
    call_elsewhere :
        Runs a function in a process of the pool, and returns or raises what it did; None: there is
        none.
    run_awaitable :
        Runs an awaitable that a plain function returned on the event loop that the jobs share, and
        returns its result or raises its error; None if there is no loop.
    """

    time_limit: float | None = None
    on_stuck: Callable[[CurrentJob], object] | None = None
    call_elsewhere: Callable[[FunctionCall], object] | None = None
    run_awaitable: Callable[[Awaitable[Any]], Any] | None = None


job_runtime: ContextVar[JobRuntime] = ContextVar("sqsw_job_runtime", default=JobRuntime())  # noqa: B039  # frozen

#: seconds that a call elsewhere may take; None: any time
call_limit: ContextVar[float | None] = ContextVar("sqsw_call_limit", default=None)
