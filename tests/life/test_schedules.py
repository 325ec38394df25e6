"""Periodic jobs of several worker processes: kills, absences, and a rolling deploy.

The processes share a file of queues and a clock that the test moves.
"""

import itertools
import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sqsw.memory_sqs import LocalSession
from tests.backends import wait_until
from tests.life import schedule_workers
from tests.life.schedule_workers import EVERY, QUEUE, Line, Release, SharedClock, read, work

#: ticks of the soak test; a command can run more
TICKS = int(os.environ.get("SQSW_TEST_TICKS", "60"))

WORKERS = 5

#: the chance that a worker is killed at a tick
KILLS = 0.15

#: A worker can be this many ticks behind the clock. With the time that it may be late, this must
#: stay below the 300 seconds for which SQS remembers a tick.
BEHIND = 5

#: long, because the clock moves on while jobs run
VISIBILITY_SECONDS = 200

#: when each test begins, a multiple of every interval
START = 1_800_000_000


class Fleet:
    """Worker processes, their clock and their ledgers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SharedClock(folder / "clock", START + 1)
        session = LocalSession(folder / "sqs.db", clock=self.clock)
        session.client("sqs").create_queue(
            QueueName=QUEUE,
            Attributes={"FifoQueue": "true", "VisibilityTimeout": str(VISIBILITY_SECONDS)},
        )
        session.close()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([schedule_workers.__name__])
        self._names = itertools.count()
        self.live: dict[str, BaseProcess] = {}

    def start(self, count: int = 1, release: Release = "soak") -> None:
        """Start workers."""
        for _ in range(count):
            name = f"{release}-{next(self._names)}.ledger"
            process = self._context.Process(target=work, args=(self.folder, name, release))
            process.start()
            self.live[name] = process

    def kill(self, name: str) -> None:
        """End a worker by ``kill -9``."""
        process = self.live.pop(name)
        process.kill()
        process.join(60)

    def end(self) -> None:
        for name in list(self.live):
            self.kill(name)

    def lines(self, word: str) -> list[Line]:
        """Return the lines of all ledgers."""
        paths = sorted(self.folder.glob("*.ledger"))
        return [line for path in paths for line in read(path) if line.word == word]

    def done(self, schedule: str) -> dict[int, list[str]]:
        """Return the message of each run of a schedule, by instant, from the start of the test."""
        found: dict[int, list[str]] = defaultdict(list)
        for line in self.lines("done"):
            if line.schedule == schedule and line.at > START:
                found[line.at].append(line.note)
        return found

    def move(self, seconds: float) -> None:
        self.clock.move_to(self.clock() + seconds)

    def all_tick(self) -> None:
        """Wait until every worker sends ticks."""
        wait_until(
            lambda: all(_words(self.folder / name) >= {"ready", "sent"} for name in self.live),
            what="the first tick of each worker",
        )

    def wait_for_ticks(self, instant: int) -> None:
        """Wait until each worker that has begun has sent the ticks up to an instant."""
        wait_until(
            lambda: all(self._has_sent(name, instant) for name in self.live),
            what=f"the ticks up to {instant}",
        )

    def _has_sent(self, name: str, instant: int) -> bool:
        lines = read(self.folder / name)
        if not lines:
            return True  # it loads, and looks at the clock later
        return max((line.at for line in lines if line.word == "sent"), default=0) >= instant


def _words(path: Path) -> set[str]:
    return {line.word for line in read(path)}


@pytest.fixture
def fleet(short_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(short_path)
    yield fleet
    fleet.end()


def test_five_workers_with_random_kills_run_each_tick_once(fleet: Fleet) -> None:
    seed = os.environ.get("SQSW_TEST_SEED", str(time.time_ns()))
    print(f"SQSW_TEST_SEED={seed}")
    chance = random.Random(seed)
    fleet.start(WORKERS)
    fleet.all_tick()
    kills = 0
    for number in range(1, TICKS + 1):
        fleet.move(EVERY)
        if chance.random() < KILLS:
            # At any moment of a tick: before its send, between send and job, after the job.
            time.sleep(chance.uniform(0, 0.05))
            fleet.kill(chance.choice(list(fleet.live)))
            fleet.start()
            kills += 1
        fleet.wait_for_ticks(START + (number - BEHIND) * EVERY)
    expected = {START + number * EVERY for number in range(1, TICKS + 1)}
    for _ in range(2 * VISIBILITY_SECONDS // EVERY):  # messages of killed workers come back
        if expected <= fleet.done("soak").keys():
            break
        fleet.move(EVERY)
        fleet.wait_for_ticks(int(fleet.clock()) - (BEHIND + 1) * EVERY)
        time.sleep(0.05)
    fleet.end()

    done = fleet.done("soak")
    repeated = sum(len(runs) - 1 for runs in done.values())
    print(f"{TICKS} ticks, {kills} kills, {repeated} runs were repeated after a kill")
    assert expected <= done.keys(), "a tick was lost"
    assert {at for at, runs in done.items() if len(set(runs)) > 1} == set(), "a tick came twice"
    # A worker that dies between a job and its delete leaves the message to the next one.
    assert repeated <= kills
    assert {line.note for line in fleet.lines("missed")} == {"started"}
    assert kills > 0 or TICKS < 60


def test_instants_without_any_worker_are_skipped_and_reported(fleet: Fleet) -> None:
    fleet.start(2)
    fleet.all_tick()
    fleet.move(EVERY)
    fleet.wait_for_ticks(START + EVERY)
    wait_until(lambda: START + EVERY in fleet.done("soak"))
    fleet.end()
    fleet.move(600)  # up to START + 610
    fleet.start(2)
    fleet.all_tick()
    fleet.wait_for_ticks(START + 610)
    in_time = range(START + 420, START + 611, EVERY)  # at most 200 seconds late
    wait_until(lambda: set(in_time) <= fleet.done("soak").keys())
    fleet.end()
    done = fleet.done("soak")
    assert sorted(done) == [START + EVERY, *in_time]
    assert all(len(set(runs)) == 1 for runs in done.values())
    reports = [line for line in fleet.lines("missed") if line.at > START]
    # Each of the two new workers reports the last one that it cannot send.
    assert [(line.note, line.number) for line in reports] == [("started", 1)] * 2
    assert {line.last for line in reports} == {START + 410}


def test_a_suspended_worker_reports_the_ticks_that_it_missed(fleet: Fleet) -> None:
    fleet.start()
    fleet.all_tick()
    (process,) = fleet.live.values()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    fleet.move(600)
    os.kill(process.pid, signal.SIGCONT)
    fleet.wait_for_ticks(START + 600)
    fleet.end()
    (late,) = (line for line in fleet.lines("missed") if line.note == "late")
    assert (late.at, late.last, late.number) == (START + EVERY, START + 400, 40)
    sent = {line.at for line in fleet.lines("sent") if line.at > START}
    assert sent == set(range(START + 410, START + 601, EVERY))


def test_a_rolling_deploy_runs_each_instant_once_for_each_name(fleet: Fleet) -> None:
    """Rename a schedule and change the rule of another, with old and new workers side by side."""
    fleet.start(2, "old")
    fleet.all_tick()
    for step in range(1, 31):
        fleet.move(10)
        if step == 8:
            fleet.start(2, "new")
            fleet.all_tick()
        if step == 22:
            fleet.wait_for_ticks(START + 220)
            for name in [each for each in fleet.live if each.startswith("old")]:
                fleet.kill(name)
        time.sleep(0.05)
        fleet.wait_for_ticks(START + step * 10 - 40)
    fleet.wait_for_ticks(START + 300)
    # The old release left at 220, the new one came at 80 and sent what was at most 200 s late.
    expected = {
        "before": set(range(START + 20, START + 221, 20)),
        "after": set(range(START + 20, START + 301, 20)),
        "changed": {*range(START + 20, START + 221, 20), *range(START + 30, START + 301, 30)},
    }
    for _ in range(2 * VISIBILITY_SECONDS // 10):  # what killed workers had in hand comes back
        if all(expected[name] <= fleet.done(name).keys() for name in expected):
            break
        fleet.move(10)
        time.sleep(0.1)
    fleet.end()
    for name, instants in expected.items():
        done = fleet.done(name)
        assert {at for at in done if at <= START + 300} == instants, name
        # One message for each name and instant, whichever release sent it.
        assert all(len(set(runs)) == 1 for runs in done.values()), name


def test_at_reaches_a_function_in_a_pool_process(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fleet.folder)
    fleet.start(1, "pool")
    (process,) = fleet.live.values()
    wait_until(lambda: read(fleet.folder / "pool.ledger"), what="the job")
    line = read(fleet.folder / "pool.ledger")[0]
    assert (line.note, line.at % EVERY) == ("Asia/Tokyo", 0)
    assert line.number != process.pid
