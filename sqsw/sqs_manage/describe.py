"""Describe one queue in detail, or list all queues, with message ages."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqsw.core.errors import AccessDenied, QueueNotFound, SettingsError, SQSError
from sqsw.core.job_metadata import metadata_of
from sqsw.core.redrive_policy import redrive_target
from sqsw.core.times import read_milliseconds
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.parking_queue import PARKING_ATTRIBUTES, is_parking_queue
from sqsw.sqs_manage.queue_calls import is_unknown_operation, tags_of
from sqsw.sqs_manage.reasons import Reason, ReasonTally
from sqsw.transport.names import is_fifo, name_of_arn, name_of_url
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.queue_lookup import queue_urls

#: concurrent requests for many queues
_CONCURRENCY = 8

#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
_METRIC = "ApproximateAgeOfOldestMessage"
#: maximum queries per GetMetricData request
_QUERIES = 500
#: CloudWatch gets the metrics of a queue every minute, several minutes late
_PERIOD_SECONDS, _LOOK_BACK = 60, timedelta(minutes=15)

#: maximum messages to read for the reasons of a dead-letter queue
MAX_LOCAL_REASONS = 2_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The description of a queue. Unknown values are None.

    Attributes
    ----------
    name, sqs_name :
        The name without the prefix, and the full name in SQS.
    url, arn :
        The URL and ARN; None for a queue that does not exist yet.
    fifo :
        Whether it is a FIFO queue.
    action :
        What was done: ``created``, ``unchanged``, ``updated``, ``deleted``, ``purged``,
        ``would_create`` or ``would_update``; None if the queue was only read.
    visible, in_flight, delayed :
        Message counts. They are SQS's estimates, which lag by up to a minute.
    dlq, dlq_visible, max_receives :
        The name of its dead-letter queue, the visible messages there, and the receives after which
        a message goes there.
    sources :
        The names of the queues that use this one as their dead-letter queue.
    attributes :
        All attributes, by SQS's names.
    tags :
        The tags; None if they were not requested.
    oldest_age_s :
        The age of the oldest message in seconds, if requested and there is one.
    reasons :
        Why its dead letters were given up, most frequent reason first; None if not requested, or if
        reading them would need a receive.
    parked :
        The number of parked jobs in a parking queue; None for other queues.
    """

    name: str
    sqs_name: str
    url: str | None
    arn: str | None
    fifo: bool
    action: str | None
    visible: int | None
    in_flight: int | None
    delayed: int | None
    dlq: str | None
    dlq_visible: int | None
    max_receives: int | None
    sources: tuple[str, ...]
    attributes: Mapping[str, str]
    tags: Mapping[str, str] | None
    oldest_age_s: float | None = None
    reasons: tuple[Reason, ...] | None = None
    parked: int | None = None

    @property
    def total(self) -> int:
        """The total of ready, in-flight and delayed messages; unknown counts are zero."""
        return (self.visible or 0) + (self.in_flight or 0) + (self.delayed or 0)


def describe_queue(env: ManageEnv, queue: str) -> QueueReport:
    """Return a detailed description of a queue.

    Sources, tags and the depth of the dead-letter queue are missing if access to them is denied or
    an SQS-compatible server does not support them.

    Parameters
    ----------
    queue :
        A queue name without prefix, a queue URL or an ARN.

    Raises
    ------
    QueueNotFound
        The queue does not exist.
    """
    return describe(env, env.queue_client(queue))


def list_queues(env: ManageEnv) -> list[QueueReport]:
    """Return all queues with the prefix, sorted by name, without their tags.

    This takes one request for every thousand queues, one for each queue, and one for each queue
    whose settings are those of a parking queue, to read its tags.
    """
    urls = queue_urls(env.clients, env.queue_prefix)
    clients = [env.queue_client(url) for url in sorted(urls, key=name_of_url)]
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        found = list(pool.map(_attributes_if_there, clients))
        dead_letters = {redrive_target(attributes)[0] for attributes in found if attributes}
        parks = list(pool.map(partial(_parks, env, dead_letters), clients, found))
    reports = {
        attributes["QueueArn"]: _with_parked(report_of(env, client, attributes), is_parking)
        for client, attributes, is_parking in zip(clients, found, parks, strict=True)
        if attributes is not None
    }
    targets = {arn: redrive_target(report.attributes)[0] for arn, report in reports.items()}
    return [
        replace(
            report,
            dlq_visible=_visible_at(env, targets[arn], reports),
            sources=tuple(reports[source].name for source in reports if targets[source] == arn),
        )
        for arn, report in reports.items()
    ]


def describe(env: ManageEnv, client: QueueClient, action: str | None = None) -> QueueReport:
    """Return a detailed description of a queue, with the action that was done."""
    report = report_of(env, client, client.attributes(), action)
    sources = _if_allowed(client.dead_letter_sources)
    tags = _if_allowed(lambda: tags_of(client))
    return replace(
        _with_parked(report, is_parking_queue(env, client.name, tags)),
        dlq_visible=_visible_at(env, redrive_target(report.attributes)[0], {}),
        sources=tuple(env.name_of(name_of_url(url)) for url in sources or ()),
        tags=tags,
    )


def report_of(
    env: ManageEnv,
    client: QueueClient,
    attributes: Mapping[str, str],
    action: str | None = None,
    *,
    exists: bool = True,
) -> QueueReport:
    """Return a report from a queue's attributes; only its URL can need a request."""
    target, max_receives = redrive_target(attributes)

    def count(which: str) -> int | None:
        text = attributes.get(f"ApproximateNumberOfMessages{which}")
        return int(text) if text is not None else None

    return QueueReport(
        name=client.name,
        sqs_name=client.sqs_name,
        url=client.url if exists else None,
        arn=attributes.get("QueueArn"),
        fifo=is_fifo(client.sqs_name),
        action=action,
        visible=count(""),
        in_flight=count("NotVisible"),
        delayed=count("Delayed"),
        dlq=env.name_of(name_of_arn(target)) if target else None,
        dlq_visible=None,
        max_receives=max_receives,
        sources=(),
        attributes=dict(attributes),
        tags=None,
    )


def _with_parked(report: QueueReport, is_parking: bool) -> QueueReport:
    return replace(report, parked=report.total) if is_parking else report


def _parks(
    env: ManageEnv,
    dead_letters: Collection[str | None],
    client: QueueClient,
    attributes: Mapping[str, str] | None,
) -> bool:
    """Return whether this is a parking queue; read the tags only if its settings allow it.

    ``dead_letters`` has the ARNs of all dead-letter queues.
    """
    if attributes is None or client.is_fifo:
        return False
    if client.name == env.parking_queue:
        return True
    if "RedrivePolicy" in attributes or attributes["QueueArn"] in dead_letters:
        return False
    if not PARKING_ATTRIBUTES.items() <= attributes.items():
        return False
    return is_parking_queue(env, client.name, _if_allowed(lambda: tags_of(client)))


def _attributes_if_there(client: QueueClient) -> dict[str, str] | None:
    try:
        return client.attributes()
    except QueueNotFound:
        return None  # just deleted; SQS lists a deleted queue for up to a minute


def _visible_at(env: ManageEnv, arn: str | None, known: Mapping[str, QueueReport]) -> int | None:
    """Return the number of visible messages in the queue with this ARN, if any."""
    if arn is None:
        return None
    if arn in known:
        return known[arn].visible
    name = "ApproximateNumberOfMessages"
    counts = _if_allowed(lambda: env.queue_client(arn).attributes(name))
    return int(counts[name]) if counts else None


def _if_allowed(ask: Callable[[], T]) -> T | None:
    """Return the answer; None if access is denied or the server does not support the call."""
    try:
        return ask()
    except (AccessDenied, QueueNotFound, SettingsError):  # a policy can name any region
        return None
    except SQSError as error:
        if is_unknown_operation(error):
            return None
        raise


def with_local_ages(env: ManageEnv, reports: Iterable[QueueReport]) -> list[QueueReport]:
    """Return the reports with the age of the oldest visible message, without a receive.

    In a parking queue, hidden messages count too. Only the embedded SQS reports the age;
    elsewhere it stays None.
    """
    return [replace(report, oldest_age_s=_local_age(env, report)) for report in reports]


def _local_age(env: ManageEnv, report: QueueReport) -> float | None:
    client = env.queue_client(report.url or report.name)
    messages = client.peek(hidden=report.parked is not None)
    oldest = next(messages, None) if messages is not None else None
    if oldest is None:
        return None
    sent_at = int(oldest.attributes["SentTimestamp"]) / 1000
    return round(max(0.0, env.wall_clock() - sent_at), 3)


def with_local_reasons(env: ManageEnv, report: QueueReport) -> QueueReport:
    """Return a dead-letter queue's report with the reasons of its first 2,000 messages.

    Only the embedded SQS can read them without a receive. Elsewhere, and for other queues, the
    reasons stay None.
    """
    messages = env.queue_client(report.url or report.name).peek() if report.sources else None
    if messages is None:
        return report
    tally = ReasonTally()
    for message in islice(messages, MAX_LOCAL_REASONS):
        sent_at = read_milliseconds(message.attributes.get("SentTimestamp"))
        tally.add(metadata_of(message).dead, sent_at)
    return replace(report, reasons=tally.reasons())


def with_cloudwatch_ages(env: ManageEnv, reports: Sequence[QueueReport]) -> list[QueueReport]:
    """Return the reports with the latest ages from CloudWatch, in one request per 500 queues.

    CloudWatch has no age for a queue that was idle for hours. FIFO queues are included.

    Raises
    ------
    AccessDenied
        ``cloudwatch:GetMetricData`` is not allowed.
    """
    ages: dict[str, float] = {}
    names = [report.sqs_name for report in reports]
    for start in range(0, len(names), _QUERIES):
        ages.update(_ask_cloudwatch(env, names[start : start + _QUERIES]))
    return [replace(report, oldest_age_s=ages.get(report.sqs_name)) for report in reports]


def _ask_cloudwatch(env: ManageEnv, names: Sequence[str]) -> dict[str, float]:
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
