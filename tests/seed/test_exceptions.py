# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Exception processing: errors are logged, and the job returns to the queue after a while."""

import logging

import pytest

from sqsw import IMMEDIATE_RETURN, ConstantBackoff, RetryJob, SQSEnv, create_standard_queue

pytestmark = pytest.mark.usefixtures("place")


def test_a_failed_job_comes_back_and_can_succeed() -> None:
    sqs = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_standard_queue(sqs, "emails")
    attempts = []

    @sqs.processor("emails", "send_email")
    def send_email(to):
        attempts.append(to)
        if len(attempts) < 3:
            raise ConnectionError("the mail server is away")

    send_email.delay(to="ann@example.com")
    outcomes = [sqs.process_batch("emails", wait_seconds=1) for _ in range(3)]
    assert [(r.succeeded_count(), r.failed_count()) for r in outcomes] == [(0, 1), (0, 1), (1, 0)]
    assert sqs.process_batch("emails").total_count() == 0


def test_a_failed_job_stays_hidden_for_its_backoff() -> None:
    sqs = SQSEnv(backoff_policy=ConstantBackoff(600))
    create_standard_queue(sqs, "emails")

    @sqs.processor("emails", "send_email")
    def send_email(to):
        raise ConnectionError("the mail server is away")

    send_email.delay(to="ann@example.com")
    assert sqs.process_batch("emails", wait_seconds=1).failed_count() == 1
    assert sqs.process_batch("emails").total_count() == 0


def test_a_job_can_ask_for_a_retry_at_a_certain_time() -> None:
    sqs = SQSEnv(backoff_policy=ConstantBackoff(600))
    create_standard_queue(sqs, "emails")
    attempts = []

    @sqs.processor("emails", "send_email")
    def send_email(to):
        attempts.append(to)
        if len(attempts) == 1:
            raise RetryJob(IMMEDIATE_RETURN)
        if len(attempts) == 2:
            raise RetryJob(backoff_policy=IMMEDIATE_RETURN)

    send_email.delay(to="ann@example.com")
    outcomes = [sqs.process_batch("emails", wait_seconds=1) for _ in range(3)]
    assert [r.succeeded_count() for r in outcomes] == [0, 0, 1]


def test_a_requested_retry_is_logged_with_its_policy(caplog) -> None:
    caplog.set_level(logging.INFO)
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")

    @sqs.processor("emails", "send_email")
    def send_email(to):
        raise RetryJob(backoff_policy=IMMEDIATE_RETURN)

    send_email.delay(to="ann@example.com")
    assert sqs.process_batch("emails", wait_seconds=1).failed_count() == 1
    (record,) = [record for record in caplog.records if "Retrying" in record.message]
    assert record.levelname == "INFO"
    assert hasattr(record, "backoff_policy")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_job_without_a_processor_fails_and_is_not_deleted() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    sqs.queue("emails").add_job("nobody_knows", to="ann@example.com")
    result = sqs.process_batch("emails", wait_seconds=1)
    assert (result.succeeded_count(), result.failed_count()) == (0, 1)
    attributes = sqs.queue("emails").client.attributes()
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_the_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")

    @sqs.processor("emails", "send_email")
    def send_email(to):
        raise ConnectionError("the mail server is away")

    send_email.delay(to="ann@example.com")
    sqs.process_batch("emails", wait_seconds=1)
    assert "ConnectionError: the mail server is away" in caplog.text
