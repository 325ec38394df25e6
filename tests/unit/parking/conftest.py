"""An environment with a parking queue in memory, and a clock that tests move."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.core.events import Event
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs import MemorySession
from sqsw.parking.parking_lane import ParkingLane, ParkingLimits
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue, create_parking_queue, create_standard_queue
from sqsw.transport.queue_client import QueueClient


class Parking:
    """The environment of a test, with the queues ``jobs``, ``jobs.fifo`` and ``parked``."""

    def __init__(self) -> None:
        self.clock = MovableClock(lambda: datetime(2030, 1, 1, tzinfo=UTC).timestamp())
        self.session = MemorySession(clock=self.clock)
        self.env = SQSEnv(self.session, parking="parked", backoff_policy=IMMEDIATE_RETURN)
        create_parking_queue(self.env, "parked")
        create_standard_queue(self.env, "jobs")
        create_fifo_queue(self.env, "jobs.fifo")
        self.jobs, self.fifo_jobs = self.env.job_queue("jobs"), self.env.job_queue("jobs.fifo")
        self.queue = self.env.queue_client("parked")
        self.events: list[Event] = []
        self.env.events.subscribe(self.events.append, quick=True)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def lane(
        self, limits: ParkingLimits | None = None, client: QueueClient | None = None
    ) -> ParkingLane:
        return ParkingLane(
            client or self.queue,
            self.env._queue_of_parked_job,
            self.env.events,
            self.clock,
            limits or ParkingLimits(),
        )

    def run(self, lane: ParkingLane, *, until: datetime) -> None:
        """Let a lane work, and move the clock from one message to the next."""
        while True:
            while lane.step():
                pass
            wait = self.queue.seconds_until_due()
            left = (until - self.now).total_seconds()
            if wait is None or wait > left:
                self.clock.advance(seconds=max(0.0, left))
                return
            self.clock.advance(seconds=wait)

    def counts(self, queue: QueueClient | JobQueue) -> int:
        """Return the number of messages in a queue, hidden ones included."""
        client = queue.client if isinstance(queue, JobQueue) else queue
        names = ("", "NotVisible", "Delayed")
        found = client.attributes(*(f"ApproximateNumberOfMessages{name}" for name in names))
        return sum(map(int, found.values()))


@pytest.fixture
def parking() -> Iterator[Parking]:
    parking = Parking()
    yield parking
    parking.session.close()


DAY = timedelta(days=1)
