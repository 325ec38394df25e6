"""Reads and writes the rows of queues."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqsw.local.errors import QueueDoesNotExist
from sqsw.local.rules import attributes, names
from sqsw.local.rules.names import QueueArn
from sqsw.local.rules.validate import Params
from sqsw.local.store.schema import SEQ_BITS
from sqsw.local.store.store import Store, Transaction

_COLUMNS = (
    "id, region, name, is_fifo, secret, attributes, tags, deduplicates_by_group,"
    " contents, created_at, modified_at, purged_at, ready, in_flight, delayed"
)


@dataclass(slots=True)
class Queue:
    """A queue, as stored; times are milliseconds since 1970."""

    #: milliseconds of a clock jump that retention ignores for now
    held: int
    id: int
    arn: QueueArn
    is_fifo: bool
    secret: bytes
    #: only the attributes that were set; :meth:`attribute` adds the defaults
    attributes: Mapping[str, str]
    #: the integer attributes, with defaults
    numbers: Mapping[str, int]
    tags: Mapping[str, str]
    #: the scope of deduplication when the queue was created; later changes have no effect
    deduplicates_by_group: bool
    #: the id of the queue's contents; a purge changes it
    contents: int
    created_at: int
    modified_at: int
    purged_at: int | None
    ready: int
    in_flight: int
    delayed: int

    @property
    def name(self) -> str:
        return self.arn.name

    def attribute(self, name: str) -> str | None:
        return self.attributes.get(name, attributes.RULES[name].default)

    def number(self, name: str) -> int:
        return self.numbers[name]

    def horizon(self, now: int) -> int:
        """Return the lowest ``seq`` that has not expired."""
        return (now - self.kept_for() + 1) << SEQ_BITS

    def kept_for(self) -> int:
        """Return how long the queue keeps a message by the wall clock, in milliseconds."""
        return self.number("MessageRetentionPeriod") * 1000 + self.held


def find_queue(transaction: Transaction, store: Store, params: Params) -> Queue:
    """Return the queue of the parameter ``QueueUrl``: a URL with any host, or a bare name.

    Raises
    ------
    QueueDoesNotExist
        The queue does not exist.
    """
    parsed = names.parse_queue_url(params.required_text("QueueUrl"))
    if parsed is None or parsed[0] not in (None, store.settings.account):
        raise QueueDoesNotExist
    queue = by_name(transaction, store, params.region, parsed[1])
    if queue is None:
        raise QueueDoesNotExist
    return queue


def by_name(transaction: Transaction, store: Store, region: str, name: str) -> Queue | None:
    row = transaction.row(
        f"SELECT {_COLUMNS} FROM queues WHERE region = ? AND name = ?", (region, name)
    )
    return _from_row(row, store) if row else None


def by_arn(transaction: Transaction, store: Store, arn: QueueArn) -> Queue | None:
    if arn.account != store.settings.account:
        return None
    return by_name(transaction, store, arn.region, arn.name)


def by_id(transaction: Transaction, store: Store, queue_id: int) -> Queue | None:
    row = transaction.row(f"SELECT {_COLUMNS} FROM queues WHERE id = ?", (queue_id,))
    return _from_row(row, store) if row else None


def in_region(transaction: Transaction, store: Store, region: str) -> Iterator[Queue]:
    for row in transaction.rows(
        f"SELECT {_COLUMNS} FROM queues WHERE region = ? ORDER BY name", (region,)
    ):
        yield _from_row(row, store)


def everywhere(transaction: Transaction, store: Store) -> Iterator[Queue]:
    for row in transaction.rows(f"SELECT {_COLUMNS} FROM queues ORDER BY region, name"):
        yield _from_row(row, store)


def save_attributes(
    transaction: Transaction, queue: Queue, stored: Mapping[str, str], now: int
) -> None:
    transaction.execute(
        "UPDATE queues SET attributes = ?, modified_at = ? WHERE id = ?",
        (json.dumps(stored), now, queue.id),
    )


def add_to_counts(
    transaction: Transaction, queue_id: int, *, ready: int = 0, in_flight: int = 0, delayed: int = 0
) -> None:
    """Add to the counts of a queue, in the transaction that changes its messages."""
    if ready or in_flight or delayed:
        transaction.execute(
            "UPDATE queues SET ready = ready + ?, in_flight = in_flight + ?,"
            " delayed = delayed + ? WHERE id = ?",
            (ready, in_flight, delayed, queue_id),
        )


@functools.lru_cache(1_000)
def _read_map(text: str) -> Mapping[str, str]:
    """Parse a stored map; cached, because every call on a queue reads two."""
    values: dict[str, str] = json.loads(text)
    return MappingProxyType(values)


@functools.lru_cache(1_000)
def _read_numbers(text: str) -> Mapping[str, int]:
    stored = _read_map(text)
    return {
        name: int(stored.get(name, rule.default))
        for name, rule in attributes.RULES.items()
        if rule.kind == "integer" and rule.default is not None
    }


def _from_row(row: tuple[Any, ...], store: Store) -> Queue:
    queue_id, region, name, is_fifo, secret, stored, tags, by_group, *rest = row
    return Queue(
        store.held,
        queue_id,
        QueueArn(region, store.settings.account, name),
        bool(is_fifo),
        secret,
        _read_map(stored),
        _read_numbers(stored),
        _read_map(tags),
        bool(by_group),
        *rest,
    )
