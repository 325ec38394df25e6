"""Database files of older versions, for tests of migrations.

    python -m tests.unit.local.old_files > tests/unit/local/version_1.sql

Only for a version that is not released yet: what a release has written is never made anew.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sqsw.local.engine import LocalEngine
from tests.unit.local.manual import START, Calls, ManualClock

VERSION_1 = Path(__file__).with_name("version_1.sql")
#: the time when the file of version 1 was closed
LEFT_AT = START + 10
_PRAGMAS = ("application_id", "user_version")


def restore(dump: Path, path: Path) -> str:
    """Create a database file from a dump; return the receipt handle in its first line."""
    text = dump.read_text("utf-8")
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA auto_vacuum = INCREMENTAL;" + text)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return text.partition("\n")[0].removeprefix("-- ")


def fill(sqs: Calls) -> str:
    """Store rows of every kind; return the receipt handle of a message in flight."""
    sqs.make("dead")
    arn = "arn:aws:sqs:local:000000000000:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.make("standard", RedrivePolicy=policy, VisibilityTimeout="20")
    sqs("TagQueue", QueueUrl=url, Tags={"team": "mail"})
    sqs.send(url, "gone", "gone too")
    sqs.receive(url, VisibilityTimeout=0)
    assert sqs.receive(url) == []
    sqs("StartMessageMoveTask", SourceArn=arn, MaxNumberOfMessagesPerSecond=1)
    (held,) = sqs.receive(url, 1)  # back again
    binary = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}
    sqs.send(url, "ready", MessageAttributes={"b": binary})
    sqs.send(url, "delayed", DelaySeconds=600)
    fifo = sqs.make("f.fifo")
    for text, group in (("a-1", "a"), ("a-2", "a"), ("b-1", "b")):
        sqs.send(fifo, text, MessageGroupId=group)
    sqs.receive(fifo, 1, ReceiveRequestAttemptId="once")
    sqs("DeleteQueue", QueueUrl=sqs.make("deleted"))
    sqs("PurgeQueue", QueueUrl=sqs.make("purged"))
    handle: str = held["ReceiptHandle"]
    return handle


def dump() -> Iterator[str]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "f.db"
        clock = ManualClock()
        engine = LocalEngine(path, clock=clock)
        yield f"-- {fill(Calls(engine, clock))}"
        engine.close()
        connection = sqlite3.connect(path)
        for name in _PRAGMAS:
            yield f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
        yield from connection.iterdump()
        connection.close()


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in dump())
