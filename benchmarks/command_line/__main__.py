"""Measure how much longer the command line takes than programs that do the same without it."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import reports
from benchmarks.processes import ROOT, surroundings
from benchmarks.reports import Cell, Report, Table, at_least, below, median
from benchmarks.worker.measure import Endpoint

_HERE = Path(__file__).parent
_AWSCLI = ROOT / ".ci" / "cache" / "clients" / "python" / "bin" / "python"
#: concurrent requests of ``send --from``, as in sqsw.sqs_manage.send_many.send_messages
_THREADS = 4

_PASS, _HELP, _AWS = "python -c pass", "sqsw --help", "aws --version"
_SEND, _SEND_BOTO3 = "sqsw send", "send by boto3"
_LINES, _LINES_BOTO3 = "sqsw send --from -", "lines by boto3"


@dataclass(frozen=True)
class Cost:
    """The time of one process, from its start to its end."""

    seconds: float
    cpu_seconds: float


Found = Mapping[str, Sequence[Cost]]


def sqsw(*words: str) -> list[str]:
    """Return the installed command, or the module if it is not installed."""
    script = Path(sys.executable).with_name("sqsw")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "sqsw_cli"]
    return [*command, *words]


def by_hand(program: str, *words: str) -> list[str]:
    """Return a program that does the same with boto3."""
    return [sys.executable, str(_HERE / program), *words]


def awscli(name: str, *words: str) -> dict[str, list[str]]:
    """Return version 1 of the aws command, which is a Python program too."""
    if not _AWSCLI.exists():
        print(f"absent: {name} (no {_AWSCLI}; run benchmarks/setup)")
        return {}
    return {name: [str(_AWSCLI), "-m", "awscli", *words]}


class Turns:
    """Runs commands in turns against one endpoint."""

    def __init__(self, endpoint: Endpoint, rounds: int) -> None:
        self._endpoint = endpoint
        self.address = endpoint.address
        self._rounds = rounds
        # Measure the checkout, and keep its bytecode, as for an installed package.
        self._environment = {
            name: value
            for name, value in endpoint.environment().items()
            if name in surroundings() or name.startswith("AWS_")
        } | {"PYTHONPATH": str(ROOT)}

    def run(self, commands: Mapping[str, Sequence[str]], lines: Path | None = None) -> Found:
        """Return the costs of each command by round, after a first run that writes bytecode.

        Parameters
        ----------
        lines :
            A file that each command reads through a pipe.
        """
        found: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(self._rounds + 1):
            for name, command in commands.items():
                self._endpoint.control("reset")
                with _piped(lines) as stdin:
                    cost = self._cost(command, stdin)
                if number:
                    found[name].append(cost)
        return found

    def _cost(self, command: Sequence[str], stdin: int) -> Cost:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.DEVNULL, env=self._environment, cwd=ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return Cost(seconds, usage.ru_utime + usage.ru_stime)


@contextmanager
def _piped(path: Path | None) -> Iterator[int]:
    """Yield the end of a pipe to read a file from; without a path, the pipe is empty."""
    with subprocess.Popen(["cat", str(path or os.devnull)], stdout=subprocess.PIPE) as feeder:
        assert feeder.stdout is not None
        yield feeder.stdout.fileno()


def start(turns: Turns, options: argparse.Namespace) -> Report:
    """Measure commands that do little after the start."""
    found = turns.run(
        {
            _PASS: [sys.executable, "-c", "pass"],
            "python -c 'import click'": [sys.executable, "-c", "import click"],
            _HELP: sqsw("--help"),
            "sqsw send --help": sqsw("send", "--help"),
            **awscli(_AWS, "--version"),
        }
    )
    return Report(
        "start",
        [_table("start", found, _PASS)],
        [
            below(
                "--help: at most 5 times python -c pass", _times(found, _HELP, _PASS), 5.0, "times"
            ),
            below(
                "--help: at most half of aws --version", _times(found, _HELP, _AWS), 0.5, "times"
            ),
        ],
    )


def send(turns: Turns, options: argparse.Namespace) -> Report:
    """Measure sending one message."""
    attributes = {"JobName": {"DataType": "String", "StringValue": "send_email"}}
    found = turns.run(
        {
            _SEND_BOTO3: by_hand("send_one.py"),
            _SEND: sqsw("send", "emails", "send_email", "to=user@example.com", "subject=Hello"),
            **awscli(
                "aws sqs send-message",
                *(
                    "sqs",
                    "send-message",
                    "--endpoint-url",
                    turns.address,
                    "--queue-url",
                    f"{turns.address}/0/emails",
                    "--message-body",
                    "{}",
                ),
                *("--message-attributes", json.dumps(attributes)),
            ),
        }
    )
    goal = below("send: at most 1.3 times boto3", _times(found, _SEND, _SEND_BOTO3), 1.3, "times")
    return Report("send", [_table("one message", found, _SEND_BOTO3)], [goal])


def lines(turns: Turns, options: argparse.Namespace) -> Report:
    """Measure sending many lines through a pipe."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lines.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(options.lines):
                line = {"to": f"user{number}@example.com", "subject": "Hello", "number": number}
                file.write(json.dumps(line) + "\n")
        found = turns.run(
            {
                _LINES_BOTO3: by_hand("send_lines.py", str(_THREADS)),
                _LINES: sqsw("send", "emails", "send_email", "--from", "-"),
                f"{_LINES} --keep-going": sqsw(
                    *("send", "emails", "send_email", "--from", "-", "--keep-going")
                ),
            },
            path,
        )
    rates = _times(found, _LINES_BOTO3, _LINES)
    return Report(
        "lines",
        [_table(f"{options.lines} lines, {_THREADS} concurrent requests", found, _LINES_BOTO3)],
        [at_least("lines: at least 0.9 of the rate of boto3", rates, 0.9)],
    )


PARTS = {"start": start, "send": send, "lines": lines}


def _table(title: str, found: Found, base: str) -> Table:
    """Return a table of seconds, and their ratios to the base in the same round."""
    columns = ["", "seconds", "least", "most", "times", "least", "most", "CPU s", "CPU times"]
    rows: list[list[Cell]] = []
    for name, costs in found.items():
        walls = [cost.seconds for cost in costs]
        times = [a.seconds / b.seconds for a, b in zip(costs, found[base], strict=True)]
        cpu = [a.cpu_seconds / b.cpu_seconds for a, b in zip(costs, found[base], strict=True)]
        rows.append(
            [
                *(name, median(walls), min(walls), max(walls)),
                *(median(times), min(times), max(times)),
                *(median(cost.cpu_seconds for cost in costs), median(cpu)),
            ]
        )
    return Table(f"{title}; times: compared with {base!r} in the same round", columns, rows)


def _times(found: Found, name: str, base: str) -> list[tuple[str, float | None]]:
    """Return the median ratio to the base in the same round; None if one is absent."""
    pairs = zip(found.get(name, ()), found.get(base, ()), strict=False)
    return [(f"of {base}", median(own.seconds / other.seconds for own, other in pairs))]


def run(options: argparse.Namespace) -> Report:
    """Run all parts, one after the other."""
    whole = Report("command_line")
    endpoint = Endpoint()
    try:
        for name in options.only or PARTS:
            rounds = options.rounds if name != "lines" else options.rounds_of_lines
            report = PARTS[name](Turns(endpoint, rounds), options)
            whole.tables += report.tables
            whole.goals += report.goals
    finally:
        endpoint.stop()
    return whole


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser("Start, one message, many lines.", f"parts: {', '.join(PARTS)}")
    made.add_argument("--rounds", type=int, default=15, help="rounds of start and of one message")
    made.add_argument("--rounds-of-lines", type=int, default=5, help="rounds of many lines")
    made.add_argument("--lines", type=int, default=100_000, help="lines in each round")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
