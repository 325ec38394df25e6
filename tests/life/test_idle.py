"""Waiting receives cost almost nothing: in memory, on a file, and in large numbers on a server."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.backends import wait_until
from tests.life.serving import ROOT, Serving, environment, serving

SECONDS = 4
#: share of one core
MOST = 0.01
CLIENTS = 50

WAIT = f"""
import sys, time
from sqsw.memory_sqs import LocalSession, MemorySession

session = LocalSession(sys.argv[1]) if len(sys.argv) > 1 else MemorySession()
client = session.client("sqs")
url = client.create_queue(QueueName="q")["QueueUrl"]
client.receive_message(QueueUrl=url, WaitTimeSeconds=1)  # whatever is made at the first one
used, begun = time.process_time(), time.monotonic()
assert "Messages" not in client.receive_message(QueueUrl=url, WaitTimeSeconds={SECONDS})
assert time.monotonic() - begun >= {SECONDS}
print(time.process_time() - used)
session.close()
"""


def used_by_one(*arguments: str) -> float:
    """Return the CPU seconds of a process, with all threads, while its only receive waits."""
    done = subprocess.run(
        [sys.executable, "-c", WAIT, *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return float(done.stdout)


def used_so_far(pid: int) -> float:
    """Return the CPU seconds of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_by_a_server(server: Serving) -> float:
    """Return the same for a server with fifty waiting clients."""
    server.client().create_queue(QueueName="q")
    path = f"/000000000000/q?Action=ReceiveMessage&WaitTimeSeconds={SECONDS + 15}"
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            stack.enter_context(server.connect(request))
        wait_until(lambda: server.waiting() == CLIENTS, 60, "the receives to wait")
        time.sleep(0.5)
        before = used_so_far(server.process.pid)
        time.sleep(SECONDS)
        used = used_so_far(server.process.pid) - before
        assert server.waiting() == CLIENTS, "no receive was answered meanwhile"
        return used


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_waiting_uses_less_than_a_hundredth_of_a_core(tmp_path: Path) -> None:
    with (
        serving("--memory") as in_memory,
        serving(f"--local={tmp_path / 'served.db'}") as on_file,
        ThreadPoolExecutor() as pool,
    ):
        used = {
            "one in memory": pool.submit(used_by_one),
            "one on a file": pool.submit(used_by_one, str(tmp_path / "f.db")),
            "fifty on a server in memory": pool.submit(used_by_a_server, in_memory),
            "fifty on a server on a file": pool.submit(used_by_a_server, on_file),
        }
        shares = {name: future.result() / SECONDS for name, future in used.items()}
    print({name: f"{share:.2%}" for name, share in shares.items()})
    assert {name: share for name, share in shares.items() if share >= MOST} == {}
