"""Run workers for a long time under many kinds of faults, and account for every job.

    python -m benchmarks.soak --minutes 10

It starts an SQS server, a proxy that throttles and cuts connections, and two workers. The victim
has several processes; they and their supervisor are killed with ``kill -9`` now and then. The
witness is never killed, so its memory, threads and files can be measured. Exits 0 if every job was
done, each job that was done twice is explained, and nothing has grown.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import boto3

from benchmarks.soak_ledger import Ledger, Sample, growth, has_grown, sample_of, share
from tests.fault_proxy import ROOT, Proxy, proxying

#: Kinds of jobs, with their weights.
_KINDS = {"thread": 60, "coroutine": 30, "process": 9, "long": 1}

#: Faults of the proxy: usually a few single faults, at times one kind for some seconds.
_OUTAGES = ("throttle", "error", "reset", "refuse", "hang", "swallow")

_SERVER = """
from sqsw.memory_sqs import serve
import sys
serve(sys.argv[1], port=0, on_ready=lambda server: print(server.port, flush=True))
"""


class Worker:
    """A ``sqsw work`` that is started again whenever it has ended."""

    def __init__(self, folder: Path, name: str, url: str, *options: str) -> None:
        self.folder, self.name, self.url, self.options = folder, name, url, options
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SQSW_CONFIG": "none",
            "SOAK_FOLDER": str(self.folder),
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        with (self.folder / f"log-{self.name}-{self.starts}").open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sqsw_cli", "work", "benchmarks.soak_app:env"),
                    *("--endpoint-url", self.url, "--region", "local", "--json"),
                    *("--visibility-timeout", "10s", *self.options),
                ],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def keep_up(self) -> None:
        if self.process.poll() is not None:
            self.start()


def descendants(pid: int) -> list[int]:
    """Return the descendants of a process, the nearest first."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(path.parent.name))
    found = list(children[pid])
    for child in found:
        found += children[child]
    return found


class Soak:
    """One run, from the first job to the last one."""

    def __init__(self, folder: Path, port: int, proxy: Proxy, rate: float) -> None:
        self.folder, self.proxy, self.rate = folder, proxy, rate
        session = boto3.session.Session("local", "local", region_name="local")
        self.sqs: Any = session.client("sqs", endpoint_url=f"http://127.0.0.1:{port}")
        self.url = self.sqs.create_queue(QueueName="soak")["QueueUrl"]
        self.ledger = Ledger(0)
        self.samples: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
        self.kills = self.outages = 0
        self.victim = Worker(folder, "victim", proxy.url, "-c", "8", "--processes", "2")
        self.witness = Worker(folder, "witness", proxy.url, "-c", "16")

    def run(self, seconds: float) -> None:
        begin = time.monotonic()
        next_kill = begin + random.uniform(5, 15)
        next_outage, outage_ends = begin + random.uniform(10, 20), float("inf")
        self.proxy.be("mix 0.02")
        while (now := time.monotonic()) < begin + seconds:
            self.send(int((now - begin) * self.rate) - self.ledger.sent)
            if now >= next_kill:
                self.kill()
                next_kill = now + random.uniform(5, 20)
            if now >= next_outage:
                self.proxy.be(random.choice(_OUTAGES))
                self.outages += 1
                next_outage, outage_ends = float("inf"), now + random.uniform(1, 8)
            if now >= outage_ends:
                self.proxy.be("mix 0.02")
                next_outage, outage_ends = now + random.uniform(15, 40), float("inf")
            self.watch()
            time.sleep(0.5)
        self.proxy.be("ok")

    def send(self, count: int) -> None:
        for first in range(0, count, 10):
            numbers = range(self.ledger.sent, self.ledger.sent + min(10, count - first))
            kinds = random.choices(list(_KINDS), list(_KINDS.values()), k=len(numbers))
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": f'{{"number": {number}}}',
                    "MessageAttributes": {
                        name: {"DataType": "String", "StringValue": value}
                        for name, value in (
                            *(("ContentType", "json"), ("JobContext", "{}"), ("JobName", kind)),
                        )
                    },
                }
                for number, kind in zip(numbers, kinds, strict=True)
            ]
            answer = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            assert not answer.get("Failed"), answer
            self.ledger.sent += len(numbers)

    def kill(self) -> None:
        """Kill a process of the victim, at times the supervisor."""
        pids = [self.victim.process.pid, *descendants(self.victim.process.pid)]
        chosen = pids[0] if random.random() < 0.2 else random.choice(pids)
        doomed = [chosen, *descendants(chosen)]
        try:
            os.kill(chosen, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills += 1
        # If the supervisor is killed, its workers drain. If a worker is killed, its children die.
        self.ledger.killed.update(dict.fromkeys(doomed, time.time()))

    def watch(self) -> None:
        for worker in (self.victim, self.witness):
            worker.keep_up()
        witness = self.witness.process.pid
        for name, pid in (("witness", witness), ("supervisor", self.victim.process.pid)):
            sample = sample_of(pid)
            if sample is not None:
                self.samples[name, pid].append(sample)

    def drain(self, seconds: float = 120) -> None:
        """Wait until the queue is empty, and stop the workers."""
        deadline = time.monotonic() + seconds
        while self.left() and time.monotonic() < deadline:
            self.watch()
            time.sleep(0.5)
        for worker in (self.victim, self.witness):
            worker.process.terminate()
            worker.process.wait(60)

    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def judge(self) -> bool:
        """Print the results; return whether all is well."""
        self.ledger.read(self.folder)
        missing, twice, left = self.ledger.missing(), self.ledger.twice(), self.left()
        print(f"jobs sent: {self.ledger.sent}; kills: {self.kills}; outages: {self.outages}")
        print(f"never done: {len(missing)} {missing[:20] or ''}; left in the queue: {left}")
        print(share(twice, self.ledger.sent))
        is_well = not missing and not left and all(twice.values())
        for (name, pid), samples in self.samples.items():
            if len(samples) >= 60:
                figures = growth(samples)
                grown = has_grown(figures)
                words = ", ".join(f"{n} {a:g} → {b:g}" for n, (a, b) in figures.items())
                print(f"{name} {pid}, {len(samples) / 2:.0f} s: {words}")
                is_well = is_well and not grown
                for line in grown:
                    print(f"  GROWN: {line}")
        if self.witness.starts > 1:
            print("the witness, which is never killed, ended unexpectedly: see its log")
        return is_well and self.witness.starts == 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=20, help="jobs per second (20)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep logs and ledgers in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(options.keep or made)
        folder.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(folder / "sqs.db")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as server:
            assert server.stdout is not None
            try:
                port = int(server.stdout.readline())
                with proxying(port) as proxy:
                    soak = Soak(folder, port, proxy, options.rate)
                    try:
                        soak.run(options.minutes * 60)
                        soak.drain()
                        is_well = soak.judge()
                    finally:
                        soak.victim.process.kill()
                        soak.witness.process.kill()
            finally:
                server.terminate()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
