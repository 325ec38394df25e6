"""DeleteMessage and ChangeMessageVisibility, single and in batches.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
and .../API_ChangeMessageVisibility.html
"""

from collections.abc import Callable, Container
from typing import Any

from sqsw.local.errors import (
    InvalidParameterValueException,
    MissingRequiredParameterException,
    ReceiptHandleIsInvalid,
    SerializationException,
    ServiceError,
)
from sqsw.local.rules.receipts import Receipt, read_receipt
from sqsw.local.rules.validate import (
    MAX_VISIBILITY_SECONDS,
    Params,
    batch_entries,
    check_range,
    invalid_value,
)
from sqsw.local.store import message_queries, message_rows
from sqsw.local.store.message_queries import RowState
from sqsw.local.store.queue_rows import Queue, find_queue
from sqsw.local.store.schema import IN_FLIGHT
from sqsw.local.store.store import Store, Transaction

Release = Callable[[Params], None]


def delete_message(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Delete a message; deleting it again succeeds, too."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        _remove(transaction, queue, [_read_deletable(transaction, queue, params, now)], now)
    return {}


def delete_message_batch(store: Store, params: Params, now: int) -> dict[str, Any]:
    seqs: list[int] = []
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)

        def release(entry: Params) -> None:
            # If an earlier entry deleted the message, an older handle of it is not an error.
            seqs.append(_read_deletable(transaction, queue, entry, now, seqs))

        answer = _each(batch_entries(params, "DeleteMessageBatchRequestEntry"), release)
        _remove(transaction, queue, seqs, now)
    return answer


def change_message_visibility(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Hide a message for some seconds from now; 0 makes it available at once."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        _change_visibility(transaction, queue, params, store.now())
    return {}


def change_message_visibility_batch(store: Store, params: Params, now: int) -> dict[str, Any]:
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        entries = batch_entries(params, "ChangeMessageVisibilityBatchRequestEntry")
        now = store.now()  # again: getting the lock can have taken a while
        return _each(entries, lambda entry: _change_visibility(transaction, queue, entry, now))


def _each(entries: list[tuple[str, Params]], release: Release) -> dict[str, Any]:
    """Process the entries in order; each one succeeds or fails on its own."""
    successful: list[dict[str, object]] = []
    failed: list[dict[str, object]] = []
    for entry_id, entry in entries:
        try:
            release(entry)
        except SerializationException:
            raise
        except ServiceError as error:
            failed.append(error.as_failed_entry(entry_id))
        else:
            successful.append({"Id": entry_id})
    answer = {"Successful": successful, "Failed": failed}
    return {name: results for name, results in answer.items() if results}


def _read_deletable(
    transaction: Transaction, queue: Queue, params: Params, now: int, gone: Container[int] = ()
) -> int:
    """Return the ``seq`` of the message to delete; the message might be gone already."""
    handle, receipt = _read_handle(queue, params)
    if queue.is_fifo and receipt.seq not in gone:
        place = message_queries.place_of(transaction, queue, receipt.seq, now)
        if place and not _is_held(place, receipt, now):
            raise invalid_value("ReceiptHandle", handle, "The receipt handle has expired.")
    return receipt.seq


def _remove(transaction: Transaction, queue: Queue, seqs: list[int], now: int) -> None:
    """Delete the messages that still exist."""
    places = message_queries.places_of(transaction, queue, seqs, now)
    if places:
        message_rows.remove(transaction, queue, places, now)


def _change_visibility(transaction: Transaction, queue: Queue, params: Params, now: int) -> None:
    handle, receipt = _read_handle(queue, params)
    seconds = check_range(
        params,
        "VisibilityTimeout",
        0,
        MAX_VISIBILITY_SECONDS,
        f"VisibilityTimeout must be an integer between 0 and {MAX_VISIBILITY_SECONDS}.",
    )
    if seconds is None:
        raise MissingRequiredParameterException("VisibilityTimeout")
    place = message_queries.place_of(transaction, queue, receipt.seq, now)
    # On a standard queue, even an expired handle can hide its message again, as in SQS.
    if place is None or (queue.is_fifo and not _is_held(place, receipt, now)):
        raise _not_available(handle)
    _check_total(place, seconds, now)
    visible_at = now + seconds * 1000
    message_rows.hide(transaction, queue, [place], visible_at, now)
    message_rows.refresh_groups(transaction, queue, [place.group], now)
    # With 0, the message is available; otherwise the next deadline might be earlier now.
    transaction.wake(queue.id)


def _is_held(place: RowState, receipt: Receipt, now: int) -> bool:
    """Return whether the handle is from the latest delivery, and its timeout is not over."""
    return (
        place.state == IN_FLIGHT and place.visible_at > now and place.receives == receipt.receives
    )


def _check_total(place: RowState, seconds: int, now: int) -> None:
    """Check that a message stays hidden for at most 12 hours after its delivery."""
    elapsed = (now - (place.last_receive or now)) // 1000
    if seconds and elapsed + seconds > MAX_VISIBILITY_SECONDS:
        raise invalid_value(
            "VisibilityTimeout",
            seconds,
            "Total VisibilityTimeout for the message is beyond the limit"
            f" [{MAX_VISIBILITY_SECONDS} seconds]",
        )


def _read_handle(queue: Queue, params: Params) -> tuple[str, Receipt]:
    handle = params.required_text("ReceiptHandle")
    receipt = read_receipt(queue.secret, handle)
    if receipt is None:
        raise ReceiptHandleIsInvalid(
            f'The input receipt handle "{handle}" is not a valid receipt handle.'
        )
    return handle, receipt


def _not_available(handle: str) -> InvalidParameterValueException:
    return invalid_value(
        "ReceiptHandle",
        handle,
        "Message does not exist or is not available for visibility timeout change.",
    )
