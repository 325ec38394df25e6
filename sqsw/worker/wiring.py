"""Creates the roles of a worker."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqsw.core.contracts import Clock
from sqsw.core.events import EventBus
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.settings import WorkerSettings
from sqsw.worker.acknowledger import Acknowledger
from sqsw.worker.crash_notes import CrashNotes
from sqsw.worker.dead_letters import DeadLetters
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.executors.base import Executor
from sqsw.worker.health import WorkerHealth
from sqsw.worker.heartbeat import Heartbeat
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane
from sqsw.worker.latency import NetworkLatency
from sqsw.worker.parked_retries import ParkedRetries
from sqsw.worker.policies import Policies
from sqsw.worker.poller import Poller
from sqsw.worker.signals import SignalInbox
from sqsw.worker.start_failures import StartFailures

#: How many times the messages of one receive must fit into a drain, by the average run time of
#: their jobs: they can be of one message group, and some jobs take much longer than the average.
_LINES_IN_A_DRAIN = 5


class Roles(NamedTuple):
    """The register, and the roles that use it."""

    in_flight: InFlight
    policies: Policies
    dispatcher: Dispatcher
    acknowledger: Acknowledger
    heartbeat: Heartbeat
    health: WorkerHealth
    pollers: list[Poller]


def make_roles(
    lanes: Sequence[Lane],
    settings: WorkerSettings,
    events: EventBus,
    inbox: SignalInbox,
    executors: Mapping[RunsIn, Executor],
    clock: Clock,
    notes: CrashNotes | None = None,
) -> Roles:
    """Create the roles of a worker, each after those that it calls."""
    latency = NetworkLatency()
    in_flight = InFlight(lanes, settings, clock, notes)
    start_failures = StartFailures(executors, inbox, clock)
    policies = Policies(lanes, in_flight, inbox, start_failures, settings.wait_seconds)
    copies = DeadLetters(events), ParkedRetries(events)
    dispatcher = Dispatcher(in_flight, executors, policies, *copies, events, clock)
    acknowledger = Acknowledger(*(in_flight, dispatcher, policies, *copies, latency, events, clock))
    heartbeat = Heartbeat(
        lanes, in_flight, dispatcher, events, renew=settings.heartbeat, clock=clock
    )
    health = WorkerHealth(lanes, in_flight, heartbeat, start_failures, clock)
    pollers = [
        Poller(
            *(lane, in_flight, dispatcher, acknowledger, heartbeat, policies, health),
            *(inbox, latency, events),
            line_seconds=settings.drain_seconds / _LINES_IN_A_DRAIN,
            clock=clock,
        )
        for lane in lanes
    ]
    return Roles(in_flight, policies, dispatcher, acknowledger, heartbeat, health, pollers)
