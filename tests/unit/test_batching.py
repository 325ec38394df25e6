"""Batching policies: one job at a time, or a list."""

import pytest

from sqsw.batching import BatchingConfiguration, BatchMessages, NoBatching
from sqsw.core.errors import SettingsError


def test_batching_policies_have_a_flag_and_a_size() -> None:
    policies: list[BatchingConfiguration] = [
        NoBatching(),
        BatchMessages(25),
        BatchMessages(batch_size=1),
    ]
    assert [(p.batching_enabled, p.batch_size) for p in policies] == [
        (False, 1),
        (True, 25),
        (True, 1),
    ]


def test_a_batch_size_of_zero_is_refused() -> None:
    with pytest.raises(SettingsError, match="batch_size is 0"):
        BatchMessages(0)
