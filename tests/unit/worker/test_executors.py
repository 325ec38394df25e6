"""Executors: how each runs a call."""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.core.errors import JobNotStarted
from sqsw.core.jobs.awaitables import OwnLoop
from sqsw.core.lease_clock import lease_time
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.worker.executors import loop as loop_module
from sqsw.worker.executors.base import Executor, stack_of
from sqsw.worker.executors.inline import InlineExecutor, run_inline
from sqsw.worker.executors.late import LateExecutor
from sqsw.worker.executors.loop import LoopExecutor
from sqsw.worker.executors.threads import ThreadExecutor
from tests.backends import wait_until
from tests.unit.worker.doubles import ManualClock, our_threads

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class FakeCall:
    """The parts of a call that an executor uses."""

    def __init__(self, job: Callable[[], Any]) -> None:
        self.job = job
        self.runner: Any = None

    def run(self) -> list[ProcessingResult]:
        self.job()
        return [SUCCEEDED]

    async def run_async(self) -> list[ProcessingResult]:
        answer = self.job()
        if asyncio.iscoroutine(answer):
            await answer
        return [SUCCEEDED]

    def failed(self, error: BaseException) -> list[ProcessingResult]:
        return [ProcessingResult(False, error=error)]

    def not_started(self, error: BaseException) -> list[ProcessingResult]:
        return self.failed(JobNotStarted.of(error))


class Ends:
    """Collects ended calls, and returns the calls that follow them."""

    def __init__(self, *following: FakeCall) -> None:
        self.following = list(following)
        self.ended: list[FakeCall] = []
        self._changed = threading.Condition()

    def __call__(self, call: FakeCall, results: list[ProcessingResult]) -> FakeCall | None:
        with self._changed:
            self.ended.append(call)
            self._changed.notify_all()
            return self.following.pop(0) if self.following else None

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ended) >= count, 10)


def soon() -> float:
    return lease_time() + 10


@pytest.fixture(params=[ThreadExecutor, LoopExecutor])
def executor(request: pytest.FixtureRequest) -> Any:
    made: Executor = request.param()
    yield made
    made.stop(soon())
    assert our_threads() == []


def test_a_call_runs_and_its_end_is_reported(executor: Executor) -> None:
    ran: list[str] = []
    executor.start()
    ends = Ends()
    executor.submit([FakeCall(lambda: ran.append(threading.current_thread().name))], ends)
    ends.wait(1)
    assert ran and ran[0] != threading.current_thread().name


def test_the_call_that_an_end_returns_runs_next(executor: Executor) -> None:
    threads: list[int] = []
    calls = [FakeCall(lambda: threads.append(threading.get_ident())) for _ in range(3)]
    ends = Ends(*calls[1:])
    executor.submit([calls[0]], ends)
    ends.wait(3)
    assert ends.ended == calls
    assert len(set(threads)) == 1


def test_every_call_has_its_own_copy_of_the_context_at_the_start(executor: Executor) -> None:
    seen: list[str] = []

    def job() -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("of a job")

    token = VARIABLE.set("of the start")
    executor.start()
    VARIABLE.reset(token)
    ends = Ends(FakeCall(job))
    executor.submit([FakeCall(job)], ends)
    ends.wait(2)
    assert seen == ["of the start", "of the start"]


def test_an_end_that_raises_does_not_stop_the_executor(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: FakeCall, results: list[ProcessingResult]) -> None:
        raise SystemExit

    ends = Ends()
    executor.submit([FakeCall(lambda: None)], broken)
    executor.submit([FakeCall(lambda: None)], ends)
    ends.wait(1)
    wait_until(lambda: "SystemExit" in caplog.text)


def test_an_executor_starts_runs_and_stops(executor: Executor) -> None:
    executor.start()
    ends = Ends()
    executor.submit([FakeCall(lambda: None)], ends)
    ends.wait(1)
    executor.stop(soon())
    executor.stop(soon())
    assert our_threads() == []


@pytest.mark.parametrize(
    "make", [ThreadExecutor, LoopExecutor, lambda: LateExecutor(ThreadExecutor)]
)
def test_a_call_after_the_stop_does_not_run(make: Callable[[], Executor]) -> None:
    executor, ran = make(), list[str]()
    executor.stop(0)
    executor.submit([FakeCall(lambda: ran.append("too late"))], Ends())
    assert our_threads() == []
    assert ran == []


def test_a_stop_while_a_thread_starts_comes_before_its_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor, ran, start = ThreadExecutor(), list[str](), threading.Thread.start

    def stop_first(thread: threading.Thread) -> None:
        executor.stop(0)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", stop_first)
    executor.submit([FakeCall(lambda: ran.append("too late"))], Ends())
    wait_until(lambda: our_threads() == [])
    assert ran == []


def test_there_are_as_many_threads_as_concurrent_calls() -> None:
    executor = ThreadExecutor()
    barrier = threading.Barrier(4)
    ends = Ends()
    for _ in range(3):
        executor.submit([FakeCall(lambda: barrier.wait(10))], ends)
    barrier.wait(10)
    ends.wait(3)
    wait_until(lambda: executor._idle == 3)
    for number in range(4, 20):
        executor.submit([FakeCall(lambda: None)], ends)
        ends.wait(number)
        wait_until(lambda: executor._idle == 3)
    assert len(executor._threads) == 3
    executor.stop(soon())


def test_a_busy_thread_is_abandoned_at_the_deadline_and_ends_after_its_job() -> None:
    executor = ThreadExecutor()
    started, go_on, ends = threading.Event(), threading.Event(), Ends()

    def job() -> None:
        started.set()
        go_on.wait(10)

    call = FakeCall(job)
    executor.submit([call], ends)
    assert started.wait(10)
    assert "go_on.wait" in stack_of(call)
    assert stack_of(call).startswith(f'  File "{__file__}"')  # without our own frames
    (thread,) = executor._threads
    assert thread.daemon
    executor.stop(lease_time())
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()


def no_more(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_if_no_thread_can_start_the_caller_runs_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    executor, ends = ThreadExecutor(), Ends()
    monkeypatch.setattr(threading.Thread, "start", no_more)
    executor.submit([FakeCall(lambda: ran.append(threading.get_ident()))], ends)
    monkeypatch.undo()
    assert ran == [threading.get_ident()]


def test_if_no_further_thread_can_start_a_call_waits_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[str, int]] = []
    go_on = threading.Event()

    def job(name: str) -> FakeCall:
        return FakeCall(lambda: ran.append((name, threading.get_ident())))

    executor, ends = ThreadExecutor(), Ends(job("follows"))
    executor.submit([FakeCall(lambda: go_on.wait(10))], ends)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        executor.submit([job("waits")], ends)
    assert ran == []
    go_on.set()
    ends.wait(3)
    (thread,) = executor._threads
    assert ran == [("waits", thread.ident), ("follows", thread.ident)]
    wait_until(lambda: executor._idle == 1)
    executor.stop(soon())


def test_a_loop_without_a_thread_raises_and_is_created_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor, ends, call = LoopExecutor(), Ends(), FakeCall(lambda: None)
    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(RuntimeError, match="new thread"):
        executor.submit([FakeCall(lambda: None)], ends)
    monkeypatch.undo()
    executor.submit([call], ends)
    ends.wait(1)
    executor.stop(soon())
    assert ends.ended == [call]


def test_calls_submitted_together_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    executor, ends = LoopExecutor(), Ends()
    taken: list[int] = []
    take_in = LoopExecutor._take_in

    def counted(self: LoopExecutor) -> None:
        taken.append(len(self._inbox))
        take_in(self)

    monkeypatch.setattr(LoopExecutor, "_take_in", counted)
    executor.submit([FakeCall(lambda: None) for _ in range(10)], ends)
    ends.wait(10)
    executor.stop(soon())
    assert taken == [10]


def test_coroutines_wait_concurrently() -> None:
    executor, ends = LoopExecutor(), Ends()
    together = 0

    async def job() -> None:
        nonlocal together
        together += 1
        while together < 100:
            await asyncio.sleep(0)

    for _ in range(100):
        executor.submit([FakeCall(job)], ends)
    ends.wait(100)
    executor.stop(soon())


def test_a_blocked_loop_is_reported_until_it_moves_or_a_job_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ManualClock()
    monkeypatch.setattr(loop_module, "lease_time", clock)
    executor, ends = LoopExecutor(), Ends()
    assert executor.blocked_seconds() == 0  # there is no loop yet
    blocks = [threading.Event() for _ in range(2)]
    begun = threading.Barrier(2)

    def blocking(go_on: threading.Event) -> Callable[[], None]:
        def job() -> None:
            begun.wait(10)
            assert go_on.wait(60)

        return job

    executor.submit([FakeCall(blocking(block)) for block in blocks], ends)
    begun.wait(10)
    for seconds in (0, 100, 200):
        assert executor.blocked_seconds() == seconds
        clock.advance(100)
    blocks[0].set()
    begun.wait(10)
    assert executor.blocked_seconds() == 0  # the first job has ended
    clock.advance(301)
    assert executor.blocked_seconds() > 300
    blocks[1].set()
    wait_until(lambda: executor.blocked_seconds() == 0)
    executor.stop(soon())
    assert executor.blocked_seconds() == 0


def test_a_coroutine_can_be_cancelled_and_shows_where_it_is() -> None:
    executor, ends = LoopExecutor(), Ends()
    started = threading.Event()
    cancelled: list[bool] = []

    async def job() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)

    call = FakeCall(job)
    executor.submit([call], ends)
    assert started.wait(10)
    assert "asyncio.sleep" in stack_of(call)
    assert stack_of(call).startswith(f'  File "{__file__}"')  # without our own frames
    executor.cancel(call)
    ends.wait(1)
    assert cancelled == [True]
    executor.stop(soon())


def test_running_coroutines_are_cancelled_at_the_stop() -> None:
    executor, ends = LoopExecutor(), Ends()
    started = threading.Event()
    cleaned: list[bool] = []

    async def job() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    executor.submit([FakeCall(job)], ends)
    assert started.wait(10)
    executor.stop(soon())
    assert cleaned == [True]


def test_system_exit_in_a_side_task_leaves_the_loop_alive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    executor, ends = LoopExecutor(), Ends()

    async def leave() -> None:
        raise SystemExit(3)

    async def job() -> None:
        task = asyncio.ensure_future(leave())
        while not task.done():
            await asyncio.sleep(0)
        task.exception()

    executor.submit([FakeCall(job)], ends)
    ends.wait(1)
    executor.submit([FakeCall(lambda: None)], ends)
    ends.wait(2)
    executor.stop(soon())
    assert "tried to end the event loop" in caplog.text


def test_inline_runs_at_once_in_this_thread() -> None:
    ran: list[int] = []
    calls = [FakeCall(lambda: ran.append(threading.get_ident())) for _ in range(3)]
    ends = Ends(*calls[1:])
    executor = InlineExecutor()
    executor.start()
    executor.submit([calls[0]], ends)
    executor.cancel(calls[0])
    executor.stop(0)
    assert ends.ended == calls
    assert ran == [threading.get_ident()] * 3


def test_inline_runs_a_coroutine_to_its_end() -> None:
    ran: list[str] = []

    async def job() -> None:
        left_behind = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        ran.append("to the end")
        assert not left_behind.done()

    loop = OwnLoop()
    InlineExecutor(loop).submit([FakeCall(job)], Ends())
    loop.close()
    assert ran == ["to the end"]


def test_inline_runs_a_coroutine_inside_a_running_loop() -> None:
    async def job() -> None:
        await asyncio.sleep(0)

    async def main() -> list[ProcessingResult]:
        return run_inline(FakeCall(job), loop)

    loop = OwnLoop()
    assert asyncio.run(main()) == [SUCCEEDED]
    loop.close()


def test_a_coroutine_without_a_thread_inside_a_running_loop_has_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results: list[ProcessingResult] = []

    async def main() -> None:
        monkeypatch.setattr(threading.Thread, "start", no_more)
        executor = InlineExecutor(OwnLoop())
        executor.submit([FakeCall(lambda: None)], lambda _, told: results.extend(told))

    asyncio.run(main())
    assert isinstance(results[0].error, JobNotStarted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_process_forked_by_an_inline_job_ends_when_the_job_returns() -> None:
    pids: list[int] = []
    InlineExecutor().submit([FakeCall(lambda: pids.append(os.fork()))], lambda *_: None)
    # The child never reaches this line.
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0


def test_ctrl_c_in_an_inline_job_propagates() -> None:
    class Interrupted(FakeCall):
        def run(self) -> list[ProcessingResult]:
            return [ProcessingResult(False, error=KeyboardInterrupt())]

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit([Interrupted(lambda: None)], Ends())


def test_a_late_executor_is_created_by_its_first_call() -> None:
    made: list[InlineExecutor] = []

    def make() -> InlineExecutor:
        made.append(InlineExecutor())
        return made[-1]

    late, ran = LateExecutor(make), list[str]()
    late.start()
    late.cancel(FakeCall(lambda: None))
    assert made == []
    for name in "ab":
        late.submit([FakeCall(lambda name=name: ran.append(name))], lambda *_: None)  # type: ignore[misc]  # lambda
    assert (len(made), ran) == (1, ["a", "b"])
    late.stop(0)


def test_jobs_of_a_late_executor_have_the_context_at_its_start() -> None:
    seen: list[str] = []
    executor = LateExecutor(ThreadExecutor)
    token = VARIABLE.set("at the start")
    executor.start()
    VARIABLE.reset(token)
    ended = threading.Event()
    executor.submit([FakeCall(lambda: seen.append(VARIABLE.get()))], lambda *_: ended.set())
    assert ended.wait(60)
    executor.stop(lease_time() + 60)
    assert seen == ["at the start"]
