"""Calls on queues, such as create and tag, as opposed to calls on messages."""

from collections.abc import Mapping
from typing import Any

from sqsw.core.errors import SettingsError, SQSError
from sqsw.core.redrive_policy import redrive_target
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.transport.names import is_aws_endpoint, name_of_arn
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.service_errors import service_errors

# Error codes of SQS and compatible servers for an unsupported operation. A number is a bare HTTP
# status, which SQS never sends (500: moto).
_UNKNOWN_OPERATION = {
    "UnsupportedOperation",
    "UnknownOperation",
    "UnknownOperationException",
    "InvalidAction",
    "NotImplemented",
    "NotImplementedException",
    "404",
    "405",
    "500",
    "501",
}


def is_unknown_operation(error: SQSError) -> bool:
    """Return whether the server does not support the operation."""
    return error.code in _UNKNOWN_OPERATION


def is_aws(queue: QueueClient) -> bool:
    return is_aws_endpoint(queue.endpoint_url)


def make_queue(queue: QueueClient, attributes: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """Create a queue; return its URL.

    Raises
    ------
    SettingsError
        The queue was given by its URL or ARN.
    """
    refuse_whole_name(queue)
    keywords: dict[str, Any] = {"Attributes": dict(attributes)}
    if tags:
        keywords["tags"] = dict(tags)
    with service_errors(f"create the queue {queue.name!r}", queue.name):
        answer = queue.boto3_client.create_queue(QueueName=queue.sqs_name, **keywords)
    return answer["QueueUrl"]


def refuse_whole_name(queue: QueueClient) -> None:
    """Refuse to create a queue by URL or ARN, because that can belong to another account.

    Raises
    ------
    SettingsError
        The queue was given by one of them.
    """
    if queue.whole_name is not None:
        raise SettingsError(
            f"there is no queue {queue.whole_name}, and a queue cannot be created by "
            f"{'URL' if queue.arn is None else 'ARN'}",
            why="a new queue always belongs to the current account and region",
            next=f"create it by name: {queue.name!r}",
        )


def tags_of(queue: QueueClient) -> dict[str, str]:
    url = queue.url
    with service_errors(f"read the tags of {queue.name!r}", queue.name):
        return dict(queue.boto3_client.list_queue_tags(QueueUrl=url).get("Tags") or {})


def tag_queue(queue: QueueClient, tags: Mapping[str, str]) -> None:
    url = queue.url
    with service_errors(f"tag {queue.name!r}", queue.name):
        queue.boto3_client.tag_queue(QueueUrl=url, Tags=dict(tags))


def arn_of(queue: QueueClient) -> str:
    return queue.attributes("QueueArn")["QueueArn"]


def dead_letter_queue_of(env: ManageEnv, queue: QueueClient) -> str | None:
    arn, _ = redrive_target(queue.attributes("RedrivePolicy"))
    return None if arn is None else env.name_of(name_of_arn(arn))


def where_to(own_dead_letter_queue: str | None) -> str:
    """Return advice for the redrive of a queue that is not a dead-letter queue."""
    if own_dead_letter_queue is None:
        return "name a target queue"
    # The user probably meant the dead-letter queue: these jobs have not run yet.
    return f"its dead-letter queue is {own_dead_letter_queue!r}"
