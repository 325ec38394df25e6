"""Look at messages without receiving them: nothing that SQS can do, for tools on a local file."""

from typing import Any, NamedTuple

from sqsw.local.operations.projection import Projection
from sqsw.local.rules.validate import Params
from sqsw.local.store import message_queries
from sqsw.local.store.queue_rows import find_queue
from sqsw.local.store.store import Store


class Peek(NamedTuple):
    """A part of a queue.

    Parameters
    ----------
    messages :
        As ReceiveMessage answers them, with all attributes and without a receipt handle.
    last :
        Where the next part begins; None after the last one.
    """

    messages: list[dict[str, Any]]
    last: int | None


def peek(store: Store, params: Params, now: int, *, after: int, limit: int) -> Peek:
    """The messages that could be received now and come after ``after``, oldest first."""
    projection = Projection(store.settings.account, frozenset({"All"}), ["All"])
    with store.read() as transaction:  # also while the file is held, or its disk is full
        queue = find_queue(transaction, store, params)
        found = message_queries.visible_messages(transaction, queue, limit, now, after)
    shown = [projection.message(queue, message) for message in found]
    for message in shown:
        del message["ReceiptHandle"]
    return Peek(shown, found[-1].seq if len(found) == limit else None)


def seconds_until_due(store: Store, params: Params, now: int) -> float | None:
    """Seconds until the next hidden message can be received; None if none is hidden."""
    with store.read() as transaction:
        queue = find_queue(transaction, store, params)
        deadline = message_queries.next_deadline(transaction, queue)
    return None if deadline is None else max(deadline - now, 0) / 1000
