"""SendMessage and SendMessageBatch.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

import hashlib
from typing import Any, NamedTuple

from sqsw.local.errors import (
    BatchRequestTooLong,
    InvalidParameterValueException,
    MissingRequiredParameterException,
    SerializationException,
    ServiceError,
)
from sqsw.local.rules import message_attributes
from sqsw.local.rules.digests import AttributeValue, md5_of_attributes, md5_of_body
from sqsw.local.rules.message_attributes import MessageAttributes
from sqsw.local.rules.names import new_id
from sqsw.local.rules.validate import (
    MAX_BATCH_BYTES,
    MAX_DELAY_SECONDS,
    Params,
    batch_entries,
    check_characters,
    check_printable_id,
    check_range,
    invalid_value,
)
from sqsw.local.store import fifo, message_rows
from sqsw.local.store.message_rows import NewMessage
from sqsw.local.store.queue_rows import Queue, find_queue
from sqsw.local.store.store import Store, Transaction

_NO_GROUP = "The request must contain the parameter MessageGroupId."
_NO_DEDUPLICATION = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId"
    " provided explicitly"
)

#: members of a message that has only a body
_PLAIN = frozenset(("Id", "MessageBody", "QueueUrl"))


class Draft(NamedTuple):
    """A checked message, and its part of the answer."""

    message: NewMessage
    answer: dict[str, Any]


def send_message(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Store one message, unless it is a duplicate."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        draft = _read_message(queue, params, "One or more parameters are invalid.")
        _store(transaction, queue, [draft], now)
        return draft.answer


def send_message_batch(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Store up to ten messages; each one succeeds or fails on its own."""
    with store.write() as transaction:
        queue = find_queue(transaction, store, params)
        entries = batch_entries(params, "SendMessageBatchRequestEntry")
        _check_batch(queue, [entry for _, entry in entries])
        drafts: dict[str, Draft] = {}
        failed = []
        for entry_id, entry in entries:
            try:
                drafts[entry_id] = _read_message(
                    queue, entry, "One or more parameters cannot be validated."
                )
            except SerializationException:
                raise
            except ServiceError as error:
                failed.append(error.as_failed_entry(entry_id))
        _store(transaction, queue, list(drafts.values()), now)
        answer: dict[str, Any] = {}
        if drafts:
            answer["Successful"] = [
                {"Id": entry_id, **draft.answer} for entry_id, draft in drafts.items()
            ]
        if failed:
            answer["Failed"] = failed
        return answer


def _store(transaction: Transaction, queue: Queue, drafts: list[Draft], now: int) -> None:
    # Clean up here as well as in receives, because this queue might never be received from.
    message_rows.tidy(transaction, queue, message_rows.TIDIED_EACH * len(drafts), now)
    if not queue.is_fifo:
        if drafts:
            message_rows.add(transaction, queue, [draft.message for draft in drafts], now)
        return
    # One at a time, because entries of a batch can be duplicates of each other.
    for message, answer in drafts:
        group, deduplication_id = message.group_name or "", message.deduplication_id or ""
        sent = fifo.find_duplicate(transaction, queue, group, deduplication_id, now)
        if sent is None:
            sent = (message.id, message_rows.add(transaction, queue, [message], now))
            fifo.remember(transaction, queue, group, deduplication_id, sent, now)
        answer["MessageId"] = sent[0]
        answer["SequenceNumber"] = fifo.sequence_number(sent[1])


def _check_batch(queue: Queue, entries: list[Params]) -> None:
    """Check the rules for which SQS refuses the whole batch."""
    size = sum(_measured(entry) for entry in entries)
    if size > MAX_BATCH_BYTES:
        raise BatchRequestTooLong(
            f"Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes."
            f" You have sent {size} bytes."
        )
    if not queue.is_fifo:
        return
    # SendMessage answers the same mistake with another error code, as in SQS.
    if not all(entry.has("MessageGroupId") for entry in entries):
        raise InvalidParameterValueException(_NO_GROUP)
    if not _is_content_based(queue) and not all(
        entry.has("MessageDeduplicationId") for entry in entries
    ):
        raise InvalidParameterValueException(_NO_DEDUPLICATION)


def _measured(entry: Params) -> int:
    """Return the size of an entry in bytes, without invalid attributes; they are checked later."""
    size = _bytes_of(entry.raw_text("MessageBody"))
    if not entry.has("MessageAttributes"):
        return size
    try:
        return size + message_attributes.size_of(message_attributes.read_attributes(entry))
    except ServiceError:
        return size


def _bytes_of(body: str) -> int:
    return len(body) if body.isascii() else len(body.encode(errors="surrogatepass"))


def _read_message(queue: Queue, params: Params, too_large: str) -> Draft:
    """Read and check a message, in the order of SQS's own checks."""
    body = params.raw_text("MessageBody")
    if not body:
        raise MissingRequiredParameterException("MessageBody")
    most = queue.number("MaximumMessageSize")
    size = _bytes_of(body)
    if size > most:
        raise _too_large(too_large, most)
    check_characters(body)
    if params.values.keys() <= _PLAIN and not queue.is_fifo:
        return _plain(queue, body)
    attributes = message_attributes.read_attributes(params)
    if size + message_attributes.size_of(attributes) > most:
        raise _too_large(too_large, most)
    trace = message_attributes.read_trace_header(params)
    delay = _read_delay(queue, params)
    group, deduplication_id = _read_fifo_ids(queue, params, body)
    if queue.is_fifo:  # SQS checks the delay after the ids
        delay = _fifo_delay(queue, params)
    message = NewMessage(
        new_id(),
        body,
        md5_of_body(body),
        message_attributes.to_json(attributes),
        group,
        deduplication_id,
        trace,
        delay,
    )
    return Draft(message, _answer(message, attributes))


def _plain(queue: Queue, body: str) -> Draft:
    """Return the draft of a message that has only a body; most do."""
    message_id, md5, delay = new_id(), md5_of_body(body), queue.number("DelaySeconds")
    message = NewMessage(message_id, body, md5, None, None, None, None, delay)
    return Draft(message, {"MessageId": message_id, "MD5OfMessageBody": md5})


def _answer(message: NewMessage, attributes: MessageAttributes) -> dict[str, Any]:
    answer = {"MessageId": message.id, "MD5OfMessageBody": message.md5}
    if attributes:
        answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    if message.trace_header:
        trace = {"AWSTraceHeader": AttributeValue("String", message.trace_header)}
        answer["MD5OfMessageSystemAttributes"] = md5_of_attributes(trace)
    return answer


def _too_large(beginning: str, most: int) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"{beginning} Reason: Message must be shorter than {most} bytes."
    )


def _read_delay(queue: Queue, params: Params) -> int:
    delay = check_range(
        params,
        "DelaySeconds",
        0,
        MAX_DELAY_SECONDS,
        f"DelaySeconds must be >= 0 and <= {MAX_DELAY_SECONDS}.",
    )
    return queue.number("DelaySeconds") if delay is None else delay


def _fifo_delay(queue: Queue, params: Params) -> int:
    """Return the delay in seconds: always the queue's, even if the message sets 0."""
    delay = params.integer("DelaySeconds")
    if delay:
        raise invalid_value(
            "DelaySeconds",
            delay,
            "The request include parameter that is not valid for this queue type.",
        )
    return queue.number("DelaySeconds")


def _read_fifo_ids(queue: Queue, params: Params, body: str) -> tuple[str | None, str | None]:
    group = params.text("MessageGroupId")
    deduplication_id = params.text("MessageDeduplicationId")
    if group is not None:
        check_printable_id("MessageGroupId", group)
    if deduplication_id is not None:
        check_printable_id("MessageDeduplicationId", deduplication_id)
    if not queue.is_fifo:
        if deduplication_id is not None:
            raise invalid_value(
                "MessageDeduplicationId",
                deduplication_id,
                "The request includes a parameter that is not valid for this queue type.",
            )
        return group, None
    if group is None:
        raise MissingRequiredParameterException("MessageGroupId")
    if deduplication_id is None:
        if not _is_content_based(queue):
            raise InvalidParameterValueException(_NO_DEDUPLICATION)
        deduplication_id = hashlib.sha256(body.encode()).hexdigest()
    return group, deduplication_id


def _is_content_based(queue: Queue) -> bool:
    return queue.attribute("ContentBasedDeduplication") == "true"
