"""Measure the resident memory of each endpoint, empty and with many messages of 200 bytes.

The memory of a session in this process is that of the whole process, boto3 included.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

from benchmarks import reports
from benchmarks.calls import fill
from benchmarks.children import child
from benchmarks.endpoints import Endpoint, chosen, make_client
from benchmarks.processes import resident_bytes
from benchmarks.reports import Cell, Report, Table

_MEBI = 1024 * 1024


def run(options: argparse.Namespace) -> Report:
    """Measure two endpoints at a time; they do not affect each other's memory."""
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda endpoint: _row(endpoint, options), chosen(options.only)))
    columns = ["", "empty", "full", "messages", "bytes each"]
    title = f"resident memory in MiB, empty and with {options.messages:,} messages of 200 bytes"
    report = Report("memory", [Table(title, columns, rows)])
    report.notes += [
        f"{row[0]}: only {row[3]:,} messages in {options.seconds:.0f} s"
        for row in rows
        if isinstance(row[3], int) and row[3] < options.messages
    ]
    return report


def _row(endpoint: Endpoint, options: argparse.Namespace) -> list[Cell]:
    with endpoint.open() as opened:
        if opened.pid is None:
            with child("hold", opened.place, str(options.messages), str(options.seconds)) as lines:
                empty = int(next(lines).split()[1])
                count, full = map(int, next(lines).split())
        else:
            client = make_client(opened.place)
            url = client.create_queue(QueueName="benchmark")["QueueUrl"]
            empty = resident_bytes(opened.pid) or 0
            count = fill(client, url, options.messages, options.seconds)
            full = resident_bytes(opened.pid) or 0
    each = round((full - empty) / count) if count else None
    return [endpoint.name, empty / _MEBI, full / _MEBI, count, each]


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Resident memory, empty and full.")
    made.add_argument("--messages", type=int, default=100_000, help="messages to send")
    made.add_argument("--seconds", type=float, default=45, help="maximum seconds to send them")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
