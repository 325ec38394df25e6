"""Check a worker's health from another process, for probes that run a command.

A probe runs every few seconds, so this imports as little as possible, from the standard library
only.
"""

import json
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqsw.core.errors import SettingsError
from sqsw.core.wording import without_password

#: The path for a URL without one.
DEFAULT_PATH = "/live"

#: Seconds after which a health file is old. A worker touches it every 5 seconds.
STALE_SECONDS = 30.0

#: Maximum bytes to read of an answer. A worker's answers are far shorter.
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """The answer of a worker or its health file.

    Attributes
    ----------
    target :
        The URL or the path of the file.
    healthy :
        Whether the answer was 200, or the file was touched less than ``STALE_SECONDS`` ago.
    reason :
        If it is not healthy: the ``reason`` in the answer, as in
        :class:`~sqsw.observe.health.Problem`; ``http_404`` and the like for an answer without one;
        ``no_answer``; or ``stale``.
    error :
        The reason in words.
    code :
        The AWS error code of the last failed receive, if ``/ready`` reported one.
    """

    target: str
    healthy: bool
    reason: str | None = None
    error: str | None = None
    code: str | None = None


def ask_worker(url: str, timeout_seconds: float = 4.0) -> HealthAnswer:
    """Send a request to the server of ``sqsw work --http``.

    Parameters
    ----------
    url :
        A URL such as ``http://127.0.0.1:8080/live``. The default path is ``/live``.
    timeout_seconds :
        Maximum wait for the connection and for each part of the answer.

    Raises
    ------
    SettingsError
        The URL is not an http URL with a host and a valid port.
    """
    import http.client

    url = without_password(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        raise SettingsError(
            f"{url!r} is not the URL of a worker",
            why="it needs the scheme http, a host and a port",
            next="use a URL such as http://127.0.0.1:8080/live",
        )
    path = parts.path if parts.path not in ("", "/") else DEFAULT_PATH
    target = parts._replace(path=path).geturl()
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        status, body = response.status, response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return HealthAnswer(target, False, "no_answer", f"no answer: {text}")
    finally:
        connection.close()
    if status == 200:
        return HealthAnswer(target, True)
    said = _object_in(body)
    return HealthAnswer(
        target,
        False,
        str(said.get("reason") or f"http_{status}"),
        str(said.get("error") or f"the answer was HTTP {status}"),
        said.get("code"),
    )


def check_health_file(path: str) -> HealthAnswer:
    """Check when the worker last touched the file of ``sqsw work --health-file``."""
    try:
        age_seconds = time.time() - os.stat(path).st_mtime
    except OSError as error:
        return HealthAnswer(path, False, "no_answer", f"cannot read the file: {error.strerror}")
    if age_seconds > STALE_SECONDS:
        text = f"the worker last touched the file {age_seconds:.0f} seconds ago"
        return HealthAnswer(path, False, "stale", text)
    return HealthAnswer(path, True)


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:  # from another server
        return {}
    return found if isinstance(found, dict) else {}
