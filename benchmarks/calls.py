"""The calls of the client: a send, a batch of ten, a cycle of receive and delete."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

CALLS: Final = ("send", "batch", "cycle")
BODY: Final = "x" * 200
#: seconds after which a burst ends, however few calls it made
_BURST_SECONDS: Final = 1.0
#: maximum seconds to fill a queue
FILL_SECONDS: Final = 12.0


def entries() -> list[dict[str, str]]:
    """Return ten entries of a batch."""
    return [{"Id": str(index), "MessageBody": BODY} for index in range(10)]


def make_call(client: Any, url: str, call: str) -> Callable[[], float]:
    """Return a function that makes one call, and returns the fraction of it that succeeded."""
    batch = entries()

    def send() -> float:
        client.send_message(QueueUrl=url, MessageBody=BODY)
        return 1.0

    def send_batch() -> float:
        return len(client.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) / 10

    def cycle() -> float:
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not found:
            return 0.0
        handles = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(found)
        ]
        deleted = client.delete_message_batch(QueueUrl=url, Entries=handles)
        return len(deleted["Successful"]) / 10

    return {"send": send, "batch": send_batch, "cycle": cycle}[call]


def burst(
    call: Callable[[], float], threads: int, calls: int, seconds: float = _BURST_SECONDS
) -> tuple[float, float]:
    """Make calls on several threads until the time is up; return their number and the seconds."""
    numbers = itertools.count()
    barrier = threading.Barrier(threads + 1)

    def work() -> float:
        barrier.wait()
        deadline = time.perf_counter() + seconds
        done = 0.0
        while next(numbers) < calls:
            done += call()
            if time.perf_counter() > deadline:
                break
        return done

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        barrier.wait()
        begun = time.perf_counter()
        done = sum(future.result() for future in futures)
        return done, time.perf_counter() - begun


def fill(client: Any, url: str, depth: int, seconds: float = FILL_SECONDS) -> int:
    """Send messages until the depth is reached or the time is up; return their number."""
    call = make_call(client, url, "batch")
    return round(10 * burst(call, 4 if depth > 100 else 1, depth // 10, seconds)[0])
