"""botocore from before the JSON protocol: all operations on a queue, in forms and XML."""

import os

from botocore.exceptions import ClientError
from botocore.session import Session

client = Session().create_client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"])
assert client.meta.service_model.metadata["protocol"] == "query"


def arn_of(url: str) -> str:
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return found["Attributes"]["QueueArn"]


def receive(url: str, **options: object) -> list:
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **options)
    return answer.get("Messages", [])


dead = client.create_queue(QueueName="dead")["QueueUrl"]
policy = f'{{"deadLetterTargetArn": "{arn_of(dead)}", "maxReceiveCount": "1"}}'
url = client.create_queue(
    QueueName="jobs", Attributes={"RedrivePolicy": policy}, tags={"team": "<é>"}
)["QueueUrl"]
assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "<é>"}
assert client.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
pages = client.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
assert [page["QueueUrls"] for page in pages] == [[dead], [url]]

# botocore itself compares the digests of bodies and attributes
attributes = {
    "text": {"DataType": "String", "StringValue": "line\r\nfeed & <é>"},
    "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
}
client.send_message(QueueUrl=url, MessageBody="job 0 & <é>", MessageAttributes=attributes)
entries = [{"Id": str(n), "MessageBody": f"job {n}", "DelaySeconds": n % 2} for n in range(1, 7)]
sent = client.send_message_batch(QueueUrl=url, Entries=[*entries, {"Id": "bad", "MessageBody": ""}])
assert [failure["Id"] for failure in sent["Failed"]] == ["bad"]
assert len(sent["Successful"]) == 6

done = []
while len(done) < 7:
    for message in receive(
        url, AttributeNames=["All"], MessageAttributeNames=["All"], WaitTimeSeconds=5
    ):
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"
        if message["Body"].startswith("job 0"):
            assert message["MessageAttributes"] == attributes
        if message["Body"] != "job 2":
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        else:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        done.append(message["Body"])

# "job 2" has no receive left
assert not receive(url)
(found,) = receive(dead)
assert found["Body"] == "job 2"
handles = [{"Id": "0", "ReceiptHandle": found["ReceiptHandle"]}]
assert client.delete_message_batch(QueueUrl=dead, Entries=handles)["Successful"] == [{"Id": "0"}]

settings = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
ordered = client.create_queue(QueueName="ordered.fifo", Attributes=settings)["QueueUrl"]
for body in ("step 0", "step 1", "step 1", "step 2"):
    client.send_message(QueueUrl=ordered, MessageBody=body, MessageGroupId="group")
for message in receive(ordered, AttributeNames=["MessageGroupId"]):
    assert message["Attributes"] == {"MessageGroupId": "group"}
    client.delete_message(QueueUrl=ordered, ReceiptHandle=message["ReceiptHandle"])
    done.append(message["Body"])
assert done[-3:] == ["step 0", "step 1", "step 2"]

for call, code in [
    (lambda: client.get_queue_url(QueueName="nobody"), "AWS.SimpleQueueService.NonExistentQueue"),
    (lambda: client.create_queue(QueueName="no name"), "InvalidParameterValue"),
    (lambda: client.delete_message(QueueUrl=url, ReceiptHandle="x"), "ReceiptHandleIsInvalid"),
]:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(code)

print(*done, sep="\n")
