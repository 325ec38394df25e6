"""An object has all keys of its type, in order."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sqsw.sqs_manage.describe import QueueReport
from sqsw.sqs_manage.message_view import Failure, MessageView
from sqsw.sqs_manage.moves import Move
from sqsw.sqs_manage.send_many import SentMessage
from sqsw_cli.json_text import json_text
from sqsw_cli.output.records import COUNTERS, KEYS, json_line, record
from tests.unit.cli.conftest import SCHEMAS


def test_unknown_values_are_null_and_extra_keys_are_dropped() -> None:
    values = record("sent", {"id": "1", "other": 2})
    assert list(values) == ["type", *KEYS["sent"]]
    assert values["id"] == "1"
    assert values["line"] is None


def test_a_summary_has_the_counters_of_its_command() -> None:
    for command, counters in COUNTERS.items():
        keys = list(record("summary", {"command": command}))
        assert keys == ["type", "command", "seconds_s", "requests", *counters]


def test_the_dataclasses_of_the_library_have_the_keys() -> None:
    for kind, cls in (
        ("queue", QueueReport),
        ("message", MessageView),
        ("sent", SentMessage),
        ("failed", Failure),
        ("move", Move),
    ):
        assert tuple(cls.__dataclass_fields__) == KEYS[kind]


def test_times_are_rfc_3339_and_text_is_not_escaped() -> None:
    @dataclass
    class Inner:
        word: str

    values = {"at": datetime(2026, 1, 2, tzinfo=UTC), "tags": ("ä",), "in": Inner("x")}
    line = json_line(values)
    assert "ä" in line
    assert json.loads(line) == {
        "at": "2026-01-02T00:00:00.000Z",
        "tags": ["ä"],
        "in": {"word": "x"},
    }


def test_a_lone_surrogate_is_written_as_an_escape() -> None:
    text = json_text({"path": "caf\udce9.py", "name": "café"})

    assert text == '{"path": "caf\\udce9.py", "name": "caf\\u00e9"}'
    assert json_text({"name": "café"}) == '{"name": "café"}'


def test_values_without_a_json_form_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"a": [float("nan")]})


def test_every_type_has_a_schema_with_its_keys() -> None:
    schemas = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    assert set(schemas) == {*KEYS, "error"}
    for kind, schema in schemas.items():
        if kind in KEYS:
            assert list(schema["properties"]) == ["type", *KEYS[kind]]
            assert schema["required"] == ["type", *KEYS[kind]]
    branches = schemas["summary"]["oneOf"]
    counters = {one["properties"]["command"]["const"]: one["required"] for one in branches}
    assert {name: tuple(keys) for name, keys in counters.items()} == COUNTERS
