"""What other processes do in the benchmarks: ``python -m benchmarks.child ROLE PLACE ...``.

``receive``
    Receive by long polls and delete; a line for each message: what it said, and the monotonic time
    of its arrival in nanoseconds, which is the same in all processes.
``wait``
    Say ``ready``, then wait in one receive after the other.
``hold``
    Send so many messages; a line with the number of messages and of bytes that this process holds,
    before and after.
``profile``
    Serve under the profiler on this port; the figures go into a file.
"""

import cProfile
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.calls import fill
from benchmarks.endpoints import make_client
from benchmarks.processes import resident_bytes
from sqsw.memory_sqs import serve

QUEUE: Final = "benchmark"


def receive(place: str) -> None:
    """For ever."""
    client = make_client(place)
    url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
    print("ready", flush=True)
    while True:
        answer = client.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        arrived = time.monotonic_ns()
        for message in answer.get("Messages", []):
            print(message["Body"], arrived, flush=True)
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def wait(place: str) -> None:
    """For ever, where nothing comes."""
    client = make_client(place)
    url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
    client.receive_message(QueueUrl=url)  # so that nothing is imported later
    print("ready", flush=True)
    while True:
        client.receive_message(QueueUrl=url, WaitTimeSeconds=20)


def hold(place: str, count: str, seconds: str) -> None:
    """Then end."""
    client = make_client(place)
    url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
    _hold(0)
    _hold(fill(client, url, int(count), float(seconds)))


def profile(place: str, port: str, figures: str) -> None:
    """Until SIGTERM; the profile begins when requests are answered."""
    # Processor time: else the client's, which runs while the server sends, would be counted.
    profiler = cProfile.Profile(time.thread_time)

    def ready(server: object) -> None:
        print("ready", flush=True)
        profiler.enable()

    serve(None if place == "memory" else place, port=int(port), on_ready=ready)
    profiler.disable()
    profiler.dump_stats(figures)


def _hold(messages: int) -> None:
    print(messages, resident_bytes(os.getpid()), flush=True)


ROLES: Final[Mapping[str, Callable[..., None]]] = {
    "receive": receive,
    "wait": wait,
    "hold": hold,
    "profile": profile,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
