"""Measure and check the entries of SQS sends, and split them into batches."""

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
    """A batch entry that SQS refused, or that is missing from its answer.

    Attributes
    ----------
    index :
        The entry's index in the batch.
    code, reason :
        The SQS error code and its text.
    sender_fault :
        True if retrying cannot help.
    """

    index: int
    code: str
    reason: str
    sender_fault: bool

    def as_error(self, message: object) -> dict[str, Any]:
        """Return the failure as an entry of :class:`~sqsw.core.errors.SQSBatchError`."""
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

    An entry succeeded only if SQS lists it as successful and not also as failed. Unknown IDs are
    ignored.

    Returns
    -------
    tuple
        The answers by entry index, and the failed entries.
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
            reason = "SQS did not report the result of this entry"
            failures.append(EntryFailure(index, "NoAnswer", reason, False))
    return answers, failures


def failures_of(answer: Mapping[str, Any], count: int) -> list[EntryFailure]:
    """Return the entries that failed; see :func:`read_batch`."""
    if not answer.get("Failed"):  # the usual case
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
    """Return an entry's size in bytes, as it counts toward the message and batch limits."""
    return body_bytes(entry) + attribute_bytes(entry)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def check_entry(entry: Mapping[str, Any], max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Reject an entry that SQS would refuse, without a call.

    Parameters
    ----------
    max_bytes :
        The queue's message size limit, in bytes.

    Raises
    ------
    MessageRefused
        The message is empty, is too large, has too many attributes, or contains characters that SQS
        does not accept.
    """
    body, attributes = entry["MessageBody"], entry.get("MessageAttributes", {})
    if not body:
        raise MessageRefused("the message is empty", why="SQS requires a body of at least one byte")
    if len(attributes) > MAX_MESSAGE_ATTRIBUTES:
        raise MessageRefused(
            f"the message has {len(attributes)} attributes; the limit is {MAX_MESSAGE_ATTRIBUTES}",
            why="every job uses three of them: ContentType, JobContext and JobName",
        )
    _check_characters("the body", body)
    for name, attribute in attributes.items():
        _check_text(f"the attribute {name!r}", attribute.get("StringValue"))
    total = entry_bytes(entry)
    if total > max_bytes:
        raise MessageRefused(
            f"the message is {total} bytes; the limit is {max_bytes}",
            why=f"body: {body_bytes(entry)} bytes, attributes: {attribute_bytes(entry)} bytes",
            next="store the data elsewhere, such as in S3, and send a reference to it",
        )


def check_with_spare(entry: Entry, spare: str | None, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Check an entry; remove the attribute ``spare`` if the entry is valid only without it.

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
    """Return a valid job name as a plain str.

    Raises
    ------
    TypeError
        It is not a str.
    SettingsError
        The name is empty, or contains a character that SQS does not accept.
    """
    text = plain_job_name(name)
    try:
        _check_text("it", text)
    except MessageRefused as error:
        raise SettingsError(
            f"{text!r} is not a valid job name", why=error.message, next="choose another name"
        ) from error
    return text


def fit_to_queue(entry: Entry, *, is_fifo: bool, queue_name: str) -> None:
    """Give an entry for a FIFO queue a message group, and refuse deduplication IDs elsewhere.

    Raises
    ------
    MessageRefused
        The entry has a deduplication ID, and the queue is a standard queue.
    """
    if is_fifo:
        entry.setdefault("MessageGroupId", "default")
    elif "MessageDeduplicationId" in entry:
        raise MessageRefused(
            f"{queue_name!r} does not support deduplication IDs",
            why="it is a standard queue, and only FIFO queues deduplicate",
            next="remove the deduplication ID, or send to a FIFO queue",
        )


@cache
def _refused() -> re.Pattern[str]:
    """Return the pattern for characters that SQS refuses in bodies and attributes.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    return re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _check_text(where: str, text: str | None) -> None:
    if text == "":
        raise MessageRefused(f"{where} is empty", why="SQS requires a value for every attribute")
    _check_characters(where, text or "")


def _check_characters(where: str, text: str) -> None:
    # Compiling the pattern takes milliseconds, and most texts do not need it.
    refused = None if text.isprintable() else _refused().search(text)
    if refused:
        raise MessageRefused(
            f"{where} contains a character that SQS does not accept: U+{ord(refused.group()):04X}",
            why=f"it is at position {refused.start()}; SQS refuses control characters, "
            "surrogates, U+FFFE and U+FFFF",
            next="remove it, or encode the text, for example as base64",
        )


def split_entries(
    entries: Iterable[Entry],
    max_entries: int = MAX_BATCH_ENTRIES,
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> Iterator[list[Entry]]:
    """Split entries, in order, into batches within the limits for count and size."""
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
