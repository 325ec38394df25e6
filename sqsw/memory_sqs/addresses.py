"""The file and the HTTP address of the embedded SQS."""

import os
from typing import Final

#: the address of the HTTP server; the port is ElasticMQ's, so settings for ElasticMQ work
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9324

#: the default file of the embedded SQS
DEFAULT_PATH: Final = ".sqsw/local.db"


def local_path(value: str | None) -> str | None:
    """Return the file that a value of ``SQSW_LOCAL`` or ``--local`` names; None if it means off.

    ``1``, ``true``, ``yes``, and ``on`` mean ``.sqsw/local.db``. ``0``, ``false``, ``no``, ``off``,
    and an empty string mean off. ``~`` is expanded here, because programs that read env files do
    not expand it.
    """
    word = (value or "").lower()
    if value is None or word in ("", "0", "false", "no", "off"):
        return None
    return DEFAULT_PATH if word in ("1", "true", "yes", "on") else os.path.expanduser(value)


def check_server_installed() -> None:
    """Check that the HTTP server of the embedded SQS can be imported.

    Raises
    ------
    SettingsError
        uvicorn is not installed.
    """
    from importlib.util import find_spec

    if find_spec("uvicorn") is None:
        from sqsw.core.errors import SettingsError

        raise SettingsError(
            "the HTTP server of the embedded SQS needs the package uvicorn",
            why="it is not installed",
            next="pip install 'sqsw[serve]'",
        )


def serve_address(host: str, port: int) -> str:
    """Return the URL that clients use for a server on this host and port."""
    from sqsw.local.http.server import reachable

    return f"http://{reachable(host)}:{port}"
