"""Queue attributes as they are read, merged and shown."""

import pytest

from sqsw.local.errors import InvalidAttributeName, InvalidAttributeValue
from sqsw.local.rules import attributes
from tests.unit.local.manual import refused


@pytest.mark.parametrize("value", ["٣", "1e2", "0x1", "+1", "", "9" * 11, "-0"])
def test_numbers_are_plain_digits(value: str) -> None:
    with refused(InvalidAttributeValue, "Invalid value for the parameter DelaySeconds."):
        attributes.read_given({"DelaySeconds": value}, is_fifo=False)


def test_leading_zeros_are_dropped() -> None:
    read = attributes.read_given({"DelaySeconds": "007"}, is_fifo=False)
    assert read == {"DelaySeconds": "7"}


def test_all_is_a_name_to_ask_for_and_not_to_set() -> None:
    attributes.check_known(["All", "Policy"])
    with refused(InvalidAttributeName, "Unknown Attribute All."):
        attributes.read_given({"All": "x"}, is_fifo=False)


def test_an_empty_text_removes() -> None:
    read = attributes.read_given({"Policy": ""}, is_fifo=False)
    assert attributes.merged({"Policy": "{}", "DelaySeconds": "1"}, read) == {"DelaySeconds": "1"}


def test_the_other_encryption_takes_the_key_away() -> None:
    stored = attributes.merged({}, {"KmsMasterKeyId": "k"})
    assert stored == {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "false"}
    assert attributes.merged(stored, {"SqsManagedSseEnabled": "true"}) == {
        "SqsManagedSseEnabled": "true"
    }


def test_a_key_shows_how_long_it_is_used() -> None:
    shown = attributes.shown({"KmsMasterKeyId": "k"}, is_fifo=False)
    assert shown["KmsDataKeyReusePeriodSeconds"] == "300"
