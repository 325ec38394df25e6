"""One job at a time, or as a list."""

import pytest

from sqsw.batching import BatchingConfiguration, BatchMessages, NoBatching
from sqsw.core.errors import SettingsError


def test_the_two_policies_say_whether_and_how_many() -> None:
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


def test_a_list_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="batch_size is 0"):
        BatchMessages(0)
