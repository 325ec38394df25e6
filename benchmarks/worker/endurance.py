"""Run a million jobs in one worker, in parts of 100,000: nothing must grow or slow down.

The machine gets faster and slower in that time. So each part is compared with a fresh worker that
runs right after it, while the first one waits for jobs.
"""

import time
from collections.abc import Sequence
from statistics import median

from benchmarks.worker.measure import ENTRY, Endpoint, cpu_seconds, drain, memory, running, things

PART = 100_000

#: how many jobs the fresh worker runs
FRESH = 30_000


def show(endpoint: Endpoint, command: Sequence[str], jobs: int) -> None:
    """Print the figures of each part, and the worker's memory, threads and files after it."""
    endpoint.control("reset")
    ratios: list[float] = []
    print("| jobs | jobs/s | x fresh worker | CPU us | x fresh worker | MB | threads | files |")
    print("|---|---|---|---|---|---|---|---|")
    other = Endpoint()
    try:
        with running(endpoint, command) as process:
            _wait(endpoint, jobs=0)
            for done in range(PART, jobs + 1, PART):
                before = cpu_seconds(process.pid)
                endpoint.control("load", count=PART, entry=ENTRY)
                rate = PART / _wait(endpoint, jobs=PART)
                cpu = (cpu_seconds(process.pid) - before) / PART * 1e6
                threads, files = things(process.pid)
                megabytes = memory(process.pid)
                fresh = drain(other, command, FRESH)
                ratios.append(rate / fresh.rate)
                print(
                    f"| {done} | {rate:.0f} | {ratios[-1]:.2f} | {cpu:.0f} "
                    f"| {cpu / fresh.cpu_us:.2f} | {megabytes:.1f} | {threads} | {files} |",
                    flush=True,
                )
    finally:
        other.stop()
    trend = median(ratios[-3:]) / median(ratios[:3])
    print(f"\nrate of the last three parts x that of the first three: {trend:.2f}", flush=True)
    print("(each part compared with its fresh worker)\n", flush=True)


def _wait(endpoint: Endpoint, jobs: int) -> float:
    while True:
        state = endpoint.control()
        if jobs and not state["left"]:
            return float(state["seconds"])
        if not jobs and state["waiting"]:
            return 0.0
        time.sleep(0.2)
