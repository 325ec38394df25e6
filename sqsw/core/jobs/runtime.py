"""What a worker provides to its jobs, in context variables that executors copy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqsw.core.jobs.current_job import CurrentJob

#: Finds the function of a job by the names of its queue and job.
Find = Callable[[str, str], Callable[..., object] | None]

#: Loads the app and returns a ``Find``. Called once in each pool process.
Load = Callable[[], Find]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a job's function in a pool process.

    Attributes
    ----------
    queue_name, job_name :
        The job.
    module, qualified_name :
        Where its function is, for a process that has not loaded an app.
    args, kwargs :
        The arguments. The pool process drops keywords that the function does not take.
    job :
        The job for ``current_job()``; its messages have no content.
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
        """The list of jobs; empty if the function takes one job."""
        return self.args[0] if self.args else ()


@dataclass(frozen=True, slots=True)
class JobRuntime:
    """What a worker provides to its jobs.

    Attributes
    ----------
    time_limit :
        Seconds that a job can run if its processor has no limit of its own; None: no limit.
    on_stuck :
        Called from another thread if a job has not ended long after its limit.
    call_elsewhere :
        Runs a function in a pool process, and returns or raises what it did; None if there is no
        pool.
    run_awaitable :
        Runs an awaitable that a plain function returned on the event loop that the jobs share, and
        returns its result or raises its error; None if there is no loop.
    """

    time_limit: float | None = None
    on_stuck: Callable[[CurrentJob], object] | None = None
    call_elsewhere: Callable[[FunctionCall], object] | None = None
    run_awaitable: Callable[[Awaitable[Any]], Any] | None = None


job_runtime: ContextVar[JobRuntime] = ContextVar("sqsw_job_runtime", default=JobRuntime())  # noqa: B039  # frozen

#: the time limit of a call in a pool process, in seconds; None: no limit
call_limit: ContextVar[float | None] = ContextVar("sqsw_call_limit", default=None)
