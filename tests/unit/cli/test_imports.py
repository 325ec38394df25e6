"""A command imports only modules that it uses, because imports take most of its time."""

import gc
import subprocess
import sys
from importlib.metadata import version

import pytest

from sqsw_cli.main import COMMANDS
from tests.life.serving import plain_variables, serving
from tests.unit.cli.conftest import Sqsw

#: modules that take longer to import than everything ``--help`` needs besides Python and click
HEAVY = {
    *("boto3", "botocore", "rich", "structlog", "uvicorn", "sqlite3", "asyncio"),
    *("importlib_metadata", "importlib.metadata"),
    *("sqsw.sqs_env", "sqsw.core.events", "sqsw.worker", "sqsw.local"),
}
#: modules that ``--help`` does not need either
LIGHT = {
    *("dataclasses", "json", "logging", "pathlib", "shlex", "shutil", "tempfile", "tomllib"),
    "traceback",
}
#: modules that the wire does not need
NETWORK = {"boto3", "botocore", "urllib3", "http.client", "email"}
WORKER = {"sqsw.core.events", "sqsw.queue.work", "sqsw.worker"}


def loaded_by(sqsw: Sqsw, words: str) -> set[str]:
    """Return the modules that a command imports, without those that Python always imports here."""
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
def test_the_list_of_commands_imports_almost_nothing(sqsw: Sqsw, words: str) -> None:
    loaded = loaded_by(sqsw, words)
    # Before version 8.2, click measures the terminal with shutil.
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
    # Python collected almost no garbage during the start. Now it does, except in old objects.
    assert (threshold, has_frozen) == (str(gc.get_threshold()[0]), "True")


def test_sending_a_job_imports_no_worker(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    loaded = loaded_by(sqsw, "send emails send_email to=ann@example.com")
    # The embedded SQS of the test imports boto3 and sqlite3.
    assert not loaded & {*WORKER, "rich", "structlog", "uvicorn", "asyncio", "importlib_metadata"}


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="the system settings of macOS can have proxies"
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
