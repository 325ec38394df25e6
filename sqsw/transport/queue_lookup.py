"""The URL of a queue, by its name or by its ARN."""

from typing import TYPE_CHECKING

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.transport.names import account_and_name, is_aws_endpoint, region_of_url

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


def url_by_name(client: "SQSClient", sqs_name: str) -> str:
    """The URL of the queue of this name, in the account and region of the client."""
    return client.get_queue_url(QueueName=sqs_name)["QueueUrl"]


def url_by_arn(client: "SQSClient", arn: str, name: str) -> str:
    """The URL of the queue of this ARN, and of no other one that has the same name.

    Parameters
    ----------
    name :
        What errors call it.

    Raises
    ------
    SettingsError
        It is in another region than the client.
    QueueNotFound
        There is none in that account.
    """
    _, _, _, region, account, _ = arn.split(":")
    own_region = client.meta.region_name
    if region != own_region and not _is_called(client, arn, name):
        raise _other_region(name, region, own_region, f"its ARN is {arn}")
    try:
        return _url(client, arn, name)
    except client.exceptions.QueueDoesNotExist as error:
        raise QueueNotFound(
            f"no queue named {name!r} in the account {account}",
            why="it does not exist there, or that account does not let this one see it",
            code="QueueDoesNotExist",
        ) from error


def check_region(client: "SQSClient", url: str, name: str) -> None:
    """Refuse the URL of a queue of AWS in another region; other servers ignore the host of a URL.

    Raises
    ------
    SettingsError
        It is in another region than the client.
    """
    region, own_region = region_of_url(url), client.meta.region_name
    if region not in (None, own_region) and is_aws_endpoint(client.meta.endpoint_url):
        raise _other_region(name, region, own_region, f"its URL is {url}")


def _other_region(name: str, region: str | None, own_region: str, why: str) -> SettingsError:
    return SettingsError(
        f"the queue {name!r} is in the region {region!r}, not in {own_region!r}",
        why=why,
        next=f"--region {region}, or AWS_REGION; in code: the region of the session",
    )


def _url(client: "SQSClient", arn: str, name: str) -> str:
    *_, account, sqs_name = arn.split(":")
    url = client.get_queue_url(QueueName=sqs_name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    # ElasticMQ and moto take the account and go by the name alone.
    found = account_and_name(url)[0]
    if found != account and found.isdigit():
        raise QueueNotFound(
            f"no queue named {name!r} in the account {account}",
            why=f"the one of this name is in the account {found}",
            code="QueueDoesNotExist",
        )
    return url


def _is_called(client: "SQSClient", arn: str, name: str) -> bool:
    """Whether a server calls a queue so, whatever region it is asked as: ElasticMQ does."""
    if is_aws_endpoint(client.meta.endpoint_url):
        return False
    try:
        url = _url(client, arn, name)
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    except client.exceptions.QueueDoesNotExist:
        return False
    return (answer.get("Attributes") or {}).get("QueueArn") == arn
