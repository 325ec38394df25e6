"""The age of the oldest message, from the embedded SQS and from CloudWatch."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.describe import list_queues, with_cloudwatch_ages, with_local_ages


def test_cloudwatch_ages_are_the_latest_value_of_each_queue(mocked_session: Any) -> None:
    with closing(MemorySession()) as local:
        env = SQSEnv(local)
        create_queue(env, "emails")
        create_queue(env, "news")
        reports = list_queues(env)
    now = datetime.now(UTC)
    cloudwatch: Any = mocked_session.client("cloudwatch")
    for minutes, age in ((1, 90.0), (5, 30.0), (60, 7000.0)):
        cloudwatch.put_metric_data(
            Namespace="AWS/SQS",
            MetricData=[
                {
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": "emails"}],
                    "Timestamp": now - timedelta(minutes=minutes),
                    "Value": age,
                }
            ],
        )
    aged = with_cloudwatch_ages(SQSEnv(mocked_session), reports)
    assert [report.oldest_age_s for report in aged] == [90.0, None]


def test_local_ages_are_those_of_the_oldest_available_message() -> None:
    with closing(MemorySession()) as session:
        env = SQSEnv(session)
        create_queue(env, "emails")
        before = list_queues(env)
        assert with_local_ages(env, before) == before
        env.add_job("emails", "a")
        (report,) = with_local_ages(env, before)
        assert report.oldest_age_s is not None
        assert replace(report, oldest_age_s=None) == before[0]
        assert 0 <= report.oldest_age_s < 60
