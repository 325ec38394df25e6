"""Calls per second of one boto3 client program, on every endpoint in turns.

A round asks each endpoint for the same bursts: sends, batches of ten, and cycles of a receive of
ten and the delete of these ten; with one thread and with eight, on a queue that is nearly empty and
on one that is full. What a round sends it also receives, so a queue stays as deep as it was.
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

#: of 100 calls of a burst: what comes in, 100 and 40 x 10 messages, also goes out, 50 x 10
_SHARES = {"send": 100, "batch": 40, "cycle": 50}
#: an endpoint whose round takes so many times as long as the others' takes part in two only
_SLOW = 4.0
#: how much slower a full queue may be than an empty one and still count as flat: the noise
_FLAT = 0.8


class Case(NamedTuple):
    """One cell of the tables."""

    call: str
    threads: int
    depth: int

    def __str__(self) -> str:
        return f"{self.call}, {self.threads} threads, {self.depth:,} messages"


class Burst(NamedTuple):
    """What one burst has shown."""

    per_second: float
    #: microseconds of processor time for a call
    server_cpu: float | None
    client_cpu: float


class Subject:
    """An endpoint with a queue of each depth, and what was seen of it."""

    def __init__(self, opened: Opened, depths: Sequence[int]) -> None:
        self.name, self._pid = opened.name, opened.pid
        self.client = make_client(opened.place)
        self.bursts: dict[Case, list[Burst]] = defaultdict(list)
        self.is_slow = False
        self._urls: dict[int, str] = {}
        self.filled: dict[int, int] = {}
        for depth in depths:
            # In flight until the end: a message that comes back would change the depth.
            url = self.client.create_queue(
                QueueName=f"depth-{depth}", Attributes={"VisibilityTimeout": "3600"}
            )["QueueUrl"]
            self._urls[depth] = url
            self.filled[depth] = fill(self.client, url, depth)

    def measure(self, case: Case, calls: int) -> None:
        """One burst."""
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
        """Calls per second, the median of the rounds."""
        return median(found.per_second for found in self.bursts[case])

    def server_cpu(self, case: Case) -> float | None:
        """Microseconds for a call, the mean of the rounds, since the clock is coarse."""
        found = [one.server_cpu for one in self.bursts[case] if one.server_cpu is not None]
        return sum(found) / len(found) if found else None

    def _server_cpu(self) -> float | None:
        return None if self._pid is None else cpu_seconds(self._pid)


def run(options: argparse.Namespace) -> Report:
    """All endpoints at once, burst by burst."""
    report = Report("servers")
    depths = (10, options.depth)
    # Send, batch and cycle by turns keep the balance; the two depths side by side compare well.
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
                report.notes.append(f"{number} rounds instead of {options.rounds}: time was over")
                break
            _round(subjects, cases, options.calls, number)
    report.tables += _tables(subjects, endpoints, depths)
    report.goals += _goals(subjects, endpoints, cases)
    report.notes += [
        f"{subject.name}: two rounds only, it is slow" for subject in subjects if subject.is_slow
    ]
    return report


def _round(subjects: Sequence[Subject], cases: Sequence[Case], calls: int, number: int) -> None:
    """Each case on each endpoint; who begins changes."""
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
        f"server: microseconds of processor time a call, a queue of {full:,}",
        columns,
        rows(full, Subject.server_cpu),
    )
    yield Table(
        f"client: microseconds of processor time a call, a queue of {full:,}",
        columns,
        rows(full, lambda s, case: median(found.client_cpu for found in s.bursts[case])),
    )


def _columns(depth: int) -> list[Case]:
    return [Case(call, threads, depth) for threads in (1, 8) for call in CALLS]


def to_best(subject: Subject, others: Sequence[Subject], case: Case) -> float | None:
    """The median of the rounds' ratios to the one that is the fastest in this case."""
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
                f"{subject.name}: flat in depth (full to nearly empty, {_FLAT} and more)",
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
    """The options of this benchmark."""
    made = reports.parser("Calls per second of one boto3 client program on every endpoint.")
    made.add_argument("--rounds", type=int, default=9, help="turns of all endpoints")
    made.add_argument("--seconds", type=float, default=110, help="begin no round after these")
    made.add_argument("--calls", type=int, default=100, help="sends in one burst")
    made.add_argument("--depth", type=int, default=10_000, help="messages in the full queue")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
