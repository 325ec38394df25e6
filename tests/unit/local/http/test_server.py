"""Parts of the HTTP server, without a server: addresses, metrics, polls, internal errors."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import FileFull, FileLocked
from sqsw.local.http import server
from sqsw.local.http.app import HttpApp
from sqsw.local.http.metrics import Metrics
from sqsw.web.request_guard import RequestGuard
from tests.unit.local.manual import Calls


class Asked:
    """A request to an application without a server, and its response."""

    def __init__(self, path: str = "/", body: bytes = b"", method: str = "POST") -> None:
        self.scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
            "client": ("127.0.0.1", 1),
        }
        self.events: list[dict[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": False}
        ]
        self.gone = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self.events:
            return self.events.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)

    async def ask(self, app: HttpApp) -> "Asked":
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> str:
        text: str = self.sent[1]["body"].decode()
        return text


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


@pytest.fixture
def app(sqs: Calls) -> HttpApp:
    return HttpApp(sqs.engine, "h:1", "local", RequestGuard("127.0.0.1", ["h"]))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback_hosts_are_recognized(host: str, expected: bool) -> None:
    assert server.is_loopback(host) is expected


def test_an_unknown_host_name_is_not_loopback() -> None:
    assert not server.is_loopback("nobody.invalid")
    assert not server.is_loopback("n" * 64)


def test_a_url_names_a_reachable_host() -> None:
    assert [server.reachable(host) for host in ("h", "0.0.0.0", "", "::", "::1")] == [
        *("h", "127.0.0.1", "127.0.0.1", "[::1]", "[::1]")
    ]


def test_metrics_count_requests_and_describe_queues(sqs: Calls) -> None:
    url = sqs.make("q")
    sqs("SendMessage", QueueUrl=url, MessageBody="x", DelaySeconds=5)
    metrics = Metrics()
    metrics.count("SendMessage", 200)
    metrics.count("made up", 400)
    metrics.count("made up as well", 400)
    lines = metrics.text(sqs.engine.store).splitlines()
    assert 'sqsw_requests_total{operation="SendMessage",status="200"} 1' in lines
    assert 'sqsw_requests_total{operation="unknown",status="400"} 2' in lines
    assert 'sqsw_queue_messages{region="local",queue="q",state="delayed"} 1' in lines
    assert all(line.startswith(("# HELP ", "# TYPE ", "sqsw_")) for line in lines)


def test_quotes_in_a_region_are_escaped_in_metrics(sqs: Calls) -> None:
    sqs.engine.handle("CreateQueue", {"QueueName": "q"}, region='a"b\\c\nd')
    lines = Metrics().text(sqs.engine.store).splitlines()
    label = r'region="a\"b\\c\nd"'
    assert f'sqsw_queue_messages{{{label},queue="q",state="visible"}} 0' in lines


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ZeroDivisionError("secret"), 500, "InternalFailure"),
        (FileFull("f.db"), 500, "InternalFailure"),
        (FileLocked("f.db"), 503, "ServiceUnavailable"),
    ],
)
def test_internal_errors_are_answered_and_logged(
    app: HttpApp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
) -> None:
    def fail(*args: object, **keywords: object) -> None:
        raise error

    monkeypatch.setattr(LocalEngine, "handle", fail)

    async def main() -> None:
        asked = await Asked(body=b"Action=ListQueues").ask(app)
        assert asked.status == status
        assert f"<Type>Receiver</Type><Code>{code}</Code>" in asked.body
        assert "secret" not in asked.body

    with caplog.at_level(logging.INFO, "sqsw.serve"):
        run(main)
    assert caplog.records[-1].__dict__["status"] == status


def test_a_failed_health_check_does_not_show_the_file_name(
    app: HttpApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> str:
        raise FileFull("f.db", "no room")

    monkeypatch.setattr(Metrics, "text", fail)

    async def main() -> None:
        asked = await Asked("/health", method="GET").ask(app)
        assert asked.status == 503
        reason = f"the file cannot be used: {FileFull.why}"
        assert json.loads(asked.body) == {"status": "failing", "error": reason}

    run(main)
    assert "f.db: no room" in [record.__dict__.get("error") for record in caplog.records]


def test_requests_for_pages_are_not_counted(app: HttpApp) -> None:
    async def main() -> None:
        for path in ("/health", "/metrics", "/metrics"):
            asked = await Asked(path, method="GET").ask(app)
            assert asked.status == 200
        assert "sqsw_requests_total{" not in asked.body
        await Asked(body=b"Action=Nonsense").ask(app)
        asked = await Asked("/metrics", method="GET").ask(app)
        assert 'sqsw_requests_total{operation="unknown",status="400"} 1' in asked.body

    run(main)


def test_a_client_that_disconnects_during_its_request_gets_no_answer(app: HttpApp) -> None:
    async def main() -> None:
        asked = Asked()
        asked.events = [
            {"type": "http.request", "body": b"half", "more_body": True},
            {"type": "http.disconnect"},
        ]
        await asked.ask(app)
        assert asked.sent == []

    run(main)


def test_a_receive_ends_when_its_client_disconnects(app: HttpApp, sqs: Calls) -> None:
    url = sqs.make("q")

    async def main() -> None:
        asked = Asked("/000000000000/q", b"Action=ReceiveMessage&WaitTimeSeconds=20")
        task = asyncio.create_task(asked.ask(app))
        while not app.metrics.waiting:
            await asyncio.sleep(0)
        asked.gone.set()
        await asyncio.wait_for(task, 10)
        assert asked.sent == []
        assert app.metrics.waiting == 0

    run(main)
    sqs("SendMessage", QueueUrl=url, MessageBody="x")
    assert len(sqs.receive(url)) == 1


def test_messages_of_a_disconnected_client_return_to_the_queue(
    app: HttpApp, sqs: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client disconnects while a thread receives, because another program locked the file."""
    url = sqs.make("q")

    async def main() -> None:
        asked = Asked("/000000000000/q", b"Action=ReceiveMessage&WaitTimeSeconds=20")

        async def in_a_thread(call: Callable[[], Any]) -> Any:
            result = call()
            if isinstance(result, dict) and result.get("Messages"):
                asked.gone.set()
                await asyncio.sleep(0.05)
            return result

        monkeypatch.setattr("sqsw.local.http.polling.without_waiting", in_a_thread)
        task = asyncio.create_task(asked.ask(app))
        while not app.metrics.waiting:
            await asyncio.sleep(0)
        sqs("SendMessage", QueueUrl=url, MessageBody="x")
        await asyncio.wait_for(task, 10)
        assert asked.sent == []

    run(main)
    assert len(sqs.receive(url)) == 1


def test_stopping_ends_waiting_receives(app: HttpApp, sqs: Calls) -> None:
    sqs.make("q")

    async def main() -> None:
        early = Asked("/000000000000/q", b"Action=ReceiveMessage&WaitTimeSeconds=20")
        task = asyncio.create_task(early.ask(app))
        while not app.metrics.waiting:
            await asyncio.sleep(0)
        app.end()
        await asyncio.wait_for(task, 10)
        late = Asked("/000000000000/q", b"Action=ReceiveMessage&WaitTimeSeconds=20")
        await asyncio.wait_for(late.ask(app), 10)
        assert [early.status, late.status] == [200, 200]

    run(main)


def test_the_server_does_not_import_boto() -> None:
    code = (
        "import sys, sqsw.local.http.server, sqsw.local.http.connection;"
        "sys.exit(any(name.startswith('boto') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
