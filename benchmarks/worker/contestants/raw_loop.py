"""A simple loop in one thread: receive ten, process them, delete ten."""

import json
import sys

import boto3

from benchmarks.worker.contestants import job

queue_name = sys.argv[1]
client = boto3.client("sqs")
url = client.get_queue_url(QueueName=queue_name)["QueueUrl"]
call = job.make(sys.argv)
while True:
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
    messages = answer.get("Messages", [])
    for message in messages:
        call(**json.loads(message["Body"]))
    if messages:
        client.delete_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages)
            ],
        )
