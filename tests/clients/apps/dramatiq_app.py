"""A dramatiq app as in its manual; run as a script, it sends messages."""

import os
import time
from pathlib import Path

import dramatiq
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, Retries, ShutdownNotifications
from dramatiq_sqs import SQSBroker

broker = SQSBroker(
    namespace="app",
    dead_letter=True,
    middleware=[AgeLimit(), ShutdownNotifications(), Callbacks(), Pipelines(), Retries()],
    endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"],
)
dramatiq.set_broker(broker)
failed: set[str] = set()


def write(text: str) -> None:
    with Path("done").open("a") as lines:
        lines.write(f"{text}\n")


@dramatiq.actor
def note(text: str) -> None:
    write(text)


@dramatiq.actor
def slow(text: str) -> None:
    while not Path("go").exists():
        time.sleep(0.05)
    write(text)


@dramatiq.actor
def late(sent: float) -> None:
    assert time.time() >= sent + 2
    write("late")


@dramatiq.actor(min_backoff=2000, max_backoff=2000)
def stubborn(text: str) -> None:
    if not Path("failed").exists():
        Path("failed").touch()
        raise RuntimeError("the first time it fails")
    write(text)


@dramatiq.actor(max_retries=0)
def hopeless() -> None:
    write("hopeless")
    raise RuntimeError("it always fails")


if __name__ == "__main__":
    for number in range(10):
        note.send(f"note {number}")
    stubborn.send("stubborn")
    hopeless.send()
    late.send_with_options(args=(time.time(),), delay=2000)
    for number in range(6):
        slow.send(f"slow {number}")
