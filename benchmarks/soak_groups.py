"""Kill and stop workers of a FIFO queue with many failing jobs, and account for every job.

    python -m benchmarks.soak_groups --minutes 5

Three workers read 100 message groups from a queue in a file. 20 % of the jobs always fail, and 20 %
fail twice. Every 5 seconds a worker gets SIGTERM, every 20 seconds one is killed; both are started
again. Exits 0 if no job was lost, no job was dead-lettered before it ran, each group kept its
order, and each dead letter has its reason unless a kill explains why it is missing.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from sqsw import LocalSession, SQSEnv
from sqsw.core.job_metadata import metadata_of
from tests.fault_proxy import ROOT

GROUPS, WORKERS, TERM_SECONDS, KILL_SECONDS = 100, 3, 5.0, 20.0

#: jobs in the queue at a time, so each group always has some
WAITING = 400

_APP = """
import os
from sqsw import SQSEnv
from sqsw.backoff_policies import ConstantBackoff

env = SQSEnv(backoff_policy=ConstantBackoff(1), max_attempts=3)

def note(what, key):
    file = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{what} {key}\\n".encode())
    os.close(file)

@env.processor("jobs.fifo", "step")
def step(key, fails):
    from sqsw import current_job
    note("start", key)
    if fails == "always" or (fails == "twice" and current_job().attempt < 3):
        raise ValueError(fails)
    note("done", key)
"""


class Worker:
    """A ``sqsw work`` that is started again whenever it has ended."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.start()

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SQSW_CONFIG": "none",
            "SQSW_LOCAL": str(self.folder / "sqs.db"),
        }
        options = ("--concurrency", "8", "--drain-timeout", "10s", "--log-format", "json")
        with (self.folder / f"log-{self.number}").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sqsw_cli", "work", "app:env", *options],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def keep_alive(self) -> None:
        if self.process.poll() is not None:
            self.start()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak_groups", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-groups-") as name:
        sys.exit(1 if run(Path(name), options.minutes * 60, random.Random(options.seed)) else 0)


def run(folder: Path, seconds: float, chance: random.Random) -> int:
    """Run the test in a directory; return the number of faults."""
    (folder / "app.py").write_text(_APP)
    (folder / "ledger").touch()
    session = LocalSession(folder / "sqs.db")
    env = SQSEnv(session)
    client = session.client("sqs")
    client.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
    policy = {"deadLetterTargetArn": env.get_queue_arn("dead.fifo"), "maxReceiveCount": 12}
    attributes = {
        "FifoQueue": "true",
        "VisibilityTimeout": "10",
        "RedrivePolicy": json.dumps(policy),
    }
    client.create_queue(QueueName="jobs.fifo", Attributes=attributes)
    sent: list[str] = []
    workers = [Worker(folder, number) for number in range(WORKERS)]
    begin = now = time.monotonic()
    next_term, next_kill, kills, terms = begin + TERM_SECONDS, begin + KILL_SECONDS, 0, 0
    while now - begin < seconds or _open(env):
        if now - begin < seconds:
            while _open(env) < WAITING:
                _send(env, sent, chance)
            if now >= next_term:
                next_term, terms = next_term + TERM_SECONDS, terms + 1
                chance.choice(workers).process.send_signal(signal.SIGTERM)
            if now >= next_kill:
                next_kill, kills = next_kill + KILL_SECONDS, kills + 1
                chance.choice(workers).process.kill()
        elif now - begin > seconds + 300:
            print("the queue did not become empty")
            break
        for worker in workers:
            worker.keep_alive()
        time.sleep(0.2)
        now = time.monotonic()
    for worker in workers:
        worker.process.terminate()
        worker.process.wait()
    print(f"{len(sent)} jobs, {terms} SIGTERM, {kills} kills", flush=True)
    return _account(env, sent, (folder / "ledger").read_text().splitlines(), kills)


def _open(env: SQSEnv) -> int:
    attributes = env.queue("jobs.fifo").client.attributes("All")
    return sum(int(number) for name, number in attributes.items() if name.startswith("Approximate"))


def _send(env: SQSEnv, sent: list[str], chance: random.Random) -> None:
    queue = env.queue("jobs.fifo")
    with queue.add_batch():
        for group in chance.sample(range(GROUPS), 50):
            key = f"{group}-{len(sent)}"
            fails = chance.choices(["always", "twice", "never"], [20, 20, 60])[0]
            queue.add_job(
                "step", key=key, fails=fails, _group_id=f"g{group}", _deduplication_id=key
            )
            sent.append(key)


def _account(env: SQSEnv, sent: list[str], ledger: list[str], kills: int) -> int:
    letters = list(env.queue("dead.fifo").client.peek() or ())
    dead = {json.loads(each.body)["key"]: metadata_of(each).dead for each in letters}
    starts: dict[str, list[int]] = defaultdict(list)
    done: set[str] = set()
    for number, line in enumerate(ledger):
        what, _, key = line.partition(" ")
        if what == "start":
            starts[key].append(number)
        else:
            done.add(key)
    lost = [key for key in sent if key not in done and key not in dead]
    unrun = [key for key in dead if key not in starts]
    bare = [key for key, record in dead.items() if record is None]
    disorder = 0
    last: dict[str, str] = {}
    for key in sent:
        group = key.partition("-")[0]
        before = last.get(group)
        if before is not None and starts[key] and starts[before]:
            disorder += starts[before][-1] > starts[key][0]
        last[group] = key
    twins = len(letters) - len(dead)
    print(
        f"done {len(done)}, dead {len(dead)} ({len(bare)} without a reason, {twins} twins), "
        f"lost {len(lost)}, dead unrun {len(unrun)}, out of order {disorder}"
    )
    # A kill affects at most the 8 jobs that a worker was running on their last receive.
    unexplained = max(0, len(bare) - kills * 8)
    return len(lost) + len(unrun) + disorder + unexplained


if __name__ == "__main__":
    main()
