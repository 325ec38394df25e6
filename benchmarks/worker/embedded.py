"""Send a job to a queue in memory and run it, repeatedly, as the tests of an application do."""

import statistics
import time
from collections.abc import Callable

from sqsw import MemorySession, SQSEnv
from sqsw.sqs_manage import create_standard_queue

_JOBS = 200


def compare(pairs: int) -> None:
    """Print the CPU time per job, and how much faster it is than with boto3 clients."""
    direct, by_boto3 = _round_of(wire=True), _round_of(wire=False)
    direct()
    by_boto3()
    figures = []
    for _ in range(pairs):
        figures.append((_timed(by_boto3), _timed(direct)))
    ratios = [slow / fast for slow, fast in figures]
    print(
        f"send and process_batch: {statistics.median(fast for _, fast in figures):.0f} us per job, "
        f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}] times faster than "
        "with boto3 clients\n",
        flush=True,
    )


def _round_of(*, wire: bool) -> Callable[[], None]:
    env = SQSEnv(MemorySession(), wire=wire)
    create_standard_queue(env, "bench")
    queue = env.queue("bench")

    @queue.processor("job")
    def job(**values: object) -> None:
        """Do nothing."""

    def send_and_run() -> None:
        for _ in range(_JOBS):
            job.delay(user=4711, text="Hello, this is a small job like many others")
            queue.process_batch(wait_seconds=0)

    return send_and_run


def _timed(call: Callable[[], None]) -> float:
    """Return the CPU time of one job, in microseconds."""
    began = time.process_time()
    call()
    return (time.process_time() - began) / _JOBS * 1e6
