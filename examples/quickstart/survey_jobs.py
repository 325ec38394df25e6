"""Turn file names into jobs: NUL-separated names on stdin, one JSON object a line on stdout.

``find … -print0 | python survey_jobs.py | sqsw send sources measure --from -``

A file name may hold quotes, newlines and bytes that are no UTF-8. NUL is the one byte that it
cannot hold, and json.dumps quotes everything else.
"""

import json
import os
import sys


def main() -> None:
    """Write a line for each name, or for as many as the first argument says."""
    names = sys.stdin.buffer.read().split(b"\0")[:-1]
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else len(names)
    for name in names[:limit]:
        # Absolute: a worker may stand somewhere else. What cannot be decoded becomes a lone
        # surrogate, which JSON can write as \udcXX.
        print(json.dumps({"path": os.path.abspath(os.fsdecode(name))}))


if __name__ == "__main__":
    main()
