"""Declare schedules from a file, list their ticks, and send a tick now."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from sqsw.async_task import AsyncTask
from sqsw.core.errors import ScheduleNotFound, SettingsError, SQSError, TaskNotFound
from sqsw.core.job_metadata import entry_job_id, new_job_id
from sqsw.core.settings import ScheduleSettings
from sqsw.core.wording import nearest, shortened
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import Registration, SQSEnv
from sqsw.sqs_manage.send_many import SentMessage
from sqsw.transport.names import is_fifo

if TYPE_CHECKING:
    from sqsw.schedule.schedule import Schedule

#: maximum characters of a list of names in an error
_LIST_LENGTH = 500

#: the settings that were declared, so the same settings can be applied again
_declared: "WeakKeyDictionary[SQSEnv, dict[str, ScheduleSettings]]" = WeakKeyDictionary()


class Tick(NamedTuple):
    """An instant of a schedule.

    Attributes
    ----------
    at :
        The instant, in the time zone of the schedule.
    clock_change :
        How far the clocks of the zone were moved since the previous tick; None if they were not.
    """

    at: datetime
    clock_change: timedelta | None


def declare_schedules(env: SQSEnv, settings: Iterable[ScheduleSettings]) -> None:
    """Add schedules for jobs that are registered already; the same settings can be given again.

    Raises
    ------
    SettingsError
        A setting cannot be used, or the code has a schedule of the same name.
    TaskNotFound
        The job is not registered.
    """
    known = _declared.setdefault(env, {})
    for one in settings:
        if known.get(one.name) != one:
            _declare(env, one)
            known[one.name] = one


def _declare(env: SQSEnv, settings: ScheduleSettings) -> None:
    try:
        if settings.name in env.schedules:
            other = env.schedules[settings.name]
            raise SettingsError(
                f"another schedule is named {settings.name!r}",
                why=f"it sends {other.job_name!r} to {other.queue_name!r}",
                next="rename one of them",
            )
        found = _job_of(env, settings)
        every = None if settings.every is None else timedelta(seconds=settings.every)
        register = env.periodic(
            settings.cron,
            every=every,
            tz=settings.tz,
            queue=_queue_of(settings, found),
            name=settings.name,
            args=settings.args,
            overlap=settings.overlap,
        )
        with env.registering_from(found.source):
            register(_task_of(env, found))
    except (SettingsError, TaskNotFound) as error:
        if settings.place is None:
            raise
        raise _placed(error, settings.place) from error


def _placed(error: SQSError, place: str) -> SQSError:
    """Return the error with the place where the schedule is declared."""
    fields = {"job": error.job} if isinstance(error, TaskNotFound) else {}
    return type(error)(f"{place} cannot be used", why=error.summary, next=error.next, **fields)


def _job_of(env: SQSEnv, settings: ScheduleSettings) -> Registration:
    jobs = {
        f"{found.queue_name}.{found.job_name}": found
        for found in env.registrations()
        if found.job_name is not None
    }
    if settings.job in jobs:
        return jobs[settings.job]
    meant = nearest(settings.job, jobs)
    raise TaskNotFound(
        f"no job {settings.job!r} is registered",
        job=settings.job,
        why=f"the known jobs are {shortened(', '.join(jobs), _LIST_LENGTH)}" if jobs else None,
        next=f"did you mean {meant!r}?" if meant else "name the queue and the job: 'queue.job'",
    )


def _queue_of(settings: ScheduleSettings, job: Registration) -> str:
    if settings.queue is not None:
        return settings.queue
    if is_fifo(job.queue_name):
        return job.queue_name
    raise SettingsError(
        f"the schedule {settings.name!r} names no queue",
        why=f"ticks go to a FIFO queue, and {job.queue_name!r} is a standard queue",
        next="set queue, such as queue = 'cron.fifo'; the job runs from that queue",
    )


def _task_of(env: SQSEnv, job: Registration) -> AsyncTask[...]:
    queue = env.queues[job.queue_name]
    assert isinstance(queue, JobQueue) and job.job_name is not None  # as _job_of() found it
    processor = queue.processors[job.job_name]
    provided = (processor.context_var,) if processor.pass_context else ()
    checks = getattr(processor, "check_arguments", True)  # a custom processor may lack it
    return AsyncTask(queue, job.job_name, processor.fn, provided, checks)


def schedule_of(env: SQSEnv, name: str) -> "Schedule":
    """Return the schedule with this name.

    Raises
    ------
    ScheduleNotFound
        There is none.
    """
    if name in env.schedules:
        return env.schedules[name]
    meant = nearest(name, env.schedules)
    raise ScheduleNotFound(
        f"no schedule named {name!r}",
        schedule=name,
        similar=meant,
        why=f"schedules: {shortened(', '.join(sorted(env.schedules)), _LIST_LENGTH) or 'none'}",
        next=f"did you mean {meant!r}?" if meant else None,
    )


def send_tick(env: SQSEnv, name: str) -> SentMessage:
    """Send an extra tick of a schedule, whose instant is the current time.

    It has its own deduplication ID, so SQS does not drop it as a copy of another tick. It waits
    behind the ticks of the schedule that are already in the queue.

    Returns
    -------
    SentMessage
        What SQS accepted.

    Raises
    ------
    ScheduleNotFound
        There is no schedule of this name.
    QueueNotFound, AccessDenied
        The queue does not exist, or the credentials do not allow sending to it.
    MessageRefused
        SQS would refuse the message, or a send middleware refused it.
    """
    schedule = schedule_of(env, name)
    queue = env.job_queue(schedule.queue_name)
    entry = schedule.entry(datetime.fromtimestamp(env.wall_clock(), UTC), queue.pack_tick)
    job_id = entry_job_id(entry)  # none if a middleware left no room for it
    entry["MessageDeduplicationId"] = job_id or new_job_id()
    answer = queue.client.send(entry)
    return SentMessage(
        queue.name,
        answer["MessageId"],
        schedule.job_name,
        1,
        entry["MessageGroupId"],
        entry["MessageDeduplicationId"],
        answer.get("SequenceNumber"),
        job_id or answer["MessageId"],
    )


def ticks_of(schedule: "Schedule", after: datetime, until: datetime) -> Iterator[Tick]:
    """Yield the ticks after ``after``, up to and including ``until``.

    Parameters
    ----------
    after, until :
        Datetimes with a time zone.
    """
    offset: timedelta | None = None
    moment = after.astimezone(UTC)
    while (moment := schedule.rule.next_after(moment)) <= until:
        local = moment.astimezone(schedule.tz)
        before, offset = offset, local.utcoffset()
        changed = None if before is None or offset is None else offset - before
        yield Tick(local, changed or None)
