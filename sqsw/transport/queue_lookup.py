"""Look up queue URLs: all of them, or one by name or ARN."""

from collections.abc import Iterator
from typing import Any

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.transport.client import ClientSource
from sqsw.transport.names import account_and_name, is_aws_endpoint, region_of_url
from sqsw.transport.service_errors import is_missing_queue, service_errors

#: maximum number of queues per page of ListQueues
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html
_LIST_PAGE = 1000


def queue_urls(clients: ClientSource, prefix: str) -> Iterator[str]:
    """Yield the URLs of all queues whose names start with a prefix."""
    keywords: dict[str, Any] = {"PaginationConfig": {"PageSize": _LIST_PAGE}}
    if prefix:
        keywords["QueueNamePrefix"] = prefix
    with service_errors("list the queues"):
        for page in clients.client.get_paginator("list_queues").paginate(**keywords):
            yield from page.get("QueueUrls") or []


def url_by_name(clients: ClientSource, sqs_name: str) -> str:
    """Return the URL of the queue with this name, in the client's account and region."""
    return str(clients.call("GetQueueUrl", {"QueueName": sqs_name})["QueueUrl"])


def url_by_arn(clients: ClientSource, arn: str, name: str) -> str:
    """Return the URL of the queue with this ARN, never of another queue with the same name.

    Parameters
    ----------
    name :
        The queue name to show in errors.

    Raises
    ------
    SettingsError
        The queue is in another region than the client.
    QueueNotFound
        The account has no such queue.
    """
    _, _, _, region, account, _ = arn.split(":")
    own_region = clients.region
    if region != own_region and not _is_called(clients, arn, name):
        raise _other_region(name, region, own_region, f"its ARN is {arn}")
    try:
        return _url(clients, arn, name)
    except Exception as error:
        if not is_missing_queue(error):
            raise
        raise QueueNotFound(
            f"no queue named {name!r} in account {account}",
            queue=name,
            account=account,
            why="the queue does not exist, or that account does not grant access to it",
            code="QueueDoesNotExist",
        ) from error


def check_region(clients: ClientSource, url: str, name: str) -> None:
    """Reject an AWS queue URL of another region. Other servers ignore the host in a URL.

    Raises
    ------
    SettingsError
        The queue is in another region than the client.
    """
    region, own_region = region_of_url(url), clients.region
    if region not in (None, own_region) and is_aws_endpoint(clients.endpoint_url):
        raise _other_region(name, region, own_region, f"its URL is {url}")


def _other_region(name: str, region: str | None, own_region: str, why: str) -> SettingsError:
    return SettingsError(
        f"queue {name!r} is in region {region!r}, but the client uses {own_region!r}",
        reason="other_region",
        suggested=region,
        why=why,
        next=f"set AWS_REGION, or create the session with region_name={region!r}",
    )


def _url(clients: ClientSource, arn: str, name: str) -> str:
    *_, account, sqs_name = arn.split(":")
    params = {"QueueName": sqs_name, "QueueOwnerAWSAccountId": account}
    url = str(clients.call("GetQueueUrl", params)["QueueUrl"])
    # ElasticMQ and moto accept the account but ignore it.
    found = account_and_name(url)[0]
    if found != account and found.isdigit():
        raise QueueNotFound(
            f"no queue named {name!r} in account {account}",
            queue=name,
            account=account,
            why=f"the queue with this name belongs to account {found}",
            code="QueueDoesNotExist",
        )
    return url


def _is_called(clients: ClientSource, arn: str, name: str) -> bool:
    """Return whether a server that is not AWS has a queue with this ARN, in any region."""
    if is_aws_endpoint(clients.endpoint_url):
        return False
    try:
        url = _url(clients, arn, name)
        params = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
        answer = clients.call("GetQueueAttributes", params)
    except Exception as error:
        if not is_missing_queue(error):
            raise
        return False
    return (answer.get("Attributes") or {}).get("QueueArn") == arn
