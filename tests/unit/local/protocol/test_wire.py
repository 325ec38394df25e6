"""Requests and answers in both protocols."""

import json
import subprocess
import sys
from typing import Any

from sqsw.local.protocol import wire
from tests.unit.local.manual import Calls


def ask(
    sqs: Calls, operation: str, params: object, headers: dict[str, str] | None = None
) -> tuple[wire.HttpAnswer, Any]:
    all_headers = {"x-amz-target": f"AmazonSQS.{operation}", "host": "h:1"} | (headers or {})
    call = wire.Call("POST", all_headers, json.dumps(params).encode())
    answer = wire.answer(sqs.engine, call)
    return answer, json.loads(answer.body)


def region_of(headers: dict[str, str], query: str = "") -> str:
    return wire.region_of(wire.Call("POST", headers, b"", query=query))


def test_a_success_has_a_status_and_a_body(sqs: Calls) -> None:
    answer, body = ask(sqs, "CreateQueue", {"QueueName": "q"})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.0"
    assert len(answer.headers["x-amzn-RequestId"]) == 36
    assert body == {"QueueUrl": "http://h:1/000000000000/q"}


def test_an_error_has_a_status_and_a_code(sqs: Calls) -> None:
    answer, body = ask(sqs, "GetQueueUrl", {"QueueName": "q"})
    assert answer.status == 400
    assert answer.headers["x-amzn-query-error"] == (
        "AWS.SimpleQueueService.NonExistentQueue;Sender"
    )
    assert body["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"


def test_some_errors_have_their_own_status(sqs: Calls) -> None:
    url = sqs.make()
    sqs("PurgeQueue", QueueUrl=url)
    answer, _ = ask(sqs, "PurgeQueue", {"QueueUrl": url})
    assert answer.status == 403


def test_an_unknown_operation_is_refused(sqs: Calls) -> None:
    answer, body = ask(sqs, "Nonsense", {})
    assert answer.status == 400
    assert body["__type"] == "com.amazonaws.sqs#UnknownOperationException"


def test_invalid_json_is_refused(sqs: Calls) -> None:
    call = wire.Call("POST", {"x-amz-target": "AmazonSQS.ListQueues"}, b"{")
    answer = wire.answer(sqs.engine, call)
    assert answer.status == 400
    assert b"SerializationException" in answer.body


def test_the_region_comes_from_the_signature(sqs: Calls) -> None:
    scope = "AKID/20260101/eu-west-1/sqs/aws4_request"
    signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host"}
    assert region_of(signed) == "eu-west-1"
    assert region_of({}) == "local"
    assert region_of({wire.REGION_HEADER: "us-east-1"}) == "us-east-1"
    ask(sqs, "CreateQueue", {"QueueName": "q"}, signed)
    assert ask(sqs, "ListQueues", {})[1] == {}
    assert len(ask(sqs, "ListQueues", {}, signed)[1]["QueueUrls"]) == 1


def test_the_trace_header_becomes_an_attribute(sqs: Calls) -> None:
    url = sqs.make()
    trace = {"x-amzn-trace-id": "Root=1"}
    ask(sqs, "SendMessage", {"QueueUrl": url, "MessageBody": "x"}, trace)
    entries = [{"Id": "1", "MessageBody": "x"}, "no entry"]
    ask(sqs, "SendMessageBatch", {"QueueUrl": url, "Entries": entries[:1]}, trace)
    answer, _ = ask(sqs, "SendMessageBatch", {"QueueUrl": url, "Entries": entries}, trace)
    assert answer.status == 400
    for message in sqs.receive(url, AttributeNames=["AWSTraceHeader"]):
        assert message["Attributes"] == {"AWSTraceHeader": "Root=1"}


def test_the_protocols_do_not_import_boto() -> None:
    code = (
        "import sys, sqsw.local.protocol.wire;"
        "sys.exit(any(name.startswith('boto') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
