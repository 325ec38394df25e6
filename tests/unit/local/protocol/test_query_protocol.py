"""The older query protocol: recorded requests, and the responses of SQS."""

import base64
import re
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from sqsw.local.errors import InvalidParameterValueException, MissingRequiredParameterException
from sqsw.local.protocol import query_protocol, wire
from tests.unit.local.manual import Calls

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
ORIGIN = "http://h:1"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": "h:1"}


def read(form: str, path: str = "/") -> dict[str, Any]:
    return query_protocol.read_request(path, "", f"Action=X&{form}".encode(), ORIGIN)[1]


class Query:
    """Calls the engine like an old SDK."""

    def __init__(self, sqs: Calls) -> None:
        self.engine = sqs.engine

    def answer(
        self,
        action: str | None,
        path: str = "/",
        method: str = "POST",
        **params: str,
    ) -> wire.HttpAnswer:
        values = {"Action": action, "Version": "2012-11-05"} if action else {}
        form = urlencode({**values, **{name.replace("_", "."): v for name, v in params.items()}})
        query, body = ("", form.encode()) if method == "POST" else (form, b"")
        return wire.answer(self.engine, wire.Call(method, FORM, body, "http", path, query))

    def xml(self, action: str, path: str = "/", **params: str) -> str:
        """Return the text of a response, without its request id."""
        answer = self.answer(action, path, **params)
        assert answer.headers["Content-Type"] == "text/xml"
        ElementTree.fromstring(answer.body)
        text = answer.body.decode()
        assert answer.headers["x-amzn-RequestId"] in text
        return text.replace(answer.headers["x-amzn-RequestId"], "ID")


@pytest.fixture
def query(sqs: Calls) -> Query:
    return Query(sqs)


# -- requests --------------------------------------------------------------------------------


def test_flattened_lists_are_sorted_by_number() -> None:
    form = "&".join(f"AttributeName.{n}=name{n}" for n in (10, 2, 1))
    assert read(form) == {"AttributeNames": ["name1", "name2", "name10"]}
    form = "MessageAttributeName.1=a.*&MessageSystemAttributeName.1=All&TagKey.1=k"
    assert read(form + "&AWSAccountId.1=1&ActionName.1=*") == {
        "MessageAttributeNames": ["a.*"],
        "MessageSystemAttributeNames": ["All"],
        "TagKeys": ["k"],
        "AWSAccountIds": ["1"],
        "Actions": ["*"],
    }


def test_a_single_member_can_omit_its_number() -> None:
    form = "Attribute.Name=VisibilityTimeout&Attribute.Value=35&AttributeName=All"
    assert read(form) == {"Attributes": {"VisibilityTimeout": "35"}, "AttributeNames": ["All"]}


def test_maps_are_numbered_pairs() -> None:
    form = "Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=a&Tag.1.Value=b"
    assert read(form) == {"Attributes": {"DelaySeconds": "5"}, "Tags": {"a": "b"}}
    _, params = query_protocol.read_request(
        "/", "", b"Action=CreateQueue&Tag.1.Key=a&Tag.1.Value=b&QueueName=q", ORIGIN
    )
    assert params == {"tags": {"a": "b"}, "QueueName": "q"}


def test_message_attributes_and_entries_are_read() -> None:
    entry = "SendMessageBatchRequestEntry.1."
    form = urlencode(
        {
            f"{entry}Id": "a",
            f"{entry}MessageBody": "x",
            f"{entry}DelaySeconds": "5",
            f"{entry}MessageAttribute.1.Name": "n",
            f"{entry}MessageAttribute.1.Value.DataType": "Binary",
            f"{entry}MessageAttribute.1.Value.BinaryValue": base64.b64encode(b"\xfb\xff").decode(),
            f"{entry}MessageSystemAttribute.1.Name": "AWSTraceHeader",
            f"{entry}MessageSystemAttribute.1.Value.DataType": "String",
            f"{entry}MessageSystemAttribute.1.Value.StringValue": "Root=1",
        }
    )
    assert read(form) == {
        "Entries": [
            {
                "Id": "a",
                "MessageBody": "x",
                "DelaySeconds": "5",
                "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"\xfb\xff"}},
                "MessageSystemAttributes": {
                    "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}
                },
            }
        ]
    }


def test_the_queue_url_parameter_overrides_the_path() -> None:
    assert read("", "/000000000000/q") == {"QueueUrl": "http://h:1/000000000000/q"}
    assert read("QueueUrl=other", "/000000000000/q") == {"QueueUrl": "other"}


@pytest.mark.parametrize(
    "form",
    ["a=%ff", "&".join(["a=1"] * 10_001), "MessageAttribute.1.Name=n&"
     "MessageAttribute.1.Value.BinaryValue=!"],
    ids=["invalid UTF-8", "too many", "invalid base64"],
)  # fmt: skip
def test_invalid_requests_are_refused(form: str) -> None:
    with pytest.raises(InvalidParameterValueException):
        read(form)


def test_a_map_without_a_name_is_refused() -> None:
    with pytest.raises(MissingRequiredParameterException, match=r"parameter Attribute\.1\.Name\."):
        read("Attribute.1.Value=5")


@pytest.mark.parametrize(
    "form", [".=1", "A..B=1&A=2&A..=3", "Attribute.x.Name=1", f"{'A.' * 99}=1"]
)
def test_odd_names_are_ignored(form: str, query: Query) -> None:
    call = wire.Call("POST", FORM, f"Action=ListQueues&{form}".encode())
    assert wire.answer(query.engine, call).status in (200, 400)


# -- answers ---------------------------------------------------------------------------------


def test_queues_are_created_listed_and_deleted(query: Query) -> None:
    assert query.xml("CreateQueue", QueueName="q") == (
        '<?xml version="1.0"?>'
        '<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<CreateQueueResult><QueueUrl>http://h:1/000000000000/q</QueueUrl></CreateQueueResult>"
        "<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></CreateQueueResponse>"
    )
    assert (
        "<ListQueuesResult><QueueUrl>http://h:1/000000000000/q</QueueUrl></ListQueuesResult>"
        in (query.xml("ListQueues"))
    )
    assert query.xml("DeleteQueue", "/000000000000/q") == (
        '<?xml version="1.0"?>'
        '<DeleteQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></DeleteQueueResponse>"
    )


def test_messages_are_sent_and_received(query: Query, sqs: Calls) -> None:
    url = sqs.make()
    sent = query.xml(
        "SendMessage",
        QueueUrl=url,
        MessageBody="<a>\r\n&\u00e9",
        MessageAttribute_1_Name="n",
        MessageAttribute_1_Value_DataType="Binary",
        MessageAttribute_1_Value_BinaryValue="eA==",
    )
    assert re.search("<MD5OfMessageBody>[0-9a-f]{32}</MD5OfMessageBody>", sent)
    received = query.xml(
        "ReceiveMessage",
        QueueUrl=url,
        AttributeName_1="ApproximateReceiveCount",
        MessageAttributeName_1="All",
    )
    # XML parsers do not keep an unescaped carriage return.
    assert "<Body>&lt;a&gt;&#xD;\n&amp;\u00e9</Body>" in received
    assert "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>" in received
    assert (
        "<MessageAttribute><Name>n</Name><Value><BinaryValue>eA==</BinaryValue>"
        "<DataType>Binary</DataType></Value></MessageAttribute>"
    ) in received
    root = ElementTree.fromstring(received)
    assert [node.text for node in root.iter(f"{NAMESPACE}Body")] == ["<a>\r\n&\u00e9"]
    assert "<ReceiveMessageResult/>" in query.xml("ReceiveMessage", QueueUrl=url)


def test_batches_return_results_and_failures(query: Query, sqs: Calls) -> None:
    entry = "SendMessageBatchRequestEntry"
    params = {f"{entry}.1.Id": "a", f"{entry}.1.MessageBody": "x", f"{entry}.2.Id": "b"}
    answer = query.xml(
        "SendMessageBatch", QueueUrl=sqs.make(), **params, **{f"{entry}.2.MessageBody": ""}
    )
    root = ElementTree.fromstring(answer)
    (sent,) = root.iter(f"{NAMESPACE}SendMessageBatchResultEntry")
    (failed,) = root.iter(f"{NAMESPACE}BatchResultErrorEntry")
    assert sent.findtext(f"{NAMESPACE}Id") == "a"
    assert failed.findtext(f"{NAMESPACE}SenderFault") == "true"


def test_tags_and_attributes_are_returned(query: Query) -> None:
    query.xml("CreateQueue", QueueName="q", **{"Tag.1.Key": "k", "Tag.1.Value": "v"})
    assert "<ListQueueTagsResult><Tag><Key>k</Key><Value>v</Value></Tag></ListQueueTagsResult>" in (
        query.xml("ListQueueTags", "/000000000000/q")
    )
    query.xml(
        "SetQueueAttributes",
        "/000000000000/q",
        Attribute_1_Name="DelaySeconds",
        Attribute_1_Value="7",
    )
    assert (
        "<GetQueueAttributesResult><Attribute><Name>DelaySeconds</Name><Value>7</Value>"
        "</Attribute></GetQueueAttributesResult>"
    ) in query.xml("GetQueueAttributes", "/000000000000/q", AttributeName_1="DelaySeconds")


def test_get_works_like_post(query: Query) -> None:
    answer = query.answer("CreateQueue", method="GET", QueueName="q")
    assert answer.status == 200


def test_an_error_has_type_code_and_message(query: Query) -> None:
    assert query.xml("GetQueueUrl", QueueName="q") == (
        '<?xml version="1.0"?><ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
        "<Message>The specified queue does not exist for this wsdl version.</Message><Detail/>"
        "</Error><RequestId>ID</RequestId></ErrorResponse>"
    )


def test_characters_that_xml_does_not_allow_are_replaced(query: Query) -> None:
    assert "<Message>The action \ufffd&lt;\ufffd is not valid" in query.xml("\x00<\uffff")


def test_a_missing_parameter_is_named(query: Query, sqs: Calls) -> None:
    answer = query.xml("SendMessage", QueueUrl=sqs.make())
    assert "<Code>MissingParameter</Code>" in answer
    assert "<Message>The request must contain the parameter MessageBody.</Message>" in answer


def test_a_missing_action_is_refused(query: Query) -> None:
    answer = query.answer(None)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/xml"
    assert answer.body == b"<UnknownOperationException/>"


def test_unknown_actions_and_actions_not_allowed_on_a_queue_are_refused(
    query: Query, sqs: Calls
) -> None:
    sqs.make("q")
    for action, path in [
        ("Nonsense", "/"),
        ("Nonsense", "/000000000000/q"),
        ("CreateQueue", "/000000000000/q"),
        ("ListQueues", "/000000000000/q"),
    ]:
        answer = query.xml(action, path)
        assert "<Code>InvalidAction</Code>" in answer
        assert f"<Message>The action {action} is not valid for this endpoint.</Message>" in answer
    assert "<QueueUrl>" in query.xml("GetQueueUrl", "/000000000000/q", QueueName="q")


def test_methods_other_than_get_and_post_are_refused(query: Query) -> None:
    assert query.answer("ListQueues", method="PUT").status == 404
