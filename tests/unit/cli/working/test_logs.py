"""The log on stderr."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest

from sqsw.context import job_scope
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.message import Message
from sqsw_cli.invocation import Invocation
from sqsw_cli.working.logs import configure_logs
from tests.unit.cli.conftest import Sqsw

JOB = CurrentJob(
    (Message("m1", "h", "{}", {"ApproximateReceiveCount": "3"}, queue_name="emails"),),
    "send",
    {"request_id": "17"},
)


def test_lines_of_a_job_name_the_job(sqsw: Sqsw, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Invocation(log_format="json"))
    with job_scope(JOB):
        logging.getLogger("myapp").warning("hello %s", "you", extra={"size": 3, "share": math.nan})
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "hello you"
    assert (line["level"], line["logger"], line["size"]) == ("warning", "myapp", 3)
    assert (line["queue"], line["job"], line["id"], line["attempt"]) == ("emails", "send", "m1", 3)
    assert line["context"] == {"request_id": "17"}
    assert line["seconds_s"] >= 0
    assert line["share"] == "NaN"  # a string, because JSON has no such number


def test_lines_of_jobs_that_use_structlog_go_to_stderr(
    sqsw: Sqsw, capsys: pytest.CaptureFixture[str]
) -> None:
    import structlog

    configure_logs(Invocation(log_format="json"), runs_apps=True)
    structlog.get_logger("myapp").info("hello", size=3)
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert (line["event"], line["size"], line["level"]) == ("hello", 3, "info")


def test_structlog_is_configured_if_an_app_imported_it(sqsw: Sqsw, home: Path) -> None:
    (home / "logging_app.py").write_text(
        "import structlog\nfrom sqsw.sqs_env import SQSEnv\nenv = SQSEnv()\n"
    )
    code = """
import logging, sys
from sqsw_cli.environment import load_env
from sqsw_cli.invocation import Invocation
load_env(Invocation(log_format="json"))
assert "structlog" not in sys.modules
load_env(Invocation(log_format="json"), ["logging_app"])
import structlog
structlog.contextvars.bind_contextvars(request_id="17")
structlog.get_logger("myapp").info("hello", size=3)
logging.getLogger("other").warning("too")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["logger"], line["event"], line["request_id"]) for line in lines] == [
        ("myapp", "hello", "17"),
        ("other", "too", "17"),
    ]


def test_a_traceback_shows_no_local_variables(
    sqsw: Sqsw, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Invocation(log_format="console"))
    password = "hunter" + str(2)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("myapp").exception("failed")
    text = capsys.readouterr().err
    assert "ValueError: no" in text
    assert password not in text


@pytest.mark.parametrize(("verbose", "heard"), [(0, False), (1, False), (2, True)])
def test_only_vv_shows_the_log_of_botocore(
    sqsw: Sqsw, capsys: pytest.CaptureFixture[str], verbose: int, heard: bool
) -> None:
    configure_logs(Invocation(verbose=verbose))
    logging.getLogger("botocore.endpoint").debug("Sending http request")
    assert ("Sending http request" in capsys.readouterr().err) is heard


@pytest.mark.parametrize(
    "text",
    [
        "headers={'Authorization': b'AWS4-HMAC-SHA256 Credential=topsecret', 'X': 1}",
        "x-amz-security-token:topsecret\nx-amz-target:y",
        "{'X-Amz-Security-Token': b'topsecret', 'Content-Length': '3'}",
        "b'<SecretAccessKey>topsecret</SecretAccessKey>'",
        '{"accessToken": "topsecret", "expiresIn": 3}',
        '{"roleCredentials": {"secretAccessKey": "topsecret", "sessionToken": "topsecret"}}',
    ],
)
def test_secrets_are_masked(sqsw: Sqsw, capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure_logs(Invocation(verbose=2))
    logging.getLogger("botocore.endpoint").debug("%s", text)
    told = capsys.readouterr().err
    assert "topsecret" not in told
    assert "***" in told


def test_the_password_of_a_url_is_never_shown(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    ran = sqsw("inspect q -vv --endpoint-url http://user:topsecret@127.0.0.1:1")
    assert ran.code == 1
    assert "\nerror: cannot connect to http://127.0.0.1:1/\n" in ran.err
    assert "EndpointConnectionError" in ran.err  # from botocore
    assert "topsecret" not in ran.err + ran.out
    ran = sqsw("inspect q --endpoint-url user:topsecret@host")
    assert "the endpoint 'host' is not a URL" in ran.err


def test_the_level_follows_the_options() -> None:
    assert Invocation().level == "info"
    assert Invocation(quiet=True).level == "error"
    assert Invocation(verbose=1).level == "debug"
    assert Invocation(verbose=1, log_level="warning", given={"log_level"}).level == "warning"


def test_text_from_clients_is_escaped_on_a_terminal(
    sqsw: Sqsw, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Invocation(log_format="console"))
    extra = {"path": "/\x1b[31mred", "operation": "\x9b31m"}
    logging.getLogger("sqsw.serve").warning("request", extra=extra)
    text = capsys.readouterr().err
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "path='/\\x1b[31mred' operation='\\x9b31m'" in text
