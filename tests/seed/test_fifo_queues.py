# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""FIFO queues: names that end with .fifo, deduplication ids and message groups."""

import json
from typing import Any

import pytest

from sqsw import SQSEnv, SQSError, create_fifo_queue
from tests.seed.conftest import receive, work

pytestmark = pytest.mark.usefixtures("place")


def test_a_fifo_queue_with_a_dead_letter_queue_accepts_jobs() -> None:
    sqs = SQSEnv()

    create_fifo_queue(sqs, "emails_dead.fifo")
    create_fifo_queue(sqs, "emails.fifo", redrive_policy=sqs.redrive_policy("emails_dead.fifo", 3))

    seen = []

    @sqs.processor("emails.fifo", "send_email")
    def send_email(to):
        seen.append(to)

    subject, email = "Hello", "ann@example.com"
    kwargs: dict[str, Any] = {"to": "ann@example.com"}
    sqs.queue("emails.fifo").add_job(
        "send_email", _deduplication_id=subject, _group_id=email, **kwargs
    )
    # The same deduplication id again: SQS accepts the message and does not deliver it.
    sqs.queue("emails.fifo").add_job(
        "send_email", _deduplication_id=subject, _group_id=email, **kwargs
    )
    assert work(sqs, "emails.fifo", 1) == (1, 0)
    assert sqs.process_batch("emails.fifo").total_count() == 0
    assert seen == ["ann@example.com"]

    policy = json.loads(sqs.queue("emails.fifo").client.attributes()["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == 3
    assert policy["deadLetterTargetArn"] == sqs.get_queue_arn("emails_dead.fifo")


def test_the_default_message_group_is_default() -> None:
    sqs = SQSEnv()
    create_fifo_queue(sqs, "emails.fifo")
    queue = sqs.queue("emails.fifo")
    queue.add_job("send_email", _deduplication_id="1", to="ann")
    queue.add_job("send_email", _deduplication_id="2", _group_id="bob", to="bob")
    groups = {json.loads(m.body)["to"]: m.group_id for m in receive(queue, 2)}
    assert groups == {"ann": "default", "bob": "bob"}


def test_a_deduplication_id_is_required_unless_the_queue_deduplicates_by_content() -> None:
    sqs = SQSEnv()
    create_fifo_queue(sqs, "plain.fifo")
    with pytest.raises(SQSError, match="deduplication id"):
        sqs.queue("plain.fifo").add_job("send_email", to="ann")

    create_fifo_queue(sqs, "content.fifo", content_based_deduplication=True)
    queue = sqs.queue("content.fifo")
    queue.add_job("send_email", to="ann")
    queue.add_job("send_email", to="ann")
    queue.add_job("send_email", to="bob")
    assert len(receive(queue, 2)) == 2
    assert queue.get_raw_messages() == []


def test_jobs_of_a_group_run_in_the_order_of_sending() -> None:
    sqs = SQSEnv()
    create_fifo_queue(sqs, "emails.fifo")
    seen = []

    @sqs.processor("emails.fifo", "count")
    def count(number):
        seen.append(number)

    with count.batch():
        for number in range(12):
            count.delay(number, _deduplication_id=str(number), _group_id="one")
    assert work(sqs, "emails.fifo", 12) == (12, 0)
    assert seen == list(range(12))
