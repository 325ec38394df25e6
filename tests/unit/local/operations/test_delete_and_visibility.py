"""Deletes and visibility changes that depend on time."""

from sqsw.local.errors import InvalidParameterValueException, MissingRequiredParameterException
from tests.unit.local.manual import Calls, refused


def test_twelve_hours_count_from_the_latest_delivery(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=100)
    sqs.send(url, "x")
    (message,) = sqs.receive(url)
    sqs.hide(url, message, 43200)
    sqs.clock.pass_seconds(3600)
    with refused(InvalidParameterValueException, "beyond the limit [43200 seconds]"):
        sqs.hide(url, message, 43200 - 3599)
    sqs.hide(url, message, 43200 - 3600)
    sqs.hide(url, message, 0)
    (message,) = sqs.receive(url)
    sqs.hide(url, message, 43200)


def test_a_batch_deletes_a_repeated_handle_once(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "a", "b")
    (message,) = sqs.receive(url, 1)
    entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n in range(2)]
    answer = sqs("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    assert answer == {"Successful": [{"Id": "0"}, {"Id": "1"}]}
    assert sqs.counts(url) == (1, 0, 0)


def test_the_visibility_timeout_is_required(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "a")
    (message,) = sqs.receive(url)
    with refused(MissingRequiredParameterException, "VisibilityTimeout"):
        sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_an_older_handle_deletes_on_a_standard_queue(sqs: Calls) -> None:
    url = sqs.make(VisibilityTimeout=10)
    sqs.send(url, "a")
    (first,) = sqs.receive(url)
    sqs.clock.pass_seconds(10)
    sqs.receive(url)
    sqs.delete(url, first)
    assert sqs.counts(url) == (0, 0, 0)


def test_bodies_are_deleted_with_their_messages(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "a")
    (message,) = sqs.receive(url)
    sqs.delete(url, message)
    assert sqs.rows("SELECT * FROM bodies") == []


def test_a_batch_deletes_like_its_entries_one_by_one(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=1)
    sqs.send(url, "a", MessageGroupId="g")
    (old,) = sqs.receive(url)
    sqs.clock.pass_seconds(1)
    (latest,) = sqs.receive(url)
    entries = [
        {"Id": "latest", "ReceiptHandle": latest["ReceiptHandle"]},
        {"Id": "old", "ReceiptHandle": old["ReceiptHandle"]},
    ]
    answer = sqs("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    # On its own, the older handle would be refused. Here, its message is already deleted.
    assert answer == {"Successful": [{"Id": "latest"}, {"Id": "old"}]}
