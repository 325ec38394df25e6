"""``/health``, ``/ready`` and ``/metrics`` of workers over HTTP."""

import http.client
from collections.abc import Iterator, Mapping

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


def ask(server: HealthServer, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "worker:8080"])
def test_probes_and_scrapers_are_answered(server: HealthServer, host: str) -> None:
    assert ask(server, "/metrics", {"Host": host})[0] == 200
    status, text = ask(server, "/ready", {"Host": host, "User-Agent": "kube-probe/1.31"})
    assert status == 503
    assert "no worker has begun" in text


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/other"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_web_pages_are_refused(server: HealthServer, path: str, headers: dict[str, str]) -> None:
    status, text = ask(server, path, headers)
    assert status == 403
    assert "web page" in text or "page of another site" in text


def test_a_port_in_use_and_a_bad_host_are_errors(server: HealthServer) -> None:
    with pytest.raises(Busy):
        server_on(server.port)
    with pytest.raises(SettingsError, match="is not a host name"):
        server_on(0, "http://worker")
