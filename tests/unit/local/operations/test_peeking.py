"""Reading and deleting messages that cannot be received now."""

from typing import Any

import pytest

from sqsw.local.errors import QueueDoesNotExist
from tests.unit.local.manual import Calls, refused

FIVE_DAYS = 5 * 86_400


def peek(sqs: Calls, url: str, **options: Any) -> list[str]:
    return [message["Body"] for message in sqs.engine.peek(url, **options).messages]


@pytest.fixture
def url(sqs: Calls) -> str:
    """A queue with a message in flight, a delayed one and a ready one."""
    url = sqs.make()
    sqs.send(url, "in flight")
    sqs.receive(url, VisibilityTimeout=600)
    sqs.send(url, "delayed", DelaySeconds=900)
    sqs.send(url, "ready")
    return url


def test_only_a_peek_at_hidden_messages_returns_all(sqs: Calls, url: str) -> None:
    assert peek(sqs, url) == ["ready"]
    assert peek(sqs, url, hidden=True) == ["in flight", "delayed", "ready"]
    assert sqs.counts(url) == (1, 1, 1)


def test_hidden_messages_come_in_pages(sqs: Calls, url: str) -> None:
    page = sqs.engine.peek(url, limit=2, hidden=True)
    assert [message["Body"] for message in page.messages] == ["in flight", "delayed"]
    assert page.last is not None
    assert peek(sqs, url, after=page.last, limit=2, hidden=True) == ["ready"]


def test_an_expired_hidden_message_is_not_returned(sqs: Calls, url: str) -> None:
    sqs.clock.pass_seconds(FIVE_DAYS)
    assert peek(sqs, url, hidden=True) == []


def test_discard_deletes_messages_in_any_state(sqs: Calls, url: str) -> None:
    for message in sqs.engine.peek(url, hidden=True).messages:
        assert sqs.engine.discard(url, message["MessageId"]) is True
        assert sqs.engine.discard(url, message["MessageId"]) is False
    assert peek(sqs, url, hidden=True) == []
    assert sqs.counts(url) == (0, 0, 0)


def test_discard_of_an_unknown_or_expired_message_deletes_nothing(sqs: Calls, url: str) -> None:
    assert sqs.engine.discard(url, "unknown") is False
    (first, *_) = sqs.engine.peek(url, hidden=True).messages
    sqs.clock.pass_seconds(FIVE_DAYS)
    assert sqs.engine.discard(url, first["MessageId"]) is False


def test_discard_in_a_missing_queue_is_refused(sqs: Calls, url: str) -> None:
    sqs("DeleteQueue", QueueUrl=url)
    with refused(QueueDoesNotExist):
        sqs.engine.discard(url, "unknown")


def test_discard_opens_the_group_of_a_message_in_flight(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    sqs.send(url, "first", "second", MessageGroupId="g")
    (first,) = sqs.receive(url, 1)
    assert sqs.bodies(url) == []
    assert sqs.engine.discard(url, first["MessageId"])
    assert sqs.bodies(url) == ["second"]


def test_discard_can_leave_a_message_to_its_receiver(sqs: Calls, url: str) -> None:
    in_flight, delayed, ready = sqs.engine.peek(url, hidden=True).messages
    for message, is_deleted in ((in_flight, False), (delayed, True), (ready, True)):
        found = sqs.engine.discard(url, message["MessageId"], in_flight=False)
        assert found is is_deleted
    sqs.clock.pass_seconds(601)  # its timeout is over
    assert sqs.engine.discard(url, in_flight["MessageId"], in_flight=False) is True
