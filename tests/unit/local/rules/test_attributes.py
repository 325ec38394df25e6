"""Queue attributes: read, merged, and shown."""

import pytest

from sqsw.local.errors import InvalidAttributeName, InvalidAttributeValue
from sqsw.local.rules import attributes
from tests.unit.local.manual import refused


@pytest.mark.parametrize("value", ["٣", "1e2", "0x1", "+1", "", "9" * 11, "-0"])
def test_numbers_must_be_plain_digits(value: str) -> None:
    with refused(InvalidAttributeValue, "Invalid value for the parameter DelaySeconds."):
        attributes.read_given({"DelaySeconds": value}, is_fifo=False)


def test_leading_zeros_are_dropped() -> None:
    read = attributes.read_given({"DelaySeconds": "007"}, is_fifo=False)
    assert read == {"DelaySeconds": "7"}


def test_all_can_be_requested_but_not_set() -> None:
    attributes.check_known(["All", "Policy"])
    with refused(InvalidAttributeName, "Unknown Attribute All."):
        attributes.read_given({"All": "x"}, is_fifo=False)


def test_an_empty_string_removes_an_attribute() -> None:
    read = attributes.read_given({"Policy": ""}, is_fifo=False)
    assert attributes.merged({"Policy": "{}", "DelaySeconds": "1"}, read) == {"DelaySeconds": "1"}


def test_sqs_managed_encryption_removes_the_kms_key() -> None:
    stored = attributes.merged({}, {"KmsMasterKeyId": "k"})
    assert stored == {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "false"}
    assert attributes.merged(stored, {"SqsManagedSseEnabled": "true"}) == {
        "SqsManagedSseEnabled": "true"
    }


def test_a_kms_key_shows_its_reuse_period() -> None:
    shown = attributes.shown({"KmsMasterKeyId": "k"}, is_fifo=False)
    assert shown["KmsDataKeyReusePeriodSeconds"] == "300"
