"""Compare sending a job with a plain ``send_message``, one by one and in batches."""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.worker.measure import ENTRY, Endpoint

_JOBS = 1000


def compare(endpoint: Endpoint, pairs: int) -> None:
    """Print rates and ratios; both run in this process, in turn."""
    os.environ.update({k: v for k, v in endpoint.environment().items() if k.startswith("AWS_")})
    import boto3

    from sqsw import SQSEnv

    endpoint.control("reset")
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName="bench")["QueueUrl"]
    queue = SQSEnv().queue("bench")
    values = json.loads(str(ENTRY["MessageBody"]))
    attributes: Any = ENTRY["MessageAttributes"]

    def raw_one() -> None:
        for _ in range(_JOBS):
            client.send_message(
                QueueUrl=url, MessageBody=json.dumps(values), MessageAttributes=attributes
            )

    def ours_one() -> None:
        for _ in range(_JOBS):
            queue.add_job("job", **values)

    def raw_batch() -> None:
        for _ in range(_JOBS // 10 * 5):
            client.send_message_batch(
                QueueUrl=url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": json.dumps(values),
                        "MessageAttributes": attributes,
                    }
                    for number in range(10)
                ],
            )

    def ours_batch() -> None:
        with queue.add_batch():
            for _ in range(_JOBS * 5):
                queue.add_job("job", **values)

    for title, raw, ours in (
        ("one by one", raw_one, ours_one),
        ("in batches", raw_batch, ours_batch),
    ):
        raw()
        ours()
        rates, costs = [], []
        for _ in range(pairs):
            raw_wall, raw_cpu = _timed(raw)
            our_wall, our_cpu = _timed(ours)
            rates.append(raw_wall / our_wall)
            costs.append(our_cpu / raw_cpu)
        print(
            f"{title}: rate x raw boto3 {statistics.median(rates):.2f} "
            f"[{min(rates):.2f}-{max(rates):.2f}], CPU x {statistics.median(costs):.2f}"
        )
    print(flush=True)


def _timed(call: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.monotonic(), time.process_time()
    call()
    return time.monotonic() - wall, time.process_time() - cpu
