"""The older query protocol: forms in, XML out, and JSON for who asks for it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.by_hand import NAMESPACE, Http, base64_of, is_uuid, path_of
from tests.conformance.calls import arn_of, attribute, send, take_one

MakeQueue = Callable[..., str]

pytestmark = pytest.mark.over_http


def in_value(name: str, text: str) -> dict[str, str]:
    """The parameters of one message attribute under ``name``."""
    return {
        f"{name}.Name": "k",
        f"{name}.Value.DataType": "String",
        f"{name}.Value.StringValue": text,
    }


# -- requests --------------------------------------------------------------------------------


@pytest.mark.known_difference(moto={"fails on it": ["GET"]})
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_form_or_a_query_string(http: Http, queue_name: str, method: str) -> None:
    answer = http.query("CreateQueue", {"QueueName": queue_name}, method=method)
    assert answer.status == 200
    url = answer.find("CreateQueueResult/QueueUrl")
    assert url
    assert url.endswith(f"/{queue_name}")


def test_the_url_of_a_queue_stands_for_its_parameter(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    http.query("SendMessage", {"MessageBody": "x"}, path_of(url))
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(elasticmq="takes the URL")
def test_the_parameter_beats_the_url(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url, other = make_queue(), make_queue()
    http.query("SendMessage", {"MessageBody": "x", "QueueUrl": other}, path_of(url))
    assert take_one(client, other)["Body"] == "x"


def test_attribute_names_are_numbered(http: Http, make_queue: MakeQueue) -> None:
    names = {"AttributeName.1": "VisibilityTimeout", "AttributeName.2": "DelaySeconds"}
    answer = http.query("GetQueueAttributes", names, path_of(make_queue()))
    shown = {item.findtext("Name"): item.findtext("Value") for item in answer.xml.iter("Attribute")}
    assert shown == {"VisibilityTimeout": "30", "DelaySeconds": "0"}


def test_attributes_are_numbered_pairs(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    pairs = {
        "Attribute.1.Name": "VisibilityTimeout",
        "Attribute.1.Value": "11",
        "Attribute.2.Name": "DelaySeconds",
        "Attribute.2.Value": "2",
    }
    http.query("SetQueueAttributes", pairs, path_of(url))
    assert attribute(client, url, "VisibilityTimeout") == "11"
    assert attribute(client, url, "DelaySeconds") == "2"


def test_tags_are_numbered_pairs(client: Any, http: Http, queue_name: str) -> None:
    tags = {"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.Key": "b", "Tag.2.Value": "2"}
    answer = http.query("CreateQueue", {"QueueName": queue_name, **tags})
    url = answer.find("CreateQueueResult/QueueUrl")
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "1", "b": "2"}


def test_tag_keys_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1", "b": "2", "c": "3"})
    http.query("UntagQueue", {"TagKey.1": "a", "TagKey.2": "c"}, path_of(url))
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


def test_message_attributes_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    blob = {
        "MessageAttribute.2.Name": "b",
        "MessageAttribute.2.Value.DataType": "Binary",
        "MessageAttribute.2.Value.BinaryValue": base64_of(b"\xfb\xff"),
    }
    params = {"MessageBody": "x", **in_value("MessageAttribute.1", "text"), **blob}
    http.query("SendMessage", params, path_of(url))
    assert take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"] == {
        "k": {"DataType": "String", "StringValue": "text"},
        "b": {"DataType": "Binary", "BinaryValue": b"\xfb\xff"},
    }


def test_system_attributes_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    trace = in_value("MessageSystemAttribute.1", "Root=1")
    trace["MessageSystemAttribute.1.Name"] = "AWSTraceHeader"
    http.query("SendMessage", {"MessageBody": "x", **trace}, path_of(url))
    message = take_one(client, url, AttributeNames=["AWSTraceHeader"])
    assert message["Attributes"] == {"AWSTraceHeader": "Root=1"}


def test_entries_of_a_batch_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    entry = "SendMessageBatchRequestEntry"
    params = {
        f"{entry}.1.Id": "a",
        f"{entry}.1.MessageBody": "x",
        **in_value(f"{entry}.1.MessageAttribute.1", "text"),
    }
    answer = http.query("SendMessageBatch", params, path_of(url))
    entries = list(answer.xml.iter("SendMessageBatchResultEntry"))
    assert [item.findtext("Id") for item in entries] == ["a"]
    attributes = take_one(client, url, MessageAttributeNames=["All"])["MessageAttributes"]
    assert attributes["k"]["StringValue"] == "text"


@pytest.mark.parametrize("operation", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
def test_entries_of_other_batches(
    client: Any, http: Http, make_queue: MakeQueue, operation: str
) -> None:
    url = make_queue()
    send(client, url, "x")
    entry = f"{operation}RequestEntry"
    params = {
        f"{entry}.1.Id": "a",
        f"{entry}.1.ReceiptHandle": take_one(client, url)["ReceiptHandle"],
        f"{entry}.2.Id": "b",
        f"{entry}.2.ReceiptHandle": "nonsense",
    }
    if operation == "ChangeMessageVisibilityBatch":
        params |= {f"{entry}.{n}.VisibilityTimeout": "0" for n in (1, 2)}
    answer = http.query(operation, params, path_of(url))
    done = [item.findtext("Id") for item in answer.xml.iter(f"{operation}ResultEntry")]
    failed = [item.findtext("Id") for item in answer.xml.iter("BatchResultErrorEntry")]
    assert (done, failed) == (["a"], ["b"])


@pytest.mark.known_difference(elasticmq="keeps no permissions")
def test_accounts_and_actions_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    params = {"Label": "one", "AWSAccountId.1": "111111111111", "ActionName.1": "SendMessage"}
    assert http.query("AddPermission", params, path_of(url)).status == 200
    policy = attribute(client, url, "Policy") or ""
    assert "arn:aws:iam::111111111111:root" in policy
    assert "SQS:SendMessage" in policy


@pytest.mark.known_difference(
    moto="does not know the newer name", elasticmq="does not know the newer name"
)
def test_names_to_receive_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    attributes = {name: {"DataType": "String", "StringValue": name} for name in ("a", "b")}
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    params = {"MessageAttributeName.1": "a", "MessageSystemAttributeName.1": "SentTimestamp"}
    (message,) = http.query("ReceiveMessage", params, path_of(url)).xml.iter("Message")
    assert [item.findtext("Name") for item in message.iter("MessageAttribute")] == ["a"]
    assert [item.findtext("Name") for item in message.iter("Attribute")] == ["SentTimestamp"]


# -- answers ---------------------------------------------------------------------------------


@pytest.mark.known_difference(moto="has request ids of another form")
def test_the_envelope_of_a_success(http: Http, queue_name: str) -> None:
    answer = http.query("CreateQueue", {"QueueName": queue_name})
    assert answer.headers["content-type"].startswith("text/xml")
    assert f'<CreateQueueResponse xmlns="{NAMESPACE}">' in answer.text
    assert [child.tag for child in answer.xml] == ["CreateQueueResult", "ResponseMetadata"]
    assert is_uuid(answer.find("ResponseMetadata/RequestId"))


def test_tags_are_keys_and_values(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    client.tag_queue(QueueUrl=url, Tags={"a": "1"})
    answer = http.query("ListQueueTags", {}, path_of(url))
    (tag,) = answer.xml.iter("Tag")
    assert (tag.findtext("Key"), tag.findtext("Value")) == ("a", "1")


def test_message_attributes_are_names_and_values(
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


def test_a_carriage_return_survives(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    send(client, url, "a\r\nb")
    answer = http.query("ReceiveMessage", {}, path_of(url))
    assert answer.find("ReceiveMessageResult/Message/Body") == "a\r\nb"


@pytest.mark.known_difference(moto="has no detail", elasticmq="has another form")
def test_the_form_of_an_error(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query("ReceiveMessage", {"MaxNumberOfMessages": "11"}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.xml.tag == "ErrorResponse"
    assert [child.tag for child in answer.xml] == ["Error", "RequestId"]
    assert answer.find("Error/Type") == "Sender"
    assert answer.find("Error/Code") == "InvalidParameterValue"
    assert "MaxNumberOfMessages" in (answer.find("Error/Message") or "")
    assert answer.xml.find("Error/Detail") is not None


@pytest.mark.known_difference(elasticmq="has one text for both protocols")
def test_a_missing_queue_has_a_text_of_its_own(http: Http, queue_name: str) -> None:
    answer = http.query("GetQueueUrl", {"QueueName": queue_name})
    assert answer.find("Error/Code") == "AWS.SimpleQueueService.NonExistentQueue"
    text = "The specified queue does not exist for this wsdl version."
    assert answer.find("Error/Message") == text


@pytest.mark.known_difference(moto="has a status of its own", elasticmq="has a status of its own")
def test_a_status_of_its_own_stays(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    missing = {"SourceArn": arn_of(client, url) + "-no"}
    answer = http.query("ListMessageMoveTasks", missing)
    assert answer.status == 404
    assert answer.find("Error/Code") == "ResourceNotFoundException"
    client.purge_queue(QueueUrl=url)
    answer = http.query("PurgeQueue", {}, path_of(url))
    assert answer.status == 403
    assert answer.find("Error/Code") == "AWS.SimpleQueueService.PurgeQueueInProgress"


@pytest.mark.known_difference(moto="answers XML alone", elasticmq="answers XML alone")
def test_json_for_who_accepts_it(http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    names = {"AttributeName.1": "DelaySeconds"}
    answer = http.query("GetQueueAttributes", names, path_of(url), accept="application/json")
    assert answer.json["GetQueueAttributesResponse"]["GetQueueAttributesResult"] == {
        "Attributes": [{"Name": "DelaySeconds", "Value": "0"}]
    }


@pytest.mark.known_difference(moto="answers XML alone", elasticmq="answers XML alone")
def test_messages_are_written_small_in_that_json(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    send(client, url, "x")
    answer = http.query("ReceiveMessage", {}, path_of(url), accept="application/json")
    (message,) = answer.json["ReceiveMessageResponse"]["ReceiveMessageResult"]["messages"]
    assert message["Body"] == "x"


@pytest.mark.known_difference(moto="answers XML alone", elasticmq="answers XML alone")
def test_errors_in_that_json(http: Http, queue_name: str) -> None:
    params = {"QueueName": queue_name}
    answer = http.query("GetQueueUrl", params, accept="application/json")
    assert answer.json["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert "does not exist" in answer.json["Error"]["Message"]


@pytest.mark.known_difference(
    moto="answers otherwise without an action", elasticmq="answers otherwise without an action"
)
@pytest.mark.parametrize("accept", [None, "application/json"], ids=["xml", "json"])
def test_no_action(http: Http, make_queue: MakeQueue, accept: str | None) -> None:
    answer = http.query(None, {}, path_of(make_queue()), accept=accept)
    assert answer.status == 404
    assert answer.text.endswith("<UnknownOperationException/>")


@pytest.mark.known_difference(moto="takes it, or fails on it", elasticmq="has answers of its own")
@pytest.mark.parametrize("action", ["Nonsense", "CreateQueue", "ListQueues"])
def test_an_action_that_is_not_for_the_url_of_a_queue(
    http: Http, make_queue: MakeQueue, action: str
) -> None:
    answer = http.query(action, {"QueueName": "x"}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.find("Error/Code") == "InvalidAction"
    text = f"The action {action} is not valid for this endpoint."
    assert answer.find("Error/Message") == text


@pytest.mark.known_difference(elasticmq="refuses it there")
def test_other_queues_are_found_from_the_url_of_a_queue(http: Http, make_queue: MakeQueue) -> None:
    url, other = make_queue(), make_queue()
    params = {"QueueName": other.rpartition("/")[2]}
    answer = http.query("GetQueueUrl", params, path_of(url))
    assert answer.find("GetQueueUrlResult/QueueUrl") == other


@pytest.mark.known_difference(moto="fails on it")
def test_a_missing_parameter(http: Http, make_queue: MakeQueue) -> None:
    answer = http.query("SendMessage", {}, path_of(make_queue()))
    assert answer.status == 400
    assert answer.find("Error/Code") == "MissingParameter"
    text = "The request must contain the parameter MessageBody."
    assert answer.find("Error/Message") == text
