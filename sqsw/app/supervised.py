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
    """What a worker process is told to do: names and values, for it is spawned.

    Attributes
    ----------
    open_env :
        Loads the apps and plugins; what it holds is pickled.
    choose_queues :
        The queues to work, of what was loaded; it is pickled, too.
    settings, processors_from :
        As for :func:`sqsw.app.running.run_queues`.
    reload :
        Whether a process tells which files it was loaded from.
    """

    open_env: Callable[[], SQSEnv]
    choose_queues: Callable[[SQSEnv], Sequence[QueueShare]]
    settings: WorkerSettings
    processors_from: str | None = None
    reload: bool = False


def run_supervised(
    order: WorkOrder,
    processes: int = 1,
    *,
    recycle: RecyclePolicy | None = None,
    shutdown_policy_maker: Callable[[], ShutdownPolicy] | None = None,
    listeners: Iterable[Listener] = (),
    logs: LogListener | None = None,
) -> WorkerReport:
    """Run the jobs in spawned processes until a signal or the shutdown policy ends it.

    Parameters
    ----------
    processes :
        Worker processes, each with all slots of the settings.
    recycle :
        When a process is replaced by a new one.
    shutdown_policy_maker :
        Makes the one policy for all of them.
    listeners :
        Told here of what happens in all processes; messages come without their bodies. Where one
        has a method ``subscribe_to``, it chooses the events itself.
    logs :
        Logs what becomes of the processes; their jobs they log themselves.

    Raises
    ------
    SettingsError
        The order cannot be handed to another process.
    QueueNotFound, AccessDenied, AppLoadError
        No process ever came up, for this reason. An order to reload waits for a change instead.
    """
    _refuse_unpicklable(order)
    events, tally = EventBus(), Tally()
    tally.subscribe_to(events)
    policy = None if shutdown_policy_maker is None else shutdown_policy_maker()
    ask = getattr(policy, "jobs_left", None)
    jobs = None if ask is None else ask()
    supervisor = Supervisor(
        work_in_child,
        [(_within(order, policy),)],
        processes,
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
    """Run a worker in a child process; with a pipe of permits, only as many jobs as permits."""
    with handing_over():  # logging while the app is loaded must not hang either
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
    """Load apps and plugins, and run their jobs: ``sqsw work`` without the command line.

    See :func:`~sqsw.app.open_env` (which takes what else is given),
    :func:`~sqsw.app.running.queues_to_work`, :func:`~sqsw.app.running.run_queues` and, for several
    processes or ones that are replaced, :func:`run_supervised`. What is loaded there has to be
    picklable: ``session_maker`` must be a function of a module.

    Parameters
    ----------
    reload :
        For development: when a ``.py`` file of the app changes, the processes drain, and others
        begin with the new code. What is wrong with the app is logged, and the next change waited
        for. Not for queues in memory.
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
    """Refuse queues that other processes do not see.

    Raises
    ------
    SettingsError
        The environment has a MemorySession.
    """
    from sqsw.memory_sqs import MemorySession

    if isinstance(env.clients.session, MemorySession):
        raise SettingsError(
            "queues in memory cannot be worked by several processes",
            reason="memory",
            why="a MemorySession lives in one process",
            next="use a file, LocalSession(path) or SQSW_LOCAL, or one process",
        )


class _ChildLog(LogListener, quick=True):
    """The log of a child without what the supervisor logs: processes that died, and queues."""

    def job_killed_process(self, event: JobKilledProcess) -> None:
        pass

    def queue_warning(self, event: QueueWarning) -> None:
        pass

    def retries_planned(self, event: RetriesPlanned) -> None:
        pass


class _Once:
    """Logs what concerns the processes; what each of them says about a queue only once."""

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
    """The order with polls that end before a policy wants to leave for want of work."""
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
            "worker processes cannot be started",
            why=f"what they are to load cannot be handed to them: {text_of(error)}",
            next="pass functions of modules, and no sessions; queues in memory live in one process",
        ) from error
