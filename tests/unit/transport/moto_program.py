"""Make calls before, during, and after a moto mock.

    python -m tests.unit.transport.moto_program CASE SESSION

This process has no network, so a call that moto does not answer fails.
"""

import socket
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import boto3

from sqsw.core.errors import ConnectionFailed
from sqsw.sqs_env import SQSEnv


def make_calls(env: SQSEnv) -> None:
    """Create a queue, then send, receive, hide, and delete two messages."""
    boto3.client("sqs").create_queue(QueueName="jobs")
    queue = env.queue_client("jobs")
    queue.send({"MessageBody": "one"})
    queue.send_batch([{"MessageBody": "two"}])
    messages = queue.receive(10)
    assert {message.body for message in messages} == {"one", "two"}
    assert queue.change_visibility_batch([(message, 60) for message in messages]) == []
    assert queue.delete_batch(messages) == []


def fail(env: SQSEnv) -> None:
    """Make a call that cannot reach a server."""
    try:
        env.queue_client("jobs").send({"MessageBody": "lost"})
    except ConnectionFailed:
        return
    raise AssertionError("the call was answered")


def mock_then_use(env: SQSEnv) -> None:
    from moto import mock_aws

    for _ in range(2):
        with mock_aws():
            make_calls(env)
        fail(env)


def use_then_mock(env: SQSEnv) -> None:
    from moto import mock_aws

    fail(env)
    mocked = mock_aws()
    mocked.start()
    make_calls(env)
    mocked.stop()
    fail(env)


def decorator(env: SQSEnv) -> None:
    from moto import mock_aws

    mocked: Callable[[SQSEnv], None] = mock_aws(make_calls)
    mocked(env)
    fail(env)
    mocked(env)


def use_then_import_moto(env: SQSEnv) -> None:
    fail(env)
    assert env.clients.way == ("wire", None)
    from moto import mock_aws
    from moto.core.models import patch_client

    with mock_aws():
        patch_client(env.sqs_client)  # as moto's documentation says for existing clients
        make_calls(env)
    fail(env)


#: cases in which moto is imported before a session is created; it does not affect older sessions
IMPORTED_FIRST = {case.__name__: case for case in (mock_then_use, use_then_mock, decorator)}


def main(case: str, session: str) -> None:
    run = IMPORTED_FIRST.get(case, use_then_import_moto)
    if run is not use_then_import_moto:
        import moto  # noqa: F401 - for its effect
    made: Any = boto3.session.Session() if session == "boto3 session" else None
    no_network = OSError("there is no network here")
    with mock.patch.object(socket, "getaddrinfo", side_effect=no_network):
        run(SQSEnv(made, retry_max_attempts=1))
    print("moto answered, and only while it mocked")


if __name__ == "__main__":
    main(*sys.argv[1:])
