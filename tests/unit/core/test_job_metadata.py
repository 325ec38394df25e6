"""The message attribute ``Sqsw``."""

import json
import uuid
from typing import Any

import pytest

from sqsw.core.dead_record import DeadRecord
from sqsw.core.job_metadata import (
    SQSW,
    JobMetadata,
    add_job_id,
    entry_job_id,
    job_id_of,
    metadata_of,
    new_job_id,
    read_metadata,
)
from sqsw.core.message import Message
from tests.job_ids import is_new

RECORD = DeadRecord(
    verdict="gave_up",
    type="ValueError",
    message="no such order",
    where="shop.tasks.ship:12",
    fingerprint="0123456789ab",
    attempts=2,
    receives=3,
    first_at=None,
    at="2026-11-30T10:00:00.000Z",
    queue="orders",
    worker="host:1",
    deaths=1,
    trace=None,
)


def message(text: str | None) -> Message:
    attributes = {} if text is None else {SQSW: {"DataType": "String", "StringValue": text}}
    return Message("m-1", "handle", "{}", {}, attributes)


@pytest.mark.parametrize(
    "metadata", [JobMetadata(), JobMetadata("a-1"), JobMetadata("a-1", RECORD)]
)
def test_metadata_survives_writing_and_reading(metadata: JobMetadata) -> None:
    assert metadata_of(message(metadata.to_attribute()["StringValue"])) == metadata


@pytest.mark.parametrize(
    "text",
    [
        *("", "no JSON", "[" * 5000, "[]", "7", '{"id":7}', '{"id":""}', '{"id":"a b"}'),
        *('{"id":"\\u001b[2J"}', '{"id":"é"}', json.dumps({"id": "x" * 129}), '{"id":null}'),
        *('{"dead":"x"}', '{"dead":{"verdict":1}}', '{"dead":{}}'),
        json.dumps({"id": "a-1", "padding": "x" * 5000}),
        json.dumps({"dead": {**RECORD.to_json(), "deaths": True}}),
        json.dumps({"dead": {**RECORD.to_json(), "type": 7}}),
    ],
)
def test_an_attribute_of_another_program_is_ignored(text: str) -> None:
    assert metadata_of(message(text)) == JobMetadata()
    assert job_id_of(message(text)) == "m-1"


def test_a_job_without_an_id_has_the_id_of_its_message() -> None:
    assert job_id_of(message(None)) == "m-1"
    assert job_id_of(message('{"id":"order-7"}')) == "order-7"


def test_new_ids_are_uuids_that_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for milliseconds in range(1_700_000_000_000, 1_700_000_000_050):
        monkeypatch.setattr("time.time_ns", lambda now=milliseconds: now * 1_000_000)
        ids.append(new_job_id())
    assert ids == sorted(ids)
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids} == {
        (7, uuid.RFC_4122)
    }
    assert len({new_job_id() for _ in range(1000)}) == 1000


def test_an_entry_gets_an_id_once() -> None:
    entry: dict[str, Any] = {"MessageBody": "x"}
    assert entry_job_id(entry) is None
    add_job_id(entry)
    job_id = entry_job_id(entry)
    add_job_id(entry)
    assert entry_job_id(entry) == job_id
    assert job_id is not None and is_new(job_id)


def test_a_new_id_keeps_the_record_of_a_dead_job() -> None:
    attribute = JobMetadata("a-1", RECORD).to_attribute()
    entry: dict[str, Any] = {"MessageAttributes": {SQSW: attribute}}
    add_job_id(entry, "a-2")
    text = entry["MessageAttributes"][SQSW]["StringValue"]
    assert read_metadata(text) == JobMetadata("a-2", RECORD)
