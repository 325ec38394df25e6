"""A loop with threads: four receive, one per slot runs jobs, four delete ten at a time."""

import json
import queue
import sys
import threading
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.worker.contestants import job

queue_name = sys.argv[1]
slots = int(job.option(sys.argv, "slots", "8"))
clients = int(job.option(sys.argv, "clients", "4"))
client = boto3.client("sqs", config=Config(max_pool_connections=2 * clients))
url = client.get_queue_url(QueueName=queue_name)["QueueUrl"]
call = job.make(sys.argv)
received: queue.Queue[Any] = queue.Queue(maxsize=10 * slots)
done: queue.SimpleQueue[str] = queue.SimpleQueue()


def receive() -> None:
    while True:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in answer.get("Messages", []):
            received.put(message)


def work() -> None:
    while True:
        message = received.get()
        call(**json.loads(message["Body"]))
        done.put(message["ReceiptHandle"])


def delete() -> None:
    while True:
        handles = [done.get()]
        try:
            while len(handles) < 10:
                handles.append(done.get(timeout=0.05))
        except queue.Empty:
            pass
        entries: Any = [{"Id": str(i), "ReceiptHandle": h} for i, h in enumerate(handles)]
        client.delete_message_batch(QueueUrl=url, Entries=entries)


targets = [receive] * clients + [work] * slots + [delete] * clients
threads = [threading.Thread(target=target, daemon=True) for target in targets]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
