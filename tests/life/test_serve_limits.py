"""Limits on what clients can use: memory, file descriptors, CPU time and log lines."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from sqsw.local.http.app import MAX_BODY_BYTES, MAX_HELD_BYTES
from tests.backends import wait_until
from tests.life.serving import Serving, read_answer, serving

MIB = 1024 * 1024
KEYS = {"SQSW_SERVE_ACCESS_KEY": "AKID", "SQSW_SERVE_SECRET_KEY": "secret"}
HEAD = "POST / HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n"


def resident(running: Serving) -> int:
    """Return the resident memory of the process in bytes."""
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(running: Serving) -> float:
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def connections(running: Serving, count: int) -> Iterator[list[socket.socket]]:
    """Open this many connections, whether or not the server accepts them."""
    with ExitStack() as stack:
        yield [stack.enter_context(running.connect()) for _ in range(count)]


class Senders:
    """Clients that each send a body except for its last byte, all at once."""

    def __init__(self, running: Serving, count: int, header: str = "") -> None:
        self.statuses: list[int] = []
        self._running, self._head = running, HEAD.format(header, MAX_BODY_BYTES).encode()
        self._threads = [threading.Thread(target=self._send) for _ in range(count)]
        self._ending = threading.Event()

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with self._running.connect(self._head) as connection:
            try:
                connection.sendall(bytes(MAX_BODY_BYTES - 1))
                connection.settimeout(0.1)
                while not self._ending.is_set():
                    try:
                        self.statuses.append(int(read_answer(connection).split()[1]))
                        break
                    except TimeoutError:
                        pass
            except OSError:
                self.statuses.append(0)
            self._ending.wait()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read memory")
@pytest.mark.parametrize(
    ("env", "header", "status"),
    [
        (KEYS, "", 403),
        (KEYS, "Authorization: AWS4-HMAC-SHA256 Credential=X/1/r/sqs/aws4_request\r\n", 400),
        ({}, "", 503),
    ],
    ids=["unsigned", "wrong key", "nobody signs"],
)
def test_the_total_size_of_bodies_is_bounded(env: dict[str, str], header: str, status: int) -> None:
    with serving("--memory", env=env) as running:
        running.page("/health")
        before = resident(running)
        held = MAX_HELD_BYTES // MAX_BODY_BYTES if status == 503 else 0
        with Senders(running, 40, header) as senders:
            wait_until(lambda: len(senders.statuses) >= 40 - held, 60, "the refusals")
            assert set(senders.statuses) == {status}
            assert resident(running) - before < MAX_HELD_BYTES + 64 * MIB
            assert "ok" in running.page("/health")
            client = running.client("AKID", "secret")
            url = client.create_queue(QueueName="q")["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody="x" * 4096)
        wait_until(lambda: resident(running) - before < 64 * MIB, 20, "the memory to return")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read CPU time")
@pytest.mark.parametrize("option", ["--memory", "--local=q.db"])
def test_more_connections_than_file_descriptors(tmp_path: Path, option: str) -> None:
    with serving(option, cwd=tmp_path, descriptors=64) as running:
        client = running.client()
        url = client.create_queue(QueueName="q")["QueueUrl"]
        with connections(running, 300):
            used = processor_seconds(running)
            begun = time.monotonic()
            # Idle connections make room for those with requests.
            client.send_message(QueueUrl=url, MessageBody="x")
            assert "ok" in running.page("/health")
            time.sleep(3)
            assert time.monotonic() - begun < 25
            share = (processor_seconds(running) - used) / (time.monotonic() - begun)
            assert share < 0.3
        begun = time.monotonic()
        assert client.receive_message(QueueUrl=url)["Messages"]
        assert "ok" in running.page("/health")
        assert time.monotonic() - begun < 5
        time.sleep(6)
        _, log = running.end()
    events = [line for line in log.splitlines() if "accept_" in line]
    assert ["paused" in line for line in events] == [True, False]
    assert len(log) < 10_000


def test_new_connections_do_not_delay_the_end() -> None:
    with serving("--memory") as running, ExitStack() as stack:
        is_over = threading.Event()

        def flood() -> None:
            with suppress(OSError):
                while not is_over.is_set():
                    stack.enter_context(running.connect())

        thread = threading.Thread(target=flood)
        thread.start()
        time.sleep(0.2)
        begun = time.monotonic()
        code, _ = running.end()
        seconds = time.monotonic() - begun
        is_over.set()
        thread.join()
    assert (code, seconds < 5) == (0, True), seconds


def test_busy_connections_are_not_closed_for_others(tmp_path: Path) -> None:
    with serving("--memory", descriptors=64) as running:
        url = running.client().create_queue(QueueName="q")["QueueUrl"]
        path = url.removeprefix(running.url)
        request = f"GET {path}?Action=ReceiveMessage&WaitTimeSeconds=8 HTTP/1.1\r\nHost: localhost"
        with connections(running, 10) as waiting:
            for connection in waiting:
                connection.sendall(f"{request}\r\n\r\n".encode())
            wait_until(lambda: running.waiting() == 10, 20, "the receives")
            with connections(running, 100):
                assert [b"<ReceiveMessageResult/>" in read_answer(one) for one in waiting] == [
                    True
                ] * 10
