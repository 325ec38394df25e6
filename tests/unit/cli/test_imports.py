"""What a command imports: no more than it uses, for that is most of the time that it takes."""

import gc
import subprocess
import sys
from importlib.metadata import version

import pytest

from sqsw_cli.main import COMMANDS
from tests.life.serving import plain_variables, serving
from tests.unit.cli.conftest import Sqsw

#: what takes longer to import than all that ``--help`` takes beside Python and click
HEAVY = {
    *("boto3", "botocore", "rich", "structlog", "uvicorn", "sqlite3", "asyncio"),
    *("importlib_metadata", "importlib.metadata"),
    *("sqsw.sqs_env", "sqsw.core.events", "sqsw.worker", "sqsw.local"),
}
#: what ``--help`` alone does without as well
LIGHT = {
    *("dataclasses", "json", "logging", "pathlib", "shlex", "shutil", "tempfile", "tomllib"),
    "traceback",
}
#: what the wire does without
NETWORK = {"boto3", "botocore", "urllib3", "http.client", "email"}
WORKER = {"sqsw.core.events", "sqsw.queue.work", "sqsw.worker"}


def loaded_by(sqsw: Sqsw, words: str) -> set[str]:
    """The modules that a command has imported, beside what this installation of Python does."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from sqsw_cli.main import run\n"
        "try: run()\n"
        "finally: print(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *sqsw.words((words,))],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", ["--help", ""])
def test_the_list_of_commands_imports_next_to_nothing(sqsw: Sqsw, words: str) -> None:
    loaded = loaded_by(sqsw, words)
    # click measures the terminal with shutil before its version 8.2.
    of_click = {"shutil"} if version("click") < "8.2" else set()
    assert not loaded & (HEAVY | LIGHT - of_click)
    assert not [name for name in loaded if name.startswith("sqsw_cli.commands.")]


def test_the_help_of_the_commands_imports_nothing_heavy(sqsw: Sqsw) -> None:
    modules = ", ".join(row.target.partition(":")[0] for row in COMMANDS.values())
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & HEAVY
    assert not loaded_by(sqsw, "work --help") & HEAVY


DUMP = """
import gc, sys
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

@env.processor("emails", "dump")
def dump():
    print(gc.get_threshold()[0], gc.get_freeze_count() > 0, *sys.modules)
"""


def test_a_worker_runs_its_first_job_without_modules_that_it_does_not_need(
    sqsw: Sqsw,
) -> None:
    (sqsw.home / "dumping.py").write_text(DUMP)
    sqsw("create-queue emails")
    sqsw("send emails dump")
    ran = sqsw.process("work dumping:env --max-jobs 1")
    assert ran.code == 0, ran.err
    threshold, has_frozen, *loaded = ran.out.split()
    assert not {
        *("structlog", "rich", "asyncio", "uvicorn", "prometheus_client", "difflib"),
        *("importlib_metadata", "sqsw_cli.working.live.block", "sqsw.supervisor"),
    } & set(loaded)
    # Python collected hardly any garbage during the start. It does now, except in old objects.
    assert (threshold, has_frozen) == (str(gc.get_threshold()[0]), "True")


def test_to_send_a_job_takes_no_worker(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    loaded = loaded_by(sqsw, "send emails send_email to=ann@example.com")
    # The embedded SQS of the test brings boto3 and sqlite3.
    assert not loaded & {*WORKER, "rich", "structlog", "uvicorn", "asyncio", "importlib_metadata"}


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="system settings can have proxies there"
)
def test_with_all_settings_in_variables_nothing_imports_botocore(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQSW_LOCAL", raising=False)
    (sqsw.home / "dumping.py").write_text(DUMP)
    with serving("--memory", cwd=sqsw.home) as server:
        server.client(region="us-east-1").create_queue(QueueName="emails")
        for name, value in plain_variables(sqsw.home, server.url).items():
            monkeypatch.setenv(name, value)
        assert not loaded_by(sqsw, "send emails dump") & NETWORK
        ran = sqsw.process("work dumping:env --max-jobs 1")
    assert ran.code == 0, ran.err
    assert not set(ran.out.split()) & NETWORK
