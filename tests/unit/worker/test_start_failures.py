"""What a worker receives while it cannot start jobs, and when it ends."""

import math

import pytest

from sqsw.core.errors import AppLoadError, JobNotStarted, SQSError
from sqsw.worker.signals import SignalInbox
from sqsw.worker.start_failures import END_SECONDS, StartFailures
from tests.unit.worker.doubles import HeldExecutor, ManualClock


class SickExecutor(HeldExecutor):
    """An executor that cannot start anything until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = OSError(24, "Too many open files")
        self.checks = 0

    def check(self) -> None:
        self.checks += 1
        if self.error is not None:
            raise self.error


class Kit:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.processes = SickExecutor()
        self.inbox = SignalInbox()
        self.ends: list[BaseException | None] = []
        self.failures = StartFailures(
            {"process": self.processes}, self.inbox, self.clock, lambda: 1.0
        )

    @property
    def checks(self) -> int:
        return self.processes.checks

    def room(self) -> float:
        """Return how many messages can be received, and read the inbox."""
        room = self.failures.room()
        self.ends += [notice.error for notice in self.inbox.wait(0) if notice.verb == "fail"]
        return room

    def heal(self) -> None:
        self.processes.error = None


def test_a_worker_receives_nothing_until_a_check_succeeds_and_then_one_by_one() -> None:
    kit = Kit()
    assert (kit.room(), kit.failures.problem()) == (math.inf, None)
    for _ in range(8):  # calls at the same moment
        kit.failures.ran("process", JobNotStarted("no process"))
    assert (kit.room(), kit.checks) == (0, 0)
    assert kit.failures.problem() == "no job could be started for 0 seconds: no process"
    kit.clock.now += 1
    assert (kit.room(), kit.checks) == (0, 1)
    assert "Too many open files" in str(kit.failures.problem())
    kit.heal()
    kit.clock.now += 1.9
    assert (kit.room(), kit.checks) == (0, 1)
    kit.clock.now += 0.1
    assert (kit.room(), kit.failures.problem()) == (1, None)
    kit.failures.ran("thread", None)  # a thread says nothing about processes
    assert kit.room() == 1
    kit.failures.ran("process", None)
    assert (kit.room(), kit.ends) == (math.inf, [])


def test_a_failure_after_a_successful_check_does_not_restart_the_clock() -> None:
    kit = Kit()
    kit.heal()
    received, begin = 0.0, kit.clock.now
    while not kit.ends and kit.clock.now < begin + 1_000:
        kit.failures.ran("process", JobNotStarted("no process"))
        kit.clock.now += 1
        received += min(kit.room(), 100)
        if kit.clock.now > begin + 30:
            kit.processes.error = OSError()
    assert kit.ends
    assert received < 10


def test_a_worker_recovers_after_a_while_without_failures() -> None:
    kit = Kit()
    kit.failures.ran("process", JobNotStarted("no process"))
    kit.heal()
    kit.clock.now += 1
    assert kit.room() == 1
    kit.clock.now += 30
    assert (kit.room(), kit.room()) == (1, math.inf)


@pytest.mark.parametrize("cause", [None, AppLoadError("cannot import 'tasks'")])
def test_a_lasting_failure_ends_the_worker_with_its_cause(cause: SQSError | None) -> None:
    kit = Kit()
    error = JobNotStarted("no process")
    error.__cause__ = cause
    kit.failures.ran("process", error)
    kit.processes.error = error
    begin = kit.clock.now
    while not kit.ends:
        assert kit.room() == 0
        kit.clock.now += 0.1
    assert END_SECONDS <= kit.clock.now - begin < END_SECONDS + 20
    assert kit.ends[0] is cause or isinstance(kit.ends[0], JobNotStarted)
