"""The ledger of the soak: whether every job was done, and why some were done twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

#: The seconds by which a process can write the end of a run after the kill was noted.
_NOTED_EARLY_SECONDS = 1


@dataclass
class Run:
    """A completed run of a job."""

    at: float
    message_id: str
    pid: int
    receive_count: int


@dataclass
class Ledger:
    """All records of a soak.

    Attributes
    ----------
    done :
        The completed runs of each job, by its number.
    logged :
        The events that workers logged about a message, by its id.
    killed :
        When each process was killed, by its id.
    """

    sent: int
    done: dict[int, list[Run]] = field(default_factory=lambda: defaultdict(list))
    logged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    killed: dict[int, float] = field(default_factory=dict)

    def read(self, folder: Path) -> None:
        """Read what the jobs and the workers wrote."""
        for path in folder.glob("ledger-*"):
            for line in path.read_text().splitlines():
                at, what, number, message_id, pid, receives = line.split()
                if what == "done":
                    run = Run(float(at), message_id, int(pid), int(receives))
                    self.done[int(number)].append(run)
        for path in folder.glob("log-*"):
            for record in records(path.read_text().splitlines()):
                if record.get("event") in ("lease_lost", "ack_failed", "job_stuck"):
                    self.logged[record.get("id", "")].add(str(record["event"]))

    def missing(self) -> list[int]:
        """Return the jobs that were never done."""
        return [number for number in range(self.sent) if number not in self.done]

    def twice(self) -> dict[int, str]:
        """Return the jobs that were done more than once, and why; "" if it is unexplained."""
        return {number: self._reason(runs) for number, runs in self.done.items() if len(runs) > 1}

    def _reason(self, runs: list[Run]) -> str:
        runs = sorted(runs, key=lambda run: run.at)
        for run, following in pairwise(runs):
            # At any time before the next run: while SQS does not answer a delete, the worker
            # repeats it and extends the lease. The processes of a killed worker's pool count as
            # killed.
            killed = self.killed.get(run.pid, float("inf"))
            if run.at - _NOTED_EARLY_SECONDS <= killed <= following.at:
                return "its process was killed before the delete"
            if logged := self.logged.get(run.message_id):
                return ", ".join(sorted(logged)) + " (logged)"
        return ""


def records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of a log; skip a line that a killed process did not finish."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


@dataclass(frozen=True)
class Sample:
    """What a process uses at one moment."""

    memory_kib: int
    threads: int
    files: int


def sample_of(pid: int) -> Sample | None:
    """Return what a process uses now; None if it has ended."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return Sample(int(status["VmRSS"].split()[0]), int(status["Threads"]), files)
    except (OSError, KeyError):
        return None


def growth(samples: list[Sample]) -> dict[str, tuple[float, float]]:
    """Return the medians of the second and the last quarter of the samples, for each figure."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    names = ("memory_kib", "threads", "files")
    return {
        name: (median(getattr(s, name) for s in early), median(getattr(s, name) for s in late))
        for name in names
    }


def has_grown(figures: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the figures that grew more than running jobs can explain."""
    slack = {"memory_kib": (1.25, 8_192), "threads": (1.25, 4), "files": (1.25, 8)}
    return [
        f"{name} from {early:g} to {late:g}"
        for name, (early, late) in figures.items()
        if late > early * slack[name][0] + slack[name][1]
    ]


def share(reasons: Mapping[int, str], sent: int) -> str:
    """Return a report of the jobs that were done twice, with a line for each reason."""
    lines = [f"done twice: {len(reasons)} of {sent} ({100 * len(reasons) / max(1, sent):.2f} %)"]
    for reason, count in Counter(reasons.values()).most_common():
        lines.append(f"  {count:5}  {reason or 'UNEXPLAINED'}")
    for number, reason in sorted(reasons.items()):
        lines.append(f"         job {number}: {reason or 'UNEXPLAINED'}")
    return "\n".join(lines)
