"""Run all benchmarks one after the other and print the goals: ``python -m benchmarks``."""

import time

from benchmarks import depth, latency, memory, reports, servers, startup
from benchmarks.processes import end_with_me


def run_all() -> None:
    """Run each benchmark with its defaults."""
    end_with_me()
    options = reports.parser("All benchmarks, and the goals.").parse_args()
    found, begun = [], time.monotonic()
    for module in (startup, servers, depth, memory, latency):
        print(f"\n== {module.__name__}", flush=True)
        defaults = module.parser().parse_args([])
        defaults.only = options.only
        report = module.run(defaults)
        print(report.text(), flush=True)
        found.append(report)
    reports.finish(found, options)
    print(f"{time.monotonic() - begun:.0f} s in all")


if __name__ == "__main__":
    run_all()
