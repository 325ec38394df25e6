"""Health checks from another process."""

import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sqsw.core.errors import SettingsError
from sqsw.core.events import Pulse
from sqsw.observe.health import Health
from sqsw.observe.health_check import HealthAnswer, ask_worker, check_health_file
from sqsw.observe.http import HealthServer
from sqsw.observe.metrics import Metrics

PULSE = Pulse(1, 8, 2, {"a": 3}, 100, 500, 30, True, None)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Serve this answer from a server that is not a worker."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_worker_reports_whether_it_is_live_and_ready() -> None:
    health = Health()
    with HealthServer("127.0.0.1", 0, health, Metrics(health)) as server:
        url = f"http://127.0.0.1:{server.port}"
        for asked in (url, f"{url}/", f"{url}/live"):
            assert ask_worker(asked) == HealthAnswer(f"{url}/live", True)
        ready = ask_worker(f"{url}/ready")
        assert (ready.healthy, ready.reason, ready.code) == (False, "not_started", None)
        health(PULSE)
        assert ask_worker(f"{url}/ready").healthy
        unknown = ask_worker(f"{url}/lives")
        assert (unknown.healthy, unknown.reason) == (False, "http_404")
    assert ask_worker(url).reason == "no_answer"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"text"', b"\xff"])
def test_an_error_of_another_server_is_shown_by_its_status(body: bytes) -> None:
    with answering(502, body) as url:
        answer = ask_worker(url)
    assert (answer.reason, answer.error) == ("http_502", "the answer was HTTP 502")


def test_a_server_that_does_not_answer_in_time_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        answer = ask_worker(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
    assert time.monotonic() - begun < 10
    assert (answer.reason, answer.error) == ("no_answer", "no answer: timed out")


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1", "http://", "http://a:b", "http://[x", "a:1"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is not the URL of a worker"):
        ask_worker(url)


def test_a_password_in_a_url_is_not_shown() -> None:
    assert ask_worker("http://ann:secret@127.0.0.1:1/live").target == "http://127.0.0.1:1/live"
    with pytest.raises(SettingsError) as caught:
        ask_worker("https://ann:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


def test_a_file_is_healthy_while_it_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "healthy"
    assert check_health_file(str(file)).reason == "no_answer"
    file.touch()
    assert check_health_file(str(file)) == HealthAnswer(str(file), True)
    os.utime(file, (0, time.time() - 31))
    answer = check_health_file(str(file))
    assert (answer.healthy, answer.reason) == (False, "stale")
    assert answer.error is not None and "31 seconds ago" in answer.error
