"""The HTTP endpoints ``/live``, ``/ready``, ``/health`` and ``/metrics`` of a worker."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from sqsw.core.errors import Busy, SettingsError
from sqsw.observe.health import Health
from sqsw.observe.http import HealthServer
from sqsw.observe.metrics import Metrics


def server_on(port: int = 0, *allow_hosts: str) -> HealthServer:
    health = Health()
    return HealthServer("127.0.0.1", port, health, Metrics(health), allow_hosts=allow_hosts)


@pytest.fixture(scope="module")
def server() -> Iterator[HealthServer]:
    with server_on(0, "worker") as made:
        yield made


def ask(
    server: HealthServer, path: str, headers: Mapping[str, str], method: str = "GET"
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "worker:8080"])
def test_probes_and_scrapers_are_answered(server: HealthServer, host: str) -> None:
    assert ask(server, "/metrics", {"Host": host})[0] == 200
    status, text = ask(server, "/ready", {"Host": host, "User-Agent": "kube-probe/1.31"})
    assert status == 503
    assert "no worker has started" in text
    assert ask(server, "/live", {"Host": host}) == (200, '{"status": "ok"}')


@pytest.mark.parametrize("path", ["/live", "/health", "/ready", "/metrics", "/other"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_requests_from_web_pages_are_refused(
    server: HealthServer, path: str, headers: dict[str, str]
) -> None:
    status, text = ask(server, path, headers)
    assert status == 403
    assert "web page" in text or "page of another site" in text


def test_the_query_is_ignored_and_head_has_no_body(server: HealthServer) -> None:
    assert ask(server, "/metrics?name[]=sqsw_jobs", {})[0] == 200
    assert ask(server, "/metrics", {}, "HEAD") == (200, "")
    assert ask(server, "/health", {}, "POST")[0] == 501


def test_silent_clients_do_not_block_a_probe() -> None:
    with server_on() as server, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 30))
            for _ in range(120)
        ]
        began = time.monotonic()
        assert ask(server, "/health", {})[0] == 200
        assert time.monotonic() - began < 2
        assert silent[0].recv(1) == b""  # the oldest connection was closed


def test_a_process_out_of_file_descriptors_answers_when_some_are_free() -> None:
    code = """
import resource, socket, time
from sqsw.observe.health import Health
from sqsw.observe.http import HealthServer
from sqsw.observe.metrics import Metrics

health = Health()
with HealthServer("127.0.0.1", 0, health, Metrics(health)) as server:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    client = socket.create_connection(("127.0.0.1", server.port), 30)
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        pass
    client.sendall(b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    began = time.process_time()
    time.sleep(1)
    assert time.process_time() - began < 0.3
    del held
    print(client.recv(15).decode())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "HTTP/1.1 200 OK\n", done.stderr


def test_the_server_stops_in_time_while_a_client_is_connected() -> None:
    with server_on() as server:
        client = socket.create_connection(("127.0.0.1", server.port), 30)
        assert ask(server, "/health", {})[0] == 200  # so the client was accepted before
        began = time.monotonic()
    assert time.monotonic() - began < 3
    client.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), 30)


def test_a_port_in_use_and_a_bad_host_are_errors(server: HealthServer) -> None:
    with pytest.raises(Busy):
        server_on(server.port)
    with pytest.raises(SettingsError, match="is not a host name"):
        server_on(0, "http://worker")
