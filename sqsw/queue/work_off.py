"""Run everything that is queued in a test, and move the clock of the queues over each wait."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.jobs.awaitables import shared_loop
from sqsw.transport.queue_client import QueueClient

#: seconds by which the clock goes beyond the end of a wait, because queues count milliseconds
_MARGIN_SECONDS = 0.001


class MovableClock(Protocol):
    """The time of queues in memory."""

    def advance(self, *, seconds: float) -> None: ...


class WorkedQueue(Protocol):
    """All that is needed of a queue."""

    @property
    def client(self) -> QueueClient: ...

    def process_batch(self) -> BatchProcessingResult: ...


class ParkedJobs(Protocol):
    """The part of a parking lane that ``work_off`` uses."""

    @property
    def client(self) -> QueueClient: ...

    def step(self) -> int:
        """Receive parked jobs, and send those that are due; return how many were received."""
        ...


@dataclass(slots=True)
class WorkOffResult:
    """What :meth:`sqsw.SQSEnv.work_off` did.

    Attributes
    ----------
    succeeded :
        Jobs that were done.
    failed :
        Attempts that failed.
    errors :
        What these attempts raised, in their order; nothing for one that asked for its retry.
    moved_seconds :
        How far the clock was moved.
    left :
        The messages that are still in queues, by the name of the queue, the dead-letter queues
        included; ``{}`` if there are none.
    """

    succeeded: int = 0
    failed: int = 0
    errors: list[BaseException] = field(default_factory=list)
    moved_seconds: float = 0.0
    left: dict[str, int] = field(default_factory=dict)


def work_off(
    queues: Sequence[WorkedQueue],
    clock: MovableClock,
    *,
    max_attempts: int,
    max_seconds: float,
    parking: ParkedJobs | None = None,
) -> WorkOffResult:
    """Run jobs until none is left, or a bound is met; ``left`` of the result is empty."""
    result = WorkOffResult()
    clients = [queue.client for queue in queues] + ([] if parking is None else [parking.client])
    with shared_loop():  # as in a worker: jobs can share an async client or a connection pool
        while result.succeeded + result.failed < max_attempts:
            if (parking is not None and parking.step()) or _run_what_is_due(queues, result):
                continue
            waits = [client.seconds_until_due() for client in clients]
            wait = min((seconds for seconds in waits if seconds is not None), default=None)
            if wait is None or result.moved_seconds + wait > max_seconds:
                break
            clock.advance(seconds=wait + _MARGIN_SECONDS)
            result.moved_seconds += wait + _MARGIN_SECONDS
    return result


def _run_what_is_due(queues: Sequence[WorkedQueue], result: WorkOffResult) -> int:
    """Receive once from each queue; return how many jobs ran."""
    count = 0
    for queue in queues:
        batch = queue.process_batch()
        result.succeeded += batch.succeeded_count()
        result.failed += batch.failed_count()
        result.errors += batch.errors
        count += batch.total_count()
    return count
