"""``sqsw work --reload``: the app changes while its worker runs."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.life.test_work_processes import TASKS, Work, is_running, wait_until

BROKEN = TASKS + "\ndef ("


def edited(text: str) -> str:
    """Return the app with jobs that leave another note."""
    return TASKS.replace("    leave(name)\n", f"    leave({text} + name)\n")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path)
    made.create_queue()
    yield made
    made.close()


def save(work: Work, text: str, name: str = "tasks.py") -> None:
    (work.folder / name).write_text(text)


def children(work: Work) -> set[int]:
    path = Path(f"/proc/{work.running.pid}/task/{work.running.pid}/children")
    return {pid for pid in map(int, path.read_text().split()) if works(pid)}


def works(pid: int) -> bool:
    """Return whether a process runs and is ours; multiprocessing has its own, which stays."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends during the read
        return False
    return is_running(pid) and "resource_tracker" not in command


def test_running_jobs_finish_in_the_old_code_and_the_next_ones_run_in_the_new(work: Work) -> None:
    work.send("wait")
    work.start("--reload", "-c", "2")
    (old,) = work.wait_for_notes("started")
    save(work, edited("'first-'"))  # two quick saves are one change
    save(work, edited("'second-'"))
    assert work.wait_for("reloading")[0]["reason"] == "tasks.py changed"
    work.wait_for("drain_started")  # until then, the old process still receives
    work.send("note", name="a")
    (new,) = work.wait_for_notes("second-a")
    assert new != old
    wait_until(lambda: work.counts() == (0, 1))  # the old process still runs its job
    (work.folder / "go-on").touch()
    wait_until(lambda: not is_running(old))
    wait_until(lambda: work.counts() == (0, 0))
    assert len(work.logged("reloading")) == 1

    save(work, BROKEN)
    (failed,) = work.wait_for("worker_failed")
    assert "SyntaxError" in failed["reason"] and "tasks.py, line" in failed["reason"]
    assert failed["reason"].endswith(": def (")
    wait_until(lambda: not children(work))
    save(work, "PREFIX = 'third-'\n", "prefix.py")
    save(work, "import prefix\n" + edited("prefix.PREFIX"))
    work.send("note", name="b")
    (old,) = work.wait_for_notes("third-b")

    save(work, "PREFIX = 'fourth-'\n", "prefix.py")  # a module that did not exist at the start
    assert work.wait_for("reloading", 4)[3]["reason"] == "prefix.py changed"
    wait_until(lambda: not is_running(old))
    work.send("note", name="c")
    (old,) = work.wait_for_notes("fourth-c")
    (work.folder / "prefix.py").unlink()
    assert "'prefix'" in work.wait_for("worker_failed", 2)[1]["reason"]
    wait_until(lambda: not is_running(old))
    assert work.logged("child_exited") == []

    work.running.send_signal(signal.SIGINT)
    summary = work.end()
    assert (summary["done"], summary["stopped_by"]) == (4, "SIGINT")


def test_a_first_start_that_fails_waits_for_a_change_and_one_signal_ends_all(work: Work) -> None:
    save(work, BROKEN)
    work.start("--reload", "--processes", "2", "-c", "1", "--drain-timeout", "60")
    work.wait_for("worker_failed")
    wait_until(lambda: not children(work))
    assert len(work.logged("worker_failed")) == 1  # not once per process
    save(work, TASKS)
    work.send("wait")
    work.wait_for_notes("started")
    work.wait_for("worker_started", 2)
    pids = children(work)
    work.running.send_signal(signal.SIGINT)
    work.wait_for("drain_started", 2)
    (work.folder / "go-on").touch()
    summary = work.end()
    assert (summary["done"], summary["stopped_by"]) == (1, "SIGINT")
    assert len(pids) == 2 and not any(map(is_running, pids))


def test_a_queue_of_new_code_is_created(work: Work) -> None:
    work.start("--reload", "-c", "1")
    work.wait_for("worker_started")
    save(work, f"{TASKS}\n@env.processor('more', 'x')\ndef x(): ...\n")
    (created,) = work.wait_for("queues_created")
    assert created["queues"] == ["more_dead", "more"]
    work.wait_for("worker_started", 2)
    work.running.send_signal(signal.SIGINT)
    work.end()
