"""The methods of a worker. ``tests/life`` tests how it works."""

import io
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.events import DrainStarted, Pulse, WorkerStarted, WorkerStopped
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.queue.work import work_queues
from sqsw.worker import worker as worker_module
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.worker import Worker
from tests.unit.worker.doubles import FakeClient, lane, message, our_threads, recorder


def test_a_stop_before_the_run_ends_it_at_once() -> None:
    events, told = recorder(WorkerStarted, DrainStarted, WorkerStopped)
    worker = Worker([lane("a"), lane("b", slots=3)], WorkerSettings(concurrency=5), events)
    worker.stop("enough")
    worker.stop("again")
    report = worker.run()
    assert (report.stopped_by, report.forced) == ("enough", False)
    assert told == [
        WorkerStarted(("a", "b"), 8),
        DrainStarted("enough", 0, 0, 25.0),
        WorkerStopped("enough", 0),
    ]
    assert our_threads() == []


def test_the_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []
    events, _ = recorder()
    worker = Worker([lane()], events=events)
    events.subscribe(lambda _: seen.append(signal.getsignal(signal.SIGTERM)), WorkerStarted)
    worker.stop()
    worker.run()
    assert seen != [before]
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_in_the_main_thread_stops_everything_and_propagates() -> None:
    worker = Worker([lane()])

    def interrupted() -> None:
        raise KeyboardInterrupt

    worker._inbox.wait = lambda timeout=None: interrupted()  # type: ignore[method-assign,assignment,return-value]  # Ctrl-C without our handlers
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    assert our_threads() == []


@pytest.mark.parametrize("name", ["sqsw-heartbeat", "sqsw-ack-1", "sqsw-poll-emails"])
def test_a_worker_that_cannot_start_a_thread_raises_and_leaves_nothing_behind(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="new thread"):
        Worker([lane()]).run()
    assert our_threads() == []


def test_quiet_lets_jobs_in_hand_finish() -> None:
    client = FakeClient()
    client.inbox = [[message("a")]]
    worker = Worker([lane(client=client)])

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        worker.quiet()
        worker.stop()
        return [SUCCEEDED]

    worker._lanes[0].queue.handle = handle  # type: ignore[method-assign]  # a double
    assert worker.run().done == 1
    assert client.deletes == [["a"]]


class LongPolling(FakeClient):
    """A client that returns its inbox. Then a receive waits until polls are ended three times."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.ended = threading.Event(), threading.Event()

    def receive(self, *arguments: Any, **options: Any) -> list[Message]:
        answer = super().receive(*arguments, **options)
        if not answer:
            self.waits.set()
            assert self.ended.wait(60)
        return answer

    def end_polls(self) -> bool:
        self.polls_ended += 1
        if self.polls_ended == 3:
            self.ended.set()
        return True


def test_a_drain_ends_polls_before_it_returns_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, put_back, ended_by_then = LongPolling(), Dispatcher.close, list[bool]()

    def close(dispatcher: Dispatcher, lanes: Any) -> None:
        ended_by_then.append(client.ended.is_set())
        put_back(dispatcher, lanes)

    monkeypatch.setattr(Dispatcher, "close", close)
    client.inbox = [[message("a"), message("b")]]
    worker = Worker([lane(client=client, batch_size=25, max_wait=300)])

    def stop() -> None:
        assert client.waits.wait(60)
        worker.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    report = worker.run()
    stopping.join()
    assert (report.done, report.released) == (0, 2)
    assert client.changes == [[("a", 0), ("b", 0)]]
    assert ended_by_then[0]


def test_a_pulse_reports_at_once_that_the_worker_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "PULSE_SECONDS", 60)
    events, told = recorder(Pulse)
    worker = Worker([lane()], events=events)

    def go_on(pulse: Pulse) -> None:
        if pulse.ready:
            worker.quiet()
        else:
            worker.stop()

    events.subscribe(go_on, Pulse)
    begun = time.monotonic()
    worker.run()
    assert [pulse.ready for pulse in told[:2]] == [True, False]
    assert time.monotonic() - begun < 30


def test_the_first_of_two_force_signals_is_the_reason() -> None:
    worker = Worker([lane()])
    worker._inbox.post("force", "SIGQUIT")
    worker._inbox.post("slots", "SIGUSR1")
    assert worker.run().stopped_by == "SIGQUIT"


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [Closed(), None])
def test_a_closed_stderr_does_not_stop_the_worker(
    monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO | None
) -> None:
    monkeypatch.setattr("sys.stderr", stderr)
    worker = Worker([lane()])
    worker._inbox.post("slots", "SIGUSR1")
    worker.stop("enough")
    assert worker.run().stopped_by == "enough"


def test_idle_slots_are_described() -> None:
    assert Worker([lane()]).describe_slots() == "no slot is busy\n"


class NotedCompanion:
    """A companion that notes its calls."""

    name = "notes"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def check(self) -> None:
        self.calls.append("check")

    def start(self) -> None:
        self.calls.append("start")

    def close(self) -> None:
        self.calls.append("close")

    def stop(self, deadline: float) -> None:
        self.calls.append("stop")


def test_a_companion_works_until_the_worker_drains_even_without_queues() -> None:
    companion = NotedCompanion()
    events, told = recorder(Pulse)
    worker = Worker([], events=events, companions=[companion])
    timer = threading.Timer(0.2, worker.stop)
    timer.start()
    report = worker.run()
    timer.join()
    assert (report.stopped_by, report.unfinished) == ("stop", 0)
    assert companion.calls[0] == "start"
    assert companion.calls[1] == "close"
    assert companion.calls[-1] == "stop"
    assert told[0].ready


def test_a_companion_is_checked_before_the_worker_starts() -> None:
    companion = NotedCompanion()
    events, _ = recorder()
    companion.start = lambda: signal.raise_signal(signal.SIGTERM)  # type: ignore[method-assign]  # ends the worker once it runs
    report = work_queues([], settings=WorkerSettings(), events=events, companions=[companion])
    assert report.stopped_by == "SIGTERM"
    assert companion.calls[0] == "check"
