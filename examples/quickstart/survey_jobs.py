"""Turn file names into jobs: NUL-separated names on stdin, one JSON object a line on stdout.

``find … -print0 | python survey_jobs.py | sqsw send sources measure --from -``

A file name can hold quotes, newlines and bytes that are not UTF-8. NUL is the one byte that it
cannot hold, and json.dumps quotes everything else. A name that is not UTF-8 has no place in JSON,
so it is left out with a note.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice


def main() -> None:
    """Write a line for each name, or for as many as the first argument says."""
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else len(names)
    for path in islice(readable(names), limit):
        # Absolute: a worker can run in another directory.
        print(json.dumps({"path": os.path.abspath(path)}))


def readable(names: list[bytes]) -> Iterator[str]:
    """Decode the names that are UTF-8, and report the others on stderr."""
    for name in names:
        try:
            yield name.decode()
        except UnicodeDecodeError:
            print(f"left out, its name is not UTF-8: {name!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
