"""Measure the null endpoint with a raw socket client that receives ten and deletes ten."""

import json
import socket
import time

from benchmarks.worker.measure import ENTRY, Endpoint

_JOBS = 50_000


def show(endpoint: Endpoint) -> None:
    """Print jobs per second, and the endpoint's processor time per call."""
    host, _, port = endpoint.address.removeprefix("http://").partition(":")
    endpoint.control("reset")
    endpoint.control("load", count=_JOBS, entry=ENTRY)
    begin, cpu = time.monotonic(), endpoint.cpu_seconds()
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            receive = {"QueueUrl": "/bench", "MaxNumberOfMessages": 10, "AttributeNames": ["All"]}
            messages = _call(connection, "ReceiveMessage", receive).get("Messages")
            if not messages:
                break
            entries = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages)
            ]
            _call(connection, "DeleteMessageBatch", {"QueueUrl": "/bench", "Entries": entries})
    seconds, used = time.monotonic() - begin, endpoint.cpu_seconds() - cpu
    calls = sum(endpoint.control()["calls"].values())
    print(f"{_JOBS / seconds:.0f} jobs/s with one connection that waits for each response")
    print(f"{used / calls * 1e6:.0f} us of its processor time per call: at most "
          f"{calls / used:.0f} calls/s\n", flush=True)  # fmt: skip


def _call(
    connection: socket.socket, action: str, request: dict[str, object]
) -> dict[str, list[dict[str, str]]]:
    body = json.dumps(request).encode()
    connection.sendall(
        b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.%b\r\nContent-Length: %d\r\n\r\n%b"
        % (action.encode(), len(body), body)
    )
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, text = data.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"Content-Length: ")[2])
    while len(text) < length:
        text += connection.recv(65536)
    found: dict[str, list[dict[str, str]]] = json.loads(text)
    return found
