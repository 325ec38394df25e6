"""``sqsw serve`` as a process: its start and end, and which requests it accepts."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from sqsw.local.engine import LocalEngine
from tests.backends import wait_until
from tests.life.serving import ROOT, Serving, environment, read_answer, serving

TASKS = """
from pathlib import Path

from sqsw import SQSEnv

env = SQSEnv()

@env.processor("emails", "send_email")
def send_email(to):
    Path("sending").write_text(to)
    Path("sending").rename("sent")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving("--memory", "--allow-host", "sqs.test") as running:
        yield running


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """If the tests run under nohup, a server inherits that SIGHUP is ignored."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


def test_it_prints_its_address(tmp_path: Path) -> None:
    with serving("--local=ci.db", cwd=tmp_path) as running:
        assert running.ready == {
            "type": "ready",
            "url": f"http://127.0.0.1:{running.port}",
            "host": "127.0.0.1",
            "port": running.port,
            "path": str(tmp_path / "ci.db"),
            "region": "local",
        }
        assert json.loads(running.page("/health")) == {"status": "ok"}
        running.client().create_queue(QueueName="q")
        code, log = running.end()
    assert code == 0
    assert (tmp_path / "ci.db").exists()
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["event"] for event in events] == ["serving", "request", "request", "stopped"]
    assert events[2].items() >= {"operation": "CreateQueue", "status": 200, "path": "/"}.items()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_waiting_receives(number: int, no_nohup: None) -> None:
    with serving("--memory") as running, ThreadPoolExecutor() as pool:
        client = running.client()
        url = client.create_queue(QueueName="q")["QueueUrl"]
        polls = [
            pool.submit(client.receive_message, QueueUrl=url, WaitTimeSeconds=20) for _ in range(5)
        ]
        wait_until(lambda: running.waiting() == 5, 20, "five receives to wait")
        begun = time.monotonic()
        code, _ = running.end(number)
        assert code == 0
        assert time.monotonic() - begun < 5
        assert ["Messages" in poll.result() for poll in polls] == [False] * 5


def test_a_client_that_hung_up_gets_no_message(server: Serving) -> None:
    client = server.client()
    url = client.create_queue(QueueName="hung-up")["QueueUrl"]
    request = f"GET {url.removeprefix(server.url)}?Action=ReceiveMessage&WaitTimeSeconds=20"
    with server.connect(f"{request} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()):
        wait_until(lambda: server.waiting() == 1, 20, "the receive to wait")
    wait_until(lambda: server.waiting() == 0, 20, "the server to notice")
    client.send_message(QueueUrl=url, MessageBody="x")
    (message,) = client.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_a_send_wakes_a_waiting_receive(server: Serving) -> None:
    client = server.client()
    url = client.create_queue(QueueName="woken")["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(client.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        wait_until(lambda: server.waiting() == 1, 20, "the receive to wait")
        begun = time.monotonic()
        client.send_message(QueueUrl=url, MessageBody="x")
        assert len(poll.result()["Messages"]) == 1
        assert time.monotonic() - begun < 5


def test_the_older_protocol_without_an_sdk(server: Serving) -> None:
    created = server.page("/", Action="CreateQueue", QueueName="by-hand", Version="2012-11-05")
    found = re.search("<QueueUrl>(.*)</QueueUrl>", created)
    assert found
    path = found[1].removeprefix(server.url)
    server.page(path, Action="SendMessage", MessageBody="<x>")
    assert "<Body>&lt;x&gt;</Body>" in server.page(path, Action="ReceiveMessage")
    with pytest.raises(HTTPError) as caught:
        server.page(path)
    assert caught.value.code == 404
    assert caught.value.read() == b"<UnknownOperationException/>"
    caught.value.close()


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ("Host: sqs.test:1", "http://sqs.test:1"),
        ("Host: sqs.test\r\nX-Forwarded-Proto: https", "https://sqs.test"),
        ("Host: sqs.test\r\nX-Forwarded-Proto: HTTPS, http", "https://sqs.test"),
        ("Host: sqs.test\r\nX-Forwarded-Proto: javascript", "http://sqs.test"),
        ("Host: sqs.test\r\nX-Forwarded-Host: evil.example", "http://sqs.test"),
    ],
)
def test_queue_urls_begin_with_the_address_that_the_client_used(
    server: Serving, headers: str, origin: str
) -> None:
    request = f"GET /?Action=CreateQueue&QueueName=host HTTP/1.1\r\n{headers}\r\n\r\n"
    with server.connect(request.encode()) as connection:
        assert f"<QueueUrl>{origin}/000000000000/host<".encode() in read_answer(connection)


def test_metrics(server: Serving) -> None:
    client = server.client()
    url = client.create_queue(QueueName="counted")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="x")
    with pytest.raises(ClientError):
        client.get_queue_url(QueueName="nobody")
    lines = server.page("/metrics").splitlines()
    assert 'sqsw_requests_total{operation="GetQueueUrl",status="400"} 1' in lines
    name = 'region="local",queue="counted",state="visible"'
    assert f"sqsw_queue_messages{{{name}}} 1" in lines


def test_with_keys_every_request_must_be_signed() -> None:
    keys = {"SQSW_SERVE_ACCESS_KEY": "AKID", "SQSW_SERVE_SECRET_KEY": "secret"}
    with serving("--memory", env=keys) as running:
        client = running.client("AKID", "secret")
        url = client.create_queue(QueueName="q")["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="é" * 1000)
        for access_key, secret_key, code in [
            ("OTHER", "secret", "InvalidClientTokenId"),
            ("AKID", "other", "SignatureDoesNotMatch"),
        ]:
            with pytest.raises(ClientError) as caught:
                running.client(access_key, secret_key).list_queues()
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        with pytest.raises(HTTPError) as refused:
            running.page("/", Action="ListQueues")
        assert b"<Code>MissingAuthenticationToken</Code>" in refused.value.read()
        refused.value.close()
        assert "ok" in running.page("/health")


def test_a_worker_and_a_sender_over_http(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    with serving("--local=shared.db", cwd=tmp_path) as running:
        env = environment() | {
            "AWS_ENDPOINT_URL_SQS": running.url,
            **dict.fromkeys(("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "local"),
        }

        def sqsw(*words: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "sqsw_cli", *words]
            return subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)

        assert sqsw("create-queue", "emails").wait(60) == 0
        worker = sqsw("work", "tasks:env", "--endpoint-url", running.url)
        job = ("emails", "send_email", "to=ann@example.com")
        assert sqsw("send", *job, "--app", "tasks:env").wait(60) == 0
        wait_until((tmp_path / "sent").exists, 60, "the job")
        assert (tmp_path / "sent").read_text() == "ann@example.com"
        worker.kill()  # a drain would wait for its receive to end
        worker.wait(60)
        # A program that opens the file sees the same queues.
        assert LocalEngine(tmp_path / "shared.db").handle("ListQueues", {})["QueueUrls"]


def test_a_port_in_use_is_an_error(server: Serving) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sqsw_cli", "serve", "--memory", "--port", str(server.port)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 6
    assert done.stderr.startswith(
        f"error: port {server.port} of 127.0.0.1 is in use by another program\n"
    )
    assert done.stdout == ""


def test_a_file_locked_by_another_program_delays_no_other_request(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with serving(f"--local={path}") as running, ThreadPoolExecutor() as pool:
        client = running.client()
        url = client.create_queue(QueueName="q")["QueueUrl"]
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sent = pool.submit(client.send_message, QueueUrl=url, MessageBody="x")
        time.sleep(0.5)
        begun = time.monotonic()
        assert "ok" in running.page("/health")
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        assert time.monotonic() - begun < 4  # and not the 5 seconds of the send
        assert not sent.done()
        other.execute("ROLLBACK")
        other.close()
        assert sent.result()["MessageId"]


@pytest.mark.parametrize(
    "option", ["--endpoint-url=http://127.0.0.1:1", "--profile=dev", "--queue-prefix=p_"]
)
def test_options_without_effect_are_refused(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sqsw_cli", "serve", option],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"serve does not take {option.partition('=')[0]}" in done.stderr
