"""Print the report, and check that every job was done exactly once.

``python survey_report.py survey.db jobs.jsonl dead_letters.jsonl queues.jsonl`` takes the jobs that
were sent (one per line), the dead letters (``sqsw inspect DLQ --peek N --json``) and the current
queues (``sqsw inspect QUEUE… --json``). It exits with 1 if a job is missing or was done twice, or a
message is left.
"""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any


def read(path: str) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def printable(path: str) -> str:
    """Return the file name as the app writes it to the report."""
    return path.encode("utf-8", "backslashreplace").decode()


def table(title: str, rows: list[tuple[Any, ...]]) -> None:
    """Print numbers on the left and names on the right."""
    print(f"\n  {title}")
    for number, *names in rows:
        print(f"    {number:>9,}  {'  '.join(str(name) for name in names)}"[:100])


def print_report(report: sqlite3.Connection) -> None:
    """Print what the jobs found."""
    ask = report.execute
    files, lines, functions, classes = ask(
        "SELECT count(*), sum(lines), sum(functions), sum(classes) FROM files"
    ).fetchone()
    print(f"  {files:,} files, {lines:,} lines, {functions:,} functions, {classes:,} classes")
    table(
        "most imported modules (files)",
        ask(
            "SELECT count(*), module FROM imports GROUP BY module ORDER BY 1 DESC, 2 LIMIT 8"
        ).fetchall(),
    )
    table(
        "largest packages (lines)",
        ask(
            "SELECT sum(lines), package FROM files GROUP BY package ORDER BY 1 DESC, 2 LIMIT 8"
        ).fetchall(),
    )
    longest = ask(
        "SELECT longest_lines, longest, path FROM files ORDER BY 1 DESC, 3 LIMIT 5"
    ).fetchall()
    table(
        "longest functions (lines)",
        [(n, f"{name:40.40}", "/".join(Path(path).parts[-3:])) for n, name, path in longest],
    )
    notes = ask("SELECT lines, path, note FROM files WHERE note IS NOT NULL ORDER BY path")
    table(
        "files that Python cannot read (lines)",
        [(n, f"{Path(path).name!a:36}", note) for n, path, note in notes],
    )


def problems(
    report: sqlite3.Connection,
    jobs: list[dict[str, Any]],
    dead: list[dict[str, Any]],
    queues: list[dict[str, Any]],
) -> list[str]:
    """Return the problems as sentences."""
    runs: dict[str, int] = dict(report.execute("SELECT path, runs FROM files"))
    notes = {path for (path,) in report.execute("SELECT path FROM files WHERE note IS NOT NULL")}
    sent = {printable(job["path"]) for job in jobs}
    gave_up = {printable(letter["args"]["path"]) for letter in dead}
    found = {
        "jobs were sent twice": len(jobs) - len(sent),
        "files were never processed": len(sent - runs.keys()),
        "files were processed but never sent": len(runs.keys() - sent),
        "files were processed more than once": sum(count > 1 for count in runs.values()),
        "files differ between the dead letters and those that cannot be read": len(notes ^ gave_up),
    }
    for queue in queues:
        left = sum(queue[key] or 0 for key in ("visible", "in_flight", "delayed"))
        found[f"messages are left in {queue['name']}"] = left
    return [f"{count:,} {what}" for what, count in found.items() if count]


def main() -> int:
    """Print the report, then the problems."""
    database, *lists = sys.argv[1:]
    jobs, dead, queues = map(read, lists)
    with closing(sqlite3.connect(database)) as report:
        print_report(report)
        wrong = problems(report, jobs, dead, queues)
        (seconds,) = report.execute(
            "SELECT max(finished_at) - min(finished_at) FROM files WHERE note IS NULL"
        ).fetchone()
    done = len(jobs) - len(dead)
    print(
        f"\n  first run: {done:,} jobs in {seconds:.1f} s, {done / (seconds or 1):,.0f} per second"
    )
    print(f"  dead letters: {len(dead):,}, moved back and processed by the second release")
    for problem in wrong:
        print(f"  ✗ wrong: {problem}")
    if not wrong:
        print(f"  ✓ all {len(jobs):,} files were processed exactly once; both queues are empty")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
