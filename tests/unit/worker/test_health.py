"""The health that a worker reports once a second."""

import threading

from sqsw.worker.health import WorkerHealth, memory_bytes
from tests.unit.worker.doubles import HeldExecutor, ManualClock, WorkerKit, lane


class BeatingKit(WorkerKit):
    """A worker with two lanes whose heartbeat looks alive."""

    def __init__(self, executor: HeldExecutor | None = None) -> None:
        lists = lane("a", batch_size=2)
        super().__init__(lists, lane("b"), executor=executor, concurrency=4)
        self.heartbeat._thread = threading.current_thread()


def made() -> tuple[WorkerHealth, ManualClock]:
    kit = BeatingKit()
    return kit.health, kit.clock


def test_a_receive_without_an_answer_for_a_minute_is_a_problem() -> None:
    signs, clock = made()
    signs.poll_begins(lane("a"))
    clock.advance(60)
    assert signs.problem() is None
    clock.advance(1)
    assert signs.problem() == "no answer to receives from 'a' for 61 seconds"
    signs.poll_ended(lane("a"), answered=False)
    clock.advance(1)
    signs.poll_begins(lane("a"))  # the retry after an error: still no answer
    assert signs.problem() == "no answer to receives from 'a' for 62 seconds"
    signs.poll_ended(lane("a"), answered=True)
    assert signs.problem() is None


def test_a_failed_receive_without_a_retry_is_not_a_lasting_problem() -> None:
    signs, clock = made()
    signs.poll_begins(lane("a"))
    signs.poll_ended(lane("a"), answered=False)  # from here on all slots are taken for hours
    for seconds in (50, 50, 10_000):
        clock.advance(seconds)
        assert signs.problem() is None
    signs.poll_begins(lane("a"))
    signs.poll_ended(lane("a"), answered=False)
    assert signs.problem() is None


def test_a_failure_in_one_thread_is_over_when_another_gets_an_answer() -> None:
    signs, clock = made()

    def help_in_vain() -> None:
        signs.poll_begins(lane("a"))
        signs.poll_ended(lane("a"), answered=False)

    helper = threading.Thread(target=help_in_vain)
    helper.start()
    helper.join()
    for _ in range(4):
        clock.advance(20)
        signs.poll_begins(lane("a"))
        signs.poll_ended(lane("a"), answered=True)
        assert signs.problem() is None


def test_not_receiving_is_never_a_problem() -> None:
    signs, clock = made()
    clock.advance(10_000)
    assert signs.problem() is None
    signs.poll_begins(lane("a"))
    signs.receives_no_more("quiet")
    clock.advance(10_000)
    assert signs.problem() is None


def test_a_drain_is_final() -> None:
    signs, _ = made()
    for asked, state in (("quiet", "quiet"), ("draining", "draining"), ("quiet", "draining")):
        signs.receives_no_more(asked)  # type: ignore[arg-type]  # all values are of its type
        assert signs.state == state


def test_a_stopped_heartbeat_is_a_problem() -> None:
    kit = BeatingKit()
    kit.heartbeat._thread = threading.Thread()
    assert kit.health.problem() == "the heartbeat has ended"


def test_only_problems_of_the_worker_itself_count_as_halted() -> None:
    kit = BeatingKit()
    kit.health.poll_begins(lane("a"))
    kit.clock.advance(10_000)  # SQS does not answer
    assert kit.health.problem() is not None
    assert kit.health.pulse().halted is None
    assert kit.health.pulse(blocked_seconds=300).halted is None
    assert (
        kit.health.pulse(blocked_seconds=301).halted
        == "a job has blocked the event loop for 301 seconds"
    )
    kit.heartbeat._thread = threading.Thread()
    assert kit.health.pulse().halted == "the heartbeat has ended"


def test_a_pulse_has_all_figures() -> None:
    executor = HeldExecutor()
    kit = BeatingKit(executor)
    kit.accept("0", of=1)
    executor.end_next()
    kit.acknowledger.flush()
    kit.accept("1", "2")
    kit.clock.advance(5)
    kit.accept("3", "4")
    kit.clock.advance(2)
    pulse = kit.health.pulse()
    assert (pulse.slots, pulse.running, pulse.ended) == (4, 4, 1)
    assert pulse.in_hand == {"a": 4, "b": 0}
    assert pulse.busy == {"a": (4, 7)}
    assert (pulse.lease_seconds, pulse.ready, pulse.problem) == (30, True, None)
    assert 1_000_000 < memory_bytes() < 100_000_000_000
