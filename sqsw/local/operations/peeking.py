"""Reading and deleting messages without receiving them, which SQS itself cannot do."""

from typing import Any, NamedTuple

from sqsw.local.operations.projection import Projection
from sqsw.local.rules.validate import Params
from sqsw.local.store import message_queries, message_rows
from sqsw.local.store.queue_rows import find_queue
from sqsw.local.store.schema import IN_FLIGHT
from sqsw.local.store.store import Store


class Peek(NamedTuple):
    """A page of messages.

    Parameters
    ----------
    messages :
        Messages in the form of ReceiveMessage, with all attributes but no receipt handle.
    last :
        The ``after`` of the next page; None on the last page.
    """

    messages: list[dict[str, Any]]
    last: int | None


def peek(
    store: Store, params: Params, now: int, *, after: int, limit: int, hidden: bool = False
) -> Peek:
    """Return the messages after ``after`` that could be received now, oldest first.

    With ``hidden``, return the messages in flight and the delayed ones too.
    """
    read = message_queries.all_messages if hidden else message_queries.visible_messages
    projection = Projection(store.settings.account, frozenset({"All"}), ["All"])
    with store.read() as transaction:  # works even if the file is locked or the disk is full
        queue = find_queue(transaction, store, params)
        found = read(transaction, queue, limit, now, after)
    shown = [projection.message(queue, message) for message in found]
    for message in shown:
        del message["ReceiptHandle"]
    return Peek(shown, found[-1].seq if len(found) == limit else None)


def discard(
    store: Store, params: Params, now: int, message_id: str, *, in_flight: bool = True
) -> bool:
    """Delete a message by its ID, even if it is hidden; return whether it was deleted.

    Without ``in_flight``, a message that a receiver holds is kept.
    """
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        places = message_queries.places_by_id(transaction, queue, message_id, now)
        if not in_flight:
            places = [p for p in places if p.state != IN_FLIGHT or p.visible_at <= now]
        if places:
            message_rows.remove(transaction, queue, places, now)
    return bool(places)


def seconds_until_due(store: Store, params: Params, now: int) -> float | None:
    """Return the seconds until the next hidden message is available; None if none is hidden."""
    with store.read() as transaction:
        queue = find_queue(transaction, store, params)
        deadline = message_queries.next_deadline(transaction, queue)
    return None if deadline is None else max(deadline - now, 0) / 1000
