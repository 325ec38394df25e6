"""A purge removes all messages and all remembered deduplication ids."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import attribute, counts, is_empty, refused, send, take_one

MakeQueue = Callable[..., str]


def test_a_purge_removes_messages_in_every_state(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "in flight", "visible")
    send(client, url, "delayed", DelaySeconds=60)
    take_one(client, url)
    client.purge_queue(QueueUrl=url)
    assert counts(client, url) == (0, 0, 0)
    assert is_empty(client, url)


def test_a_purge_forgets_deduplication_ids(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True)
    options = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    send(client, url, "before", **options)
    client.purge_queue(QueueUrl=url)
    send(client, url, "after", **options)
    assert take_one(client, url)["Body"] == "after"


@pytest.mark.known_difference(elasticmq="can be purged at any time")
def test_a_queue_can_be_purged_once_a_minute(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.purge_queue(QueueUrl=url)
    with pytest.raises(client.exceptions.PurgeQueueInProgress) as caught:
        client.purge_queue(QueueUrl=url)
    answer = caught.value.response
    name = url.rpartition("/")[2]
    assert answer["Error"]["Code"] == "AWS.SimpleQueueService.PurgeQueueInProgress"
    assert answer["Error"]["Message"] == (
        f"Only one PurgeQueue operation on {name} is allowed every 60 seconds."
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_other_queues_can_be_purged_in_that_minute(client: Any, make_queue: MakeQueue) -> None:
    client.purge_queue(QueueUrl=make_queue())
    client.purge_queue(QueueUrl=make_queue())


@pytest.mark.moves_clock
def test_a_queue_can_be_purged_again_after_60_seconds(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    client.purge_queue(QueueUrl=url)
    clock.pass_seconds(59.5)
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress"):
        client.purge_queue(QueueUrl=url)
    clock.pass_seconds(0.5)
    client.purge_queue(QueueUrl=url)


def test_a_purge_releases_the_groups_of_a_fifo_queue(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send(client, url, "held", MessageGroupId="g")
    take_one(client, url)
    client.purge_queue(QueueUrl=url)
    send(client, url, "next", MessageGroupId="g")
    assert take_one(client, url)["Body"] == "next"


def test_a_purge_keeps_attributes_and_tags(client: Any, make_queue: MakeQueue) -> None:
    url = make_queue(VisibilityTimeout="11")
    client.tag_queue(QueueUrl=url, Tags={"a": "b"})
    client.purge_queue(QueueUrl=url)
    assert attribute(client, url, "VisibilityTimeout") == "11"
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
