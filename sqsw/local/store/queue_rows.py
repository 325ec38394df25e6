"""The rows of queues: found by URL or name, read and written."""

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
    """One queue as it is stored; times are milliseconds since 1970."""

    #: milliseconds of a clock jump that retention does not follow yet
    held: int
    id: int
    arn: QueueArn
    is_fifo: bool
    secret: bytes
    #: those that were set; :meth:`attribute` knows the defaults
    attributes: Mapping[str, str]
    #: those of them that are whole numbers, with the defaults
    numbers: Mapping[str, int]
    tags: Mapping[str, str]
    #: the scope of deduplication at the queue's creation, which later changes do not touch
    deduplicates_by_group: bool
    #: what its messages belong to, until it is purged
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
        """The lowest ``seq`` that retention still keeps."""
        return (now - self.kept_for() + 1) << SEQ_BITS

    def kept_for(self) -> int:
        """For how many milliseconds of the clock a message is kept."""
        return self.number("MessageRetentionPeriod") * 1000 + self.held


def find_queue(transaction: Transaction, store: Store, params: Params) -> Queue:
    """The queue that ``QueueUrl`` names: a URL under any host, or a bare name."""
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
    """Move the counts of a queue; in the transaction that moves its messages."""
    if ready or in_flight or delayed:
        transaction.execute(
            "UPDATE queues SET ready = ready + ?, in_flight = in_flight + ?,"
            " delayed = delayed + ? WHERE id = ?",
            (ready, in_flight, delayed, queue_id),
        )


@functools.lru_cache(1_000)
def _read_map(text: str) -> Mapping[str, str]:
    """A map as it is stored; every call on a queue reads its two."""
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
