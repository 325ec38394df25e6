"""The aws command, in a shell that has read the output of ``sqsw serve --print-env``."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends import wait_until
from tests.clients.support import KEY, KEY_OF_SERVER, PATIENCE, assert_empty, environment, fetched
from tests.life import serving as life
from tests.life.serving import Serving, serving


class Shell:
    """Runs lines in a shell that uses the server as a user's shell would."""

    def __init__(self, server: Serving, directory: Path) -> None:
        self.server, self._directory = server, directory
        print_env = [sys.executable, "-m", "sqsw_cli", "serve", "--print-env"]
        printed = subprocess.run(
            [*print_env, "--port", str(server.port)],
            env=life.environment() | KEY_OF_SERVER,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        self._exports = printed.stdout
        # The printed lines set the rest. They name the key but do not contain it.
        self._env = KEY_OF_SERVER | {
            name: value
            for name, value in environment(server).items()
            if name == "AWS_CONFIG_FILE" or not name.startswith("AWS_")
        }

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run an aws command of SQS."""
        line = shlex.join(
            [fetched("python/bin/python"), "-m", "awscli", "sqs", *words, "--output", "json"]
        )
        return subprocess.run(
            ["sh", "-c", f"{self._exports}\nexec {line}"],
            cwd=self._directory,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def answer(self, *words: str) -> Any:
        """Run a command that must succeed; return its answer."""
        done = self(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    fetched("python/bin/aws")
    directory = tmp_path_factory.mktemp("aws")
    with serving("--local=aws.db", cwd=directory, env=KEY_OF_SERVER) as server:
        yield Shell(server, directory)


def test_send_receive_and_delete(aws: Shell) -> None:
    url = aws.answer("create-queue", "--queue-name", "jobs", "--tags", "team=a b")["QueueUrl"]
    assert aws.answer("list-queues")["QueueUrls"] == [url]
    colour = '{"colour": {"DataType": "String", "StringValue": "blue"}}'
    at = ("--queue-url", url)
    sent = aws.answer("send-message", *at, "--message-body", "é", "--message-attributes", colour)
    everything = ("--attribute-names", "All", "--message-attribute-names", "All")
    (message,) = aws.answer("receive-message", *at, *everything)["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "é"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert message["MessageAttributes"]["colour"]["StringValue"] == "blue"
    attributes = aws.answer("get-queue-attributes", *at, "--attribute-names", "All")["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"
    aws.answer("delete-message", *at, "--receipt-handle", message["ReceiptHandle"])
    assert aws.answer("receive-message", *at) is None
    assert_empty(aws.server.client(*KEY), "jobs")


def test_dead_letters_are_moved_back(aws: Shell) -> None:
    client = aws.server.client(*KEY)
    client.create_queue(QueueName="dead")
    arn = "arn:aws:sqs:local:000000000000:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    attributes = json.dumps({"RedrivePolicy": policy})
    aws.answer("create-queue", "--queue-name", "source", "--attributes", attributes)
    client.send_message(QueueUrl="source", MessageBody="job")
    client.receive_message(QueueUrl="source", VisibilityTimeout=0)
    assert not client.receive_message(QueueUrl="source").get("Messages")
    assert aws.answer("start-message-move-task", "--source-arn", arn)["TaskHandle"]

    def is_over() -> bool:
        (task,) = aws.answer("list-message-move-tasks", "--source-arn", arn)["Results"]
        return bool(task["Status"] == "COMPLETED")

    wait_until(is_over, PATIENCE, "the move")
    (message,) = client.receive_message(QueueUrl="source")["Messages"]
    assert message["Body"] == "job"
    client.delete_message(QueueUrl="source", ReceiptHandle=message["ReceiptHandle"])
    assert_empty(client, "source", "dead")


def test_a_missing_queue(aws: Shell) -> None:
    done = aws("get-queue-url", "--queue-name", "nobody")
    assert done.returncode == 255
    assert (
        "An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl "
        "operation: The specified queue does not exist."
    ) in done.stderr
    assert done.stdout == ""
