"""How old the oldest message of a queue is: asked of the embedded SQS, or of CloudWatch."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqsw.sqs_manage.describe import QueueReport
from sqsw.sqs_manage.host import ManageHost

#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
_METRIC = "ApproximateAgeOfOldestMessage"
#: queries in one request of GetMetricData
_QUERIES = 500
#: CloudWatch hears of a queue each minute, and some minutes late
_PERIOD_SECONDS, _LOOK_BACK = 60, timedelta(minutes=15)


def with_local_ages(env: ManageHost, reports: Iterable[QueueReport]) -> list[QueueReport]:
    """The reports with the age of the oldest message that can be received; no receive is spent.

    Only the embedded SQS knows it; on others the age stays None.
    """
    return [replace(report, oldest_age_s=_local_age(env, report)) for report in reports]


def _local_age(env: ManageHost, report: QueueReport) -> float | None:
    messages = env.queue_client(report.url or report.name).peek()
    oldest = next(messages, None) if messages is not None else None
    if oldest is None:
        return None
    sent_at = int(oldest.attributes["SentTimestamp"]) / 1000
    return round(max(0.0, time.time() - sent_at), 3)


def with_cloudwatch_ages(env: ManageHost, reports: Sequence[QueueReport]) -> list[QueueReport]:
    """The reports with what CloudWatch last heard: one request for each 500 queues.

    A queue that was idle for hours has no age there. FIFO queues count too.

    Raises
    ------
    AccessDenied
        ``cloudwatch:GetMetricData`` is not allowed.
    """
    ages: dict[str, float] = {}
    names = [report.sqs_name for report in reports]
    for start in range(0, len(names), _QUERIES):
        ages.update(_ask(env, names[start : start + _QUERIES]))
    return [replace(report, oldest_age_s=ages.get(report.sqs_name)) for report in reports]


def _ask(env: ManageHost, names: Sequence[str]) -> dict[str, float]:
    now = datetime.now(UTC)
    queries = [
        {
            "Id": f"q{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": _METRIC,
                    "Dimensions": [{"Name": "QueueName", "Value": name}],
                },
                "Period": _PERIOD_SECONDS,
                "Stat": "Maximum",
            },
        }
        for index, name in enumerate(names)
    ]
    answer: Any = env.clients.call_other_service(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=queries,
        StartTime=now - _LOOK_BACK,
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    return {
        names[int(result["Id"][1:])]: result["Values"][0]
        for result in answer["MetricDataResults"]
        if result["Values"]
    }
