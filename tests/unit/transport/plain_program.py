"""Make calls in a process that starts without botocore, and start to watch them later.

    python -m tests.unit.transport.plain_program CASE

The environment variables name a server with an empty queue ``jobs``.
"""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqsw.core.errors import QueueNotFound
from sqsw.sqs_env import SQSEnv

#: the calls of make_calls(), in order
ACTIONS = ["GetQueueUrl", "SendMessage", "ReceiveMessage", "DeleteMessageBatch"]


def make_calls(env: SQSEnv) -> None:
    queue = env.queue_client("jobs")
    queue.send({"MessageBody": "one"})
    messages = queue.receive(10, wait_seconds=1)
    assert [message.body for message in messages] == ["one"]
    assert queue.delete_batch(messages) == []


def plain(env: SQSEnv) -> None:
    """Make calls without botocore."""
    make_calls(env)
    assert env.clients.way == ("wire", None)
    assert not {"botocore", "boto3", "urllib3", "http.client"} & set(sys.modules)


def tracer_that_waits_for_botocore(env: SQSEnv) -> None:
    """Datadog, New Relic, and others patch botocore when it is imported."""
    import wrapt

    seen: list[str] = []

    def trace(wrapped: Any, instance: Any, args: Any, keywords: Any) -> Any:
        seen.append(args[0])
        return wrapped(*args, **keywords)

    wrapt.register_post_import_hook(
        lambda module: wrapt.wrap_function_wrapper(module, "BaseClient._make_api_call", trace),
        "botocore.client",
    )
    make_calls(env)
    assert seen == ACTIONS


def tracer_that_starts_later(env: SQSEnv) -> None:
    plain(env)
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make: Any = BotocoreInstrumentor  # it has no types
    make().instrument(tracer_provider=provider)
    make_calls(env)
    spans = exporter.get_finished_spans()
    assert [(span.attributes or {})["rpc.method"] for span in spans] == ACTIONS


def recorder_of_http(env: SQSEnv) -> None:
    plain(env)
    import http.client

    seen: list[object] = []
    owner: Any = http.client.HTTPConnection
    original = owner.getresponse

    def getresponse(connection: object) -> Any:
        seen.append(connection)
        return original(connection)

    owner.getresponse = getresponse
    make_calls(env)
    assert len(seen) == len(ACTIONS)


def handler_of_the_client(env: SQSEnv) -> None:
    plain(env)
    seen: list[str] = []
    env.sqs_client.meta.events.register(
        "before-call.sqs", lambda model, **_: seen.append(model.name)
    )
    make_calls(env)
    assert seen == ACTIONS


def moto_that_is_imported_later(env: SQSEnv) -> None:
    plain(env)
    from moto import mock_aws

    with mock_aws():
        assert env.clients.way[0] == "boto3"
    make_calls(env)


def error_of_sqs(env: SQSEnv) -> None:
    """botocore raises the error; later calls use the wire again."""
    plain(env)
    try:
        env.queue_client("missing").send({"MessageBody": "one"})
    except QueueNotFound:
        make_calls(env)
        assert env.clients.way == ("wire", None)
        return
    raise AssertionError("there is a queue 'missing'")


def import_during_calls(env: SQSEnv) -> None:
    queue = env.queue_client("jobs")

    def send(thread: int) -> None:
        for number in range(25):
            queue.send({"MessageBody": f"{thread}-{number}"})
            if (thread, number) == (0, 5):
                import boto3

                boto3.session.Session()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    received: Counter[str] = Counter()
    while messages := queue.receive(10, visibility_timeout=600):
        received.update(message.body for message in messages)
        assert queue.delete_batch(messages) == []
    assert received == Counter({f"{t}-{n}": 1 for t in range(8) for n in range(25)})


_CASES: dict[str, Callable[[SQSEnv], None]] = {
    case.__name__: case
    for case in (
        plain,
        tracer_that_waits_for_botocore,
        tracer_that_starts_later,
        recorder_of_http,
        handler_of_the_client,
        moto_that_is_imported_later,
        error_of_sqs,
        import_during_calls,
    )
}

if __name__ == "__main__":
    _CASES[sys.argv[1]](SQSEnv())
    print("done")
