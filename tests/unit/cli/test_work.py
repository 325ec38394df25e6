"""``sqsw work``; signals are tested with real processes."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sqsw.worker.signals import ECHO_SECONDS
from tests.unit.cli.conftest import Sqsw, write_plugin


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead --max-receives 1")
    sqsw("create-queue slow")


def test_it_runs_the_jobs_of_a_queue(sqsw: Sqsw) -> None:
    for number in range(3):
        sqsw(f"send emails send_email to=u{number} subject=x")
    ran = sqsw("work myapp.tasks:env --queue emails --until-idle 1")
    assert (ran.code, ran.out) == (0, "")
    log = [json.loads(line) for line in ran.err.splitlines()]
    assert log[0]["event"] == "worker_starting"
    started = next(line for line in log if line["event"] == "worker_started")
    assert (started["queues"], started["apps"]) == (["emails"], ["myapp.tasks:env"])
    assert started["sqs"].startswith("local file ")
    assert sum(line["event"] == "job_done" for line in log) == 3
    own = [line for line in log if line["event"] == "sending"]
    assert {(line["logger"], line["job"], line["queue"], line["attempt"]) for line in own} == {
        ("myapp.tasks", "send_email", "emails", 1)
    }
    assert sqsw.visible("emails") == 0


def test_json_prints_one_summary(sqsw: Sqsw) -> None:
    sqsw("send emails send_email to=a subject=x")
    sqsw("send emails fail")
    ran = sqsw("work myapp.tasks:env -Q emails --max-jobs 2 --json")
    assert ran.code == 0
    (summary,) = ran.objects
    assert (summary["type"], summary["command"]) == ("summary", "work")
    assert (summary["done"], summary["failed"], summary["unknown"]) == (1, 1, 0)
    assert summary["stopped_by"] == "max_jobs"
    assert summary["requests"] >= 1


def test_with_json_stdout_has_only_json_even_of_buffered_output(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    (home / "held.py").write_text(
        "import ctypes, sys\n"
        "from sqsw import SQSEnv\n"
        "env = SQSEnv()\n"
        "@env.processor('emails', 'print')\n"
        "def print_all():\n"
        "    ctypes.CDLL(None).printf(b'by C\\n')\n"
        "    sys.__stdout__.write('by Python\\n')\n"
    )
    sqsw("send emails print")
    ran = sqsw.process("work held:env -Q emails --max-jobs 1 --json")
    (summary,) = ran.objects
    assert summary["done"] == 1
    assert {"by C", "by Python"} <= set(ran.err.splitlines())


def test_strict_fails_for_failed_and_unknown_jobs(sqsw: Sqsw) -> None:
    sqsw("send emails fail")
    assert sqsw("work myapp.tasks:env -Q emails --max-jobs 1 --strict").code == 5
    sqsw("send emails nobody_knows")
    assert sqsw("work myapp.tasks:env -Q emails --max-jobs 1 --strict").code == 5


def test_dead_letters_can_be_worked_in_place(sqsw: Sqsw) -> None:
    sqsw("send emails_dead send_email to=a subject=x")
    words = "work myapp.tasks:env -Q emails_dead --processors-from emails --max-jobs 1"
    ran = sqsw(f"{words} --log-format console")
    assert re.search(r"queues +emails_dead +[2-9] jobs", ran.err)
    assert "1 done" in ran.err
    assert sqsw.visible("emails_dead") == 0


def test_plugins_add_jobs(sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = (
        "from sqsw.registry import TaskRegistry\n"
        "tasks = TaskRegistry()\n"
        "@tasks.task('news', 'post')\n"
        "def post(): ...\n"
    )
    write_plugin(home, "acme-news", "[sqsw.processors]\nnews = acme_news:tasks\n", module)
    bad = "import nothing_of_this_name\n"
    write_plugin(home, "acme-bad", "[sqsw.processors]\nbad = acme_bad:tasks\n", bad)
    monkeypatch.syspath_prepend(str(home))
    sqsw("create-queue news")
    sqsw("send news post")
    ran = sqsw("work --max-jobs 1 --json")
    assert ran.code == 0
    assert ran.objects[0]["done"] == 1
    assert ran.err.startswith("warning: the plugin 'bad' of acme-bad 2.1 cannot be loaded\n")
    assert "No module named 'nothing_of_this_name'" in ran.err
    assert sqsw("work --max-jobs 1 --strict").code == 7
    assert sqsw("work --no-plugins").code == 2
    task = sqsw("inspect --tasks --json").objects[0]
    assert (task["source"], task["distribution"]) == ("plugin", "acme-news 2.1")


def test_a_job_that_is_registered_twice_stops_the_start(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        "def register(env):\n    @env.processor('emails', 'send_email')\n    def other(): ...\n"
    )
    write_plugin(home, "acme-mail", "[sqsw.processors]\nmail = acme_mail:register\n", module)
    monkeypatch.syspath_prepend(str(home))
    ran = sqsw("work myapp.tasks:env")
    assert ran.code == 7
    assert ran.err.splitlines() == [
        "error: job 'emails.send_email' is registered twice",
        "  why:  by myapp.tasks.send_email (app) and acme_mail.register.<locals>.other "
        "(plugin acme-mail 2.1)",
        "  next: rename one of them, or use --no-plugins",
    ]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("work", 2, "there are no jobs to run"),
        ("work --reload", 2, "there are no jobs to run"),
        ("work myapp.models", 2, "there are no jobs to run: none is registered"),
        ("work myapp.task:env", 7, "cannot import 'myapp.task'"),
        ("work myapp.tasks:app", 7, "'myapp.tasks' has no SQSEnv named 'app'"),
        ("work myapp.tasks:log", 7, "'myapp.tasks:log' is not an SQSEnv"),
        ("work myapp.tasks:env -Q emial", 3, "no jobs are registered for the queue 'emial'"),
        ("work myapp.tasks:env -Q emails -Q emails=2", 2, "the queue 'emails' is named twice"),
        (
            "work myapp.tasks:env --processors-from emails",
            2,
            "processors_from requires exactly one",
        ),
        ("work myapp.tasks:env --visibility-timeout 5", 2, "invalid value for '--visibility"),
    ],
)
def test_errors_before_the_start(sqsw: Sqsw, words: str, code: int, message: str) -> None:
    ran = sqsw(words)
    assert ran.code == code, ran.err
    assert any(line.startswith(f"error: {message}") for line in ran.err.splitlines())


def test_a_missing_queue_ends_it(sqsw: Sqsw) -> None:
    ran = sqsw("work myapp.tasks:env -Q emails_daed --processors-from emails")
    assert ran.code == 3
    assert "error: no queue named 'emails_daed' in local file " in ran.err
    assert "did you mean 'emails_dead'?" in ran.err


def test_missing_queues_of_the_app_are_created_in_the_local_file(sqsw: Sqsw, home: Path) -> None:
    (home / "myapp" / "new.py").write_text(
        "from sqsw.sqs_env import SQSEnv\nenv = SQSEnv()\n"
        "@env.processor('news', 'x')\ndef x(): ...\n"
        "@env.processor('other', 'x')\ndef y(): ...\n"
    )
    (home / "sqsw.toml").write_text("[queues.news]\nmax_receives = 3\nvisibility_timeout = '2m'\n")
    work = "work myapp.new:env -Q news --until-idle 0"
    ran = sqsw(f"{work} --log-format console")
    assert ran.code == 0
    line = f"created in local file {home / 'local.db'}: news_dead, news\n"
    assert ran.err.startswith(line)
    (news, _) = sqsw("inspect news news_dead --json").objects
    assert (news["dlq"], news["max_receives"]) == ("news_dead", 3)
    assert news["attributes"]["VisibilityTimeout"] == "120"
    assert sqsw("inspect other").code == 3  # it has no worker
    assert "created" not in sqsw(f"{work} --log-format console").err
    ran = sqsw("work myapp.new:env --until-idle 0 --log-format json")
    created = [json.loads(one) for one in ran.err.splitlines() if "queues_created" in one]
    assert [one["queues"] for one in created] == [["other_dead", "other"]]


def test_a_held_lock_is_busy(sqsw: Sqsw, home: Path) -> None:
    from sqsw_cli.working.lock import exclusive

    with exclusive(str(home / "nightly.lock")):
        ran = sqsw("work myapp.tasks:env --lock nightly.lock")
    assert ran.code == 6
    assert ran.err.startswith("error: nightly.lock is held by another process\n")


def busy_worker(sqsw: Sqsw, seconds: float, *words: str) -> "subprocess.Popen[str]":
    """Run a worker in the middle of a job of this many seconds."""
    sqsw(f"send slow sleep n:={seconds}")
    process = sqsw.start("work", "myapp.tasks:env", "-Q", "slow", "-v", "--json", *words)
    assert process.stderr is not None
    while "job_started" not in process.stderr.readline():
        assert process.poll() is None
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains(sqsw: Sqsw, number: signal.Signals) -> None:
    process = busy_worker(sqsw, 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (json.loads(out)["done"], json.loads(out)["stopped_by"]) == (1, number.name)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_second_signal_stops_at_once(sqsw: Sqsw, number: signal.Signals, code: int) -> None:
    process = busy_worker(sqsw, 60)
    process.send_signal(number)
    assert process.stderr is not None
    while "drain_started" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(ECHO_SECONDS + 0.1)  # sooner, it would count as an echo of the first
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert sqsw.visible("slow") == 1


def test_jobs_that_outlast_the_drain_are_returned(sqsw: Sqsw) -> None:
    process = busy_worker(sqsw, 60, "--drain-timeout", "0")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 5
    assert sqsw.visible("slow") == 1


def test_output_of_jobs_is_not_mixed_with_json(sqsw: Sqsw, home: Path) -> None:
    (home / "myapp" / "loud.py").write_text(
        "from sqsw.sqs_env import SQSEnv\nenv = SQSEnv()\nprint('loading')\n"
        "@env.processor('emails', 'j')\ndef j():\n    print('running')\n"
        "    import os; os.system('echo program')\n"
    )
    sqsw("create-queue emails")
    sqsw("send emails j")
    ran = sqsw.process("work myapp.loud:env --max-jobs 1 --json")
    assert ran.code == 0, ran.err
    assert [one["type"] for one in ran.objects] == ["summary"]
    assert {"loading", "running", "program"} <= set(ran.err.splitlines())


def test_a_signal_during_the_start_is_a_drain(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    process = sqsw.start(
        "work myapp.tasks:env -Q emails --json --endpoint-url http://localhost:1 --region here"
    )
    assert process.stderr is not None
    while "receive_error" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["stopped_by"]) == (0, "SIGTERM")


@pytest.mark.parametrize("options", ["", "--processes 2"])
@pytest.mark.parametrize("executor", ["thread", "process"])
def test_printed_output_of_a_job_appears_at_once(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch, executor: str, options: str
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    (home / "printing.py").write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from sqsw import SQSEnv\n"
        "env = SQSEnv()\n"
        f"@env.processor('emails', 'print', executor={executor!r})\n"
        "def say():\n"
        "    print('seen')\n"
        "    while not Path('go-on').exists():\n"
        "        time.sleep(0.01)\n"
    )
    sqsw("send emails print")
    process = subprocess.Popen(
        sqsw.command(f"work printing:env -c 1 --max-jobs 1 {options}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "seen\n"
    finally:
        (home / "go-on").touch()
        process.communicate(timeout=60)
