"""Entries for SQS: their size, what SQS would refuse, and how many fit into one call."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqsw.core.errors import MessageRefused, SettingsError
from sqsw.core.limits import MAX_BATCH_ENTRIES, MAX_MESSAGE_ATTRIBUTES, MAX_MESSAGE_BYTES

#: The parameters of one SendMessage, without the queue URL.
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """One entry of a batch that SQS refused, or did not mention in its answer.

    Attributes
    ----------
    index :
        Its index among the given entries.
    code, reason :
        The error code of SQS, and its text.
    sender_fault :
        True if trying again cannot help.
    """

    index: int
    code: str
    reason: str
    sender_fault: bool

    def as_error(self, message: object) -> dict[str, Any]:
        """Return it as an entry of :class:`~sqsw.core.errors.SQSBatchError`, with the message."""
        return {
            "Id": str(self.index),
            "Code": self.code,
            "Message": self.reason,
            "SenderFault": self.sender_fault,
            "_message": message,
        }


def read_batch(
    answer: Mapping[str, Any], count: int
) -> tuple[dict[int, dict[str, Any]], list[EntryFailure]]:
    """Read the answer to a batch whose IDs are the numbers from 0 to ``count`` - 1.

    An entry is done only if SQS lists it as successful and does not also list it as failed. IDs
    that were not sent are ignored.

    Returns
    -------
    tuple
        The answers by the index of their entry, and the entries that are not done.
    """
    done = {entry["Id"]: entry for entry in answer.get("Successful") or ()}
    failed = {entry["Id"]: entry for entry in answer.get("Failed") or ()}
    answers: dict[int, dict[str, Any]] = {}
    failures: list[EntryFailure] = []
    for index in range(count):
        entry_id = str(index)
        if entry_id in failed:
            entry = failed[entry_id]
            code, reason = entry.get("Code", "Unknown"), entry.get("Message") or ""
            failures.append(EntryFailure(index, code, reason, bool(entry.get("SenderFault"))))
        elif entry_id in done:
            answers[index] = dict(done[entry_id])
        else:
            reason = "the answer of SQS does not mention this entry"
            failures.append(EntryFailure(index, "NoAnswer", reason, False))
    return answers, failures


def failures_of(answer: Mapping[str, Any], count: int) -> list[EntryFailure]:
    """Return the entries that are not done; see :func:`read_batch`."""
    if not answer.get("Failed"):  # nearly always
        done = {entry["Id"] for entry in answer.get("Successful") or ()}
        if done.issuperset(map(str, range(count))):
            return []
    return read_batch(answer, count)[1]


def body_bytes(entry: Mapping[str, Any]) -> int:
    return _utf8_bytes(entry["MessageBody"])


def attribute_bytes(entry: Mapping[str, Any]) -> int:
    texts: list[str] = []
    count = 0
    for name, attribute in entry.get("MessageAttributes", {}).items():
        texts += (name, attribute["DataType"], attribute.get("StringValue", ""))
        count += len(attribute.get("BinaryValue", b""))
    return count + _utf8_bytes("".join(texts))


def entry_bytes(entry: Mapping[str, Any]) -> int:
    """Return the bytes of an entry that count toward the limits of a message and of a batch."""
    return body_bytes(entry) + attribute_bytes(entry)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def check_entry(entry: Mapping[str, Any], max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Refuse an entry that SQS would refuse, before any call.

    Parameters
    ----------
    max_bytes :
        The largest message that the queue accepts.

    Raises
    ------
    MessageRefused
        The message is too large, has too many attributes, is empty, or has characters that SQS
        does not accept.
    """
    body, attributes = entry["MessageBody"], entry.get("MessageAttributes", {})
    if not body:
        raise MessageRefused("the message is empty", why="SQS wants a body of one byte at least")
    if len(attributes) > MAX_MESSAGE_ATTRIBUTES:
        raise MessageRefused(
            f"the message has {len(attributes)} attributes, the limit is {MAX_MESSAGE_ATTRIBUTES}",
            why="a job uses three of them for itself: ContentType, JobContext and JobName",
        )
    _check_characters("the body", body)
    for name, attribute in attributes.items():
        _check_text(f"the attribute {name!r}", attribute.get("StringValue"))
    total = entry_bytes(entry)
    if total > max_bytes:
        raise MessageRefused(
            f"the message is {total} bytes, the limit is {max_bytes}",
            why=f"body {body_bytes(entry)} bytes, attributes {attribute_bytes(entry)} bytes",
            next="store the data elsewhere and send its address",
        )


def check_with_spare(entry: Entry, spare: str | None, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Check an entry, and leave out the attribute ``spare`` if it only fits without that.

    Raises
    ------
    MessageRefused
        See :func:`check_entry`.
    """
    try:
        check_entry(entry, max_bytes)
    except MessageRefused:
        attributes = dict(entry.get("MessageAttributes", {}))
        if attributes.pop(spare, None) is None:
            raise
        lighter = {**entry, "MessageAttributes": attributes}
        check_entry(lighter, max_bytes)
        entry["MessageAttributes"] = attributes
        if not attributes:
            del entry["MessageAttributes"]


def plain_job_name(name: object) -> str:
    """Return a job name as a plain str; for a member of a str enum, its value.

    Raises
    ------
    TypeError
        It is not a str.
    """
    if not isinstance(name, str):
        what = "a function" if callable(name) else f"a {type(name).__name__}"
        raise TypeError(
            f"a job name must be a str, not {what}: give the name as the decorator's argument, "
            "as in @queue.processor('send_email')"
        )
    return str.__str__(name)


def check_job_name(name: object) -> str:
    """Return a job name as a plain str, if jobs can be sent with it.

    Raises
    ------
    TypeError
        It is not a str.
    SettingsError
        It is empty, or has a character that SQS does not accept.
    """
    text = plain_job_name(name)
    try:
        _check_text("it", text)
    except MessageRefused as error:
        raise SettingsError(
            f"a job cannot have the name {text!r}", why=error.message, next="choose another name"
        ) from error
    return text


def fit_to_queue(entry: Entry, *, is_fifo: bool, queue_name: str) -> None:
    """Complete an entry for a FIFO queue; refuse what this kind of queue does not accept.

    Raises
    ------
    MessageRefused
        It has a delay on a FIFO queue, or a deduplication ID on a standard queue.
    """
    if is_fifo:
        entry.setdefault("MessageGroupId", "default")
        if delay := entry.pop("DelaySeconds", 0):
            raise MessageRefused(
                f"{queue_name!r} takes no delay per message",
                why="FIFO queues only have a delay for the whole queue",
                reason="delay_on_fifo",
                queue=queue_name,
                delay=delay,
                next="leave out the delay, or set DelaySeconds of the queue",
            )
    elif "MessageDeduplicationId" in entry:
        raise MessageRefused(
            f"{queue_name!r} takes no deduplication id",
            why="only FIFO queues deduplicate, and this is a standard queue",
            next="leave it out, or send to a FIFO queue",
        )


@cache
def _refused() -> re.Pattern[str]:
    """Return the pattern of characters that SQS refuses in a body or in an attribute.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    return re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _check_text(where: str, text: str | None) -> None:
    if text == "":
        raise MessageRefused(f"{where} is empty", why="SQS takes no attribute without a value")
    _check_characters(where, text or "")


def _check_characters(where: str, text: str) -> None:
    # Most texts do not need the pattern, which takes milliseconds to compile.
    refused = None if text.isprintable() else _refused().search(text)
    if refused:
        raise MessageRefused(
            f"{where} has a character that SQS does not take: U+{ord(refused.group()):04X}",
            why=f"it stands at position {refused.start()}; control characters, surrogates, "
            "U+FFFE and U+FFFF are refused",
            next="remove it, or encode the text (base64, for example)",
        )


def split_entries(
    entries: Iterable[Entry],
    max_entries: int = MAX_BATCH_ENTRIES,
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> Iterator[list[Entry]]:
    """Split entries, in order, into batches that SQS accepts, by count and by bytes."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        weight = entry_bytes(entry)
        if batch and (len(batch) == max_entries or size + weight > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += weight
    if batch:
        yield batch
