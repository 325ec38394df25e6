"""The calls of the documentation, each as a process, and the exit codes that a shell gets."""

import json
import os
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Sqsw


def ok(sqsw: Sqsw, call: str) -> str:
    """Run a call as typed, and return its output."""
    ran = sqsw.process(*sqsw.words((call.removeprefix("sqsw "),)))
    assert ran.code == 0, ran.err
    return ran.out


def test_from_the_first_queue_to_the_last_message(sqsw: Sqsw) -> None:
    assert "emails.fifo\tcreated" in ok(sqsw, "sqsw create-queue --fifo --dlq emails_dead")
    ok(sqsw, "sqsw create-queue --dlq emails_dead --max-receives 1 --visibility-timeout 0")
    message_id = ok(sqsw, "sqsw send emails send_email to=user@example.com subject=Hello").strip()
    ok(sqsw, "sqsw send emails fail")
    assert ok(sqsw, "sqsw inspect emails").startswith("emails\t2\t")
    ok(sqsw, "sqsw work myapp.tasks:env --queue emails --max-jobs 2")
    # The failed one comes back after its backoff, and the next receive finds no receive left.
    ok(sqsw, "sqsw work myapp.tasks:env --queue emails --until-idle 2")
    (line,) = ok(sqsw, "sqsw inspect emails_dead --peek 5 --json").splitlines()
    dead = json.loads(line)
    assert (dead["job"], dead["source"]) == ("fail", "emails")
    assert dead["id"] != message_id
    assert ok(sqsw, "sqsw redrive emails_dead") == "moved\t1\n"
    assert sqsw.visible("emails") == 1
    assert ok(sqsw, "sqsw purge emails --yes") == "emails\tpurged\t1\n"
    assert sqsw.visible("emails") == 0


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("inspect", 0),
        ("redrive emails", 1),
        ("inspect --peek 1", 2),
        ("purge emails", 2),
        ("inspect nowhere", 3),
        ("work myapp.tasks:nothing", 7),
        ("inspect emails --fail-above 0", 8),
    ],
)
def test_exit_codes(sqsw: Sqsw, call: str, code: int) -> None:
    sqsw("create-queue emails")
    sqsw("send emails x")
    ran = sqsw.process(call)
    assert ran.code == code, ran.err


def test_missing_credentials_are_an_access_error(sqsw: Sqsw, home: Path) -> None:
    nothing = str(home / "nothing")
    env = {
        "SQSW_LOCAL": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_REGION": "eu-west-1",
    }
    ran = sqsw.process("inspect emails --json", env=env)
    assert ran.code == 4
    assert ran.error["message"] == "no AWS credentials found"
    assert ran.error["code"] == "access_denied"


def test_the_module_can_be_run_from_any_directory(sqsw: Sqsw, tmp_path: Path) -> None:
    assert os.getcwd() == str(tmp_path)
    assert ok(sqsw, "sqsw inspect --tasks --app myapp.tasks").count("\n") == 3


def test_a_removed_working_directory_is_a_single_error(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "gone").mkdir()
    monkeypatch.chdir(home / "gone")
    (home / "gone").rmdir()
    for words in ("create-queue emails", "work myapp", "inspect --local"):
        ran = sqsw(words)
        assert ran.code == 2
        assert ran.err.startswith("error: the current directory was removed\n")
