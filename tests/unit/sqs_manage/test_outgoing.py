from datetime import UTC, datetime
from typing import Any

import pytest

from sqsw.codecs.envelope import pack_job
from sqsw.core.errors import ContentTypeRefused, MessageRefused
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.outgoing import OutgoingMessage, QueueRules
from tests.job_ids import without_job_id
from tests.unit.sqs_manage.faults import Faults

STANDARD = QueueRules("emails", fifo=False)
FIFO = QueueRules("emails.fifo", fifo=True, content_dedup=False)

#: 2023-11-14T22:13:20Z
NOW = 1_700_000_000.0

HOW_TO_PARK = (
    "to delay it by up to 366 days, park it: SQSEnv(parking='parked') and "
    "create_parking_queue(env, 'parked')"
)


def job(**changes: Any) -> OutgoingMessage:
    return OutgoingMessage(**{"job": "send", "args": {"to": "ann"}, **changes})


def test_a_job_is_packed_as_the_library_packs_it() -> None:
    message = job(context={"user": 7}, delay=5, group="g")
    packed = pack_job("send", {"to": "ann"}, {"user": 7}, group_id="g")
    assert without_job_id(message.prepare(STANDARD, NOW).entry) == {**packed, "DelaySeconds": 5}


def test_a_fifo_queue_gets_the_default_group() -> None:
    entry = job(dedup_id="d").prepare(FIFO, NOW).entry
    assert (entry["MessageGroupId"], entry["MessageDeduplicationId"]) == ("default", "d")


def test_a_body_is_sent_unchanged() -> None:
    entry = OutgoingMessage(body="é{").prepare(STANDARD, NOW).entry
    assert without_job_id(entry) == {"MessageBody": "é{"}


@pytest.mark.parametrize(
    ("message", "rules", "texts"),
    [
        (
            job(),
            FIFO,
            (
                "'emails.fifo' needs a deduplication id",
                "content-based deduplication is off for this queue",
                "set dedup_id, or turn on ContentBasedDeduplication of the queue",
            ),
        ),
        (
            job(delay=1200),
            STANDARD,
            (
                "a delay of 20m is too long",
                "SQS delays a message by 0 to 900 seconds",
                HOW_TO_PARK,
            ),
        ),
        (
            job(delay=300, dedup_id="d"),
            FIFO,
            (
                "'emails.fifo' does not support a delay per message",
                "a FIFO queue has one delay for all its messages",
                f"remove the delay, or set DelaySeconds on the queue; {HOW_TO_PARK}",
            ),
        ),
    ],
)
def test_a_message_that_the_queue_would_refuse_is_an_error_in_three_parts(
    message: OutgoingMessage, rules: QueueRules, texts: tuple[str, str, str]
) -> None:
    with pytest.raises(MessageRefused) as caught:
        message.prepare(rules, NOW)
    assert (caught.value.message, caught.value.why, caught.value.next) == texts


@pytest.mark.parametrize(
    "message",
    [
        job(dedup_id="d"),
        job(group="two words"),
        job(group=""),
        job(group="g" * 129),
        job(delay=-1),
        job(args={"x": float("nan")}),
        OutgoingMessage(body=""),
        OutgoingMessage(body="\x00"),
        OutgoingMessage(body="x" * (MAX_MESSAGE_BYTES + 1)),
        job(job_id=""),
        job(job_id="two words"),
        job(job_id="é"),
        job(job_id="x" * 129),
    ],
)
def test_a_message_that_sqs_would_refuse_is_refused_before_any_call(
    message: OutgoingMessage,
) -> None:
    with pytest.raises(MessageRefused):
        message.prepare(STANDARD, NOW)


def test_a_queue_can_have_a_lower_limit_than_sqs() -> None:
    small = QueueRules("q.fifo", fifo=True, content_dedup=True, max_bytes=1024)
    with pytest.raises(MessageRefused) as caught:
        OutgoingMessage(body="x" * 1025).prepare(small, NOW)
    assert caught.value.message == "the message is 1025 bytes; the limit is 1024"
    assert OutgoingMessage(body="x" * 1024).prepare(small, NOW).entry


def test_a_content_type_without_a_codec_is_refused() -> None:
    with pytest.raises(ContentTypeRefused):
        OutgoingMessage(job="send", body="x", content_type="yaml").prepare(STANDARD, NOW)


def test_the_rules_of_a_fifo_queue_are_read(env: SQSEnv, faults: Faults) -> None:
    create_queue(env, "emails")
    attributes = {"ContentBasedDeduplication": "true", "MaximumMessageSize": "2048"}
    create_queue(env, "o.fifo", attributes=attributes)
    faults.calls.clear()
    assert QueueRules.of(env.queue_client("emails")) == STANDARD
    assert faults.calls == []
    assert QueueRules.of(env.queue_client("o.fifo")) == QueueRules("o.fifo", True, True, 2048)


def test_a_sender_needs_no_other_permission(env: SQSEnv, faults: Faults) -> None:
    create_queue(env, "o.fifo")
    faults.refuse("GetQueueAttributes", "AccessDenied")
    rules = QueueRules.of(env.queue_client("o.fifo"))
    assert rules == QueueRules("o.fifo", True, None)
    assert job().prepare(rules, NOW).entry


@pytest.mark.parametrize("content_type", ["pickle", "pickle_compat", "json"])
def test_an_unchanged_body_is_sent_byte_for_byte(content_type: str) -> None:
    entry = pack_job("send", {"to": "ann"}, {"user": 7}, content_type)
    message = OutgoingMessage(
        job="send",
        body=entry["MessageBody"],
        content_type=content_type,
        context_text=entry["MessageAttributes"]["JobContext"]["StringValue"],
    )
    assert without_job_id(message.prepare(STANDARD, NOW).entry) == entry


def test_a_body_without_a_context_gets_an_empty_context() -> None:
    entry = pack_job("send", {"to": "ann"}, {}, "pickle")
    message = OutgoingMessage(job="send", body=entry["MessageBody"], content_type="pickle")
    assert without_job_id(message.prepare(STANDARD, NOW).entry) == entry


def test_an_item_can_be_sent_again() -> None:
    when = datetime(2030, 7, 1, 9, tzinfo=UTC)
    assert job(run_at=when).to_item()["at"] == "2030-07-01T09:00:00+00:00"
    assert job(group="g", delay=3, context={"user": 7}).to_item() == {
        "job": "send",
        "args": {"to": "ann"},
        "group": "g",
        "delay": 3,
        "context": {"user": 7},
    }
    pickled = OutgoingMessage(job="send", body="gASV", content_type="pickle", context_text="eJxr")
    assert pickled.to_item() == {
        "job": "send",
        "body": "gASV",
        "content_type": "pickle",
        "attributes": {"JobContext": "eJxr"},
    }


FOREIGN = {f"a{number}": "x" for number in range(9)}
DEAD = (
    '{"id":"order-7","dead":{"verdict":"gave_up","type":"E","message":"m","where":"w","fingerprint":'
    '"0123456789ab","attempts":1,"receives":1,"at":"2026-11-30T10:00:00.000Z","queue":"q",'
    '"worker":"w:1","deaths":2}}'
)


def sqsw_attribute(entry: dict[str, Any]) -> str | None:
    attribute = entry.get("MessageAttributes", {}).get("Sqsw")
    return None if attribute is None else str(attribute["StringValue"])


def test_a_job_id_of_the_line_is_sent() -> None:
    entry = job(job_id="order-7").prepare(STANDARD, NOW).entry
    assert sqsw_attribute(entry) == '{"id":"order-7"}'


@pytest.mark.parametrize("job_id", [None, "order-7"])
@pytest.mark.parametrize("text", [DEAD, '{"id":"order-7"}', ' { "id": "order-7", "x": 1 }'])
def test_the_attributes_of_a_message_are_sent_byte_for_byte(text: str, job_id: str | None) -> None:
    entry = job(attributes={"Sqsw": text}, job_id=job_id).prepare(STANDARD, NOW).entry
    assert sqsw_attribute(entry) == text


def test_another_job_id_replaces_only_the_job_id_of_a_message() -> None:
    entry = job(attributes={"Sqsw": DEAD}, job_id="order-8").prepare(STANDARD, NOW).entry
    assert sqsw_attribute(entry) == DEAD.replace("order-7", "order-8")


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"id":7}'])
def test_an_attribute_of_another_program_is_never_replaced(text: str) -> None:
    entry = job(attributes={"Sqsw": text}, job_id="m-1").prepare(STANDARD, NOW).entry
    assert sqsw_attribute(entry) == text


@pytest.mark.parametrize("job_id", [None, "m-1"])
def test_a_message_without_room_for_a_job_id_is_sent_without_one(job_id: str | None) -> None:
    nine, ten = FOREIGN, {**FOREIGN, "a10": "x"}
    assert sqsw_attribute(OutgoingMessage(body="x", attributes=nine).prepare(STANDARD, NOW).entry)
    entry = OutgoingMessage(body="x", attributes=ten, job_id=job_id).prepare(STANDARD, NOW).entry
    assert entry["MessageAttributes"].keys() == ten.keys()
    largest = (
        OutgoingMessage(body="x" * MAX_MESSAGE_BYTES, job_id=job_id).prepare(STANDARD, NOW).entry
    )
    assert "MessageAttributes" not in largest


def test_the_attributes_of_a_message_count_toward_the_limit() -> None:
    with pytest.raises(MessageRefused, match="11 attributes"):
        ten = {**FOREIGN, "a10": "x"}
        OutgoingMessage(body="x", attributes={**ten, "Sqsw": DEAD}).prepare(STANDARD, NOW)
