"""Where the embedded SQS is: the file that is meant, the address under which it is served."""

import os
from typing import Final

#: where the embedded SQS is served; the port is that of ElasticMQ, so that settings for it fit
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9324

#: the file of the embedded SQS where none is named
DEFAULT_PATH: Final = ".sqsw/local.db"


def local_path(value: str | None) -> str | None:
    """The file that a value of ``SQSW_LOCAL`` or ``--local`` names; None: not local.

    ``1`` (or ``true``, ``yes``, ``on``) stands for ``.sqsw/local.db``; the empty text and ``0``
    (or ``false``, ``no``, ``off``) for off. A ``~`` is the home directory, since files of variables
    are read by programs that leave it as it is.
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
    """The address under which clients reach an endpoint on this host and port."""
    from sqsw.local.http.server import reachable

    return f"http://{reachable(host)}:{port}"
