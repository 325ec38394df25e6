"""One shutdown policy for several processes."""

from dataclasses import replace

import pytest

from sqsw.core.events import (
    ChildExited,
    EventBus,
    JobDone,
    JobDropped,
    JobFailed,
    JobRetry,
    JobStarted,
    JobUnknown,
    Pulse,
    ReceiveDone,
    TickSkipped,
    WorkerStarted,
)
from sqsw.shutdown_policies import AndShutdown, IdleShutdown, MaxTasksShutdown, OrShutdown
from sqsw.supervisor.policies import PolicyListener
from tests.unit.worker.doubles import ManualClock, message

PULSE = Pulse(1, 8, 0, {"a": 0}, 0, 0, 30, True, None)


def listening(policy: object) -> tuple[EventBus, list[str]]:
    decided: list[str] = []
    events = EventBus()
    PolicyListener(policy, decided.append).subscribe_to(events)  # type: ignore[arg-type]  # a policy or a test double
    return events, decided


def test_every_kind_of_job_end_counts() -> None:
    events, decided = listening(MaxTasksShutdown(6))
    error = ValueError("no")
    ends = [
        JobDone(message(), "j", 1),
        JobFailed(message(), "j", 1, error, 7),
        JobRetry(message(), "j", 1, 7),
        JobUnknown(message(), "j", error, 7),
        JobDropped(message(), "j", 1),
        TickSkipped(message()),
    ]
    for number, event in enumerate(ends):
        assert decided == []
        events.publish(event)
        assert decided == ["max_jobs"] * (number == 5)
    events.publish(ends[0])
    assert decided == ["max_jobs"]  # only once


#: the reasons of policies that combine several
REASONS: dict[type, str] = {OrShutdown: "until_idle", AndShutdown: "shutdown_policy"}


def test_a_job_that_was_skipped_is_not_busy() -> None:
    events, decided = listening(IdleShutdown(0))
    tick = message()
    events.publish(JobStarted(tick, "j"))
    events.publish(TickSkipped(tick))
    events.publish(ReceiveDone("a", 0))
    events.publish(ReceiveDone("a", 0))
    assert decided == ["until_idle"]


@pytest.mark.parametrize("combine", [OrShutdown, AndShutdown])
def test_idle_means_that_no_process_is_busy(combine: type) -> None:
    clock = ManualClock()
    events, decided = listening(combine(IdleShutdown(5, clock), IdleShutdown(5, clock)))
    busy = message()
    events.publish(JobStarted(busy, "j"))
    for _ in range(5):
        clock.advance(10)
        events.publish(ReceiveDone("a", 0))  # from another process
    events.publish(JobDone(busy, "j", 50))
    clock.advance(4)
    events.publish(ReceiveDone("a", 0))
    events.publish(ReceiveDone("a", 0))
    events.publish(replace(PULSE, pid=2, in_hand={"a": 1}))
    clock.advance(10)
    events.publish(ReceiveDone("a", 0))
    assert decided == []
    events.publish(ChildExited(2, -9))  # its messages are not in hand anymore
    events.publish(ReceiveDone("a", 0))
    clock.advance(6)
    events.publish(ReceiveDone("a", 0))
    assert decided == [REASONS[combine]]


def test_one_empty_receive_after_a_job_is_not_enough() -> None:
    events, decided = listening(IdleShutdown(0))
    events.publish(JobDone(message(), "j", 1))
    events.publish(ReceiveDone("a", 0))  # it can have started before the job returned something
    assert decided == []
    events.publish(ReceiveDone("a", 0))
    assert decided == ["until_idle"]


def test_one_empty_queue_out_of_two_is_not_enough() -> None:
    events, decided = listening(IdleShutdown(0))
    events.publish(WorkerStarted(("a", "b"), 8))
    for _ in range(5):
        events.publish(ReceiveDone("a", 0))
    events.publish(ReceiveDone("b", 0))
    assert decided == []
    events.publish(ReceiveDone("b", 0))
    assert decided == ["until_idle"]


class Broken:
    def update_state(self, batch_result: object) -> None:
        raise ValueError("broken")

    def need_shutdown(self) -> bool:
        raise ValueError("broken")


def test_a_policy_that_raises_does_not_stop_the_work(caplog: pytest.LogCaptureFixture) -> None:
    events, decided = listening(Broken())
    events.publish(JobDone(message(), "j", 1))
    assert decided == []
    assert "broken" in caplog.text
