"""How messages of jobs that ended are deleted or returned."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied, ConnectionFailed, QueueNotFound
from sqsw.core.events import AckFailed, BatchFinished, MessageDeleted, MessageReturned
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.transport.batches import EntryFailure
from tests.backends import wait_until
from tests.unit.worker.doubles import (
    CalledBack,
    FakeClient,
    Seconds,
    WorkerKit,
    lane,
    names,
    refused,
    throttled,
)

#: what the acknowledger publishes
EVENTS = (MessageDeleted, MessageReturned, AckFailed, BatchFinished)


def fail(messages: Sequence[Message]) -> list[ProcessingResult]:
    """Fail each message whose body is a number, and hide it for that many seconds."""
    return [
        ProcessingResult(False, backoff_policy=Seconds(int(each.body)))
        if each.body.isdigit()
        else SUCCEEDED
        for each in messages
    ]


def kit_of(client: FakeClient | None = None, **settings: Any) -> WorkerKit:
    """Return a worker with a lane of this client and one named ``other``."""
    made = client or CalledBack()
    lanes = lane(made.name, client=made, handle=fail), lane("other")
    return WorkerKit(*lanes, events=EVENTS, **settings)


@pytest.fixture
def kit() -> WorkerKit:
    return kit_of()


def running(client: FakeClient) -> WorkerKit:
    """Return a worker with running senders and a real clock."""
    made = kit_of(client, clock=lease_time)
    made.acknowledger.start()
    return made


def end(kit: WorkerKit, *bodies: str, of: int = 0) -> None:
    """End jobs with these bodies, one after the other."""
    for body in bodies:
        kit.accept(body, of=of)


def flush_for(kit: WorkerKit, seconds: int) -> list[float]:
    """Flush ten times a second; return the seconds from now at which calls were made."""
    called_at: list[float] = []
    begin = kit.clock.now
    kit.client.during = lambda: called_at.append(kit.clock.now - begin)
    for _ in range(10 * seconds):
        kit.acknowledger.flush()
        kit.clock.advance(0.1)
    return called_at


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def take(kit: WorkerKit) -> list[str]:
    """Return what a sender would send now."""
    batch = kit.in_flight._take(kit.clock.now, kit.in_flight._enough) or []
    return [delivery.message.body for delivery in batch]


def test_the_lease_of_a_success_is_kept_until_its_delete(kit: WorkerKit) -> None:
    end(kit, "a")
    kit.clock.advance(20)
    kit.client.during = kit.heartbeat.beat
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert kit.client.changes == [[("a", 30)]]  # an extension cannot undo a delete
    assert kit.in_flight.is_empty()
    assert names(kit.told) == ["MessageDeleted", "BatchFinished"]
    assert bodies(kit.told[1].result.succeeded) == ["a"]


def test_a_delete_after_the_visibility_timeout_is_reported(kit: WorkerKit) -> None:
    end(kit, "a")
    kit.client.during = lambda: kit.clock.advance(31)
    kit.acknowledger.flush()
    assert kit.in_flight.is_empty()
    (late, finished) = kit.told
    assert (late.action, late.message.body) == ("delete", "a")
    assert "another worker may have received it" in late.reason
    assert bodies(finished.result.succeeded) == ["a"]


def test_the_lease_of_a_failure_is_not_extended_after_its_return(kit: WorkerKit) -> None:
    end(kit, "7")
    kit.clock.advance(20)
    kit.client.during = kit.heartbeat.beat
    kit.acknowledger.flush()
    assert kit.client.changes == [[("7", 7)]]  # an extension would undo the return
    assert kit.in_flight.is_empty()
    (returned, finished) = kit.told
    assert (returned.hidden_seconds, returned.started) == (7, True)
    assert bodies(finished.result.failed) == ["7"]


def test_messages_that_did_not_start_are_not_in_a_batch_result(kit: WorkerKit) -> None:
    kit.dispatcher.close(kit.lanes)
    kit.accept("a", "b")
    kit.acknowledger.flush()
    assert kit.client.changes == [[("a", 0), ("b", 0)]]
    assert [event.started for event in kit.told] == [False, False]


def test_deletes_and_returns_go_in_separate_calls_of_ten(kit: WorkerKit) -> None:
    end(kit, *"abcdefghijklmnopqrstuvw", "3")
    kit.acknowledger.flush()
    assert [len(each) for each in kit.client.deletes] == [10, 10, 3]
    assert kit.client.changes == [[("3", 3)]]
    assert kit.acknowledger.requests == 4


def test_one_message_lingers_and_ten_do_not_while_calls_wait(kit: WorkerKit) -> None:
    kit.calls_wait = True
    end(kit, "a")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == ["a"]
    end(kit, *"bcdefghijk")
    assert take(kit) == list("bcdefghijk")


def test_a_full_batch_is_sent_at_once_and_the_rest_lingers(kit: WorkerKit) -> None:
    end(kit, *"abcdefghijklmnopqrst"[:15])
    assert take(kit) == list("abcdefghij")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == list("klmno")


def test_fifo_messages_do_not_linger() -> None:
    kit = kit_of(FakeClient("q.fifo"))
    end(kit, "a")
    assert take(kit) == ["a"]


def test_a_delete_unblocks_the_next_message_of_its_group() -> None:
    kit = kit_of(FakeClient("q.fifo"))
    kit.accept("a", "b", group="g")
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"], ["b"]]


@pytest.mark.parametrize("answer", [QueueNotFound("gone"), [refused()]])
def test_if_a_delete_fails_the_rest_of_the_group_is_returned(answer: Any) -> None:
    kit = kit_of(FakeClient("q.fifo"))
    kit.client.answers = [answer]
    kit.accept("a", "b", group="g")
    kit.clock.advance(10)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert kit.client.changes == [[("b", 20 + 1)]]  # after the message ahead of it


def test_the_lane_that_waited_longest_goes_first(kit: WorkerKit) -> None:
    end(kit, "first", of=1)
    kit.clock.advance(0.01)
    end(kit, "second")
    kit.clock.advance(1)
    assert take(kit) == ["first"]


@pytest.mark.parametrize(
    "answer", [ConnectionFailed("no"), [throttled()], OSError(), AccessDenied("expired")]
)
def test_a_delete_is_repeated_while_its_lease_lasts(kit: WorkerKit, answer: Any) -> None:
    kit.client.answers = [answer, answer]
    end(kit, "a")
    kit.acknowledger.flush()
    assert kit.told == []
    assert kit.in_flight.in_hand(kit.lane) == 1
    kit.acknowledger.flush()
    assert len(kit.client.deletes) == 1  # not yet
    kit.clock.advance(0.2)
    kit.acknowledger.flush()
    kit.clock.advance(0.4)
    kit.acknowledger.flush()
    assert len(kit.client.deletes) == 3
    assert names(kit.told) == ["MessageDeleted", "BatchFinished"]
    assert kit.in_flight.is_empty()


def test_a_return_without_an_answer_is_repeated_while_it_hides_the_message(kit: WorkerKit) -> None:
    # If SQS has returned the message, another worker can have it after 12 seconds. A later return
    # would then let a third worker run it as well. SQS can make a call up to 10 seconds late.
    kit.client.answers = [ConnectionFailed("silence", reason="no_answer")] * 100
    end(kit, "12")
    called_at = flush_for(kit, 20)
    assert called_at[0] == 0
    assert 2 <= len(called_at) <= 5
    assert called_at[-1] < 2
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert (kit.told[0].action, kit.told[0].reason) == ("return", "silence")
    assert kit.in_flight.is_empty()


@pytest.mark.parametrize("seconds", [0, 1, 10])
def test_a_short_return_without_an_answer_is_not_repeated(kit: WorkerKit, seconds: int) -> None:
    kit.client.answers = [ConnectionFailed("silence", reason="no_answer")]
    end(kit, str(seconds))
    for _ in range(20):
        kit.acknowledger.flush()
        kit.clock.advance(0.5)
    assert kit.client.changes == [[(str(seconds), seconds)]]
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert kit.in_flight.is_empty()


def test_a_return_at_a_drain_is_not_repeated_without_an_answer(kit: WorkerKit) -> None:
    kit.client.answers = [ConnectionFailed("silence", reason="no_answer")]
    kit.dispatcher.close(kit.lanes)
    kit.accept("a", "b")
    for _ in range(10):
        kit.acknowledger.flush()
        kit.clock.advance(0.5)
    assert kit.client.changes == [[("a", 0), ("b", 0)]]
    assert names(kit.told) == ["AckFailed", "AckFailed"]
    assert kit.in_flight.is_empty()


@pytest.mark.parametrize(
    "answer", [ConnectionFailed("no"), ConnectionFailed("no", reason="refused"), [throttled()]]
)
def test_a_return_that_sqs_did_not_make_is_repeated(kit: WorkerKit, answer: Any) -> None:
    kit.client.answers = [answer]
    kit.dispatcher.close(kit.lanes)
    kit.accept("a")
    kit.acknowledger.flush()
    kit.clock.advance(0.5)
    kit.acknowledger.flush()
    assert kit.client.changes == [[("a", 0)]] * 2
    assert names(kit.told) == ["MessageReturned"]


def test_a_return_is_not_sent_after_its_lease_has_ended(kit: WorkerKit) -> None:
    # The sender was busy until then. Another worker that has the message would lose it.
    end(kit, "7")
    kit.clock.advance(20)
    end(kit, "8")
    kit.clock.advance(11)
    kit.acknowledger.flush()
    assert kit.client.changes == [[("8", 8)]]
    assert names(kit.told) == ["AckFailed", "BatchFinished", "MessageReturned", "BatchFinished"]
    assert "its visibility timeout ended first" in kit.told[0].reason
    assert kit.in_flight.is_empty()


def test_a_failed_return_is_repeated_until_just_before_its_lease_ends(kit: WorkerKit) -> None:
    kit.client.answers = [[throttled()]] * 1_000
    end(kit, "7")
    called_at = flush_for(kit, 40)
    assert 20 < called_at[-1] < 29
    assert names(kit.told) == ["AckFailed", "BatchFinished"]


def test_a_delete_is_given_up_when_its_lease_ends(kit: WorkerKit) -> None:
    kit.client.answers = [OSError("no network")] * 100
    end(kit, "a")
    for _ in range(100):
        kit.acknowledger.flush()
        kit.clock.advance(0.5)
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert (kit.told[0].action, kit.told[0].reason) == ("delete", "no network")
    assert kit.in_flight.is_empty()
    assert bodies(kit.told[1].result.failed) == ["a"]


@pytest.mark.parametrize("answer", [QueueNotFound("gone"), [refused()]])
def test_a_permanent_error_is_not_retried(kit: WorkerKit, answer: Any) -> None:
    kit.client.answers = [answer]
    end(kit, "a")
    kit.acknowledger.flush()
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert kit.in_flight.is_empty()


def test_a_first_attempt_is_made_even_if_the_lease_has_just_ended(kit: WorkerKit) -> None:
    # The job finished in time. On a standard queue, an old receipt handle still deletes a message
    # that no other worker has received.
    end(kit, "a")
    kit.clock.advance(31)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert names(kit.told) == ["AckFailed", "BatchFinished"]


def test_one_bad_entry_does_not_affect_the_others(kit: WorkerKit) -> None:
    kit.client.answers = [[refused(1), throttled(2)]]
    end(kit, *"abcd")
    kit.acknowledger.flush()
    (finished,) = [event for event in kit.told if isinstance(event, BatchFinished)]
    assert bodies(finished.result.succeeded) == ["a", "d"]
    assert bodies(finished.result.failed) == ["b"]
    kit.clock.advance(1)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a", "b", "c", "d"], ["c"]]


def test_stop_sends_everything_and_gives_up_at_its_deadline(kit: WorkerKit) -> None:
    kit.client.answers = [OSError("no network")]
    end(kit, "a")
    kit.acknowledger.stop(kit.clock.now - 1)
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert "stopped" in kit.told[0].reason
    kit.acknowledger.stop(kit.clock.now)


@pytest.mark.parametrize("calls_wait", [True, False])
def test_a_message_received_after_the_stop_is_returned_at_once(
    kit: WorkerKit, calls_wait: bool
) -> None:
    kit.calls_wait = calls_wait
    kit.dispatcher.abandon()
    kit.acknowledger.stop(kit.clock.now)
    kit.accept("late")
    kit.acknowledger.after_receive(kit.lane)
    assert kit.client.changes == [[("late", 0)]]


class Hanging(FakeClient):
    """A client that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.go_on = threading.Event(), threading.Event()

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.called.set()
        self.go_on.wait(60)
        return super().delete_batch(messages)


def test_a_call_that_hangs_does_not_block_the_stop() -> None:
    client = Hanging()
    kit = running(client)
    (sender,) = kit.acknowledger._threads
    end(kit, "a")
    assert client.called.wait(60)
    end(kit, "b")
    begin = lease_time()
    kit.acknowledger.stop(begin + 0.05)
    assert lease_time() - begin < 30
    assert [(event.message.body, event.action) for event in kit.told[:1]] == [("b", "delete")]
    client.go_on.set()
    sender.join(60)
    assert client.deletes == [["a"]]


def test_a_sender_survives_any_exception(caplog: pytest.LogCaptureFixture) -> None:
    kit = running(FakeClient())

    def settled(*_: Any) -> None:
        raise SystemExit

    kit.policies.settled = settled  # type: ignore[method-assign,assignment]  # raises
    for number, body in enumerate("ab", 1):
        end(kit, body)
        wait_until(lambda n=number: caplog.text.count("raise SystemExit") == n, 60, "the error")  # type: ignore[misc]  # lambda
    kit.acknowledger.stop(lease_time() + 60)
    assert kit.client.deletes == [["a"], ["b"]]


class Slow(FakeClient):
    """A client whose deletes wait until several are in progress."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(together)

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.barrier.wait(60)
        return super().delete_batch(messages)


def test_calls_that_wait_are_made_in_parallel() -> None:
    client = Slow(4)
    kit = running(client)
    kit.calls_wait = True
    for batch in range(1, 5):
        # Every earlier batch is in progress, so another sender must take this one.
        end(kit, *"abcdefghij")
        kit.acknowledger.after_receive(kit.lane)
        wait_until(lambda n=batch % 4: client.barrier.n_waiting == n, 60, "a sender")  # type: ignore[misc]  # lambda
    kit.acknowledger.stop(lease_time() + 60)
    assert len(client.deletes) == 4


def test_if_no_new_sender_can_start_the_running_ones_send_everything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Hanging()
    kit = kit_of(client, clock=lease_time)
    kit.calls_wait = True

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):  # a worker cannot start without a sender
            kit.acknowledger.start()
    kit.acknowledger.start()
    wait_until(lambda: kit.in_flight._idle_senders == 1, 60, "the sender")
    end(kit, "a")
    assert client.called.wait(60)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        end(kit, *"bcdefghijk")
        kit.acknowledger.after_receive(kit.lane)
        kit.acknowledger.after_receive(kit.lane)  # too early for another attempt
    assert caplog.text.count("can't start new thread") == 1
    client.go_on.set()
    kit.acknowledger.stop(lease_time() + 60)
    assert client.deletes == [["a"], list("bcdefghijk")]


def test_no_message_lingers_too_long() -> None:
    """Jobs end one at a time, so each delete waits for its own deadline."""
    client = FakeClient()
    kit = running(client)
    for number in range(1, 21):
        end(kit, "abcdefghijklmnopqrst"[number - 1])
        wait_until(lambda n=number: len(client.deletes) == n, 60, "the delete")  # type: ignore[misc]  # lambda
    kit.acknowledger.stop(lease_time() + 60)
