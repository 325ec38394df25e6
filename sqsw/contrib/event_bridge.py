"""Long delays with Amazon EventBridge Scheduler, which sends each job when it is due."""

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Any, Final, Protocol

from sqsw.core.errors import (
    AccessDenied,
    Busy,
    ConnectionFailed,
    MessageRefused,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.core.job_metadata import SQSW, entry_job_id, is_job_id
from sqsw.core.message import Message
from sqsw.core.times import format_time
from sqsw.core.wording import shortened
from sqsw.parking.places import ParkedJob
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.client import ClientSource
from sqsw.transport.names import is_aws_endpoint, name_of_url, region_of_url
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.service_errors import service_errors

#: the maximum bytes of a target's input, from the API reference of CreateSchedule's ``Target``; and
#: how many of them are reserved for the queue URL
MAX_INPUT_BYTES: Final = 262_144
_URL_BYTES: Final = 512

#: AWS refuses a schedule in the past. Clocks can differ, and a call can be retried, so every
#: schedule is due at least this many seconds from now.
_LEAD_SECONDS: Final = 60

#: schedules in one page of ListSchedules
_PAGE: Final = 100

#: EventBridge Scheduler replaces keywords that begin like this in the text that it sends.
_KEYWORD: Final = "<aws.scheduler."

_SERVER_ERRORS = ("InternalServerException", "InternalFailure", "ServiceUnavailable")

#: errors after which no other job can be scheduled either
_FATAL = (AccessDenied, ConnectionFailed, QueueNotFound, SettingsError)

# Patterns of the API reference. Here, a name must begin with a letter or a digit, because it is a
# part of the request path, where a leading dot would have a meaning.
_NAME = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,63}")
_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::[0-9]{12}:role/[\w+=,.@/-]+", re.ASCII)
_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]+")
_AT = re.compile(r"at\(([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)")


class _Env(Protocol):
    @property
    def clients(self) -> ClientSource: ...
    def name_of(self, sqs_name: str) -> str: ...


class EventBridgeScheduler:
    """A parking place that keeps each job in a one-time schedule of Amazon EventBridge Scheduler.

    Pass it as ``SQSEnv(parking=EventBridgeScheduler(role_arn=…))``, one for each environment. When
    a job is due, EventBridge sends it to its queue and then deletes the schedule, so workers have
    nothing to do for jobs that wait.

    EventBridge sends a job within the minute after it is due, never before. A job that is due in
    less than a minute is sent when a minute has passed. It can send a job twice, with the same job
    id. Jobs can be canceled and listed.

    Each job takes one CreateSchedule call, even in a batch. AWS allows 250 to 5,000 such calls a
    second, depending on the region. The calls use the session, the region and the retries of the
    environment (``retry_max_attempts``, ``retry_mode``). Creating this object imports and connects
    nothing.

    A job cannot be scheduled if it has a binary attribute, is larger than 256 KiB as JSON, or
    contains the text ``<aws.scheduler.``, which EventBridge would replace. It does not work with an
    embedded session, because EventBridge cannot reach its queues.

    Parameters
    ----------
    role_arn :
        The IAM role with which EventBridge sends the jobs. It must trust
        ``scheduler.amazonaws.com``, and allow ``sqs:SendMessage`` on the queues. The program that
        delays jobs needs ``iam:PassRole`` on it.
    group :
        The schedule group, which must exist. Job ids are unique in a group, so use a group for each
        environment.
    client :
        A boto3 client of the service ``scheduler``, in the region of the queues; None makes one
        from the session of the environment.
    dead_letter_arn :
        The ARN of a standard queue for jobs that EventBridge could not send, for example because
        their queue was deleted. Without one, such jobs are lost.
    retry_attempts, max_age_seconds :
        How often and how long EventBridge tries to send a job again: 0 to 185 times, and 60 to
        86,400 seconds.

    Raises
    ------
    SettingsError
        A parameter is out of bounds, or is not an ARN or a name.
    """

    def __init__(
        self,
        role_arn: str,
        group: str = "default",
        *,
        client: Any = None,
        dead_letter_arn: str | None = None,
        retry_attempts: int = 185,
        max_age_seconds: int = 86_400,
    ) -> None:
        partition = _partition_of(role_arn)
        if not _NAME.fullmatch(group):
            why = "a group name has 1 to 64 letters, digits, hyphens, underscores and periods"
            raise SettingsError(
                f"{group!r} is not a schedule group", setting="group", value=group, why=why
            )
        if dead_letter_arn is not None and not _QUEUE_ARN.fullmatch(dead_letter_arn):
            raise SettingsError(
                f"{dead_letter_arn!r} is not the ARN of a standard queue",
                setting="dead_letter_arn",
                value=dead_letter_arn,
                why="the form is arn:aws:sqs:REGION:ACCOUNT:NAME; EventBridge takes no FIFO queue",
            )
        _check_bounds("retry_attempts", retry_attempts, 0, 185)
        _check_bounds("max_age_seconds", max_age_seconds, 60, 86_400)
        self._group = group
        self._client = client
        self._env: _Env | None = None
        self._target: dict[str, Any] = {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": role_arn,
            "RetryPolicy": {
                "MaximumRetryAttempts": retry_attempts,
                "MaximumEventAgeInSeconds": max_age_seconds,
            },
        }
        if dead_letter_arn is not None:
            self._target["DeadLetterConfig"] = {"Arn": dead_letter_arn}

    def bind(self, env: _Env) -> None:
        """Use the session of this environment to cancel and list; ``SQSEnv`` calls it.

        Raises
        ------
        SettingsError
            It belongs to another environment.
        """
        if self._env not in (None, env):
            raise SettingsError(
                "this EventBridgeScheduler belongs to another environment",
                setting="parking",
                next="create one for each environment",
            )
        self._env = env

    # -- parking ----------------------------------------------------------------------------------

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        """Refuse a job that cannot be scheduled, without a request.

        Parameters
        ----------
        entry :
            The complete parameters of a SendMessage, without the queue URL.
        destination :
            The queue that gets the job.
        due :
            When it gets the job.

        Raises
        ------
        MessageRefused
            It has no job id or a binary attribute, is too large, or contains a keyword that
            EventBridge would replace.
        SettingsError
            The queue belongs to an embedded session.
        """
        _refuse_embedded(destination.clients)
        if entry_job_id(entry) is None:
            raise MessageRefused(
                "a job without a job id cannot be scheduled",
                why=f"the message has its own attribute {SQSW!r}, or no room for that of sqsw",
                next=f"send it without the attribute {SQSW!r}, and with at most nine attributes",
            )
        for kind in ("MessageAttributes", "MessageSystemAttributes"):
            for name, attribute in entry.get(kind, {}).items():
                if "BinaryValue" in attribute:
                    raise MessageRefused(
                        f"a job with the binary attribute {name!r} cannot be scheduled",
                        why="EventBridge Scheduler gets the message as JSON, which has no bytes",
                        next="send the value as text, for example as base64",
                    )
        text = _input("", entry)
        if _KEYWORD in text:
            raise MessageRefused(
                f"a job with the text {_KEYWORD!r} cannot be scheduled",
                why="EventBridge Scheduler would replace its keyword in the message",
                next="encode the text, for example as base64",
            )
        size, most = len(text.encode("utf-8", "surrogatepass")), MAX_INPUT_BYTES - _URL_BYTES
        if size > most:
            raise MessageRefused(
                f"the job is {size} bytes as JSON; the limit of EventBridge Scheduler is {most}",
                why="it has less room than SQS, and JSON escapes quotes and backslashes",
                next="store the data elsewhere, such as in S3, and send a reference to it",
            )

    def park(self, entry: Entry, destination: QueueClient, due: datetime) -> str:
        """Create the schedule of a job; the parameters are those of :meth:`check`.

        If the same job is already scheduled with this message and time, nothing happens. This is
        the case after a call whose answer was lost.

        Returns
        -------
        str
            The job id.

        Raises
        ------
        MessageRefused
            See :meth:`check`; or the job id is already scheduled with another message or time.
        AccessDenied
            The credentials do not allow ``scheduler:CreateSchedule``, or ``iam:PassRole`` on the
            role.
        SettingsError
            The schedule group does not exist, EventBridge cannot assume the role, or the queue is
            not on AWS or is in another region.
        Busy
            EventBridge throttles requests, or an earlier schedule of this job is being deleted.
        ConnectionFailed, SQSError
            The request failed for another reason.
        """
        self.check(entry, destination, due)
        job_id, url = str(entry_job_id(entry)), destination.url
        client = self._client_for(destination)
        if destination.is_fifo:
            entry = {"MessageDeduplicationId": job_id, **entry}
        else:
            entry = {**entry, "DelaySeconds": 0}  # the job is due, whatever the delay of the queue
        at, doing = _schedule_time(due), f"schedule a job of {destination.name!r}"
        text = _input(url, entry)
        try:
            self._call(
                client,
                "create_schedule",
                doing,
                Name=_name_of(job_id),
                # Retries of botocore repeat it, so they create one schedule. It cannot be a hash of
                # the job: AWS would answer it from memory after the job was canceled.
                ClientToken=str(uuid.uuid4()),
                Description=_description(entry, destination),
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={**self._target, "Input": text},
            )
        except SQSError as error:
            if error.code != "ConflictException":
                raise
            self._refuse_other(client, job_id, destination, json.loads(text), due, at)
        return job_id

    def park_batch(
        self, entries: Sequence[Entry], destination: QueueClient, dues: Sequence[datetime]
    ) -> list[EntryFailure]:
        """Create the schedules of several jobs of one queue, one after another.

        Returns
        -------
        list of EntryFailure
            The jobs that were not accepted, by their index in ``entries``.

        Raises
        ------
        SQSError
            No job was accepted; see :meth:`park`.
        """
        failures: list[EntryFailure] = []
        for index, (entry, due) in enumerate(zip(entries, dues, strict=True)):
            try:
                self.park(entry, destination, due)
            except _FATAL as error:
                if len(failures) == index:
                    raise
                left = range(index, len(entries))
                return failures + [_failure(each, error) for each in left]
            except SQSError as error:
                failures.append(_failure(index, error))
        return failures

    def _refuse_other(
        self,
        client: Any,
        job_id: str,
        destination: QueueClient,
        sent: Mapping[str, Any],
        due: datetime,
        at: datetime,
    ) -> None:
        """Refuse a job id that has a schedule, unless it sends the same message at this time.

        Raises
        ------
        Busy
            The schedule no longer exists.
        MessageRefused
            It sends another message, or at another time.
        """
        schedule = self._get(client, job_id)
        if schedule is None:
            raise Busy(
                f"the job {job_id!r} cannot be scheduled yet",
                why="an earlier schedule with this job id is being deleted [ConflictException]",
                next="try again in a minute",
                queue=destination.name,
                code="ConflictException",
            )
        found = _read(schedule, self._target["Arn"])
        if found is not None and found[1] == sent and due <= found[0] <= at:
            return
        when = f"for {format_time(found[0])}" if found else "by another program"
        raise MessageRefused(
            f"the job id {job_id!r} is already scheduled {when}",
            why=f"a job id has one schedule in the group {self._group!r}, and that one sends "
            "another message or at another time",
            next=f"cancel that job first, with env.cancel({job_id!r}), or use another job id",
            queue=destination.name,
            code="ConflictException",
        )

    # -- looking after ----------------------------------------------------------------------------

    def cancel(self, job_id: str) -> bool:
        """Delete the schedule of a job.

        Returns
        -------
        bool
            Whether there was one. In the minute after a job is due, EventBridge can still send it,
            even if its schedule was deleted.

        Raises
        ------
        SettingsError
            The schedule group does not exist, the session is embedded, or no environment has this
            parking place.
        AccessDenied
            The credentials do not allow ``scheduler:GetSchedule`` or ``scheduler:DeleteSchedule``.
        Busy, ConnectionFailed, SQSError
            The request failed.
        """
        client = self._client_of_env()
        # A schedule of another program can have the job id as its name.
        schedule = self._get(client, job_id) if is_job_id(job_id) else None
        found = schedule and _read(schedule, self._target["Arn"])
        if not found or entry_job_id(found[1]) != job_id:
            return False
        try:
            self._call(client, "delete_schedule", f"cancel {job_id!r}", Name=_name_of(job_id))
        except SQSError as error:
            if not _is_missing(error):
                raise
            return False
        return True

    def list(self) -> Iterator[ParkedJob]:
        """Yield the jobs that wait, page by page, with one GetSchedule call for each.

        Schedules that sqsw did not create are left out.

        Raises
        ------
        SettingsError
            The schedule group does not exist, the session is embedded, or no environment has this
            parking place.
        AccessDenied
            The credentials do not allow ``scheduler:ListSchedules`` or ``scheduler:GetSchedule``.
        Busy, ConnectionFailed, SQSError
            A request failed.
        """
        client = self._client_of_env()
        more: dict[str, Any] = {}
        while True:
            page = self._call(
                client, "list_schedules", "list the schedules", MaxResults=_PAGE, **more
            )
            for summary in page.get("Schedules") or ():
                if (summary.get("Target") or {}).get("Arn") != self._target["Arn"]:
                    continue
                schedule = self._get_by_name(client, str(summary.get("Name")))
                job = schedule and self._parked_job(schedule)
                if job:  # it can have been sent or canceled in the meantime
                    yield job
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    def _parked_job(self, schedule: Mapping[str, Any]) -> ParkedJob | None:
        # Reading jobs takes more modules than sending them.
        from sqsw.sqs_manage.message_view import view_message

        found = _read(schedule, self._target["Arn"])
        job_id = found and entry_job_id(found[1])
        if not found or not job_id or schedule.get("Name") != _name_of(job_id):
            return None
        due, sent = found
        name = name_of_url(sent["QueueUrl"])
        queue_name = name if self._env is None else self._env.name_of(name)
        attributes = sent.get("MessageAttributes", {})
        view = view_message(Message(job_id, "", sent["MessageBody"], {}, attributes, queue_name))
        made = schedule.get("CreationDate")
        sent_at = made.astimezone(UTC) if isinstance(made, datetime) else None
        return ParkedJob(job_id, view.job, queue_name, due, sent_at, arguments=view.args)

    def _get(self, client: Any, job_id: str) -> dict[str, Any] | None:
        return self._get_by_name(client, _name_of(job_id))

    def _get_by_name(self, client: Any, name: str) -> dict[str, Any] | None:
        try:
            return self._call(client, "get_schedule", f"read the schedule {name!r}", Name=name)
        except SQSError as error:
            if not _is_missing(error):
                raise
            return None

    # -- calls ------------------------------------------------------------------------------------

    def _client_for(self, destination: QueueClient) -> Any:
        """Return the client that schedules jobs of this queue.

        Raises
        ------
        SettingsError
            EventBridge could not send to the queue.
        """
        client, url = self._client or destination.clients.other_client("scheduler"), destination.url
        if is_aws_endpoint(client.meta.endpoint_url) and not is_aws_endpoint(url):
            raise SettingsError(
                f"EventBridge Scheduler cannot send to {destination.name!r}",
                setting="parking",
                why=f"the queue is not on AWS: {url}",
                next="use a parking queue, or set AWS_ENDPOINT_URL_SCHEDULER to the same server",
            )
        region = region_of_url(url)
        if region not in (None, client.meta.region_name):
            raise SettingsError(
                f"EventBridge Scheduler cannot send to {destination.name!r}",
                reason="other_region",
                setting="parking",
                why=f"the queue is in {region}, and the schedules are in {client.meta.region_name}",
                next=f"use a client with region_name={region!r}",
            )
        return client

    def _client_of_env(self) -> Any:
        if self._env is not None:
            _refuse_embedded(self._env.clients)
        if self._client is not None:
            return self._client
        if self._env is None:
            raise SettingsError(
                "this EventBridgeScheduler has no session",
                setting="parking",
                next="pass it to the environment: SQSEnv(parking=…)",
            )
        return self._env.clients.other_client("scheduler")

    def _call(self, client: Any, operation: str, doing: str, **parameters: Any) -> dict[str, Any]:
        try:
            with service_errors(doing):
                answer: dict[str, Any] = getattr(client, operation)(
                    GroupName=self._group, **parameters
                )
        except SQSError as error:
            raise self._explained(error, doing) from error.__cause__
        return answer

    def _explained(self, error: SQSError, doing: str) -> SQSError:
        """Return the error in the terms of EventBridge Scheduler, if those of SQS do not fit."""
        text = (error.why or "").lower()
        if error.code in ("ThrottlingException", "ServiceQuotaExceededException"):
            return Busy(
                f"cannot {doing}: EventBridge Scheduler refuses more requests",
                why=error.why,
                next="try again later, or ask AWS for a higher quota",
                code=error.code,
            )
        if error.code == "ResourceNotFoundException" and "schedule group" in text:
            return SettingsError(
                f"cannot {doing}: there is no schedule group {self._group!r}",
                setting="group",
                value=self._group,
                why=error.why,
                next="create it with CreateScheduleGroup, in the region of the queues",
                code=error.code,
            )
        if error.code == "ValidationException" and "role" in text:
            return SettingsError(
                f"cannot {doing}: EventBridge Scheduler cannot use the role",
                setting="role_arn",
                value=self._target["RoleArn"],
                why=error.why,
                next="let the service scheduler.amazonaws.com assume the role",
                code=error.code,
            )
        return error


def _partition_of(role_arn: str) -> str:
    role = _ROLE_ARN.fullmatch(role_arn)
    if role is None:
        raise SettingsError(
            f"{role_arn!r} is not the ARN of a role",
            setting="role_arn",
            value=role_arn,
            why="the form is arn:aws:iam::123456789012:role/NAME",
        )
    return role[1]


def _check_bounds(setting: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SettingsError(
            f"{setting} is {value}; it can be {least} to {most}",
            setting=setting,
            value=value,
            bounds=(least, most),
        )


def _refuse_embedded(clients: ClientSource) -> None:
    if clients.embedded is not None:
        raise SettingsError(
            "EventBridge Scheduler cannot send to an embedded SQS",
            setting="parking",
            why="the service runs on AWS and cannot reach the queues of this machine",
            next="use a parking queue with an embedded session: SQSEnv(session, parking='parked')",
        )


def _name_of(job_id: str) -> str:
    """Return the name of a job's schedule: the job id, or its hash if it cannot be a name."""
    if _NAME.fullmatch(job_id):
        return job_id
    return f"sqsw-{sha256(job_id.encode()).hexdigest()[:59]}"


def _schedule_time(due: datetime) -> datetime:
    """Return the second at which a job is sent: not before it is due, and not in the past."""
    due = due.astimezone(UTC)
    whole = due.replace(microsecond=0) + timedelta(seconds=bool(due.microsecond))
    return max(whole, datetime.fromtimestamp(ceil(time.time()) + _LEAD_SECONDS, UTC))


def _input(url: str, entry: Entry) -> str:
    """Return the SendMessage that EventBridge makes; the keys are those of the API of SQS."""
    return json.dumps({"QueueUrl": url, **entry}, ensure_ascii=False, separators=(",", ":"))


def _description(entry: Entry, destination: QueueClient) -> str:
    attribute = entry.get("MessageAttributes", {}).get("JobName", {})
    job = shortened(attribute.get("StringValue", "a message"))
    return f"{job} for {destination.sqs_name}, parked by sqsw"[:512]


def _read(schedule: Mapping[str, Any], target_arn: str) -> tuple[datetime, dict[str, Any]] | None:
    """Return when a schedule is due, and what it sends; None if :meth:`park` did not make it."""
    target = schedule.get("Target") or {}
    match = _AT.fullmatch(str(schedule.get("ScheduleExpression")))
    if match is None or target.get("Arn") != target_arn:
        return None
    if schedule.get("ScheduleExpressionTimezone") not in (None, "UTC"):
        return None
    try:
        due = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        sent = json.loads(str(target.get("Input")))
    except (ValueError, RecursionError):
        return None
    return (due, sent) if _is_send(sent) else None


def _is_send(sent: object) -> bool:
    """Return whether these can be SendMessage parameters that :meth:`park` wrote."""
    if not isinstance(sent, dict):
        return False
    attributes = sent.get("MessageAttributes")
    if not isinstance(attributes, dict):
        return False
    texts = [sent.get("QueueUrl"), sent.get("MessageBody")]
    for attribute in attributes.values():
        if not isinstance(attribute, dict):
            return False
        texts += [attribute.get("DataType"), attribute.get("StringValue")]
    return all(isinstance(text, str) for text in texts)


def _is_missing(error: SQSError) -> bool:
    return error.code == "ResourceNotFoundException" and not isinstance(error, SettingsError)


def _failure(index: int, error: SQSError) -> EntryFailure:
    is_brief = isinstance(error, Busy | ConnectionFailed) or error.code in _SERVER_ERRORS
    return EntryFailure(index, error.code or type(error).__name__, error.summary, not is_brief)
