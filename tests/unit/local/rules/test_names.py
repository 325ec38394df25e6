"""Names, ARNs, and URLs of queues."""

import uuid

import pytest

from sqsw.local.errors import InvalidParameterValueException
from sqsw.local.rules.names import (
    QueueArn,
    check_queue_name,
    new_id,
    parse_arn,
    parse_queue_url,
    queue_url,
)
from tests.unit.local.manual import refused


@pytest.mark.parametrize("name", ["a", "A-z_0", "x" * 80])
def test_valid_names_are_accepted(name: str) -> None:
    check_queue_name(name, is_fifo=False)


@pytest.mark.parametrize("name", ["", "a.fifo", "a b", "ä", "a\n", "x" * 81, "a/b"])
def test_invalid_names_are_refused(name: str) -> None:
    with refused(InvalidParameterValueException, "Can only include alphanumeric characters"):
        check_queue_name(name, is_fifo=False)


def test_the_suffix_counts_toward_the_length() -> None:
    check_queue_name("x" * 75 + ".fifo", is_fifo=True)
    for name in ("x" * 76 + ".fifo", "a", ".fifo", "a.fifo\n"):
        with refused(InvalidParameterValueException, "must end with .fifo suffix"):
            check_queue_name(name, is_fifo=True)


def test_an_arn_is_built_and_parsed() -> None:
    arn = QueueArn("eu-west-1", "123456789012", "q")
    assert str(arn) == "arn:aws:sqs:eu-west-1:123456789012:q"
    assert parse_arn(str(arn)) == arn
    assert parse_arn("arn:aws:sqs:q") is None
    assert parse_arn("") is None


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("http://localhost:9324/000000000000/q", ("000000000000", "q")),
        ("https://sqs.eu-west-1.amazonaws.com/000000000000/q/", ("000000000000", "q")),
        ("q", (None, "q")),
        ("http://localhost:9324/queue/q", (None, "q")),
        ("http://localhost:9324/queue/elasticmq/000000000000/q", ("000000000000", "q")),
        ("http://localhost:9324/q", None),
        ("http://localhost", None),
        ("http://[", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_url_contains_account_and_queue(url: str, parsed: tuple[str | None, str] | None) -> None:
    assert parse_queue_url(url) == parsed


def test_a_url_starts_with_the_origin_of_the_call() -> None:
    assert queue_url("http://h:1", "000000000000", "q") == "http://h:1/000000000000/q"


def test_ids_are_random_uuids_of_version_4() -> None:
    ids = [uuid.UUID(new_id()) for _ in range(200)]

    assert {(found.version, found.variant) for found in ids} == {(4, uuid.RFC_4122)}
    assert len(set(ids)) == 200
    # Every bit without a fixed meaning has both values.
    ones = zeros = 0
    for found in ids:
        ones, zeros = ones | found.int, zeros | ~found.int
    assert (ones & zeros).bit_count() == 122
