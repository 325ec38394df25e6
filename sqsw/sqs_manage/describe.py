"""What a queue is and what it holds: one in detail, or all of them."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from sqsw.core.errors import AccessDenied, QueueNotFound, SettingsError, SQSError
from sqsw.core.redrive_policy import redrive_target
from sqsw.sqs_manage.host import ManageHost
from sqsw.sqs_manage.queue_calls import (
    is_unknown_operation,
    queue_urls,
    tags_of,
)
from sqsw.transport.names import is_fifo, name_of_arn, name_of_url
from sqsw.transport.queue_client import QueueClient

#: requests at once when many queues are asked
_CONCURRENCY = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueReport:
    """One queue. What is unknown is None.

    Attributes
    ----------
    name, sqs_name :
        The name without prefix, and the one that SQS knows.
    url, arn :
        Where it is; None for a queue that does not exist yet.
    fifo :
        Whether it is a FIFO queue.
    action :
        What was done to it: ``created``, ``unchanged``, ``updated``, ``deleted``, ``purged``,
        ``would_create``, ``would_update``; None where it was only looked at.
    visible, in_flight, delayed :
        Messages, by SQS's own estimate, which lags by up to a minute.
    dlq, dlq_visible, max_receives :
        The name of its dead-letter queue, the messages in there, and after how many receives a
        message goes there.
    sources :
        The names of the queues for which this one is the dead-letter queue.
    attributes :
        All attributes, by SQS's names.
    tags :
        The tags; None where they were not asked for.
    oldest_age_s :
        Age of the oldest message in seconds, where it was asked for and there is one.
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

    @property
    def total(self) -> int:
        """Messages in all: ready, in flight and delayed; unknown ones count as none."""
        return (self.visible or 0) + (self.in_flight or 0) + (self.delayed or 0)


def describe_queue(env: ManageHost, queue: str) -> QueueReport:
    """One queue in detail.

    Sources, tags and the depth of the dead-letter queue are left out where they may not be read,
    or where an SQS-compatible server does not have them.

    Parameters
    ----------
    queue :
        A queue name without prefix, a queue URL or an ARN.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    """
    return describe(env, env.queue_client(queue))


def list_queues(env: ManageHost) -> list[QueueReport]:
    """All queues with the prefix, in the order of their names; without their tags.

    One request for each thousand queues, and one for each queue.
    """
    clients = [env.queue_client(url) for url in sorted(queue_urls(env), key=name_of_url)]
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        found = list(pool.map(_attributes_if_there, clients))
    reports = {
        attributes["QueueArn"]: report_of(env, client, attributes)
        for client, attributes in zip(clients, found, strict=True)
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


def describe(env: ManageHost, client: QueueClient, action: str | None = None) -> QueueReport:
    """One queue in detail, and what was done to it."""
    report = report_of(env, client, client.attributes(), action)
    sources = _if_allowed(client.dead_letter_sources)
    return replace(
        report,
        dlq_visible=_visible_at(env, redrive_target(report.attributes)[0], {}),
        sources=tuple(env.name_of(name_of_url(url)) for url in sources or ()),
        tags=_if_allowed(lambda: tags_of(client)),
    )


def report_of(
    env: ManageHost,
    client: QueueClient,
    attributes: Mapping[str, str],
    action: str | None = None,
    *,
    exists: bool = True,
) -> QueueReport:
    """What the attributes of a queue say; no request but for its URL."""
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


def _attributes_if_there(client: QueueClient) -> dict[str, str] | None:
    try:
        return client.attributes()
    except QueueNotFound:
        return None  # deleted since it was listed, or listed for up to a minute after its end


def _visible_at(env: ManageHost, arn: str | None, known: Mapping[str, QueueReport]) -> int | None:
    """Messages that can be received from the queue of this ARN, if there is one."""
    if arn is None:
        return None
    if arn in known:
        return known[arn].visible
    name = "ApproximateNumberOfMessages"
    counts = _if_allowed(lambda: env.queue_client(arn).attributes(name))
    return int(counts[name]) if counts else None


def _if_allowed(ask: Callable[[], T]) -> T | None:
    """The answer; None where it may not be had, or the server cannot give it."""
    try:
        return ask()
    except (AccessDenied, QueueNotFound, SettingsError):  # a policy may name any region
        return None
    except SQSError as error:
        if is_unknown_operation(error):
            return None
        raise
