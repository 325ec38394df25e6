# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Dead-letter queues and redrive: where messages go that keep failing."""

import json

import pytest

from sqsw import IMMEDIATE_RETURN, SQSEnv, create_standard_queue

pytestmark = pytest.mark.usefixtures("place")


def test_the_queue_gets_the_redrive_policy() -> None:
    sqs = SQSEnv()

    create_standard_queue(sqs, "emails_dead")
    create_standard_queue(sqs, "emails", redrive_policy=sqs.redrive_policy("emails_dead", 3))

    policy = json.loads(sqs.queue("emails").client.attributes()["RedrivePolicy"])
    assert policy["deadLetterTargetArn"] == sqs.get_queue_arn("emails_dead")
    assert int(policy["maxReceiveCount"]) == 3


def test_the_fourth_receive_moves_the_message() -> None:
    sqs = SQSEnv(backoff_policy=IMMEDIATE_RETURN)
    create_standard_queue(sqs, "emails_dead")
    create_standard_queue(sqs, "emails", redrive_policy=sqs.redrive_policy("emails_dead", 3))
    attempts = []

    @sqs.processor("emails", "send_email")
    def send_email(to):
        attempts.append(to)
        raise ConnectionError("the mail server is away")

    send_email.delay(to="ann@example.com")
    for _ in range(4):
        sqs.process_batch("emails", wait_seconds=1)
    assert attempts == ["ann@example.com"] * 3

    (dead,) = sqs.queue("emails_dead").get_raw_messages(wait_seconds=2)
    assert json.loads(dead.body) == {"to": "ann@example.com"}
    assert dead.string_attribute("JobName") == "send_email"


def test_other_settings_can_be_set_at_creation() -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails", message_retention_period=3600, visibility_timeout=77)
    attributes = sqs.queue("emails").client.attributes()
    # ElasticMQ accepts it but does not return it.
    assert attributes.get("MessageRetentionPeriod", "3600") == "3600"
    assert attributes["VisibilityTimeout"] == "77"
