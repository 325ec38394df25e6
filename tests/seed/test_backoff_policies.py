# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Backoff policies: when a failed task runs again."""

import pytest

from sqsw import DEFAULT_BACKOFF, IMMEDIATE_RETURN, SQSEnv, create_standard_queue
from sqsw.backoff_policies import ConstantBackoff, ExponentialBackoff

pytestmark = pytest.mark.usefixtures("place")


def test_the_default_policy_of_a_queue_hides_failed_messages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sqs = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_standard_queue(sqs, "emails")

    queue = sqs.queue("emails", backoff_policy=DEFAULT_BACKOFF)

    @queue.processor("send_email")
    def send_email(to, subject, body):
        print(f"Sending email {subject} to {to}")
        raise ConnectionError("the mail server is away")

    assert queue.backoff_policy is DEFAULT_BACKOFF
    send_email.delay(to="ann", subject="Hello", body="")
    assert queue.process_batch(wait_seconds=1).failed_count() == 1
    assert queue.process_batch().total_count() == 0
    assert capsys.readouterr().out == "Sending email Hello to ann\n"


def test_a_queue_can_return_failed_messages_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")

    queue = sqs.queue("emails", backoff_policy=IMMEDIATE_RETURN)

    @queue.processor("send_email")
    def send_email(to, subject, body):
        print(f"Sending email {subject} to {to}")
        raise ConnectionError("the mail server is away")

    send_email.delay(to="ann", subject="Hello", body="")
    for _ in range(3):
        assert queue.process_batch(wait_seconds=1).failed_count() == 1
    assert capsys.readouterr().out == "Sending email Hello to ann\n" * 3


def test_queues_use_the_policy_of_the_environment() -> None:
    policy = ConstantBackoff(backoff_value=7)
    sqs = SQSEnv(backoff_policy=policy)
    assert sqs.queue("emails").backoff_policy is policy
    assert isinstance(SQSEnv().queue("emails").backoff_policy, ExponentialBackoff)
