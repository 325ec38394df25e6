"""The quickstart, run for real: as a script, on other servers, and with killed workers."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.backends import Backend, wait_until

CHECKOUT = Path(__file__).parent.parent.parent
QUICKSTART = CHECKOUT / "examples" / "quickstart"
STDLIB = Path(sysconfig.get_path("stdlib"))

#: seconds within which anything that is waited for must happen
PATIENCE = 60


class Shell:
    """Runs commands like a user in examples/quickstart."""

    def __init__(self, directory: Path, variables: Mapping[str, str]) -> None:
        self.report = directory / "survey.db"
        self._log = directory / "worker.log"
        self._variables = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SQSW_CONFIG": "none",
            "SURVEY_REPORT": str(self.report),
            **variables,
        }

    def sqsw(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Return the output of a command, which must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "sqsw_cli", *arguments],
            cwd=QUICKSTART,
            env=self._variables | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects that a command prints with --json."""
        return [json.loads(line) for line in self.sqsw(*arguments, "--json").splitlines()]

    def queue(self, name: str) -> dict[str, Any]:
        """Return what ``sqsw inspect`` reports about a queue."""
        (found,) = [o for o in self.objects("inspect", name) if o["type"] == "queue"]
        return found

    def send(self, files: list[Path]) -> None:
        """Send a job for each file, as the script does."""
        names = b"".join(os.fsencode(file) + b"\0" for file in files)
        jobs = subprocess.run(
            [sys.executable, "survey_jobs.py"],
            cwd=QUICKSTART,
            input=names,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        ids = self.sqsw("send", "sources", "measure", "--from", "-", stdin=jobs).splitlines()
        assert len(set(ids)) == len(files)

    @contextmanager
    def worker(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker in the background, and kill it at the end if it still runs."""
        command = [sys.executable, "-m", "sqsw_cli", "work", "survey:env", *options]
        with (
            self._log.open("ab") as log,
            subprocess.Popen(
                command, cwd=QUICKSTART, env=self._variables, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def has_done(self, count: int) -> bool:
        """Return whether at least this many files are done."""
        return len(self.runs()) >= count

    def runs(self) -> dict[str, int]:
        """Return how often each file has been processed so far."""
        if not self.report.exists():
            return {}
        with closing(sqlite3.connect(self.report, timeout=PATIENCE)) as report:
            tables = "SELECT count(*) FROM sqlite_master WHERE name = 'files'"
            if report.execute(tables).fetchone() == (0,):
                return {}
            return dict(report.execute("SELECT path, runs FROM files"))


def source_files(count: int) -> list[Path]:
    """Return readable files of the standard library, shorter ones first."""
    names = ("asyncio", "email", "json", "encodings", "importlib", "logging", "urllib", "xml", ".")
    found = [file for name in names for file in (STDLIB / name).glob("*.py")]
    return sorted(dict.fromkeys(found), key=lambda file: (file.stat().st_size, file))[:count]


def odd_files(directory: Path) -> list[Path]:
    """Create files that the first release of the app cannot read, with unusual names."""
    contents = {
        'it\'s "Python 2".py': b'print "Python 2"\n',
        "two\nlines.py": b'city = "Z\xfcrich"\n',
        "$(nothing) `here`.py": b'nothing = "\0"\n',
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in contents]


# -- the script ----------------------------------------------------------------------------------


def copy_of_the_checkout(directory: Path) -> Path:
    """Return a checkout at a path with a space in it."""
    copy = directory / "my checkout"
    copy.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "work", ".sqsw")
    for name in ("examples", "sqsw", "sqsw_cli"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=ignored)
    for file in ("pyproject.toml", "LICENSE", "README.md"):
        if (CHECKOUT / file).exists():
            shutil.copy(CHECKOUT / file, copy)
    return copy


def run_script(copy: Path, seconds: float = 120, **variables: str) -> tuple[int, str, str]:
    """Run the script from another directory; return its exit status, output and errors."""
    done = subprocess.run(
        [str(copy / "examples" / "quickstart" / "run")],
        cwd="/",
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_script_processes_every_file_exactly_once_twice_in_a_row(tmp_path: Path) -> None:
    copy = copy_of_the_checkout(tmp_path)
    work = copy / "examples" / "quickstart" / "work"
    for _ in range(2):
        status, out, err = run_script(
            copy,
            QUICKSTART_PYTHON=sys.executable,
            QUICKSTART_FILES="80",
            # Variables that the user has set for other purposes do not interfere.
            SQSW_QUEUE_PREFIX="theirs_",
            SQSW_LOCAL="/nonexistent/theirs.db",
            AWS_PROFILE="theirs",
        )
        assert status == 0, out + err
        assert "all 80 files were processed exactly once" in out
        assert out.index("$ sqsw create-queue") < out.index("$ sqsw work survey:env")
        with closing(sqlite3.connect(work / "survey.db")) as report:
            assert report.execute("SELECT count(*), sum(runs) FROM files").fetchone() == (80, 80)
            (unreadable,) = report.execute("SELECT count(note) FROM files").fetchone()
            assert unreadable >= 4
        assert f"dead letters: {unreadable}," in out
    assert not [file.name for file in copy.iterdir() if file.name in ("build", ".sqsw")]

    # The script's own check works: it reports a file that was processed twice or never.
    with closing(sqlite3.connect(work / "survey.db")) as report:
        report.execute("UPDATE files SET runs = 2 WHERE path LIKE '%Latin-1%'")
        report.execute("DELETE FROM files WHERE path LIKE '%merge conflict%'")
        report.commit()
    lists = [work / f"{name}.jsonl" for name in ("jobs", "dead_letters", "queues")]
    checked = subprocess.run(
        [sys.executable, QUICKSTART / "survey_report.py", work / "survey.db", *lists],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 1
    assert "wrong: 1 files were processed more than once" in checked.stdout
    assert "wrong: 1 files were never processed" in checked.stdout


def test_the_script_says_what_to_install_if_python_has_no_venv(tmp_path: Path) -> None:
    copy = copy_of_the_checkout(tmp_path)
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    status, _, err = run_script(copy, PATH=f"{python.parent}:/usr/bin:/bin")
    assert status == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install python{version}-venv" in err


@pytest.mark.parametrize("files", ["abc", "0"])
def test_the_script_refuses_a_wrong_number_of_files(tmp_path: Path, files: str) -> None:
    status, out, err = run_script(copy_of_the_checkout(tmp_path), QUICKSTART_FILES=files)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: QUICKSTART_FILES={files} is not a number of files\n  next: ")


@pytest.mark.skipif(
    not os.environ.get("SQSW_TEST_INSTALL"),
    reason="downloads packages: set SQSW_TEST_INSTALL=1 to run it",
)
def test_the_script_installs_everything_it_needs(tmp_path: Path) -> None:
    copy = copy_of_the_checkout(tmp_path)
    status, out, err = run_script(copy, 600)
    assert status == 0, out + err
    assert "were processed exactly once" in out


# -- the app on other servers --------------------------------------------------------------------


@pytest.fixture(params=["file", "moto", pytest.param("elasticmq", marks=pytest.mark.localstack)])
def shell(
    request: pytest.FixtureRequest, started_backends: dict[str, Backend], tmp_path: Path
) -> Shell:
    """Return a shell whose variables select one of the servers."""
    chosen = request.config.getoption("backend")
    if chosen and request.param not in chosen:
        pytest.skip(f"--backend {' '.join(chosen)}")
    backend = started_backends[request.param]
    backend.start()
    if backend.name == "file":
        return Shell(tmp_path, {"SQSW_LOCAL": str(tmp_path / "queues.db")})
    variables = {
        "AWS_ENDPOINT_URL_SQS": backend.session(tmp_path).endpoint_url,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SQSW_QUEUE_PREFIX": f"t{uuid.uuid4().hex[:12]}_",
    }
    return Shell(tmp_path, variables)


def test_the_app_runs_unchanged_on_every_server(shell: Shell, tmp_path: Path) -> None:
    odd = odd_files(tmp_path)
    files = source_files(50) + odd
    work = ("work", "survey:env", "--until-idle", "1")

    shell.sqsw("create-queue", "--dlq", "sources_dead", "--max-receives", "2")
    shell.send(files)
    shell.sqsw(*work)

    assert shell.runs() == {str(file): 1 for file in files if file not in odd}
    letters = shell.objects("inspect", "sources_dead", "--peek", "10")
    peeked = sorted(o["args"]["path"] for o in letters if o["type"] == "message")
    assert peeked == sorted(str(file) for file in odd)

    def all_letters_can_be_received() -> bool:
        return bool(shell.queue("sources_dead")["visible"] == len(odd))

    wait_until(all_letters_can_be_received, PATIENCE, "the peeked letters to be visible again")
    shell.sqsw("redrive", "sources_dead")
    shell.sqsw(*work, SURVEY_TOLERANT="1")

    assert shell.runs() == {str(file): 1 for file in files}
    for name in ("sources", "sources_dead"):
        queue = shell.queue(name)
        assert (queue["visible"], queue["in_flight"], queue["delayed"]) == (0, 0, 0)


# -- workers that are killed ---------------------------------------------------------------------


def test_killed_workers_lose_no_job(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"SQSW_LOCAL": str(tmp_path / "queues.db")})
    files = source_files(400)
    # More receives than kills, so that a job in hand at every kill does not become a dead letter.
    shell.sqsw("create-queue", "--dlq", "sources_dead", "--max-receives", "5")
    shell.send(files)

    in_hand = 0
    for wanted in (1, 60, 180):
        with shell.worker("--visibility-timeout", "10") as worker:
            wait_until(partial(shell.has_done, wanted), PATIENCE, f"{wanted} files to be done")
            worker.send_signal(signal.SIGKILL)
            assert worker.wait(PATIENCE) == -signal.SIGKILL
        in_hand += shell.queue("sources")["in_flight"]
    assert len(shell.runs()) < len(files), "the last worker was killed too late to show anything"

    with shell.worker("--visibility-timeout", "10") as worker:
        wait_until(partial(shell.has_done, len(files)), PATIENCE, "all files to be done")
        wait_until(lambda: is_empty(shell.queue("sources")), PATIENCE, "an empty queue")
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
        assert time.monotonic() - began < 25, "an idle worker ends at once"

    runs = shell.runs()
    assert runs.keys() == {str(file) for file in files}
    assert sum(count - 1 for count in runs.values()) <= in_hand
    assert is_empty(shell.queue("sources_dead"))


def is_empty(queue: dict[str, Any]) -> bool:
    """Return whether the queue has no messages, in flight or not."""
    return not (queue["visible"] or queue["in_flight"] or queue["delayed"])
