"""Check queues before a worker starts, and create the least-privilege policy for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sqsw.core.contracts import WallClock
from sqsw.core.errors import AccessDenied, QueueNotFound, SQSError
from sqsw.core.limits import MAX_RETENTION_SECONDS, PARKED_TOO_OLD_SECONDS
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES, redrive_target
from sqsw.core.retry_horizon import RetryReason
from sqsw.core.wording import counted, format_duration
from sqsw.sqs_manage.describe import (
    QueueReport,
    describe,
    with_cloudwatch_ages,
    with_local_ages,
)
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.queue_calls import is_aws
from sqsw.transport.names import dead_letter_name, name_of_arn, source_by_name
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.service_errors import service_errors

Status = Literal["ok", "warn", "fail", "skip"]
CheckReason = Literal[
    "missing",
    "visibility_timeout",
    "no_dead_letter_queue",
    "missing_dead_letter_queue",
    "one_receive",
    RetryReason,
    "short_retention",
    "denied",
    "missing_parking_queue",
    "parking_fifo",
    "parking_settings",
    "parked_too_old",
]

#: maximum seconds of a visibility timeout; with a longer one, jobs wait too long after a crash
_LONG_LEASE = 900

#: how far the clock of this machine can be off, in seconds: without a problem, and at most
_SMALL_CLOCK_SECONDS, _MAX_CLOCK_SECONDS = 5, 60

#: why one receive is not enough
NO_SECOND_RECEIVE = "a job that has not started when its worker is killed never runs"

#: actions of ``work`` and ``send``; batch operations need the permission for the single ones
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
_WORK_ACTIONS = (
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
)
_SEND_ACTIONS = ("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage")
#: actions to count dead letters in the live view and ``inspect``
_COUNT_ACTIONS = ("sqs:GetQueueUrl", "sqs:GetQueueAttributes")
#: actions to send jobs that a worker gives up to the dead-letter queue
_BURY_ACTIONS = ("sqs:SendMessage",)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes
    ----------
    name :
        What was checked: ``emails: dead letters``, or the queue itself: ``emails``.
    status :
        ``ok``, ``warn``, ``fail``, or ``skip`` if it could not be checked.
    detail, hint :
        What was found, and what would fix it.
    reason, queue_name, dead_letter_queue :
        A machine-readable word for the problem, and the queues that have it.
    error :
        Why the queue could not be checked.
    """

    name: str
    status: Status
    detail: str
    hint: str | None = None
    reason: CheckReason | None = None
    queue_name: str | None = None
    dead_letter_queue: str | None = None
    error: SQSError | None = None


def check_clock(env: ManageEnv, clock: WallClock = time.time) -> Check:
    """Compare the clock of this machine with the date in an answer from SQS.

    Even a refusal has a date. So the call needs no permission, and works even if SQS refuses every
    request because the clock is too far off.

    Parameters
    ----------
    clock :
        The clock of this machine, in seconds since 1970.

    Returns
    -------
    Check
        ``ok`` up to 5 seconds, ``warn`` up to 60, and ``fail`` beyond.
    """
    name = "clock"
    if env.clients.embedded is not None:
        return Check(name, "skip", "the embedded SQS uses the clock of this machine")
    before = clock()
    try:
        date = _date_of_answer(env)
    except SQSError as error:
        return Check(name, "skip", error.summary, error=error)
    after = clock()
    if date is None:
        return Check(name, "skip", "the answers of this server have no date")
    # The date has whole seconds, and was taken at an unknown moment of the call.
    ahead, behind = before - (date + 1), date - after
    seconds = max(ahead, behind, 0)
    if seconds <= _SMALL_CLOCK_SECONDS:
        return Check(name, "ok", f"within {_SMALL_CLOCK_SECONDS}s of the clock of SQS")
    direction = "ahead of" if ahead > 0 else "behind"
    return Check(
        name,
        "warn" if seconds <= _MAX_CLOCK_SECONDS else "fail",
        f"{format_duration(round(seconds))} {direction} the clock of SQS: schedules send their "
        "ticks at the wrong time, and AWS refuses requests beyond 5 minutes",
        "synchronize the clock of this machine, for example with chrony",
    )


def _date_of_answer(env: ManageEnv) -> float | None:
    """Return when SQS answered a request, in seconds since 1970; None if it does not say so."""
    from email.utils import parsedate_to_datetime

    from botocore.exceptions import ClientError

    answer: Any
    with service_errors("read the clock of SQS"):
        try:
            answer = env.clients.client.list_queues(MaxResults=1)
        except ClientError as error:
            answer = error.response
    date = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def check_queue(env: ManageEnv, queue_name: str) -> Iterator[Check]:
    """Check whether a worker can use a queue, without receiving or changing anything.

    Parameters
    ----------
    queue_name :
        A queue name without prefix, a queue URL or an ARN.

    Yields
    ------
    Check
        Its existence, its visibility timeout, its dead-letter queue, how long jobs are retried, and
        the permissions of the account. For a parking queue: its existence, its kind, its
        retention, that it has no dead-letter queue, its oldest job, and the permissions.
    """
    queue = env.queue_client(queue_name)
    try:
        report = describe(env, queue)
    except QueueNotFound:
        missing: CheckReason = "missing"
        if queue.name == env.parking_queue:
            missing = "missing_parking_queue"
        detail = f"there is no queue named {queue.sqs_name!r} in SQS"
        yield Check(queue.name, "fail", detail, "create it", missing, queue.name)
        return
    except SQSError as error:
        yield Check(queue.name, "fail", error.summary, error.next, error=error)
        return
    yield Check(queue.name, "ok", f"{'FIFO' if report.fifo else 'standard'} queue at {report.url}")
    if report.parked is not None:
        yield from _check_parking(env, report)
    else:
        yield _check_visibility_timeout(report)
        yield _check_dead_letters(env, report)
        yield from _check_retries(env, report)
    yield _check_permissions(queue)


def _check_visibility_timeout(report: QueueReport) -> Check:
    name, what = report.name, f"{report.name}: visibility timeout"
    seconds = int(report.attributes.get("VisibilityTimeout", 30))
    hint = "set VisibilityTimeout of the queue to 30"
    if seconds > _LONG_LEASE:
        detail = f"{format_duration(seconds)}: jobs of a crashed worker stay hidden that long"
        return Check(what, "warn", detail, hint, "visibility_timeout", name)
    if seconds == 0:
        detail = "0s: every worker receives every message"
        return Check(what, "warn", detail, hint, "visibility_timeout", name)
    return Check(what, "ok", f"{format_duration(seconds)}, renewed by workers")


def _check_dead_letters(env: ManageEnv, report: QueueReport) -> Check:
    name, what = report.name, f"{report.name}: dead letters"
    target, receives = redrive_target(report.attributes)
    if target is None and report.sources:
        return Check(what, "ok", f"dead-letter queue of {', '.join(report.sources)}")
    if target is None and source_by_name(name) is not None:
        return Check(what, "ok", "is a dead-letter queue, judging by its name")
    if target is None:
        return Check(
            what,
            "warn",
            "no dead-letter queue: a job that always fails is retried until its retention ends",
            "give the queue a redrive policy",
            "no_dead_letter_queue",
            name,
            dead_letter_name(name),
        )
    dead = env.name_of(name_of_arn(target))
    try:
        kept = int(env.queue_client(target).attributes().get("MessageRetentionPeriod", 0))
    except QueueNotFound:
        missing: CheckReason = "missing_dead_letter_queue"
        return Check(what, "fail", f"{dead!r} does not exist", "create it", missing, name, dead)
    except SQSError:
        return Check(what, "skip", f"go to {dead}, whose attributes cannot be read")
    if receives == 1:
        return Check(
            what,
            "warn",
            f"go to {dead} after 1 receive: {NO_SECOND_RECEIVE}",
            f"set maxReceiveCount of its redrive policy to {DEFAULT_MAX_RECEIVES}",
            "one_receive",
            name,
            dead,
        )
    after = f"go to {dead} after {counted(receives or 0, 'receive')}"
    if not kept:  # ElasticMQ does not have this attribute
        return Check(what, "ok", after)
    own = int(report.attributes.get("MessageRetentionPeriod", 0))
    if kept <= own:
        return Check(
            what,
            "warn",
            f"{dead} keeps messages {format_duration(kept)} and {name} {format_duration(own)}: "
            "the age of a standard message keeps counting, so dead letters can expire early",
            f"set MessageRetentionPeriod of {dead} to 14 days",
            "short_retention",
            name,
            dead,
        )
    return Check(what, "ok", f"{after}, kept {format_duration(kept)}")


def _check_retries(env: ManageEnv, report: QueueReport) -> Iterator[Check]:
    name, what = report.name, f"{report.name}: retries"
    target, receives = redrive_target(report.attributes)
    if target is None or receives is None or receives == 1:
        return  # reported by the check of the dead letters
    dead, horizon_of = env.name_of(name_of_arn(target)), partial(env.retry_horizon, name)
    horizon = horizon_of(receives)
    problems = list(horizon.problems(dead, report.fifo, horizon_of))
    for reason, text, hint in problems:
        yield Check(what, "warn", text, hint, reason, name, dead)
    if not problems:
        yield Check(what, "skip" if horizon.seconds is None else "ok", horizon.until(dead))


def _check_parking(env: ManageEnv, report: QueueReport) -> Iterator[Check]:
    name, target = report.name, redrive_target(report.attributes)[0]
    settings: CheckReason = "parking_settings"
    if report.fifo:
        yield Check(
            f"{name}: kind",
            "fail",
            "a FIFO queue cannot hold parked jobs",
            "create a standard queue for them",
            "parking_fifo",
            name,
        )
    what, kept = f"{name}: retention", int(report.attributes.get("MessageRetentionPeriod", 0))
    if 0 < kept < MAX_RETENTION_SECONDS:  # ElasticMQ does not have this attribute
        detail = f"{format_duration(kept)}: SQS deletes parked jobs before a worker renews them"
        hint = "set MessageRetentionPeriod of the queue to 14 days"
        yield Check(what, "fail", detail, hint, settings, name)
    else:
        yield Check(what, "ok", "14d, and workers renew parked jobs after 12d")
    what = f"{name}: dead letters"
    if target is None:
        yield Check(what, "ok", "no dead-letter queue, as required")
    else:
        detail = (
            f"SQS moves parked jobs to {name_of_arn(target)}, because workers often receive them"
        )
        yield Check(what, "fail", detail, "remove its redrive policy", settings, name)
    yield _check_oldest(env, report)


def _check_oldest(env: ManageEnv, report: QueueReport) -> Check:
    what, client = f"{report.name}: oldest job", env.queue_client(str(report.url))
    try:
        if is_aws(client):
            (aged,) = with_cloudwatch_ages(env, [report])
        else:
            (aged,) = with_local_ages(env, [report])
    except SQSError as error:
        return Check(what, "skip", error.summary)
    age = aged.oldest_age_s
    if age is None:
        known = client.is_embedded or not report.total
        return Check(what, "ok" if known else "skip", "no jobs" if known else "age unknown")
    if age <= PARKED_TOO_OLD_SECONDS:
        return Check(what, "ok", f"parked or renewed {format_duration(age)} ago")
    return Check(
        what,
        "warn",
        f"parked or renewed {format_duration(age)} ago: SQS deletes it after 14d, and no worker "
        "has renewed it",
        "run a worker of an app with this parking queue",
        "parked_too_old",
        report.name,
    )


def _check_permissions(queue: QueueClient) -> Check:
    """Make calls that SQS refuses anyway: it checks the permission first."""
    client: Any = queue.boto3_client
    what = f"{queue.name}: permissions"
    if not is_aws(queue):
        return Check(what, "skip", "checked on AWS only")
    address, handle = {"QueueUrl": queue.url}, {"ReceiptHandle": "none"}
    asked: dict[str, Callable[[], object]] = {
        # SQS refuses to return more than ten messages, so nothing is received.
        "ReceiveMessage": lambda: client.receive_message(**address, MaxNumberOfMessages=11),
        "DeleteMessage": lambda: client.delete_message(**address, **handle),
        "ChangeMessageVisibility": lambda: client.change_message_visibility(
            **address, **handle, VisibilityTimeout=0
        ),
    }
    denied = [action for action, call in asked.items() if _is_denied(queue, action, call)]
    if denied:
        return Check(
            what,
            "fail",
            f"not allowed: {', '.join(denied)}",
            "call least_policy() for the policy that a worker needs",
            "denied",
            queue.name,
        )
    return Check(what, "ok", "can receive, delete and change visibility timeouts")


def _is_denied(queue: QueueClient, action: str, call: Callable[[], object]) -> bool:
    try:
        with service_errors(f"call {action}", queue.name):
            call()
    except AccessDenied:
        return True
    except SQSError:
        return False  # refused for another reason, so the permission was granted
    return False


def least_policy(env: ManageEnv, queue_names: Sequence[str]) -> dict[str, Any]:
    """Return the least-privilege IAM policy for ``work`` and ``send`` on these queues.

    It also lets a worker send jobs that it gives up to the dead-letter queues, and count their
    messages for the live view. If a queue cannot be read, its ARN is a pattern for all accounts.
    """
    pairs = [_arns(env.queue_client(name)) for name in queue_names]
    arns = [arn for arn, _ in pairs]
    letters = sorted({target for _, target in pairs if target is not None} - {*arns})
    statements = {
        "SqswWork": (_WORK_ACTIONS, arns),
        "SqswSend": (_SEND_ACTIONS, arns),
        "SqswCountDeadLetters": (_COUNT_ACTIONS, letters),
        "SqswBuryJobs": (_BURY_ACTIONS, letters),
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
            for sid, (actions, resources) in statements.items()
            if resources
        ],
    }


def _arns(queue: QueueClient) -> tuple[str, str | None]:
    """Return the ARNs of a queue and its dead-letter queue."""
    try:
        attributes = queue.attributes("QueueArn", "RedrivePolicy")
        return attributes["QueueArn"], redrive_target(attributes)[0]
    except SQSError:
        meta = queue.boto3_client.meta
        return f"arn:{meta.partition}:sqs:{meta.region_name}:*:{queue.sqs_name}", None
