"""The health of workers, by their pulses."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sqsw.core.errors import AccessDenied, ConnectionFailed, SettingsError
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    EventBus,
    Pulse,
    ReceiveDone,
    ReceiveError,
)
from sqsw.observe import health as health_module
from sqsw.observe.health import Health, HealthFile, Problem
from tests import backends
from tests.unit.worker.doubles import ManualClock

PULSE = Pulse(1, 8, 2, {"a": 3}, 100, 500, 30, True, None)


def test_a_worker_without_a_problem_is_healthy() -> None:
    clock, events = ManualClock(), EventBus()
    health = Health(clock)
    health.subscribe_to(events)
    assert health.problem() is None  # it can still be loading its app
    clock.advance(61)
    assert health.problem() == "no worker is running"
    events.publish(PULSE)
    assert health.problem() is None
    events.publish(replace(PULSE, ready=False))
    assert health.problem() is None
    events.publish(replace(PULSE, problem="no answer"))
    assert health.problem() == "no answer"


def test_a_worker_with_a_stuck_log_is_unhealthy_but_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events, health = EventBus(), Health()
    health.subscribe_to(events)
    events.publish(PULSE)
    assert health.why_unhealthy() is None
    events.publish(replace(PULSE, stuck="the log of a child"))
    assert health.why_unhealthy() == Problem("stuck", "the log of a child")
    assert health.why_not_ready() is None
    events.publish(PULSE)
    monkeypatch.setattr(health_module, "stuck_delivery", lambda: "the log of this process")
    assert health.problem() == "the log of this process"


def test_only_a_halted_worker_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events = ManualClock(), EventBus()
    health = Health(clock)
    health.subscribe_to(events)

    def why() -> tuple[str, str] | None:
        found = health.why_not_live()
        return None if found is None else (found.reason, found.text)

    clock.advance(1000)
    assert why() is None  # it can still be loading its app
    events.publish(replace(PULSE, problem="no answer to receives", stuck="the log"))
    monkeypatch.setattr(health_module, "stuck_delivery", lambda: "the log")
    assert health.why_unhealthy() is not None and health.why_not_ready() is not None
    assert why() is None
    events.publish(replace(PULSE, halted="the heartbeat has ended"))
    assert why() == ("halted", "process 1: the heartbeat has ended")
    events.publish(replace(PULSE, ready=False, state="draining"))
    assert why() is None
    clock.advance(61)
    silent = ("silent", "no sign of life from process 1 for 61 seconds")
    assert why() == silent
    events.publish(replace(PULSE, pid=2, halted="the heartbeat has ended"))
    assert why() == silent
    events.publish(replace(PULSE, pid=2))
    assert why() is None  # the supervisor replaces process 1
    for pid in (1, 2):
        events.publish(ChildExited(pid, -9))
    clock.advance(1000)
    assert why() is None  # the supervisor starts new ones, or ends


def test_why_no_worker_is_ready() -> None:
    clock, events = ManualClock(), EventBus()
    health = Health(clock)
    health.subscribe_to(events)

    def why() -> tuple[str, str | None] | None:
        found = health.why_not_ready()
        return None if found is None else (found.reason, found.code)

    assert why() == ("not_started", None)
    events.publish(
        ReceiveError("a", ConnectionFailed("no"), 1.0)
    )  # the worker waits for SQS before it starts
    assert why() == ("not_started", "ConnectionFailed")
    events.publish(ReceiveDone("a", 0))
    events.publish(PULSE)
    assert why() is None
    events.publish(replace(PULSE, ready=False, state="draining"))
    assert why() == ("draining", None)
    events.publish(replace(PULSE, pid=2, ready=False, state="quiet"))
    assert why() == ("quiet", None)
    events.publish(ReceiveError("a", AccessDenied("no", code="InvalidClientTokenId"), 1.0))
    assert why() == ("quiet", None)  # quiet is the reason, whatever the receives did before
    events.publish(replace(PULSE, pid=2, problem="no answer to receives"))
    assert why() == ("failing", "InvalidClientTokenId")
    found = health.why_not_ready()
    assert found is not None
    assert found.text == "no answer to receives; the last error was InvalidClientTokenId"
    events.publish(ReceiveError("a", ConnectionFailed("no"), 1.0))
    assert why() == ("failing", "ConnectionFailed")
    events.publish(ReceiveDone("a", 0))
    assert why() == ("failing", None)
    clock.advance(10)
    assert why() == ("silent", None)
    for pid in (1, 2):
        events.publish(ChildEnded(pid))
    assert why() == ("ended", None)
    events.publish(PULSE)
    assert why() is None


def test_one_silent_process_is_a_problem_until_it_has_ended() -> None:
    clock, events = ManualClock(), EventBus()
    health = Health(clock)
    health.subscribe_to(events)
    for pid in (1, 2):
        events.publish(replace(PULSE, pid=pid))
    clock.advance(61)
    events.publish(replace(PULSE, pid=2))
    assert health.problem() == "no sign of life from process 1 for 61 seconds"
    assert list(health.pulses()) == [2]
    events.publish(ChildExited(1, -9))
    assert health.problem() is None
    events.publish(ChildEnded(2))
    assert health.problem() == "no worker is running"


def test_the_file_is_touched_while_healthy_and_removed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_TOUCH_SECONDS", 0.02)
    clock, path = ManualClock(), tmp_path / "healthy"
    health = Health(clock)
    health(PULSE)

    def touched() -> bool:
        os.utime(path, (0, 0))
        time.sleep(0.06)
        return path.stat().st_mtime > 0

    with HealthFile(str(path), health):
        backends.wait_until(touched, 30, "a touch")
        clock.advance(1000)
        backends.wait_until(lambda: not touched(), 30, "no touch")
    assert not path.exists()
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for refused in (tmp_path / "no" / "healthy", tmp_path, notes):
        with pytest.raises(SettingsError), HealthFile(str(refused), health):
            pass
    assert notes.read_text() == "mine"
