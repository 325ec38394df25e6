"""Real commands and workers while another server answers instead of SQS."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.backends import wait_until
from tests.life.serving import Serving, environment, serving
from tests.unit.transport.test_answers import FOREIGN, Answer

TASKS = """
import time
from sqsw import SQSEnv
env = SQSEnv()

@env.processor("jobs", "note")
def note(number):
    with open("ran", "a") as file:
        print(number, file=file)
    time.sleep(1)
"""


class Portal:
    """A server between clients and SQS that passes requests on or answers itself."""

    def __init__(self, upstream: str) -> None:
        #: whether its clients use the wire
        self.wire = True
        self.answer: Answer | None = None
        self.receives: Answer | None = None
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(self.headers["X-Amz-Target"].rpartition(".")[2])
                own = outer.answer
                if outer.requests[-1] == "ReceiveMessage":
                    own = own or outer.receives
                status, headers, text = own or outer._passed_on(self, upstream, body)
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def _passed_on(self, handler: BaseHTTPRequestHandler, upstream: str, body: bytes) -> Answer:
        # End long polls early, so that they do not hide the change.
        body = re.sub(b'"WaitTimeSeconds": *[0-9]+', b'"WaitTimeSeconds": 1', body)
        headers = {n: v for n, v in handler.headers.items() if n.lower() != "content-length"}
        request = Request(upstream + handler.path, body, headers)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except HTTPError as error:
            return error.code, dict(error.headers.items()), error.read()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    with serving("--memory", cwd=tmp_path) as one:
        yield one


@pytest.fixture
def portal(request: pytest.FixtureRequest) -> Iterator[Portal]:
    behind = request.getfixturevalue("served").url if "served" in request.fixturenames else ""
    portal = Portal(behind)
    yield portal
    portal.close()


def environment_for(portal: Portal) -> dict[str, str]:
    given = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "local"}
    how = {"SQSW_WIRE": str(int(portal.wire)), "AWS_ENDPOINT_URL": portal.url, "NO_COLOR": "1"}
    return {**environment(), **given, **how}


def sqsw(portal: Portal, directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sqsw_cli", *words],
        cwd=directory,
        env=environment_for(portal),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


COMMANDS = (
    ("create-queue", "jobs"),
    ("send", "jobs", "note", "number:=1"),
    ("inspect",),
    ("inspect", "jobs"),
    ("inspect", "jobs", "--peek", "1", "--yes"),
    ("purge", "jobs", "--yes"),
    ("purge", "jobs", "--job", "note", "--yes"),
    ("redrive", "jobs", "--yes"),
    ("redrive", "jobs", "--job", "note", "--yes"),
    ("delete-queue", "jobs", "--yes"),
    ("doctor",),
    ("doctor", "jobs"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("kind", "wire"), [("a page", True), ("an object", False)])
def test_no_command_accepts_an_answer_from_another_server(
    portal: Portal, tmp_path: Path, words: tuple[str, ...], kind: str, wire: bool
) -> None:
    portal.wire = wire
    portal.answer = FOREIGN[kind]
    ended = sqsw(portal, tmp_path, *words)
    told = ended.stdout + ended.stderr
    assert ended.returncode == (8 if words == ("doctor", "jobs") else 1), told
    assert "like SQS" in told
    assert portal.url in told
    assert "unexpected" not in told
    assert "Traceback" not in told


@contextmanager
def working(portal: Portal, directory: Path) -> Iterator[None]:
    """Run a worker that writes its log to a file."""
    work = [sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--log-format", "json"]
    with (directory / "log").open("w") as log:
        worker = subprocess.Popen(work, cwd=directory, env=environment_for(portal), stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(30)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [("a page", True), ("an object", False), ("an empty body", False), ("null of SQS", True)],
)
def test_a_worker_waits_until_sqs_answers_again(
    portal: Portal, served: Serving, tmp_path: Path, kind: str, wire: bool
) -> None:
    portal.wire = wire
    (tmp_path / "tasks.py").write_text(TASKS)
    client = served.client()
    url = client.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    for number in range(6):
        sent = sqsw(portal, tmp_path, "send", "jobs", "note", f"number:={number}")
        assert sent.returncode == 0, sent.stderr
    ran = tmp_path / "ran"
    with working(portal, tmp_path):
        wait_until(lambda: ran.exists() and len(ran.read_text().split()) == 6, 60)
        portal.answer = FOREIGN[kind]
        time.sleep(1.5)  # for receives in progress
        begun = len(portal.requests)
        time.sleep(5)
        while_away = portal.requests[begun:]
        assert 1 <= while_away.count("ReceiveMessage") <= 10
        assert "DeleteMessageBatch" in while_away
        portal.answer = None
        wait_until(lambda: _count(client, url) == 0, 60)
        assert sorted(ran.read_text().split()) == list("012345")  # no job ran twice
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        reasons = [line.get("reason") or "" for line in lines if line["event"] == "receive_error"]
        assert any("like SQS" in reason for reason in reasons), lines


def test_a_server_that_ignores_the_wait_time_is_polled_once_a_second(
    portal: Portal, served: Serving, tmp_path: Path
) -> None:
    served.client().create_queue(QueueName="jobs")
    (tmp_path / "tasks.py").write_text(TASKS)
    portal.receives = (200, {"Content-Type": "application/x-amz-json-1.0"}, b"{}")
    with working(portal, tmp_path):
        wait_until(lambda: portal.requests.count("ReceiveMessage") >= 5, 60)
        begun = portal.requests.count("ReceiveMessage")
        time.sleep(5)
        assert portal.requests.count("ReceiveMessage") - begun <= 7
    assert (tmp_path / "log").read_text().count("WaitTimeSeconds") == 1


def _count(client: object, url: str) -> int:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])  # type: ignore[attr-defined]  # made by boto3
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(int(answer["Attributes"][name]) for name in names)
