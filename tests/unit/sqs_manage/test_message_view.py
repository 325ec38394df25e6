import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from sqsw.codecs.envelope import pack_job
from sqsw.core.job_metadata import SQSW, JobMetadata, add_job_id
from sqsw.core.message import Message
from sqsw.core.times import format_time
from sqsw.sqs_manage.message_view import view_message
from tests.unit.sqs_manage.queues import failure

OPENED: list[str] = []


def note_opening() -> None:
    OPENED.append("opened")


class Trap:
    """An object that records when it is unpickled."""

    def __reduce__(self) -> Any:
        return note_opening, ()


def message(entry: dict[str, Any], **attributes: str) -> Message:
    return Message(
        message_id="id-1",
        receipt_handle="handle",
        body=entry["MessageBody"],
        attributes=attributes,
        message_attributes=entry.get("MessageAttributes", {}),
        queue_name="emails",
    )


def test_a_job_is_parsed() -> None:
    seen = view_message(
        message(
            pack_job("send", {"to": "ann"}, {"user": 7}),
            SentTimestamp="1793448000123",
            ApproximateFirstReceiveTimestamp="1793448001000",
            ApproximateReceiveCount="3",
            MessageGroupId="g",
            MessageDeduplicationId="d",
            DeadLetterQueueSourceArn="arn:aws:sqs:local:000000000000:t_news",
        ),
        name_of=lambda name: name.removeprefix("t_"),
        action="peeked",
    )
    assert (seen.queue, seen.id, seen.job, seen.raw) == ("emails", "id-1", "send", False)
    assert (seen.args, seen.context, seen.content_type) == ({"to": "ann"}, {"user": 7}, "json")
    assert json.loads(seen.body) == {"to": "ann"}
    assert (seen.group, seen.dedup_id, seen.receives, seen.source) == ("g", "d", 3, "news")
    assert seen.sent_at == datetime(2026, 10, 31, 12, 0, 0, 123000, tzinfo=UTC)
    context = seen.attributes["JobContext"]
    assert json.loads(context) == {"user": 7}
    assert seen.size == sum(
        len(word)
        for word in (
            *(seen.body, "ContentType", "String", "json", "JobContext", "String", context),
            *("JobName", "String", "send"),
        )
    )
    assert seen.action == "peeked"


def test_a_pickled_job_is_shown_without_unpickling() -> None:
    for content_type in ("pickle", "pickle_compat"):
        entry = pack_job("send", {"trap": Trap()}, content_type=content_type)
        seen = view_message(message(entry))
        assert (seen.job, seen.args, seen.context) == ("send", None, None)
        assert (seen.content_type, seen.body) == (content_type, entry["MessageBody"])
    assert OPENED == []
    pickle.loads(pickle.dumps(Trap()))
    assert OPENED == ["opened"]  # proves that the trap works


def test_a_body_that_does_not_match_its_content_type_stays_text() -> None:
    for body in ("{", "[1]", "null", "[" * 100_000):
        seen = view_message(message(pack_job("send", {}) | {"MessageBody": body}))
        assert (seen.args, seen.context, seen.body) == (None, None, body)


def test_the_message_id_replaces_a_missing_job_id() -> None:
    entry = pack_job("send", {})
    assert view_message(message(entry)).job_id == "id-1"
    add_job_id(entry, "order-7")
    assert view_message(message(entry)).job_id == "order-7"


def test_a_message_that_is_not_a_job_is_raw() -> None:
    binary = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}
    seen = view_message(message({"MessageBody": '{"a": 1}', "MessageAttributes": {"key": binary}}))
    assert (seen.raw, seen.job, seen.args, seen.content_type) == (True, None, None, None)
    assert seen.attributes == {"key": "AP8="}
    assert (seen.sent_at, seen.first_received_at, seen.receives) == (None, None, 1)


def test_the_object_for_programs_has_every_key_and_plain_values() -> None:
    entry = pack_job("send", {"to": "ann"})
    record = view_message(message(entry, SentTimestamp="1793448000000")).to_json()
    assert list(record) == [
        *("type", "queue", "id", "job_id", "job", "args", "context", "content_type", "body", "raw"),
        *("group", "dedup_id", "sent_at", "first_received_at", "receives", "size", "source"),
        *("error", "attributes", "attribute_types", "trace_header", "action", "twin_of", "copy_of"),
        *("due", "to"),
    ]
    assert record["sent_at"] == "2026-10-31T12:00:00.000Z"
    assert record["first_received_at"] is None
    assert json.loads(json.dumps(record)) == record


def test_a_record_shows_the_reason_and_the_source_queue() -> None:
    entry = pack_job("send", {"to": "ann"})
    entry["MessageAttributes"][SQSW] = JobMetadata("7", failure("news")).to_attribute()
    seen = view_message(message(entry))
    assert (seen.error, seen.source) == (failure("news").to_json(), "news")
    moved = view_message(
        message(entry, DeadLetterQueueSourceArn="arn:aws:sqs:local:000000000000:orders")
    )
    assert moved.source == "orders"
    assert view_message(message(entry), name_of=str.upper).source == "news"


def test_a_message_back_in_its_source_queue_has_no_source() -> None:
    entry = pack_job("send", {})
    entry["MessageAttributes"][SQSW] = JobMetadata("7", failure("emails")).to_attribute()
    seen = view_message(message(entry))
    assert (seen.queue, seen.source) == ("emails", None)
    assert seen.error is not None and seen.error["deaths"] == 1


def test_an_attribute_that_is_not_a_record_is_ignored() -> None:
    entry = pack_job("send", {})
    for text in ("", "{", "7", '{"dead": {"verdict": "gave_up"}}'):
        entry["MessageAttributes"][SQSW] = {"DataType": "String", "StringValue": text}
        assert view_message(message(entry)).error is None


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert format_time(datetime(2026, 1, 2, 3, 4, 5, 678999, UTC)) == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize("depth", [950, 100_000])
def test_a_payload_that_is_nested_too_deeply_stays_text(depth: int) -> None:
    text = '{"a":' + "[" * depth + "]" * depth + "}"
    for body, context in ((text, "{}"), ("{}", text)):
        entry = pack_job("send", {}, {})
        entry["MessageBody"] = body
        entry["MessageAttributes"]["JobContext"]["StringValue"] = context
        seen = view_message(message(entry))
        assert (seen.job, seen.args, seen.context, seen.body) == ("send", None, None, body)
        json.dumps(seen.to_json())


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_payload_with_numbers_that_json_lacks_stays_text(number: str) -> None:
    text = '{"a": [{"b": ' + number + "}]}"
    for body, context in ((text, "{}"), ("{}", text)):
        entry = pack_job("send", {}, {})
        entry["MessageBody"] = body
        entry["MessageAttributes"]["JobContext"]["StringValue"] = context
        seen = view_message(message(entry))
        assert (seen.job, seen.args, seen.context, seen.body) == ("send", None, None, body)
