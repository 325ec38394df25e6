"""Turn file names into jobs: NUL-separated names on stdin, one JSON object per line on stdout.

``find … -print0 | python survey_jobs.py | sqsw send sources measure --from -``

A file name can contain quotes, newlines and bytes that are not UTF-8, but no NUL byte. json.dumps
escapes quotes and newlines. JSON cannot contain a name that is not UTF-8, so such a name is skipped
with a note.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice


def main() -> None:
    """Write a line for each name, up to the number in the first argument."""
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else len(names)
    for path in islice(readable(names), limit):
        # Absolute, because a worker can run in another directory.
        print(json.dumps({"path": os.path.abspath(path)}))


def readable(names: list[bytes]) -> Iterator[str]:
    """Decode the names that are UTF-8, and report the others on stderr."""
    for name in names:
        try:
            yield name.decode()
        except UnicodeDecodeError:
            print(f"skipped, because its name is not UTF-8: {name!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
