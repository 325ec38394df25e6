"""``python -m sqsw_cli`` is ``sqsw``."""

import os
import sys


def _forget_directory() -> None:
    """Do not import from the current directory, except for commands that load an app.

    ``python -m`` puts that directory first. A checkout that is not installed needs it there.
    """
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        here = os.getcwd()
    except FileNotFoundError:  # removed meanwhile
        return
    if not sys.flags.safe_path and sys.path[0] == here != checkout:
        del sys.path[0]


if __name__ == "__main__":
    _forget_directory()
    from sqsw_cli.main import run

    run()
