"""The AWS JSON protocol."""

import base64
import json

import pytest

from sqsw.local.errors import QueueDoesNotExist, SerializationException
from sqsw.local.protocol import json_protocol


def test_blobs_are_decoded_in_batches_too() -> None:
    value = {"DataType": "Binary", "BinaryValue": base64.b64encode(b"\x00").decode()}
    message = {"MessageAttributes": {"k": value}}
    params = json_protocol.read_params(json.dumps({**message, "Entries": [message]}).encode())
    assert params["MessageAttributes"]["k"]["BinaryValue"] == b"\x00"
    assert params["Entries"][0]["MessageAttributes"]["k"]["BinaryValue"] == b"\x00"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b'{"n": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"QueueName":' + b"[" * 950 + b"]" * 950 + b"}",
        b'{"MessageAttributes": {"k": {"BinaryValue": "no base64!"}}}',
    ],
)
def test_invalid_requests_are_refused(body: bytes) -> None:
    with pytest.raises(SerializationException):
        json_protocol.read_params(body)


def test_an_empty_body_has_no_members() -> None:
    assert json_protocol.read_params(b"") == {}


def test_operations_check_members_of_wrong_types() -> None:
    params = {"Entries": "x", "MessageAttributes": [1]}
    assert json_protocol.read_params(json.dumps(params).encode()) == params


def test_bytes_are_encoded_as_base64() -> None:
    assert json.loads(json_protocol.write_answer({"v": b"\x00"})) == {"v": "AA=="}


def test_an_error_has_its_shape_and_its_query_code() -> None:
    error = QueueDoesNotExist()
    assert json.loads(json_protocol.write_error(error)) == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    assert json_protocol.error_headers(error) == {
        "x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender",
        "x-amzn-errortype": "com.amazonaws.sqs#QueueDoesNotExist",
    }
