"""Worker processes that never become ready: how the worker ends, and the reason it gives."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.core.errors import AppLoadError, JobNotStarted, SQSError
from sqsw.core.events import ReceiveDone
from sqsw.core.jobs.runtime import FunctionCall
from sqsw.supervisor import slots
from sqsw.supervisor import supervisor as supervisor_module
from sqsw.supervisor.event_pipe import Reporter
from sqsw.supervisor.supervisor import Supervisor
from sqsw.worker.executors.processes import ProcessExecutor
from tests.life.test_work_processes import Work


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path)
    made.create_queue()
    yield made
    made.close()


@pytest.mark.parametrize("name", ["signal.py", "json/__init__.py"])
def test_a_worker_process_that_fails_for_a_hidden_standard_module_names_it(
    work: Work, name: str
) -> None:
    (work.folder / name).parent.mkdir(exist_ok=True)
    (work.folder / name).touch()
    work.start("--processes", "2", "--until-idle", "1")
    work.end(7)
    log = (work.folder / "log").read_text()
    assert f"{name} hides a standard module of Python" in log
    assert f"rename {name}" in log


@pytest.mark.parametrize("name", ["email.py", "calendar.py"])
@pytest.mark.parametrize("options", [["--until-idle", "1"], ["--processes", "2"]])
def test_loading_an_app_that_hides_a_standard_module_names_it(
    work: Work, name: str, options: list[str]
) -> None:
    (work.folder / name).write_text("'nothing of the standard module'")
    source = work.folder / "tasks.py"
    source.write_text(f"import {name[:-3]}.parser\n{source.read_text()}")
    work.start(*options)
    work.end(7)
    log = (work.folder / "log").read_text()
    assert f"{name} hides a standard module of Python" in log
    assert "a defect" not in log


def test_a_reloading_worker_waits_for_the_change_that_repairs_it(work: Work) -> None:
    work.start("--reload")
    work.wait_for("worker_started")
    (work.folder / "signal.py").touch()
    (failed,) = work.wait_for("worker_failed")
    assert "signal.py hides a standard module of Python" in failed["reason"]
    (work.folder / "signal.py").rename(work.folder / "my_signal.py")
    work.wait_for("worker_started", 2)
    work.running.terminate()
    work.end()


def test_a_pool_process_that_dies_at_its_start_starts_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    executor = ProcessExecutor()
    try:
        with pytest.raises(JobNotStarted) as raised:
            executor.call(FunctionCall("jobs", "pid", "os", "getpid", (), {}, None))
        assert "queue.py hides a standard module of Python" in str(raised.value.why)
        assert isinstance(raised.value.__cause__, AppLoadError)  # the exit code of a worker
        with pytest.raises(JobNotStarted):
            executor.check()
        (tmp_path / "queue.py").unlink()
        executor.check()
        assert executor.call(FunctionCall("jobs", "pid", "os", "getpid", (), {}, None))
    finally:
        executor.stop(0)


def test_a_module_that_a_pool_process_cannot_import_starts_no_job() -> None:
    executor = ProcessExecutor()
    try:
        with pytest.raises(JobNotStarted, match="cannot load the app") as raised:
            executor.call(FunctionCall("jobs", "x", "no_such_module", "x", (), {}, None))
        assert "no_such_module" in str(raised.value.why)
        assert not executor._free
    finally:
        executor.stop(0)


def die(folder: str, tell: object) -> None:
    (Path(folder) / f"died-{os.getpid()}").touch()
    os._exit(9)


def fail(folder: str, tell: object) -> None:
    (Path(folder) / f"died-{os.getpid()}").touch()
    raise OSError("no disk")


def refuse(folder: str, tell: object) -> None:
    (Path(folder) / f"died-{os.getpid()}").touch()
    raise SQSError("not today")


def work_once(folder: str, tell: Reporter) -> None:
    """Work and die in the first process; die at the start in the others."""
    if not list(Path(folder).glob("*")):
        tell(ReceiveDone("jobs", 0))
        tell.close()
    die(folder, tell)


@pytest.mark.parametrize(
    ("target", "kind", "reason"),
    [
        (die, AppLoadError, "exit code 9"),
        (fail, AppLoadError, "OSError: no disk"),
        (refuse, SQSError, "not today"),
    ],
)
def test_children_that_never_become_ready_end_the_supervisor_with_their_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: object,
    kind: type[SQSError],
    reason: str,
) -> None:
    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.01)
    with pytest.raises(kind) as raised:
        Supervisor(target, [(str(tmp_path),)], 2).run()  # type: ignore[arg-type]  # see above
    assert reason in raised.value.summary
    assert 8 <= len(list(tmp_path.glob("died-*"))) <= 9  # four tries in each of two places


def test_children_that_worked_once_get_more_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.001)
    with pytest.raises(AppLoadError):
        Supervisor(work_once, [(str(tmp_path),)]).run()
    assert len(list(tmp_path.glob("died-*"))) == supervisor_module._LATER_TRIES


def test_a_process_that_cannot_be_started_gets_a_few_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_process(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(slots, "_FIRST_RESTART_SECONDS", 0.01)
    monkeypatch.setattr("sqsw.supervisor.child.Child.start", lambda *_, **__: no_process())
    with pytest.raises(SQSError, match="cannot start worker processes") as raised:
        Supervisor(die, [()]).run()
    assert "temporarily unavailable" in str(raised.value.why)
