"""Send each line of stdin as a job with boto3: ``python send_lines.py THREADS``.

A loop over SendMessageBatch with ten messages per call. It neither checks that a line is JSON nor
reports its outcome.
"""

import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import boto3

THREADS = int(sys.argv[1])
ATTRIBUTES = {
    name: {"DataType": "String", "StringValue": text}
    for name, text in (("ContentType", "json"), ("JobContext", "{}"), ("JobName", "send_email"))
}

client = boto3.client("sqs")
url = client.get_queue_url(QueueName="emails")["QueueUrl"]


def send(entries: list[Any]) -> None:
    """Make one call."""
    answer = client.send_message_batch(QueueUrl=url, Entries=entries)
    if answer.get("Failed"):
        raise RuntimeError(answer["Failed"])


lines = (line.rstrip("\n") for line in sys.stdin)
under_way: deque[Future[None]] = deque()
with ThreadPoolExecutor(THREADS) as hands:
    while part := list(islice(lines, 10)):
        entries = [
            {"Id": str(index), "MessageBody": line, "MessageAttributes": ATTRIBUTES}
            for index, line in enumerate(part)
        ]
        under_way.append(hands.submit(send, entries))
        if len(under_way) == 2 * THREADS:
            under_way.popleft().result()
    while under_way:
        under_way.popleft().result()
