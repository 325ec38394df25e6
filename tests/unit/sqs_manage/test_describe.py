from typing import Any

import pytest

from sqsw.core.errors import QueueNotFound
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.describe import describe_queue, list_queues
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import dead_letter, send_jobs


def test_a_queue_is_described_in_detail(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    dead_letter(env, emails)
    send_jobs(env, emails, {"n": 3}, {"n": 4}, {"n": 5})
    env.queue_client(emails).receive(1)
    report = describe_queue(env, emails)
    assert (report.visible, report.in_flight, report.delayed, report.total) == (2, 1, 0, 3)
    assert (report.dlq, report.dlq_visible, report.max_receives) == ("emails_dead", 2, 1)
    assert (report.action, report.fifo, report.tags) == (None, False, {})
    assert describe_queue(env, "emails_dead").sources == ("emails",)


def test_a_queue_can_be_given_by_url_or_arn(env: SQSEnv, emails: str) -> None:
    report = describe_queue(env, emails)
    assert report.url is not None and report.arn is not None
    assert describe_queue(env, report.url) == describe_queue(env, report.arn) == report


def test_a_missing_queue_is_not_found(env: SQSEnv) -> None:
    with pytest.raises(QueueNotFound):
        describe_queue(env, "nothing")


@pytest.mark.parametrize("code", ["AccessDenied", "UnknownOperationException", "InvalidAction"])
def test_values_without_permission_are_left_out(
    env: SQSEnv, emails: str, faults: Faults, code: str
) -> None:
    faults.refuse("ListQueueTags", code)
    faults.refuse("ListDeadLetterSourceQueues", code)
    report = describe_queue(env, emails)
    assert (report.tags, report.sources, report.visible) == (None, (), 0)


def test_a_missing_dead_letter_queue_has_no_depth(env: SQSEnv, emails: str, client: Any) -> None:
    client.delete_queue(QueueUrl=env.queue_client("emails_dead").url)
    assert describe_queue(env, emails).dlq_visible is None


def test_all_queues_with_the_prefix_with_one_request_each(
    env: SQSEnv, emails: str, orders: str, client: Any, faults: Faults
) -> None:
    client.create_queue(QueueName="stranger")
    faults.calls.clear()
    reports = list_queues(env)
    assert [report.name for report in reports] == [
        "emails",
        "emails_dead",
        "orders.fifo",
        "orders_dead.fifo",
    ]
    assert [report.dlq for report in reports] == ["emails_dead", None, "orders_dead.fifo", None]
    assert [report.dlq_visible for report in reports] == [0, None, 0, None]
    assert [report.sources for report in reports] == [(), ("emails",), (), ("orders.fifo",)]
    assert sorted(faults.calls) == ["GetQueueAttributes"] * 4 + ["ListQueues"]


def test_a_queue_that_was_deleted_since_it_was_listed_is_left_out(
    env: SQSEnv, client: Any, faults: Faults
) -> None:
    for name in ("a", "b"):
        create_queue(env, name)
    url = env.queue_client("a").url
    faults.before("GetQueueAttributes", lambda: client.delete_queue(QueueUrl=url), times=1)
    assert [report.name for report in list_queues(env)] == ["b"]


def test_the_list_is_empty_without_queues(env: SQSEnv) -> None:
    assert list_queues(env) == []
