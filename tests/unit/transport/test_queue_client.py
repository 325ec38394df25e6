"""The calls on one queue, which take plain values and return messages."""

import json
from typing import Any

import boto3
import pytest

from sqsw.core.errors import QueueNotFound, SQSError
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv
from sqsw.transport import queue_client as queue_client_module
from sqsw.transport.queue_client import QueueClient


@pytest.fixture
def client(jobs: JobQueue) -> QueueClient:
    return jobs.client


def calls(env: SQSEnv, operation: str) -> list[dict[str, Any]]:
    """Return a list that gets the parameters of each later call of this operation."""
    found: list[dict[str, Any]] = []
    env.sqs_client.meta.events.register(
        f"provide-client-params.sqs.{operation}", lambda params, **_: found.append(params)
    )
    return found


def test_the_url_is_looked_up_once_and_only_if_unknown(memory_env: SQSEnv) -> None:
    url = memory_env.sqs_client.create_queue(QueueName="jobs")["QueueUrl"]
    asked = calls(memory_env, "GetQueueUrl")
    client = memory_env.make_queue_client("jobs")
    assert asked == []
    assert (client.url, client.url) == (url, url)
    assert memory_env.make_queue_client("jobs", url).url == url
    assert len(asked) == 1


def test_a_missing_queue_is_named_without_its_prefix(memory_env: SQSEnv) -> None:
    memory_env.connect_to(queue_prefix="dev_")
    with pytest.raises(QueueNotFound, match="no queue named 'nowhere'") as caught:
        _ = memory_env.make_queue_client("nowhere").url
    assert caught.value.code
    memory_env.sqs_client.create_queue(QueueName="dev_nowhere")
    client = memory_env.make_queue_client("nowhere")
    assert client.url  # the failure was not cached
    client.delete_queue()
    with pytest.raises(QueueNotFound, match="'nowhere'"):
        client.receive()


def test_only_the_embedded_sqs_can_end_polls(memory_env: SQSEnv) -> None:
    elsewhere = SQSEnv(boto3.Session("id", "secret", region_name="eu-west-1"))
    assert memory_env.make_queue_client("jobs").end_polls() is True
    assert elsewhere.make_queue_client("jobs").end_polls() is False


def test_a_received_message_has_all_its_attributes(client: QueueClient) -> None:
    attributes = {
        "Text": {"DataType": "String", "StringValue": "ß"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"\0"},
    }
    answer = client.send({"MessageBody": "Hello", "MessageAttributes": attributes})
    (message,) = client.receive(10, visibility_timeout=60)
    assert message.message_id == answer["MessageId"]
    assert message.body == "Hello"
    assert message.receipt_handle
    assert message.queue_name == "jobs"
    assert message.receive_count == 1
    assert message.string_attribute("Text") == "ß"
    assert message.string_attribute("Bytes") is None
    assert message.message_attributes["Bytes"]["BinaryValue"] == b"\0"
    # The lease starts at the request.
    assert 0 <= message.received_at + 60 - message.lease.expires_at < 30
    assert {"SentTimestamp", "SenderId"} <= set(message.attributes)


def test_a_batch_returns_answers_and_failures_by_entry_index(
    client: QueueClient,
) -> None:
    client.set_attributes({"MaximumMessageSize": "1024"})
    sent, failures = client.send_batch(
        [{"MessageBody": "a"}, {"MessageBody": "x" * 1025}, {"MessageBody": "c"}]
    )
    assert sorted(sent) == [0, 2]
    assert all(answer["MessageId"] for answer in sent.values())
    assert [(f.index, f.sender_fault) for f in failures] == [(1, True)]
    assert failures[0].code
    assert failures[0].reason


def test_deletes_and_visibility_changes_return_failures(client: QueueClient) -> None:
    for body in "abc":
        client.send({"MessageBody": body})
    first, second, third = client.receive(10)
    assert client.delete_batch([first]) == []
    # Deleting a message twice succeeds.
    assert client.delete_batch([first, second]) == []
    assert client.change_visibility_batch([(third, 0)]) == []
    refused = client.change_visibility_batch([(third, 0), (first, 0)])
    assert refused
    assert {failure.index for failure in refused} <= {0, 1}
    (again,) = client.receive(10)
    assert again.message_id == third.message_id
    assert again.receive_count == 2


def test_null_in_a_response_is_read_as_missing(client: QueueClient) -> None:
    """Some other servers return null for empty members."""
    client.send({"MessageBody": "a"})

    def receives(parsed: dict[str, Any], **_: Any) -> None:
        for raw in parsed.get("Messages", []):
            raw["Attributes"] = raw["MessageAttributes"] = None
        parsed.setdefault("Messages", None)

    def deletes(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Failed"] = None

    events = client.boto3_client.meta.events
    events.register("after-call.sqs.ReceiveMessage", receives)
    events.register("after-call.sqs.DeleteMessageBatch", deletes)
    (message,) = client.receive()
    assert (message.attributes, message.message_attributes) == ({}, {})
    assert client.delete_batch([message]) == []
    assert client.receive() == []


def test_attributes_can_be_read_and_changed(client: QueueClient) -> None:
    assert client.attributes("VisibilityTimeout") == {"VisibilityTimeout": "30"}
    client.set_attributes({"VisibilityTimeout": "77"})
    assert client.attributes()["VisibilityTimeout"] == "77"
    with pytest.raises(SQSError, match="cannot change the attributes of 'jobs'"):
        client.set_attributes({"VisibilityTimeout": "-1"})


def test_the_sources_of_a_dead_letter_queue_are_listed(memory_env: SQSEnv) -> None:
    memory_env.sqs_client.create_queue(QueueName="dead")
    policy = {"deadLetterTargetArn": memory_env.get_queue_arn("dead"), "maxReceiveCount": 3}
    url = memory_env.sqs_client.create_queue(
        QueueName="jobs", Attributes={"RedrivePolicy": json.dumps(policy)}
    )["QueueUrl"]
    assert memory_env.make_queue_client("dead").dead_letter_sources() == [url]


def test_a_purge_empties_the_queue(client: QueueClient) -> None:
    client.send({"MessageBody": "a"})
    client.purge()
    assert client.receive(10) == []


def test_each_call_returns_a_new_resource(jobs: JobQueue) -> None:
    first, second = jobs.get_queue(), jobs.get_queue()
    assert first is not second
    assert first.url == jobs.client.url
    first.send_message(MessageBody="Hello")
    assert [message.body for message in second.receive_messages()] == ["Hello"]


@pytest.mark.parametrize(("seconds", "retries", "age"), [(0.5, 0, 0), (5, 0, 3), (5, 1, 0)])
def test_the_lease_starts_when_sqs_hides_the_message(
    client: QueueClient, monkeypatch: pytest.MonkeyPatch, seconds: float, retries: int, age: float
) -> None:
    """SQS hid the message before a slow response; after a retry, the time is unknown."""
    client.send({"MessageBody": "Hello"})
    now = [1000.0]
    monkeypatch.setattr(queue_client_module, "lease_time", lambda: now[0])

    def late(parsed: dict[str, Any], **_: Any) -> None:
        now[0] += seconds
        parsed["ResponseMetadata"]["RetryAttempts"] = retries

    client.boto3_client.meta.events.register("after-call.sqs.ReceiveMessage", late)
    (message,) = client.receive(visibility_timeout=30, wait_seconds=2)
    assert message.received_at == 1000 + seconds
    assert message.lease.expires_at == message.received_at - age + 30
    assert message.lease.sure_until == 1000 + 30  # as if SQS had hidden it at the request


def test_the_embedded_sqs_shows_and_discards_hidden_messages(client: QueueClient) -> None:
    client.send({"MessageBody": "in flight"})
    client.receive(visibility_timeout=600)
    client.send({"MessageBody": "delayed", "DelaySeconds": 900})
    assert list(client.peek() or ()) == []
    found = list(client.peek(hidden=True) or ())
    assert [message.body for message in found] == ["in flight", "delayed"]
    assert [client.discard(message.message_id) for message in found] == [True, True]
    assert client.discard(found[0].message_id) is False
    assert list(client.peek(hidden=True) or ()) == []


def test_aws_can_neither_show_nor_discard_hidden_messages() -> None:
    elsewhere = SQSEnv(boto3.Session("id", "secret", region_name="eu-west-1"))
    client = elsewhere.make_queue_client("jobs", "https://sqs.eu-west-1.amazonaws.com/1/jobs")
    assert client.peek(hidden=True) is None
    assert client.discard("id") is None
