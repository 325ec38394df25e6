"""The engine accepts any input, and returns a result or raises an error of SQS."""

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqsw.local.engine import OPERATIONS, LocalEngine
from sqsw.local.errors import ServiceError, UnknownOperationException
from tests.unit.local.manual import Calls, ManualClock, refused

MEMBERS = [
    "QueueUrl",
    "QueueName",
    "Attributes",
    "AttributeNames",
    "MessageBody",
    "MessageAttributes",
    "MessageSystemAttributes",
    "MessageAttributeNames",
    "MessageGroupId",
    "MessageDeduplicationId",
    "DelaySeconds",
    "ReceiptHandle",
    "VisibilityTimeout",
    "MaxNumberOfMessages",
    "ReceiveRequestAttemptId",
    "Entries",
    "Tags",
    "tags",
    "TagKeys",
    "Label",
    "Actions",
    "AWSAccountIds",
    "MaxResults",
    "NextToken",
    "QueueNamePrefix",
    "SourceArn",
    "DestinationArn",
    "TaskHandle",
    "MaxNumberOfMessagesPerSecond",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.sampled_from(["q", "q.fifo", "30", "-1", "{}", '{"deadLetterTargetArn": 1}', "\ud800"]),
)
KEYS = st.sampled_from(
    [
        *MEMBERS,
        "Id",
        "DataType",
        "StringValue",
        "BinaryValue",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "Policy",
        "FifoQueue",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
PARAMS = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, VALUES))
VALID_QUEUE = st.sampled_from(["q", "q.fifo"])


@pytest.fixture(scope="module")
def engine() -> Any:
    engine = LocalEngine(None, clock=ManualClock(), relaxed=True)
    yield engine
    engine.close()


@settings(max_examples=400, deadline=None)
@given(operation=st.sampled_from(sorted(OPERATIONS)), params=PARAMS, queue=VALID_QUEUE)
def test_odd_parameters_do_not_crash_the_engine(
    engine: LocalEngine, operation: str, params: dict[str, Any], queue: str
) -> None:
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.handle("CreateQueue", {"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true"}})
    for values in (params, params | {"QueueUrl": queue}):
        try:
            answer = engine.handle(operation, values)
        except ServiceError as error:
            assert error.query_code
        else:
            assert isinstance(answer, dict)


@settings(max_examples=200, deadline=None)
@given(body=st.text(st.characters(exclude_categories=()), min_size=1))
def test_accepted_messages_are_received_unchanged(engine: LocalEngine, body: str) -> None:
    engine.handle("CreateQueue", {"QueueName": "texts"})
    try:
        engine.handle("SendMessage", {"QueueUrl": "texts", "MessageBody": body})
    except ServiceError:
        return
    (message,) = engine.handle("ReceiveMessage", {"QueueUrl": "texts"})["Messages"]
    assert message["Body"] == body


def test_an_unknown_operation_is_refused(sqs: Calls) -> None:
    with refused(UnknownOperationException):
        sqs("Nonsense")


def test_an_engine_can_be_closed_twice() -> None:
    engine = LocalEngine(None)
    engine.close()
    engine.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        engine.handle("ListQueues", {})


def test_the_docstrings_name_their_source() -> None:
    for function in OPERATIONS.values():
        module = __import__(function.__module__, fromlist=["__doc__"])
        assert "Source: https://docs.aws.amazon.com/" in (module.__doc__ or "")
