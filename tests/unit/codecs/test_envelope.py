"""Packing a job into an SQS entry, and unpacking it."""

from typing import Any

import pytest

from sqsw.codecs.envelope import pack_body, pack_job, raw_entry, unpack_job
from sqsw.core.errors import ContentTypeRefused, DecodeError, SQSError
from sqsw.core.message import Message


def text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def message(body: str = "{}", **attributes: str) -> Message:
    """Return a job message with changed attributes; ``(none)`` removes an attribute."""
    names = {"ContentType": "json", "JobContext": "{}", "JobName": "hello", **attributes}
    present = {name: text(value) for name, value in names.items() if value != "(none)"}
    return Message("id", "handle", body, message_attributes=present)


def test_a_job_survives_a_round_trip() -> None:
    entry = pack_job("hello", {"name": "ann"}, {"user": 7}, "json")
    job = unpack_job(
        Message("id", "handle", entry["MessageBody"], message_attributes=entry["MessageAttributes"])
    )
    assert (job.job_name, job.job_kwargs, job.job_context) == (
        "hello",
        {"name": "ann"},
        {"user": 7},
    )
    assert job.content_type == "json"


def test_the_entry_has_no_unrequested_parameters() -> None:
    assert set(pack_job("hello", {})) == {"MessageBody", "MessageAttributes"}
    assert raw_entry("text") == {"MessageBody": "text"}


def test_ids_are_in_the_entry_if_set() -> None:
    entry = pack_body("hello", "{}", "{}", "json", deduplication_id="d", group_id="g")
    assert entry["MessageDeduplicationId"] == "d"
    assert entry["MessageGroupId"] == "g"


def test_numeric_ids_are_converted_to_text() -> None:
    entry = raw_entry("text", deduplication_id=17, group_id=4)  # type: ignore[arg-type]  # users pass numbers
    assert (entry["MessageDeduplicationId"], entry["MessageGroupId"]) == ("17", "4")


@pytest.mark.parametrize("missing", ["JobName", "ContentType"])
def test_a_missing_attribute_is_named(missing: str) -> None:
    with pytest.raises(DecodeError, match=f"no attribute {missing}"):
        unpack_job(message(**{missing: "(none)"}))


def test_a_message_without_any_attributes_is_a_named_failure() -> None:
    with pytest.raises(DecodeError, match="no attribute JobName") as caught:
        unpack_job(Message("id", "handle", "Hello world"))
    assert "raw queue" in str(caught.value.next)


def test_a_missing_context_is_empty() -> None:
    assert unpack_job(message(JobContext="(none)")).job_context == {}
    assert unpack_job(message(JobContext="")).job_context == {}


@pytest.mark.parametrize("content_type", ["yaml", "pickle", "pickle_compat", "JSON", ""])
def test_content_types_that_are_not_accepted_are_refused(content_type: str) -> None:
    with pytest.raises(ContentTypeRefused, match=f"'{content_type}' is not accepted"):
        unpack_job(message(ContentType=content_type))


HOSTILE = {
    "no json": "{nonsense",
    "nested": "[" * 100_000,
    "nested objects": '{"a": ' * 100_000,
    "empty": "",
    "long number": "1" * 10_000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_cannot_be_read_is_a_named_failure(body: str) -> None:
    with pytest.raises(DecodeError, match="the body is not valid json") as caught:
        unpack_job(message(body))
    assert caught.value.why


@pytest.mark.parametrize("context", [HOSTILE["no json"], HOSTILE["nested"]])
def test_a_context_that_cannot_be_read_is_a_named_failure(context: str) -> None:
    with pytest.raises(DecodeError, match="the context is not valid json"):
        unpack_job(message(JobContext=context))


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_a_body_that_is_not_a_dictionary_is_a_named_failure(body: str) -> None:
    with pytest.raises(DecodeError, match="the body is not a dictionary with string keys"):
        unpack_job(message(body))
    with pytest.raises(DecodeError, match="the context is not a dictionary with string keys"):
        unpack_job(message(JobContext=body))


@pytest.mark.parametrize(
    "body", ["not base64!", "aGVsbG8=", "eJxLSU1PT8ksAgALzAKd", "ÄÖÜ", "eJwDAAAAAAE="]
)
def test_an_invalid_pickle_is_a_named_failure(body: str) -> None:
    with pytest.raises(DecodeError, match="the body is not valid pickle"):
        unpack_job(message(body, ContentType="pickle", JobContext="(none)"), ["pickle"])


def test_a_pickle_without_string_keys_is_a_named_failure() -> None:
    from sqsw.codecs.pickle_codec import PickleCodec

    strange: Any = {1: "a"}
    body = PickleCodec().serialize(strange)
    with pytest.raises(DecodeError, match="not a dictionary with string keys"):
        unpack_job(message(body, ContentType="pickle", JobContext="(none)"), ["pickle"])


def test_a_pickle_that_is_not_accepted_is_not_read() -> None:
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(b"cos\nabort\n(tR.")).decode()
    with pytest.raises(ContentTypeRefused):
        unpack_job(message(bomb, ContentType="pickle"))


def test_an_unknown_codec_is_refused_when_sending() -> None:
    with pytest.raises(SQSError, match="no codec for the content type 'yaml'"):
        pack_job("hello", {}, content_type="yaml")
