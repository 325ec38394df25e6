"""Invariants after random calls: counts, groups, and bodies are consistent, nothing is lost."""

import random
from typing import Any

import pytest

from sqsw.local.errors import ServiceError
from tests.unit.local.manual import Calls


def check(sqs: Calls) -> None:
    """Assert that the rows are consistent."""
    for contents, ready, in_flight, delayed in sqs.rows(
        "SELECT contents, ready, in_flight, delayed FROM queues"
    ):
        rows = sqs.rows(f"SELECT state FROM messages WHERE contents = {contents}")
        states = [state for (state,) in rows]
        counted = tuple(states.count(state) for state in range(3))
        assert counted == (ready, in_flight, delayed)
    sequences = sqs.rows("SELECT seq FROM messages ORDER BY seq")
    assert sequences == sqs.rows("SELECT seq FROM bodies ORDER BY seq")
    # Rows that a purge left belong to no queue and are deleted in any order.
    alive = "contents IN (SELECT contents FROM queues)"
    assert sqs.rows(
        f"SELECT DISTINCT grp FROM messages WHERE grp NOT NULL AND {alive} ORDER BY 1"
    ) == sqs.rows(f"SELECT id FROM groups WHERE {alive} ORDER BY 1")
    now = sqs.engine.store.now()
    for group, rank, wake in sqs.rows(f"SELECT id, rank, wake FROM groups WHERE {alive}"):
        assert (rank is None) != (wake is None)
        state, visible_at = sqs.rows(
            f"SELECT state, visible_at FROM messages WHERE grp = {group} ORDER BY seq LIMIT 1"
        )[0]
        if rank is None and wake > now:
            assert state != 0 and visible_at == wake


class Player:
    """Sends, receives, deletes, and hides at random, and records what it did."""

    def __init__(self, sqs: Calls, seed: int, *, is_fifo: bool) -> None:
        self.sqs, self.random, self.is_fifo = sqs, random.Random(seed), is_fifo
        suffix = ".fifo" if is_fifo else ""
        sqs.make(f"dead{suffix}")
        arn = f"arn:aws:sqs:local:000000000000:dead{suffix}"
        self.dead = f"dead{suffix}"
        self.url = f"q{suffix}"
        sqs.make(
            self.url,
            VisibilityTimeout=20,
            RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 4}}',
        )
        self.sent = 0
        self.alive: set[str] = set()
        self.held: dict[str, tuple[dict[str, Any], float]] = {}

    def send(self) -> None:
        options: dict[str, Any] = {}
        if self.is_fifo:
            options["MessageGroupId"] = self.random.choice("abc")
        elif self.random.random() < 0.3:
            options["DelaySeconds"] = self.random.randrange(20)
        self.sqs.send(self.url, str(self.sent), **options)
        self.alive.add(str(self.sent))
        self.sent += 1

    def receive(self) -> None:
        seconds = self.random.choice([0, 5, 20])
        url = self.random.choice([self.url, self.url, self.url, self.dead])
        count = self.random.randint(1, 10)
        for message in self.sqs.receive(url, count, VisibilityTimeout=seconds):
            body = message["Body"]
            assert body in self.alive
            _, until = self.held.get(body, (None, 0.0))
            assert until <= self.sqs.clock(), "delivered while it was hidden"
            self.held[body] = (message | {"url": url}, self.sqs.clock() + seconds)

    def finish(self) -> None:
        if not self.held:
            return
        body = self.random.choice(sorted(self.held))
        message, until = self.held.pop(body)
        try:
            if self.random.random() < 0.6:
                self.sqs.delete(message["url"], message)
                if until > self.sqs.clock() or not self.is_fifo:
                    self._gone(body)
            else:
                seconds = self.random.choice([0, 3, 30])
                self.sqs.hide(message["url"], message, seconds)
                self.held[body] = (message, self.sqs.clock() + seconds)
        except ServiceError as error:
            assert "expired" in error.text or "not available" in error.text
            self.held[body] = (message, until)

    def _gone(self, body: str) -> None:
        if not self.sqs.rows(f"SELECT 1 FROM bodies WHERE body = '{body}'"):
            self.alive.discard(body)

    def purge(self) -> None:
        try:
            self.sqs("PurgeQueue", QueueUrl=self.url)
        except ServiceError:
            return  # the last purge was less than a minute ago
        alive = "contents IN (SELECT contents FROM queues)"
        rows = self.sqs.rows(f"SELECT body FROM messages JOIN bodies USING(seq) WHERE {alive}")
        self.alive &= {body for (body,) in rows}

    def wait(self) -> None:
        self.sqs.clock.pass_seconds(self.random.choice([0.001, 1, 5, 21]))


@pytest.mark.parametrize("is_fifo", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_random_calls_keep_the_invariants(sqs: Calls, seed: int, is_fifo: bool) -> None:
    player = Player(sqs, seed, is_fifo=is_fifo)
    moves = [player.send, player.send, player.receive, player.finish, player.finish, player.wait]
    for _ in range(300):
        player.random.choice([*moves * 4, player.purge])()
        check(sqs)
    while sqs.rows("SELECT 1 FROM contents WHERE is_left"):
        player.send()
    assert {row[0] for row in sqs.rows("SELECT body FROM bodies")} == player.alive


def test_a_group_is_always_delivered_in_order(sqs: Calls) -> None:
    url = sqs.make("q.fifo", VisibilityTimeout=10)
    chance = random.Random(7)
    done: dict[str, list[int]] = {group: [] for group in "abc"}
    for number in range(200):
        sqs.send(url, str(number), MessageGroupId=chance.choice("abc"))
    while sum(map(len, done.values())) < 200:
        for message in sqs.receive(url, chance.randint(1, 10), AttributeNames=["All"]):
            if chance.random() < 0.5:
                break  # the timeouts of this message and the later ones end
            sqs.delete(url, message)
            done[message["Attributes"]["MessageGroupId"]].append(int(message["Body"]))
        sqs.clock.pass_seconds(chance.choice([1, 10]))
        check(sqs)
    assert all(numbers == sorted(numbers) for numbers in done.values())
