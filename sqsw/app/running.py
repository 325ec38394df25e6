"""Run the jobs of an environment."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.errors import SettingsError, TaskNotFound
from sqsw.core.events import EventBus, Listener, RequestSent
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.core.wording import nearest
from sqsw.observe.tally import Tally
from sqsw.queue.generic import GenericQueue
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.queue.work import never, work_queues
from sqsw.sqs_env import SQSEnv
from sqsw.transport.names import dead_letter_name, is_fifo, source_by_name
from sqsw.worker.crash_notes import keep_crash_notes

if TYPE_CHECKING:
    from sqsw.core.reports import WorkerReport


def queues_to_work(
    env: SQSEnv, shares: Sequence[QueueShare] = (), *, processors_from: str | None = None
) -> list[QueueShare]:
    """Return the queues that a worker will run, without requests.

    Parameters
    ----------
    shares :
        The requested queues, by name, URL or ARN; empty for every queue with registered jobs.
    processors_from :
        Run this queue's jobs on the requested queue, such as to work a dead-letter queue in place.

    Raises
    ------
    TaskNotFound
        A queue has no registered jobs.
    SettingsError
        A queue is the parking queue, no jobs are registered at all, or ``processors_from`` is used
        with several queues.
    """
    known = sorted({registration.queue_name for registration in env.registrations()})
    for share in shares:
        _refuse_parking(env, env.queue_client(share.queue_name).name)
    if processors_from is not None:
        if len(shares) != 1:
            suggested = dead_letter_name(processors_from)
            raise SettingsError(
                "processors_from requires exactly one queue",
                reason="one_queue",
                suggested=suggested,
                why="it runs the jobs of one queue on another",
                next=f"give the one queue to work: {suggested!r}",
            )
        _refuse_unregistered(processors_from, known)
        return list(shares)
    if not known and not shares:
        raise SettingsError(
            "there are no jobs to run: none is registered",
            why="neither the app nor an installed plugin registers any",
            next="load an app with jobs, such as myapp.tasks:env",
        )
    for share in shares:
        _refuse_unregistered(env.queue_client(share.queue_name).name, known)
    return list(shares) or [QueueShare(name) for name in known]


def _refuse_parking(env: SQSEnv, queue_name: str) -> None:
    if queue_name == env.parking_queue:
        raise SettingsError(
            f"a worker cannot run jobs of the parking queue {queue_name!r}",
            reason="parking",
            why="its messages are jobs of other queues, which are not due yet",
            next="run a worker on the other queues: it also sends the parked jobs that are due",
        )


def _refuse_unregistered(queue_name: str, known: Sequence[str]) -> None:
    if queue_name in known:
        return
    cure, meant = "register its jobs, or load the app that registers them", None
    if (source := _source_of(queue_name)) in known:
        cure = f"work the dead letters with its jobs: processors_from={source!r}"
    else:
        source = None
        if meant := nearest(queue_name, known):
            cure = f"did you mean {meant!r}?"
    raise TaskNotFound(
        f"no jobs are registered for the queue {queue_name!r}",
        reason="dead_letters" if source else "queue",
        queue=queue_name,
        similar=meant,
        source=source,
        why=f"queues with registered jobs: {', '.join(known) or 'none'}",
        next=cure,
    )


def _source_of(queue_name: str) -> str | None:
    """Return the source queue of a dead-letter queue, judging by the name alone."""
    name = source_by_name(queue_name)
    return f"{name}.fifo" if name and is_fifo(queue_name) else name


def run_queues(
    env: SQSEnv,
    shares: Sequence[QueueShare],
    *,
    settings: WorkerSettings,
    shutdown_policy_maker: Callable[[], ShutdownPolicy] | None = None,
    listeners: Iterable[Listener] = (),
    processors_from: str | None = None,
    load: Callable[[], SQSEnv] | None = None,
    crash_file: str | None = None,
    schedule: bool = True,
    parking: bool = True,
) -> "WorkerReport":
    """Run the jobs of these queues until a signal or the shutdown policy ends the worker.

    Parameters
    ----------
    shares :
        See :func:`queues_to_work`.
    settings :
        The worker settings.
    shutdown_policy_maker :
        Creates the policy that all queues share, so they end together.
    listeners :
        Called with every event, or those that they choose in a method ``subscribe_to``.
    processors_from :
        See :func:`queues_to_work`.
    load :
        Creates the environment in pool processes; it is pickled. With None, they find functions by
        module.
    crash_file :
        The running jobs are recorded in two files whose names start with this path. If a job ends
        the process, the next worker with this path reports the job and runs it alone. Messages on
        their last receive are in these files with their bodies, so only the owner can read them.
        None disables this; a supervisor does the same for its processes.
    schedule, parking :
        Whether this worker sends the ticks of the schedules, and the parked jobs that are due. If
        it does either, ``shares`` can be empty.

    Raises
    ------
    QueueNotFound, AccessDenied
        A queue is not accessible at the start.
    """
    for listener in listeners:
        subscribe(listener, env.events)
    queues = [_queue(env, share.queue_name, processors_from) for share in shares]
    for index, queue in enumerate(queues):
        if queue in queues[:index]:
            raise SettingsError(
                f"the queue {queue.name!r} is given twice",
                why="two of the names, URLs or ARNs refer to it",
                next="give it once; a queue with the same name elsewhere needs another worker",
            )
    named = [
        replace(share, queue_name=queue.name) for queue, share in zip(queues, shares, strict=True)
    ]
    policy = None if shutdown_policy_maker is None else shutdown_policy_maker()
    tally = Tally()
    env.events.subscribe(tally, RequestSent, quick=True)
    with nullcontext() if crash_file is None else keep_crash_notes(crash_file, env.events):
        report = work_queues(
            queues,
            settings=settings,
            events=env.events,
            shares=named,
            policy_of=never if policy is None else lambda _: policy,
            load=None if load is None else FunctionsOf(load),
            companions=env.companions(schedule=schedule, parking=parking),
        )
    return replace(report, requests=tally.requests)


@dataclass(frozen=True)
class FunctionsOf:
    """A loader of an environment in a pool process, which returns a lookup of job functions."""

    load: Callable[[], SQSEnv]

    def __call__(self) -> Callable[[str, str], Callable[..., object] | None]:
        env = self.load()

        def find(queue_name: str, job_name: str) -> Callable[..., object] | None:
            queue = env.queues.get(queue_name)
            processor = queue.get_processor(job_name) if isinstance(queue, JobQueue) else None
            return None if processor is None else processor.fn

        return find


def subscribe(listener: Listener, events: EventBus) -> None:
    """Subscribe a listener to the events that it chooses, or to all events."""
    choose = getattr(listener, "subscribe_to", None)
    if choose is None:
        events.subscribe(listener)
    else:
        choose(events)


def _queue(env: SQSEnv, text: str, processors_from: str | None) -> GenericQueue:
    client = env.queue_client(text)
    queue = env.queues.get(client.name)
    if processors_from is not None:
        queue = _with_processors(env, client.name, env.queues[processors_from])
    elif queue is None:
        queue = env.queue(client.name)
    if text != client.name:
        # A URL or ARN can mean another account, or a name without the prefix.
        queue.queue_url = client.url
        queue.forget_client()
    return queue


def _with_processors(env: SQSEnv, name: str, source: GenericQueue) -> GenericQueue:
    # Keep the policies of the source queue, so the functions get one job or a list as usual.
    batching, backoff, accept = source.batching_policy, source.backoff_policy, source.accept
    if isinstance(source, JobQueue):
        queue = env.queue(name, JobQueue, batching, backoff, accept=accept)
        source.copy_processors(queue)
        return queue
    raw = env.queue(name, RawQueue, batching, backoff, accept=accept)
    if isinstance(source, RawQueue) and source.processor is not None:
        raw.connect_raw_processor(source.processor)
    return raw
