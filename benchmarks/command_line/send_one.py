"""Do the same as ``sqsw send emails send_email to=... subject=...`` with boto3."""

import json

import boto3

client = boto3.client("sqs")
url = client.get_queue_url(QueueName="emails")["QueueUrl"]
answer = client.send_message(
    QueueUrl=url,
    MessageBody=json.dumps({"to": "user@example.com", "subject": "Hello"}),
    MessageAttributes={
        name: {"DataType": "String", "StringValue": text}
        for name, text in (
            ("ContentType", "json"),
            ("JobContext", "{}"),
            ("JobName", "send_email"),
        )
    },
)
print(answer["MessageId"])
