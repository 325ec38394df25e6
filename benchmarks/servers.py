"""Measure calls per second of a boto3 client, on every endpoint in turn.

A round makes the same bursts on each endpoint: sends, batches of ten, and cycles that receive ten
messages and delete them. It uses one thread and eight, a queue that is nearly empty and one that
is full. A round receives as many messages as it sends, so the depth of a queue stays the same.
"""

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks import reports
from benchmarks.calls import CALLS, FILL_SECONDS, burst, fill, make_call
from benchmarks.endpoints import Endpoint, Opened, chosen, make_client
from benchmarks.processes import cpu_seconds
from benchmarks.reports import Goal, Report, Table, at_least, median

#: percentage of a burst's calls: 100 and 40 x 10 messages are sent, and 50 x 10 are received
_SHARES = {"send": 100, "batch": 40, "cycle": 50}
#: an endpoint whose round takes so many times the median runs in only two rounds
_SLOW = 4.0
#: ratio of a full to an empty queue that still counts as equal, because of noise
_FLAT = 0.8


class Case(NamedTuple):
    """One cell of the tables."""

    call: str
    threads: int
    depth: int

    def __str__(self) -> str:
        return f"{self.call}, {self.threads} threads, {self.depth:,} messages"


class Burst(NamedTuple):
    """The figures of one burst."""

    per_second: float
    #: microseconds of processor time per call
    server_cpu: float | None
    client_cpu: float


class Subject:
    """An endpoint with a queue of each depth, and its figures."""

    def __init__(self, opened: Opened, depths: Sequence[int]) -> None:
        self.name, self._pid = opened.name, opened.pid
        self.client = make_client(opened.place)
        self.bursts: dict[Case, list[Burst]] = defaultdict(list)
        self.is_slow = False
        self._urls: dict[int, str] = {}
        self.filled: dict[int, int] = {}
        for depth in depths:
            # Messages stay in flight until the end: one that becomes visible changes the depth.
            url = self.client.create_queue(
                QueueName=f"depth-{depth}", Attributes={"VisibilityTimeout": "3600"}
            )["QueueUrl"]
            self._urls[depth] = url
            self.filled[depth] = fill(self.client, url, depth)

    def measure(self, case: Case, calls: int) -> None:
        """Measure one burst."""
        call = make_call(self.client, self._urls[case.depth], case.call)
        server, client = self._server_cpu(), time.process_time()
        done, seconds = burst(call, case.threads, calls)
        if not done:
            return
        server_after = self._server_cpu()
        microseconds = 1e6 / done
        self.bursts[case].append(
            Burst(
                done / seconds,
                None if server is None or server_after is None
                else (server_after - server) * microseconds,
                (time.process_time() - client) * microseconds,
            )
        )  # fmt: skip

    def rate(self, case: Case) -> float | None:
        """Return the calls per second, as the median of the rounds."""
        return median(found.per_second for found in self.bursts[case])

    def server_cpu(self, case: Case) -> float | None:
        """Return the microseconds per call, as the mean of the rounds: the clock is coarse."""
        found = [one.server_cpu for one in self.bursts[case] if one.server_cpu is not None]
        return sum(found) / len(found) if found else None

    def _server_cpu(self) -> float | None:
        return None if self._pid is None else cpu_seconds(self._pid)


def run(options: argparse.Namespace) -> Report:
    """Run all endpoints at the same time, and measure them burst by burst."""
    report = Report("servers")
    depths = (10, options.depth)
    # Send, batch and cycle in turn keep the depth; the two depths follow each other to compare.
    cases = [
        Case(call, threads, depth)
        for threads, call, depth in itertools.product((1, 8), CALLS, depths)
    ]
    endpoints = chosen(options.only)
    with ExitStack() as stack:
        subjects = []
        for endpoint in endpoints:
            opened = stack.enter_context(endpoint.open())
            subjects.append(Subject(opened, depths))
            for depth, filled in subjects[-1].filled.items():
                if filled < depth:
                    report.notes.append(
                        f"{endpoint.name}: the queue of {depth:,} got {filled:,} messages in"
                        f" {FILL_SECONDS:.0f} s"
                    )
        deadline = time.monotonic() + options.seconds
        for number in range(options.rounds):
            if number > 1 and time.monotonic() > deadline:
                report.notes.append(f"{number} rounds instead of {options.rounds}: the time was up")
                break
            _round(subjects, cases, options.calls, number)
    report.tables += _tables(subjects, endpoints, depths)
    report.goals += _goals(subjects, endpoints, cases)
    report.notes += [
        f"{subject.name}: only two rounds, because it is slow"
        for subject in subjects
        if subject.is_slow
    ]
    return report


def _round(subjects: Sequence[Subject], cases: Sequence[Case], calls: int, number: int) -> None:
    """Measure each case on each endpoint; each round begins with another endpoint."""
    taken: dict[str, float] = defaultdict(float)
    start = number % len(subjects)
    for case in cases:
        for subject in (*subjects[start:], *subjects[:start]):
            if not (subject.is_slow and number >= 2):
                begun = time.perf_counter()
                subject.measure(case, calls * _SHARES[case.call] // 100)
                taken[subject.name] += time.perf_counter() - begun
    usual = median(taken.values()) or 0
    for subject in subjects:
        subject.is_slow |= taken[subject.name] > _SLOW * usual


def _tables(
    subjects: Sequence[Subject], endpoints: Sequence[Endpoint], depths: Sequence[int]
) -> Iterator[Table]:
    def rows(
        depth: int, value: Callable[[Subject, Case], float | None]
    ) -> list[list[str | float | None]]:
        return [
            [subject.name, *(value(subject, case) for case in _columns(depth))]
            for subject in subjects
        ]

    columns = ["", *(f"{case.call} x{case.threads}" for case in _columns(depths[0]))]
    for depth in depths:
        title = f"calls per second, a queue of {depth:,}"
        yield Table(title, columns, rows(depth, Subject.rate))
    peers = [s for s, e in zip(subjects, endpoints, strict=True) if e.is_server and not e.is_ours]
    for depth in depths:
        title = f"ratio to the best peer, a queue of {depth:,}"
        yield Table(title, columns, rows(depth, lambda s, case: to_best(s, peers, case)))
    full = depths[-1]
    yield Table(
        f"server: microseconds of processor time per call, a queue of {full:,}",
        columns,
        rows(full, Subject.server_cpu),
    )
    yield Table(
        f"client: microseconds of processor time per call, a queue of {full:,}",
        columns,
        rows(full, lambda s, case: median(found.client_cpu for found in s.bursts[case])),
    )


def _columns(depth: int) -> list[Case]:
    return [Case(call, threads, depth) for threads in (1, 8) for call in CALLS]


def to_best(subject: Subject, others: Sequence[Subject], case: Case) -> float | None:
    """Return the ratio to the fastest of the others, as the median of the rounds."""
    rated = [other for other in others if other is not subject and other.rate(case) is not None]
    if not rated:
        return None
    best = max(rated, key=lambda other: other.rate(case) or 0)
    pairs = zip(subject.bursts[case], best.bursts[case], strict=False)
    return median(own.per_second / other.per_second for own, other in pairs)


def _goals(
    subjects: Sequence[Subject], endpoints: Sequence[Endpoint], cases: Sequence[Case]
) -> Iterator[Goal]:
    pairs = list(zip(subjects, endpoints, strict=True))
    servers = [subject for subject, endpoint in pairs if endpoint.is_server]
    peers = [s for s, endpoint in pairs if endpoint.is_server and not endpoint.is_ours]
    for subject, endpoint in pairs:
        if endpoint.is_ours and endpoint.is_server:
            yield at_least(
                f"{subject.name}: 0.9 of the best peer in every cell",
                ((str(case), to_best(subject, peers, case)) for case in cases),
                0.9,
            )
            yield at_least(
                f"{subject.name}: flat in depth (full to nearly empty, at least {_FLAT})",
                _flatness(subject, cases),
                _FLAT,
            )
        if not endpoint.is_server:
            yield at_least(
                f"{subject.name}: 1.3 times any server in every cell",
                ((str(case), to_best(subject, servers, case)) for case in cases),
                1.3,
            )


def _flatness(subject: Subject, cases: Sequence[Case]) -> Iterator[tuple[str, float | None]]:
    for case in cases:
        if case.depth > 10:
            pairs = zip(subject.bursts[case], subject.bursts[case._replace(depth=10)], strict=False)
            yield str(case), median(full.per_second / few.per_second for full, few in pairs)


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Calls per second of a boto3 client on every endpoint.")
    made.add_argument("--rounds", type=int, default=9, help="rounds over all endpoints")
    made.add_argument(
        "--seconds", type=float, default=110, help="start no round after so many seconds"
    )
    made.add_argument("--calls", type=int, default=100, help="sends in one burst")
    made.add_argument("--depth", type=int, default=10_000, help="messages in the full queue")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
