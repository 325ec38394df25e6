"""Run the jobs of an environment in several processes under a supervisor."""

import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from multiprocessing.connection import Connection
from typing import Any

from sqsw.app.opening import open_env
from sqsw.app.running import queues_to_work, run_queues, subscribe
from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.delivery import handing_over
from sqsw.core.errors import SettingsError
from sqsw.core.events import (
    ChildExited,
    ChildReplaced,
    Event,
    EventBus,
    JobKilledProcess,
    Listener,
    Pulse,
    QueueWarning,
    Reloading,
    RetriesPlanned,
    WorkerFailed,
)
from sqsw.core.reports import Ending, WorkerReport, ending_of
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.core.wording import text_of
from sqsw.observe.logs import LogListener
from sqsw.observe.tally import Tally
from sqsw.sqs_env import SQSEnv
from sqsw.supervisor.permits import JobPermits, PermitPolicy
from sqsw.supervisor.policies import PolicyListener
from sqsw.supervisor.recycle import RecyclePolicy as RecyclePolicy
from sqsw.supervisor.reload import SourceTeller, SourceWatch
from sqsw.supervisor.supervisor import Supervisor


@dataclass(frozen=True)
class WorkOrder:
    """The configuration of a spawned worker process, as picklable names and values.

    Attributes
    ----------
    open_env :
        Loads the apps and plugins; it is pickled.
    choose_queues :
        Chooses the queues to work from what was loaded; it is pickled.
    settings, processors_from :
        See :func:`sqsw.app.running.run_queues`.
    reload :
        Whether a process reports which files it was loaded from.
    schedule, parking :
        See :func:`sqsw.app.running.run_queues`. Only the first process does this.
    """

    open_env: Callable[[], SQSEnv]
    choose_queues: Callable[[SQSEnv], Sequence[QueueShare]]
    settings: WorkerSettings
    processors_from: str | None = None
    reload: bool = False
    schedule: bool = True
    parking: bool = True


def run_supervised(
    order: WorkOrder,
    processes: int = 1,
    *,
    recycle: RecyclePolicy | None = None,
    shutdown_policy_maker: Callable[[], ShutdownPolicy] | None = None,
    listeners: Iterable[Listener] = (),
    logs: LogListener | None = None,
) -> WorkerReport:
    """Run the jobs in spawned processes until a signal or the shutdown policy ends them.

    Parameters
    ----------
    processes :
        The number of worker processes, each with all slots of the settings.
    recycle :
        The limits at which a process is replaced.
    shutdown_policy_maker :
        Creates the policy for all processes.
    listeners :
        Called in this process with the events of all processes, whose messages have no bodies. A
        method ``subscribe_to`` chooses the events.
    logs :
        Logs events about the processes, which log their own jobs.

    Raises
    ------
    SettingsError
        The order cannot be pickled.
    QueueNotFound, AccessDenied, AppLoadError
        No process became ready, for this reason. With reload, the supervisor waits for a change
        instead.
    """
    _refuse_unpicklable(order)
    events, tally = EventBus(), Tally()
    tally.subscribe_to(events)
    policy = None if shutdown_policy_maker is None else shutdown_policy_maker()
    ask = getattr(policy, "jobs_left", None)
    jobs = None if ask is None else ask()
    first = _within(order, policy)
    others = replace(first, schedule=False, parking=False)
    supervisor = Supervisor(
        work_in_child,
        [(first,), *[(others,)] * (processes - 1)],
        method="spawn",
        drain_seconds=order.settings.drain_seconds,
        recycle=recycle,
        sources=SourceWatch() if order.reload else None,
        permits=None if jobs is None else JobPermits(jobs, order.settings.concurrency),
        events=events,
        relay=events.publish,
    )
    if policy is not None:
        PolicyListener(policy, supervisor.stop).subscribe_to(events)
    events.subscribe(_Once(logs or LogListener(), order.reload), *_Once.KINDS, quick=True)
    for listener in listeners:
        subscribe(listener, events)
    with handing_over():
        done = supervisor.run()
    return tally.report(done.stopped_by, forced=done.forced)


def work_in_child(
    order: WorkOrder, tell: Callable[[Event], None], permits: Connection | None = None
) -> Ending:
    """Run a worker in a child process; a pipe for permits limits the number of jobs."""
    with handing_over():  # logging during the load of the app must not hang either
        return _work_in_child(order, tell, permits)


def _work_in_child(
    order: WorkOrder, tell: Callable[[Event], None], permits: Connection | None
) -> Ending:
    teller = SourceTeller(tell) if order.reload else None
    try:
        env = order.open_env()
    finally:
        if teller is not None:
            teller()
    refuse_memory(env)
    if teller is not None:
        env.events.subscribe(teller, Pulse, quick=True)
    env.events.subscribe(tell, quick=True)
    if not env.events.has_listener(LogListener):
        _ChildLog().subscribe_to(env.events)
    report = run_queues(
        env,
        order.choose_queues(env),
        settings=order.settings,
        shutdown_policy_maker=None if permits is None else partial(PermitPolicy, permits),
        processors_from=order.processors_from,
        load=order.open_env,
        schedule=order.schedule,
        parking=order.parking,
    )
    return ending_of(report)


def run_app(
    app_paths: Sequence[str],
    shares: Sequence[QueueShare] = (),
    *,
    settings: WorkerSettings,
    shutdown_policy_maker: Callable[[], ShutdownPolicy] | None = None,
    session_maker: Callable[[], Any] | None = None,
    listeners: Iterable[Listener] = (),
    processors_from: str | None = None,
    processes: int = 1,
    recycle: RecyclePolicy | None = None,
    reload: bool = False,
    **opening: Any,
) -> WorkerReport:
    """Load apps and plugins, and run their jobs, like ``sqsw work``.

    See :func:`~sqsw.app.open_env` (which gets the other keywords),
    :func:`~sqsw.app.running.queues_to_work`, :func:`~sqsw.app.running.run_queues` and, for several
    processes or a recycle policy, :func:`run_supervised`. Its arguments must be picklable, so
    ``session_maker`` must be a function of a module.

    Parameters
    ----------
    reload :
        For development: when a ``.py`` file of the app changes, the processes drain, and new ones
        start with the new code. Errors of the app are logged until the next change. Queues in
        memory are not supported.
    """
    load = partial(open_env, app_paths, session_maker=session_maker, **opening)
    choose = partial(queues_to_work, shares=shares, processors_from=processors_from)
    order = WorkOrder(load, choose, settings, processors_from, reload)
    if not reload:
        env = load()
        chosen = choose(env)
        if processes == 1 and recycle is None:
            return run_queues(
                env,
                chosen,
                settings=settings,
                shutdown_policy_maker=shutdown_policy_maker,
                listeners=listeners,
                processors_from=processors_from,
                load=load,
            )
        refuse_memory(env)
    return run_supervised(
        order,
        processes,
        recycle=recycle,
        shutdown_policy_maker=shutdown_policy_maker,
        listeners=listeners,
    )


def refuse_memory(env: SQSEnv) -> None:
    """Refuse queues that other processes cannot access.

    Raises
    ------
    SettingsError
        The environment has a MemorySession.
    """
    from sqsw.memory_sqs import MemorySession

    if isinstance(env.clients.session, MemorySession):
        raise SettingsError(
            "several processes cannot work queues in memory",
            reason="memory",
            why="a MemorySession exists only in one process",
            next="use a file with LocalSession(path) or SQSW_LOCAL, or run one process",
        )


class _ChildLog(LogListener, quick=True):
    """The log of a child, without the events that the supervisor logs."""

    def job_killed_process(self, event: JobKilledProcess) -> None:
        pass

    def queue_warning(self, event: QueueWarning) -> None:
        pass

    def retries_planned(self, event: RetriesPlanned) -> None:
        pass


class _Once:
    """A log of the processes, which logs equal events about a queue only once."""

    KINDS = (
        *(ChildExited, ChildReplaced, JobKilledProcess, Reloading, WorkerFailed),
        *(QueueWarning, RetriesPlanned),
    )

    def __init__(self, logs: LogListener, reload: bool) -> None:
        self._logs = logs
        self._reload = reload
        self._told: set[object] = set()

    def __call__(self, event: Event) -> None:
        said: object = event if isinstance(event, QueueWarning | RetriesPlanned) else None
        if isinstance(event, WorkerFailed) and self._reload:
            said = str(event.error)
        elif isinstance(event, Reloading):
            self._told = {one for one in self._told if not isinstance(one, str)}
        if said is None or said not in self._told:
            self._told.add(said)
            self._logs(event)


def _within(order: WorkOrder, policy: Any) -> WorkOrder:
    """Return the order with polls short enough for the idle time of the policy."""
    ask = getattr(policy, "seconds_left", None)
    seconds = None if ask is None else ask()
    if seconds is None:
        return order
    wait_seconds = min(order.settings.wait_seconds, max(1, ceil(seconds)))
    return replace(order, settings=replace(order.settings, wait_seconds=wait_seconds))


def _refuse_unpicklable(order: WorkOrder) -> None:
    try:
        pickle.dumps(order)
    except Exception as error:
        raise SettingsError(
            "cannot start worker processes",
            why=f"their arguments cannot be pickled: {text_of(error)}",
            next="pass module-level functions, not sessions; queues in memory need one process",
        ) from error
