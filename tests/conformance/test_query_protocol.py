"""Requests of the older query protocol: forms and query strings."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.by_hand import Answer, Http, base64_of, path_of
from tests.conformance.calls import attribute, send, take_one

MakeQueue = Callable[..., str]

pytestmark = pytest.mark.over_http


def in_value(name: str, text: str) -> dict[str, str]:
    """Return the parameters of one message attribute under ``name``."""
    return {
        f"{name}.Name": "k",
        f"{name}.Value.DataType": "String",
        f"{name}.Value.StringValue": text,
    }


@pytest.mark.known_difference(moto={"fails on it": ["GET"]})
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_parameters_are_a_form_or_a_query_string(http: Http, queue_name: str, method: str) -> None:
    answer = http.query("CreateQueue", {"QueueName": queue_name}, method=method)
    assert answer.status == 200
    url = answer.find("CreateQueueResult/QueueUrl")
    assert url
    assert url.endswith(f"/{queue_name}")


def test_the_path_can_replace_the_queue_url_parameter(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    http.query("SendMessage", {"MessageBody": "x"}, path_of(url))
    assert take_one(client, url)["Body"] == "x"


@pytest.mark.known_difference(elasticmq="uses the path")
def test_the_queue_url_parameter_overrides_the_path(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
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
def test_entries_of_delete_and_visibility_batches_are_numbered(
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


@pytest.mark.known_difference(elasticmq="does not store permissions")
def test_accounts_and_actions_are_numbered(client: Any, http: Http, make_queue: MakeQueue) -> None:
    url = make_queue()
    params = {"Label": "one", "AWSAccountId.1": "111111111111", "ActionName.1": "SendMessage"}
    assert http.query("AddPermission", params, path_of(url)).status == 200
    policy = attribute(client, url, "Policy") or ""
    assert "arn:aws:iam::111111111111:root" in policy
    assert "SQS:SendMessage" in policy


@pytest.mark.known_difference(
    moto="does not support the newer name", elasticmq="does not support the newer name"
)
def test_attribute_names_of_a_receive_are_numbered(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    attributes = {name: {"DataType": "String", "StringValue": name} for name in ("a", "b")}
    client.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    params = {"MessageAttributeName.1": "a", "MessageSystemAttributeName.1": "SentTimestamp"}
    (message,) = http.query("ReceiveMessage", params, path_of(url)).xml.iter("Message")
    assert [item.findtext("Name") for item in message.iter("MessageAttribute")] == ["a"]
    assert [item.findtext("Name") for item in message.iter("Attribute")] == ["SentTimestamp"]


#: SDKs from before the end of 2023 send an empty list or map as its name without a value
EMPTY = [
    ("ReceiveMessage", "AttributeNames"),
    ("ReceiveMessage", "AttributeName"),
    ("ReceiveMessage", "MessageAttributeNames"),
    ("ReceiveMessage", "MessageAttributeName"),
    ("ReceiveMessage", "MessageSystemAttributeNames"),
    ("GetQueueAttributes", "AttributeNames"),
    ("GetQueueAttributes", "AttributeName"),
    ("SendMessage", "MessageAttributes"),
    ("SendMessage", "MessageAttribute"),
    ("SendMessage", "MessageSystemAttribute"),
    ("CreateQueue", "Attributes"),
    ("CreateQueue", "Tag"),
]
EMPTY_BATCH = "AWS.SimpleQueueService.EmptyBatchRequest"
#: the same, where an empty list or map is an error
EMPTY_AND_REFUSED = [
    ("SendMessageBatch", "Entries", EMPTY_BATCH),
    ("SendMessageBatch", "SendMessageBatchRequestEntry", EMPTY_BATCH),
    ("DeleteMessageBatch", "Entries", EMPTY_BATCH),
    ("ChangeMessageVisibilityBatch", "Entries", EMPTY_BATCH),
    ("SetQueueAttributes", "Attributes", "MissingParameter"),
    ("SetQueueAttributes", "Attribute", "MissingParameter"),
    ("TagQueue", "Tags", "MissingParameter"),
    ("TagQueue", "Tag", "MissingParameter"),
    ("UntagQueue", "TagKeys", "InvalidParameterValue"),
    ("UntagQueue", "TagKey", "InvalidParameterValue"),
    ("AddPermission", "Actions", "MissingParameter"),
    ("AddPermission", "ActionName", "MissingParameter"),
    ("AddPermission", "AWSAccountIds", "InvalidParameterValue"),
]
#: other required parameters of these operations
NEEDED = {
    "AddPermission": {"Label": "x", "AWSAccountId.1": "111111111111", "ActionName.1": "*"},
    "CreateQueue": {"QueueName": "made-with-nothing"},
    "SendMessage": {"MessageBody": "x"},
}


def ask_with_empty(http: Http, make_queue: MakeQueue, operation: str, name: str) -> Answer:
    needed = {
        key: value
        for key, value in NEEDED.get(operation, {}).items()
        if not (name in ("Actions", "ActionName") and key == "ActionName.1")
        and not (name == "AWSAccountIds" and key == "AWSAccountId.1")
    }
    path = "/" if operation == "CreateQueue" else path_of(make_queue())
    return http.query(operation, {name: "", **needed}, path)


@pytest.mark.parametrize(("operation", "name"), EMPTY)
def test_a_list_or_map_without_a_value_is_empty(
    http: Http, make_queue: MakeQueue, operation: str, name: str
) -> None:
    answer = ask_with_empty(http, make_queue, operation, name)
    assert answer.status == 200
    assert f"<{operation}Response" in answer.text


@pytest.mark.known_difference(
    moto={
        "accepts it": [
            f"ChangeMessageVisibilityBatch-Entries-{EMPTY_BATCH}",
            "SetQueueAttributes-Attributes-MissingParameter",
            "SetQueueAttributes-Attribute-MissingParameter",
        ]
    },
    elasticmq="accepts it, or uses a different error code",
)
@pytest.mark.parametrize(("operation", "name", "code"), EMPTY_AND_REFUSED)
def test_a_required_list_or_map_without_a_value_is_refused(
    http: Http, make_queue: MakeQueue, operation: str, name: str, code: str
) -> None:
    answer = ask_with_empty(http, make_queue, operation, name)
    assert answer.status == 400
    assert answer.find("Error/Code") == code


@pytest.mark.known_difference(moto="does not support this path")
def test_elasticmqs_short_queue_urls_are_accepted(
    client: Any, http: Http, make_queue: MakeQueue
) -> None:
    url = make_queue()
    name = url.rpartition("/")[2]
    assert http.query("SendMessage", {"MessageBody": "x"}, f"/queue/{name}").status == 200
    assert take_one(client, f"http://localhost:9324/queue/{name}")["Body"] == "x"
