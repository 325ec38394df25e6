"""boto3 as its users write it: clients, resources, and their paginators."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from tests.clients.support import assert_each_once, assert_empty
from tests.life.serving import Serving, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving("--local=boto3.db", cwd=tmp_path_factory.mktemp("boto3")) as running:
        yield running


@pytest.fixture
def sqs(server: Serving, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the resource of a session that finds the server through variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "local")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    return boto3.session.Session().resource("sqs")


def test_clients_share_a_queue(server: Serving) -> None:
    producer = server.client()
    url = producer.create_queue(QueueName="shared")["QueueUrl"]
    jobs = [f"job {number}" for number in range(60)]
    for first in range(0, 60, 10):
        entries = [{"Id": str(n), "MessageBody": jobs[n]} for n in range(first, first + 10)]
        assert len(producer.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10

    def consume() -> list[str]:
        client, done = server.client(), []
        while messages := client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            done += [message["Body"] for message in messages]
            handles = [
                {"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]}
                for message in messages
            ]
            deleted = client.delete_message_batch(QueueUrl=url, Entries=handles)
            assert len(deleted["Successful"]) == len(messages)
        return done

    with ThreadPoolExecutor() as pool:
        consumers = [pool.submit(consume) for _ in range(4)]
        assert_each_once([job for consumer in consumers for job in consumer.result()], jobs)
    assert_empty(producer, "shared")


def test_the_resource(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="resource-dead", tags={"team": "a"})
    policy = {"deadLetterTargetArn": dead.attributes["QueueArn"], "maxReceiveCount": 1}
    queue = sqs.create_queue(
        QueueName="resource",
        Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"},
    )
    assert [source.url for source in dead.dead_letter_source_queues.all()] == [queue.url]
    size = {"size": {"DataType": "Number", "StringValue": "7"}}
    queue.send_message(MessageBody="job 0", MessageAttributes=size)
    queue.send_message(MessageBody="job 1")
    done = []
    received = queue.receive_messages(
        AttributeNames=["All"], MessageAttributeNames=["size"], MaxNumberOfMessages=10
    )
    for message in received:
        assert message.attributes["ApproximateReceiveCount"] == "1"
        assert message.message_attributes == (size if message.body == "job 0" else None)
        if message.body == "job 0":
            message.delete()
            done.append(message.body)
    assert not queue.receive_messages()
    (message,) = dead.receive_messages(VisibilityTimeout=60)
    message.change_visibility(VisibilityTimeout=0)
    (message,) = dead.receive_messages()
    assert dead.delete_messages(Entries=[{"Id": "0", "ReceiptHandle": message.receipt_handle}])[
        "Successful"
    ] == [{"Id": "0"}]
    assert_each_once([*done, message.body], ["job 0", "job 1"])
    queue.set_attributes(Attributes={"DelaySeconds": "5"})
    queue.reload()
    assert queue.attributes["DelaySeconds"] == "5"
    assert_empty(sqs.meta.client, "resource", "resource-dead")


def test_pages(sqs: Any) -> None:
    urls = [sqs.create_queue(QueueName=f"page-{number}").url for number in range(5)]
    assert [queue.url for queue in sqs.queues.filter(QueueNamePrefix="page-")] == urls
    assert [queue.url for queue in sqs.queues.page_size(2).filter(QueueNamePrefix="page-")] == urls
    pages = sqs.meta.client.get_paginator("list_queues").paginate(
        QueueNamePrefix="page-", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["QueueUrls"]) for page in pages] == [2, 2, 1]


def test_a_missing_queue_has_its_own_exception(sqs: Any) -> None:
    errors = sqs.meta.client.exceptions
    with pytest.raises(errors.QueueDoesNotExist):
        sqs.get_queue_by_name(QueueName="nobody")
    queue = sqs.create_queue(QueueName="known")
    with pytest.raises(errors.ReceiptHandleIsInvalid):
        queue.Message("no handle").delete()
    with pytest.raises(errors.QueueNameExists):
        sqs.create_queue(QueueName="known", Attributes={"VisibilityTimeout": "1"})
    queue.purge()
    with pytest.raises(errors.PurgeQueueInProgress):
        queue.purge()
