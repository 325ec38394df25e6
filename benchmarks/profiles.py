"""Profile the processor time that a call takes in our server, by component.

A cycle is two requests. The profiler adds time to each function call, and the figures of the cycle
include filling the queue. So read the shares, not the sums.
"""

import argparse
import pstats
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks import reports
from benchmarks.calls import CALLS, fill, make_call
from benchmarks.children import child
from benchmarks.endpoints import make_client
from benchmarks.processes import free_port
from benchmarks.reports import Cell, Report, Table

#: the first group with a word in the name of the file, or of the function if there is no file
_GROUPS: Final = (
    ("waiting", ("epoll", "kqueue")),
    ("SQLite", ("sqlite3",)),
    ("HTTP (uvicorn, httptools)", ("uvicorn", "httptools")),
    ("sockets and event loop", ("asyncio", "selectors.py", "socket", "_contextvars")),
    ("our HTTP and protocols", ("http_app", "connection.py", "wire.py", "protocol", "json")),
    ("transactions and locks", ("store.py", "connections.py", "file_lock", "contextlib")),
    ("the engine", ("sqsw",)),
)


def run(options: argparse.Namespace) -> Report:
    """Profile one server for each kind of call."""
    report = Report("profiles")
    spent = [_profile(call, options) for call in CALLS]
    names = [name for name, _ in _GROUPS if name != "waiting"] + ["all else"]
    rows: list[list[Cell]] = [[name, *(found[name] for found in spent)] for name in names]
    rows.append(["sum", *(sum(found[name] for name in names) for found in spent)])
    title = "microseconds of processor time per call, including the profiler's"
    report.tables.append(Table(title, ["", *CALLS], rows))
    return report


def _profile(call: str, options: argparse.Namespace) -> Counter[str]:
    """Return the microseconds per call, by group."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sqsw-bench-") as directory:
        figures = Path(directory) / "figures"
        place = "memory" if options.memory else f"{directory}/local.db"
        with child("profile", place, str(port), str(figures)) as lines:
            next(lines)
            _ask(make_client(f"http://127.0.0.1:{port}"), call, options.calls)
        spent = _by_group(figures)
    return Counter({group: seconds * 1e6 / options.calls for group, seconds in spent.items()})


def _ask(client: Any, call: str, count: int) -> None:
    url = client.create_queue(QueueName="benchmark")["QueueUrl"]
    asked = make_call(client, url, call)
    if call == "cycle":
        fill(client, url, 10 * count)
    for _ in range(count):
        asked()


def _by_group(figures: Path) -> Counter[str]:
    stats: Any = pstats.Stats(str(figures))
    spent: Counter[str] = Counter()
    for (file, _, function), (_, _, own_seconds, *_) in stats.stats.items():
        spent[_group(function if file == "~" else file)] += own_seconds
    return spent


def _group(name: str) -> str:
    for group, words in _GROUPS:
        if any(word in name for word in words):
            return group
    return "all else"


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Processor time of a request in the server, by component.")
    made.add_argument("--calls", type=int, default=1_000, help="calls of each kind")
    made.add_argument("--memory", action="store_true", help="queues in memory, not in a file")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
