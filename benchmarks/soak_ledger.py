"""What the soak wrote down, and what it says: every job done, and why some were done twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

#: seconds between the end of a run and the kill of its process, within which the kill explains that
#: SQS was not told: the lease that workers of the soak ask for, and some time to get there
_LEASE_SECONDS = 15


@dataclass
class Run:
    """One run of a job that was done."""

    at: float
    message_id: str
    pid: int
    receive_count: int


@dataclass
class Ledger:
    """All that is known at the end.

    Attributes
    ----------
    done :
        The runs of each job that were done, by its number.
    told :
        What workers logged about a message, by its id.
    killed :
        When each process was killed, by its id; what ran in it died with it.
    """

    sent: int
    done: dict[int, list[Run]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
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
                    self.told[record.get("id", "")].add(str(record["event"]))

    def missing(self) -> list[int]:
        """Jobs that were never done."""
        return [number for number in range(self.sent) if number not in self.done]

    def twice(self) -> dict[int, str]:
        """Jobs that were done more than once, and why; the empty text where nothing explains it."""
        return {number: self._reason(runs) for number, runs in self.done.items() if len(runs) > 1}

    def _reason(self, runs: list[Run]) -> str:
        runs = sorted(runs, key=lambda run: run.at)
        for run in runs[:-1]:
            # A process of the pool is in the list when its worker was killed.
            if abs(self.killed.get(run.pid, float("inf")) - run.at) < _LEASE_SECONDS:
                return "its process was killed before SQS was told"
            if told := self.told.get(run.message_id):
                return ", ".join(sorted(told)) + " (told at the time)"
        return ""


def records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON lines of a log; a process that was killed may have left half of one."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


@dataclass(frozen=True)
class Sample:
    """What a process used at one moment."""

    memory_kib: int
    threads: int
    files: int


def sample_of(pid: int) -> Sample | None:
    """What a process uses now; None where it has ended."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return Sample(int(status["VmRSS"].split()[0]), int(status["Threads"]), files)
    except (OSError, KeyError):
        return None


def growth(samples: list[Sample]) -> dict[str, tuple[float, float]]:
    """The medians of the second and of the last quarter of a life, for each figure."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    names = ("memory_kib", "threads", "files")
    return {
        name: (median(getattr(s, name) for s in early), median(getattr(s, name) for s in late))
        for name in names
    }


def has_grown(figures: Mapping[str, tuple[float, float]]) -> list[str]:
    """What has grown beyond what comes and goes with the jobs in hand."""
    slack = {"memory_kib": (1.25, 8_192), "threads": (1.25, 4), "files": (1.25, 8)}
    return [
        f"{name} from {early:g} to {late:g}"
        for name, (early, late) in figures.items()
        if late > early * slack[name][0] + slack[name][1]
    ]


def share(reasons: Mapping[int, str], sent: int) -> str:
    """How many were done twice, as a line for each reason."""
    lines = [f"done twice: {len(reasons)} of {sent} ({100 * len(reasons) / max(1, sent):.2f} %)"]
    for reason, count in Counter(reasons.values()).most_common():
        lines.append(f"  {count:5}  {reason or 'UNEXPLAINED'}")
    for number, reason in sorted(reasons.items()):
        lines.append(f"         job {number}: {reason or 'UNEXPLAINED'}")
    return "\n".join(lines)
