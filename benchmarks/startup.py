"""Measure the seconds from the start of a process to its first response, in turns."""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping

from benchmarks import reports
from benchmarks.endpoints import ENDPOINTS, chosen
from benchmarks.reports import Goal, Report, Table, at_least, below, median, ratio


def run(options: argparse.Namespace) -> Report:
    """Start each server once per round, after a first start that writes its bytecode."""
    endpoints = chosen(options.only, servers_only=True)
    seen: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds + 1):
        for endpoint in endpoints:
            with endpoint.open() as opened:
                if number:
                    seen[endpoint.name].append(opened.start_seconds)
    rows = [[name, median(found), min(found), max(found)] for name, found in seen.items()]
    columns = ["", "median", "least", "most"]
    report = Report("startup", [Table("seconds to the first response", columns, rows)])
    report.goals += _goals(seen)
    return report


def _goals(seen: Mapping[str, list[float]]) -> Iterator[Goal]:
    own = [endpoint.name for endpoint in ENDPOINTS if endpoint.is_ours and endpoint.name in seen]
    found = [(name, median(seen[name])) for name in own]
    yield below("starts in under a second", found, 1.0, "s")
    elasticmq = median(seen.get("elasticmq", []))
    yield at_least(
        "starts 10 times faster than ElasticMQ",
        [(name, ratio(elasticmq, seconds)) for name, seconds in found],
        10.0,
    )


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Seconds from the start of a server to its first response.")
    made.add_argument("--rounds", type=int, default=5, help="starts of each server")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
