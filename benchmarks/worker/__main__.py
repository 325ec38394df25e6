"""Compare workers on an endpoint that costs almost nothing.

    python -m benchmarks.worker [SCENARIO ...] [--pairs N] [--jobs N]

Without SCENARIO, all scenarios run. The contestants of a scenario run in turn, so other load on the
machine affects all of them. Figures are medians. Ratios compare neighboring runs, and are printed
as a median with the lowest and the highest.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence

from benchmarks.worker import embedded, endurance, headroom, measure, peers, sending
from benchmarks.worker.measure import Endpoint, Figures

_HERE = "benchmarks.worker.contestants"


def python(name: str, *arguments: str, queue: str = "bench") -> list[str]:
    """Return the command of a contestant."""
    return [sys.executable, "-m", f"{_HERE}.{name}", queue, *arguments]


def sqsw_work(*options: str) -> list[str]:
    """Return a ``sqsw work`` command."""
    app = f"{_HERE}.sqsw_app:env"
    return [sys.executable, "-m", "sqsw_cli", "work", "-q", *options, app]


def interleaved(
    runs: dict[str, Callable[[], Figures]], pairs: int, ideal: float | None = None
) -> None:
    """Run all in turn, ``pairs`` times, and compare them with the first one."""
    figures: dict[str, list[Figures]] = {name: [] for name in runs}
    for _ in range(pairs):
        for name, run in runs.items():
            figures[name].append(run())
    base = next(iter(runs))
    print(f"| | jobs/s | rate x {base} | CPU us | CPU x {base} | calls per job | MB |"
          + (" of ideal |" if ideal else ""))  # fmt: skip
    print("|---" * (8 if ideal else 7) + "|")
    for name, found in figures.items():
        rates = [f.rate / b.rate for f, b in zip(found, figures[base], strict=True)]
        costs = [f.cpu_us / b.cpu_us for f, b in zip(found, figures[base], strict=True)]
        cells = [
            name,
            f"{median([f.rate for f in found]):.0f}",
            spread(rates),
            f"{median([f.cpu_us for f in found]):.0f}",
            spread(costs),
            f"{median([f.calls_a_job for f in found]):.3f}",
            f"{median([f.megabytes for f in found]):.0f}",
        ]
        if ideal:
            cells.append(spread([f.rate / ideal for f in found]))
        disorder = sum(f.disorder for f in found)
        print("| " + " | ".join(cells) + " |" + (f" {disorder} OUT OF ORDER" if disorder else ""))
    print(flush=True)


median = statistics.median


def spread(values: Sequence[float]) -> str:
    """Return a median with its range."""
    return f"{median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


class Scenarios:
    """Each method is a scenario; its first line is its title."""

    def __init__(self, endpoint: Endpoint, options: argparse.Namespace) -> None:
        self.endpoint = endpoint
        self.pairs: int = options.pairs
        self.jobs: int = options.jobs
        self.peers_python: str = options.peers_python
        self.node_modules: str | None = options.node_modules

    def _drain(self, command: list[str], jobs: int, **more: object) -> Callable[[], Figures]:
        return lambda: measure.drain(self.endpoint, command, jobs, **more)  # type: ignore[arg-type]  # handed on

    def noop(self) -> None:
        """Jobs that do nothing: one process, concurrency 8."""
        runs = {
            "raw loop": self._drain(python("raw_loop"), self.jobs),
            "sqsw": self._drain(python("sqsw_library", "slots=8"), self.jobs),
            "raw loop again": self._drain(python("raw_loop"), self.jobs),
        }
        interleaved(runs, self.pairs)

    def peers(self) -> None:
        """Jobs that do nothing: the command line of sqsw, and other workers; fewer jobs."""
        jobs = min(self.jobs, 3000)
        runs = {
            "raw loop": self._drain(python("raw_loop"), jobs),
            "sqsw": self._drain(python("sqsw_library", "slots=8"), jobs),
            "sqsw work": self._drain(sqsw_work("-c", "8"), jobs),
        }
        for name, (command, prepare) in peers.found(self.peers_python, self.node_modules).items():
            runs[name] = self._drain(command, jobs, prepare=prepare)
        interleaved(runs, self.pairs)

    def sleeping(self) -> None:
        """Jobs that sleep 20 ms, 32 slots, latency 0 and 15 ms."""
        for latency in (0.0, 0.015):
            print(f"latency {latency * 1000:.0f} ms\n")
            more = {"latency": latency}
            options = ("slots=32", "sleep=0.02")
            runs = {
                "raw pool": self._drain(python("raw_pool", *options), self.jobs, **more),
                "sqsw": self._drain(python("sqsw_library", *options), self.jobs, **more),
            }
            interleaved(runs, self.pairs, ideal=1600)

    def coroutines(self) -> None:
        """Coroutines that sleep 200 ms, 1000 slots."""
        jobs = max(self.jobs, 20_000)
        options = ("slots=1000", "sleep=0.2", "async=1")
        runs = {
            "raw loop, no-op": self._drain(python("raw_loop"), jobs),
            "sqsw": self._drain(python("sqsw_library", *options), jobs),
        }
        interleaved(runs, self.pairs, ideal=5000)

    def fifo(self) -> None:
        """FIFO, 100 groups, jobs that do nothing, order verified at the endpoint."""
        name = "bench.fifo"
        more = {"queue": name, "groups": 100}
        runs = {
            "raw loop": self._drain(python("raw_loop", queue=name), self.jobs, **more),
            "sqsw": self._drain(python("sqsw_library", "slots=8", queue=name), self.jobs, **more),
        }
        interleaved(runs, self.pairs)

    def processes(self) -> None:
        """Jobs of 5 ms of processor time: one process, and two."""
        os.environ["BENCHMARK_JOB"] = "busy=0.005"
        jobs = min(self.jobs, 3000)
        runs = {
            "one process": self._drain(sqsw_work("-c", "4"), jobs),
            "two processes": self._drain(sqsw_work("-c", "4", "--processes", "2"), jobs),
        }
        interleaved(runs, self.pairs)

    def endurance(self) -> None:
        """A million jobs that do nothing through one worker; runs only if named."""
        endurance.show(self.endpoint, python("sqsw_library", "slots=8"), 1_000_000)

    def start(self) -> None:
        """Seconds from the start of a process to its first job."""
        commands = {
            "raw loop": python("raw_loop"),
            "sqsw": python("sqsw_library"),
            "sqsw work": sqsw_work(),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(max(5, self.pairs)):
            for name, command in commands.items():
                found[name].append(measure.start(self.endpoint, command))
        base = found["raw loop"]
        for name, runs in found.items():
            wall = spread([run[0] / b[0] for run, b in zip(runs, base, strict=True)])
            cpu = spread([run[1] / b[1] for run, b in zip(runs, base, strict=True)])
            seconds = median([run[0] for run in runs])
            print(f"{name}: {seconds:.2f} s, x raw loop {wall}; processor x raw loop {cpu}")
        print(flush=True)

    def idle(self) -> None:
        """A worker with an empty queue: calls per minute, processor time, memory."""
        for name, command in {
            "raw loop": python("raw_loop"),
            "sqsw": python("sqsw_library"),
            "sqsw work": sqsw_work(),
        }.items():
            calls, percent, megabytes = measure.idle(self.endpoint, command, 60)
            print(f"{name}: {calls:.1f} calls per minute, {percent:.2f} % CPU, {megabytes:.1f} MB")
        print(flush=True)

    def sends(self) -> None:
        """Sends one by one and in batches, in turn in one process."""
        sending.compare(self.endpoint, self.pairs)

    def embedded(self) -> None:
        """The CPU time to send a job to a MemorySession and run it, one job at a time."""
        embedded.compare(self.pairs)

    def headroom(self) -> None:
        """The rate of the endpoint itself, with a client that costs almost nothing."""
        headroom.show(self.endpoint)


NAMES = (
    *("headroom", "noop", "sleeping", "coroutines", "fifo", "sends", "embedded"),
    *("start", "idle", "processes", "peers"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument(
        "scenario",
        nargs="*",
        choices=[*NAMES, "endurance", []],
        help=", ".join([*NAMES, "endurance"]),
    )
    parser.add_argument("--pairs", type=int, default=10, help="runs of each contestant (10)")
    parser.add_argument("--jobs", type=int, default=8000, help="jobs per run (8000)")
    parser.add_argument(
        "--peers-python",
        default=sys.executable,
        metavar="FILE",
        help="Python with celery[sqs], dramatiq-sqs, taskiq-aio-sqs or sqs-workers",
    )
    parser.add_argument(
        "--node-modules", metavar="DIR", help="where sqs-consumer and @aws-sdk/client-sqs are"
    )
    options = parser.parse_args()
    endpoint = Endpoint()
    try:
        scenarios = Scenarios(endpoint, options)
        for name in options.scenario or NAMES:
            scenario = getattr(scenarios, name)
            print(f"## {name}: {scenario.__doc__}\n", flush=True)
            scenario()
    finally:
        endpoint.stop()


if __name__ == "__main__":
    main()
