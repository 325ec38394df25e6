"""What SQS is told of jobs that ended."""

import threading
from collections.abc import Callable, Sequence
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
    FakeClient,
    Seconds,
    WorkerKit,
    lane,
    names,
    refused,
    throttled,
)

#: what the acknowledger says
EVENTS = (MessageDeleted, MessageReturned, AckFailed, BatchFinished)


class CalledBack(FakeClient):
    """Calls a function during each call."""

    during: Callable[[], object] = staticmethod(lambda: None)

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.during()
        return super().delete_batch(messages)

    def change_visibility_batch(self, changes: Sequence[tuple[Message, int]]) -> list[EntryFailure]:
        answer = super().change_visibility_batch(changes)
        self.during()
        return answer


def fail(messages: Sequence[Message]) -> list[ProcessingResult]:
    """A message whose body is a number fails, and is hidden for so many seconds."""
    return [
        ProcessingResult(False, backoff_policy=Seconds(int(each.body)))
        if each.body.isdigit()
        else SUCCEEDED
        for each in messages
    ]


def kit_of(client: FakeClient | None = None, **settings: Any) -> WorkerKit:
    """A worker of a lane of this client, and of one named ``other``."""
    made = client or CalledBack()
    lanes = lane(made.name, client=made, handle=fail), lane("other")
    return WorkerKit(*lanes, events=EVENTS, **settings)


@pytest.fixture
def kit() -> WorkerKit:
    return kit_of()


def running(client: FakeClient) -> WorkerKit:
    """A worker whose senders run, with a real clock."""
    made = kit_of(client, clock=lease_time)
    made.acknowledger.start()
    return made


def end(kit: WorkerKit, *bodies: str, of: int = 0) -> None:
    """Jobs of messages with these bodies end, one after the other."""
    for body in bodies:
        kit.accept(body, of=of)


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def take(kit: WorkerKit) -> list[str]:
    """What a sender would send now."""
    batch = kit.in_flight._take(kit.clock.now, kit.in_flight._enough) or []
    return [delivery.message.body for delivery in batch]


def test_a_success_is_deleted_and_kept_until_then(kit: WorkerKit) -> None:
    end(kit, "a")
    kit.clock.advance(20)
    kit.client.during = kit.heartbeat.beat
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert kit.client.changes == [[("a", 30)]]  # no extension can undo a delete
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


def test_a_failure_is_returned_and_kept_no_longer(kit: WorkerKit) -> None:
    end(kit, "7")
    kit.clock.advance(20)
    kit.client.during = kit.heartbeat.beat
    kit.acknowledger.flush()
    assert kit.client.changes == [[("7", 7)]]  # an extension would undo it
    assert kit.in_flight.is_empty()
    (returned, finished) = kit.told
    assert (returned.hidden_seconds, returned.started) == (7, True)
    assert bodies(finished.result.failed) == ["7"]


def test_unstarted_messages_count_in_no_batch(kit: WorkerKit) -> None:
    kit.dispatcher.close(kit.lanes)
    kit.accept("a", "b")
    kit.acknowledger.flush()
    assert kit.client.changes == [[("a", 0), ("b", 0)]]
    assert [event.started for event in kit.told] == [False, False]


def test_ten_a_call_deletes_and_returns_apart(kit: WorkerKit) -> None:
    end(kit, *"abcdefghijklmnopqrstuvw", "3")
    kit.acknowledger.flush()
    assert [len(each) for each in kit.client.deletes] == [10, 10, 3]
    assert kit.client.changes == [[("3", 3)]]
    assert kit.acknowledger.requests == 4


def test_a_single_message_lingers_and_ten_do_not_where_calls_wait(kit: WorkerKit) -> None:
    kit.calls_wait = True
    end(kit, "a")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == ["a"]
    end(kit, *"bcdefghijk")
    assert take(kit) == list("bcdefghijk")


def test_a_full_batch_is_sent_at_once_and_others_linger(kit: WorkerKit) -> None:
    end(kit, *"abcdefghijklmnopqrst"[:15])
    assert take(kit) == list("abcdefghij")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == list("klmno")


def test_fifo_messages_do_not_linger() -> None:
    kit = kit_of(FakeClient("q.fifo"))
    end(kit, "a")
    assert take(kit) == ["a"]


def test_a_delete_lets_the_next_message_of_its_group_run() -> None:
    kit = kit_of(FakeClient("q.fifo"))
    kit.accept("a", "b", group="g")
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"], ["b"]]


@pytest.mark.parametrize("answer", [QueueNotFound("gone"), [refused()]])
def test_what_stands_behind_a_message_that_is_not_deleted_goes_back(answer: Any) -> None:
    kit = kit_of(FakeClient("q.fifo"))
    kit.client.answers = [answer]
    kit.accept("a", "b", group="g")
    kit.clock.advance(10)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert kit.client.changes == [[("b", 20 + 1)]]  # after the one before it


def test_the_lane_that_waited_longest_comes_first(kit: WorkerKit) -> None:
    end(kit, "first", of=1)
    kit.clock.advance(0.01)
    end(kit, "second")
    kit.clock.advance(1)
    assert take(kit) == ["first"]


@pytest.mark.parametrize(
    "answer", [ConnectionFailed("no"), [throttled()], OSError(), AccessDenied("expired")]
)
def test_a_delete_is_tried_again_while_the_lease_lives(kit: WorkerKit, answer: Any) -> None:
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


def test_a_delete_is_given_up_when_the_lease_ends(kit: WorkerKit) -> None:
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
def test_what_cannot_help_is_not_tried_again(kit: WorkerKit, answer: Any) -> None:
    kit.client.answers = [answer]
    end(kit, "a")
    kit.acknowledger.flush()
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert kit.in_flight.is_empty()


def test_a_first_try_is_made_though_the_lease_just_ended(kit: WorkerKit) -> None:
    # The job was done in time. On a standard queue, an old handle deletes a message that no other
    # worker has received.
    end(kit, "a")
    kit.clock.advance(31)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert names(kit.told) == ["AckFailed", "BatchFinished"]


def test_one_bad_entry_does_not_hinder_the_others(kit: WorkerKit) -> None:
    kit.client.answers = [[refused(1), throttled(2)]]
    end(kit, *"abcd")
    kit.acknowledger.flush()
    (finished,) = [event for event in kit.told if isinstance(event, BatchFinished)]
    assert bodies(finished.result.succeeded) == ["a", "d"]
    assert bodies(finished.result.failed) == ["b"]
    kit.clock.advance(1)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a", "b", "c", "d"], ["c"]]


def test_stop_sends_all_and_gives_up_at_its_deadline(kit: WorkerKit) -> None:
    kit.client.answers = [OSError("no network")]
    end(kit, "a")
    kit.acknowledger.stop(kit.clock.now - 1)
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert "stopped" in kit.told[0].reason
    kit.acknowledger.stop(kit.clock.now)


@pytest.mark.parametrize("calls_wait", [True, False])
def test_what_a_receive_brings_after_the_stop_is_returned_at_once(
    kit: WorkerKit, calls_wait: bool
) -> None:
    kit.calls_wait = calls_wait
    kit.dispatcher.abandon()
    kit.acknowledger.stop(kit.clock.now)
    kit.accept("late")
    kit.acknowledger.after_receive(kit.lane)
    assert kit.client.changes == [[("late", 0)]]


class Hanging(FakeClient):
    """Answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.go_on = threading.Event(), threading.Event()

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.called.set()
        self.go_on.wait(60)
        return super().delete_batch(messages)


def test_a_call_that_hangs_does_not_hold_up_the_stop() -> None:
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


def test_whatever_is_raised_in_a_sender_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    kit = running(FakeClient())

    def settled(*_: Any) -> None:
        raise SystemExit

    kit.policies.settled = settled  # type: ignore[method-assign,assignment]  # fails
    for number, body in enumerate("ab", 1):
        end(kit, body)
        wait_until(lambda n=number: caplog.text.count("raise SystemExit") == n, 60, "the error")  # type: ignore[misc]  # a lambda
    kit.acknowledger.stop(lease_time() + 60)
    assert kit.client.deletes == [["a"], ["b"]]


class Slow(FakeClient):
    """Every delete waits until several are under way."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(together)

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.barrier.wait(60)
        return super().delete_batch(messages)


def test_calls_that_wait_are_made_side_by_side() -> None:
    client = Slow(4)
    kit = running(client)
    kit.calls_wait = True
    for batch in range(1, 5):
        # What was there is under way, and somebody else has to take the rest.
        end(kit, *"abcdefghij")
        kit.acknowledger.after_receive(kit.lane)
        wait_until(lambda n=batch % 4: client.barrier.n_waiting == n, 60, "a sender")  # type: ignore[misc]  # a lambda
    kit.acknowledger.stop(lease_time() + 60)
    assert len(client.deletes) == 4


def test_without_one_more_sender_those_that_run_send_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Hanging()
    kit = kit_of(client, clock=lease_time)
    kit.calls_wait = True

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):  # without any, a worker does not begin
            kit.acknowledger.start()
    kit.acknowledger.start()
    wait_until(lambda: kit.in_flight._idle_senders == 1, 60, "the sender")
    end(kit, "a")
    assert client.called.wait(60)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        end(kit, *"bcdefghijk")
        kit.acknowledger.after_receive(kit.lane)
        kit.acknowledger.after_receive(kit.lane)  # too early to try again
    assert caplog.text.count("can't start new thread") == 1
    client.go_on.set()
    kit.acknowledger.stop(lease_time() + 60)
    assert client.deletes == [["a"], list("bcdefghijk")]


def test_a_message_never_waits_longer_than_its_time() -> None:
    """However the senders share the watch: each message on its own, one after the other."""
    client = FakeClient()
    kit = running(client)
    for number in range(1, 21):
        end(kit, "abcdefghijklmnopqrst"[number - 1])
        wait_until(lambda n=number: len(client.deletes) == n, 60, "the delete")  # type: ignore[misc]  # a lambda
    kit.acknowledger.stop(lease_time() + 60)
