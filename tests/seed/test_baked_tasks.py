# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Baked tasks: a task together with its arguments."""

import pytest

from sqsw import SQSEnv, create_standard_queue
from tests.seed.conftest import work

pytestmark = pytest.mark.usefixtures("place")


def test_a_baked_task_is_the_same_as_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    queue = sqs.queue("emails")

    @queue.processor("send_email")
    def send_email(to, subject, body):
        print(f"Sending email {subject} to {to}: {body}")

    task = send_email.bake(to="user@example.com", subject="Hello world", body="hello world")
    task.delay()
    send_email.delay(to="user@example.com", subject="Hello world", body="hello world")

    work(sqs, "emails", 2)
    line = "Sending email Hello world to user@example.com: hello world\n"
    assert capsys.readouterr().out == line * 2


def test_a_baked_task_can_be_sent_repeatedly() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    seen = []

    @sqs.processor("emails", "send_email")
    def send_email(to):
        seen.append(to)

    task = send_email.bake("ann@example.com")
    task.delay()
    task.delay()
    work(sqs, "emails", 2)
    assert seen == ["ann@example.com"] * 2


def test_a_wrong_call_fails_in_bake() -> None:
    sqs = SQSEnv()

    @sqs.processor("emails", "send_email")
    def send_email(to):
        raise AssertionError

    with pytest.raises(TypeError, match="subject"):
        send_email.bake(to="ann", subject="no such parameter")  # type: ignore[call-arg]  # wrong
