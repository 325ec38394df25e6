"""Parked jobs over weeks, with workers that are killed at any moment.

The clock of the queues moves from one message to the next. ``SQSW_TEST_PARKED`` sets the number of
jobs; 10,000 take some minutes.
"""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.job_metadata import entry_job_id, job_id_of
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs import LocalSession, MemorySession
from sqsw.parking.parking_lane import ParkingLane
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue, create_parking_queue, create_standard_queue

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = 86_400


class Killed(BaseException):
    """The worker was killed."""


class KilledCalls:
    """Counts the calls of parking lanes, and kills a lane before or after some of them.

    Attributes
    ----------
    counts :
        The calls about messages, by action. A receive that returned nothing counts as ``idle``.
    at_kills :
        The jobs whose copies a killed lane had sent, and whose messages it had not deleted.
    """

    def __init__(self, call: Callable[..., Any], chance: float) -> None:
        self._call, self._chance = call, chance
        self._random = random.Random(17)
        self._sent: list[str] = []
        self.counts: Counter[str] = Counter()
        self.at_kills: Counter[str] = Counter()
        self.kills = 0

    def __call__(self, action: str, params: dict[str, Any], kind: Any = None) -> Any:
        self._kill(action)
        answer = self._call(action, params, kind)
        is_idle = action == "ReceiveMessage" and not answer.get("Messages")
        self.counts["idle" if is_idle else action] += 1
        if action == "SendMessageBatch":
            self._sent += [str(entry_job_id(entry)) for entry in params["Entries"]]
        elif action == "DeleteMessageBatch":
            self._sent.clear()
        self._kill(action)
        return answer

    def _kill(self, action: str) -> None:
        # Most calls hide messages, but a kill is harmful between a send and its delete.
        weight = 10 if action in ("SendMessageBatch", "DeleteMessageBatch") else 1
        if self._random.random() < self._chance * weight:
            self.kills += 1
            self.at_kills.update(self._sent)
            self._sent.clear()
            raise Killed


class Weeks:
    """Queues in memory, a sender, and the receiver of the jobs."""

    def __init__(self, kill_chance: float = 0) -> None:
        self.clock = MovableClock(START.timestamp)
        self.session = MemorySession(clock=self.clock)
        self.env = SQSEnv(self.session, parking="parked")
        create_parking_queue(self.env, "parked")
        create_standard_queue(self.env, "jobs")
        create_fifo_queue(self.env, "jobs.fifo")
        self.queues = [self.env.job_queue("jobs"), self.env.job_queue("jobs.fifo")]
        self.parked = self.env.queue_client("parked")
        #: when each job is due, and when it arrived
        self.due: dict[str, datetime] = {}
        self.arrived: dict[str, list[datetime]] = {}
        worker = SQSEnv(self.session, parking="parked")
        self.calls = KilledCalls(worker.clients.call, kill_chance)
        worker.clients.call = self.calls  # type: ignore[method-assign]  # a double
        self._worker = worker
        self._message_days = 0.0

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def calls_a_day(self) -> float:
        """The calls per message and day."""
        actions = ("ReceiveMessage", "ChangeMessageVisibilityBatch", "SendMessageBatch")
        counts = self.calls.counts
        return sum(counts[each] for each in (*actions, "DeleteMessageBatch")) / self._message_days

    def send(self, queue: JobQueue, seconds: int, count: int) -> None:
        self._message_days += count * seconds / DAY
        with queue.add_batch():
            for _ in range(count):
                job_id = f"job-{len(self.due)}"
                self.due[job_id] = self.now + timedelta(seconds=seconds)
                queue.add_job("remind", _delay_seconds=seconds, _job_id=job_id)

    def lane(self) -> ParkingLane:
        lane = self._worker.parking_lane()
        assert lane is not None
        return lane

    def run(self, seconds: float = float("inf")) -> None:
        """Let lanes work for this time, or until no job is parked."""
        lane, end = self.lane(), self.clock() + seconds
        while True:
            try:
                received = lane.step()
            except Killed:
                lane = self.lane()
                continue
            self._receive()
            if received == 10:
                continue
            wait = self.parked.seconds_until_due()
            if wait is None and not received:
                return
            if self.clock() + (wait or 0) > end:
                self.clock.advance(seconds=end - self.clock())
                return
            self.clock.advance(seconds=wait or 0)

    def _receive(self) -> None:
        for queue in self.queues:
            while messages := queue.get_raw_messages():
                queue.client.delete_batch(messages)
                for message in messages:
                    self.arrived.setdefault(job_id_of(message), []).append(self.now)


@pytest.fixture
def weeks() -> Iterator[Callable[..., Weeks]]:
    made: list[Weeks] = []

    def make(**keywords: Any) -> Weeks:
        made.append(Weeks(**keywords))
        return made[-1]

    yield make
    for each in made:
        each.session.close()


def test_jobs_delayed_over_forty_days_survive_kills(weeks: Callable[..., Weeks]) -> None:
    count = int(os.environ.get("SQSW_TEST_PARKED", "1000"))
    run = weeks(kill_chance=0.002)
    rng = random.Random(3)
    for index in range(count // 10):
        queue = run.queues[index % 4 == 0]
        run.send(queue, rng.randrange(901, 40 * DAY), 10)
    run.run()
    assert run.calls.kills > count / 40
    assert run.calls.at_kills
    assert set(run.arrived) == set(run.due), "lost"
    early = {job for job, times in run.arrived.items() if times[0] < run.due[job]}
    assert not early
    late = max(times[0] - run.due[job] for job, times in run.arrived.items())
    assert late < timedelta(minutes=3)
    again = {job: len(times) - 1 for job, times in run.arrived.items() if len(times) > 1}
    assert all(extra <= run.calls.at_kills[job] for job, extra in again.items()), again
    assert 0.43 * 0.9 < run.calls_a_day < 0.43 * 1.1


def test_a_job_alone_costs_four_calls_a_day(weeks: Callable[..., Weeks]) -> None:
    run = weeks()
    rng = random.Random(5)
    for _ in range(12):
        run.send(run.queues[0], rng.randrange(20 * DAY, 40 * DAY), 1)
        run.run(rng.randrange(1_000, 3_000))
    run.run()
    assert {len(times) for times in run.arrived.values()} == {1}
    assert 4.3 * 0.9 < run.calls_a_day < 4.3 * 1.1


#: what a worker does with a message at this time, in seconds after it was parked
WAITS, OLD, DUE = 1_000, 12.2 * DAY, 13 * DAY

STEPS = [
    (WAITS, "ReceiveMessage", "after"),
    *((WAITS, "ChangeMessageVisibilityBatch", moment) for moment in ("before", "after")),
    *((DUE, "SendMessageBatch", moment) for moment in ("before", "after")),
    *((DUE, "DeleteMessageBatch", moment) for moment in ("before", "after")),
    *((OLD, "SendMessageBatch", moment) for moment in ("before", "after")),
    *((OLD, "DeleteMessageBatch", moment) for moment in ("before", "after")),
]


@pytest.mark.parametrize(("seconds", "action", "moment"), STEPS)
def test_a_kill_loses_no_job(tmp_path: Path, seconds: float, action: str, moment: str) -> None:
    path = tmp_path / "queues.db"
    now = START.timestamp()
    session = LocalSession(path, clock=lambda: now)
    env = SQSEnv(session, parking="parked")
    create_parking_queue(env, "parked")
    create_standard_queue(env, "jobs")
    queue, parked = env.job_queue("jobs"), env.queue_client("parked")
    due = now + DUE
    with queue.add_batch():
        for number in range(3):
            run_at = datetime.fromtimestamp(due, UTC)
            queue.add_job("remind", _run_at=run_at, _job_id=f"job-{number}")
    now += seconds
    program = [sys.executable, "-m", "tests.life.parking_worker", str(path), str(now)]
    done = subprocess.run([*program, action, moment], check=False)
    assert done.returncode == -signal.SIGKILL

    lane = env.parking_lane()
    assert lane is not None
    arrived: Counter[str] = Counter()
    while sum(arrived.values()) < 3 or parked.seconds_until_due() is not None:
        lane.step()
        while messages := queue.get_raw_messages():
            assert now >= due
            queue.client.delete_batch(messages)
            arrived.update(map(job_id_of, messages))
        now += parked.seconds_until_due() or 60
    is_between = (action, moment) in (
        ("SendMessageBatch", "after"),
        ("DeleteMessageBatch", "before"),
    )
    assert arrived == dict.fromkeys(("job-0", "job-1", "job-2"), 2 if is_between else 1)
    session.close()
