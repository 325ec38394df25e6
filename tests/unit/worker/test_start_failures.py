"""What a worker receives while it cannot start jobs, and when it ends."""

import math

import pytest

from sqsw.core.errors import AppLoadError, JobNotStarted, SQSError
from sqsw.worker.start_failures import END_SECONDS, StartFailures
from tests.unit.worker.doubles import ManualClock


class Kit:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.is_sick = True
        self.checks = 0
        self.ends: list[SQSError] = []
        self.failures = StartFailures(self._check, self.ends.append, self.clock, lambda: 1.0)

    def _check(self, kind: str) -> None:
        self.checks += 1
        if self.is_sick:
            raise OSError(24, "Too many open files")


def test_a_worker_receives_nothing_until_a_check_succeeds_and_then_one_by_one() -> None:
    kit = Kit()
    assert (kit.failures.room(), kit.failures.problem()) == (math.inf, None)
    for _ in range(8):  # calls of one moment
        kit.failures.ran("process", JobNotStarted("no process"))
    assert (kit.failures.room(), kit.checks) == (0, 0)
    assert kit.failures.problem() == "no job could be started for 0 seconds: no process"
    kit.clock.now += 1
    assert (kit.failures.room(), kit.checks) == (0, 1)
    assert "Too many open files" in str(kit.failures.problem())
    kit.is_sick = False
    kit.clock.now += 1.9
    assert (kit.failures.room(), kit.checks) == (0, 1)
    kit.clock.now += 0.1
    assert (kit.failures.room(), kit.failures.problem()) == (1, None)
    kit.failures.ran("thread", None)  # says nothing about the processes
    assert kit.failures.room() == 1
    kit.failures.ran("process", None)
    assert (kit.failures.room(), kit.ends) == (math.inf, [])


def test_a_failure_after_a_successful_check_does_not_restart_the_clock() -> None:
    kit = Kit()
    kit.is_sick = False
    received = 0.0
    while not kit.ends and kit.clock.now < 1_000:
        kit.failures.ran("process", JobNotStarted("no process"))
        kit.clock.now += 1
        received += min(kit.failures.room(), 100)
        kit.is_sick = kit.clock.now > 30
    assert received < 10


def test_a_worker_recovers_after_a_while_without_failures() -> None:
    kit = Kit()
    kit.failures.ran("process", JobNotStarted("no process"))
    kit.is_sick = False
    kit.clock.now += 1
    assert kit.failures.room() == 1
    kit.clock.now += 30
    assert (kit.failures.room(), kit.failures.room()) == (1, math.inf)


@pytest.mark.parametrize("cause", [None, AppLoadError("cannot import 'tasks'")])
def test_a_lasting_failure_ends_the_worker_with_its_cause(cause: SQSError | None) -> None:
    kit = Kit()
    error = JobNotStarted("no process")
    error.__cause__ = cause
    kit.failures.ran("process", error)
    kit.failures._check = lambda kind: (_ for _ in ()).throw(error)
    begin = kit.clock.now
    while not kit.ends:
        assert kit.failures.room() == 0
        kit.clock.now += 0.1
    assert END_SECONDS <= kit.clock.now - begin < END_SECONDS + 20
    assert kit.ends[0] is cause or isinstance(kit.ends[0], JobNotStarted)
