"""Operations on queues that depend on time, pages, or regions."""

import pytest

from sqsw.local.engine import LocalEngine
from sqsw.local.errors import (
    InvalidParameterValueException,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
)
from tests.unit.local.manual import Calls, ManualClock, refused


def test_a_name_can_be_used_again_after_60_seconds(sqs: Calls) -> None:
    url = sqs.make()
    sqs("DeleteQueue", QueueUrl=url)
    sqs.clock.pass_seconds(59.999)
    with refused(QueueDeletedRecently):
        sqs.make()
    sqs.clock.pass_seconds(0.001)
    assert sqs.make() == url


def test_a_queue_can_be_purged_again_after_60_seconds(sqs: Calls) -> None:
    url = sqs.make()
    sqs("PurgeQueue", QueueUrl=url)
    sqs.clock.pass_seconds(59.999)
    with refused(PurgeQueueInProgress, "Only one PurgeQueue operation on q is allowed"):
        sqs("PurgeQueue", QueueUrl=url)
    sqs.clock.pass_seconds(0.001)
    sqs("PurgeQueue", QueueUrl=url)


def test_a_relaxed_engine_has_no_waiting_times() -> None:
    clock = ManualClock()
    sqs = Calls(LocalEngine(None, clock=clock, relaxed=True), clock)
    url = sqs.make()
    for _ in range(2):
        sqs("PurgeQueue", QueueUrl=url)
    sqs("DeleteQueue", QueueUrl=url)
    sqs.make()
    sqs.engine.close()


def test_a_deleted_queue_leaves_no_rows(sqs: Calls) -> None:
    url, other = sqs.make("q.fifo"), sqs.make("other")
    arn = "arn:aws:sqs:local:000000000000:q.fifo"
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    source = sqs.make("source.fifo", RedrivePolicy=policy)
    sqs.send(url, "x", MessageGroupId="g")
    sqs.receive(url, ReceiveRequestAttemptId="once")
    sqs("StartMessageMoveTask", SourceArn=arn)
    sqs("DeleteQueue", QueueUrl=source)
    sqs("DeleteQueue", QueueUrl=url)
    sqs.send(other, "this call clears up", "and this one")
    tables = "messages bodies groups deduplications attempts move_tasks queues contents"
    left = [sqs.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables.split()]
    assert left == [2, 2, 0, 0, 0, 0, 1, 1]


def test_a_purge_resets_groups_and_counts(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    sqs.send(url, "a", "b", MessageGroupId="g")
    (message, _) = sqs.receive(url)
    sqs("PurgeQueue", QueueUrl=url)
    assert sqs.counts(url) == (0, 0, 0)
    sqs.delete(url, message)
    sqs.send(url, "a", MessageGroupId="g")
    assert sqs.bodies(url) == ["a"]


def test_regions_are_separate(sqs: Calls) -> None:
    engine = sqs.engine
    for region in ("eu-west-1", "us-east-1"):
        engine.handle("CreateQueue", {"QueueName": "q"}, region=region)
    url = "q"
    engine.handle("SendMessage", {"QueueUrl": url, "MessageBody": "x"}, region="eu-west-1")
    assert engine.handle("ReceiveMessage", {"QueueUrl": url}, region="us-east-1") == {}
    with refused(QueueDoesNotExist):
        sqs("ReceiveMessage", QueueUrl=url)


def test_a_queue_of_another_account_does_not_exist(sqs: Calls) -> None:
    sqs.make()
    with refused(QueueDoesNotExist):
        sqs("ReceiveMessage", QueueUrl="http://sqsw.invalid/111111111111/q")
    with refused(QueueDoesNotExist):
        sqs("GetQueueUrl", QueueName="q", QueueOwnerAWSAccountId="111111111111")


def test_a_token_works_after_its_queue_was_deleted(sqs: Calls) -> None:
    for name in "abcd":
        sqs.make(name)
    first = sqs("ListQueues", MaxResults=2)
    sqs("DeleteQueue", QueueUrl="b")
    second = sqs("ListQueues", MaxResults=2, NextToken=first["NextToken"])
    assert [url[-1] for url in second["QueueUrls"]] == ["c", "d"]
    assert "NextToken" not in second


def test_without_a_page_size_there_is_no_token(sqs: Calls) -> None:
    for n in range(1001):
        sqs.make(f"q{n:04}")
    answer = sqs("ListQueues")
    assert len(answer["QueueUrls"]) == 1000
    assert "NextToken" not in answer


@pytest.mark.parametrize("token", ["no base64!", "/w==", "\u00fc"])
def test_other_tokens_are_refused(sqs: Calls, token: str) -> None:
    with refused(InvalidParameterValueException):
        sqs("ListQueues", NextToken=token)


def test_creating_an_existing_fifo_queue_needs_only_its_name(sqs: Calls) -> None:
    url = sqs.make("q.fifo")
    assert sqs("CreateQueue", QueueName="q.fifo")["QueueUrl"] == url


def test_policies_are_compared_by_their_contents(sqs: Calls) -> None:
    sqs.make("dead")
    arn = "arn:aws:sqs:local:000000000000:dead"
    policy = f'{{"maxReceiveCount": "3",  "deadLetterTargetArn": "{arn}"}}'
    same = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}'
    url = sqs.make(RedrivePolicy=policy)
    assert sqs.make(RedrivePolicy=same) == url
    with refused(QueueNameExists, "RedrivePolicy"):
        sqs.make(RedrivePolicy=same.replace("3", "4"))


def test_changes_set_the_modified_timestamp(sqs: Calls) -> None:
    url = sqs.make()
    sqs.clock.pass_seconds(10)
    sqs("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "1"})
    names = ["CreatedTimestamp", "LastModifiedTimestamp"]
    values = sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=names)["Attributes"]
    assert int(values["LastModifiedTimestamp"]) - int(values["CreatedTimestamp"]) == 10


def test_a_new_delay_applies_to_delayed_messages_of_a_fifo_queue(sqs: Calls) -> None:
    url = sqs.make("q.fifo", DelaySeconds=100)
    sqs.send(url, "x", MessageGroupId="g")
    sqs.clock.pass_seconds(20)
    sqs("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "20"})
    assert sqs.counts(url) == (1, 0, 0)
    assert sqs.bodies(url) == ["x"]
