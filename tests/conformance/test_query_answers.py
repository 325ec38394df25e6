"""Responses of the older query protocol."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.by_hand import NAMESPACE, Http, is_uuid, path_of
from tests.conformance.calls import arn_of, send

MakeQueue = Callable[..., str]

pytestmark = pytest.mark.over_http


@pytest.mark.known_difference(moto="uses another format for request IDs")
def test_a_success_has_an_envelope_with_a_request_id(http: Http, queue_name: str) -> None:
    answer = http.query("CreateQueue", {"QueueName": queue_name})
    assert answer.headers["content-type"].startswith("text/xml")
    assert f'<CreateQueueResponse xmlns="{NAMESPACE}">' in answer.text
    assert [child.tag for child in answer.xml] == ["CreateQueueResult", "ResponseMetadata"]
    assert is_uuid(answer.find("ResponseMetadata/RequestId"))


def test_tags_are_pairs_of_key_and_value(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1"})
    answer = http.query("ListQueueTags", {}, path_of(url))
    (tag,) = answer.xml.iter("Tag")
    assert (tag.findtext("Key"), tag.findtext("Value")) == ("a", "1")


def test_message_attributes_are_pairs_of_name_and_value(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    attributes = {"k": {"DataType": "Number.int", "StringValue": "7"}}
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    answer = http.query("ReceiveMessage", {"MessageAttributeName.1": "All"}, path_of(url))
    (item,) = answer.xml.iter("MessageAttribute")
    assert item.findtext("Name") == "k"
    assert item.findtext("Value/StringValue") == "7"
    assert item.findtext("Value/DataType") == "Number.int"


def test_an_empty_receive_is_an_empty_element(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query("ReceiveMessage", {}, path_of(make_queue()))
    assert "<ReceiveMessageResult/>" in answer.text


def test_a_carriage_return_is_preserved(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a\r\nb")
    answer = http.query("ReceiveMessage", {}, path_of(url))
    assert answer.find("ReceiveMessageResult/Message/Body") == "a\r\nb"


@pytest.mark.known_difference(moto="omits the detail", elasticmq="uses another format")
def test_an_error_has_type_code_message_and_detail(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query("ReceiveMessage", {"MaxNumberOfMessages": "11"}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.xml.tag == "ErrorResponse"
    assert [child.tag for child in answer.xml] == ["Error", "RequestId"]
    assert answer.find("Error/Type") == "Sender"
    assert answer.find("Error/Code") == "InvalidParameterValue"
    assert "MaxNumberOfMessages" in (answer.find("Error/Message") or "")
    assert answer.xml.find("Error/Detail") is not None


@pytest.mark.known_difference(elasticmq="uses one text for both protocols")
def test_a_missing_queue_has_a_different_text_than_in_json(http: Http, queue_name: str) -> None:
    answer = http.query("GetQueueUrl", {"QueueName": queue_name})
    assert answer.find("Error/Code") == "AWS.SimpleQueueService.NonExistentQueue"
    text = "The specified queue does not exist for this wsdl version."
    assert answer.find("Error/Message") == text


@pytest.mark.known_difference(moto="uses a different status", elasticmq="uses a different status")
def test_some_errors_have_their_own_status(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    missing = {"SourceArn": arn_of(client, url) + "-no"}
    answer = http.query("ListMessageMoveTasks", missing)
    assert answer.status == 404
    assert answer.find("Error/Code") == "ResourceNotFoundException"
    client.purge_queue(QueueUrl=url)
    answer = http.query("PurgeQueue", {}, path_of(url))
    assert answer.status == 403
    assert answer.find("Error/Code") == "AWS.SimpleQueueService.PurgeQueueInProgress"


@pytest.mark.known_difference(
    moto="returns a different response", elasticmq="returns a different response"
)
def test_a_missing_action_is_refused(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query(None, {}, path_of(make_queue()))
    assert answer.status == 404
    assert answer.text.endswith("<UnknownOperationException/>")


@pytest.mark.known_difference(
    moto="accepts it, or fails on it", elasticmq="returns different responses"
)
@pytest.mark.parametrize("action", ["Nonsense", "CreateQueue", "ListQueues"])
def test_an_action_that_is_not_valid_on_a_queue_url_is_refused(
    http: Http, make_queue: MakeQueue, action: str
) -> None:
    answer = http.query(action, {"QueueName": "x"}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.find("Error/Code") == "InvalidAction"
    text = f"The action {action} is not valid for this endpoint."
    assert answer.find("Error/Message") == text


@pytest.mark.known_difference(elasticmq="refuses it on this path")
def test_get_queue_url_works_on_the_url_of_another_queue(http: Http, make_queue: MakeQueue) -> None:
    url, other = make_queue(), make_queue()
    params = {"QueueName": other.rpartition("/")[2]}
    answer = http.query("GetQueueUrl", params, path_of(url))
    assert answer.find("GetQueueUrlResult/QueueUrl") == other


@pytest.mark.known_difference(moto="fails on it")
def test_a_missing_parameter_is_named(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query("SendMessage", {}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.find("Error/Code") == "MissingParameter"
    text = "The request must contain the parameter MessageBody."
    assert answer.find("Error/Message") == text
