"""Measure receive and delete on a queue of a thousand and on one of a million messages.

The engine is called without boto3, which takes most of the time of a call and would hide a
difference. The two queues take turns, so other load on the machine affects both.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import reports
from benchmarks.calls import entries
from benchmarks.reports import Goal, Report, Table, below, median, ratio
from sqsw.memory_sqs import LocalSession, MemorySession

_CALLS = ("send(10)", "receive(10)", "delete(10)")
Figures = dict[str, list[float]]


class Deep:
    """A queue with its own engine, of so many messages and others in flight."""

    def __init__(self, path: str | None, depth: int, in_flight: int) -> None:
        self._session = MemorySession() if path is None else LocalSession(path)
        attributes = {"VisibilityTimeout": "43200"}
        self._url = self._ask("CreateQueue", QueueName="deep", Attributes=attributes)["QueueUrl"]
        for _ in range((depth + in_flight) // 10):
            self.send()
        for _ in range(in_flight // 10):
            self.receive()
        self.figures: Figures = {call: [] for call in _CALLS}

    def turn(self) -> None:
        """Time one of each call, in microseconds; the depth stays the same."""
        self._timed("send(10)", self.send)
        found = self._timed("receive(10)", self.receive)
        handles = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(found["Messages"])
        ]
        self._timed("delete(10)", lambda: self._ask("DeleteMessageBatch", Entries=handles))

    def send(self) -> Any:
        return self._ask("SendMessageBatch", Entries=entries())

    def receive(self) -> Any:
        return self._ask("ReceiveMessage", MaxNumberOfMessages=10)

    def close(self) -> None:
        self._session.close()

    def _ask(self, operation: str, **params: Any) -> Any:
        where = {} if operation == "CreateQueue" else {"QueueUrl": self._url}
        return self._session.engine.handle(operation, {**where, **params})

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        answer = call()
        self.figures[name].append((time.perf_counter() - begun) * 1e6)
        return answer


def measure(where: str, shallow: int, deep: int, in_flight: int, turns: int) -> list[Figures]:
    """Measure both queues in turns, in a file or in memory."""
    with tempfile.TemporaryDirectory(prefix="sqsw-bench-") as directory:
        paths = [str(Path(directory) / f"{name}.db") if where == "file" else None for name in "ab"]
        queues = [Deep(paths[0], shallow, 0), Deep(paths[1], deep - in_flight, in_flight)]
        for _ in range(turns):
            for queue in queues:
                queue.turn()
        for queue in queues:
            queue.close()
    return [queue.figures for queue in queues]


def run(options: argparse.Namespace) -> Report:
    """Measure memory and file, each in its own process."""
    sizes = (options.shallow, options.deep, options.in_flight, options.turns)
    with ProcessPoolExecutor(2) as pool:
        tasks = {where: pool.submit(measure, where, *sizes) for where in ("memory", "file")}
        found = {where: task.result() for where, task in tasks.items()}
    report = Report("depth")
    rows = [
        [f"{where}, {call}", median(few[call]), median(many[call]), _ratio(few, many, call)]
        for where, (few, many) in found.items()
        for call in _CALLS
    ]
    title = f"microseconds per call; {options.in_flight:,} messages of the deep queue are in flight"
    columns = ["", f"{options.shallow:,}", f"{options.deep:,}", "ratio"]
    report.tables.append(Table(title, columns, rows))
    report.goals += _goals(found, options.deep)
    return report


def _goals(found: dict[str, list[Figures]], deep: int) -> Iterator[Goal]:
    yield below(
        f"{deep:,} messages: at most 2 times slower than a thousand",
        [
            (f"{where}, {call}", _ratio(few, many, call))
            for where, (few, many) in found.items()
            for call in _CALLS
        ],
        2.0,
        "times",
    )


def _ratio(few: Figures, many: Figures, call: str) -> float | None:
    return ratio(median(many[call]), median(few[call]))


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Receive and delete on a shallow and on a deep queue.")
    made.add_argument("--shallow", type=int, default=1_000, help="messages in the shallow queue")
    made.add_argument("--deep", type=int, default=1_000_000, help="messages in the deep queue")
    made.add_argument(
        "--in-flight", type=int, default=100_000, help="messages of the deep queue in flight"
    )
    made.add_argument("--turns", type=int, default=500, help="turns of each queue")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
