"""A proxy in front of an SQS endpoint that fails like AWS and networks do, as a separate process.

    python -m tests.fault_proxy UPSTREAM_PORT

It prints its port, and then reads commands from stdin: the name of a fault, ``ok``, or ``mix 0.05``
for a random fault in this share of the requests. It prints each command back when it
applies. ``swallowed`` changes nothing; it is printed back after a request was swallowed.

==========  =====================================================================================
throttle    RequestThrottled
error       500
expired     ExpiredToken
denied      AccessDenied
reset       the connection is reset before SQS gets the request
cut         the connection is reset after SQS has executed the request
half        the same after half of the answer
swallow     no answer, and the connection stays open, even after the fault: data is lost
hang        no answer, until the fault is over; then the connection is reset
refuse      nothing listens
==========  =====================================================================================
"""

import asyncio
import json
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]

ANSWERS = {
    "throttle": (400, "RequestThrottled"),
    "error": (500, "InternalFailure"),
    "expired": (403, "ExpiredToken"),
    "denied": (403, "AccessDenied"),
}
RANDOM = ("throttle", "error", "reset", "cut", "half")


class FaultProxy:
    """Forwards requests one by one, and fails on command."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = 0
        self.fault = "ok"
        self.share = 0.0
        self._server: asyncio.Server | None = None
        self._over = asyncio.Event()
        self._swallowed = asyncio.Event()
        self._connections: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def obey(self, line: str) -> None:
        """Set the current fault."""
        word, _, share = line.partition(" ")
        if word == "swallowed":
            await self._swallowed.wait()
            return
        self._over.set()
        self._over = asyncio.Event()
        if self._server is None:
            await self.listen()
        self.fault, self.share = word, float(share or 1)
        if word == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            for writer in list(self._connections):
                _reset(writer)

    def _next_fault(self) -> str:
        if self.fault != "mix":
            return self.fault
        return random.choice(RANDOM) if random.random() < self.share else "ok"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while not writer.is_closing():
                await self._answer(await _read(reader), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has closed the connection, which is what the proxy is for
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self._next_fault()
        if fault in ANSWERS:
            writer.write(_error(*ANSWERS[fault]))
            await writer.drain()
        elif fault == "reset":
            _reset(writer)
        elif fault == "swallow":
            self._swallowed.set()
            await asyncio.Event().wait()
        elif fault == "hang":
            await self._over.wait()
            _reset(writer)
        else:
            answer = await self._forward(request)
            if fault == "half":
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
            if fault in ("cut", "half"):
                _reset(writer)
            else:
                writer.write(answer)
                await writer.drain()

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request)
            await writer.drain()
            return await _read(reader)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read one request or answer; return its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def _error(status: int, code: str) -> bytes:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "a fault"}).encode()
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/x-amz-json-1.0\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):  # the other side has already closed it
        # The peer sees a reset instead of an orderly close.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """A handle for a running proxy."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._line())
        self.url = f"http://127.0.0.1:{self.port}"

    def be(self, fault: str) -> None:
        """Set the current fault: ``ok`` for none; ``swallowed`` waits for a swallowed request."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{fault}\n")
        self._process.stdin.flush()
        assert self._line() == fault

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def proxying(upstream: int) -> Iterator[Proxy]:
    """Run a proxy in front of this port."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fault_proxy", str(upstream)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Proxy(process)
        finally:
            process.kill()


async def main(upstream: int) -> None:
    proxy = FaultProxy(upstream)
    await proxy.listen()
    print(proxy.port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await proxy.obey(line.strip())
        print(line.strip(), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
