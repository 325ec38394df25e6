"""Groups, deduplication, and receive attempts that depend on time."""

from typing import Any

from sqsw.local.errors import InvalidParameterValueException
from sqsw.local.store import fifo
from tests.unit.local.manual import Calls, refused


def test_the_five_minutes_count_from_the_first_send(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    sqs.send(url, "x", MessageGroupId="g")
    sqs.clock.pass_seconds(200)
    sqs.send(url, "x", MessageGroupId="g")
    sqs.clock.pass_seconds(99.999)
    sqs.send(url, "x", MessageGroupId="g")
    assert sqs.counts(url) == (1, 0, 0)
    sqs.clock.pass_seconds(0.001)
    sqs.send(url, "x", MessageGroupId="g")
    assert sqs.counts(url) == (2, 0, 0)


def test_old_deduplication_ids_are_dropped(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    sqs.send(url, *(str(n) for n in range(20)), MessageGroupId="g")
    sqs.clock.pass_seconds(300)
    sqs.send(url, "new", MessageGroupId="g")
    assert sqs.rows("SELECT count(*) FROM deduplications") == [(1,)]


def test_a_duplicate_gets_the_answer_of_the_first_send(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    first, second = sqs.send(url, "x", "x", MessageGroupId="g")
    assert first == second


def test_the_group_that_was_available_first_is_received_first(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    for group in "abc":
        sqs.send(url, group, MessageGroupId=group)
    messages = sqs.receive(url, VisibilityTimeout=100)
    for message, seconds in zip(messages, (30, 10, 20), strict=True):
        sqs.hide(url, message, seconds)
    sqs.clock.pass_seconds(40)
    assert sqs.bodies(url) == ["b", "c", "a"]


def test_a_first_message_that_expires_in_flight_frees_its_group(sqs: Calls) -> None:
    url = sqs.make("q.fifo", MessageRetentionPeriod=60, VisibilityTimeout=3600)
    sqs.send(url, "old", MessageGroupId="g")
    sqs.clock.pass_seconds(30)
    sqs.send(url, "new", MessageGroupId="g")
    assert sqs.bodies(url, 1) == ["old"]
    sqs.clock.pass_seconds(30)
    assert sqs.bodies(url) == ["new"]


def test_an_attempt_is_repeated_for_five_minutes(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=200)
    sqs.send(url, "a", "b", MessageGroupId="g")
    options: dict[str, Any] = {"ReceiveRequestAttemptId": "once", "AttributeNames": ["All"]}
    first = sqs.receive(url, **options)
    sqs.clock.pass_seconds(150)
    assert sqs.receive(url, **options) == first
    sqs.clock.pass_seconds(149)
    # The repeated receive started the timeout again; the first timeout would be over.
    assert sqs.receive(url) == []
    assert sqs.receive(url, **options) == first
    sqs.clock.pass_seconds(1)
    assert sqs.receive(url, **options) == []


def test_an_attempt_ends_with_the_visibility_of_its_messages(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=10)
    sqs.send(url, "a", MessageGroupId="g")
    (first,) = sqs.receive(url, ReceiveRequestAttemptId="once")
    sqs.clock.pass_seconds(10)
    (second,) = sqs.receive(url, ReceiveRequestAttemptId="once")
    assert second["ReceiptHandle"] != first["ReceiptHandle"]


def test_a_changed_visibility_ends_an_attempt(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=10)
    sqs.send(url, "a", MessageGroupId="g")
    (first,) = sqs.receive(url, ReceiveRequestAttemptId="once")
    sqs.hide(url, first, 100)
    assert sqs.receive(url, ReceiveRequestAttemptId="once") == []


def test_a_handle_of_an_earlier_delivery_has_expired(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=10)
    sqs.send(url, "a", MessageGroupId="g")
    (first,) = sqs.receive(url)
    sqs.clock.pass_seconds(10)
    (second,) = sqs.receive(url)
    with refused(InvalidParameterValueException, "The receipt handle has expired."):
        sqs.delete(url, first)
    with refused(InvalidParameterValueException, "not available for visibility timeout change"):
        sqs.hide(url, first, 5)
    sqs.delete(url, second)


def test_sequence_numbers_grow_even_if_the_clock_steps_back(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    (before,) = sqs.send(url, "a", MessageGroupId="g")
    sqs.clock.pass_seconds(-60)
    (after,) = sqs.send(url, "b", MessageGroupId="g")
    assert before["SequenceNumber"] < after["SequenceNumber"]
    assert sqs.bodies(url) == ["a", "b"]


def test_a_group_row_exists_as_long_as_its_messages(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    sqs.send(url, "a", MessageGroupId="g")
    (message,) = sqs.receive(url)
    assert sqs.rows("SELECT name FROM groups") == [("g",)]
    sqs.delete(url, message)
    assert sqs.rows("SELECT name FROM groups") == []


def test_sequence_numbers_increase_and_are_never_below_the_time(sqs: Calls) -> None:
    now = sqs.engine.store.now()
    with sqs.engine.store.write() as transaction:
        first = fifo.next_seq(transaction, now, 3)
        second = fifo.next_seq(transaction, now)
    assert first > now << 20
    assert second == first + 3
