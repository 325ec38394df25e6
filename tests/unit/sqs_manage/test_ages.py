"""What CloudWatch is asked, and what is made of its answer: it stands in for itself here."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.ages import with_cloudwatch_ages, with_local_ages
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.describe import list_queues

ANSWER = b"""<GetMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/">
<GetMetricDataResult><MetricDataResults>
<member><Id>q0</Id><Values><member>90.0</member><member>30.0</member></Values></member>
<member><Id>q1</Id><Values/></member>
</MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"""


class Raw:
    """The body of an answer."""

    def stream(self, *_: Any, **__: Any) -> Any:
        yield ANSWER


def test_the_newest_value_of_each_queue_counts() -> None:
    with closing(MemorySession()) as local:
        env = SQSEnv(local)
        create_queue(env, "emails")
        create_queue(env, "news")
        reports = list_queues(env)
    asked: list[bytes] = []

    def cloudwatch(request: Any, **_: Any) -> AWSResponse:
        asked.append(request.body)
        return AWSResponse(request.url, 200, {}, Raw())  # type: ignore[arg-type]  # as urllib3's

    session = boto3.session.Session("key", "secret", region_name="eu-west-1")
    listen: Any = session.events.register
    listen("before-send.cloudwatch", cloudwatch)
    aged = with_cloudwatch_ages(SQSEnv(session), reports)
    assert [report.oldest_age_s for report in aged] == [90.0, None]
    assert len(asked) == 1


def test_the_oldest_message_that_can_be_received_counts() -> None:
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
