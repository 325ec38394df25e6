"""What SQS is told of jobs that ended."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import AccessDenied, ConnectionFailed, QueueNotFound
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.transport.batches import EntryFailure
from sqsw.worker.acknowledger import Acknowledger
from sqsw.worker.lane import Lane
from sqsw.worker.pace import Pace
from tests.backends import wait_until
from tests.unit.worker.doubles import (
    FakeClient,
    ManualClock,
    lane,
    message,
    names,
    recorder,
    refused,
    throttled,
)


class Kit:
    """An acknowledger with all that it talks to, in one diary."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.client = FakeClient()
        self.lane = lane(client=self.client)
        self.events, self.told = recorder()
        self.diary: list[Any] = []
        self.batches: list[BatchProcessingResult] = []
        self.patience: list[float] = []
        self.pace = Pace()
        self.acknowledger = Acknowledger(
            events=self.events,
            forget=self._forget,
            on_acknowledged=self._acknowledged,
            on_batch=lambda _, result: self.batches.append(result),
            linger_seconds=0.05,
            pace=self.pace,
            clock=self.clock,
            jitter=lambda: 1.0,
        )

    def _forget(self, messages: Sequence[Message], seconds: float) -> None:
        self.patience.append(seconds)
        calls = len(self.client.deletes) + len(self.client.changes)
        self.diary.append(("forget", [m.body for m in messages], calls))

    def _acknowledged(self, lane: Lane, messages: Sequence[Message], deleted: bool) -> None:
        self.diary.append(("out", [m.body for m in messages], deleted))

    def message(self, body: str) -> Message:
        return message(body, expires_at=self.clock.now + 30)


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_a_success_is_deleted_and_forgotten_afterwards(kit: Kit) -> None:
    kit.acknowledger.put(kit.lane, kit.message("a"), None)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    assert kit.diary == [("forget", ["a"], 1), ("out", ["a"], True)]
    assert kit.patience == [0]  # no extension can undo a delete
    assert names(kit.told) == ["MessageDeleted", "BatchFinished"]
    assert [m.body for m in kit.batches[0].succeeded] == ["a"]


def test_a_failure_is_forgotten_and_then_returned(kit: Kit) -> None:
    kit.acknowledger.put(kit.lane, kit.message("a"), 7)
    kit.acknowledger.flush()
    assert kit.client.changes == [[("a", 7)]]
    assert kit.patience[0] > 0  # an extension under way would undo it
    assert kit.diary == [("forget", ["a"], 0), ("out", ["a"], False)]
    (returned, _) = kit.told
    assert (returned.hidden_seconds, returned.started) == (7, True)
    assert [m.body for m in kit.batches[0].failed] == ["a"]


def test_unstarted_messages_count_in_no_batch(kit: Kit) -> None:
    kit.acknowledger.put_back(kit.lane, [kit.message("a"), kit.message("b")], 0)
    kit.acknowledger.flush()
    assert kit.client.changes == [[("a", 0), ("b", 0)]]
    assert [event.started for event in kit.told] == [False, False]
    assert kit.batches == []


def test_ten_a_call_deletes_and_returns_apart(kit: Kit) -> None:
    for number in range(23):
        kit.acknowledger.put(kit.lane, kit.message(str(number)), None)
    kit.acknowledger.put(kit.lane, kit.message("x"), 3)
    kit.acknowledger.flush()
    assert [len(bodies) for bodies in kit.client.deletes] == [10, 10, 3]
    assert kit.client.changes == [[("x", 3)]]
    assert kit.acknowledger.requests == 4


def take(kit: Kit) -> list[str]:
    """What a sender would send now."""
    lines = kit.acknowledger._lines
    batch = lines.take(kit.clock.now, kit.acknowledger._senders._enough()) or []
    return [ack.message.body for ack in batch]


def put(kit: Kit, *bodies: str) -> None:
    for body in bodies:
        kit.acknowledger.put(kit.lane, kit.message(body), None)


def test_a_single_message_lingers_and_ten_do_not_where_calls_wait(kit: Kit) -> None:
    kit.pace.calls_wait = True
    put(kit, "a")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == ["a"]
    put(kit, *"bcdefghijk")
    assert take(kit) == list("bcdefghijk")


def test_where_calls_are_quick_a_full_batch_is_left_to_the_poller(kit: Kit) -> None:
    put(kit, *"abcdefghij")
    assert take(kit) == []
    kit.acknowledger.after_receive(lane("another"))
    assert kit.client.deletes == []
    kit.acknowledger.after_receive(kit.lane)
    assert kit.client.deletes == [list("abcdefghij")]
    kit.acknowledger.after_receive(kit.lane)
    assert len(kit.client.deletes) == 1


def test_a_second_full_batch_and_one_that_lingered_go_to_a_sender(kit: Kit) -> None:
    put(kit, *"abcdefghijklmnopqrst")
    assert take(kit) == list("abcdefghij")
    assert take(kit) == []
    kit.clock.advance(0.05)
    assert take(kit) == list("klmnopqrst")


def test_a_sender_looks_on_for_a_while_when_a_poller_has_sent_all(kit: Kit) -> None:
    put(kit, *"abcdefghij")
    due = kit.clock.now + 0.05
    assert kit.acknowledger._senders._next_due() == due
    kit.acknowledger.after_receive(kit.lane)
    assert kit.acknowledger._senders._next_due() == due
    kit.clock.advance(0.05)
    assert kit.acknowledger._senders._next_due() == float("inf")


def test_a_poller_sends_nothing_where_calls_wait(kit: Kit) -> None:
    kit.pace.calls_wait = True
    put(kit, *"abcdefghij")
    kit.acknowledger.after_receive(kit.lane)
    assert kit.client.deletes == []


def test_a_poller_survives_whatever_is_raised_at_the_end_of_its_deletes(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    put(kit, *"abcdefghij")
    kit.acknowledger._on_acknowledged = lambda *_: 1 / 0  # type: ignore[assignment]  # fails
    kit.acknowledger.after_receive(kit.lane)
    assert "ZeroDivisionError" in caplog.text


def test_fifo_messages_do_not_linger(kit: Kit) -> None:
    fifo = lane("q.fifo", client=FakeClient("q.fifo"))
    kit.acknowledger.put(fifo, kit.message("a"), None)
    assert take(kit) == ["a"]


def test_the_lane_that_waited_longest_comes_first(kit: Kit) -> None:
    other = lane("other")
    kit.acknowledger.put(other, kit.message("first"), None)
    kit.clock.advance(0.01)
    put(kit, "second")
    kit.clock.advance(1)
    assert take(kit) == ["first"]


@pytest.mark.parametrize(
    "answer", [ConnectionFailed("no"), [throttled()], OSError(), AccessDenied("expired")]
)
def test_a_delete_is_tried_again_while_the_lease_lives(kit: Kit, answer: Any) -> None:
    kit.client.answers = [answer, answer]
    made = kit.message("a")
    kit.acknowledger.put(kit.lane, made, None)
    kit.acknowledger.flush()
    assert kit.told == []
    assert kit.acknowledger.holds(made)
    kit.acknowledger.flush()
    assert len(kit.client.deletes) == 1  # not yet
    kit.clock.advance(0.2)
    kit.acknowledger.flush()
    kit.clock.advance(0.4)
    kit.acknowledger.flush()
    assert len(kit.client.deletes) == 3
    assert names(kit.told) == ["MessageDeleted", "BatchFinished"]
    assert not kit.acknowledger.holds(made)


def test_a_delete_is_given_up_when_the_lease_ends(kit: Kit) -> None:
    kit.client.answers = [OSError("no network")] * 100
    kit.acknowledger.put(kit.lane, kit.message("a"), None)
    for _ in range(100):
        kit.acknowledger.flush()
        kit.clock.advance(0.5)
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert (kit.told[0].action, kit.told[0].reason) == ("delete", "no network")
    assert kit.diary[-1] == ("out", ["a"], False)
    assert [m.body for m in kit.batches[0].failed] == ["a"]


@pytest.mark.parametrize("answer", [QueueNotFound("gone"), [refused()]])
def test_what_cannot_help_is_not_tried_again(kit: Kit, answer: Any) -> None:
    kit.client.answers = [answer]
    kit.acknowledger.put(kit.lane, kit.message("a"), None)
    kit.acknowledger.flush()
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert kit.diary == [("forget", ["a"], 1), ("out", ["a"], False)]


def test_a_first_try_is_made_though_the_lease_just_ended(kit: Kit) -> None:
    # The job was done in time; on a standard queue an old handle still deletes.
    made = kit.message("a")
    kit.acknowledger.put(kit.lane, made, None)
    kit.clock.advance(31)
    kit.acknowledger.flush()
    assert names(kit.told) == ["MessageDeleted", "BatchFinished"]


def test_one_bad_entry_does_not_hinder_the_others(kit: Kit) -> None:
    kit.client.answers = [[refused(1), throttled(2)]]
    for body in "abcd":
        kit.acknowledger.put(kit.lane, kit.message(body), None)
    kit.acknowledger.flush()
    (result,) = kit.batches
    assert [m.body for m in result.succeeded] == ["a", "d"]
    assert [m.body for m in result.failed] == ["b"]
    kit.clock.advance(1)
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a", "b", "c", "d"], ["c"]]


def test_stop_sends_all_and_gives_up_at_its_deadline() -> None:
    kit = Kit()
    kit.client.answers = [OSError("no network")]
    kit.acknowledger.put(kit.lane, kit.message("a"), None)
    kit.acknowledger.stop(kit.clock.now - 1)
    assert names(kit.told) == ["AckFailed", "BatchFinished"]
    assert "stopped" in kit.told[0].reason
    kit.acknowledger.stop(kit.clock.now)


def test_what_comes_after_the_stop_is_sent_by_who_brings_it(kit: Kit) -> None:
    kit.acknowledger.stop(kit.clock.now)
    kit.acknowledger.put_back(kit.lane, [kit.message("late")], 0)
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
    slow = lane(client=client)
    events, told = recorder()
    acknowledger = Acknowledger(
        events=events,
        forget=lambda *_: None,
        on_acknowledged=lambda *_: None,
        on_batch=lambda *_: None,
        most_senders=1,
    )
    acknowledger.start()
    (sender,) = acknowledger._senders._threads
    acknowledger.put(slow, message("a"), None)
    assert client.called.wait(60)
    acknowledger.put(slow, message("b"), None)
    begin = time.monotonic()
    acknowledger.stop(begin + 0.05)
    assert time.monotonic() - begin < 30
    assert [(event.message.body, event.action) for event in told[:1]] == [("b", "delete")]
    client.go_on.set()
    sender.join(60)
    assert client.deletes == [["a"]]


def test_whatever_is_raised_in_a_sender_it_goes_on() -> None:
    sent = threading.Event()
    client = FakeClient()

    def acknowledged(lane: Lane, messages: Sequence[Message], deleted: bool) -> None:
        if messages[0].body == "a":
            raise SystemExit
        sent.set()

    acknowledger = Acknowledger(
        events=recorder()[0],
        forget=lambda *_: None,
        on_acknowledged=acknowledged,
        on_batch=lambda *_: None,
        most_senders=1,
    )
    acknowledger.start()
    acknowledger.put(lane("a", client=client), message("a"), None)
    acknowledger.put(lane("b", client=client), message("b"), None)
    assert sent.wait(60)
    acknowledger.stop(lease_time() + 60)


class Slow(FakeClient):
    """Every delete waits until several are under way."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(together)

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.barrier.wait(60)
        return super().delete_batch(messages)


def test_calls_that_wait_are_made_side_by_side() -> None:
    client, pace = Slow(4), Pace()
    pace.calls_wait = True
    acknowledger = Acknowledger(
        events=recorder()[0],
        forget=lambda *_: None,
        on_acknowledged=lambda *_: None,
        on_batch=lambda *_: None,
        linger_seconds=5,
        pace=pace,
    )
    acknowledger.start()
    slow = lane(client=client)
    for number in range(40):
        acknowledger.put(slow, message(str(number)), None)
        if number % 10 == 9:  # what was there is under way, and somebody else has to take the rest
            busy = (number + 1) // 10 % 4
            wait_until(lambda busy=busy: client.barrier.n_waiting == busy, 60, "a sender")  # type: ignore[misc]  # a lambda
    acknowledger.stop(lease_time() + 60)
    assert len(client.deletes) == 4


def test_without_one_more_sender_those_that_run_send_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, pace = Hanging(), Pace()
    pace.calls_wait = True
    acknowledger = Acknowledger(
        events=recorder()[0],
        forget=lambda *_: None,
        on_acknowledged=lambda *_: None,
        on_batch=lambda *_: None,
        pace=pace,
    )

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made = lane(client=client)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):  # without any, a worker does not begin
            acknowledger.start()
    acknowledger.start()
    wait_until(lambda: acknowledger._senders._idle == 1, 60, "the sender")
    acknowledger.put(made, message("a"), None)
    assert client.called.wait(60)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        acknowledger.put(made, message("b"), None)
        acknowledger.put(made, message("c"), None)  # too early to try again
    assert caplog.text.count("can't start new thread") == 1
    client.go_on.set()
    acknowledger.stop(lease_time() + 60)
    assert client.deletes == [["a"], ["b", "c"]]


def test_a_message_never_waits_longer_than_its_time() -> None:
    """However the senders share the watch: each message on its own, one after the other."""
    client = FakeClient()
    acknowledger = Acknowledger(
        events=recorder()[0],
        forget=lambda *_: None,
        on_acknowledged=lambda *_: None,
        on_batch=lambda *_: None,
        linger_seconds=0.01,
    )
    acknowledger.start()
    made = lane(client=client)
    for number in range(1, 21):
        acknowledger.put(made, message(str(number)), None)
        wait_until(lambda n=number: len(client.deletes) == n, 60, "the delete")  # type: ignore[misc]  # a lambda
    acknowledger.stop(lease_time() + 60)
