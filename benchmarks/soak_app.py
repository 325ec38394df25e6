"""The jobs of the soak; each writes to the ledger of its process when it starts and ends."""

import asyncio
import os
import random
import time
from pathlib import Path

from sqsw.backoff_policies import ConstantBackoff
from sqsw.context import current_job
from sqsw.core.results import RetryJob
from sqsw.sqs_env import SQSEnv

env = SQSEnv(backoff_policy=ConstantBackoff(1))
_FOLDER = Path(os.environ["SOAK_FOLDER"])


class Broken(Exception):
    """The error of a job that fails by chance."""


def note(what: str, number: int) -> None:
    job = current_job()
    assert job is not None
    line = f"{time.time():.3f} {what} {number} {job.id} {os.getpid()} {job.receive_count}\n"
    # Only this process writes to the file, one short line at a time, so no line is cut.
    with (_FOLDER / f"ledger-{os.getpid()}").open("a") as file:
        file.write(line)


def misbehave() -> None:
    job = current_job()
    assert job is not None
    chance = random.random()
    if job.receive_count < 4 and chance < 0.1:
        raise Broken("by chance")
    if job.receive_count < 4 and chance < 0.15:
        raise RetryJob(ConstantBackoff(1))


@env.processor("soak", "thread")
def thread(number: int) -> None:
    note("begin", number)
    time.sleep(random.expovariate(20))
    misbehave()
    note("done", number)


@env.processor("soak", "coroutine", time_limit=30)
async def coroutine(number: int) -> None:
    note("begin", number)
    await asyncio.sleep(random.expovariate(5))
    misbehave()
    note("done", number)


@env.processor("soak", "long")
def long(number: int) -> None:
    """Run longer than a lease."""
    note("begin", number)
    time.sleep(random.uniform(8, 15))
    note("done", number)


@env.processor("soak", "process", executor="process")
def process(number: int) -> None:
    note("begin", number)
    deadline = time.monotonic() + 0.02
    while time.monotonic() < deadline:
        pass
    misbehave()
    note("done", number)
