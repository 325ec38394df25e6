"""Move tasks: any call advances them, at the rate of the task."""

import base64
from typing import Any

import pytest

from sqsw.local.errors import InvalidParameterValueException
from tests.unit.local.manual import Calls, refused


@pytest.fixture
def dead(sqs: Calls) -> str:
    """Create a dead-letter queue with four messages, all from the queue ``q``."""
    dead = sqs.make("dead")
    policy = f'{{"deadLetterTargetArn": "{_arn("dead")}", "maxReceiveCount": 1}}'
    url = sqs.make(RedrivePolicy=policy)
    sqs.send(url, *"abcd")
    sqs.receive(url, VisibilityTimeout=0)
    assert sqs.receive(url) == []
    return dead


def _arn(name: str) -> str:
    return f"arn:aws:sqs:local:000000000000:{name}"


def _task(sqs: Calls, **options: Any) -> dict[str, Any]:
    (task,) = sqs("ListMessageMoveTasks", SourceArn=_arn("dead"), **options)["Results"]
    return dict(task)


def test_a_move_keeps_to_its_rate(sqs: Calls, dead: str) -> None:
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"), MaxNumberOfMessagesPerSecond=1)
    assert sqs.counts("q") == (1, 0, 0)
    sqs.clock.pass_seconds(1.5)
    assert sqs.counts("q") == (2, 0, 0)
    assert _task(sqs)["Status"] == "RUNNING"
    sqs.clock.pass_seconds(1.5)
    task = _task(sqs)
    assert task["Status"] == "COMPLETED"
    assert task["ApproximateNumberOfMessagesMoved"] == 4
    assert sqs.bodies("q") == ["a", "b", "c", "d"]


def test_moved_messages_are_new_ones(sqs: Calls, dead: str) -> None:
    (before,) = sqs.receive(dead, 1, VisibilityTimeout=0, AttributeNames=["All"])
    sqs.clock.pass_seconds(100)
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"))
    (after,) = sqs.receive("q", 1, AttributeNames=["All"])
    assert after["Body"] == before["Body"]
    assert after["MessageId"] != before["MessageId"]
    assert after["Attributes"]["ApproximateReceiveCount"] == "1"
    assert after["Attributes"]["SentTimestamp"] == str(int(sqs.clock() * 1000))
    assert "DeadLetterQueueSourceArn" not in after["Attributes"]


def test_messages_that_arrive_later_are_not_moved(sqs: Calls, dead: str) -> None:
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"), MaxNumberOfMessagesPerSecond=1)
    sqs.send(dead, "later")
    sqs.clock.pass_seconds(60)
    assert _task(sqs)["ApproximateNumberOfMessagesMoved"] == 4
    assert sqs.bodies(dead) == ["later"]


def test_a_message_without_a_source_fails_the_task(sqs: Calls, dead: str) -> None:
    sqs.send(dead, "sent by hand")
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"))
    task = _task(sqs)
    assert task["Status"] == "FAILED"
    assert task["FailureReason"] == "CouldNotDetermineMessageSource"
    assert sqs.bodies(dead) == ["sent by hand"]
    assert sqs.counts("q") == (4, 0, 0)


def test_a_large_move_takes_several_portions(sqs: Calls, dead: str) -> None:
    for n in range(50):
        entries = [{"Id": str(i), "MessageBody": f"{n}-{i}"} for i in range(10)]
        sqs("SendMessageBatch", QueueUrl=dead, Entries=entries)
    sqs.make("other")
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"), DestinationArn=_arn("other"))
    assert _task(sqs)["Status"] == "RUNNING"
    for _ in range(5):
        sqs("ListQueues")
    assert _task(sqs)["Status"] == "COMPLETED"
    assert sqs.counts("other") == (504, 0, 0)


def test_a_waiting_receive_advances_a_move(sqs: Calls, dead: str) -> None:
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"), MaxNumberOfMessagesPerSecond=2)
    assert sqs.bodies("q") == ["a"]
    sqs.clock.pass_seconds(0.5)
    assert sqs.bodies("q", WaitTimeSeconds=1) == ["b"]


def test_a_fifo_move_keeps_order_and_leaves_blocked_groups(sqs: Calls) -> None:
    sqs.make("dead.fifo")
    policy = f'{{"deadLetterTargetArn": "{_arn("dead.fifo")}", "maxReceiveCount": 1}}'
    url = sqs.make("q.fifo", RedrivePolicy=policy)
    for body in ("a1", "a2", "b1", "b2"):
        sqs.send(url, body, MessageGroupId=body[0])
    sqs.receive(url, VisibilityTimeout=0)
    assert sqs.receive(url) == []
    assert sqs.bodies("dead.fifo", 1) == ["a1"]
    sqs("StartMessageMoveTask", SourceArn=_arn("dead.fifo"))
    assert sqs.bodies(url) == ["b1", "b2"]
    assert sqs.counts("dead.fifo") == (1, 1, 0)


def test_a_fifo_move_skips_messages_behind_one_in_flight(sqs: Calls) -> None:
    sqs.make("dead.fifo")
    policy = f'{{"deadLetterTargetArn": "{_arn("dead.fifo")}", "maxReceiveCount": 1}}'
    url = sqs.make("q.fifo", RedrivePolicy=policy)
    sqs.send("dead.fifo", "m1", "m2", "m3", MessageGroupId="g")
    first, _ = sqs.receive("dead.fifo", 2)
    sqs.hide("dead.fifo", first, 0)
    sqs("StartMessageMoveTask", SourceArn=_arn("dead.fifo"), DestinationArn=_arn("q.fifo"))
    assert sqs.bodies(url) == ["m1"]
    assert sqs.counts("dead.fifo") == (1, 1, 0)


def test_a_move_that_waits_for_its_rate_takes_no_lock(sqs: Calls, dead: str) -> None:
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"), MaxNumberOfMessagesPerSecond=1)
    run = sqs.statements()
    sqs("ListQueues")
    assert run
    assert "BEGIN IMMEDIATE" not in run


def test_the_type_of_the_destination_must_match(sqs: Calls, dead: str) -> None:
    sqs.make("q.fifo")
    with refused(InvalidParameterValueException, "same type"):
        sqs("StartMessageMoveTask", SourceArn=_arn("dead"), DestinationArn=_arn("q.fifo"))


def test_a_finished_task_cannot_be_cancelled(sqs: Calls, dead: str) -> None:
    handle = sqs("StartMessageMoveTask", SourceArn=_arn("dead"))["TaskHandle"]
    with refused(InvalidParameterValueException, "Only active tasks"):
        sqs("CancelMessageMoveTask", TaskHandle=handle)


def test_only_the_last_ten_tasks_are_kept(sqs: Calls, dead: str) -> None:
    for _ in range(15):
        sqs("StartMessageMoveTask", SourceArn=_arn("dead"))
    answer = sqs("ListMessageMoveTasks", SourceArn=_arn("dead"), MaxResults=10)
    assert len(answer["Results"]) == 10
    assert sqs.rows("SELECT count(*) FROM move_tasks") == [(10,)]


def test_a_task_starts_in_one_transaction(sqs: Calls, dead: str) -> None:
    """If the file is locked, a server repeats the call; a stored task would make that fail."""
    statements = sqs.statements()
    sqs("StartMessageMoveTask", SourceArn=_arn("dead"))
    assert statements.count("BEGIN IMMEDIATE") == 1
    assert _task(sqs)["Status"] == "COMPLETED"


def test_an_unpaired_surrogate_in_json_is_refused(sqs: Calls) -> None:
    url, half = sqs.make(), _arn(r"\ud800")
    policy = '{"deadLetterTargetArn": "' + half + '", "maxReceiveCount": 3}'
    with refused(InvalidParameterValueException, "Dead letter target does not exist."):
        sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": policy})
    handle = base64.b64encode(('{"taskId": "1", "sourceArn": "' + half + '"}').encode()).decode()
    with refused(InvalidParameterValueException, "TaskHandle is invalid"):
        sqs("CancelMessageMoveTask", TaskHandle=handle)
