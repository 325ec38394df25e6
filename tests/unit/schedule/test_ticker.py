"""The ticker: what it sends, when, and what it reports. The clock stands still between steps."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from sqsw import MemorySession, SQSEnv
from sqsw.core.errors import ConnectionFailed, QueueNotFound, SQSError
from sqsw.core.event_bus import Event, RequestSent
from sqsw.core.events import TickMissed, TickSent
from sqsw.core.job_metadata import metadata_of
from sqsw.core.lease_clock import lease_time
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs.memory_session import MemoryAWS
from sqsw.schedule import ticker as ticker_module
from sqsw.schedule.ticker import Ticker
from sqsw.transport.queue_client import QueueClient
from tests.backends import wait_until

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class SettableClock:
    """A clock that can also be set back."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.now = moment.timestamp()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Bench:
    """An environment in memory, its clock, and the events of its tickers."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.env = SQSEnv(MemorySession(MemoryAWS(clock=self.clock)))
        for name in ("cron.fifo", "other.fifo"):
            self.env.sqs_client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
        self.events: list[Event] = []
        self.requests: Counter[str] = Counter()
        self.env.events.subscribe(self.events.append, TickSent, TickMissed)
        self.env.events.subscribe(self._count, RequestSent)

    def _count(self, event: RequestSent) -> None:
        self.requests[event.action] += 1

    def schedule(self, name: str, every: float = 60, queue: str = "cron.fifo") -> None:
        def job() -> None:
            pass

        job.__name__ = name
        self.env.periodic(every=every, queue=queue)(job)

    def ticker(self, chance: float = 0.0) -> Ticker:
        return Ticker(
            self.env.schedules.values(),
            self.env.job_queue,
            self.env.events,
            self.clock,
            chance=lambda: chance,
        )

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self.events[:] = list(self.events), []
        return taken

    def sent(self) -> list[str]:
        """Return the schedules and minutes of the ticks that were sent since the last call."""
        taken = self.take()
        assert all(isinstance(each, TickSent) for each in taken), taken
        return [f"{e.schedule} {e.at:%M:%S}" for e in taken if isinstance(e, TickSent)]

    def queued(self, queue: str = "cron.fifo") -> list[str]:
        messages = self.env.queue(queue).client.peek()
        assert messages is not None
        known = [metadata_of(message) for message in messages]
        return sorted(f"{each.schedule} {each.at}" for each in known)

    def missed(self) -> list[tuple[str, str, str, int]]:
        """Return reason, first, last and count of what was missed since the last call."""
        return [
            (e.reason, f"{e.first_at:%H:%M:%S}", f"{e.last_at:%H:%M:%S}", e.count)
            for e in self.take()
            if isinstance(e, TickMissed)
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_start_sends_what_is_not_too_late_and_reports_the_last_one_before(
    bench: Bench,
) -> None:
    bench.schedule("minutely")
    bench.schedule("hourly", 3600)
    bench.clock.advance(10)
    assert bench.ticker().step() == pytest.approx(50)
    events = bench.take()
    # 11:57:00 is 190 seconds ago; 11:56:00 is too late
    assert [(e.schedule, f"{e.at:%H:%M}") for e in events if isinstance(e, TickSent)] == [
        ("minutely", "11:57"),
        ("minutely", "11:58"),
        ("minutely", "11:59"),
        ("minutely", "12:00"),
        ("hourly", "12:00"),
    ]
    assert [
        (e.schedule, e.reason, e.count, f"{e.last_at:%H:%M}")
        for e in events
        if isinstance(e, TickMissed)
    ] == [("minutely", "started", 1, "11:56"), ("hourly", "started", 1, "11:00")]
    assert bench.requests["SendMessageBatch"] == 1


def test_each_tick_is_sent_once_when_it_is_due(bench: Bench) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    assert ticker.step() == pytest.approx(60)
    for _ in range(59):
        bench.clock.advance(1)
        ticker.step()
        assert bench.take() == []
    bench.clock.advance(1)
    ticker.step()
    assert bench.sent() == ["minutely 01:00"]
    ticker.step()
    assert bench.take() == []


def test_several_tickers_put_one_message_of_each_tick_into_the_queue(bench: Bench) -> None:
    bench.schedule("minutely")
    tickers = [bench.ticker(chance) for chance in (0.0, 0.5, 0.9)]
    for _ in range(30):
        for ticker in tickers:
            ticker.step()
            bench.clock.advance(20)
    bench.clock.advance(1)
    for ticker in tickers:
        ticker.step()
    ticks = bench.queued()
    assert len(ticks) == len(set(ticks))
    assert len(ticks) == 30 + 4
    assert [e for e in bench.take() if isinstance(e, TickMissed) and e.reason != "started"] == []


def test_a_random_wait_spreads_the_sends(bench: Bench) -> None:
    bench.schedule("minutely")
    bench.schedule("often", 5)
    ticker = bench.ticker(chance=0.8)
    ticker.step()
    bench.take()
    bench.clock.advance(5)
    assert ticker.step() == pytest.approx(0.4)  # a tenth of the interval at most
    assert bench.take() == []
    bench.clock.advance(0.4)
    ticker.step()
    assert bench.sent() == ["often 00:05"]
    bench.clock.now = NOON.timestamp() + 59
    ticker.step()
    bench.take()
    bench.clock.advance(1)
    assert ticker.step() == pytest.approx(0.4)
    bench.clock.advance(0.4)
    ticker.step()
    # what is due goes out in one request
    assert bench.sent() == ["minutely 01:00", "often 01:00"]


def test_the_ticks_of_a_queue_go_out_ten_at_a_time(bench: Bench) -> None:
    for number in range(25):
        bench.schedule(f"minutely-{number}")
    bench.schedule("elsewhere", queue="other.fifo")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.requests.clear()
    bench.clock.advance(60)
    ticker.step()
    assert len(bench.sent()) == 26
    assert bench.requests == {"SendMessageBatch": 4}
    assert len(bench.queued("other.fifo")) == 4 + 1


def test_a_suspended_process_sends_in_batches_and_reports_the_rest_at_once(bench: Bench) -> None:
    bench.schedule("secondly", 1)
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.requests.clear()
    bench.clock.advance(600)
    ticker.step()
    missed, *sent = bench.take()
    assert missed == TickMissed(
        "secondly",
        "cron.fifo",
        NOON + timedelta(seconds=1),
        NOON + timedelta(seconds=399),
        399,
        "late",
    )
    assert [e.at for e in sent if isinstance(e, TickSent)] == [
        NOON + timedelta(seconds=seconds) for seconds in range(400, 601)
    ]
    assert bench.requests == {"SendMessageBatch": 21}


def test_no_tick_vanishes_however_long_the_gaps_between_two_steps(bench: Bench) -> None:
    bench.schedule("often", 7)
    bench.schedule("minutely")
    ticker = bench.ticker(chance=0.3)
    ticker.step()
    bench.take()
    for gap in (0.5, 3, 8, 61, 130, 199, 200, 201, 203, 250, 1, 900, 5):
        bench.clock.advance(gap)
        ticker.step()
    seen: Counter[str] = Counter()
    for event in bench.take():
        if isinstance(event, TickSent):
            seen[event.schedule] += 1
        elif isinstance(event, TickMissed):
            assert event.reason == "late"
            seen[event.schedule] += event.count
    elapsed = bench.clock.now - 1  # the last ticks can wait for their random moment
    for name, every in (("often", 7), ("minutely", 60)):
        due = elapsed // every - NOON.timestamp() // every
        assert due <= seen[name] <= due + 1


def test_a_long_gap_is_counted_up_to_a_bound(bench: Bench) -> None:
    bench.schedule("secondly", 1)
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.clock.advance(30 * 86_400)
    ticker.step()
    assert bench.missed() == [("late", "12:00:01", "11:56:39", 10_000)]


def test_a_clock_that_is_set_back_sends_nothing_twice_and_goes_on(bench: Bench) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker()
    ticker.step()
    for _ in range(10):
        bench.clock.advance(60)
        ticker.step()
    bench.take()
    bench.clock.advance(-300)
    for _ in range(4):
        assert ticker.step() <= 60
        bench.clock.advance(60)
    assert bench.take() == []
    bench.clock.advance(60)
    ticker.step()
    assert bench.take() == []  # 12:10, which was sent before
    bench.clock.advance(60)
    ticker.step()
    assert bench.sent() == ["minutely 11:00"]


def test_a_clock_that_was_far_ahead_does_not_stop_the_schedule(bench: Bench) -> None:
    bench.schedule("minutely")
    bench.clock.now = (NOON + timedelta(days=365)).timestamp()
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.clock.now = NOON.timestamp()
    ticker.step()
    assert bench.sent() == [f"minutely {minute}:00" for minute in (57, 58, 59, "00")]
    bench.clock.advance(60)
    ticker.step()
    assert bench.sent() == ["minutely 01:00"]


def test_a_jump_ahead_and_back_sends_what_was_passed_over(bench: Bench) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.clock.advance(3600)
    ticker.step()
    assert bench.missed() == [("late", "12:01:00", "12:56:00", 56)]
    bench.clock.advance(-3600)
    ticker.step()
    assert bench.take() == []
    bench.clock.advance(60)
    ticker.step()
    assert bench.sent() == ["minutely 01:00"]
    bench.clock.advance(-0.5)
    ticker.step()
    bench.clock.advance(0.5)
    ticker.step()
    assert bench.take() == []


def test_a_clock_that_is_often_set_back_a_little_sends_nothing_twice(bench: Bench) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker()
    for _ in range(60):
        ticker.step()
        bench.clock.advance(60)
    for _ in range(150):
        ticker.step()
        bench.clock.advance(-0.01)
    bench.take()
    bench.clock.advance(-1800)
    for _ in range(28):
        bench.clock.advance(60)
        ticker.step()
    assert bench.take() == []


# -- failures -----------------------------------------------------------------------------------


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of queues to which no send gets through; it can be changed."""
    names: list[str] = []
    send_batch = QueueClient.send_batch

    def send(self: QueueClient, entries: Any, **options: Any) -> Any:
        if self.name in names:
            raise ConnectionFailed(f"cannot send to {self.name}")
        return send_batch(self, entries, **options)

    monkeypatch.setattr(QueueClient, "send_batch", send)
    return names


def test_a_failed_send_is_repeated_until_it_succeeds(bench: Bench, down: list[str]) -> None:
    bench.schedule("minutely")
    bench.schedule("elsewhere", queue="other.fifo")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    down.append("cron.fifo")
    bench.clock.advance(60)
    assert ticker.step() == pytest.approx(0.25)
    assert bench.sent() == ["elsewhere 01:00"]
    bench.clock.advance(0.25)
    assert ticker.step() == pytest.approx(0.5)
    down.clear()
    bench.clock.advance(0.5)
    ticker.step()
    assert bench.sent() == ["minutely 01:00"]


def test_a_send_that_fails_for_too_long_is_reported(bench: Bench, down: list[str]) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker(chance=1.0)
    ticker.step()
    bench.take()
    down.append("cron.fifo")
    for _ in range(330):
        bench.clock.advance(1)
        ticker.step()
    events = bench.take()
    assert all(isinstance(each, TickMissed) for each in events)
    assert [(e.reason, e.count, f"{e.first_at:%M}") for e in events] == [  # type: ignore[attr-defined]  # see above
        ("failed", 1, "01"),
        ("failed", 1, "02"),
    ]
    assert isinstance(events[0].error, ConnectionFailed)  # type: ignore[attr-defined]  # see above
    down.clear()
    for _ in range(26):
        bench.clock.advance(1)
        ticker.step()
    assert bench.sent() == [f"minutely 0{minute}:00" for minute in (3, 4, 5)]


def test_an_outage_of_a_frequent_schedule_is_reported_once_per_retry(
    bench: Bench, down: list[str]
) -> None:
    bench.schedule("secondly", 1)
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    down.append("cron.fifo")
    steps = 0
    while bench.clock.now < NOON.timestamp() + 400:
        bench.clock.advance(max(0.05, min(1.0, ticker.step())))
        steps += 1
    down.clear()
    bench.clock.advance(25)
    ticker.step()
    events = bench.take()
    missed = [e for e in events if isinstance(e, TickMissed)]
    sent = [e for e in events if isinstance(e, TickSent)]
    assert {e.reason for e in missed} == {"failed"}
    assert sum(e.count for e in missed) + len(sent) == int(bench.clock.now - NOON.timestamp())


def test_a_tick_that_cannot_be_packed_holds_up_no_other(bench: Bench) -> None:
    bench.schedule("good")
    bench.schedule("bad")
    ticker = bench.ticker()
    ticker.step()
    bench.take()

    class Refusing:
        def before_send(self, message: Any) -> None:
            if message.job_name == "bad":
                raise ValueError("not today")

    bench.env.middlewares = [Refusing()]  # type: ignore[list-item]  # it needs no around()
    bench.clock.advance(60)
    ticker.step()
    assert bench.sent() == ["good 01:00"]
    bench.clock.advance(201)
    ticker.step()
    events = [e for e in bench.take() if isinstance(e, TickMissed)]
    assert [(e.schedule, e.reason) for e in events] == [("bad", "failed")]
    assert "not today" in (getattr(events[0].error, "why", "") or "")


def test_an_entry_that_sqs_refuses_is_repeated_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.schedule("good")
    bench.schedule("bad")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    entry = type(bench.env.schedules["bad"]).entry

    def broken(self: Any, at: datetime, pack: Any) -> Any:
        made = entry(self, at, pack)
        if self.name == "bad":
            made["MessageGroupId"] = "not\nvalid"
        return made

    monkeypatch.setattr(type(bench.env.schedules["bad"]), "entry", broken)
    bench.clock.advance(60)
    ticker.step()
    assert bench.sent() == ["good 01:00"]
    bench.clock.advance(205)
    ticker.step()
    assert ("failed", "12:01:00", "12:01:00", 1) in bench.missed()


@pytest.mark.parametrize("error", [SystemExit(1), ValueError("not today")])
def test_a_middleware_that_raises_anything_holds_up_no_other(
    bench: Bench, error: BaseException
) -> None:
    bench.schedule("bad")
    bench.schedule("good")

    class Refusing:
        def before_send(self, message: Any) -> None:
            if message.job_name == "bad":
                raise error

    bench.env.middlewares = [Refusing()]  # type: ignore[list-item]  # it needs no around()
    ticker = bench.ticker()
    ticker.step()
    assert {e.schedule for e in bench.take() if isinstance(e, TickSent)} == {"good"}


def test_a_tick_for_which_sqs_refuses_the_whole_call_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.schedule("bad")
    bench.schedule("good")
    send_batch = QueueClient.send_batch

    def send(self: QueueClient, entries: Sequence[Any], **options: Any) -> Any:
        if any(entry["MessageGroupId"] == "bad" for entry in entries):
            raise SQSError("refused", code="InvalidParameterValue")
        return send_batch(self, entries, **options)

    monkeypatch.setattr(QueueClient, "send_batch", send)
    ticker = bench.ticker()
    ticker.step()
    assert {e.schedule for e in bench.take() if isinstance(e, TickSent)} == {"good"}


def test_no_tick_is_sent_after_sqs_can_have_forgotten_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.schedule("minutely")
    ticker = bench.ticker()
    ticker.step()
    bench.take()
    bench.clock.advance(60)
    ends: list[float] = []

    def call(action: str, params: Any, kind: Any = None) -> Any:
        # The longest time of a call without an answer, and of one with retries.
        bench.clock.advance(41 if kind == "once" else 160)
        ends.append(bench.clock.now - NOON.timestamp() - 60)
        raise EndpointConnectionError(endpoint_url="http://sqsw.invalid")

    monkeypatch.setattr(bench.env.clients, "call", call)
    while not bench.events:
        bench.clock.advance(max(0.1, min(1.0, ticker.step())))
    assert len(ends) > 3
    assert max(ends) < 290
    assert bench.missed() == [("failed", "12:01:00", "12:01:00", 1)]


# -- the companion ------------------------------------------------------------------------------


def test_a_missing_queue_stops_the_start(bench: Bench) -> None:
    bench.schedule("one", queue="missing.fifo")
    bench.schedule("two", queue="missing.fifo")
    with pytest.raises(QueueNotFound) as found:
        bench.ticker().check()
    assert found.value.queue == "missing.fifo"
    assert "the schedules 'one', 'two' would send to it" in (found.value.why or "")
    assert "create_fifo_queue(env, 'missing.fifo')" in (found.value.next or "")


def test_the_check_looks_up_each_queue_once(bench: Bench) -> None:
    for name in ("one", "two"):
        bench.schedule(name)
    bench.ticker().check()
    bench.ticker().check()
    assert bench.requests == {"GetQueueUrl": 1}


def test_an_environment_without_schedules_has_no_ticker(bench: Bench) -> None:
    assert bench.env.companions() == []
    bench.schedule("minutely")
    (ticker,) = bench.env.companions()
    assert isinstance(ticker, Ticker)
    assert ticker.name == "schedules"
    assert bench.env.companions(schedule=False) == []


def test_the_thread_sends_when_the_clock_is_moved() -> None:
    clock = MovableClock((NOON + timedelta(seconds=1)).timestamp)
    env = SQSEnv(MemorySession(MemoryAWS(clock=clock)))
    env.sqs_client.create_queue(QueueName="cron.fifo", Attributes={"FifoQueue": "true"})
    sent: list[TickSent] = []
    env.events.subscribe(sent.append, TickSent)
    env.periodic(every=3600, queue="cron.fifo")(at_the_hour)
    (ticker,) = env.companions()
    ticker.start()
    wait_until(lambda: len(sent) == 1, 10, "the first tick")
    clock.advance(hours=1, seconds=1)
    wait_until(lambda: len(sent) == 2, 10, "the second tick")
    ticker.close()
    ticker.stop(lease_time() + 5)
    assert not [t for t in threading.enumerate() if t.name == "sqsw-ticker"]
    clock.advance(hours=1, seconds=1)
    assert len(sent) == 2


def at_the_hour() -> None:
    pass


def test_a_send_that_hangs_does_not_hold_up_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, entered = threading.Event(), threading.Event()

    def hang(self: QueueClient, entries: Sequence[Any], **options: Any) -> Any:
        entered.set()
        release.wait(60)
        raise ConnectionFailed("at last")

    monkeypatch.setattr(QueueClient, "send_batch", hang)
    bench.schedule("minutely")
    ticker = bench.ticker()
    ticker.start()
    assert entered.wait(10)
    begun = time.monotonic()
    ticker.close()
    ticker.stop(lease_time() + 0.3)
    ticker.stop(lease_time() + 60)
    assert time.monotonic() - begun < 5
    release.set()
    wait_until(
        lambda: not [t for t in threading.enumerate() if t.name == "sqsw-ticker"],
        10,
        "the end of the thread",
    )


def test_the_thread_survives_a_step_that_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ticker_module, "_LONGEST_SLEEP_SECONDS", 0.01)
    failures: list[Callable[[], float]] = []
    ticker = bench.ticker()

    def fail() -> float:
        failures.append(fail)
        raise ValueError("by chance")

    monkeypatch.setattr(ticker, "step", fail)
    ticker.start()
    wait_until(lambda: len(failures) > 2, 10, "the next step")
    ticker.stop(lease_time() + 5)
    assert "cannot send the ticks that are due" in caplog.text
