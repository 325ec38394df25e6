"""Measure the time from send to receipt between processes, and the cost of an idle receive."""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks import reports
from benchmarks.child import QUEUE
from benchmarks.children import child
from benchmarks.endpoints import Endpoint, chosen, make_client
from benchmarks.processes import cpu_seconds
from benchmarks.reports import Cell, Goal, Report, Table, below

#: seconds between two messages, so the receiver is waiting again
_PAUSE_SECONDS = 0.02
#: seconds after which a waiting receive counts as idle
_SETTLE_SECONDS = 1.0


def run(options: argparse.Namespace) -> Report:
    """Measure latency on one endpoint after the other, then idle receives on all at once."""
    endpoints = chosen(options.only)
    between = [endpoint for endpoint in endpoints if endpoint.place != "memory"]
    rows: list[list[Cell]] = []
    for endpoint in between:
        found = sorted(_latencies(endpoint, options.messages))
        rows.append(
            [endpoint.name, statistics.median(found), found[len(found) * 95 // 100], found[-1]]
        )
    columns = ["", "p50", "p95", "worst"]
    report = Report("latency")
    title = f"send to receipt between two processes, ms, {options.messages} messages"
    report.tables.append(Table(title, columns, rows))
    idle = _idle(endpoints, options.seconds)
    title = f"an idle receive: % of a core, over {options.seconds:g} s"
    report.tables.append(Table(title, ["", "its process", "the server"], idle))
    report.goals += _goals(endpoints, idle)
    return report


def _latencies(endpoint: Endpoint, count: int) -> Iterator[float]:
    """Yield the milliseconds from just before each send to just after its receive."""
    with endpoint.open() as opened, child("receive", opened.place) as lines:
        client = make_client(opened.place)
        url = client.create_queue(QueueName=QUEUE)["QueueUrl"]
        next(lines)
        for number in range(count + 3):
            time.sleep(_PAUSE_SECONDS)
            client.send_message(QueueUrl=url, MessageBody=str(time.monotonic_ns()))
            sent, arrived = map(int, next(lines).split())
            if number >= 3:  # the first messages open connections
                yield (arrived - sent) / 1e6


def _idle(endpoints: Sequence[Endpoint], seconds: float) -> list[list[Cell]]:
    """Return the percentage of a core that the waiting process and the server use."""
    with ExitStack() as stack:
        pids: list[tuple[int, int | None]] = []
        for endpoint in endpoints:
            opened = stack.enter_context(endpoint.open())
            lines = stack.enter_context(child("wait", opened.place))
            next(lines)
            pids.append((lines.pid, opened.pid))
        time.sleep(_SETTLE_SECONDS)
        before = [[_cpu(pid) for pid in pair] for pair in pids]
        time.sleep(seconds)
        after = [[_cpu(pid) for pid in pair] for pair in pids]
    return [
        [
            endpoint.name,
            *(_share(begun, ended, seconds) for begun, ended in zip(*both, strict=True)),
        ]
        for endpoint, both in zip(endpoints, zip(before, after, strict=True), strict=True)
    ]


def _cpu(pid: int | None) -> float | None:
    return None if pid is None else cpu_seconds(pid)


def _share(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None else (after - before) / seconds * 100


def _goals(endpoints: Sequence[Endpoint], idle: Sequence[Sequence[Cell]]) -> Iterator[Goal]:
    figures = [
        (f"{row[0]}, {who}", cell)
        for endpoint, row in zip(endpoints, idle, strict=True)
        if endpoint.is_ours
        for who, cell in zip(("its process", "the server"), row[1:], strict=True)
        if isinstance(cell, float)
    ]
    yield below("an idle receive uses under 1 % of a core", figures, 1.0, "%")


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Send to receipt between two processes, and idle receives.")
    made.add_argument("--messages", type=int, default=100, help="messages to time")
    made.add_argument("--seconds", type=float, default=4, help="seconds to measure an idle receive")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
