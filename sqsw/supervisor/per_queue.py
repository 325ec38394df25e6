"""A worker process for each queue, forked so that it has what this one has."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqsw.core.delivery import handing_over
from sqsw.core.events import Event, EventBus, Pulse, ReceiveDone
from sqsw.core.reports import Ending, WorkerReport, ending_of
from sqsw.observe.logs import ensure_logged
from sqsw.supervisor.supervisor import Supervisor

Queue = TypeVar("Queue")


def work_apart(
    queues: Sequence[Queue],
    *,
    find: Callable[[Queue], object],
    work: Callable[[Sequence[Queue]], WorkerReport],
    drain_seconds: float,
    events: EventBus,
    fork: bool,
) -> None:
    """Run the jobs of each queue in a process of its own, watched and replaced should it die.

    Processes are forked, so that they have what this one has. If that cannot be (no fork, threads
    in this process, or ``fork`` is False), one worker here takes all queues.

    Parameters
    ----------
    find :
        Finds a queue, or raises; called for each queue before the first process is started.
    work :
        Runs the jobs of these queues in one worker until it is told to stop.
    drain_seconds :
        How long the processes take for their drain at most.
    """

    def work_one(queue: Queue, tell: Callable[[Event], None]) -> Ending:
        # All that the supervisor needs: this process has the listeners.
        events.subscribe(tell, Pulse, ReceiveDone, quick=True)
        return ending_of(work([queue]))

    ensure_logged(events)
    if fork and hasattr(os, "fork") and threading.active_count() == 1:
        with handing_over():
            for queue in queues:
                # A missing queue is reported here, once, and not by children again and again.
                find(queue)
            Supervisor(
                work_one,
                [(queue,) for queue in queues],
                drain_seconds=drain_seconds,
                events=events,
            ).run()
        return
    work(queues)
