"""Child processes: watched, replaced and drained together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

from sqsw.core.events import ChildExited, ChildReplaced, Pulse
from sqsw.supervisor import slots
from sqsw.supervisor import supervisor as supervisor_module
from sqsw.supervisor.child import Child
from sqsw.supervisor.supervisor import Supervisor
from sqsw.worker.signals import FORCE
from tests.backends import wait_until
from tests.unit.worker.doubles import recorder


def note(folder: str, name: str, tell: object = None) -> None:
    """A child that ends successfully at once."""
    (Path(folder) / f"{name}-{os.getpid()}").touch()


def fail_once(folder: str, tell: object) -> None:
    """A child that dies the first time."""
    if not list(Path(folder).glob("*")):
        note(folder, "died")
        os._exit(9)
    note(folder, "done")


def stay(folder: str, name: str, tell: object) -> None:
    """A child that ends with a signal or with its parent."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    note(folder, name)
    while True:
        time.sleep(0.01)


def refuse(folder: str, name: str, tell: object) -> None:
    """A child that ignores the first signal."""
    signal.signal(signal.SIGTERM, lambda *_: note(folder, "told"))
    signal.signal(FORCE, lambda *_: note(folder, "now"))
    note(folder, name)
    while True:
        time.sleep(0.01)


def files(folder: Path, name: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{name}-*"))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_run_until_all_are_done(tmp_path: Path, method: str) -> None:
    arguments = [(str(tmp_path), "a"), (str(tmp_path), "b")]
    report = Supervisor(note, arguments, 2, method=method).run()  # type: ignore[arg-type]  # one of both
    assert (len(files(tmp_path, "a")), len(files(tmp_path, "b"))) == (2, 2)
    assert (report.stopped_by, report.forced, report.restarts) == ("done", False, 0)


def test_a_child_that_dies_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.01)
    events, told = recorder(ChildExited)
    report = Supervisor(fail_once, [(str(tmp_path),)], events=events).run()
    assert [event.exit_code for event in told] == [9]
    assert files(tmp_path, "died") == [f"died-{told[0].pid}"]
    assert len(files(tmp_path, "done")) == 1
    assert report.restarts == 1


@contextmanager
def signalled(folder: Path, number: signal.Signals, *names: str) -> Iterator[None]:
    """Let another process send this one a signal once these children are up.

    A thread would not be safe, because this process forks meanwhile.
    """
    waits = "; ".join(f"until ls {folder}/{name}-*; do sleep 0.05; done" for name in names)
    command = f"{waits}; kill -{number.value} {os.getpid()}"
    with subprocess.Popen(["sh", "-c", command], stdout=DEVNULL, stderr=DEVNULL) as process:
        yield
        process.wait(60)


def test_one_signal_ends_all_children(tmp_path: Path) -> None:
    arguments = [(str(tmp_path), "a"), (str(tmp_path), "b")]
    with signalled(tmp_path, signal.SIGINT, "a", "b"):
        report = Supervisor(stay, arguments).run()
    assert (report.stopped_by, report.forced, report.restarts) == ("SIGINT", False, 0)


def test_a_child_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_LAST_SECONDS", 0.1)
    with signalled(tmp_path, signal.SIGTERM, "up"):
        report = Supervisor(refuse, [(str(tmp_path), "up")], drain_seconds=0.1).run()
    assert report.stopped_by == "SIGTERM"
    assert files(tmp_path, "told")


def test_a_second_signal_is_passed_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "_LAST_SECONDS", 0.1)
    # The child ignores the first signal, and is killed soon after the second.
    supervisor = Supervisor(refuse, [(str(tmp_path), "up")], drain_seconds=1000)
    with (
        signalled(tmp_path, signal.SIGTERM, "up"),
        signalled(tmp_path, signal.SIGINT, "told"),  # not an echo of the first
    ):
        report = supervisor.run()
    assert report.forced
    assert files(tmp_path, "now")  # and got the signal to stop now, not to drain again


def break_start(monkeypatch: pytest.MonkeyPatch, number: int, error: Exception) -> None:
    """Let the start with this number, counted from one, fail."""
    starts, start = [0], Child.start

    def counted(child: Child, *arguments: Any, **keywords: Any) -> None:
        starts[0] += 1
        if starts[0] == number:
            raise error
        start(child, *arguments, **keywords)

    monkeypatch.setattr(Child, "start", counted)


def test_a_failed_start_is_retried_and_affects_no_other_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.01)
    supervisor = Supervisor(note, [(str(tmp_path), "a"), (str(tmp_path), "b")])
    break_start(monkeypatch, 2, OSError(12, "Cannot allocate memory"))
    assert supervisor.run().stopped_by == "done"
    assert (len(files(tmp_path, "a")), len(files(tmp_path, "b"))) == (1, 1)
    assert "Cannot allocate memory" in caplog.text
    assert {record.name for record in caplog.records} == {"sqsw.worker"}  # as in the docs


def end_well(folder: str, name: str, tell: object) -> None:
    """A child that notes the request to end, and takes its time."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    note(folder, name)
    while not asked:
        time.sleep(0.01)
    time.sleep(0.2)
    note(folder, "ended")


def test_an_internal_error_drains_the_children_and_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(end_well, [(str(tmp_path), "up")])

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(supervisor, "_reload", broken)
    with (
        signalled(tmp_path, signal.SIGUSR1, "up"),
        pytest.raises(ZeroDivisionError),
    ):
        supervisor.run()
    assert len(files(tmp_path, "ended")) == 1


def leave_at_once(folder: str, tell: object) -> None:
    """A child that dies as soon as it has started."""
    os._exit(7)


def test_a_quiet_supervisor_waits_for_a_signal_without_using_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.2)
    events, told = recorder(ChildExited)
    supervisor = Supervisor(leave_at_once, [(str(tmp_path),)], events=events)
    quiet_at: list[float] = []  # when each step after the end of the child began
    step = supervisor._step

    def counted() -> str | None:
        if told:
            quiet_at.append(time.monotonic())
            if len(quiet_at) == 1:
                supervisor._inbox.post("quiet", "SIGUSR2")
            elif len(quiet_at) == 4:
                supervisor.stop()
        return step()

    monkeypatch.setattr(supervisor, "_step", counted)
    assert supervisor.run().stopped_by == "stop"
    assert len(told) == 1  # no child is started for a while
    assert quiet_at[3] - quiet_at[0] > 0.9  # steps of a second, not as many as possible


def hear_late(folder: str, tell: Callable[[object], None]) -> None:
    """A child that is not up when it gets the signal to be quiet, as while it loads its app."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    note(folder, "up")
    time.sleep(0.5)
    signal.signal(signal.SIGUSR2, lambda *_: note(folder, "quiet"))
    while True:
        tell(Pulse(os.getpid(), 1, 0, {}, 0, 0, 30.0, ready=True, problem=None))
        time.sleep(0.05)


def test_a_child_that_comes_up_late_becomes_quiet_too(tmp_path: Path) -> None:
    with (
        signalled(tmp_path, signal.SIGUSR2, "up"),
        signalled(tmp_path, signal.SIGTERM, "quiet"),
    ):
        assert Supervisor(hear_late, [(str(tmp_path),)]).run().stopped_by == "SIGTERM"


def halt_once(folder: str, tell: Callable[[object], None]) -> None:
    """A child that receives; the first one halts."""
    halted = None if list(Path(folder).glob("up-*")) else "the heartbeat has ended"

    def end(*_: object) -> None:
        note(folder, "ended")
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    note(folder, "up")
    while True:
        tell(Pulse(os.getpid(), 1, 0, {}, 0, 0, 30.0, ready=True, problem=None, halted=halted))
        time.sleep(0.05)


def test_a_child_that_has_halted_is_replaced(tmp_path: Path) -> None:
    events, told = recorder(ChildReplaced)
    supervisor = Supervisor(halt_once, [(str(tmp_path),)], events=events)
    with signalled(tmp_path, signal.SIGTERM, "ended"):
        report = supervisor.run()
    assert len(files(tmp_path, "up")) == 2
    assert (report.stopped_by, report.restarts) == ("SIGTERM", 0)
    assert [event.reason for event in told] == ["the heartbeat has ended"]


def test_the_program_can_stop_it(tmp_path: Path) -> None:
    supervisor = Supervisor(stay, [(str(tmp_path), "a")])
    supervisor.stop()
    assert supervisor.run().stopped_by == "stop"


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from sqsw.supervisor.supervisor import Supervisor\n"
        "from tests.life.test_worker_supervisor import stay\n"
        "Supervisor(stay, [(sys.argv[1], 'a'), (sys.argv[1], 'b')]).run()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parent.parent.parent
    )
    wait_until(lambda: files(tmp_path, "a") and files(tmp_path, "b"))
    parent.kill()
    parent.wait(60)
    pids = [int(name.partition("-")[2]) for name in files(tmp_path, "*")]
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends during the read
        return False
    return state != "Z"
