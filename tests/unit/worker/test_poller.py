"""Messages are received within the credit, and no error ends the worker."""

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.errors import (
    AccessDenied,
    ConnectionFailed,
    JobNotStarted,
    QueueNotFound,
    SettingsError,
)
from sqsw.core.events import ReceiveDone, ReceiveError
from sqsw.core.message import Message
from sqsw.shutdown_policies import MaxTasksShutdown
from sqsw.worker.lane import Lane
from sqsw.worker.latency import CALLS
from sqsw.worker.policies import Wait
from tests.backends import wait_until
from tests.unit.worker.doubles import (
    FakeClient,
    HeldExecutor,
    WorkerKit,
    lane,
    message,
    names,
    our_threads,
)


class Kit(WorkerKit):
    """A poller with the roles that it calls. Jobs do not end by themselves."""

    def __init__(self, slots: int = 8, client: Any = None, **fields: Any) -> None:
        made = lane(client=client or FakeClient(), **fields)
        super().__init__(
            made,
            executor=HeldExecutor(),
            events=(ReceiveDone, ReceiveError),
            concurrency=slots,
            prefetch=0,
        )
        self.accepted: list[list[str]] = []
        self.begun = 0
        self.ended: list[int | None] = []
        self.broken = False
        self.after: list[int] = []
        self._accept, self._begin = self.dispatcher.accept, self.policies.begin_wait
        self._end = self.policies.end_wait
        # Recorded, and passed on.
        self.dispatcher.accept = self._accepts  # type: ignore[method-assign]
        self.policies.begin_wait = self._begins  # type: ignore[method-assign]
        self.policies.end_wait = self._ends  # type: ignore[method-assign]
        self.acknowledger.after_receive = self._after  # type: ignore[method-assign]
        # Pauses end at once and are recorded.
        self.pauses: list[float] = []
        self.poller._quiet.wait = self.pauses.append  # type: ignore[method-assign,assignment]  # so no test sleeps

    def _accepts(self, lane: Lane, messages: Sequence[Message], more: bool = False) -> None:
        self.accepted.append([each.body for each in messages])
        self._accept(lane, messages, more)

    def _begins(self, lane: Lane) -> Wait:
        if self.broken:
            raise SystemExit("of a policy")
        self.begun += 1
        return self._begin(lane)

    def _ends(self, lane: Lane, wait: Wait, count: int | None) -> None:
        self.ended.append(count)
        self._end(lane, wait, count)

    def _after(self, lane: Lane) -> None:
        self.after.append(len(self.accepted))

    @property
    def asked(self) -> int:
        """The credit of open polls."""
        return self.in_flight._states["emails"].asked

    def fatal(self) -> list[BaseException | None]:
        """Return the errors that end the worker."""
        return [notice.error for notice in self.inbox.wait(0) if notice.verb == "fail"]


def test_it_asks_for_its_credit_and_passes_messages_on() -> None:
    kit = Kit(slots=3)
    kit.client.inbox = [[message("a"), message("b")]]
    assert kit.poller.step() == 2
    assert kit.client.receives == [(3, 20, 30)]
    assert kit.accepted == [["a", "b"]]
    assert kit.told == [ReceiveDone("emails", 2)]
    assert kit.ended == [2]
    assert kit.asked == 0  # the credit was returned
    kit.poller.step()
    assert kit.client.receives[1:] == [(1, 20, 30)]  # two slots are taken


def test_a_list_uses_a_credit_of_one() -> None:
    kit = Kit(slots=3, batch_size=25)
    kit.client.inbox = [[message() for _ in range(10)]]
    kit.poller.step()
    assert [count for count, _, _ in kit.client.receives] == [10, 10]
    assert kit.poller.requests == 2


def test_a_long_list_is_passed_on_call_by_call_and_ends_when_quiet() -> None:
    # The leases are running: only the dispatcher has them extended, or returned in a drain.
    kit = Kit(batch_size=400)
    kit.client.inbox = [full(), full(), full(), full()]
    handed: list[tuple[int, bool, int]] = []

    def accept(lane: Lane, messages: Sequence[Message], more: bool = False) -> None:
        handed.append((len(messages), more, len(kit.client.receives)))
        if len(handed) == 2:
            kit.poller.quiet()

    kit.dispatcher.accept = accept  # type: ignore[method-assign]  # observed from outside
    assert kit.poller.step() == 30
    assert handed == [(10, True, 1), (10, True, 2), (10, False, 3)]
    assert kit.ended == [30]
    assert kit.told == [ReceiveDone("emails", 30)]


def test_without_credit_nothing_is_received() -> None:
    kit = Kit()
    kit.dispatcher.close(kit.lanes)
    assert kit.poller.step() == 0
    assert kit.client.receives == []


def test_retries_back_off_to_less_than_half_a_minute() -> None:
    kit = Kit()
    kit.client.inbox = [ConnectionFailed("no network")] * 9
    for _ in range(9):
        kit.poller.step()
    assert kit.pauses == [0.5, 1, 2, 4, 8, 16, 25, 25, 25]
    assert [event.retry_seconds for event in kit.told] == kit.pauses
    assert names(kit.told) == ["ReceiveError"] * 9
    assert kit.asked == 0
    kit.client.inbox = [[], ConnectionFailed("no network")]
    kit.poller.step()
    kit.poller.step()
    assert kit.pauses[-1] == 0.5


@pytest.mark.parametrize("error", [QueueNotFound("?"), AccessDenied("no"), SettingsError("region")])
def test_an_error_of_the_first_receive_can_be_fatal(error: Exception) -> None:
    kit = Kit()
    kit.client.inbox = [error]
    kit.poller.step()
    assert kit.fatal() == [error]
    assert kit.told == []
    kit.poller.step()
    assert len(kit.client.receives) == 1


@pytest.mark.parametrize("error", [QueueNotFound("?"), AccessDenied("no"), ZeroDivisionError()])
def test_later_errors_are_never_fatal(error: Exception) -> None:
    kit = Kit()
    kit.client.inbox = [[], error]
    kit.poller.step()
    kit.poller.step()
    assert kit.fatal() == []
    assert names(kit.told) == ["ReceiveDone", "ReceiveError"]


def test_the_credit_is_returned_whatever_is_raised() -> None:
    kit = Kit()
    kit.broken = True
    with pytest.raises(SystemExit):
        kit.poller.step()
    kit.broken = False
    kit.client.inbox = [[message("a")]]
    kit.dispatcher.accept = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]  # this fails too
    with pytest.raises(ZeroDivisionError):
        kit.poller.step()
    assert kit.asked == 0


def test_every_poll_ends_and_only_an_answer_counts() -> None:
    kit = Kit()
    kit.client.inbox = [[], ConnectionFailed("no network"), QueueNotFound("?"), [message("a")]]
    for _ in range(4):
        kit.poller.step()
    kit.dispatcher.accept = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]  # this fails too
    kit.client.inbox = [[message("b")]]
    with pytest.raises(ZeroDivisionError):
        kit.poller.step()
    kit.client.receive = lambda *_, **__: sys.exit()
    with pytest.raises(SystemExit):
        kit.poller.step()
    assert kit.ended == [0, None, None, 1, None, None]
    assert kit.begun == 6
    assert kit.health._asked == {}


def test_the_thread_survives_any_exception(caplog: pytest.LogCaptureFixture) -> None:
    kit = Kit()
    kit.broken = True
    asked = threading.Event()

    def pause(seconds: float) -> bool:
        asked.set()
        kit.broken = False
        return False

    kit.poller._quiet.wait = pause  # type: ignore[method-assign,assignment]  # so no test sleeps
    kit.events.subscribe(lambda _: kit.poller.quiet(), ReceiveDone)
    kit.poller.start()
    assert asked.wait(60)
    kit.poller._thread.join(60)  # type: ignore[union-attr]  # it was started
    assert kit.told == [ReceiveDone("emails", 0)]
    assert "SystemExit" in caplog.text


def test_quiet_stops_the_credit() -> None:
    kit = Kit()
    kit.poller.quiet()
    kit.poller.quiet()
    assert kit.poller.step() == 0


def test_only_an_open_poll_is_ended() -> None:
    kit = Kit()
    kit.poller.end_poll()
    assert kit.client.polls_ended == 0
    receive = kit.client.receive
    kit.client.receive = lambda *a, **k: (kit.poller.end_poll(), receive(*a, **k))[1]  # type: ignore[func-returns-value]  # during the receive
    kit.poller.step()
    assert kit.client.polls_ended == 1


@pytest.mark.parametrize(
    ("line_seconds", "run_seconds", "asked"),
    [
        *((5, None, 1), (5, 0.0, 10), (5, 0.5, 10), (5, 0.6, 8), (5, 2.5, 2), (5, 2.6, 1)),
        *((5, 60.0, 1), (0, None, 1), (0, 0.0, 1), (0, 1.0, 1)),
    ],
)
def test_a_fifo_lane_with_a_redrive_policy_asks_for_a_few_seconds_of_work(
    line_seconds: float, run_seconds: float | None, asked: int
) -> None:
    for is_fifo, wanted in ((True, asked), (False, 10)):
        client = FakeClient()
        client.is_fifo = is_fifo
        kit = Kit(slots=20, client=client, max_receives=3)
        kit.poller._line_seconds = line_seconds
        kit.in_flight._states["emails"].run_seconds = run_seconds
        kit.poller.step()
        assert [count for count, _, _ in client.receives] == [wanted]


def test_the_thread_ends_when_quiet() -> None:
    kit = Kit()
    kit.poller.stop(0)  # does nothing
    kit = Kit()
    del kit.poller._quiet.wait
    kit.poller.start()
    kit.poller.start()
    assert kit.poller.is_alive()
    kit.poller.stop(float("inf"))
    assert not kit.poller.is_alive()


def full() -> list[Message]:
    return [message() for _ in range(10)]


def test_settlements_are_sent_after_messages_are_passed_on() -> None:
    kit = Kit()
    kit.client.inbox = [[message("a")], []]
    kit.poller.step()
    kit.poller.step()
    assert kit.after == [1]  # not after an empty receive


def test_it_asks_for_no_more_than_the_policy_allows() -> None:
    kit = Kit(shutdown_policy=MaxTasksShutdown(3))
    kit.poller.step()
    kit.policies._start_failures.ran("thread", JobNotStarted("no threads"))
    assert kit.poller.step() == 0
    assert [count for count, _, _ in kit.client.receives] == [3]


@pytest.mark.parametrize(
    ("gathering", "pause", "wait"),
    [(5.0, 1.0, 1), (2.0, 1.0, 1), (1.5, 1.0, 0), (0.3, 0.3, 0), (-1.0, None, 0)],
)
def test_the_rest_of_a_list_is_received_once_a_second(
    gathering: float, pause: float | None, wait: int
) -> None:
    kit = Kit(batch_size=25, max_wait=10)
    kit.accept("a")
    kit.clock.advance(10 - gathering)
    kit.poller.step()
    assert kit.pauses == ([] if pause is None else [pytest.approx(pause)])
    assert [wait for _, wait, _ in kit.client.receives] == [wait]


def test_a_list_is_received_without_pauses_while_receives_are_full() -> None:
    kit = Kit(batch_size=25, max_wait=5)
    kit.accept("a")
    kit.poller._full = 1
    kit.poller.step()
    assert kit.pauses == []


class Endless(FakeClient):
    """A client whose receives are slow and full. It counts the concurrent ones."""

    def __init__(self) -> None:
        super().__init__()
        self.most, self.now, self.lock = 0, 0, threading.Lock()

    def receive(self, *args: Any, **keywords: Any) -> list[Message]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        self.receives.append((10, 20, 30))
        return full()


@pytest.mark.parametrize(("waited_seconds", "most"), [(0.015, 4), (0.001, 1)])
def test_receives_run_in_parallel_while_they_are_full_and_calls_wait(
    waited_seconds: float, most: int
) -> None:
    client = Endless()
    kit = Kit(slots=1000, client=client)
    del kit.poller._quiet.wait
    for _ in range(CALLS):
        kit.acknowledger._latency.note(waited_seconds)
    kit.acknowledger._latency.note_since = lambda _: None  # type: ignore[method-assign,assignment]  # the test sets it
    kit.poller.start()
    wait_until(lambda: client.most == most and len(client.receives) > 12, 60, "the receives")
    kit.poller.stop(float("inf"))
    assert client.most == most
    assert not our_threads()


def test_if_no_helper_can_start_one_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kit = Kit(slots=1000)
    kit.calls_wait = True
    kit.acknowledger._latency.note_since = lambda _: None  # type: ignore[method-assign,assignment]  # the test sets it
    kit.client.inbox = [full() for _ in range(6)]
    kit.acknowledger.after_receive = lambda _: None if kit.client.inbox else kit.poller.quiet()  # type: ignore[method-assign,assignment]  # the last receive

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    kit.poller._work()
    assert kit.pauses == []
    assert caplog.text.count("can't start new thread") == 1


def test_a_helper_ends_after_a_receive_that_is_not_full() -> None:
    kit = Kit(slots=1000)
    kit.calls_wait = True
    kit.acknowledger._latency.note_since = lambda _: None  # type: ignore[method-assign,assignment]  # the test sets it
    kit.client.inbox = [full(), [message()]]
    kit.poller._help()
    assert [wait for _, wait, _ in kit.client.receives] == [1, 1]  # not a second long poll


def test_only_a_full_receive_measures_how_long_calls_wait() -> None:
    kit = Kit(slots=1000)
    noted: list[tuple[float, float]] = []
    kit.acknowledger._latency.note_since = noted.append  # type: ignore[method-assign,assignment]  # recorded
    kit.client.inbox = [full(), [message()], []]
    for _ in range(3):
        kit.poller.step()
    assert len(noted) == 1  # the others may have waited for messages


def steps(kit: Kit, count: int) -> list[float]:
    """Return the pauses of this many receives."""
    kit.pauses.clear()
    for _ in range(count):
        kit.poller.step()
    return list(kit.pauses)


def warnings_of(caplog: pytest.LogCaptureFixture) -> int:
    return sum("WaitTimeSeconds" in record.getMessage() for record in caplog.records)


def test_empty_long_polls_that_end_early_are_slowed_down_and_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit()
    assert steps(kit, 4) == []  # SQS ends one early now and then
    assert steps(kit, 3) == [1.0] * 3
    assert warnings_of(caplog) == 1
    kit.client.inbox = [[message("a")]]
    assert steps(kit, 5) == []  # a busy queue can do this: only several in a row count
    assert steps(kit, 1) == [1.0]
    assert warnings_of(caplog) == 1


class Waiting(FakeClient):
    """A client whose receives take some seconds on a manual clock."""

    clock: Any = None
    seconds = 15.0

    def receive(self, *args: Any, **keywords: Any) -> list[Message]:
        self.clock.advance(self.seconds)
        return super().receive(*args, **keywords)


def test_long_polls_of_full_length_are_not_slowed_down(caplog: pytest.LogCaptureFixture) -> None:
    client = Waiting()
    kit = Kit(client=client)
    client.clock = kit.clock
    assert steps(kit, 20) == []
    client.seconds = 0
    assert steps(kit, 6) == [1.0] * 2
    client.seconds = 15
    assert steps(kit, 1) == []
    client.seconds = 0
    steps(kit, 6)
    assert warnings_of(caplog) == 2  # because it had recovered in between


def test_short_polls_and_the_embedded_sqs_are_not_slowed_down() -> None:
    kit = Kit(batch_size=25, max_wait=0.5)
    for _ in range(8):
        kit.accept("a")
        kit.clock.advance(1)  # the list is due, so the poller takes what is there without waiting
        assert steps(kit, 1) == []
    assert {wait for _, wait, _ in kit.client.receives} == {0}
    kit = Kit()
    kit.client.is_embedded = True
    assert steps(kit, 10) == []
