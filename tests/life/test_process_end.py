"""``sqsw work`` ends soon, whatever its jobs left behind."""

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from tests.backends import wait_until

ROOT = Path(__file__).parents[2]

TASKS = """
import atexit, asyncio, gzip, logging, multiprocessing, os, threading, time
from concurrent.futures import ThreadPoolExecutor
import multiprocessing.util  # registers its atexit handler: before that of the job
from pathlib import Path
from sqsw.sqs_env import SQSEnv

env = SQSEnv()
kept = []

class Hanging(logging.Handler):
    def emit(self, record):
        time.sleep(60)

if "HANGS" in os.environ:
    logging.getLogger().addHandler(Hanging())

class Waits:
    def __del__(self):
        time.sleep(60)

def forever(*_):
    time.sleep(60)

def later():
    time.sleep(0.2)
    Path("later").touch()

@env.processor("jobs", "leave")
def leave(what):
    text = open("text", "w")
    text.write("written")
    zipped = gzip.open("text.gz", "wt")
    zipped.write("zipped")
    kept.extend([text, zipped])
    atexit.register(Path("handled").touch)
    if what == "thread":
        threading.Thread(target=forever, name="stuck \\x1b[2J", daemon=False).start()
    elif what == "pool":
        kept.append(ThreadPoolExecutor())
        kept[-1].submit(forever)
    elif what == "loop":
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="stuck", daemon=False).start()
    elif what == "process":
        multiprocessing.get_context("fork").Process(target=forever, name="stuck").start()
    elif what == "fork":
        if not os.fork():
            time.sleep(60)
            os._exit(0)
    elif what == "atexit":
        atexit.register(forever)
    elif what == "threading_atexit":
        threading._register_atexit(forever)
    elif what == "finalizer":
        kept.append(Waits())
    elif what == "printing":
        def say():
            while True:
                print("x" * 100)
        threading.Thread(target=say, daemon=True).start()
    elif what == "many":
        for number in range(50):
            threading.Thread(target=forever, name="n" * 1000, daemon=False).start()
    elif what == "short":
        threading.Thread(target=later, daemon=False).start()
    Path("begun").touch()
"""

NAMED = {
    "thread": r"thread 'stuck \x1b[2J'",
    "pool": "thread 'ThreadPoolExecutor",
    "loop": "thread 'stuck'",
    "process": "'stuck'",
    "atexit": "an atexit handler",
    "threading_atexit": "an atexit handler",
    "many": "and 45 more",
}
WITHOUT_LINE = ("fork", "finalizer", "printing", "short")


def started(folder: Path, *options: str, stream: int | None = None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", *options]
    with (folder / "log").open("wb") as log, (folder / "out").open("wb") as out:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SQSW_CONFIG": "none",
                "TERM": "xterm",
                "SQSW_LOCAL": str(folder / "sqs.db"),
            },
            stdout=out if stream is None else stream,
            stderr=log if stream is None else stream,
            start_new_session=True,
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    session = LocalSession(tmp_path / "sqs.db")
    session.client("sqs").create_queue(QueueName="jobs")
    session.close()
    return tmp_path


def send(folder: Path, what: str) -> None:
    session = LocalSession(folder / "sqs.db")
    SQSEnv(session).queue("jobs").add_job("leave", what=what)
    session.close()


def end(
    folder: Path, process: "subprocess.Popen[bytes]", after: str = "summary", within: float = 2.5
) -> int:
    """Return the exit code; the process must end two seconds after its last line, plus slack."""
    wait_until(lambda: after in (folder / "log").read_text(), 60, "the end of the work")
    begin = time.monotonic()
    try:
        code = process.wait(60)
        assert time.monotonic() - begin < within
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    return code


@pytest.mark.parametrize("what", [*NAMED, *WITHOUT_LINE])
def test_leftovers_of_a_job_do_not_keep_the_process_alive(folder: Path, what: str) -> None:
    send(folder, what)
    process = started(folder, "--max-jobs", "1", "--lock", "lock", "--log-format", "json")
    assert end(folder, process) == 0
    line = [json.loads(x) for x in (folder / "log").read_text().splitlines()][-1]
    if what in NAMED:
        assert NAMED[what] in line["event"]
        assert len(line["event"]) < 600
    else:
        assert line["event"] == "summary"
    # Earlier atexit handlers ran, unless a later one did not end.
    assert (folder / "handled").exists() is (what != "atexit")
    assert (folder / "text").read_text() == "written"
    assert gzip.decompress((folder / "text.gz").read_bytes()) == b"zipped"
    assert (folder / "later").exists() is (what == "short")
    # A forked process still has its descriptor.
    again = started(folder, "--until-idle", "1", "--lock", "lock", "--log-format", "json")
    assert again.wait(60) == 0


@pytest.mark.parametrize(
    "options",
    [["--until-idle", "1"], ["--processes", "2", "--max-jobs", "1"], ["--recycle", "age=1h"], []],
    ids=["until_idle", "processes", "recycle", "signal"],
)
@pytest.mark.parametrize("what", ["thread", "process"])
def test_every_way_to_end_takes_bounded_time(folder: Path, options: list[str], what: str) -> None:
    send(folder, what)
    process = started(folder, *options, "--log-format", "json")
    if not options or "--recycle" in options:
        wait_until((folder / "begun").exists, 60, "the job")
        process.terminate()
    log = folder / "log"
    wait_until(lambda: "worker_stopped" in log.read_text(), 60, "the end of the worker")
    # Under a supervisor, it ends after its processes.
    assert end(folder, process, "worker_stopped", within=5) == 0
    assert "left behind" in log.read_text()
    assert '"event": "summary"' in log.read_text()


@pytest.mark.parametrize("hangs", ["stderr", "handler"])
def test_a_stuck_log_does_not_delay_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    send(folder, "thread")
    reader, writer = os.pipe()
    if hangs == "handler":
        monkeypatch.setenv("HANGS", "1")
    else:
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"-" * 512)
        os.set_blocking(writer, True)
    process = started(folder, stream=writer)
    wait_until((folder / "begun").exists, 60, "the job")
    process.terminate()
    assert process.wait(60) == 0
    assert (folder / "handled").exists()
    assert (folder / "text").read_text() == "written"
    assert gzip.decompress((folder / "text.gz").read_bytes()) == b"zipped"
    os.close(reader)
    os.close(writer)


def test_the_live_view_ends_with_its_worker(folder: Path) -> None:
    send(folder, "thread")
    parent, child = pty.openpty()
    process = started(folder, "--max-jobs", "1", stream=child)
    os.close(child)
    shown, begin = b"", float("inf")
    try:
        while part := os.read(parent, 1 << 16):
            shown += part
            if b"1 done" in shown and begin == float("inf"):
                begin = time.monotonic()
    except OSError:  # the terminal has no other end any more
        pass
    assert process.wait(60) == 0
    assert time.monotonic() - begin < 3
    assert b"left behind" in shown
    os.close(parent)


def test_a_thread_of_an_app_does_not_keep_another_command_alive(folder: Path) -> None:
    source = (folder / "tasks.py").read_text()
    (folder / "tasks.py").write_text(source + "\nthreading.Thread(target=forever).start()\n")
    done = subprocess.run(
        [sys.executable, "-m", "sqsw_cli", "inspect", "--tasks", "--app", "tasks:env"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SQSW_CONFIG": "none", "SQSW_LOCAL": "sqs.db"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, "leave" in done.stdout) == (0, True)
    assert "left behind" in done.stderr
