"""Use a disk while it is full and afterwards. Run ``python -m tests.life.full_disk`` on a small
disk.

The working directory must be on a small disk that no other program uses.
"""

import gc
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from sqsw.core.errors import SQSError
from sqsw.memory_sqs import LocalSession
from tests.backends import wait_until
from tests.life.fault_ways import by_command, by_library
from tests.life.ledgers import check_file
from tests.life.serving import serving

WHY = "the disk is full; this call changed nothing, and earlier calls are still stored"


def fill(path: Path) -> None:
    """Use up all space, including space that was just freed, which the system counts late."""
    with path.open("ab", buffering=0) as file:
        size, quiet = -1, 0
        while quiet < 5:
            for block in (65_536, 4_096, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * block)
            quiet = quiet + 1 if file.tell() == size else 0
            size = file.tell()
            time.sleep(0.05)


def send(client: Any, url: str, body: str = "y") -> None:
    client.send_message(QueueUrl=url, MessageBody=body)


def refused(call: Any, *arguments: Any) -> SQSError:
    try:
        call(*arguments)
    except SQSError as error:
        return error
    raise AssertionError("it was not refused")


def main() -> None:
    path, filler = Path("f.db"), Path("filler")
    session = LocalSession(path)
    ours = session.client("sqs")
    url = ours.create_queue(QueueName="q")["QueueUrl"]
    for number in range(20):
        send(ours, url, str(number) * 10_000)
    with serving("--local=f.db", cwd=Path.cwd()) as server:
        theirs = server.client(config=Config(retries={"total_max_attempts": 1}))
        fill(filler)
        check_while_it_is_full(ours, theirs, url)
        filler.unlink()
        check_when_there_is_room(ours, theirs, url)
        code, log = server.end()
        assert code == 0
        assert "Traceback" not in log
    send(ours, url)
    session.close()
    # The refused commands ran in this process. Threads close their sessions.
    gc.collect()
    wait_until(lambda: not Path("f.db-wal").exists(), 10, "every session is closed")

    for look in (by_library, lambda file: by_command(file, "inspect")):
        fill(filler)  # a new process has no room for the shared files
        code, _, told = look("f.db")
        assert (code, WHY in told) == (1, True), (code, told, sorted(Path.cwd().iterdir()))
    filler.unlink()
    check_file(path)
    print("all of it held")


def check_while_it_is_full(ours: Any, theirs: Any, url: str) -> None:
    """Check that every write fails with a clear error and that reads still work."""
    error = refused(send, ours, url, "z" * 500_000)
    assert (str(error), error.why, error.next) == (
        "f.db cannot be used",
        WHY,
        "free some disk space, then try again",
    )
    try:
        send(theirs, url, "z" * 500_000)
        raise AssertionError("the server took it")
    except ClientError as answered:
        assert answered.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert WHY in answered.response["Error"]["Message"]
    for way in ("send", "bulk send"):
        code, _, told = by_command("f.db", way)
        assert code == 1
        assert told.splitlines()[-3:] == [
            "error: f.db cannot be used",
            f"  why:  {WHY}",
            "  next: free some disk space, then try again",
        ]
    code, out, told = by_command("f.db", "peek")
    assert code == 0, told
    assert all(str(number) * 1_000 in out for number in range(20)), out[:500]


def check_when_there_is_room(ours: Any, theirs: Any, url: str) -> None:
    """Check that the answered writes are there, and nothing else."""
    send(ours, url)
    send(theirs, url)
    received = 0
    while messages := theirs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            theirs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            received += 1
    assert received == 22


if __name__ == "__main__":
    main()
