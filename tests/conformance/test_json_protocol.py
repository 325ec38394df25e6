"""The JSON protocol, which SDKs have used since the end of 2023."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.by_hand import SIGNED, Http, base64_of, is_uuid, path_of

MakeQueue = Callable[..., str]

pytestmark = pytest.mark.over_http


def test_a_request_has_a_target_header_and_an_object(http: Http, queue_name: str) -> None:
    answer = http.json("CreateQueue", {"QueueName": queue_name})
    assert answer.status == 200
    assert answer.json["QueueUrl"].endswith(f"/{queue_name}")


@pytest.mark.known_difference(elasticmq="always uses the same host")
def test_a_queue_url_starts_with_the_host_of_the_request(http: Http, queue_name: str) -> None:
    headers = {**SIGNED, "Host": "localhost:1234"}
    answer = http.json("CreateQueue", {"QueueName": queue_name}, headers=headers)
    assert answer.json["QueueUrl"].startswith("http://localhost:1234/")


def test_a_request_can_go_to_the_path_of_a_queue(http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    answer = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"}, path_of(url))
    assert answer.status == 200
    assert is_uuid(answer.json["MessageId"])


@pytest.mark.known_difference(
    moto="uses another format for request IDs", elasticmq="uses another content type"
)
def test_a_success_has_a_content_type_and_a_request_id(http: Http, make_queue: MakeQueue) -> None:
    answer = http.json("ReceiveMessage", {"QueueUrl": make_queue()})
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert is_uuid(answer.headers["x-amzn-requestid"])


def test_an_operation_without_output_returns_an_empty_body(
    http: Http, make_queue: MakeQueue
) -> None:
    answer = http.json("TagQueue", {"QueueUrl": make_queue(), "Tags": {"a": "b"}})
    assert answer.status == 200
    assert answer.text in ("", "{}")


EMPTY: dict[str, dict[str, Any]] = {
    "ReceiveMessage": {},
    "ListQueueTags": {},
    "GetQueueAttributes": {},
    "ListQueues": {"QueueNamePrefix": "nothing-begins-like-this"},
}


@pytest.mark.known_difference(
    moto={"returns an empty map": ["ListQueueTags"]}, elasticmq="returns empty lists and maps"
)
@pytest.mark.parametrize("operation", EMPTY)
def test_members_without_a_value_are_omitted(
    http: Http, make_queue: MakeQueue, operation: str
) -> None:
    where = {} if operation == "ListQueues" else {"QueueUrl": make_queue()}
    answer = http.json(operation, {**where, **EMPTY[operation]})
    assert answer.status == 200
    assert answer.json == {}


@pytest.mark.known_difference(moto="returns an empty Failed")
def test_a_batch_without_failures_omits_the_failed_list(http: Http, make_queue: MakeQueue) -> None:
    entries = [{"Id": "a", "MessageBody": "x"}]
    answer = http.json("SendMessageBatch", {"QueueUrl": make_queue(), "Entries": entries})
    assert answer.json.keys() == {"Successful"}


@pytest.mark.known_difference(
    moto="returns an empty Successful", elasticmq="returns an empty Successful"
)
def test_a_batch_without_successes_omits_the_successful_list(
    http: Http, make_queue: MakeQueue
) -> None:
    entries = [{"Id": "a", "ReceiptHandle": "nonsense"}]
    answer = http.json("DeleteMessageBatch", {"QueueUrl": make_queue(), "Entries": entries})
    assert answer.json.keys() == {"Failed"}


def test_attribute_values_are_strings(http: Http, make_queue: MakeQueue) -> None:
    members = {"QueueUrl": make_queue(VisibilityTimeout="11"), "AttributeNames": ["All"]}
    values = http.json("GetQueueAttributes", members).json["Attributes"]
    assert values["VisibilityTimeout"] == "11"
    assert all(isinstance(value, str) for value in values.values())


def test_blobs_are_base64(http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    blob = {"DataType": "Binary", "BinaryValue": base64_of(b"\x00\xff")}
    members = {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": {"b": blob}}
    http.json("SendMessage", members)
    answer = http.json("ReceiveMessage", {"QueueUrl": url, "MessageAttributeNames": ["All"]})
    assert answer.json["Messages"][0]["MessageAttributes"]["b"] == blob


@pytest.mark.known_difference(moto="does not support move tasks")
def test_the_counts_and_the_start_time_of_a_move_are_numbers(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    dead = make_queue()
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    arn = arn["Attributes"]["QueueArn"]
    make_queue(RedrivePolicy={"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    http.json("StartMessageMoveTask", {"SourceArn": arn})
    (task,) = http.json("ListMessageMoveTasks", {"SourceArn": arn}).json["Results"]
    for name in (
        "ApproximateNumberOfMessagesMoved",
        "ApproximateNumberOfMessagesToMove",
        "StartedTimestamp",
    ):
        assert isinstance(task[name], int)


def test_create_queue_reads_tags_in_lowercase(http: Http, queue_name: str) -> None:
    url = http.json("CreateQueue", {"QueueName": queue_name, "tags": {"a": "b"}}).json["QueueUrl"]
    assert http.json("ListQueueTags", {"QueueUrl": url}).json["Tags"] == {"a": "b"}


def test_queue_urls_of_dead_letter_sources_start_in_lowercase(
    http: Http, make_queue: MakeQueue
) -> None:
    answer = http.json("ListDeadLetterSourceQueues", {"QueueUrl": make_queue()})
    assert answer.json == {"queueUrls": []}


@pytest.mark.known_difference(moto="fails on it", elasticmq="uses a different error name")
def test_an_unknown_operation_is_refused(http: Http) -> None:
    answer = http.json("Nonsense", {})
    assert answer.status == 400
    assert answer.json["__type"].endswith("UnknownOperationException")


@pytest.mark.known_difference(
    moto="accepts it, or fails on it", elasticmq="uses a different error name"
)
@pytest.mark.parametrize("body", ["[]", "{", '"x"'])
def test_a_body_that_is_not_an_object_is_refused(http: Http, body: str) -> None:
    answer = http.json("ListQueues", body)
    assert answer.status == 400
    assert answer.json["__type"].endswith("SerializationException")


def test_a_missing_signature_is_accepted(http: Http) -> None:
    assert http.json("ListQueues", {}, headers={}).status == 200


@pytest.mark.known_difference(moto="repeats the error text", elasticmq="uses different error codes")
def test_an_error_has_its_shape_and_its_query_code(http: Http, queue_name: str) -> None:
    answer = http.json("GetQueueUrl", {"QueueName": queue_name})
    assert answer.status == 400
    assert answer.json == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    code = "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert answer.headers["x-amzn-query-error"] == code


def test_the_header_of_an_error_has_the_full_name(http: Http, queue_name: str) -> None:
    answer = http.json("GetQueueUrl", {"QueueName": queue_name})
    full = "com.amazonaws.sqs#QueueDoesNotExist"
    assert answer.headers.get("x-amzn-errortype", full) == full


@pytest.mark.known_difference(elasticmq="uses different error codes")
def test_botocore_raises_the_error_with_both_codes(client: Any, queue_name: str) -> None:
    with pytest.raises(client.exceptions.QueueDoesNotExist) as caught:
        client.get_queue_url(QueueName=queue_name)
    error: dict[str, Any] = {**caught.value.response["Error"]}
    assert error["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert error["QueryErrorCode"] == "QueueDoesNotExist"
    assert error["Type"] == "Sender"


@pytest.mark.known_difference(
    moto="does not name the error shape", elasticmq="uses different error codes"
)
def test_an_error_without_a_shape_is_a_plain_client_error(
    client: Any, make_queue: MakeQueue
) -> None:
    url = make_queue()
    with pytest.raises(ClientError) as caught:
        client.receive_message(QueueUrl=url, MaxNumberOfMessages=11)
    assert type(caught.value) is ClientError
    error: dict[str, Any] = {**caught.value.response["Error"]}
    assert error["Code"] == "InvalidParameterValue"
    assert error["QueryErrorCode"] == "InvalidParameterValueException"


@pytest.mark.known_difference(moto="omits it")
def test_the_trace_header_of_a_request_becomes_an_attribute(
    http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    http.json(
        "SendMessage",
        {"QueueUrl": url, "MessageBody": "x"},
        headers={**SIGNED, "X-Amzn-Trace-Id": trace},
    )
    answer = http.json("ReceiveMessage", {"QueueUrl": url, "AttributeNames": ["All"]})
    assert answer.json["Messages"][0]["Attributes"]["AWSTraceHeader"] == trace


@pytest.mark.known_difference(moto="fails on it", elasticmq="fails on it")
def test_members_of_a_wrong_type_are_a_client_error(http: Http, make_queue: MakeQueue) -> None:
    members = {"QueueUrl": make_queue(), "MaxNumberOfMessages": "many", "AttributeNames": "All"}
    answer = http.json("ReceiveMessage", members)
    assert answer.status == 400
    assert json.loads(answer.text)["__type"]
