"""Sends that the tests for all backends do not cover."""

import pytest

from sqsw.local.errors import (
    InvalidMessageContents,
    InvalidParameterValueException,
    MissingRequiredParameterException,
    SerializationException,
)
from tests.unit.local.manual import Calls, refused


def test_the_first_problem_is_reported(sqs: Calls) -> None:
    url = sqs.make(MaximumMessageSize=1024)
    with refused(MissingRequiredParameterException, "MessageBody"):
        sqs("SendMessage", QueueUrl=url, DelaySeconds=-1)
    with refused(InvalidParameterValueException, "shorter than 1024 bytes"):
        sqs.send(url, "\x00" * 1025)
    with refused(InvalidMessageContents):
        sqs.send(url, "\x00", DelaySeconds=-1)


@pytest.mark.parametrize("body", ["\ud800", "a\udfffb", "\x00", "\x08", "\ufffe"])
def test_invalid_characters_are_refused(sqs: Calls, body: str) -> None:
    with refused(InvalidMessageContents):
        sqs.send(sqs.make(), body)


def test_if_both_ids_are_missing_the_error_names_the_group(sqs: Calls) -> None:
    url = sqs.make("q.fifo", ContentBasedDeduplication="false")
    with refused(MissingRequiredParameterException, "MessageGroupId"):
        sqs.send(url, "x")


def test_a_wrong_type_refuses_the_whole_batch(sqs: Calls) -> None:
    url = sqs.make()
    entries = [{"Id": "1", "MessageBody": "x"}, {"Id": "2", "MessageBody": ["x"]}]
    with refused(SerializationException, "MessageBody must be a string, not list."):
        sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
    assert sqs.counts(url) == (0, 0, 0)


def test_a_batch_of_only_failures_has_no_successes(sqs: Calls) -> None:
    url = sqs.make()
    answer = sqs("SendMessageBatch", QueueUrl=url, Entries=[{"Id": "1", "MessageBody": ""}])
    assert answer.keys() == {"Failed"}
    assert answer["Failed"][0]["Code"] == "MissingParameter"


def test_numbers_can_be_text(sqs: Calls) -> None:
    url = sqs.make()
    sqs.send(url, "x", DelaySeconds="5")
    assert sqs.counts(url) == (0, 0, 1)
    with refused(SerializationException):
        sqs.send(url, "x", DelaySeconds="five")
