"""The message format: sqsw reads what sqs-workers 0.7.3 wrote, and writes the same.

The literals are recordings of what the released package passed to boto3. A message of sqsw has one
more attribute, ``Sqsw``, with the job id.
"""

import base64
import pickle
import zlib
from typing import Any

import pytest

from sqsw.codecs.envelope import unpack_job
from sqsw.core.message import Message
from sqsw.memory_sqs import MemorySession
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_fifo_queue, create_standard_queue
from tests.job_ids import without_job_id

#: content type → the text of: a whole call, a call with one argument, no arguments, a context
TEXTS = {
    "json": {
        "call": (
            '{"to": "ann@example.com", "subject": "Gr\\u00fc\\u00dfe \\u2603", '
            '"tags": ["a", {"b": null}, true]}'
        ),
        "short": '{"to": "ann@example.com"}',
        "empty": "{}",
        "context": '{"remote_addr": "127.0.0.1", "user": {"id": 7}}',
    },
    "pickle": {
        "call": (
            "eJxrYJnqwwABtVM0ephK8qf08Cfm5TmkViTmFuSk6iXn507pYS8uTcpKTS6Z0sPtXnR4z-H5qQqPZjRP6WEp"
            "SUwvnhIL1MiYOKV2Sg9j0hS_4o7UUj0ANcghWg=="
        ),
        "short": "eJxrYJkqzQABtVN6mEryp_TwJ-blOaRWJOYW5KTqJefnTinWAwDFyQvx",
        "empty": "eJxrYKmdogcABWIBxA==",
        "context": (
            "eJxrYJlqwAABtVM0eriLUnPzS1LjE1NSiqb0cBoamesZAKHhlB6W0uLUoim1U3qYMlOmeLMXl-oBAPJGEl0="
        ),
    },
    "pickle_compat": {
        "call": (
            "eJxrYKotZNCIYGJgYCjJL2SM4AcyEvPyHFIrEnMLclL1kvNzC5ki2IGixaVJWanJJYXMEdxAnnvR4T2H56cq"
            "PJrRXMgSwQLSnpheXMgaW8imEcEIMqSQvbaQA8xMKuT0K-5ILdUDAGT0Hdo="
        ),
        "short": "eJxrYKotZIhgYmBgKMkvZIzgBzIS8_IcUisScwtyUvWS83MLmYr1ALa0CnE=",
        "empty": "eJxrYKotZNADAAaFAZ8=",
        "context": (
            "eJxrYKotZNCI4GZgYChKzc0vSY1PTEkpKmSM4ASKGBqZ6xkAoWEhUwQLkF9anFpUyFxbyBLBBORlphSyerMX"
            "l-oBADZZEAM="
        ),
    },
}

VALUES: dict[str, dict[str, Any]] = {
    "call": {
        "to": "ann@example.com",
        "subject": "Grüße ☃",
        "tags": ["a", {"b": None}, True],
    },
    "short": {"to": "ann@example.com"},
    "empty": {},
    "context": {"remote_addr": "127.0.0.1", "user": {"id": 7}},
}

EVERYTHING = ("json", "pickle", "pickle_compat")
content_types = pytest.mark.parametrize("content_type", EVERYTHING)


def recorded(
    content_type: str, body: str = "short", context: str = "empty", **extra: Any
) -> dict[str, Any]:
    """Return the keywords of one send_message() as in sqs-workers 0.7.3."""
    texts = TEXTS[content_type]
    return {
        "MessageBody": texts[body],
        "MessageAttributes": {
            "ContentType": {"StringValue": content_type, "DataType": "String"},
            "JobContext": {"StringValue": texts[context], "DataType": "String"},
            "JobName": {"StringValue": "send_email", "DataType": "String"},
        },
        **extra,
    }


def without_compression(sent: dict[str, Any]) -> dict[str, Any]:
    """Return the same with pickled bytes instead of the text, because zlib output can differ."""
    attributes = sent["MessageAttributes"]
    if attributes["ContentType"]["StringValue"] == "json":
        return sent

    def unpacked(text: str) -> bytes:
        return zlib.decompress(base64.urlsafe_b64decode(text))

    context = attributes["JobContext"]
    return {
        **sent,
        "MessageBody": unpacked(sent["MessageBody"]),
        "MessageAttributes": {
            **attributes,
            "JobContext": {**context, "StringValue": unpacked(context["StringValue"])},
        },
    }


class Wire:
    """An environment, and everything that it passes to boto3."""

    def __init__(self, content_type: str) -> None:
        self.env = SQSEnv(MemorySession(), codec=content_type, accept=EVERYTHING)
        create_standard_queue(self.env, "emails")
        create_fifo_queue(self.env, "emails.fifo")
        self.sent: list[dict[str, Any]] = []
        events = self.env.sqs_client.meta.events
        events.register("provide-client-params.sqs.SendMessage", self._one)
        events.register("provide-client-params.sqs.SendMessageBatch", self._many)

    def _one(self, params: dict[str, Any], **_: object) -> None:
        self.sent.append({key: value for key, value in params.items() if key != "QueueUrl"})

    def _many(self, params: dict[str, Any], **_: object) -> None:
        for entry in params["Entries"]:
            self.sent.append({key: value for key, value in entry.items() if key != "Id"})

    def written(self) -> list[dict[str, Any]]:
        """Return what was passed since the last call, without the job ids."""
        sent, self.sent = self.sent, []
        return [without_compression(without_job_id(entry)) for entry in sent]


@content_types
@pytest.mark.parametrize(("body", "context"), [("call", "empty"), ("short", "context")])
def test_a_recorded_message_is_read(content_type: str, body: str, context: str) -> None:
    entry = recorded(content_type, body, context)
    message = Message(
        "id", "handle", entry["MessageBody"], message_attributes=entry["MessageAttributes"]
    )
    job = unpack_job(message, EVERYTHING)
    assert job.job_name == "send_email"
    assert job.job_kwargs == VALUES[body]
    assert job.job_context == VALUES[context]
    assert job.content_type == content_type


@content_types
@pytest.mark.parametrize(
    ("queue_name", "extra"),
    [
        ("emails", {}),
        ("emails", {"DelaySeconds": 0}),
        ("emails.fifo", {"MessageDeduplicationId": "d-1", "MessageGroupId": "default"}),
        ("emails.fifo", {"MessageDeduplicationId": "d-1", "MessageGroupId": "g-1"}),
    ],
)
def test_a_recorded_message_runs(content_type: str, queue_name: str, extra: dict[str, Any]) -> None:
    env = Wire(content_type).env
    seen = []

    @env.processor(queue_name, "send_email", pass_context=True)
    def send_email(
        to: str,
        subject: str = "",
        tags: object = None,
        context: object = None,
    ) -> None:
        seen.append(({"to": to, "subject": subject, "tags": tags}, context))

    url = env.queue(queue_name).client.url
    env.sqs_client.send_message(QueueUrl=url, **recorded(content_type, "call", "context", **extra))
    assert env.process_batch(queue_name).succeeded_count() == 1
    assert seen == [(VALUES["call"], VALUES["context"])]


@content_types
def test_what_is_written_equals_the_recorded_form(content_type: str) -> None:
    wire = Wire(content_type)
    queue, fifo = wire.env.queue("emails"), wire.env.queue("emails.fifo")

    @queue.processor("send_email")
    def send_email(
        to: str = "", subject: str = "Hello", tags: object = None, count: int = 3
    ) -> None:
        raise AssertionError

    send_email.delay("ann@example.com", subject="Grüße ☃", tags=["a", {"b": None}, True])
    with wire.env.context(remote_addr="127.0.0.1", user={"id": 7}):
        send_email.delay(to="ann@example.com")
    send_email.delay(to="ann@example.com", _delay_seconds=5)
    queue.add_job("send_email")
    fifo.add_job("send_email", _deduplication_id="d-0", to="ann@example.com")
    fifo.add_job("send_email", _deduplication_id="d-1", _group_id="g-1", to="ann@example.com")
    with queue.add_batch():
        queue.add_job("send_email", to="ann@example.com")
        queue.add_job("send_email", _delay_seconds=5)

    expected = [
        recorded(content_type, "call"),
        recorded(content_type, "short", "context"),
        recorded(content_type, DelaySeconds=5),
        recorded(content_type, "empty"),
        recorded(content_type, MessageGroupId="default", MessageDeduplicationId="d-0"),
        recorded(content_type, MessageGroupId="g-1", MessageDeduplicationId="d-1"),
        recorded(content_type),
        recorded(content_type, "empty", DelaySeconds=5),
    ]
    if content_type == "pickle" and pickle.DEFAULT_PROTOCOL != 4:
        pytest.skip("recorded with protocol 4, which is not the default of this interpreter")
    assert wire.written() == [without_compression(entry) for entry in expected]


def test_json_is_written_byte_for_byte_so_that_fifo_queues_recognize_duplicates() -> None:
    # During a migration, a queue that deduplicates by content compares the bytes of both senders.
    wire = Wire("json")
    wire.env.queue("emails").add_job("send_email", **VALUES["call"])
    assert wire.sent[0]["MessageBody"] == TEXTS["json"]["call"]


def test_a_fraction_of_a_second_is_cut_from_a_delay_as_in_sqs_workers() -> None:
    wire = Wire("json")
    wire.env.queue("emails").add_job("send_email", _delay_seconds=5.9)
    assert wire.sent[0]["DelaySeconds"] == 5


def test_raw_messages_are_bodies_and_job_ids() -> None:
    wire = Wire("json")
    wire.env.queue("raw", RawQueue, queue_url=wire.env.queue("emails").client.url).add_raw_job(
        "Hello world"
    )
    wire.env.queue("emails").add_raw_job("send_email", "{}", "{}", "json", None, None, None)
    raw, job = map(without_job_id, wire.sent)
    assert raw == {"MessageBody": "Hello world"}
    assert job == recorded("json", "empty")


def test_a_custom_job_id_is_written_as_compact_json() -> None:
    wire = Wire("json")
    wire.env.queue("emails").add_job("send_email", _job_id="order-17", **VALUES["short"])
    with wire.env.queue("emails.fifo").add_batch():
        wire.env.queue("emails.fifo").add_job(
            "send_email", _job_id='"17"', _deduplication_id="d-1", **VALUES["short"]
        )
    own = [entry["MessageAttributes"].pop("Sqsw") for entry in wire.sent]
    assert own == [
        {"DataType": "String", "StringValue": '{"id":"order-17"}'},
        {"DataType": "String", "StringValue": '{"id":"\\"17\\""}'},
    ]
    fifo = {"MessageGroupId": "default", "MessageDeduplicationId": "d-1"}
    assert wire.sent == [recorded("json"), recorded("json", **fifo)]


def test_pickle_is_not_read_unless_it_is_listed() -> None:
    env = Wire("json").env
    env.accept = None
    ran: list[object] = []
    env.queue("emails").connect_processor("send_email", ran.append)
    url = env.queue("emails").client.url
    env.sqs_client.send_message(QueueUrl=url, **recorded("pickle_compat"))
    assert env.process_batch("emails").failed_count() == 1
    assert ran == []
