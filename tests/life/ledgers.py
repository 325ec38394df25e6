"""Processes that write down what they do to a queue, before and after each call; and the books.

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

#: seconds a message stays hidden: of one that will be deleted, and of one that is left lying
LEASE_SECONDS, LAPSE_SECONDS = 30, 1

# The server that processes are forked from imports this once, so that none of them pays for boto3.
MemorySession().client("sqs")


class Ledger:
    """Where one process writes; each line is one call, begun or answered."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, word: str, begun: float, keys: Iterable[str], lease: float = 0) -> None:
        line = f"{word} {begun:.6f} {time.time():.6f} {lease} {','.join(keys)}\n"
        os.write(self._descriptor, line.encode())


class User:
    """One process with one queue; ``client`` is any boto3 client for SQS."""

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
        """Messages that somebody has to delete yet."""
        values = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        return sum(
            int(values["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names
        )


def share(
    path: str, queue_name: str, ledger: Path, keys: dict[str | None, list[str]], barrier: Any
) -> None:
    """A process: send its messages, by group; then receive and delete with the others to the end.

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
    """A process: send until it is killed."""
    user = User(LocalSession(path).client("sqs"), queue_name, Ledger(ledger))
    chance, number = random.Random(seed), 0
    while True:
        count = chance.randint(1, 10)
        user.send([f"{seed}-{number + n}" for n in range(count)])
        number += count


def consume_for_good(path: str, queue_name: str, ledger: Path, lease: int) -> None:
    """A process: receive and delete, and now and then wait for what never comes, until killed."""
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
    """One message as one receive brought it."""

    begun: float
    ended: float
    lease: float
    by: str


@dataclass
class Books:
    """All ledgers together, by message."""

    #: when the call began and when it was answered
    sent: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    received: dict[str, list[Reception]] = field(default_factory=lambda: defaultdict(list))
    #: begun, answered or not
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
        """Messages that came again although the lease of another receive cannot have been over."""
        found = []
        for key, receptions in self.received.items():
            ordered = sorted(receptions, key=lambda one: one.ended)
            for first, second in itertools.pairwise(ordered):
                # A lease begins with the millisecond in which the receive took the message.
                if second.ended < int(first.begun * 1000) / 1000 + first.lease:
                    found.append((key, first, second))
        return found

    def received_after_delete(self) -> list[str]:
        """Messages that a receive brought that began when their delete was answered."""
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
    """The file is whole, and what it counts is what it holds."""
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
