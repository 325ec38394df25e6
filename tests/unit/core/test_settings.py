"""The settings of a worker."""

import pytest

from sqsw.core.errors import SettingsError
from sqsw.core.settings import QueueShare, WorkerSettings


def test_the_defaults_are_valid() -> None:
    settings = WorkerSettings()
    assert settings.concurrency >= 1
    assert settings.wait_seconds == 20
    assert settings.heartbeat


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("concurrency", 1, 100_000),
        ("prefetch", 0, 100_000),
        ("wait_seconds", 0, 20),
        ("visibility_timeout", 10, 43_200),
        ("ack_linger_seconds", 0, 5),
        ("drain_seconds", 0, 43_200),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name: str, lowest: int, highest: int) -> None:
    make = WorkerSettings
    for value in (lowest, highest):
        assert getattr(make(**{name: value}), name) == value  # type: ignore[arg-type]  # by name
    for value in (lowest - 1, highest + 1):
        with pytest.raises(SettingsError, match=f"{name} is {value}"):
            make(**{name: value})  # type: ignore[arg-type]  # by name


def test_an_error_in_a_share_names_its_queue() -> None:
    assert QueueShare("emails").weight == 1
    with pytest.raises(SettingsError, match="slots of 'emails' is 0"):
        QueueShare("emails", slots=0)
    with pytest.raises(SettingsError, match="weight of 'emails' is 0"):
        QueueShare("emails", weight=0)
