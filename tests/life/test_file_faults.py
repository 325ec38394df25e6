"""Files that cannot be used: each way to open them gives one clear error and damages nothing."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sqsw.memory_sqs import LocalSession
from tests.backends import wait_until
from tests.life.serving import environment, serving

TASKS = """
from sqsw import SQSEnv

env = SQSEnv()

@env.processor("q", "job")
def job():
    pass
"""
ONE_TRY = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory in which ``f.db`` has a queue with messages."""
    session = LocalSession(tmp_path / "f.db")
    client = session.client("sqs")
    url = client.create_queue(QueueName="q")["QueueUrl"]
    for number in range(40):
        client.send_message(QueueUrl=url, MessageBody=str(number) * 20_000)
    session.close()
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def try_all(folder: Path, *ways: str, by: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the output and exit code of each way to use the file."""
    done = subprocess.run(
        [*by, sys.executable, "-m", "tests.life.fault_ways", "f.db", *ways],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {one["way"]: one for one in map(json.loads, done.stdout.splitlines())}


def check_told(found: dict[str, Any], code: int, why: str, message: str = "cannot be used") -> None:
    """Check that each way ended with one error in three parts, and this exit code."""
    for one in found.values():
        # A worker and a server log other lines before that.
        lines = [line for line in one["err"].splitlines() if not line.startswith("{")][-3:]
        assert [line[:8] for line in lines] == ["error: f", "  why:  ", "  next: "], one
        assert (one["code"], lines[0]) == (code, f"error: f.db {message}"), one
        assert why in lines[1], one


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("f.db*") if path.is_file()}


def be_a_diary(path: Path) -> None:
    path.write_text("a diary, not a database\n" * 100)


def be_of_another_program(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages(text)")
    connection.close()


def be_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


def be_truncated(path: Path) -> None:
    os.truncate(path, 30_000)


def be_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (be_a_diary, "it is not an sqsw database, so it was not changed"),
        (be_of_another_program, "it is not an sqsw database, so it was not changed"),
        (be_newer, "it was written by a newer version of sqsw"),
        (be_truncated, "the database is damaged, so it was not changed"),
        (be_a_directory, "it cannot be opened or created"),
    ],
)
def test_a_file_that_is_not_a_queue_file_of_this_version(
    folder: Path, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(folder / "f.db")
    before = content(folder)
    found = try_all(folder)
    assert len(found) == 7
    check_told(found, 2, why)
    assert content(folder) == before


@pytest.fixture
def as_anybody() -> tuple[str, ...]:
    """Return a command prefix that runs a program without root's right to write everything."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everything, and there is no setpriv to be less")
    return ("setpriv", "--bounding-set=-dac_override")


@pytest.mark.parametrize("name", ["f.db", "."])
def test_a_file_that_cannot_be_written(
    folder: Path, name: str, as_anybody: tuple[str, ...]
) -> None:
    mode = (folder / name).stat().st_mode
    (folder / name).chmod(mode & 0o555)
    before = content(folder)
    try:
        why = "the file or its directory is not writable"
        check_told(try_all(folder, by=as_anybody), 2, why)
    finally:
        (folder / name).chmod(mode)
    assert content(folder) == before
    assert {one["code"] for one in try_all(folder, "library", "inspect", "send").values()} == {0}


# -- a disk that is full -----------------------------------------------------------------------


def test_a_full_disk(tmp_path: Path) -> None:
    # A mount that only this process sees and that disappears with it.
    alone = ["unshare", "--map-root-user", "--mount"]
    mount = "mount -t tmpfs -o size=4m tmpfs ."
    if subprocess.run([*alone, "sh", "-c", mount], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs unshare and a small disk of its own, and may not mount one")
    program = [sys.executable, "-m", "tests.life.full_disk"]
    done = subprocess.run(
        [*alone, "sh", "-c", f'{mount} && cd "$PWD" && exec "$@"', "sh", *program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all of it held"


# -- a file that is locked or removed ---------------------------------------------------

HOLD = """
import os, signal, sys
from sqsw.local.engine import LocalEngine

engine = LocalEngine("f.db")
with engine.store.write() as transaction:
    transaction.execute("DELETE FROM bodies")
    os.kill(os.getpid(), signal.SIGSTOP)
    raise SystemExit("half way")
"""


@pytest.fixture
def stopped(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Stop a process in the middle of a call."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=folder, env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)[1], 60, "the stop")
        yield process
        process.kill()


def test_a_process_stopped_in_a_call_delays_others_for_five_seconds(
    folder: Path, stopped: "subprocess.Popen[bytes]"
) -> None:
    with serving("--local=f.db", cwd=folder) as server, ThreadPoolExecutor() as pool:
        client = server.client(config=ONE_TRY)
        url = client.get_queue_url(QueueName="q")["QueueUrl"]
        over_http = pool.submit(client.send_message, QueueUrl=url, MessageBody="x")
        begun = time.monotonic()
        ways = [pool.submit(try_all, folder, way) for way in ("library", "send", "bulk send")]
        for way in ways:
            check_told(
                way.result(), 6, "stayed locked for 5 seconds", "is in use by another program"
            )
        assert 5 <= time.monotonic() - begun < 60
        with pytest.raises(ClientError) as caught:
            over_http.result()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        # Readers do not wait.
        found = try_all(folder, "inspect", "peek")
        assert {one["code"] for one in found.values()} == {0}
        assert len(found["peek"]["out"].splitlines()) >= 40

        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(60) == 1
        client.send_message(QueueUrl=url, MessageBody="x")
        assert try_all(folder, "send")["send"]["code"] == 0
        assert server.end()[0] == 0
    session = LocalSession(folder / "f.db")
    with session.engine.store.read() as transaction:
        assert transaction.row("SELECT count(*) FROM bodies") == (42,), "no call was half done"
    session.close()


def test_a_file_that_is_removed_while_in_use(folder: Path) -> None:
    why = "it was removed or replaced while it was open"
    command = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--local=f.db"]
    with (
        serving("--local=f.db", cwd=folder) as server,
        subprocess.Popen(
            command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
        ) as worker,
    ):
        try:
            client = server.client(config=ONE_TRY)
            url = client.get_queue_url(QueueName="q")["QueueUrl"]
            assert worker.stderr
            while "worker_started" not in (line := worker.stderr.readline()):
                assert line
            aside = folder / "aside"
            aside.mkdir()
            for path in folder.glob("f.db*"):
                path.rename(aside / path.name)
            with pytest.raises(ClientError, match=why) as caught:
                client.send_message(QueueUrl=url, MessageBody="x")
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
            # It logs the error and tries again, or ends if it has not received anything yet.
            while why not in (line := worker.stderr.readline()):
                assert line
        finally:
            worker.kill()
        code, log = server.end()
        assert code == 0
        assert "Traceback" not in log
    assert not (folder / "f.db").exists(), "no process created a new file"
