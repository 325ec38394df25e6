"""Register functions and tasks as periodic jobs; see :meth:`sqsw.SQSEnv.periodic`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, cast

from sqsw.async_task import MESSAGE_KEYWORDS, AsyncTask
from sqsw.codecs.envelope import pack_job
from sqsw.core.arguments import check_function
from sqsw.core.contracts import WallClock
from sqsw.core.errors import SettingsError, UnboundTask
from sqsw.queue.job_queue import JobQueue
from sqsw.schedule.job_ticks import JobTicks
from sqsw.schedule.rules import Rule
from sqsw.schedule.schedule import (
    Overlap,
    Schedule,
    check_args,
    check_options,
    check_place,
    takes_at,
)
from sqsw.transport.batches import check_job_name

P = ParamSpec("P")


class PeriodicEnv(Protocol):
    """The part of the environment that schedules use."""

    codec: str
    schedules: dict[str, Schedule]

    @property
    def wall_clock(self) -> WallClock: ...

    def job_queue(self, queue_name: str) -> JobQueue: ...


@dataclass(frozen=True)
class Plan:
    """A schedule whose function is not known yet; see :class:`Schedule`.

    If ``name`` is None, the schedule gets the name of the job.
    """

    rule: Rule
    zone: str
    queue_name: str
    name: str | None
    args: Mapping[str, Any]
    overlap: Overlap
    catch_up: str


def add_schedule(env: PeriodicEnv, plan: Plan, fn: Callable[P, object]) -> AsyncTask[P]:
    """Register a function, or the function of a task, with a schedule; on an error, nothing.

    Raises
    ------
    SettingsError, TaskAlreadyRegistered, TypeError
        See :meth:`sqsw.SQSEnv.periodic`.
    """
    queue = env.job_queue(plan.queue_name)
    source = None if not isinstance(fn, AsyncTask) else _queue_of(env, fn)
    function = cast("Callable[..., Any]", fn.processor if isinstance(fn, AsyncTask) else fn)
    check_function(function, MESSAGE_KEYWORDS)
    job_name = fn.job_name if isinstance(fn, AsyncTask) else _name_of(function)
    name = job_name if plan.name is None else plan.name
    check_place(name, plan.queue_name, queue.takes_lists)
    check_options(name, plan.overlap, plan.catch_up)
    if name in env.schedules:
        known = env.schedules[name]
        raise SettingsError(
            f"there are two schedules {name!r}",
            why=f"the first one sends {known.queue_name}.{known.job_name}: {known.rule.text}",
            next="give one of them another name, as in periodic(…, name='nightly-2')",
            setting="name",
            value=name,
        )
    _check_args(env, queue, name, fn, function, plan.args)
    if source is None:
        queue.refuse_other(job_name, function)
        task = queue.connect_processor(job_name, cast("Callable[P, object]", function))
    else:
        task = cast("AsyncTask[P]", fn)
        queue.take_processor(job_name, source)
    schedule = Schedule(
        *(name, plan.rule, plan.zone, plan.queue_name, job_name, plan.args),
        *(takes_at(function), plan.overlap),
    )
    _ticks_of(env, queue, job_name).add(schedule)
    env.schedules[name] = schedule
    return task


def _queue_of(env: PeriodicEnv, task: AsyncTask[P]) -> JobQueue:
    """Return the queue of a task of this environment."""
    try:
        queue = task.queue
    except UnboundTask as error:
        raise SettingsError(
            f"the task {task.job_name!r} cannot get a schedule yet",
            why=error.why,
            next="call registry.bind(env) first, and then env.periodic(…)(task)",
        ) from error
    owner: object = queue.env if isinstance(queue, JobQueue) else None
    if not isinstance(queue, JobQueue) or owner is not env:
        raise SettingsError(
            f"the task {task.job_name!r} cannot get a schedule here",
            why="it belongs to another SQSEnv, whose workers run it",
            next="call periodic() of that SQSEnv, or decorate task.processor",
        )
    if task.job_name not in queue.processors:
        raise SettingsError(
            f"the task {task.job_name!r} cannot get a schedule",
            why=f"its function is no longer registered on {queue.name!r}",
            next="register it again",
        )
    return queue


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    if name is None:
        raise SettingsError(
            f"{function!r} cannot get a schedule",
            why="it has no __name__ that could name the job",
            next="name the job with env.task(queue=…, job_name=…), and decorate that task",
        )
    return check_job_name(name)


def _check_args(
    env: PeriodicEnv,
    queue: JobQueue,
    name: str,
    fn: object,
    function: Callable[..., Any],
    args: Mapping[str, Any],
) -> None:
    """Raise if the arguments do not fit the function, or cannot be sent."""
    provided, check = (fn.provided, fn.check_arguments) if isinstance(fn, AsyncTask) else ((), True)
    check_args(name, function, args, provided, check=check)
    if not queue.env.typed_arguments and not isinstance(fn, AsyncTask):
        pack_job(name, args, content_type=env.codec)  # raises if the codec cannot encode a value


def _ticks_of(env: PeriodicEnv, queue: JobQueue, job_name: str) -> JobTicks:
    processor = queue.processors[job_name]
    # A processor from a processor_maker may lack the attribute.
    ticks = getattr(processor, "ticks", None)
    if not isinstance(ticks, JobTicks):

        def now() -> float:
            return env.wall_clock()  # a test can connect the environment to other queues

        ticks = processor.ticks = JobTicks(now)
    return ticks
