import gc
import threading
import time
import tracemalloc

import pytest

from sqsw.core.errors import ConnectionFailed, SQSError
from sqsw.core.lease_clock import lease_time
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.receive_pass import Notice, ReceivePass
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import counts, send_jobs


class Time:
    """The clock of the leases, which moves together with the clock of the queues."""

    def __init__(self, session: MemorySession) -> None:
        self._session = session
        self._moved = 0.0

    def __call__(self) -> float:
        return lease_time() + self._moved

    def advance(self, seconds: float) -> None:
        self._moved += seconds
        self._session.clock.advance(seconds=seconds)


@pytest.fixture
def clock(session: MemorySession) -> Time:
    return Time(session)


@pytest.fixture
def jobs(env: SQSEnv) -> str:
    create_queue(env, "jobs")
    send_jobs(env, "jobs", *[{"n": n} for n in range(25)])
    return "jobs"


def test_each_message_is_handed_out_once_and_all_are_returned(env: SQSEnv, jobs: str) -> None:
    with ReceivePass(env.queue_client(jobs), poll_seconds=0) as receive_pass:
        batches = [receive_pass.next_batch() for _ in range(4)]
        assert [len(batch) for batch in batches] == [10, 10, 5, 0]
        assert counts(env, jobs) == (0, 25)
    assert len({message.message_id for batch in batches for message in batch}) == 25
    assert counts(env, jobs) == (25, 0)


def test_bodies_of_handed_out_messages_are_not_kept(env: SQSEnv) -> None:
    create_queue(env, "large")
    send_jobs(env, "large", *[{"n": "x" * 500_000} for _ in range(20)])
    with ReceivePass(env.queue_client("large"), poll_seconds=0) as receive_pass:
        receive_pass.next_batch()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        while receive_pass.next_batch():
            pass
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 1_000_000
    assert counts(env, "large") == (20, 0)


def test_leases_are_renewed_at_half_time(
    env: SQSEnv, jobs: str, clock: Time, faults: Faults
) -> None:
    with ReceivePass(
        env.queue_client(jobs), lease_seconds=300, poll_seconds=0, clock=clock
    ) as receive_pass:
        receive_pass.next_batch()
        clock.advance(100)
        receive_pass.next_batch()
        assert faults.count("ChangeMessageVisibilityBatch") == 0
        clock.advance(60)  # 160 s for the first ten, 60 for the second
        receive_pass.next_batch()
        assert faults.count("ChangeMessageVisibilityBatch") == 1
        for _ in range(10):
            clock.advance(140)
            assert counts(env, jobs) == (0, 25)
            assert receive_pass.next_batch() == []
    assert counts(env, jobs) == (25, 0)


def test_a_message_received_again_after_a_lost_lease_is_not_handed_out_again(
    env: SQSEnv, jobs: str, clock: Time
) -> None:
    with ReceivePass(
        env.queue_client(jobs), lease_seconds=300, poll_seconds=0, clock=clock
    ) as receive_pass:
        first = receive_pass.next_batch()
        clock.advance(400)  # the caller was suspended
        others = receive_pass.next_batch() + receive_pass.next_batch()
        assert receive_pass.next_batch() == []
        assert not {m.message_id for m in first} & {m.message_id for m in others}
        assert counts(env, jobs) == (0, 25)
    assert counts(env, jobs) == (25, 0)


def test_a_message_with_an_expired_lease_is_not_released(
    env: SQSEnv, jobs: str, clock: Time
) -> None:
    with ReceivePass(
        env.queue_client(jobs), lease_seconds=300, poll_seconds=0, clock=clock
    ) as receive_pass:
        receive_pass.next_batch()
        clock.advance(400)
        somebody = [m for _ in range(3) for m in env.queue_client(jobs).receive(10)]
        assert len(somebody) == 25
    assert counts(env, jobs) == (0, 25)


def test_a_fifo_message_with_a_lost_lease_is_dropped(env: SQSEnv, clock: Time) -> None:
    create_queue(env, "o.fifo")
    send_jobs(env, "o.fifo", {"n": 1})
    with ReceivePass(env.queue_client("o.fifo"), lease_seconds=300, poll_seconds=0) as receive_pass:
        [message] = receive_pass.next_batch()
        clock.advance(400)
        message.lease.expires_at = 0
        assert receive_pass.next_batch() == []
    assert counts(env, "o.fifo") == (1, 0)


def test_an_error_returns_all_messages_and_propagates(env: SQSEnv, jobs: str) -> None:
    with (
        pytest.raises(RuntimeError),
        ReceivePass(env.queue_client(jobs), poll_seconds=0) as receive_pass,
    ):
        receive_pass.next_batch()
        raise RuntimeError
    assert counts(env, jobs) == (25, 0)


def test_the_error_that_ended_the_pass_takes_precedence_over_one_while_returning(
    env: SQSEnv, jobs: str, faults: Faults
) -> None:
    with (
        pytest.raises(ConnectionFailed),
        ReceivePass(env.queue_client(jobs), poll_seconds=0) as receive_pass,
    ):
        receive_pass.next_batch()
        faults.refuse("ChangeMessageVisibilityBatch", "AccessDenied")
        raise ConnectionFailed
    with (
        pytest.raises(SQSError),
        ReceivePass(env.queue_client(jobs), poll_seconds=0) as receive_pass,
    ):
        receive_pass.next_batch()


def test_messages_that_cannot_be_returned_are_reported(
    env: SQSEnv, jobs: str, faults: Faults
) -> None:
    faults.refuse_entries(
        "ChangeMessageVisibilityBatch", lambda e: e["Id"] == "3", sender_fault=True
    )
    notices: list[Notice] = []
    with ReceivePass(
        env.queue_client(jobs), poll_seconds=0, on_notice=notices.append
    ) as receive_pass:
        receive_pass.next_batch()
    assert [notice.message for notice in notices] == ["1 message of 'jobs' could not be put back"]
    assert counts(env, jobs) == (24, 1)


def test_a_ctrl_c_during_a_receive_returns_its_messages(
    env: SQSEnv, jobs: str, faults: Faults
) -> None:
    faults.ctrl_c_before("ReceiveMessage")
    with (
        pytest.raises(KeyboardInterrupt),
        ReceivePass(env.queue_client(jobs), poll_seconds=0) as receive_pass,
    ):
        receive_pass.next_batch()
    assert counts(env, jobs) == (25, 0)


def test_leases_are_renewed_during_slow_steps_and_slow_callers(env: SQSEnv, jobs: str) -> None:
    with ReceivePass(env.queue_client(jobs), lease_seconds=2, poll_seconds=0) as receive_pass:
        messages = receive_pass.next_batch()
        receive_pass.finish(lambda: time.sleep(3))  # for example, a send that hangs
        assert counts(env, jobs) == (15, 10)
        time.sleep(3)  # for example, the reader of the output pauses
        assert counts(env, jobs) == (15, 10)
        assert receive_pass.finish(lambda: receive_pass.delete(messages)) == {}
        time.sleep(1.5)
    assert counts(env, jobs) == (15, 0)
    assert not any(thread.name == "sqsw-pass-leases" for thread in _alive())


def _alive() -> list[threading.Thread]:
    time.sleep(0.6)  # the thread checks four times per lease
    return threading.enumerate()


def test_messages_of_a_killed_pass_are_available_after_a_minute(
    env: SQSEnv, jobs: str, session: MemorySession
) -> None:
    receive_pass = ReceivePass(env.queue_client(jobs))
    receive_pass.next_batch()
    assert counts(env, jobs) == (15, 10)
    session.clock.advance(seconds=61)
    assert counts(env, jobs) == (25, 0)
    receive_pass.__exit__(None, None, None)
