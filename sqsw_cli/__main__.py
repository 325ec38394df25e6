"""``python -m sqsw_cli`` is ``sqsw``."""

import os
import sys

if __name__ == "__main__":
    # `python -m` imports from the current directory first. Only commands that load an app do that,
    # and a checkout that is not installed.
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path[0] != checkout:
        del sys.path[0]
    from sqsw_cli.main import run

    run()
