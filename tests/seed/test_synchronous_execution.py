# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Synchronous execution: calling a task is refused; run() runs it."""

import pytest

from sqsw import SQSEnv
from sqsw.async_task import AsyncTask
from sqsw.batching import BatchMessages
from sqsw.memory_sqs import MemorySession


def test_a_task_cannot_be_called_and_run_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    env = SQSEnv(MemorySession())

    @env.queue("email").processor("send_email")
    def send_email(to, subject, body):
        print(f"Sending email {subject} to {to}")
        return "sent"

    with pytest.raises(RuntimeError) as caught:
        send_email(to="user@example.com", subject="Hello world", body="hello world")
    for hint in ("email.send_email", "run(", "delay("):
        assert hint in str(caught.value)
    assert capsys.readouterr().out == ""

    result = send_email.run(to="user@example.com", subject="Hello world", body="hello world")
    assert result == "sent"
    assert capsys.readouterr().out == "Sending email Hello world to user@example.com\n"


def test_run_passes_a_list_of_one_to_a_batch_function() -> None:
    env = SQSEnv(MemorySession())
    queue = env.queue("email", batching_policy=BatchMessages(10))

    @queue.processor("send_emails")
    def send_emails(jobs):
        return jobs

    task: AsyncTask[...] = send_emails
    assert task.run(to="ann@example.com") == [{"to": "ann@example.com"}]
    with pytest.raises(TypeError, match="keyword"):
        task.run("ann@example.com")
