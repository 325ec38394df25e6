"""Roles of child processes in the benchmarks: ``python -m benchmarks.child ROLE PLACE ...``.

``receive``
    Receive with long polling and delete. Print a line for each message: its body, and the monotonic
    time of its arrival in nanoseconds, which is the same in all processes.
``wait``
    Print ``ready``, then wait in one receive after the other.
``hold``
    Send so many messages. Before and after, print a line with the number of messages and the bytes
    of memory that this process uses.
``profile``
    Serve on this port under the profiler, and write the figures to a file.
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
    """Receive and delete forever."""
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
    """Wait forever in receives from an empty queue."""
    client = make_client(place)
    url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
    client.receive_message(QueueUrl=url)  # import everything now
    print("ready", flush=True)
    while True:
        client.receive_message(QueueUrl=url, WaitTimeSeconds=20)


def hold(place: str, count: str, seconds: str) -> None:
    """Send messages and print the memory before and after."""
    client = make_client(place)
    url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
    _hold(0)
    _hold(fill(client, url, int(count), float(seconds)))


def profile(place: str, port: str, figures: str) -> None:
    """Serve until SIGTERM; the profile starts when the server is ready."""
    # Processor time of the thread: wall time would include the client.
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
