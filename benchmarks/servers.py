"""Calls per second of one boto3 client program, on every endpoint in turns.

A round asks each endpoint for the same bursts: sends, batches of ten, and cycles of a receive of
ten and the delete of these ten; with one thread and with eight, on a queue that is nearly empty and
on one that is full. What a round sends it also receives, so a queue stays as deep as it was.
"""

import argparse
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks import reports
from benchmarks.endpoints import Endpoint, Opened, chosen, make_client
from benchmarks.processes import cpu_seconds
from benchmarks.reports import Goal, Report, Table, at_least, median, ratio

BODY = "x" * 200
CALLS = ("send", "batch", "cycle")
#: of 100 calls of a burst: what comes in, 100 and 40 x 10 messages, also goes out, 50 x 10
_SHARES = {"send": 100, "batch": 40, "cycle": 50}
#: seconds after which a burst ends, however few calls it made
_BURST_SECONDS = 1.0
#: seconds after which an endpoint is not filled any further
_FILL_SECONDS = 30.0
#: seconds of one round after which an endpoint takes part in two rounds only
_SLOW_SECONDS = 6.0
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


def entries() -> list[dict[str, str]]:
    """Ten entries of a batch."""
    return [{"Id": str(index), "MessageBody": BODY} for index in range(10)]


def make_call(client: Any, url: str, call: str) -> Callable[[], float]:
    """Makes one call; gives back for how much of one it counts."""
    batch = entries()

    def send() -> float:
        client.send_message(QueueUrl=url, MessageBody=BODY)
        return 1.0

    def send_batch() -> float:
        return len(client.send_message_batch(QueueUrl=url, Entries=batch)["Successful"]) / 10

    def cycle() -> float:
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not found:
            return 0.0
        handles = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(found)
        ]
        deleted = client.delete_message_batch(QueueUrl=url, Entries=handles)
        return len(deleted["Successful"]) / 10

    return {"send": send, "batch": send_batch, "cycle": cycle}[call]


def burst(
    call: Callable[[], float], threads: int, calls: int, seconds: float = _BURST_SECONDS
) -> tuple[float, float]:
    """So many calls on so many threads, as far as the time allows: how many, and in which time."""
    numbers = itertools.count()
    barrier = threading.Barrier(threads + 1)

    def work() -> float:
        barrier.wait()
        deadline = time.perf_counter() + seconds
        done = 0.0
        while next(numbers) < calls:
            done += call()
            if time.perf_counter() > deadline:
                break
        return done

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        barrier.wait()
        begun = time.perf_counter()
        done = sum(future.result() for future in futures)
        return done, time.perf_counter() - begun


def fill(client: Any, url: str, depth: int) -> int:
    """Send so many messages, as far as the time allows; how many."""
    call = make_call(client, url, "batch")
    return round(10 * burst(call, 4 if depth > 100 else 1, depth // 10, _FILL_SECONDS)[0])


def run(options: argparse.Namespace) -> Report:
    """All endpoints at once, burst by burst."""
    report = Report("servers")
    depths = (10, options.depth)
    cases = [Case(*case) for case in itertools.product(CALLS, (1, 8), depths)]
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
                        f" {_FILL_SECONDS:.0f} s"
                    )
        for number in range(options.rounds):
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
    # Depth and threads outside: a send, a batch and a cycle of the same kind keep the balance.
    for case in sorted(cases, key=lambda case: (case.depth, case.threads)):
        for subject in (*subjects[start:], *subjects[:start]):
            if not (subject.is_slow and number >= 2):
                begun = time.perf_counter()
                subject.measure(case, calls * _SHARES[case.call] // 100)
                taken[subject.name] += time.perf_counter() - begun
    for subject in subjects:
        subject.is_slow |= taken[subject.name] > _SLOW_SECONDS


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
            shallow = case._replace(depth=10)
            yield str(case), ratio(subject.rate(case), subject.rate(shallow))


def parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    made = reports.parser("Calls per second of one boto3 client program on every endpoint.")
    made.add_argument("--rounds", type=int, default=7, help="turns of all endpoints")
    made.add_argument("--calls", type=int, default=100, help="sends in one burst")
    made.add_argument("--depth", type=int, default=10_000, help="messages in the full queue")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
