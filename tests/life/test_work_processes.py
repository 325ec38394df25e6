"""``sqsw work --processes``: a supervisor and its children, as real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from sqsw.worker.signals import ECHO_SECONDS
from tests import backends

ROOT = Path(__file__).parents[2]

TASKS = """
import logging, os, threading, time
from contextlib import contextmanager
from pathlib import Path
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

class Around:
    @contextmanager
    def around(self, job):
        leave("around")
        yield

def leave(name):
    Path("notes").mkdir(exist_ok=True)
    Path(f"notes/{name}-{os.getpid()}").touch()

@env.processor("jobs", "note")
def note(name):
    print("noting")  # not among what the command prints
    os.write(1, b"noted\\n")  # as programs and C libraries do
    leave(name)

@env.processor("jobs", "wait")
def wait():
    leave("started")
    while not Path("go-on").exists():
        time.sleep(0.01)

@env.processor("jobs", "hold")
def hold():
    leave("held")
    import re  # a match that takes hours and never gives the interpreter to another thread
    re.match(r"(a+)+$", "a" * 64 + "b")

@env.processor("jobs", "cpu", executor="process", middlewares=[Around()])
def cpu(forever=False):
    logging.getLogger("tasks").info("computing")
    print("computed")
    leave("computed")
    while forever:
        pass

@env.processor("jobs", "thread")
def thread():
    # A thread that would keep the interpreter from ending, and a job that never ends itself.
    leave("begun")
    threading.Thread(target=time.sleep, args=(600,)).start()
    time.sleep(600)

@env.processor("jobs", "die")
def die():
    leave("died")
    os.kill(os.getpid(), 9)
"""


def wait_until(condition: Callable[[], object], about: str = "what this test is about") -> None:
    backends.wait_until(condition, 60, about)


class Work:
    """``sqsw work`` in a directory with an app and its queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tasks.py").write_text(TASKS)
        self.session = LocalSession(folder / "sqs.db")
        self.env = SQSEnv(self.session)
        self.process: subprocess.Popen[str] | None = None

    def create_queue(self, **attributes: str) -> None:
        self.session.client("sqs").create_queue(QueueName="jobs", Attributes=attributes)

    def send(self, job: str, **kwargs: Any) -> None:
        self.env.queue("jobs").add_job(job, **kwargs)

    def start(self, *options: str, app: str = "tasks:env", python: str = sys.executable) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SQSW_CONFIG": "none"}
        # As in container images. Even so, lines of jobs and of the log must not mix.
        environment["PYTHONUNBUFFERED"] = "1"
        self.log = (self.folder / "log").open("w+")
        self.process = subprocess.Popen(
            [
                *(python, "-m", "sqsw_cli", "work", app, "--json"),
                *(f"--local={self.folder / 'sqs.db'}", *options),
            ],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )

    @property
    def running(self) -> "subprocess.Popen[str]":
        assert self.process is not None
        return self.process

    def notes(self, name: str) -> list[int]:
        """Return the processes that left such a note."""
        return [int(p.name.rpartition("-")[2]) for p in self.folder.glob(f"notes/{name}-*")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line[0] == "{" and line[-1] == "\n"]
        return [line for line in found if line.get("event") == event]

    def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        def enough() -> bool:
            assert self.running.poll() is None, (self.folder / "log").read_text()
            return len(self.logged(event)) >= count

        wait_until(enough, f"{event} in the log")
        return self.logged(event)

    def wait_for_notes(self, name: str, count: int = 1) -> list[int]:
        wait_until(lambda: len(self.notes(name)) >= count, (self.folder / "log").read_text())
        return self.notes(name)

    def end(self, code: int = 0) -> dict[str, Any]:
        """Return the summary after the worker ended with this exit code."""
        out, _ = self.running.communicate(timeout=60)
        assert self.running.returncode == code, (self.folder / "log").read_text()
        if not out:
            return {}
        summary: dict[str, Any] = json.loads(out)
        return summary

    def counts(self) -> tuple[int, int]:
        """Return the numbers of messages that can be received and in flight."""
        attributes = self.env.queue("jobs").client.attributes()
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    def close(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            self.log.close()
        self.session.close()


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path)
    yield made
    made.close()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends during the read
        return False
    return state != "Z"


def test_processes_share_jobs_and_are_counted_together(work: Work) -> None:
    work.session.client("sqs").create_queue(QueueName="dead")
    work.create_queue(RedrivePolicy=work.env.redrive_policy("dead", 5).to_json())
    for _ in range(2):
        work.send("wait")
    work.start("--processes", "2", "-c", "1", "--prefetch", "0", "--max-jobs", "22")
    first, second = work.wait_for_notes("started", 2)
    assert {first, second}.isdisjoint({work.running.pid})  # the supervisor never runs jobs
    for number in range(20):
        work.send("note", name=f"n{number}")
    (work.folder / "go-on").touch()
    summary = work.end()
    assert (summary["done"], summary["stopped_by"]) == (22, "max_jobs")
    assert summary["requests"] >= 22
    assert work.counts() == (0, 0)
    # Logged once, not by each process.
    (warning,) = work.logged("queue_warning")
    assert "--max-receives 12" in warning["hint"]
    (planned,) = work.logged("retries_planned")
    assert (planned["queue"], planned["retries_for_s"]) == ("jobs", 15)
    assert (planned["max_receives"], planned["dead_letter_queue"]) == (5, "dead")


def test_max_jobs_is_exact_across_processes(work: Work) -> None:
    work.create_queue()
    for number in range(100):
        work.send("note", name=f"n{number}")
    work.start("--processes", "3", "--max-jobs", "20")
    summary = work.end()
    assert (summary["done"], summary["stopped_by"]) == (20, "max_jobs")
    assert len(work.notes("n*")) == 20
    assert work.counts() == (80, 0)


def test_other_processes_run_the_jobs_of_a_dead_one(work: Work) -> None:
    work.create_queue()
    work.send("die")
    for number in range(15):
        work.send("note", name=f"n{number}")
    work.start("--processes", "2", "-c", "1", "--prefetch", "0", "--max-jobs", "12")
    assert work.end()["done"] == 12
    assert work.logged("child_exited")


def test_one_signal_to_all_processes_is_one_drain(work: Work) -> None:
    work.create_queue()
    for _ in range(4):
        work.send("wait")
    work.start("--processes", "2", "-c", "1", "--prefetch", "0")
    work.wait_for_notes("started", 2)
    os.killpg(work.running.pid, signal.SIGTERM)
    work.wait_for("drain_started", 2)
    assert work.counts() == (2, 2)
    (work.folder / "go-on").touch()
    summary = work.end()
    assert (summary["done"], summary["stopped_by"]) == (2, "SIGTERM")
    assert work.counts() == (2, 0)


def test_a_second_signal_stops_all_processes_at_once(work: Work) -> None:
    work.create_queue()
    for _ in range(2):
        work.send("wait")
    work.start("--processes", "2", "-c", "1")
    pids = work.wait_for_notes("started", 2)
    work.running.send_signal(signal.SIGINT)
    work.wait_for("drain_started", 2)
    assert {line["reason"] for line in work.logged("drain_started")} == {"SIGTERM"}
    time.sleep(ECHO_SECONDS + 0.1)  # sooner, it would count as an echo of the first
    begin = time.monotonic()
    work.running.send_signal(signal.SIGINT)
    work.end(130)
    assert time.monotonic() - begin < 10
    assert [line["reason"] for line in work.logged("worker_stopped")] == ["SIGQUIT"] * 2
    assert work.counts() == (2, 0)
    assert not any(map(is_running, pids))


def test_a_killed_child_is_replaced_and_a_killed_supervisor_leaves_no_orphan(work: Work) -> None:
    work.create_queue(VisibilityTimeout="10")
    work.send("die")
    work.start("--processes", "1", "--recycle", "age=1h", "-c", "2", "--drain-timeout", "1")
    (exited,) = work.wait_for("child_exited")
    assert (exited["pid"], exited["exit_code"]) == (work.notes("died")[0], -9)
    work.send("wait")
    (pid,) = work.wait_for_notes("started")
    work.running.kill()
    wait_until(lambda: not is_running(pid))
    wait_until(lambda: work.counts()[0] >= 1)  # returned by the drain of the orphan


def test_an_error_that_waiting_cannot_repair_ends_all_processes(work: Work) -> None:
    # Only queues with registered jobs are created in a local file.
    work.start("--processes", "2", "--queue", "lost", "--processors-from", "jobs")
    work.end(3)
    log = (work.folder / "log").read_text()
    assert "no queue named 'lost' in local file" in log
    assert "sqsw create-queue lost" in log


def test_sighup_and_recycling_replace_processes_one_by_one(work: Work) -> None:
    work.create_queue()
    work.start("--processes", "2", "-c", "1")
    work.wait_for("worker_started", 2)
    work.send("note", name="a")
    (worked,) = work.wait_for_notes("a")
    (work.folder / "tasks.py").write_text("a broken release")
    work.running.send_signal(signal.SIGHUP)
    assert "tasks.py" in work.wait_for("worker_failed")[0]["reason"]
    assert is_running(worked)  # the old ones stay until new ones can take over
    (work.folder / "tasks.py").write_text(TASKS)
    first, second = work.wait_for("child_replaced", 2)
    assert first["pid"] != second["pid"]
    assert first["reason"] == "SIGHUP"
    assert {line["reason"] for line in work.wait_for("drain_started", 2)} == {"SIGTERM"}
    wait_until(lambda: not is_running(first["pid"]) and not is_running(second["pid"]))
    assert worked in (first["pid"], second["pid"])
    assert {line["exit_code"] for line in work.logged("child_exited")} == {1}  # of the broken app
    work.send("note", name="b")
    assert {first["pid"], second["pid"]}.isdisjoint(work.wait_for_notes("b"))
    work.running.terminate()
    assert work.end()["done"] == 2


def test_a_process_is_replaced_after_its_number_of_jobs(work: Work) -> None:
    work.create_queue()
    for number in range(10):
        work.send("note", name=f"n{number}")
    work.start("--recycle", "jobs=10", "-c", "1")
    (replaced,) = work.wait_for("child_replaced")
    assert replaced["reason"].endswith(" jobs")
    assert work.wait_for("drain_started")[0]["reason"] == "SIGTERM"
    work.send("note", name="later")
    assert work.wait_for_notes("later") != [replaced["pid"]]
    work.running.terminate()
    assert work.end()["done"] == 11


def test_a_process_without_a_pulse_is_killed(work: Work) -> None:
    work.create_queue(VisibilityTimeout="2")
    work.send("hold")
    work.start("--processes", "2", "-c", "1")
    (exited,) = work.wait_for("child_exited")
    assert exited["reason"].startswith("no sign of life for ")
    assert exited["pid"] in work.notes("held")
    work.running.send_signal(signal.SIGTERM)
    work.running.send_signal(signal.SIGTERM)


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_health_and_metrics_over_http(work: Work, processes: str) -> None:
    work.create_queue()
    work.send("note", name="a")
    work.send("wait")
    work.send("fail")
    health_file = work.folder / "healthy"
    work.start(
        *("--processes", processes, "--http", "0", "--health-file", str(health_file)),
        *("-c", "3", "--visibility-timeout", "30s"),
    )
    port = work.wait_for("http_started")[0]["port"]
    work.wait_for_notes("a")
    work.wait_for_notes("started")
    pids = {line.get("pid") for line in work.wait_for("job_done")}
    assert pids == ({None} if processes == "1" else {*work.notes("a")})
    wait_until(lambda: page(port, "/ready")[0] == 200)
    assert health_file.exists()
    assert page(port, "/live") == page(port, "/health") == (200, '{"status": "ok"}')
    assert page(port, "/nowhere")[0] == 404
    slots = f"sqsw_slots {3.0 * int(processes)}"  # after the first pulse of each process
    wait_until(lambda: slots in page(port, "/metrics")[1])
    wait_until(lambda: "sqsw_slots_busy 1.0" in page(port, "/metrics")[1])
    text = page(port, "/metrics")[1]
    assert 'sqsw_jobs_total{job="note",outcome="done",queue="jobs"} 1.0' in text
    assert 'sqsw_jobs_total{job="",outcome="unknown",queue="jobs"} 1.0' in text
    assert 'sqsw_job_run_seconds_count{job="note",queue="jobs"} 1.0' in text
    assert 'sqsw_job_wait_seconds_count{job="note",queue="jobs"} 1.0' in text
    assert 'sqsw_messages_in_hand{queue="jobs"} 1.0' in text
    assert 'sqsw_worker_requests_total{action="ReceiveMessage"}' in text
    assert "_created" not in text
    work.running.terminate()
    wait_until(lambda: page(port, "/ready")[0] == 503)
    assert '"reason": "draining"' in page(port, "/ready")[1]
    assert page(port, "/live")[0] == page(port, "/health")[0] == 200
    (work.folder / "go-on").touch()
    work.end()
    assert not health_file.exists()


def test_pool_processes_load_the_app_by_name_and_end_with_their_worker(
    work: Work,
) -> None:
    work.create_queue()
    work.send("cpu")
    work.start("-c", "2", "--drain-timeout", "1")
    (computed,) = work.wait_for_notes("computed")
    assert work.wait_for_notes("around") == [work.running.pid]
    assert computed != work.running.pid
    (line,) = work.wait_for("computing")
    assert (line["queue"], line["job"], line["attempt"]) == ("jobs", "cpu", 1)
    assert line["pid"] == computed
    (done,) = work.wait_for("job_done")
    assert line["id"] == done["id"]
    work.send("cpu", forever=True)
    wait_until(lambda: work.counts() == (0, 1))
    work.running.kill()
    wait_until(lambda: not is_running(computed))


def test_sigusr1_shows_the_stacks_of_pool_processes(work: Work) -> None:
    work.create_queue()
    work.send("cpu", forever=True)
    work.start("-c", "2", "--drain-timeout", "0")
    (pool,) = work.wait_for_notes("computed")
    log = work.folder / "log"
    work.running.send_signal(signal.SIGUSR1)
    wait_until(lambda: f"  in process {pool}:\n" in log.read_text())
    wait_until(lambda: log.read_text().count(" in cpu\n") == 1)
    work.running.send_signal(signal.SIGUSR1)
    wait_until(lambda: log.read_text().count(" in cpu\n") == 2)
    assert "selectors.py" not in log.read_text()  # how the worker waits for the process
    assert is_running(pool)
    work.running.terminate()
    work.end(5)


def test_a_returned_job_does_not_keep_running(work: Work) -> None:
    work.create_queue()
    work.send("thread")
    work.send("cpu", forever=True)
    work.start("-c", "2", "--drain-timeout", "60")
    work.wait_for_notes("begun")
    (pool,) = work.wait_for_notes("computed")
    work.running.terminate()
    work.wait_for("drain_started")
    time.sleep(ECHO_SECONDS + 0.1)  # sooner, it would count as an echo of the first
    begin = time.monotonic()
    work.running.terminate()
    work.end(143)
    assert time.monotonic() - begin < 10
    assert work.counts() == (2, 0)
    assert not is_running(pool)


def test_a_supervisor_passes_on_signals(work: Work) -> None:
    work.create_queue()
    for _ in range(2):
        work.send("wait")
    work.start("--processes", "2", "-c", "1", "--http", "0", "--prefetch", "0")
    pids = work.wait_for_notes("started", 2)
    port = work.wait_for("http_started")[0]["port"]
    work.running.send_signal(signal.SIGUSR1)
    shown = ", in wait\n"
    wait_until(lambda: (work.folder / "log").read_text().count(shown) == 2)
    assert {line["pid"] for line in work.wait_for("worker_started", 2)} == {*pids}
    for pid in pids:  # the process and the job, then the job's own first frame
        dump = rf"^process {pid}:\njobs wait .*\n  File \".*tasks\.py\", line \d+, in wait\n"
        assert re.search(dump, (work.folder / "log").read_text(), re.M)
    work.running.send_signal(signal.SIGTSTP)
    wait_until(lambda: page(port, "/ready")[0] == 503)
    wait_until(lambda: '"reason": "quiet"' in page(port, "/ready")[1])
    for line in work.wait_for("quiet_started", 2):
        assert (line["reason"], line["running"]) == ("SIGUSR2", 1)
        assert "SIGHUP to the supervisor" in line["hint"]
    (work.folder / "go-on").touch()
    wait_until(lambda: work.counts() == (0, 0))
    work.session.client("sqs").meta.events.emit("sqsw.end-polls")
    assert work.running.poll() is None  # it keeps running
    assert page(port, "/health")[0] == 200
    work.send("note", name="later")
    work.running.send_signal(signal.SIGHUP)  # new processes replace the quiet ones
    (worked,) = work.wait_for_notes("later")
    assert worked not in work.notes("started")
    wait_until(lambda: page(port, "/ready")[0] == 200)
    work.running.terminate()
    assert work.end()["done"] == 3
