"""A message that one command prints is sent unchanged by another: body, attributes and types."""

import json
import shutil
import subprocess
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.job_ids import is_new
from tests.unit.cli.conftest import Sqsw

_numbers = count()

#: the attribute that messages without a job id get when they are sent again
FIRST_IDS: set[str] = set()

#: the attribute of a message with a job id and a record of why it was given up
CARRIED = (
    '{"id":"order-7","dead":{"verdict":"gave_up","type":"ValueError","message":"gr\\u00fc","where":'
    '"shop.ship:7","fingerprint":"0123456789ab","attempts":2,"receives":3,"at":'
    '"2026-11-30T10:00:00.000Z","queue":"orders","worker":"host:1","deaths":1}, "later": [1.10]}'
)

#: characters that SQS accepts
CHARACTERS = st.one_of(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"),
    st.sampled_from("\t\n\r\x7f\x85\u2028\u202e\ufeff"),
)
TEXTS = st.text(CHARACTERS, min_size=1, max_size=30)
TYPES = st.sampled_from(["", ".int", ".png", ".a-b_c.d", ".Grüße"])


@st.composite
def attributes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """One message attribute with its name."""
    name = draw(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True))
    if name.lower().startswith(("aws", "amazon")):
        name = "x" + name
    kind, custom = draw(st.sampled_from(["String", "Number", "Binary"])), draw(TYPES)
    if kind == "Binary":
        value: dict[str, Any] = {"BinaryValue": draw(st.binary(min_size=1, max_size=30))}
    elif kind == "Number":
        value = {"StringValue": draw(st.sampled_from(["1", "1.10", "1e2", "-0", "12345678901234"]))}
    else:
        value = {"StringValue": draw(TEXTS)}
    return name, {"DataType": kind + custom, **value}


#: bodies of jobs that would change if they were encoded again
BODIES = [
    '{"a":1.10}',
    '{"a":1e2}',
    '{"b":1,"a":2,"b":3}',
    ' { "z" : "x" ,\t"a":null}\n',
    '{"a":"\\u00fc\\/"}',
    '{"a":12345678901234567890}',
    '{"a":-0.0,"b":true}',
    '{"a":NaN}',
    '{"a":"\\ud83d"}',
    "[1]",
    "no JSON",
    "gASVDAAAAAAAAAB9lIwBYZRLAXMu",
]
CONTEXTS = [None, "{}", '{ "user":7 }', '{"a":1,"a":2}', "gASVAA", "no JSON"]


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """The parameters of one SendMessage."""
    found = dict(draw(st.lists(attributes(), max_size=6)))
    body = draw(TEXTS)
    if draw(st.booleans()):
        body = draw(st.sampled_from(BODIES))
        texts = {
            "JobName": draw(st.one_of(st.just("note"), TEXTS)),
            "ContentType": draw(st.sampled_from([None, "json", "pickle", "yaml"])),
            "JobContext": draw(st.sampled_from(CONTEXTS)),
        }
        for name, text in texts.items():
            if text is not None:
                kind = "String" + draw(TYPES)
                found[name] = {"DataType": kind, "StringValue": text}
    if draw(st.booleans()):
        found["Sqsw"] = {"DataType": "String", "StringValue": CARRIED}
    message: dict[str, Any] = {"MessageBody": body}
    if found:
        message["MessageAttributes"] = found
    if draw(st.booleans()):
        header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
        value = {"DataType": "String", "StringValue": header}
        message["MessageSystemAttributes"] = {"AWSTraceHeader": value}
    if draw(st.booleans()):
        message["MessageGroupId"] = draw(st.sampled_from(["a", "b!"]))
    return message


def received(sqsw: Sqsw, queue: str) -> list[dict[str, Any]]:
    """Return all messages of a queue, as they were sent.

    A message that was sent without a job id now has the id of its first message, which is omitted.
    """
    found = all_received(sqsw, queue)
    for message in found:
        attributes = message.get("MessageAttributes", {})
        own = attributes.get("Sqsw", {}).get("StringValue", "")
        if own and own != CARRIED:
            assert own in FIRST_IDS
            del attributes["Sqsw"]
            if not attributes:
                del message["MessageAttributes"]
    return found


def all_received(sqsw: Sqsw, queue: str) -> list[dict[str, Any]]:
    """Return all messages of a queue, with everything that they carry."""
    client = sqsw.env.sqs_client
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[dict[str, Any]] = []
    while raw := client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages"):
        for one in raw:
            message: dict[str, Any] = {"MessageBody": one["Body"]}
            if "MessageAttributes" in one:
                message["MessageAttributes"] = one["MessageAttributes"]
            system: Any = one["Attributes"]
            if "AWSTraceHeader" in system:
                value = {"DataType": "String", "StringValue": system["AWSTraceHeader"]}
                message["MessageSystemAttributes"] = {"AWSTraceHeader": value}
            if "MessageGroupId" in system:
                message["MessageGroupId"] = system["MessageGroupId"]
            found.append(message)
    return found


def queue_with(sqsw: Sqsw, *sent: dict[str, Any]) -> str:
    """Create a queue that holds these messages."""
    client = sqsw.env.sqs_client
    name = f"q{next(_numbers)}"
    url = client.create_queue(QueueName=name)["QueueUrl"]
    for message in sent:
        message_id = client.send_message(QueueUrl=url, **message)["MessageId"]
        FIRST_IDS.add(f'{{"id":"{message_id}"}}')
    return name


def order(message: dict[str, Any]) -> str:
    return json.dumps(message, sort_keys=True, default=repr)


@given(sent=st.lists(messages(), min_size=1, max_size=8), data=st.data())
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,  # the gate must be able to repeat a failure
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_messages_go_through_a_pipe_unchanged(
    sqsw: Sqsw, sent: list[dict[str, Any]], data: st.DataObject
) -> None:
    first, second = queue_with(sqsw, *sent), queue_with(sqsw)
    if data.draw(st.booleans()):
        printed = sqsw(f"inspect {first} --peek 100 --json")
    else:
        printed = sqsw("purge", first, "--older-than", "0s", "--yes", "--json")
    assert printed.code == 0, printed.err
    lines = [line for line, one in zip(printed.out.splitlines(), printed.objects, strict=True)
             if one["type"] == "message"]  # fmt: skip
    text = "\n".join(lines)
    if data.draw(st.booleans()):  # the output of a dry run can be sent too
        printed = sqsw("send", second, "--from", "-", "--dry-run", "--json", input=text)
        assert [one["type"] for one in printed.objects] == ["message"] * len(sent)
        text = printed.out
    done = sqsw("send", second, "--from", "-", input=text)
    assert done.code == 0, done.err
    assert sorted(received(sqsw, second), key=order) == sorted(sent, key=order)


JOB: dict[str, Any] = {
    "MessageBody": '{"a": 1.10, "n": 12345678901234567890, "t": true}',
    "MessageAttributes": {
        "JobName": {"DataType": "String", "StringValue": "note"},
        "ContentType": {"DataType": "String", "StringValue": "json"},
        "JobContext": {"DataType": "String.x", "StringValue": '{ "user": 7}'},
        "Picture": {"DataType": "Binary.png", "BinaryValue": b"\0\xff"},
        "Size": {"DataType": "Number.int", "StringValue": "7"},
    },
}


def resent(sqsw: Sqsw, message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what arrives after keys of the line were changed."""
    first, second = queue_with(sqsw, message), queue_with(sqsw)
    (line,) = sqsw(f"inspect {first} --peek 1 --json").objects
    done = sqsw("send", second, "--from", "-", input=json.dumps({**line, **changes}))
    assert done.code == 0, done.err
    (arrived,) = received(sqsw, second)
    return arrived


def test_changed_arguments_take_precedence_over_the_body(sqsw: Sqsw) -> None:
    for args in ({"a": 2}, {"a": 1.1, "n": 12345678901234567890, "t": 1}, {}):
        arrived = resent(sqsw, JOB, args=args)
        assert json.loads(arrived["MessageBody"]) == args
        kept, given = arrived["MessageAttributes"], JOB["MessageAttributes"]
        assert {name: kept[name] for name in ("Picture", "Size", "JobName")} == {
            name: given[name] for name in ("Picture", "Size", "JobName")
        }
        assert json.loads(kept["JobContext"]["StringValue"]) == {"user": 7}
    arrived = resent(sqsw, JOB, args={"a": 2}, context=None)  # the attribute has it too
    assert json.loads(arrived["MessageAttributes"]["JobContext"]["StringValue"]) == {"user": 7}


def test_numbers_that_jq_rounds_are_not_a_change(sqsw: Sqsw) -> None:
    args = {"a": 1.1, "n": 12345678901234567000, "t": True}
    assert resent(sqsw, JOB, args=args) == JOB


def test_a_changed_context_or_job_name_does_not_change_the_body(sqsw: Sqsw) -> None:
    for context in ({"user": 8}, {}):
        arrived = resent(sqsw, JOB, context=context)
        assert arrived["MessageBody"] == JOB["MessageBody"]
        text = arrived["MessageAttributes"]["JobContext"]["StringValue"]
        assert json.loads(text) == context
    arrived = resent(sqsw, JOB, job="other")
    assert arrived["MessageBody"] == JOB["MessageBody"]
    assert arrived["MessageAttributes"]["JobName"]["StringValue"] == "other"


def test_attributes_can_be_removed_and_added(sqsw: Sqsw) -> None:
    raw = {"MessageBody": "x", "MessageAttributes": {"a": JOB["MessageAttributes"]["Size"]}}
    assert resent(sqsw, raw, attributes={}) == {"MessageBody": "x"}
    arrived = resent(sqsw, raw, attributes={"b": "AAEC"}, attribute_types={"b": "Binary"})
    picture = {"DataType": "Binary", "BinaryValue": b"\0\1\2"}
    assert arrived["MessageAttributes"] == {"b": picture}
    arrived = resent(sqsw, raw, attributes={"b": "text"}, attribute_types=None)
    assert arrived["MessageAttributes"] == {"b": {"DataType": "String", "StringValue": "text"}}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"body": "x", "attributes": {"a": 5}}, "'a' in 'attributes' is a number"),
        ({"body": "x", "attributes": {"a": None}}, "'a' in 'attributes' is null"),
        ({"body": "x", "attributes": ["a"]}, "'attributes' is a list"),
        ({"body": "x", "attribute_types": {"a": {}}}, "'a' in 'attribute_types' is an object"),
        ({"body": "x", "attributes": {"a": "x"}, "attribute_types": {"a": "Bool"}}, "type 'Bool'"),
        ({"body": "x", "attributes": {"a": "é"}, "attribute_types": {"a": "Binary"}}, "base64"),
        ({"body": "x", "attributes": {"a": "AA"}, "attribute_types": {"a": "Binary.b"}}, "base64"),
        ({"body": "x", "attributes": {str(n): "x" for n in range(11)}}, "11 attributes"),
        ({"job": "j", "args": {}, "attributes": {str(n): "x" for n in range(8)}}, "11 attributes"),
        ({"body": "x", "trace_header": 5}, "'trace_header' is a number"),
        ({"body": "x", "job_id": 5}, "'job_id' is a number"),
        ({"body": "x", "job_id": "two words"}, "'two words' cannot be a job id"),
        ({"body": "x", "args": {"a": 1}}, "it has 'args' but no 'job'"),
        ({"body": "x", "context": {"a": 1}}, "it has 'context' but no 'job'"),
        (
            {"job": "j", "args": {"a": 1}, "body": "x", "content_type": "pickle",
             "context": None, "attributes": {"JobContext": "gASV"}},
            "'context' is unreadable",
        ),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_sent_is_refused_before_anything_is_sent(
    sqsw: Sqsw, line: dict[str, Any], why: str
) -> None:
    queue = queue_with(sqsw)
    good = json.dumps({"body": "good"})
    done = sqsw("send", queue, "--from", "-", input=f"{good}\n{json.dumps(line)}\n")
    assert done.code == 2
    assert why in done.err
    assert sqsw.visible(queue) == 0


def test_messages_that_could_not_be_moved_are_printed_unchanged(sqsw: Sqsw) -> None:
    first, second = queue_with(sqsw, JOB), queue_with(sqsw)
    done = sqsw(f"redrive {first} --job note --json")  # nothing says where to
    (failed,) = (one for one in done.objects if one["type"] == "failed")
    assert sqsw("send", second, "--from", "-", input=json.dumps(failed["item"])).code == 0
    assert received(sqsw, second) == [JOB]


def test_lines_that_could_not_be_sent_are_kept_unchanged(sqsw: Sqsw) -> None:
    first, second = queue_with(sqsw, JOB), queue_with(sqsw)
    (line,) = sqsw(f"inspect {first} --peek 1 --json").out.splitlines()
    bad = line.replace('"attribute_types": {', '"delay": 5000, "attribute_types": {')
    words = ("send", second, "--from", "-", "--keep-going", "--failed", "failed", "--json")
    done = sqsw(*words, input=bad)
    assert done.code == 1
    (kept,) = (sqsw.home / "failed").read_text().splitlines()
    assert kept == bad
    (failed,) = (one for one in done.objects if one["type"] == "failed")
    assert json.loads(failed["item"])["attribute_types"] == json.loads(line)["attribute_types"]
    item = json.loads(kept)
    del item["delay"]
    assert sqsw("send", second, "--from", "-", input=json.dumps(item)).code == 0
    assert received(sqsw, second) == [JOB]


def test_a_selection_is_moved_with_all_attributes(sqsw: Sqsw) -> None:
    full = {f"a{n}": {"DataType": "Number.int", "StringValue": str(n)} for n in range(9)}
    name = {"JobName": JOB["MessageAttributes"]["JobName"]}
    job = {"MessageBody": "x", "MessageAttributes": {**full, **name}}
    first, second = queue_with(sqsw, job, JOB), queue_with(sqsw)
    done = sqsw(f"redrive {first} --job note --to {second}")
    assert done.code == 0, done.err
    assert sorted(received(sqsw, second), key=order) == sorted([job, JOB], key=order)


def with_job_id(text: str) -> dict[str, Any]:
    own = {"DataType": "String", "StringValue": text}
    return {**JOB, "MessageAttributes": {**JOB["MessageAttributes"], "Sqsw": own}}


@pytest.mark.parametrize("text", [CARRIED, '{"id":"order-7"}', '{ "id": "order-7" }'])
def test_a_job_keeps_its_id_and_everything_that_it_carries(sqsw: Sqsw, text: str) -> None:
    first, second = queue_with(sqsw, with_job_id(text)), queue_with(sqsw)
    printed = sqsw(f"inspect {first} --peek 1 --json")
    assert printed.objects[0]["job_id"] == "order-7"
    (sent,) = sqsw("send", second, "--from", "-", "--json", input=printed.out).objects[:1]
    assert sent["job_id"] == "order-7"
    arrived = all_received(sqsw, second)
    assert arrived == [with_job_id(text)]


def test_a_message_without_a_job_id_keeps_its_message_id_as_one(sqsw: Sqsw) -> None:
    first, second, third = queue_with(sqsw, JOB), queue_with(sqsw), queue_with(sqsw)
    printed = sqsw(f"inspect {first} --peek 1 --json")
    (line,) = printed.objects
    assert line["job_id"] == line["id"]
    for source, target in ((first, second), (second, third)):
        text = sqsw(f"inspect {source} --peek 1 --json").out
        assert sqsw("send", target, "--from", "-", input=text).code == 0
    assert all_received(sqsw, third) == [
        with_job_id(json.dumps({"id": line["id"]}).replace(" ", ""))
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"job_id": "order-8"},
            CARRIED.replace("order-7", "order-8").replace(', "later": [1.10]', ""),
        ),
        ({"attributes": {}, "job_id": "order-8"}, '{"id":"order-8"}'),
        ({"attributes": {}, "job_id": None}, None),
    ],
)
def test_a_line_can_set_another_job_id_or_none(
    sqsw: Sqsw, changes: dict[str, Any], expected: str | None
) -> None:
    first, second = queue_with(sqsw, with_job_id(CARRIED)), queue_with(sqsw)
    (line,) = sqsw(f"inspect {first} --peek 1 --json").objects
    done = sqsw("send", second, "--from", "-", input=json.dumps({**line, **changes}))
    assert done.code == 0, done.err
    (arrived,) = all_received(sqsw, second)
    text = arrived["MessageAttributes"]["Sqsw"]["StringValue"]
    assert text == expected if expected else is_new(json.loads(text)["id"])


def test_a_message_with_ten_attributes_is_unchanged(sqsw: Sqsw) -> None:
    full = {f"a{n}": {"DataType": "Number.int", "StringValue": str(n)} for n in range(10)}
    message = {"MessageBody": "x", "MessageAttributes": full}
    first, second = queue_with(sqsw, message), queue_with(sqsw)
    text = sqsw(f"inspect {first} --peek 1 --json").out
    (sent,) = sqsw("send", second, "--from", "-", "--json", input=text).objects[:1]
    assert sent["job_id"] == sent["id"]
    assert all_received(sqsw, second) == [message]


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
def test_a_shell_pipe_carries_a_message(sqsw: Sqsw) -> None:
    first, second = queue_with(sqsw, JOB), queue_with(sqsw)
    printing = subprocess.list2cmdline(sqsw.command(f"inspect {first} --peek 10 --json"))
    sending = subprocess.list2cmdline(sqsw.command(f"send {second} --from -"))
    done = subprocess.run(["sh", "-c", f"{printing} | {sending}"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert received(sqsw, second) == [JOB]
