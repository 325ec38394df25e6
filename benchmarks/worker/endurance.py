"""Run a million jobs in one worker, in parts of 100,000: nothing must grow or slow down."""

import time
from collections.abc import Sequence

from benchmarks.worker.measure import ENTRY, Endpoint, cpu_seconds, memory, running, things

PART = 100_000


def show(endpoint: Endpoint, command: Sequence[str], jobs: int) -> None:
    """Print the figures of each part, and the worker's memory, threads and files after it."""
    endpoint.control("reset")
    rates: list[float] = []
    print("| jobs | jobs/s | CPU us | MB | threads | files |")
    print("|---|---|---|---|---|---|")
    with running(endpoint, command) as process:
        _wait(endpoint, jobs=0)
        for done in range(PART, jobs + 1, PART):
            before = cpu_seconds(process.pid)
            endpoint.control("load", count=PART, entry=ENTRY)
            seconds = _wait(endpoint, jobs=PART)
            rates.append(PART / seconds)
            cpu = (cpu_seconds(process.pid) - before) / PART * 1e6
            threads, files = things(process.pid)
            megabytes = memory(process.pid)
            print(
                f"| {done} | {rates[-1]:.0f} | {cpu:.0f} | {megabytes:.1f} | {threads} | {files} |",
                flush=True,
            )
    print(f"\nrate of the last part x that of the first: {rates[-1] / rates[0]:.2f}\n", flush=True)


def _wait(endpoint: Endpoint, jobs: int) -> float:
    while True:
        state = endpoint.control()
        if jobs and not state["left"]:
            return float(state["seconds"])
        if not jobs and state["waiting"]:
            return 0.0
        time.sleep(0.2)
