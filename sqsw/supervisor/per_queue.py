"""Run a forked worker process for each queue."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqsw.core.delivery import handing_over
from sqsw.core.events import Event, EventBus, Pulse, ReceiveDone
from sqsw.core.reports import Ending, WorkerReport, ending_of
from sqsw.observe.logs import ensure_logged
from sqsw.supervisor.supervisor import Supervisor
from sqsw.worker.late_start import late_starts

Queue = TypeVar("Queue")


def work_apart(
    queues: Sequence[Queue],
    *,
    find: Callable[[Queue], object],
    work: Callable[[Sequence[Queue], bool], WorkerReport],
    drain_seconds: float,
    events: EventBus,
    fork: bool,
) -> None:
    """Run each queue's jobs in a separate process, and replace processes that die.

    The processes are forked, so they share the objects of this process. If this process has other
    threads, or ``fork`` is False, one worker in this process handles all queues.

    Parameters
    ----------
    work :
        Runs the jobs of queues. It gets the queues, and whether this worker also runs the
        companions, which only one worker does.
    """

    def work_one(queue: Queue, tell: Callable[[Event], None]) -> Ending:
        # The supervisor needs only these events; the listeners run in this process.
        events.subscribe(tell, Pulse, ReceiveDone, quick=True)
        return ending_of(work([queue], queue is queues[0]))

    ensure_logged(events)
    late_starts().end_idle_thread()
    if fork and threading.active_count() == 1:
        with handing_over():
            for queue in queues:
                # Report a missing queue once here, instead of repeatedly in children.
                find(queue)
            Supervisor(
                work_one,
                [(queue,) for queue in queues],
                drain_seconds=drain_seconds,
                events=events,
            ).run()
        return
    work(queues, True)
