"""Operations on queues: create, find, list, delete, purge, attributes.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
and the pages of the other operations.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqsw.local.errors import (
    MissingRequiredParameterException,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
)
from sqsw.local.operations import redrive_policies
from sqsw.local.rules import attributes
from sqsw.local.rules.names import QueueArn, check_queue_name, queue_url
from sqsw.local.rules.tags import check_tags
from sqsw.local.rules.validate import Params, check_range, invalid_value
from sqsw.local.store import generations, message_queries, message_rows, queue_rows
from sqsw.local.store.queue_rows import Queue, find_queue
from sqsw.local.store.schema import DELAYED
from sqsw.local.store.store import Store, Transaction

#: milliseconds between two purges of a queue, and before a deleted queue can be created again
_PAUSE_MS: Final = 60_000
#: the most queues in one answer
_MAX_RESULTS: Final = 1_000
#: a number of receives to wake that means all of them
_EVERYBODY: Final = 1 << 30
#: attributes that need the messages to be counted
_COUNTS: Final = {
    "All",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
}


def create_queue(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Create a queue; if it exists with the same attributes, only return its URL."""
    name = params.required_text("QueueName")
    given = params.text_map("Attributes")
    is_fifo = given.get("FifoQueue", "").lower() == "true"
    with store.write() as transaction:
        arn = QueueArn(params.region, store.settings.account, name)
        existing = queue_rows.by_name(transaction, store, params.region, name)
        if existing is None or is_fifo:
            check_queue_name(name, is_fifo=is_fifo)
        if existing:
            is_fifo = existing.is_fifo
        read = attributes.read_given(given, is_fifo=is_fifo)
        redrive_policies.check_policies(transaction, store, read, arn, is_fifo=is_fifo)
        if existing:
            _compare(existing, read)
        else:
            _check_not_just_deleted(transaction, store, arn, now)
            tags = params.text_map("tags")
            check_tags(name, tags)
            _insert(transaction, arn, attributes.merged({}, read), tags, now, is_fifo=is_fifo)
    return {"QueueUrl": _url(store, params, name)}


def get_queue_url(store: Store, params: Params, now: int) -> dict[str, Any]:
    name = params.required_text("QueueName")
    owner = params.text("QueueOwnerAWSAccountId") or store.settings.account
    with store.read() as transaction:
        queue = queue_rows.by_arn(transaction, store, QueueArn(params.region, owner, name))
    if queue is None:
        raise QueueDoesNotExist
    return {"QueueUrl": _url(store, params, name)}


def list_queues(store: Store, params: Params, now: int) -> dict[str, Any]:
    prefix = params.text("QueueNamePrefix") or ""
    with store.read() as transaction:
        queues = [
            queue.name
            for queue in queue_rows.in_region(transaction, store, params.region)
            if queue.name.startswith(prefix)
        ]
    page, token = _page(queues, params)
    answer: dict[str, Any] = {}
    if page:
        answer["QueueUrls"] = [_url(store, params, name) for name in page]
    if token:
        answer["NextToken"] = token
    return answer


def list_dead_letter_source_queues(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.read() as transaction:
        target = find_queue(transaction, store, params)
        sources = redrive_policies.sources_of(transaction, store, params.region, target.arn)
        page, token = _page([queue.name for queue in sources], params)
    # The only list that SQS sends even if it is empty; its name begins with a lowercase letter.
    answer: dict[str, Any] = {"queueUrls": [_url(store, params, name) for name in page]}
    if token:
        answer["NextToken"] = token
    return answer


def delete_queue(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Delete a queue and its messages, and end the receives that wait on it."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        generations.leave(transaction, queue.contents)
        transaction.execute("DELETE FROM queues WHERE id = ?", (queue.id,))
        transaction.execute("DELETE FROM move_tasks WHERE source = ?", (queue.id,))
        transaction.execute("DELETE FROM deleted_queues WHERE deleted_at <= ?", (now - _PAUSE_MS,))
        transaction.execute(
            "INSERT OR REPLACE INTO deleted_queues VALUES (?, ?, ?)",
            (queue.arn.region, queue.name, now),
        )
        transaction.wake(queue.id, _EVERYBODY)
    return {}


def purge_queue(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Delete all messages, also in flight and delayed ones, and all deduplication ids."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        if _is_too_early(store, queue.purged_at, now):
            raise PurgeQueueInProgress(
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            )
        message_rows.remove_all(transaction, queue)
        transaction.execute("UPDATE queues SET purged_at = ? WHERE id = ?", (now, queue.id))
    return {}


def get_queue_attributes(store: Store, params: Params, now: int) -> dict[str, Any]:
    wanted = params.texts("AttributeNames")
    attributes.check_known(wanted)
    with store.read() as transaction:
        queue = find_queue(transaction, store, params)
        values = attributes.shown(queue.attributes, is_fifo=queue.is_fifo)
        values |= {
            "CreatedTimestamp": str(queue.created_at // 1000),
            "LastModifiedTimestamp": str(queue.modified_at // 1000),
            "QueueArn": str(queue.arn),
        }
        # Counting takes longer than the rest, and a starting worker does not need the counts.
        if not _COUNTS.isdisjoint(wanted):
            ready, in_flight, delayed = message_queries.counts(transaction, queue, now)
            values |= {
                "ApproximateNumberOfMessages": str(ready),
                "ApproximateNumberOfMessagesNotVisible": str(in_flight),
                "ApproximateNumberOfMessagesDelayed": str(delayed),
            }
    if "All" not in wanted:
        values = {name: values[name] for name in wanted if name in values}
    return {"Attributes": values} if values else {}


def set_queue_attributes(store: Store, params: Params, now: int) -> dict[str, Any]:
    given = params.text_map("Attributes")
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        if not given:
            raise MissingRequiredParameterException("Attribute.Name")
        read = attributes.read_given(given, is_fifo=queue.is_fifo)
        redrive_policies.check_policies(transaction, store, read, queue.arn, is_fifo=queue.is_fifo)
        stored = attributes.merged(queue.attributes, read)
        if "MessageRetentionPeriod" in read:
            message_rows.leave_expired(transaction, queue, now)
        queue_rows.save_attributes(transaction, queue, stored, now)
        if queue.is_fifo and "DelaySeconds" in read:
            _change_delay(transaction, queue, int(read["DelaySeconds"]), now)
        # A shorter delay or retention can make messages available earlier.
        transaction.wake(queue.id)
    return {}


def _insert(
    transaction: Transaction,
    arn: QueueArn,
    stored: Mapping[str, str],
    tags: Mapping[str, str],
    now: int,
    *,
    is_fifo: bool,
) -> None:
    transaction.execute(
        "INSERT INTO queues(region, name, is_fifo, secret, attributes, tags,"
        " deduplicates_by_group, contents, created_at, modified_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            arn.region,
            arn.name,
            is_fifo,
            secrets.token_bytes(32),
            json.dumps(stored),
            json.dumps(tags),
            stored.get("DeduplicationScope") == "messageGroup",
            generations.make(transaction),
            now,
            now,
        ),
    )


def _compare(queue: Queue, given: Mapping[str, str]) -> None:
    """Check that the given attributes equal the existing queue's; others can differ."""
    current = attributes.shown(queue.attributes, is_fifo=queue.is_fifo)
    for name, value in given.items():
        if current.get(name, "") != value:
            raise QueueNameExists(
                "A queue already exists with the same name and a different value for attribute"
                f" {name}"
            )


def _check_not_just_deleted(
    transaction: Transaction, store: Store, arn: QueueArn, now: int
) -> None:
    key = (arn.region, arn.name)
    row = transaction.row(
        "SELECT deleted_at FROM deleted_queues WHERE region = ? AND name = ?", key
    )
    if row and _is_too_early(store, row[0], now):
        raise QueueDeletedRecently
    if row:
        transaction.execute("DELETE FROM deleted_queues WHERE region = ? AND name = ?", key)


def _is_too_early(store: Store, last: int | None, now: int) -> bool:
    return last is not None and not store.settings.is_relaxed and now - last < _PAUSE_MS


def _change_delay(transaction: Transaction, queue: Queue, seconds: int, now: int) -> None:
    """Apply a FIFO queue's new delay to its delayed messages."""
    transaction.execute(
        "UPDATE messages SET visible_at = sent_at + ? WHERE contents = ? AND state = ?"
        " AND visible_at > ?",
        (seconds * 1000, queue.contents, DELAYED, now),
    )
    # Groups that become available at the same time keep the order in which they were sent.
    groups = transaction.rows(
        "SELECT id FROM groups WHERE contents = ? ORDER BY id", (queue.contents,)
    )
    message_rows.refresh_groups(transaction, queue, (group for (group,) in groups), now)


def _page(names: Iterable[str], params: Params) -> tuple[list[str], str | None]:
    """Return a page of sorted names, and the token of the next page if there is one."""
    most = check_range(
        params,
        "MaxResults",
        1,
        _MAX_RESULTS,
        f"MaxResults must be an integer between 1 and {_MAX_RESULTS}.",
    )
    after = _read_token(params)
    rest = [name for name in names if name > after]
    if most is None:
        return rest[:_MAX_RESULTS], None
    page = rest[:most]
    if len(rest) <= most:
        return page, None
    return page, base64.b64encode(page[-1].encode()).decode()


def _read_token(params: Params) -> str:
    """Return the last name of the previous page; its queue might no longer exist."""
    token = params.text("NextToken") or ""
    try:
        return base64.b64decode(token, validate=True).decode()
    except (ValueError, binascii.Error):
        raise invalid_value("NextToken", token, "It is not a token of this service.") from None


def _url(store: Store, params: Params, name: str) -> str:
    return queue_url(params.origin, store.settings.account, name)
