"""A job is parked and sent byte for byte."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sqsw.core.errors import MessageRefused
from sqsw.core.job_metadata import SQSW, metadata_of
from sqsw.core.message import Message
from sqsw.parking.parked_entry import (
    copied_entry,
    due_entry,
    from_milliseconds,
    parked_entry,
    seconds_until,
    to_milliseconds,
)
from sqsw.transport.batches import Entry
from sqsw.transport.queue_client import QueueClient

DUE = datetime(2030, 1, 10, tzinfo=UTC)
NOW = datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def client(name: str, arn: str | None = None) -> QueueClient:
    clients: Any = None
    return QueueClient(clients, name, f"prefix_{name}", arn=arn)


def entry(**keys: Any) -> Entry:
    attributes = {
        "JobName": {"DataType": "String", "StringValue": "hello"},
        "blob": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
        "count": {"DataType": "Number", "StringValue": "1.50"},
        SQSW: {"DataType": "String", "StringValue": '{"id":"job-1","new":{"é":[1.0,"\\ud83d"]}}'},
    }
    return {"MessageBody": '{"n": 1}\n é', "MessageAttributes": attributes, **keys}


def as_message(sent: Entry, **attributes: str) -> Message:
    """Return a sent entry as SQS delivers it, with empty lists next to each value."""
    system = {
        name: value["StringValue"]
        for name, value in sent.get("MessageSystemAttributes", {}).items()
    }
    received = {
        name: {**value, "StringListValues": []} for name, value in sent["MessageAttributes"].items()
    }
    return Message("m-1", "handle", sent["MessageBody"], {**system, **attributes}, received)


def metadata(sent: Entry) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sent["MessageAttributes"][SQSW]["StringValue"])
    return found


TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}


@pytest.mark.parametrize(
    "given",
    [entry(), entry(MessageSystemAttributes=TRACE), entry(MessageGroupId="tenant-1")],
)
def test_a_job_of_a_standard_queue_arrives_byte_for_byte(given: Entry) -> None:
    jobs = client("jobs")
    parked = parked_entry(given, jobs, DUE, NOW)
    assert parked["MessageBody"] == given["MessageBody"]
    assert "MessageGroupId" not in parked
    sent = due_entry(as_message(parked), jobs)
    text = given["MessageAttributes"][SQSW]["StringValue"]
    # JSON escapes what is not ASCII.
    expected = json.dumps(json.loads(text), separators=(",", ":"))
    assert sent["MessageAttributes"][SQSW].pop("StringValue") == expected
    given["MessageAttributes"][SQSW].pop("StringValue")
    assert sent == {**given, "DelaySeconds": 0}


def test_the_metadata_of_sqsw_itself_arrives_byte_for_byte() -> None:
    given, jobs = entry(), client("jobs")
    given["MessageAttributes"][SQSW]["StringValue"] = '{"id":"job-1","attempts":3}'
    assert due_entry(as_message(parked_entry(given, jobs, DUE, NOW)), jobs) == {
        **given,
        "DelaySeconds": 0,
    }


def test_a_job_of_a_fifo_queue_gets_its_group_and_its_deduplication_id_back() -> None:
    jobs = client("jobs.fifo")
    given = entry(MessageGroupId="g", MessageDeduplicationId="d")
    parked = parked_entry(given, jobs, DUE, NOW)
    assert not {"MessageGroupId", "MessageDeduplicationId"} & parked.keys()
    sent = due_entry(as_message(parked), jobs)
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == ("g", "d")


def test_the_job_id_is_the_deduplication_id_of_other_jobs() -> None:
    jobs = client("jobs.fifo")
    parked = parked_entry(entry(MessageGroupId="g"), jobs, DUE, NOW)
    assert due_entry(as_message(parked), jobs)["MessageDeduplicationId"] == "job-1"


def test_a_parked_message_says_when_it_is_due_and_where_it_goes() -> None:
    parked = parked_entry(entry(), client("jobs"), DUE, NOW)
    assert metadata(parked)["due"] == to_milliseconds(DUE)
    assert metadata(parked)["to"] == "jobs"
    arn = "arn:aws:sqs:eu-west-1:123456789012:jobs"
    assert metadata(parked_entry(entry(), client("jobs", arn), DUE, NOW))["to"] == arn


@pytest.mark.parametrize(("seconds", "delay"), [(5.2, 6), (900, 900), (86_400, 900), (-3, 0)])
def test_sqs_delays_the_first_part_of_the_wait(seconds: float, delay: int) -> None:
    due = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)
    assert parked_entry(entry(), client("jobs"), due, NOW)["DelaySeconds"] == delay


def test_a_time_is_rounded_up_to_milliseconds() -> None:
    assert to_milliseconds(DUE + timedelta(microseconds=1)) == to_milliseconds(DUE) + 1
    assert from_milliseconds(to_milliseconds(DUE)) == DUE
    assert seconds_until(5_001, 4_000, 900) == 2
    assert seconds_until(5_000, 4_000, 900) == 1
    assert seconds_until(4_000, 5_000, 900) == 0


def test_a_copy_keeps_everything() -> None:
    parked = parked_entry(entry(), client("jobs"), DUE, NOW)
    copy = copied_entry(as_message(parked), client("parked"), 60)
    assert copy == {**parked, "DelaySeconds": 60}


def test_a_job_without_a_job_id_gets_one_that_lasts() -> None:
    parked = parked_entry(entry(), client("jobs"), DUE, NOW)
    text = '{"due":1893456000000,"to":"jobs"}'
    parked["MessageAttributes"][SQSW]["StringValue"] = text
    copy = copied_entry(as_message(parked), client("parked"), 0)
    again = copied_entry(as_message(copy), client("parked"), 0)
    sent = due_entry(as_message(again), client("jobs"))
    assert metadata(copy) == {"id": "m-1", "due": 1_893_456_000_000, "to": "jobs"}
    assert metadata(sent) == {"id": "m-1"}
    assert metadata_of(as_message(sent)).job_id == "m-1"


def test_metadata_without_room_is_refused() -> None:
    given = entry()
    long = json.dumps({"id": "job-1", "new": "x" * 4_060})
    given["MessageAttributes"][SQSW]["StringValue"] = long
    with pytest.raises(MessageRefused, match="Sqsw") as caught:
        parked_entry(given, client("jobs"), DUE, NOW)
    assert caught.value.why == "the limit is 4096"
