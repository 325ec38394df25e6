"""Processes that log each call on a queue before and after it, and code that checks these ledgers.

A line that was written outlives ``kill -9``. What stands there as begun may have happened or not;
what stands there as answered must have.
"""

import itertools
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqsw.memory_sqs import LocalSession, MemorySession

#: Seconds for which a message stays hidden if it will be deleted, and if it is abandoned.
LEASE_SECONDS, LAPSE_SECONDS = 30, 1

# The fork server imports this once, so that its processes need not import boto3.
MemorySession().client("sqs")


class Ledger:
    """The log of one process. Each line is a call that has begun or was answered."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, word: str, begun: float, keys: Iterable[str], lease: float = 0) -> None:
        line = f"{word} {begun:.6f} {time.time():.6f} {lease} {','.join(keys)}\n"
        os.write(self._descriptor, line.encode())


class User:
    """A process that uses one queue; ``client`` is any boto3 client for SQS."""

    def __init__(self, client: Any, queue_name: str, ledger: Ledger) -> None:
        self.client, self.ledger = client, ledger
        self.url: str = client.get_queue_url(QueueName=queue_name)["QueueUrl"]

    def send(self, keys: Sequence[str], group: str | None = None) -> None:
        extra = {} if group is None else {"MessageGroupId": group}
        entries = [{"Id": str(n), "MessageBody": key, **extra} for n, key in enumerate(keys)]
        begun = time.time()
        self.ledger.write("sending", begun, keys)
        answer = self.client.send_message_batch(QueueUrl=self.url, Entries=entries)
        assert "Failed" not in answer, answer
        self.ledger.write("sent", begun, keys)

    def receive(self, lease: int = LEASE_SECONDS, wait: int = 0) -> list[Any]:
        begun = time.time()
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=lease,
            WaitTimeSeconds=wait,
        )
        messages: list[Any] = answer.get("Messages", [])
        if messages:
            self.ledger.write("received", begun, _bodies(messages), lease)
        return messages

    def delete(self, messages: Sequence[Any]) -> None:
        entries = [
            {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
            for n, message in enumerate(messages)
        ]
        begun = time.time()
        self.ledger.write("deleting", begun, _bodies(messages))
        answer = self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)
        assert "Failed" not in answer, answer
        self.ledger.write("deleted", begun, _bodies(messages))

    def left(self) -> int:
        """Return the messages that still have to be deleted."""
        values = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        return sum(
            int(values["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names
        )


def share(
    path: str, queue_name: str, ledger: Path, keys: dict[str | None, list[str]], barrier: Any
) -> None:
    """Run a process that sends its messages, by group, then receives and deletes until none is
    left.

    Some of what it receives it leaves lying, as a worker does that dies.
    """
    session = LocalSession(path)
    user = User(session.client("sqs"), queue_name, Ledger(ledger))
    for group, bodies in keys.items():
        for start in range(0, len(bodies), 10):
            user.send(bodies[start : start + 10], group)
    barrier.wait()
    turn = 0
    while True:
        turn += 1
        lapses = turn % 25 == 0
        messages = user.receive(LAPSE_SECONDS if lapses else LEASE_SECONDS)
        if messages and not lapses:
            user.delete(messages)
        elif not messages and not user.left():
            break
        elif not messages:
            time.sleep(0.02)
    session.close()


def send_for_good(path: str, queue_name: str, ledger: Path, seed: str) -> None:
    """Run a process that sends until it is killed."""
    user = User(LocalSession(path).client("sqs"), queue_name, Ledger(ledger))
    chance, number = random.Random(seed), 0
    while True:
        count = chance.randint(1, 10)
        user.send([f"{seed}-{number + n}" for n in range(count)])
        number += count


def consume_for_good(path: str, queue_name: str, ledger: Path, lease: int) -> None:
    """Run a process that receives and deletes until killed, and at times waits in vain."""
    user = User(LocalSession(path).client("sqs"), queue_name, Ledger(ledger))
    chance = random.Random(ledger.stem)
    empty = user.client.create_queue(QueueName="empty")["QueueUrl"]
    while True:
        messages = user.receive(lease, wait=5)
        if messages:
            user.delete(messages)
        if chance.random() < 0.1:
            user.client.receive_message(QueueUrl=empty, WaitTimeSeconds=20)


class Reception(NamedTuple):
    """One message, as one receive returned it."""

    begun: float
    ended: float
    lease: float
    by: str


@dataclass
class Books:
    """All ledgers together, by message."""

    #: when the call began, and when it was answered
    sent: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    received: dict[str, list[Reception]] = field(default_factory=lambda: defaultdict(list))
    #: begun or answered
    sending: set[str] = field(default_factory=set)
    deleting: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Books":
        books = cls()
        for path in paths:
            text = path.read_text()
            assert not text or text.endswith("\n"), f"{path} has half a line"
            for line in text.splitlines():
                books._add(path.stem, line)
        return books

    def twice_in_a_lease(self) -> list[tuple[str, Reception, Reception]]:
        """Return messages that came again while the lease of another receive must have lasted."""
        found = []
        for key, receptions in self.received.items():
            ordered = sorted(receptions, key=lambda one: one.ended)
            for first, second in itertools.pairwise(ordered):
                # A lease begins in the millisecond in which the receive took the message.
                if second.ended < int(first.begun * 1000) / 1000 + first.lease:
                    found.append((key, first, second))
        return found

    def received_after_delete(self) -> list[str]:
        """Return messages from receives that began after their delete was answered."""
        return [
            key
            for key, deletes in self.deleted.items()
            if any(one.begun > min(ended for _, ended in deletes) for one in self.received[key])
        ]

    def _add(self, who: str, line: str) -> None:
        word, begun, ended, lease, text = line.split(" ")
        keys = text.split(",")
        if word == "received":
            reception = Reception(float(begun), float(ended), float(lease), who)
            for key in keys:
                self.received[key].append(reception)
        elif word in ("sending", "deleting"):
            getattr(self, word).update(keys)
        else:
            for key in keys:
                getattr(self, word)[key].append((float(begun), float(ended)))


def _bodies(messages: Iterable[Any]) -> list[str]:
    return [message["Body"] for message in messages]


def check_file(path: Path) -> None:
    """Check that the file is intact and that its counts are right."""
    session = LocalSession(path)
    with session.engine.store.read() as transaction:
        assert transaction.rows("PRAGMA integrity_check") == [("ok",)]
        counted = transaction.rows("SELECT name, ready, in_flight, delayed FROM queues")
        held = transaction.rows(
            "SELECT name, total(state = 0), total(state = 1), total(state = 2) FROM queues"
            " LEFT JOIN messages USING (contents) GROUP BY name"
        )
        assert sorted(counted) == sorted(held)
        for one, other in (("messages", "bodies"), ("bodies", "messages")):
            assert not transaction.rows(f"SELECT seq FROM {one} EXCEPT SELECT seq FROM {other}")
    session.close()
