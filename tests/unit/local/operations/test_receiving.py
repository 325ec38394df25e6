"""Which messages a receive returns, and when, on a clock that tests move."""

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import (
    InvalidAttributeName,
    InvalidParameterValueException,
    OverLimit,
    ReceiptHandleIsInvalid,
)
from tests.unit.local.manual import Calls, ManualClock, refused


def test_a_message_is_visible_again_on_the_millisecond(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=30)
    sqs.send(url, "x")
    sqs.receive(url)
    sqs.clock.pass_seconds(29.999)
    assert sqs.bodies(url) == []
    sqs.clock.pass_seconds(0.001)
    assert sqs.bodies(url) == ["x"]


def test_no_message_is_delivered_twice_if_the_clock_steps_back(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=30)
    sqs.send(url, "a")
    assert sqs.bodies(url) == ["a"]
    sqs.clock.pass_seconds(-5)
    sqs.send(url, "b", "c")
    assert sqs.bodies(url) == ["b", "c"]
    sqs.clock.pass_seconds(34)
    assert sqs.bodies(url) == ["b", "c"]
    sqs.clock.pass_seconds(1)
    assert sqs.bodies(url) == ["a"]


def test_older_messages_are_first_when_they_are_visible_again(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=10)
    sqs.send(url, *"abcd")
    assert sqs.bodies(url, 2) == ["a", "b"]
    sqs.clock.pass_seconds(10)
    assert sqs.bodies(url, 3) == ["a", "b", "c"]


def test_messages_in_flight_expire_too(sqs: Calls) -> None:
    url = sqs.make(MessageRetentionPeriod=60, VisibilityTimeout=3600)
    sqs.send(url, "in flight", "ready")
    (message,) = sqs.receive(url, 1)
    sqs.clock.pass_seconds(59.999)
    assert sqs.counts(url) == (1, 1, 0)
    sqs.clock.pass_seconds(0.001)
    assert sqs.counts(url) == (0, 0, 0)
    assert sqs.bodies(url) == []
    sqs.delete(url, message)
    with refused(InvalidParameterValueException, "Message does not exist"):
        sqs.hide(url, message, 5)
    sqs.receive(url)
    sqs.send(url, "new")
    sqs.receive(url)
    assert [row[0] for row in sqs.rows("SELECT body FROM bodies")] == ["new"]


def test_a_longer_retention_does_not_restore_messages(sqs: Calls) -> None:
    for name, options in (("q", {}), ("q.fifo", {"MessageGroupId": "g"})):
        url = sqs.make(name, MessageRetentionPeriod=60)
        sqs.send(url, "old", **options)
        sqs.receive(url)
        sqs.clock.pass_seconds(59)
        sqs.send(url, "young", **options)
        sqs.clock.pass_seconds(1)
        sqs("SetQueueAttributes", QueueUrl=url, Attributes={"MessageRetentionPeriod": "3600"})
        assert sqs.counts(url) == (1, 0, 0)
        sqs.clock.pass_seconds(30)
        assert sqs.bodies(url) == ["young"]


def test_a_shorter_retention_applies_at_once(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "old")
    sqs.clock.pass_seconds(61)
    sqs.send(url, "new")
    sqs("SetQueueAttributes", QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    assert sqs.counts(url) == (1, 0, 0)
    assert sqs.bodies(url) == ["new"]


def test_age_counts_from_the_send_in_a_standard_dead_letter_queue(sqs: Calls) -> None:
    assert _dead_after(sqs, "") == []


def test_age_counts_from_the_move_in_a_fifo_dead_letter_queue(sqs: Calls) -> None:
    assert _dead_after(sqs, ".fifo") == ["x"]


def _dead_after(sqs: Calls, suffix: str) -> list[str]:
    """Return the messages in a dead-letter queue with a retention of 60 s.

    They were sent 100 s ago and moved 50 s ago.
    """
    dead = sqs.make(f"dead{suffix}", MessageRetentionPeriod=60)
    url = sqs.make(f"q{suffix}", RedrivePolicy=_policy(sqs, dead))
    options = {"MessageGroupId": "g"} if suffix else {}
    sqs.send(url, "x", **options)
    sqs.receive(url, VisibilityTimeout=0)
    sqs.clock.pass_seconds(50)
    assert sqs.bodies(url) == []
    assert sqs.counts(dead) == (1, 0, 0)
    sqs.clock.pass_seconds(50)
    return sqs.bodies(dead)


def _policy(sqs: Calls, dead: str, count: int = 1) -> str:
    arn = sqs("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    return f'{{"deadLetterTargetArn": "{arn["QueueArn"]}", "maxReceiveCount": {count}}}'


def test_many_dead_letters_move_in_one_receive(sqs: Calls) -> None:
    dead = sqs.make("dead")
    url = sqs.make(RedrivePolicy=_policy(sqs, dead))
    for n in range(30):
        sqs.send(url, str(n))
    for _ in range(3):
        sqs.receive(url, VisibilityTimeout=10)
    sqs.send(url, "fresh")
    sqs.clock.pass_seconds(10)
    assert sqs.bodies(url) == ["fresh"]
    assert sqs.counts(dead) == (30, 0, 0)


def test_a_queue_that_is_its_own_dead_letter_queue_keeps_delivering(sqs: Calls) -> None:
    url = sqs.make()
    sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": _policy(sqs, url)})
    sqs.send(url, "x")
    for _ in range(3):
        assert sqs.bodies(url, VisibilityTimeout=0) == ["x"]


def test_the_in_flight_limit_refuses_a_short_poll_on_a_standard_queue() -> None:
    clock = ManualClock()
    sqs = Calls(LocalEngine(None, clock=clock, max_in_flight=3), clock)
    url = sqs.make(VisibilityTimeout=10)
    sqs.send(url, *"abcd")
    assert sqs.bodies(url) == ["a", "b", "c"]
    with refused(OverLimit):
        sqs.receive(url)
    assert sqs.bodies(url, WaitTimeSeconds=1) == []
    sqs.clock.pass_seconds(10)
    assert sqs.bodies(url) == ["a", "b", "c"]
    sqs.engine.close()


def test_the_in_flight_limit_returns_no_messages_on_a_fifo_queue() -> None:
    clock = ManualClock()
    sqs = Calls(LocalEngine(None, clock=clock, max_in_flight=1), clock)
    url = sqs.make("q.fifo")
    sqs.send(url, "a", "b", MessageGroupId="g")
    assert sqs.bodies(url) == ["a"]
    assert sqs.bodies(url) == []
    sqs.engine.close()


def test_all_due_messages_are_received_if_one_call_promotes_only_some(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=10)
    for n in range(0, 2500, 10):
        entries = [{"Id": str(i), "MessageBody": str(n + i)} for i in range(10)]
        sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
    while sqs.receive(url):
        pass
    sqs.clock.pass_seconds(10)
    assert sqs.counts(url) == (2500, 0, 0)
    received = set()
    while messages := sqs.bodies(url):
        received.update(messages)
    assert len(received) == 2500
    assert sqs.counts(url) == (0, 2500, 0)


def test_attributes_are_checked_before_anything_is_received(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "x")
    with refused(InvalidAttributeName, "Unknown Attribute ."):
        sqs.receive(url, AttributeNames=[""])
    assert sqs.counts(url) == (1, 0, 0)


def test_the_newer_parameter_for_names_wins(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "x")
    (message,) = sqs.receive(
        url, AttributeNames=["SenderId"], MessageSystemAttributeNames=["SentTimestamp"]
    )
    assert message["Attributes"] == {"SentTimestamp": str(int(sqs.clock() * 1000))}


def test_a_recreated_queue_refuses_old_handles() -> None:
    clock = ManualClock()
    sqs = Calls(LocalEngine(None, clock=clock, relaxed=True), clock)
    url = sqs.make()
    sqs.send(url, "x")
    (message,) = sqs.receive(url)
    sqs("DeleteQueue", QueueUrl=url)
    sqs.make()
    with refused(ReceiptHandleIsInvalid, "is not a valid receipt handle"):
        sqs.delete(url, message)
    sqs.engine.close()
