"""Moving dead letters to their source or to another queue."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.calls import arn_of, bodies, is_empty, refused, send, take, take_one

MakeQueue = Callable[..., str]


def make_dead(client: Any, make_queue: MakeQueue, *texts: str, **options: Any) -> tuple[str, str]:
    """Create a queue and its dead-letter queue, and dead-letter these messages."""
    dead = make_queue()
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    url = make_queue(RedrivePolicy=policy)
    send(client, url, *texts)
    take(client, url, len(texts), VisibilityTimeout=0)
    assert is_empty(client, url)
    return url, dead


def tasks_of(client: Any, dead: str, **options: Any) -> list[dict[str, Any]]:
    answer = client.list_message_move_tasks(SourceArn=arn_of(client, dead), **options)
    return list(answer["Results"])


def finished(client: Any, dead: str) -> dict[str, Any]:
    """Return the latest task when it has ended, or after ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        (task,) = tasks_of(client, dead)
        if task["Status"] != "RUNNING" or time.monotonic() > deadline:
            return task
        time.sleep(0.05)


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="reports other counts")
def test_messages_return_to_their_source(client: Any, make_queue: MakeQueue) -> None:
    url, dead = make_dead(client, make_queue, "a", "b")
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    task = finished(client, dead)
    assert task["Status"] == "COMPLETED"
    assert task["SourceArn"] == arn_of(client, dead)
    assert task["ApproximateNumberOfMessagesMoved"] == 2
    assert task["ApproximateNumberOfMessagesToMove"] == 2
    assert "TaskHandle" not in task
    assert sorted(bodies(take(client, url, 2))) == ["a", "b"]
    assert is_empty(client, dead)


@pytest.mark.known_difference(moto="does not support move tasks")
def test_messages_move_to_a_given_destination(client: Any, make_queue: MakeQueue) -> None:
    url, dead = make_dead(client, make_queue, "a")
    other = make_queue()
    client.start_message_move_task(
        SourceArn=arn_of(client, dead), DestinationArn=arn_of(client, other)
    )
    assert finished(client, dead)["DestinationArn"] == arn_of(client, other)
    message = take_one(client, other, AttributeNames=["ApproximateReceiveCount"])
    assert message["Body"] == "a"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert is_empty(client, url)


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses another handle format"
)
def test_a_rate_limits_a_move_which_can_be_cancelled(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url, dead = make_dead(client, make_queue, "a", "b", "c", "d")
    arn = arn_of(client, dead)
    handle = client.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    values = json.loads(base64.b64decode(handle))
    assert values.keys() == {"taskId", "sourceArn"}
    assert values["sourceArn"] == arn
    (task,) = tasks_of(client, dead)
    assert task["Status"] == "RUNNING"
    assert task["TaskHandle"] == handle
    assert task["MaxNumberOfMessagesPerSecond"] == 1
    with refused("InvalidParameterValue", "There is already a task running."):
        client.start_message_move_task(SourceArn=arn)
    clock.pass_seconds(1.1)
    moved = client.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert 1 <= moved < 4
    clock.pass_seconds(1.1)
    (task,) = tasks_of(client, dead)
    assert task["Status"] in ("CANCELLED", "CANCELLING")
    assert len(take(client, url, moved)) == moved
    assert len(take(client, dead, 4 - moved)) == 4 - moved


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="moves messages in flight"
)
def test_messages_in_flight_are_not_moved(client: Any, make_queue: MakeQueue) -> None:
    url, dead = make_dead(client, make_queue, "a", "b")
    held = take_one(client, dead)
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    assert finished(client, dead)["ApproximateNumberOfMessagesMoved"] == 1
    assert bodies(take(client, url)) == [{"a": "b", "b": "a"}[held["Body"]]]


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="lists all tasks")
def test_the_latest_task_is_listed_first(client: Any, make_queue: MakeQueue) -> None:
    _, dead = make_dead(client, make_queue, "a")
    assert tasks_of(client, dead) == []
    for _ in range(2):
        client.start_message_move_task(SourceArn=arn_of(client, dead))
        finished(client, dead)
    assert len(tasks_of(client, dead)) == 1
    tasks = tasks_of(client, dead, MaxResults=10)
    assert [task["ApproximateNumberOfMessagesMoved"] for task in tasks] == [0, 1]


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses different error codes"
)
def test_invalid_and_unknown_handles_are_refused(client: Any, make_queue: MakeQueue) -> None:
    _, dead = make_dead(client, make_queue)
    with refused("InvalidParameterValue", "Value for parameter TaskHandle is invalid."):
        client.cancel_message_move_task(TaskHandle="nonsense")

    def handle(arn: str) -> str:
        values = {"taskId": "10f6dbb1-1b38-4b7c-b6b0-1a0ef8d38f1d", "sourceArn": arn}
        return base64.b64encode(json.dumps(values).encode()).decode()

    with refused("ResourceNotFoundException", "Task does not exist."):
        client.cancel_message_move_task(TaskHandle=handle(arn_of(client, dead)))
    with refused("ResourceNotFoundException", "for the SourceArn parameter doesn't exist."):
        client.cancel_message_move_task(TaskHandle=handle(arn_of(client, dead) + "-no"))


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="moves all at once")
def test_deleting_the_destination_fails_the_task(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    _, dead = make_dead(client, make_queue, "a", "b", "c")
    other = make_queue()
    client.start_message_move_task(
        SourceArn=arn_of(client, dead),
        DestinationArn=arn_of(client, other),
        MaxNumberOfMessagesPerSecond=1,
    )
    client.delete_queue(QueueUrl=other)
    clock.pass_seconds(1.5)
    task = finished(client, dead)
    assert task["Status"] == "FAILED"
    assert task["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert len(take(client, dead, 2)) == 2


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="returns the handle of a finished task"
)
def test_a_finished_task_omits_values_that_were_not_given(
    client: Any, make_queue: MakeQueue
) -> None:
    _, dead = make_dead(client, make_queue, "a")
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    assert finished(client, dead).keys() == {
        "Status",
        "SourceArn",
        "ApproximateNumberOfMessagesMoved",
        "ApproximateNumberOfMessagesToMove",
        "StartedTimestamp",
    }


@pytest.mark.known_difference(moto="does not support move tasks")
def test_the_start_time_is_in_milliseconds(client: Any, make_queue: MakeQueue) -> None:
    _, dead = make_dead(client, make_queue)
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    assert len(str(finished(client, dead)["StartedTimestamp"])) == 13


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="moves all to one queue"
)
def test_messages_from_two_sources_each_return_to_their_own(
    client: Any, make_queue: MakeQueue
) -> None:
    url, dead = make_dead(client, make_queue, "a")
    policy = {"deadLetterTargetArn": arn_of(client, dead), "maxReceiveCount": 1}
    other = make_queue(RedrivePolicy=policy)
    send(client, other, "b")
    take_one(client, other, VisibilityTimeout=0)
    assert is_empty(client, other)
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    assert finished(client, dead)["ApproximateNumberOfMessagesMoved"] == 2
    assert bodies(take(client, url)) == ["a"]
    assert bodies(take(client, other)) == ["b"]


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="keeps the ID")
def test_a_moved_message_has_a_new_id_time_and_receive_count(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    url, dead = make_dead(client, make_queue, "a")
    before = take_one(client, dead, VisibilityTimeout=0, AttributeNames=["All"])
    clock.pass_seconds(0.1)
    client.start_message_move_task(SourceArn=arn_of(client, dead))
    finished(client, dead)
    after = take_one(client, url, AttributeNames=["All"])
    assert after["MessageId"] != before["MessageId"]
    assert after["Attributes"]["SentTimestamp"] > before["Attributes"]["SentTimestamp"]
    assert after["Attributes"]["ApproximateReceiveCount"] == "1"


@pytest.mark.moves_clock
def test_four_messages_at_a_rate_of_one_take_three_seconds(
    client: Any, clock: Any, make_queue: MakeQueue
) -> None:
    _, dead = make_dead(client, make_queue, "a", "b", "c", "d")
    client.start_message_move_task(SourceArn=arn_of(client, dead), MaxNumberOfMessagesPerSecond=1)
    clock.pass_seconds(2.5)
    (task,) = tasks_of(client, dead)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("RUNNING", 3)
    assert task["ApproximateNumberOfMessagesToMove"] == 4
    clock.pass_seconds(0.5)
    (task,) = tasks_of(client, dead)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 4)


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses different error codes"
)
def test_a_finished_task_cannot_be_cancelled(client: Any, make_queue: MakeQueue) -> None:
    _, dead = make_dead(client, make_queue, "a")
    handle = client.start_message_move_task(SourceArn=arn_of(client, dead))["TaskHandle"]
    finished(client, dead)
    with refused("InvalidParameterValue"):
        client.cancel_message_move_task(TaskHandle=handle)


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="accepts it")
@pytest.mark.parametrize("rate", [0, 501])
def test_a_rate_out_of_range_is_refused(client: Any, make_queue: MakeQueue, rate: int) -> None:
    _, dead = make_dead(client, make_queue)
    with refused("InvalidParameterValue"):
        client.start_message_move_task(
            SourceArn=arn_of(client, dead), MaxNumberOfMessagesPerSecond=rate
        )


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="accepts it")
@pytest.mark.parametrize("count", [0, 11])
def test_a_list_size_out_of_range_is_refused(
    client: Any, make_queue: MakeQueue, count: int
) -> None:
    _, dead = make_dead(client, make_queue)
    with refused("InvalidParameterValue"):
        client.list_message_move_tasks(SourceArn=arn_of(client, dead), MaxResults=count)


@pytest.mark.known_difference(moto="does not support move tasks", elasticmq="hangs for 20 seconds")
def test_a_source_must_be_a_dead_letter_queue(client: Any, make_queue: MakeQueue) -> None:
    with refused(
        "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."
    ):
        client.start_message_move_task(SourceArn=arn_of(client, make_queue()))


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses different error codes"
)
@pytest.mark.parametrize("name", ["SourceArn", "DestinationArn"])
def test_a_missing_queue_cannot_be_moved(client: Any, make_queue: MakeQueue, name: str) -> None:
    _, dead = make_dead(client, make_queue)
    arn = arn_of(client, dead)
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.start_message_move_task(**{"SourceArn": arn, name: arn + "-no"})
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert response["Error"]["Message"] == (
        f"The resource that you specified for the {name} parameter doesn't exist."
    )


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses different error codes"
)
def test_listing_tasks_of_a_missing_queue_is_refused(client: Any, make_queue: MakeQueue) -> None:
    missing = arn_of(client, make_queue()) + "-no"
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.list_message_move_tasks(SourceArn=missing)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.known_difference(
    moto="does not support move tasks", elasticmq="uses different error codes"
)
def test_an_invalid_arn_is_refused(client: Any) -> None:
    with refused(
        "InvalidParameterValue",
        "You must use this format to specify the SourceArn:"
        " arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
    ):
        client.start_message_move_task(SourceArn="nonsense")
