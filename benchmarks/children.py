"""Child processes of a benchmark, and their output."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import ROOT, end, surroundings


@contextmanager
def child(role: str, *arguments: str) -> Iterator["Child"]:
    """Run a process in a role of :mod:`benchmarks.child` inside the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", role, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=surroundings(),
        start_new_session=True,
    )
    try:
        yield Child(process)
    finally:
        end(process)
        assert process.stdout is not None
        process.stdout.close()


class Child:
    """The lines that a process writes, one by one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid

    def __iter__(self) -> "Child":
        return self

    def __next__(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended early: {self._process.args!r}")
        return line
