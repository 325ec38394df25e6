"""A message is deleted when its age reaches the retention period."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, counts, is_empty, send, take_one

MakeQueue = Callable[..., str]

pytestmark = pytest.mark.moves_clock


def set_retention(client: Any, url: str, seconds: int) -> None:
    client.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": str(seconds)})


def with_dead_letters(client: Any, make_queue: MakeQueue, **options: Any) -> tuple[str, str]:
    dead = make_queue(MessageRetentionPeriod="100", **options)
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    return make_queue(RedrivePolicy=policy, **options), dead


def test_a_message_is_kept_for_the_period_and_no_longer(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(MessageRetentionPeriod="60")
    send(client, url, "x")
    clock.pass_seconds(59)
    take_one(client, url, VisibilityTimeout=0)
    clock.pass_seconds(1)
    assert is_empty(client, url)
    assert counts(client, url) == (0, 0, 0)


def test_the_default_retention_is_four_days(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "x")
    clock.pass_seconds(4 * 86_400 - 1)
    assert counts(client, url) == (1, 0, 0)
    clock.pass_seconds(1)
    assert counts(client, url) == (0, 0, 0)


def test_the_longest_retention_is_fourteen_days(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(MessageRetentionPeriod="1209600")
    send(client, url, "x")
    clock.pass_seconds(14 * 86_400 - 1)
    assert take_one(client, url, VisibilityTimeout=0)["Body"] == "x"
    clock.pass_seconds(1)
    assert is_empty(client, url)


def test_messages_in_flight_expire_too(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MessageRetentionPeriod="60", VisibilityTimeout="120")
    send(client, url, "x")
    take_one(client, url)
    assert counts(client, url) == (0, 1, 0)
    clock.pass_seconds(60)
    assert counts(client, url) == (0, 0, 0)
    clock.pass_seconds(60)
    assert is_empty(client, url)


def test_delayed_messages_expire_too(client: Any, clock: Any, make_queue: MakeQueue) -> None:
    url = make_queue(MessageRetentionPeriod="60")
    send(client, url, "x", DelaySeconds=120)
    clock.pass_seconds(60)
    assert counts(client, url) == (0, 0, 0)


def test_a_shorter_retention_removes_older_messages(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "old")
    clock.pass_seconds(100)
    send(client, url, "new")
    set_retention(client, url, 60)
    assert take_one(client, url)["Body"] == "new"


def test_an_expired_first_message_releases_its_group(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url = make_queue(
        fifo=True,
        ContentBasedDeduplication="true",
        MessageRetentionPeriod="60",
        VisibilityTimeout="600",
    )
    send(client, url, "a", MessageGroupId="g")
    take_one(client, url)
    clock.pass_seconds(30)
    send(client, url, "b", MessageGroupId="g")
    assert is_empty(client, url)
    clock.pass_seconds(30)
    assert take_one(client, url)["Body"] == "b"


def test_the_age_of_a_dead_letter_counts_from_its_send(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue)
    send(client, url, "x")
    take_one(client, url, VisibilityTimeout=0)
    clock.pass_seconds(60)
    assert is_empty(client, url)
    assert counts(client, dead) == (1, 0, 0)
    clock.pass_seconds(40)
    assert counts(client, dead) == (0, 0, 0)


def test_the_age_of_a_fifo_dead_letter_counts_from_its_move(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url, dead = with_dead_letters(client, make_queue, fifo=True)
    send(client, url, "x", MessageGroupId="g", MessageDeduplicationId="d")
    take_one(client, url, VisibilityTimeout=0)
    clock.pass_seconds(60)
    assert is_empty(client, url)
    clock.pass_seconds(99)
    assert counts(client, dead) == (1, 0, 0)
    clock.pass_seconds(1)
    assert counts(client, dead) == (0, 0, 0)
