"""Calls that can hang are made in their own thread."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from sqsw.core import delivery as module
from sqsw.core.delivery import (
    Delivery,
    end_delivery_threads,
    flush_deliveries,
    handing_over,
    is_handing_over,
    stuck_delivery,
)
from tests.backends import wait_until
from tests.unit.worker.doubles import ManualClock


class Gate:
    """A call that hangs until the gate is open."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(60)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the queue to ten calls, and do not wait for room."""
    monkeypatch.setattr(module, "_MOST_CALLS", 10)
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.05)


def hung(gate: Gate, **options: object) -> Delivery:
    delivery = Delivery("a test", **options)  # type: ignore[arg-type]  # the arguments of the class
    delivery.put(gate)
    assert gate.reached.wait(60)
    return delivery


def test_calls_are_made_in_order_in_their_context() -> None:
    variable: ContextVar[int] = ContextVar("variable")
    made: list[tuple[int, int]] = []
    delivery = Delivery("a test")
    for number in range(100):
        variable.set(number)
        delivery.put(lambda n: made.append((n, variable.get())), number, urgent=number % 3 == 0)
    assert delivery.flush()
    assert made == [(number, number) for number in range(100)]


def test_a_call_that_raises_does_not_stop_the_thread() -> None:
    made: list[int] = []
    delivery = Delivery("a test")
    delivery.put(sys.exit)
    delivery.put(made.append, 1)
    assert delivery.flush()
    assert made == [1]


@pytest.mark.usefixtures("small")
def test_a_full_queue_drops_calls_and_urgent_ones_last(gate: Gate) -> None:
    made: list[str] = []
    dropped: list[int] = []
    delivery = hung(gate, on_dropped=dropped.append)
    assert [delivery.put(made.append, f"line {n}") for n in range(13)] == [True] * 10 + [False] * 3
    began = time.monotonic()
    assert all(delivery.put(made.append, f"error {n}", urgent=True) for n in range(10))
    assert not delivery.put(made.append, "one more", urgent=True)
    assert time.monotonic() - began < 1  # callers do not wait when the thread is known to hang
    gate.opened.set()
    assert delivery.flush()
    assert made == [f"error {n}" for n in range(10)]
    assert dropped == [14]
    assert delivery.put(made.append, "again")


def test_a_slow_queue_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CALLS", 10)
    made: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.001)
        made.append(number)

    delivery = Delivery("a test")
    assert all([delivery.put(slow, number) for number in range(100)])  # noqa: C419  # a list, so that every call is put
    assert delivery.flush()
    assert made == list(range(100))


@pytest.mark.parametrize("bound", ["characters", "exceptions"])
def test_the_memory_of_waiting_calls_is_limited(gate: Gate, small: None, bound: str) -> None:
    delivery = hung(gate)
    if bound == "characters":
        assert delivery.put(print, size=15_000_000)
        assert not delivery.put(print, size=15_000_000)
    else:
        put = [delivery.put(print, has_error=True) for _ in range(30)]
        assert sum(put) == 10


def test_a_flush_does_not_wait_for_a_call_that_hangs(gate: Gate) -> None:
    delivery = hung(gate)
    began = time.monotonic()
    assert not delivery.flush()
    assert not flush_deliveries()
    assert time.monotonic() - began < 10


def test_a_call_that_hangs_for_a_minute_is_reported(gate: Gate) -> None:
    clock = ManualClock()
    delivery = hung(gate, clock=clock)
    delivery.put(print)
    clock.advance(60)
    assert stuck_delivery() is None
    clock.advance(1)
    assert stuck_delivery() == "a test has been stuck for 61 seconds"
    gate.opened.set()
    wait_until(lambda: stuck_delivery() is None)
    clock.advance(3600)  # while there is nothing to do
    assert stuck_delivery() is None


def test_the_threads_end_before_a_fork_and_start_again() -> None:
    made: list[int] = []
    delivery = Delivery("a test")
    delivery.put(made.append, 1)
    end_delivery_threads()
    names = [thread.name for thread in threading.enumerate()]
    assert "sqsw-delivery" not in names
    delivery.put(made.append, 2)
    assert delivery.flush()
    assert made == [1, 2]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_with_an_empty_queue(gate: Gate) -> None:
    delivery = hung(gate)
    delivery.put(print)
    reader, writer = os.pipe()
    with handing_over():
        child = os.fork()
        if child == 0:
            try:
                delivery.put(os.write, writer, b"made")
                is_well = delivery.flush() and not is_handing_over()
            finally:
                os._exit(0 if is_well else 1)
        assert os.waitpid(child, 0)[1] == 0
        gate.opened.set()
    assert os.read(reader, 100) == b"made"
    os.close(reader)
    os.close(writer)


SCRIPT = """
import atexit, logging, os, sys, threading, time
from sqsw.core.delivery import handing_over
from sqsw.core.safe_logger import SafeLogger

class Slow(logging.StreamHandler):
    def emit(self, record):
        time.sleep({seconds})
        super().emit(record)

logging.getLogger().addHandler(Slow())
atexit.register(lambda: SafeLogger("sqsw").warning("at exit"))
mode = handing_over()
mode.__enter__()
for number in range(20):
    SafeLogger("sqsw").warning("line %d", number)
{end}
"""


@pytest.mark.parametrize("end", ["", "raise ValueError", "sys.exit(1)"])
def test_nothing_is_lost_when_the_interpreter_exits(end: str) -> None:
    script = SCRIPT.format(seconds=0.001, end=end)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    lines = [line for line in ended.stderr.splitlines() if line.startswith(("line", "at exit"))]
    assert lines == [*(f"line {number}" for number in range(20)), "at exit"]
    assert ended.returncode == (1 if end else 0)


def test_the_interpreter_exits_without_waiting_for_a_call_that_hangs() -> None:
    began = time.monotonic()
    script = SCRIPT.format(seconds=1000, end="")
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert time.monotonic() - began < 10
