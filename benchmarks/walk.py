"""Count the functions of sqsw that a worker calls for one message.

    python -m benchmarks.walk [--list]

One worker runs 10 jobs and another runs 110, on queues in memory. The difference is the work for
100 messages. A function counts if it is called at least once for every two messages. The embedded
SQS and code outside sqsw do not count. The last job stops the worker with SIGTERM, because a
shutdown policy that counts jobs would add its own functions to each message.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from benchmarks import reports
from benchmarks.reports import Cell, Report, Table
from sqsw import MemorySession, SQSEnv, create_standard_queue

_ROOT = Path(__file__).parents[1] / "sqsw"
_FEW, _MANY = 10, 110

#: code of the embedded SQS, which does not count
_BELOW = ("local/", "memory_sqs/")


def entered(jobs: int) -> Counter[CodeType]:
    """Count how often a worker calls each function while it runs this many jobs."""
    env = SQSEnv(MemorySession())
    create_standard_queue(env, "walk")
    done = 0

    @env.processor("walk", "step")
    def step(number: int) -> None:
        nonlocal done
        done += 1
        if done == jobs:
            os.kill(os.getpid(), signal.SIGTERM)

    with step.batch():
        for number in range(jobs):
            step.delay(number=number)
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        env.queue("walk").process_queue(wait_second=1)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs ran")
    return calls


def run(options: argparse.Namespace) -> Report:
    """Report the functions that a long run calls more often than a short one."""
    logging.disable(logging.CRITICAL)
    entered(_FEW)  # imports, and objects that are made once
    few, many = entered(_FEW), entered(_MANY)
    messages = _MANY - _FEW
    per_message = {
        code: (number - few[code]) / messages
        for code, number in many.items()
        if _is_ours(code) and number - few[code] >= messages / 2
    }
    files = {code.co_filename for code in per_message}
    calls = sum(per_message.values())
    row: list[Cell] = ["one message", len(per_message), round(calls), len(files)]
    tables = [Table("called for one message", ["", "functions", "calls", "files"], [row])]
    if options.list:
        found = sorted((_name(code), round(number, 2)) for code, number in per_message.items())
        tables.append(Table("functions", ["", "calls"], found))
    return Report("walk", tables)


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(f"{_ROOT}/") and not _place(code).startswith(_BELOW)


def _place(code: CodeType) -> str:
    return code.co_filename.removeprefix(f"{_ROOT}/")


def _name(code: CodeType) -> str:
    return f"{_place(code)}:{code.co_qualname}"


def parser() -> argparse.ArgumentParser:
    """Return the options of this benchmark."""
    made = reports.parser(__doc__.splitlines()[0])
    made.add_argument("--list", action="store_true", help="list the functions")
    return made


if __name__ == "__main__":
    reports.main(run, parser())
