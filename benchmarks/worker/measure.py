"""Run one contestant against the null endpoint, each in its own process."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_TICK = os.sysconf("SC_CLK_TCK")

#: a job as sqsw and sqs-workers send it
ENTRY = {
    "MessageBody": '{"user": 4711, "text": "Hello, this is a small job like many others"}',
    "MessageAttributes": {
        name: {"DataType": "String", "StringValue": text}
        for name, text in (("ContentType", "json"), ("JobContext", "{}"), ("JobName", "job"))
    },
}


@dataclass(frozen=True)
class Figures:
    """The figures of one run."""

    jobs: int
    seconds: float
    cpu_seconds: float
    calls: dict[str, int]
    megabytes: float
    disorder: int

    @property
    def rate(self) -> float:
        """Jobs per second."""
        return self.jobs / self.seconds

    @property
    def cpu_us(self) -> float:
        """The contestant's processor time per job, in microseconds."""
        return self.cpu_seconds / self.jobs * 1e6

    @property
    def calls_a_job(self) -> float:
        """Calls to SQS per job."""
        return sum(self.calls.values()) / self.jobs


class Endpoint:
    """The null endpoint in a child process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker.endpoint"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self._connection = http.client.HTTPConnection(self.address.removeprefix("http://"))

    def control(self, do: str = "state", queue: str = "bench", **more: Any) -> dict[str, Any]:
        """Make a control request, which is not a call of SQS."""
        body = json.dumps({"do": do, "QueueName": queue, **more})
        self._connection.request("POST", "/control", body)
        found: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return found

    def cpu_seconds(self) -> float:
        """Return the processor time of the endpoint."""
        return cpu_seconds(self.process.pid)

    def environment(self) -> dict[str, str]:
        """Return variables that make boto3 call this endpoint."""
        # Without bytecode files, most of each start would be spent on compiling.
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "BENCHMARK_QUEUE": "bench",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextmanager
def running(endpoint: Endpoint, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a contestant inside the block, then kill it: stopping is not measured."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=endpoint.environment(), start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def drain(
    endpoint: Endpoint,
    command: Sequence[str],
    jobs: int,
    *,
    queue: str = "bench",
    latency: float = 0.0,
    groups: int = 0,
    prepare: Sequence[str] = (),
    warm_up: int = 200,
) -> Figures:
    """Measure a contestant that waits for messages while it processes ``jobs`` messages.

    ``prepare`` is for a contestant with its own message format: this command sends one message, and
    the endpoint copies it.
    """
    endpoint.control("reset", queue, latency=latency)
    if prepare:
        subprocess.run(prepare, cwd=ROOT, env=endpoint.environment(), check=True)
    with running(endpoint, command) as process:
        _wait(endpoint, process, queue, lambda state: state["waiting"] > 0 and not state["left"])
        load: dict[str, Any] = {"groups": groups} if prepare else {"groups": groups, "entry": ENTRY}
        endpoint.control("load", queue, count=warm_up, **load)
        _wait(endpoint, process, queue, lambda state: state["left"] == 0)
        time.sleep(0.3)
        before = cpu_seconds(process.pid)
        endpoint.control("load", queue, count=jobs, **load)
        state = _wait(endpoint, process, queue, lambda state: state["left"] == 0)
        time.sleep(0.1)  # include the work after the last delete
        return Figures(
            jobs=jobs,
            seconds=state["seconds"],
            cpu_seconds=cpu_seconds(process.pid) - before,
            calls=state["calls"],
            megabytes=memory(process.pid),
            disorder=state["disorder"],
        )


def start(
    endpoint: Endpoint, command: Sequence[str], *, queue: str = "bench"
) -> tuple[float, float]:
    """Return the seconds from the start to the first message, and the processor time."""
    endpoint.control("reset", queue)
    endpoint.control("load", queue, count=1, entry=ENTRY)
    begin = time.monotonic()
    with running(endpoint, command) as process:
        state = _wait(endpoint, process, queue, lambda state: state["left"] == 0)
        return float(state["first_taken"]) - begin, cpu_seconds(process.pid)


def idle(
    endpoint: Endpoint, command: Sequence[str], seconds: float, *, queue: str = "bench"
) -> tuple[float, float, float]:
    """Return calls per minute, percent of a core and megabytes of an idle contestant."""
    endpoint.control("reset", queue)
    with running(endpoint, command) as process:
        _wait(endpoint, process, queue, lambda state: state["waiting"] > 0)
        time.sleep(1)
        calls, cpu = endpoint.control(queue=queue)["calls"], cpu_seconds(process.pid)
        time.sleep(seconds)
        made = sum(endpoint.control(queue=queue)["calls"].values()) - sum(calls.values())
        used = cpu_seconds(process.pid) - cpu
        return made * 60 / seconds, used / seconds * 100, memory(process.pid)


def _wait(
    endpoint: Endpoint, process: subprocess.Popen[bytes], queue: str, condition: Any
) -> dict[str, Any]:
    deadline = time.monotonic() + 300
    while True:
        state = endpoint.control(queue=queue)
        if condition(state):
            return state
        if process.poll() is not None:
            raise RuntimeError(f"the contestant ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the contestant makes no progress: {state}")
        time.sleep(0.05)


def things(pid: int) -> tuple[int, int]:
    """Return the numbers of threads and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    threads = int(status.partition("Threads:")[2].split()[0])
    return threads, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants, in steps of 10 ms."""
    total = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def memory(pid: int) -> float:
    """Return the memory of a process and its descendants in megabytes (PSS)."""
    total = 0
    for each in _family(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024
