"""Purged and expired rows are deleted without slow calls, and the file shrinks."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine
from tests.unit.local.manual import Calls, ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.db"


@pytest.fixture
def filed(path: Path) -> Iterator[Calls]:
    """An engine on a file."""
    clock = ManualClock()
    engine = LocalEngine(path, clock=clock, relaxed=True)
    yield Calls(engine, clock)
    engine.close()


def fill(sqs: Calls, url: str, count: int, body: str = "x", **options: str) -> None:
    for start in range(0, count, 10):
        entries = [
            {"Id": str(n), "MessageBody": f"{start + n} {body}", **options} for n in range(10)
        ]
        sqs("SendMessageBatch", QueueUrl=url, Entries=entries)


def stored(sqs: Calls, table: str = "messages") -> int:
    ((count,),) = sqs.rows(f"SELECT count(*) FROM {table}")
    return int(count)


def test_a_purge_does_not_delete_rows_itself(sqs: Calls) -> None:
    url = sqs.make()
    fill(sqs, url, 3_000)
    run = sqs.statements()
    sqs("PurgeQueue", QueueUrl=url)
    assert not any(statement.startswith("DELETE") for statement in run)
    assert sqs.counts(url) == (0, 0, 0)
    assert sqs.receive(url) == []
    assert stored(sqs) == 3_000


def test_later_calls_delete_purged_rows_in_portions(sqs: Calls) -> None:
    url = sqs.make()
    fill(sqs, url, 3_000)
    sqs("PurgeQueue", QueueUrl=url)
    (message,) = sqs.send(url, "new")
    left = [stored(sqs)]
    while left[-1] > 1 and len(left) < 301:
        (received,) = sqs.receive(url, VisibilityTimeout=0)
        assert received["MessageId"] == message["MessageId"]
        left.append(stored(sqs))
    assert len(left) > 3
    assert stored(sqs) == stored(sqs, "bodies") == 1
    assert sqs.counts(url) == (1, 0, 0)
    sqs.receive(url, VisibilityTimeout=0)
    assert stored(sqs, "contents") == 1


def test_later_calls_delete_the_rows_of_a_deleted_queue(sqs: Calls) -> None:
    url, other = sqs.make("q.fifo"), sqs.make("other")
    for group in range(60):
        fill(sqs, url, 10, MessageGroupId=str(group), MessageDeduplicationId=str(group))
    run = sqs.statements()
    sqs("DeleteQueue", QueueUrl=url)
    assert len([statement for statement in run if "DELETE" in statement]) == 3
    for _ in range(40):
        sqs.send(other, "x")
    tables = ["messages", "bodies", "groups", "deduplications", "contents"]
    assert [stored(sqs, table) for table in tables] == [40, 40, 0, 0, 1]


def test_receipt_handles_from_before_a_purge_have_no_effect(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "old")
    (old,) = sqs.receive(url)
    sqs("PurgeQueue", QueueUrl=url)
    sqs.send(url, "new")
    sqs.delete(url, old)
    assert sqs.bodies(url) == ["new"]


def test_a_waiting_receive_survives_a_purge(path: Path) -> None:
    engine, other = LocalEngine(path), LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.handle("SendMessage", {"QueueUrl": "q", "MessageBody": "old", "DelaySeconds": 900})
    answers: list[object] = []

    def wait() -> None:
        answer = engine.handle("ReceiveMessage", {"QueueUrl": "q", "WaitTimeSeconds": 20})
        answers.extend(message["Body"] for message in answer["Messages"])

    thread = threading.Thread(target=wait)
    thread.start()
    while not engine.store.waiters._lines:
        time.sleep(0.005)
    other.handle("PurgeQueue", {"QueueUrl": "q"})
    other.handle("SendMessage", {"QueueUrl": "q", "MessageBody": "new"})
    thread.join(10)
    assert answers == ["new"]
    engine.close()
    other.close()


def test_a_move_ends_when_its_source_is_purged(sqs: Calls) -> None:
    arn = "arn:aws:sqs:local:000000000000:dead"
    dead = sqs.make("dead")
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    url = sqs.make("q", RedrivePolicy=policy)
    fill(sqs, dead, 30)
    options = {"DestinationArn": arn.replace("dead", "q"), "MaxNumberOfMessagesPerSecond": 10}
    sqs("StartMessageMoveTask", SourceArn=arn, **options)
    sqs("PurgeQueue", QueueUrl=dead)
    sqs.send(dead, "later")
    sqs.clock.pass_seconds(2)
    (task,) = sqs("ListMessageMoveTasks", SourceArn=arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    assert (sqs.counts(dead), sqs.counts(url)) == ((1, 0, 0), (1, 0, 0))


def test_a_move_into_a_purged_queue_continues(sqs: Calls) -> None:
    arn = "arn:aws:sqs:local:000000000000:dead"
    dead = sqs.make("dead")
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    url = sqs.make("q", RedrivePolicy=policy)
    fill(sqs, dead, 30)
    options = {"DestinationArn": arn.replace("dead", "q"), "MaxNumberOfMessagesPerSecond": 10}
    sqs("StartMessageMoveTask", SourceArn=arn, **options)
    sqs("PurgeQueue", QueueUrl=url)
    sqs.clock.pass_seconds(5)
    assert sqs.counts(url) == (29, 0, 0)


@pytest.mark.parametrize("name", ["q", "q.fifo"])
@pytest.mark.parametrize("call", ["send", "receive"])
def test_expired_messages_are_deleted_without_receives(sqs: Calls, name: str, call: str) -> None:
    url = sqs.make(name, MessageRetentionPeriod=60)
    options = {"MessageGroupId": "g"} if name.endswith("fifo") else {}
    fill(sqs, url, 150, **options)
    sqs.clock.pass_seconds(61)
    for number in range(20):
        if call == "send":
            sqs.send(url, f"late {number}", **options)
        else:
            assert sqs.receive(url) == []
    assert stored(sqs) == stored(sqs, "bodies") == (20 if call == "send" else 0)


def test_new_dead_letters_delete_expired_ones(sqs: Calls) -> None:
    dead = sqs.make("dead", MessageRetentionPeriod=60)
    arn = "arn:aws:sqs:local:000000000000:dead"
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    url = sqs.make("q", RedrivePolicy=policy, VisibilityTimeout=0)
    fill(sqs, dead, 100)
    sqs.clock.pass_seconds(61)
    for number in range(10):
        sqs.send(url, str(number))
        sqs.receive(url)
        sqs.receive(url)
    assert sqs.counts(dead) == (10, 0, 0)
    assert stored(sqs) == 10


def test_receives_alone_delete_old_ids(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    fill(sqs, url, 50, MessageGroupId="g")
    for attempt in range(5):
        for message in sqs.receive(url, ReceiveRequestAttemptId=str(attempt)):
            sqs.delete(url, message)
    assert (stored(sqs, "deduplications"), stored(sqs, "attempts")) == (50, 5)
    sqs.clock.pass_seconds(301)
    assert sqs.receive(url) == []
    assert (stored(sqs, "deduplications"), stored(sqs, "attempts")) == (0, 0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the cleanup at closing enough time, even on a slow machine."""
    monkeypatch.setattr("sqsw.local.engine._TIDY_SECONDS", 30.0)


@pytest.mark.usefixtures("patient")
def test_the_file_shrinks_after_a_purge(filed: Calls, path: Path) -> None:
    url = filed.make()
    fill(filed, url, 2_000, "x" * 2_000)
    filed("PurgeQueue", QueueUrl=url)
    filed.engine.close()
    assert path.stat().st_size < 200_000


@pytest.mark.usefixtures("patient")
def test_the_file_shrinks_after_a_drain(filed: Calls, path: Path) -> None:
    url = filed.make()
    fill(filed, url, 1_000, "x" * 4_000)
    while messages := filed.receive(url):
        for message in messages:
            filed.delete(url, message)
    filed.engine.close()
    assert path.stat().st_size < 200_000


def test_the_file_shrinks_while_messages_expire(filed: Calls) -> None:
    url = filed.make(MessageRetentionPeriod=60)
    fill(filed, url, 2_000, "x" * 2_000)
    ((before,),) = filed.rows("PRAGMA page_count")
    filed.clock.pass_seconds(61)
    after = before
    for _ in range(5_000):  # on a busy machine, each call deletes less in its time slice
        assert filed.receive(url) == []
        ((after,),) = filed.rows("PRAGMA page_count")
        if after < before * 0.6 and stored(filed) == 0:
            break
    assert stored(filed) == 0
    assert after < before * 0.6
