"""Run ``sqsw`` as ``python -m sqsw_cli``."""

import os
import sys

if __name__ == "__main__":
    # `python -m` puts the current directory first in sys.path. Only commands that load an app
    # should import from it, unless it is a checkout of sqsw that is not installed.
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path[0] != checkout:
        del sys.path[0]
    from sqsw_cli.main import run

    run()
