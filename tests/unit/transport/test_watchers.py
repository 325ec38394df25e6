"""Tracers, mocks, and handlers see every call; with the real packages and a real server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import botocore.client
import botocore.endpoint
import pytest
from botocore.stub import Stubber

from sqsw.core.errors import SQSError
from sqsw.sqs_env import SQSEnv
from tests.life.serving import ROOT, Serving, plain_variables, serving

#: the calls of make_calls(), in order
ACTIONS = [
    "GetQueueUrl",
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "ChangeMessageVisibilityBatch",
    "DeleteMessageBatch",
]

#: A context manager that watches the calls of an environment and returns the actions that it saw.
Watcher = Callable[[SQSEnv], AbstractContextManager[list[str]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving("--memory", cwd=tmp_path_factory.mktemp("watched")) as running:
        for region in ("local", "us-east-1"):
            running.client(region=region).create_queue(QueueName="jobs")
        yield running


@pytest.fixture(autouse=True)
def variables(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "local")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")


@pytest.fixture(params=["own session", "boto3 session"])
def env(request: pytest.FixtureRequest) -> SQSEnv:
    return SQSEnv(boto3.session.Session() if request.param == "boto3 session" else None)


def make_calls(env: SQSEnv) -> None:
    queue = env.queue_client("jobs")
    queue.send({"MessageBody": "one"})
    queue.send_batch([{"MessageBody": "two"}])
    messages = queue.receive(10, wait_seconds=1)
    assert queue.change_visibility_batch([(message, 60) for message in messages]) == []
    assert queue.delete_batch(messages) == []


# -- watchers -------------------------------------------------------------------------------------


@contextmanager
def opentelemetry(env: SQSEnv) -> Iterator[list[str]]:
    pytest.importorskip("opentelemetry.instrumentation.botocore")
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    seen: list[str] = []
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make: Any = BotocoreInstrumentor  # it has no types
    instrumentor = make()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield seen
    finally:
        instrumentor.uninstrument()
        seen += [
            str((span.attributes or {})["rpc.method"]) for span in exporter.get_finished_spans()
        ]


@contextmanager
def xray(env: SQSEnv) -> Iterator[list[str]]:
    pytest.importorskip("aws_xray_sdk")
    from aws_xray_sdk.core import patch, xray_recorder

    seen: list[str] = []
    xray_recorder.configure(sampling=False, service="tests")
    segment = xray_recorder.begin_segment("tests")
    patch(["botocore"])
    try:
        yield seen
    finally:
        # The SDK cannot undo this patch.
        client: Any = botocore.client
        owners: list[tuple[Any, str]] = [
            (client.BaseClient, "_make_api_call"),
            (botocore.endpoint.Endpoint, "prepare_request"),
        ]
        for owner, name in owners:
            setattr(owner, name, vars(owner)[name].__wrapped__)
        del client._xray_enabled
        sys.modules["aws_xray_sdk.core.patcher"]._PATCHED_MODULES.clear()
        seen += [subsegment.aws["operation"] for subsegment in segment.subsegments]
        xray_recorder.clear_trace_entities()
        xray_recorder.emitter._socket.close()  # the SDK does not close it


@contextmanager
def handler_of_the_client(env: SQSEnv) -> Iterator[list[str]]:
    seen: list[str] = []

    def see(model: Any, **_: object) -> None:
        seen.append(model.name)

    events = env.sqs_client.meta.events
    events.register("after-call.sqs", see)
    try:
        yield seen
    finally:
        events.unregister("after-call.sqs", see)


# -- tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_used", [False, True], ids=["before the first call", "after it"])
@pytest.mark.parametrize("watch", [opentelemetry, xray, handler_of_the_client])
def test_a_watcher_sees_every_call_until_it_stops(
    watch: Watcher, is_used: bool, env: SQSEnv
) -> None:
    if is_used:
        make_calls(env)
        assert env.clients.way == ("wire", None)
    with watch(env) as seen:
        assert env.clients.way[0] == "boto3"
        make_calls(env)
    assert seen == ACTIONS

    make_calls(env)
    assert seen == ACTIONS
    assert env.clients.way == ("wire", None)


@pytest.mark.parametrize("is_used", [False, True], ids=["before the first call", "after it"])
def test_a_handler_on_the_session_sees_every_call(is_used: bool) -> None:
    session, seen = boto3.session.Session(), []
    env = SQSEnv(session)
    if is_used:
        make_calls(env)
        assert env.clients.way == ("wire", None)

    def see(model: Any, **_: object) -> None:
        seen.append(model.name)

    session.events.register("before-call", see)
    make_calls(env)
    assert seen == ACTIONS


@pytest.mark.parametrize("is_used", [False, True], ids=["before the first call", "after it"])
def test_a_stubber_answers_every_call(is_used: bool, env: SQSEnv) -> None:
    if is_used:
        make_calls(env)
    url = "https://sqs.local/1/jobs"
    done: Any = {"Successful": [{"Id": "0"}], "Failed": []}
    message = {"MessageId": "m", "ReceiptHandle": "h", "Body": "stubbed"}
    with Stubber(env.sqs_client) as stubber:
        stubber.add_response("get_queue_url", {"QueueUrl": url})
        stubber.add_response("send_message", {"MessageId": "m"})
        stubber.add_response("receive_message", {"Messages": [message]})
        stubber.add_response("change_message_visibility_batch", done)
        stubber.add_response("delete_message_batch", done)
        stubber.add_client_error("send_message", "InvalidMessageContents")
        queue = env.queue_client("jobs")
        assert queue.send({"MessageBody": "one"})["MessageId"] == "m"
        received = queue.receive()
        assert [one.body for one in received] == ["stubbed"]
        assert queue.change_visibility_batch([(received[0], 1)]) == []
        assert queue.delete_batch(received) == []
        with pytest.raises(SQSError):
            queue.send({"MessageBody": "two"})
        stubber.assert_no_pending_responses()

    make_calls(env)
    assert env.clients.way == ("wire", None)


def test_a_replaced_method_of_the_client_is_called(env: SQSEnv) -> None:
    make_calls(env)
    with mock.patch.object(env.sqs_client, "receive_message", return_value={}) as replaced:
        assert env.queue_client("jobs").receive() == []
    assert replaced.call_count == 1
    make_calls(env)
    assert env.clients.way == ("wire", None)


def test_calls_use_the_quick_client_with_a_tracer_on_each_client(env: SQSEnv) -> None:
    """Datadog's tracer registers a handler on each client when the client makes its first call."""
    seen: list[str] = []

    def trace(model: Any, **_: object) -> None:
        seen.append(model.name)

    trace.__module__ = "ddtrace.contrib.internal.botocore.patch"
    env.sqs_client.meta.events.register("before-call.sqs", trace)
    make_calls(env)
    assert "SendMessage" in seen and "DeleteMessageBatch" not in seen


@pytest.mark.parametrize("session", ["own session", "boto3 session"])
@pytest.mark.parametrize(
    "case",
    ["mock_then_use", "use_then_mock", "decorator", "use_then_import_moto"],
)
def test_moto_answers_every_call_while_it_mocks(case: str, session: str) -> None:
    # In a separate process: once imported, moto keeps a handler on all new sessions.
    pytest.importorskip("moto")
    program = [sys.executable, "-m", "tests.unit.transport.moto_program", case, session]
    variables = {name: value for name, value in os.environ.items() if "ENDPOINT" not in name}
    variables["AWS_DEFAULT_REGION"] = "eu-west-1"
    done = subprocess.run(
        program, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "moto answered, and only while it mocked\n"


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="system settings can have proxies there"
)
@pytest.mark.parametrize(
    ("case", "package"),
    [
        ("plain", "httptools"),
        ("tracer_that_waits_for_botocore", "wrapt"),
        ("tracer_that_starts_later", "opentelemetry.instrumentation.botocore"),
        ("recorder_of_http", "http.client"),
        ("handler_of_the_client", "botocore"),
        ("moto_that_is_imported_later", "moto"),
        ("error_of_sqs", "botocore"),
        ("import_during_calls", "boto3"),
    ],
)
def test_a_process_that_starts_without_botocore_can_be_watched(
    case: str, package: str, server: Serving, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    program = [sys.executable, "-m", "tests.unit.transport.plain_program", case]
    done = subprocess.run(
        program,
        cwd=ROOT,
        env=plain_variables(tmp_path, server.url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
