"""A worker keeps running while SQS fails. A real proxy between real processes makes the faults."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.transport import client
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.signals import ECHO_SECONDS
from sqsw.worker.worker import Worker
from tests import backends
from tests.fault_proxy import ROOT, Proxy, proxying
from tests.life.test_worker_jobs import working
from tests.unit.worker.doubles import lane

TASKS = """
import logging
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

@env.processor("jobs", "note")
def note(number):
    logging.getLogger("tasks").info("noted", extra={"number": number, "way": env.clients.way[0]})
"""

#: Put on the worker's path. It resolves names unless a file forbids it.
NAMES = """
import os, socket
look_up = socket.getaddrinfo

def getaddrinfo(host, *args, **kwargs):
    if host == "sqs.localhost":
        if os.path.exists("no-dns"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        host = "127.0.0.1"
    return look_up(host, *args, **kwargs)

socket.getaddrinfo = getaddrinfo
"""

#: An endpoint on which a deleted queue can be created again at once.
SERVER = """
from sqsw.memory_sqs import serve
serve(None, port=0, relaxed=True, on_ready=lambda server: print(server.port, flush=True))
"""

#: seconds after the end of a fault within which a worker must receive again
RECOVERY_SECONDS = 30

_numbers = itertools.count(1)


class Scene:
    """An endpoint, a proxy in front of it, and a worker that uses the proxy."""

    def __init__(self, folder: Path, port: int, proxy: Proxy) -> None:
        self.folder, self.proxy = folder, proxy
        self.sqs: Any = boto3.session.Session("local", "local", region_name="local").client(
            "sqs", endpoint_url=f"http://127.0.0.1:{port}"
        )
        self.url = self.sqs.create_queue(QueueName="jobs")["QueueUrl"]
        (folder / "tasks.py").write_text(TASKS)
        (folder / "sitecustomize.py").write_text(NAMES)

    def start(self, log: str = "log", *, wire: bool = True) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "SQSW_WIRE": str(int(wire)),
            "PYTHONPATH": f"{self.folder}:{ROOT}",
            "SQSW_CONFIG": "none",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "local",
        }
        with (self.folder / log).open("w") as file:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "sqsw_cli", "work", "tasks:env", "--json"),
                    *("--endpoint-url", f"http://sqs.localhost:{self.proxy.port}"),
                ],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def send(self) -> int:
        """Send a job past the proxy; return its number."""
        number = next(_numbers)
        attributes = {"ContentType": "json", "JobName": "note", "JobContext": "{}"}
        self.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=json.dumps({"number": number}),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
        return number

    def lines(self, event: str, log: str = "log") -> list[dict[str, Any]]:
        found = [json.loads(x) for x in (self.folder / log).read_text().splitlines() if x[0] == "{"]
        return [line for line in found if line["event"] == event]

    def wait_for(self, event: str, count: int) -> list[dict[str, Any]]:
        backends.wait_until(lambda: len(self.lines(event)) >= count, 60, f"{count} {event}")
        return self.lines(event)

    def has_run(self, number: int) -> bool:
        return any(line["number"] == number for line in self.lines("noted"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with proxying(port) as proxy:
            yield Scene(folder, port, proxy)
        server.kill()


@pytest.fixture(scope="module", params=["wire", "boto3"])
def way(request: pytest.FixtureRequest) -> str:
    """Return the way in which the worker reaches SQS."""
    return str(request.param)


@pytest.fixture(scope="module")
def worker(scene: Scene, way: str) -> Iterator["subprocess.Popen[str]"]:
    """Use one worker for all faults: none of them may end it."""
    scene.sqs.purge_queue(QueueUrl=scene.url)
    process = scene.start(wire=way == "wire")
    yield process
    process.kill()
    process.communicate()


def fail_like(scene: Scene, fault: str) -> None:
    if fault == "dns":
        (scene.folder / "no-dns").touch()
        scene.proxy.be("reset")  # otherwise, open connections would need no name lookup
    elif fault == "deleted":
        scene.sqs.delete_queue(QueueUrl=scene.url)
    else:
        scene.proxy.be(fault)


def heal(scene: Scene, fault: str) -> None:
    (scene.folder / "no-dns").unlink(missing_ok=True)
    scene.proxy.be("ok")
    if fault == "deleted":
        scene.sqs.create_queue(QueueName="jobs")


FAULTS = {
    "throttle": "is throttling requests",
    "error": "InternalFailure",
    "reset": "Connection",
    "hang": "Connection",
    "refuse": "connect",
    "expired": "expired",
    "denied": "not allowed",
    "dns": "connect",
    "deleted": "no queue",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_worker_survives_the_fault(
    scene: Scene, worker: "subprocess.Popen[str]", way: str, fault: str
) -> None:
    before = scene.send()
    backends.wait_until(lambda: scene.has_run(before), 60, "a job before the fault")
    errors, recoveries = len(scene.lines("receive_error")), len(scene.lines("receive_recovered"))
    fail_like(scene, fault)
    if fault != "deleted":
        scene.send()  # ends the open poll, so that the next one meets the fault
    if fault == "hang":
        time.sleep(1)
        scene.proxy.be("reset")
    told = scene.wait_for("receive_error", errors + 1)[errors]
    assert FAULTS[fault] in told["reason"]
    time.sleep(1)  # allow more tries, which are not logged
    heal(scene, fault)
    begin = time.monotonic()
    after = scene.send()
    backends.wait_until(lambda: scene.has_run(after), RECOVERY_SECONDS, "a job after the fault")
    assert time.monotonic() - begin < RECOVERY_SECONDS
    assert len(scene.wait_for("receive_recovered", recoveries + 1)) == recoveries + 1
    assert len(scene.lines("receive_error")) == errors + 1
    assert {line["way"] for line in scene.lines("noted")} == {way}
    assert worker.poll() is None


def test_after_all_faults_a_drain_leaves_nothing_in_flight(
    scene: Scene, worker: "subprocess.Popen[str]"
) -> None:
    worker.send_signal(signal.SIGTERM)
    scene.wait_for("drain_started", 1)
    scene.send()  # The drain waits for the open poll, and returns the messages that it brings.
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    summary = json.loads(out)
    assert (summary["failed"], summary["released"], summary["stopped_by"]) == (0, 1, "SIGTERM")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def counts() -> Any:
        found = scene.sqs.get_queue_attributes(QueueUrl=scene.url, AttributeNames=names)
        return [found["Attributes"][name] for name in names]

    assert counts() == ["1", "0"]


def test_a_connection_that_goes_silent_is_abandoned(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sqs.purge_queue(QueueUrl=scene.url)  # or a delete could be swallowed
    # Polls take one second instead of twenty, and answers two instead of eight.
    monkeypatch.setattr(client, "MAX_WAIT_SECONDS", 1)
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 2)
    requests: list[str] = []
    source = client.ClientSource(
        boto3.session.Session("local", "local", region_name="local"),
        endpoint_url=scene.proxy.url,
        on_request=requests.append,
    )
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append(messages[0].body)
        return [SUCCEEDED]

    made = lane("jobs", client=QueueClient(source, "jobs", "jobs"), handle=handle)
    with working(Worker([made], WorkerSettings(concurrency=1, prefetch=0, wait_seconds=1))):
        backends.wait_until(lambda: len(requests) >= 2, 60, "polls")
        scene.proxy.be("swallow")
        scene.proxy.be("swallowed")
        scene.proxy.be("ok")  # for other connections than the silent one
        begin = time.monotonic()
        body = json.dumps({"number": scene.send()})
        backends.wait_until(lambda: body in ran, 60, "a job after the fault")
        took = time.monotonic() - begin
    # Three seconds, the pause before the next try, and time for a busy machine.
    assert 0.2 < took < 15


@pytest.mark.parametrize(("fault", "code"), [("denied", 4), ("expired", 4)])
def test_an_error_that_waiting_cannot_repair_ends_the_worker_at_its_start(
    scene: Scene, fault: str, code: int
) -> None:
    scene.proxy.be(fault)
    process = scene.start("start")
    process.communicate(timeout=60)
    scene.proxy.be("ok")
    assert process.returncode == code
    assert FAULTS[fault] in (scene.folder / "start").read_text()


def test_messages_of_a_receive_that_ends_after_the_second_signal_are_returned(scene: Scene) -> None:
    number = scene.send()
    process = scene.start()
    backends.wait_until(lambda: scene.has_run(number), 60, "a job")
    process.terminate()
    scene.wait_for("drain_started", 1)
    time.sleep(ECHO_SECONDS + 0.1)  # sooner, it would count as an echo of the first
    process.terminate()
    time.sleep(0.2)  # a worker without an open receive has ended by then
    scene.send()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(out)["released"] == 1


def test_a_second_signal_ends_a_worker_if_sqs_does_not_answer(scene: Scene) -> None:
    number = scene.send()
    process = scene.start()
    backends.wait_until(lambda: scene.has_run(number), 60, "a job")
    scene.proxy.be("hang")
    scene.send()  # its delete or the next receive hangs
    process.terminate()
    scene.wait_for("drain_started", 1)
    time.sleep(ECHO_SECONDS + 0.1)  # sooner, it would count as an echo of the first
    begin = time.monotonic()
    process.terminate()
    process.communicate(timeout=60)
    scene.proxy.be("ok")
    assert process.returncode == 143
    assert time.monotonic() - begin < 8  # two seconds, and time for a busy machine
