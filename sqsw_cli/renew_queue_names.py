"""A child process that saves the names of all queues for completion."""

import json
import sys
from pathlib import Path

from sqsw_cli.completing.memory import Remembered
from sqsw_cli.environment import opened
from sqsw_cli.invocation import Invocation


def main() -> None:
    where, path = sys.argv[1:]
    memory = Remembered("queues", None)
    memory.path = Path(path)
    with opened(Invocation(quiet=True, **json.loads(where))) as env:
        memory.write(sorted(env.get_all_known_queues()))


if __name__ == "__main__":
    main()
