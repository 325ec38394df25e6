"""The record of why a job was given up."""

import importlib
import json
import sysconfig
from pathlib import Path

import pytest

from sqsw.core.dead_record import DeadRecord
from sqsw.core.job_metadata import MAX_METADATA_BYTES, SQSW, JobMetadata
from sqsw.core.message import Message
from sqsw.worker.post_mortem import explain


def fail(text: str) -> None:
    raise ValueError(text)


def message(earlier: DeadRecord | None = None) -> Message:
    attributes = {} if earlier is None else {SQSW: JobMetadata("a-1", earlier).to_attribute()}
    system = {
        "ApproximateReceiveCount": "7",
        "ApproximateFirstReceiveTimestamp": "1764493200000",
    }
    return Message("m-1", "handle", "{}", system, attributes, "orders")


def record(
    text: str = "no", *, earlier: DeadRecord | None = None, with_text: bool = True
) -> DeadRecord:
    try:
        fail(text)
    except ValueError as error:
        return explain(
            *(message(earlier), error),
            verdict="last_attempt",
            job_name="ship",
            with_text=with_text,
        )
    raise AssertionError


def test_a_record_names_the_error_and_where_it_happened() -> None:
    found = record("no such order")
    assert (found.type, found.message) == ("ValueError", "no such order")
    assert found.where is not None
    assert found.where.startswith(f"{__name__}.fail:")
    assert found.trace is not None
    assert found.trace.endswith("ValueError: no such order\n")
    assert (found.attempts, found.receives, found.deaths, found.queue) == (7, 7, 1, "orders")
    assert found.first_at == "2025-11-30T09:00:00.000Z" < found.at


def test_equal_errors_have_one_fingerprint_whatever_their_message() -> None:
    assert record("order 1").fingerprint == record("order 2").fingerprint
    try:
        int("x")
    except ValueError as error:
        elsewhere = explain(message(), error, verdict="gave_up", job_name="ship")
    assert elsewhere.fingerprint != record().fingerprint


def test_the_next_death_increases_the_count_and_keeps_the_first_time() -> None:
    again = record(earlier=record())
    assert again.deaths == 2
    assert again.first_at == record().first_at


def test_texts_can_be_left_out() -> None:
    found = record("Ann, 4711", with_text=False)
    assert "Ann" not in json.dumps(found.to_json())
    assert (found.type, found.message, found.trace) == ("ValueError", None, None)


def test_a_record_fits_into_the_attribute_whatever_the_message() -> None:
    for text in ("x" * 100_000, "\x00" * 100_000, "💥" * 100_000, "\ud800" * 5_000):
        attribute = JobMetadata("i" * 128, record(text)).to_attribute()["StringValue"]
        assert len(attribute.encode()) <= MAX_METADATA_BYTES
        assert attribute.isascii()


def test_a_record_fits_into_the_attribute_whatever_the_error_class() -> None:
    try:
        raise type("Ж" * 300, (ValueError,), {})("\x00" * 1_000)
    except ValueError as error:
        found = explain(message(), error, verdict="last_attempt", job_name="ship")
    attribute = JobMetadata("i" * 128, found).to_attribute()["StringValue"]
    assert len(attribute) <= MAX_METADATA_BYTES
    assert found.message


def test_the_code_of_an_installed_app_counts_as_user_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {**sysconfig.get_paths(), "purelib": str(tmp_path)}
    monkeypatch.setattr(sysconfig, "get_paths", lambda: paths)
    (tmp_path / "installed_shop.py").write_text(
        "import json, installed_library\n\ndef ship():\n    check()\n\n"
        "def check():\n    installed_library.read()\n"
    )
    (tmp_path / "installed_library.py").write_text("def read():\n    raise ValueError\n")
    monkeypatch.syspath_prepend(tmp_path)
    ship = importlib.import_module("installed_shop").ship
    # Drop the frame of this test: it is user code, but not part of the app.
    with pytest.raises(ValueError) as raised:  # its text is empty
        ship()
    error = raised.value.with_traceback(raised.tb.tb_next)
    found = explain(message(), error, verdict="last_attempt", job_name="ship")
    assert found.where == "installed_shop.check:7"


def test_a_secret_in_an_error_is_masked() -> None:
    found = record("cannot open postgres://ann:hunter2@db/shop")
    assert "hunter2" not in json.dumps(found.to_json())


def test_a_retry_without_an_error_has_a_record_too() -> None:
    found = explain(message(), None, verdict="last_attempt", job_name="ship")
    assert (found.type, found.message, found.where, found.trace) == (None, None, None, None)
