"""``sqsw doctor``."""

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.life.serving import serving
from tests.unit.cli.conftest import Ran, Sqsw
from tests.unit.cli.test_terminal import on_terminal


def statuses(ran: Ran) -> dict[str, str]:
    return {one["name"]: one["status"] for one in ran.objects}


def test_a_queue_without_problems(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue slow --dlq slow_dead")
    sqsw("send emails send_email to=a subject=b")
    ran = sqsw("doctor --app myapp.tasks:env --sample 10 --strict --json")
    assert ran.code == 0
    assert statuses(ran) == {
        "versions": "ok",
        "configuration": "skip",
        "app": "ok",
        "queues": "ok",
        "file": "ok",
        "clock": "skip",
        "calls": "ok",
        **{
            f"{queue}{what}": status
            for queue in ("emails", "slow")
            for what, status in (
                ("", "ok"),
                (": visibility timeout", "ok"),
                (": dead letters", "ok"),
                (": retries", "ok"),
                (": permissions", "skip"),
                (": sample", "ok"),
            )
        },
    }
    assert sqsw.visible("emails") == 1


def test_each_problem_of_a_queue_has_its_line_and_its_fix(sqsw: Sqsw) -> None:
    sqsw("create-queue long --visibility-timeout 1h")
    sqsw("create-queue zero --visibility-timeout 0 --dlq zero_dead")
    sqsw("create-queue kept --dlq short")
    sqsw("create-queue short --retention 1h --update")
    ran = sqsw("doctor long zero kept gone short --json")
    assert ran.code == 8
    found = {one["name"]: (one["status"], one["hint"]) for one in ran.objects}
    assert found["gone"] == ("fail", "sqsw create-queue gone")
    assert found["long: visibility timeout"][0] == "warn"
    assert found["long: dead letters"] == (
        "warn",
        "sqsw create-queue long --dlq long_dead --update",
    )
    assert found["zero: visibility timeout"][0] == "warn"
    assert found["kept: dead letters"] == (
        "warn",
        "sqsw create-queue short --retention 14d --update",
    )
    assert found["short: dead letters"][0] == "ok"
    for _, hint in found.values():
        if hint and hint.startswith("sqsw create-queue"):
            assert sqsw(hint.removeprefix("sqsw ")).code == 0, hint
    assert sqsw("doctor long zero kept gone short").code == 0


def test_a_terminal_shows_one_line_for_a_queue_without_problems(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue reports")
    code, said = on_terminal(sqsw, "doctor emails emails_dead reports gone", columns=120)
    assert code == 8
    *_, emails, dead, reports, no_dlq, cure, gone, create, end = said.splitlines()
    until = "retries jobs for 34m with the default backoff, then emails_dead"
    assert emails == f"✓ ok    emails: 4 checks passed, {until}"
    assert dead == "✓ ok    emails_dead: 3 checks passed, dead-letter queue of emails"
    assert reports == "! warn  reports: 1 of 4 checks found a problem"
    assert no_dlq.startswith("    ! warn  dead letters: no dead-letter queue: a job that always ")
    assert cure == "            next: sqsw create-queue reports --dlq reports_dead --update"
    assert gone.startswith("✗ fail  gone: there is no queue named 'gone' in SQS")
    assert (create, end) == ("        next: sqsw create-queue gone", "1 failure, 1 warning")
    _, said = on_terminal(sqsw, "doctor emails --verbose", columns=120)
    titles = re.findall(r"^    [✓-] (?:ok  |skip)  (.+?): ", said, re.M)
    assert titles == ["queue", "visibility timeout", "dead letters", "retries", "permissions"]


def test_one_receive_is_too_few(sqsw: Sqsw) -> None:
    """A worker that is stopped can receive a message that it does not start, and returns it."""
    for more, cure in ((" --dry-run", ""), ("", " --update"), ("", " --update")):
        created = sqsw(f"create-queue once --dlq once_dead --max-receives 1{more}")
        assert "once allows one receive" in created.err
        assert created.err.endswith(f"  next: --max-receives 12{cure}\n")
    found = statuses(sqsw("doctor once --json"))
    assert found["once: dead letters"] == "warn"
    assert "once: retries" not in found  # one warning is enough
    again = sqsw("--quiet create-queue once --dlq once_dead --max-receives 1")
    assert (again.code, again.err) == (0, "")


def test_a_short_retry_time_is_reported_with_a_fix(sqsw: Sqsw, home: Path) -> None:
    (home / "quick.py").write_text(
        "from sqsw import ConstantBackoff, SQSEnv\n"
        "env = SQSEnv()\n"
        "@env.processor('quick', 'ship', backoff_policy=ConstantBackoff(1))\n"
        "def ship(): ...\n"
    )
    sqsw("create-queue good --dlq good_dead")
    sqsw("create-queue few --dlq few_dead --max-receives 5")
    sqsw("create-queue quick --dlq quick_dead")
    sqsw("create-queue group.fifo --dlq group_dead.fifo --max-receives 9")
    ran = sqsw("doctor good few quick group.fifo --app quick:env --json")
    found = {
        one["name"]: (one["status"], one["detail"], one["hint"])
        for one in ran.objects
        if one["name"].endswith(": retries")
    }
    assert found == {
        "good: retries": ("ok", "for 34m with the default backoff, then good_dead", None),
        "few: retries": (
            "warn",
            "a failing job is retried for only 15s with the default backoff: a longer outage sends "
            "jobs to few_dead",
            "sqsw create-queue few --dlq few_dead --max-receives 12 --update",
        ),
        "quick: retries": (
            "warn",
            "a failing job is retried for only 11s: a longer outage sends jobs to quick_dead",
            "set a longer backoff_policy on the queue, its jobs or SQSEnv",
        ),
        "group.fifo: retries": (
            "warn",
            "a message goes to group_dead.fifo after 9 receives: on a FIFO queue, messages that "
            "are returned unrun use up receives too",
            "sqsw create-queue group.fifo --dlq group_dead.fifo --max-receives 12 --update",
        ),
    }
    for _, _, hint in found.values():
        if hint and hint.startswith("sqsw"):
            assert sqsw(hint.removeprefix("sqsw ")).code == 0
    again = statuses(sqsw("doctor few group.fifo --json"))
    assert (again["few: retries"], again["group.fifo: retries"]) == ("ok", "ok")


def test_strict_counts_warnings(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    assert sqsw("doctor emails").code == 0
    assert sqsw("doctor emails --strict").code == 8


def test_a_sample_finds_jobs_that_this_release_cannot_run(sqsw: Sqsw, home: Path) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("send emails send_email to=a")
    sqsw("send emails unknown_job")
    sqsw("send emails send_email to=a subject=b surplus=c")  # dropped by a worker
    old = {"job": "send_email", "body": "gAJ9", "content_type": "pickle_compat"}
    (home / "old.jsonl").write_text(json.dumps(old))
    sqsw("send emails --from old.jsonl")
    ran = sqsw("doctor emails --app myapp.tasks:env --sample 10 --json")
    assert ran.code == 8
    (sample,) = [one for one in ran.objects if one["name"] == "emails: sample"]
    assert "of 4 messages: 1 of" in sample["detail"]
    assert "misses the argument(s) subject" in sample["detail"]
    assert "'unknown_job', which is not registered" in sample["detail"]
    assert "1 whose content type 'pickle_compat' is not accepted" in sample["detail"]
    assert sqsw.visible("emails") == 4


def test_an_app_that_cannot_be_loaded_is_one_failed_check(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    ran = sqsw("doctor --app myapp.task:env --json")
    assert ran.code == 8
    assert statuses(ran)["app"] == "fail"
    assert statuses(ran)["emails"] == "ok"


def test_a_missing_region_ends_the_checks(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SQSW_LOCAL")
    ran = sqsw("doctor emails")
    assert ran.code == 8
    assert "no AWS region set" in ran.out
    assert "(or --region)" in ran.out


def test_missing_credentials_end_the_checks(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SQSW_LOCAL")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    ran = sqsw("doctor emails --region eu-west-1")
    assert ran.code == 8
    assert "no AWS credentials found" in ran.out


@pytest.mark.parametrize(
    ("variables", "detail"),
    [
        ({}, "over connections of sqsw itself (wire)"),
        ({"SQSW_LOCAL": "memory.db"}, "in this process, to the embedded SQS (direct)"),
        ({"SQSW_WIRE": "0"}, "through boto3: SQSW_WIRE=0"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "through boto3: a proxy is configured"),
    ],
    ids=str,
)
def test_it_says_how_calls_reach_sqs(
    variables: dict[str, str], detail: str, sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQSW_LOCAL")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (check,) = [one for one in sqsw("doctor emails --json").objects if one["name"] == "calls"]
    assert (check["status"], check["detail"], check["hint"]) == ("ok", detail, None)
    assert f"ok\tcalls\t{detail}" in sqsw("doctor emails").out


def test_only_the_source_of_credentials_is_shown(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQSW_LOCAL")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecret")
    url = "http://127.0.0.1:1"
    ran = sqsw(f"doctor emails --region eu-west-1 --endpoint-url {url}")
    assert ran.code == 8
    assert "ok\tcredentials\tfrom env" in ran.out
    assert "cannot connect" in ran.out
    assert "SECRET" not in (ran.out + ran.err).upper().replace("AWS_SECRET", "")


def test_the_minimal_policy(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    ran = sqsw("doctor --policy emails gone")
    policy = json.loads(ran.out)
    assert ran.err.splitlines()[0].endswith(
        "this policy has the region and account of the embedded SQS"
    )
    assert ran.err.splitlines()[-1] == "  next: for AWS, add --local=0"
    assert policy["Version"] == "2012-10-17"
    work, send = policy["Statement"]
    assert work["Resource"] == [
        "arn:aws:sqs:local:000000000000:emails",
        "arn:aws:sqs:local:*:gone",
    ]
    assert "sqs:ReceiveMessage" in work["Action"]
    assert "sqs:SendMessage" in send["Action"]


def test_the_minimal_policy_allows_counting_and_sending_dead_letters(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue news --dlq emails_dead")
    policy = json.loads(sqsw("doctor --policy emails news").out)
    count = policy["Statement"][2]
    assert count["Action"] == ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
    assert count["Resource"] == ["arn:aws:sqs:local:000000000000:emails_dead"]
    bury = policy["Statement"][3]
    assert (bury["Action"], bury["Resource"]) == (["sqs:SendMessage"], count["Resource"])
    # A dead-letter queue with its own worker already has these permissions.
    policy = json.loads(sqsw("doctor --policy emails emails_dead").out)
    assert len(policy["Statement"]) == 2


def test_a_dead_letter_queue_needs_no_dead_letter_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq graveyard")
    sqsw("create-queue news_dlq.fifo")
    ran = sqsw("doctor graveyard news_dlq.fifo --json --strict")
    assert ran.code == 0, ran.out
    assert statuses(ran)["graveyard: dead letters"] == "ok"
    assert statuses(ran)["news_dlq.fifo: dead letters"] == "ok"


def test_a_policy_without_queues_is_refused(sqsw: Sqsw) -> None:
    assert sqsw("doctor --policy").code == 2


def test_a_damaged_file_is_found(sqsw: Sqsw, home: Path) -> None:
    sqsw("create-queue emails")
    sqsw("send emails --raw --from -", input="a message\n" * 200)
    with sqlite3.connect(home / "local.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'm_contents'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with open(home / "local.db", "r+b") as file:
        file.seek((root - 1) * size + size // 2)
        file.write(b"\xff" * (size // 2))
    ran = sqsw("doctor --json")
    assert ran.code == 8
    (check,) = [one for one in ran.objects if one["status"] == "fail" and not one.get("queue")]
    assert check["name"] in ("file", "queues")
    assert "damaged" in check["detail"]
    assert "sqlite3 FILE .recover" in check["hint"]


@contextmanager
def server_with_date(date: Callable[[], str | None], status: int = 200) -> Iterator[str]:
    """Run a server that answers ListQueues with a date of its own; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b"{}" if status == 200 else b'{"__type": "RequestExpired", "message": "old"}'
            self.send_response_only(status)
            if (said := date()) is not None:
                self.send_header("Date", said)
            self.send_header("x-amzn-RequestId", "1")
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def with_credentials(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> Sqsw:
    monkeypatch.delenv("SQSW_LOCAL")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_REGION", "local")
    return sqsw


def clock_check(sqsw: Sqsw, url: str) -> tuple[int, dict[str, str]]:
    ran = sqsw(f"doctor --no-plugins --json --endpoint-url {url}")
    (check,) = [one for one in ran.objects if one["name"] == "clock"]
    return ran.code, check


@pytest.mark.parametrize(
    ("seconds", "status", "detail"),
    [
        (0, "ok", "within 5s of the clock of SQS"),
        (4, "ok", "within 5s of the clock of SQS"),
        (-4, "ok", "within 5s of the clock of SQS"),
        (20, "warn", "behind the clock of SQS"),
        (-20, "warn", "ahead of the clock of SQS"),
        (90, "fail", "behind the clock of SQS"),
        (-3600, "fail", "ahead of the clock of SQS"),
    ],
)
def test_a_clock_that_is_off_is_found(
    with_credentials: Sqsw, seconds: int, status: str, detail: str
) -> None:
    with server_with_date(lambda: formatdate(time.time() + seconds, usegmt=True)) as url:
        code, check = clock_check(with_credentials, url)
    assert check["status"] == status
    assert detail in check["detail"]
    assert (check["hint"] is None) == (status == "ok")
    assert (code == 8) == (status == "fail")


def test_a_refusal_has_the_date_too(with_credentials: Sqsw) -> None:
    """AWS refuses every request of a machine whose clock is more than five minutes off."""
    with server_with_date(lambda: formatdate(time.time() + 600, usegmt=True), 400) as url:
        _, check = clock_check(with_credentials, url)
    assert check["status"] == "fail"


@pytest.mark.parametrize("date", [None, "soon"])
def test_a_server_without_a_date_is_skipped(with_credentials: Sqsw, date: str | None) -> None:
    with server_with_date(lambda: date) as url:
        _, check = clock_check(with_credentials, url)
    assert (check["status"], check["detail"]) == (
        "skip",
        "the answers of this server have no date",
    )


#: In a process of its own, because moto registers its handlers with every boto3 client.
MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


def test_the_clock_of_a_served_embedded_sqs(with_credentials: Sqsw) -> None:
    with serving("--memory", cwd=with_credentials.home) as served:
        assert clock_check(with_credentials, served.url)[1]["status"] == "ok"


def test_the_clock_of_moto(with_credentials: Sqsw) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as moto:
        assert moto.stdin and moto.stdout
        port = int(moto.stdout.readline())
        assert clock_check(with_credentials, f"http://127.0.0.1:{port}")[1]["status"] == "ok"
        moto.stdin.close()
