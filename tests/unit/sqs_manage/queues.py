"""Fill queues and read their contents, without the code under test."""

import uuid
from typing import Any

from sqsw.codecs.envelope import pack_job
from sqsw.core.dead_record import DeadRecord
from sqsw.core.job_metadata import SQSW, JobMetadata
from sqsw.sqs_env import SQSEnv


def send_jobs(env: SQSEnv, queue: str, *kwargs: dict[str, Any], job: str = "send") -> list[str]:
    """Send one job for each of these arguments; return the message ids."""
    client = env.queue_client(queue)
    ids = []
    for number, job_kwargs in enumerate(kwargs):
        entry = pack_job(job, job_kwargs)
        if client.is_fifo:
            entry["MessageGroupId"] = str(job_kwargs.get("group", "g"))
            entry["MessageDeduplicationId"] = f"{job_kwargs.get('group', 'g')}-{number}"
        ids.append(client.send(entry)["MessageId"])
    return ids


def failure(queue: str = "emails", **changes: Any) -> DeadRecord:
    """Return the record of a job that failed in this queue."""
    values: dict[str, Any] = {
        "verdict": "last_attempt",
        "type": "Timeout",
        "message": "no answer after 5 s",
        "where": "shop.pay:31",
        "fingerprint": "0123456789ab",
        "attempts": 3,
        "receives": 3,
        "first_at": "2026-11-01T10:00:00.000Z",
        "at": "2026-11-01T10:05:00.000Z",
        "queue": queue,
        "worker": "host/7",
        "trace": "Traceback (most recent call last):\nTimeout: no answer after 5 s\n",
    }
    return DeadRecord(**{**values, **changes})


def send_letter(
    env: SQSEnv,
    dead_letter_queue: str,
    job_kwargs: dict[str, Any],
    record: DeadRecord | None,
    *,
    job_id: str | None = None,
    group: str = "g",
    job: str = "send",
    copy_of: str | None = None,
) -> str:
    """Send a dead letter as a worker does, or with only a job id; return the message id."""
    client = env.queue_client(dead_letter_queue)
    entry = pack_job(job, job_kwargs)
    entry["MessageAttributes"][SQSW] = JobMetadata(job_id, record, copy_of).to_attribute()
    if client.is_fifo:
        entry["MessageGroupId"] = group
        entry["MessageDeduplicationId"] = uuid.uuid4().hex
    return str(client.send(entry)["MessageId"])


def dead_letter(env: SQSEnv, queue: str) -> None:
    """Receive everything from a queue with ``maxReceiveCount`` 1 until it is dead-lettered."""
    client = env.queue_client(queue)
    while client.receive(10, visibility_timeout=0):
        pass


def contents(env: SQSEnv, queue: str) -> list[dict[str, Any]]:
    """Receive and delete all available messages with boto3; return them."""
    client = env.queue_client(queue)
    found: list[dict[str, Any]] = []
    while True:
        answer: Any = client.boto3_client.receive_message(
            QueueUrl=client.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=600,
            WaitTimeSeconds=0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        if not answer.get("Messages"):
            return found
        found += answer["Messages"]
        for message in answer["Messages"]:
            client.boto3_client.delete_message(
                QueueUrl=client.url, ReceiptHandle=message["ReceiptHandle"]
            )


def bodies(env: SQSEnv, queue: str) -> list[str]:
    """Receive and delete all available messages; return their bodies."""
    return [message["Body"] for message in contents(env, queue)]


def counts(env: SQSEnv, queue: str) -> tuple[int, int]:
    """Return the numbers of visible and in-flight messages."""
    found = env.queue_client(queue).attributes()
    return (
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
    )
