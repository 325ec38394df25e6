"""The figures of the live view."""

from typing import Any

import pytest

from sqsw.core.events import (
    ChildExited,
    DrainStarted,
    EventBus,
    JobDone,
    JobFailed,
    JobRetry,
    JobUnknown,
    Pulse,
    RequestSent,
)
from sqsw.core.message import Message
from sqsw_cli.working.live.figures import Depth, Figures
from tests.unit.worker.doubles import ManualClock

A = Message("1", "", "", attributes={}, queue_name="a")
ERROR = ValueError("no")


class Watched:
    """Figures of two queues, and the bus that they listen to."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.figures = Figures(["a", "b"], self.clock)
        self.events = EventBus()
        self.figures.subscribe_to(self.events)

    def pulse(self, pid: int = 1, *, ready: bool = True, **busy: tuple[int, float]) -> None:
        running = sum(count for count, _ in busy.values())
        self.events.publish(Pulse(pid, 4, running, {}, 0, 0, 30, ready, None, busy))

    def done(self, count: int) -> None:
        for _ in range(count):
            self.events.publish(JobDone(A, "send", 0.1))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_jobs_are_counted_by_queue_and_outcome(watched: Watched) -> None:
    assert watched.figures.look().requests_per_job is None
    watched.done(3)
    watched.events.publish(JobFailed(A, "send", 0.1, ERROR, 5))
    watched.events.publish(JobRetry(A, "send", 0.1, 5))
    watched.events.publish(JobUnknown(A, "other", ERROR, 300))
    for _ in range(9):
        watched.events.publish(RequestSent("ReceiveMessage"))
    look = watched.figures.look()
    a, b = look.rows
    assert (a.name, a.done, a.failed, a.retried) == ("a", 3, 1, 1)
    assert (b.name, b.done, b.failed, b.retried) == ("b", 0, 0, 0)
    assert look.requests_per_job == 9 / 6  # as in the summary


def test_running_jobs_are_the_sum_of_all_processes(watched: Watched) -> None:
    assert not watched.figures.look().was_up
    watched.pulse(1, a=(2, 7.5), b=(1, 0.1))
    watched.pulse(2, a=(1, 30.0))
    look = watched.figures.look()
    assert [(row.running, row.longest) for row in look.rows] == [(3, 30.0), (1, 0.1)]
    assert (look.busy, look.slots, look.was_up) == (4, 8, True)
    watched.events.publish(ChildExited(2, -9))
    look = watched.figures.look()
    assert (look.rows[0].running, look.rows[0].longest, look.slots) == (2, 7.5, 4)
    watched.figures.has_ended = True
    look = watched.figures.look()
    assert (look.rows[0].running, look.rows[0].longest, look.busy) == (0, None, 0)


def test_a_rate_covers_the_last_seconds(watched: Watched) -> None:
    watched.figures.look()
    for _ in range(10):
        watched.clock.advance(1)
        watched.done(6)
        watched.figures.look()
    assert watched.figures.look().rows[0].rate == 6
    for _ in range(15):
        watched.clock.advance(1)
        watched.figures.look()
    assert watched.figures.look().rows[0].rate == 30 / 20
    watched.clock.advance(10)
    assert watched.figures.look().rows[0].rate == 0


def test_the_time_until_queues_are_empty_follows_their_trend(watched: Watched) -> None:
    def tell(name: str, *ready: int) -> float | None:
        for count in ready:
            watched.clock.advance(5)
            watched.figures.told(name, Depth(count, 0, 0))
        return watched.figures.look().empty_seconds

    assert tell("a", 1000) is None  # one value is not a trend
    assert tell("a", 900, 800) == 800 / 20
    assert tell("b", 10) is None
    assert tell("b", 5) == 800 / 20  # the longest time counts; 5 left at one per second is sooner
    assert tell("b", 50) is None  # gets longer
    assert tell("b", 0) == 800 / 20
    assert tell("a", 0) is None
    watched.figures.told("a", Depth())
    assert watched.figures.look().rows[0].depth == Depth()


def test_a_drain_is_shown_with_the_time_that_is_left(watched: Watched) -> None:
    watched.pulse()
    watched.events.publish(DrainStarted("SIGTERM", 3, 0, 25))
    watched.pulse(ready=False)
    watched.clock.advance(7)
    watched.pulse(ready=False)
    assert watched.figures.look().drain_seconds == 18
    watched.clock.advance(60)
    assert watched.figures.look().drain_seconds == 0


def test_a_replaced_process_is_not_shown_as_a_drain_or_as_quiet(watched: Watched) -> None:
    watched.pulse(1)
    watched.pulse(2)
    watched.events.publish(DrainStarted("SIGTERM", 3, 0, 25))
    watched.pulse(1, ready=False)
    assert (watched.figures.look().drain_seconds, watched.figures.look().is_quiet) == (None, False)
    watched.pulse(2)
    watched.pulse(2, ready=False)
    assert (watched.figures.look().drain_seconds, watched.figures.look().is_quiet) == (None, True)


def test_a_depth_that_cannot_be_queried_is_unknown_and_not_zero(watched: Watched) -> None:
    row: Any = watched.figures.look().rows[0]
    assert (row.depth.ready, row.depth.in_flight, row.depth.dead) == (None, None, None)
