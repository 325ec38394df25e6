"""Records of failures. They are untrusted: anyone who can send a message can write one."""

from typing import Any

import pytest

from sqsw.core.dead_record import DeadRecord

RECORD = DeadRecord(
    verdict="last_attempt",
    type="ValueError",
    message="no",
    where="shop.ship:3",
    fingerprint="0123456789ab",
    attempts=3,
    receives=3,
    first_at="2026-11-30T12:00:00.000Z",
    at="2026-11-30T12:00:07.000Z",
    queue="orders",
    worker="host:1",
)


def test_a_record_survives_writing_and_reading() -> None:
    assert DeadRecord.from_json(RECORD.to_json()) == RECORD


def test_keys_of_later_versions_are_ignored() -> None:
    assert DeadRecord.from_json({**RECORD.to_json(), "memory_bytes": 1}) == RECORD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "0001-01-01T00:00:00+23:59"),
        ("at", "2026-13-01T00:00:00.000Z"),
        ("at", "yesterday"),
        ("first_at", "x" * 3_000),
        ("first_at", "9999-12-31T23:59:59.000-23:59"),
        ("deaths", 10**1000),
        ("deaths", 0),
        ("deaths", True),
        ("attempts", -1),
        ("receives", 1.5),
        ("queue", ""),
        ("queue", ["orders"]),
        ("verdict", None),
        ("type", {"a": 1}),
    ],
)
def test_a_forged_record_is_not_a_record(name: str, value: Any) -> None:
    assert DeadRecord.from_json({**RECORD.to_json(), name: value}) is None
