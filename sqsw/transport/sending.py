"""Send up to ten entries, and retry those that fail.

This module alone enforces the FIFO rule: after a message fails, no later message of its message
group is sent.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqsw.core.errors import (
    AccessDenied,
    Busy,
    ConnectionFailed,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.queue_client import QueueClient

#: attempts for an entry that can be retried, including the first
_TRIES = 4

#: seconds before the first retry, doubled for each further one
_PAUSE_SECONDS = 0.25

#: temporary errors of SQS itself
_SERVER_ERRORS = ("InternalError", "InternalFailure", "ServiceUnavailable")

#: why an entry with the code ``GroupStopped`` failed
_BEHIND = "an earlier message of its group was not sent"


@dataclass(slots=True)
class Outcome:
    """The results of a send, by entry index.

    Attributes
    ----------
    answers :
        SQS's answers for the accepted entries (``MessageId``, ``SequenceNumber`` …).
    failures :
        The entries that were not sent.
    requests :
        The number of calls.
    """

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    failures: dict[int, EntryFailure] = field(default_factory=dict)
    requests: int = 0


def send_entries(
    queue: QueueClient,
    entries: Sequence[Entry],
    stopped: set[str] | None = None,
    *,
    lean: bool = False,
) -> Outcome:
    """Send up to ten entries, and retry temporary failures.

    Parameters
    ----------
    stopped :
        The message groups of a FIFO queue that had a failure. Their entries fail with the code
        ``GroupStopped``, and the groups of all failed entries are added. Pass the same set for all
        entries that must stay in order.
    lean :
        See :meth:`QueueClient.send_batch`.

    Raises
    ------
    QueueNotFound, AccessDenied, ConnectionFailed, SettingsError
        Nothing can be sent, in this call or any other.
    SQSError
        The error is not an answer of SQS, such as a file error of the embedded SQS.
    """
    outcome = Outcome()
    stopped = set() if stopped is None else stopped
    left = []
    for index, entry in enumerate(entries):
        if entry.get("MessageGroupId") in stopped:
            outcome.failures[index] = EntryFailure(index, "GroupStopped", _BEHIND, False)
        else:
            left.append(index)
    attempt = 0
    while left and attempt < _TRIES:
        if attempt:
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        attempt += 1
        answers, refused = send_once(queue, [entries[index] for index in left], lean=lean)
        outcome.answers |= {left[place]: answer for place, answer in answers.items()}
        failures = {left[failure.index]: failure for failure in refused}
        for index in left:
            outcome.failures.pop(index, None)
        outcome.failures |= failures
        left = _to_repeat(queue, entries, outcome, failures)
    outcome.requests = attempt
    if queue.is_fifo:
        stopped.update(entries[index]["MessageGroupId"] for index in outcome.failures)
    return outcome


def send_once(
    queue: QueueClient, entries: Sequence[Entry], *, lean: bool = False, once: bool = False
) -> tuple[dict[int, dict[str, Any]], list[EntryFailure]]:
    """Send up to ten entries in one call. If SQS refuses the call, every entry fails.

    Parameters
    ----------
    lean, once :
        See :meth:`QueueClient.send_batch`.

    Returns
    -------
    tuple
        See :meth:`QueueClient.send_batch`.

    Raises
    ------
    QueueNotFound, AccessDenied, ConnectionFailed, SettingsError, SQSError
        See :func:`send_entries`.
    """
    try:
        return queue.send_batch(entries, lean=lean, once=once)
    except (QueueNotFound, AccessDenied, ConnectionFailed, SettingsError):
        raise
    except SQSError as error:
        if error.code is None:
            raise
        code, reason = error.code, error.why or error.message
        retryable = isinstance(error, Busy) or code in _SERVER_ERRORS
        return {}, [EntryFailure(i, code, reason, not retryable) for i in range(len(entries))]


def all_failed(entries: Sequence[Entry], error: SQSError, reason: str) -> dict[int, EntryFailure]:
    """Return the failures of a call that failed as a whole; the caller gets all entries back."""
    code = error.code or type(error).__name__
    return {index: EntryFailure(index, code, reason, False) for index in range(len(entries))}


def _to_repeat(
    queue: QueueClient,
    entries: Sequence[Entry],
    outcome: Outcome,
    failures: dict[int, EntryFailure],
) -> list[int]:
    again: list[int] = []
    stopped: set[str] = set()
    for index, failure in sorted(failures.items()):
        group = entries[index].get("MessageGroupId", "")
        overtaken = any(
            later > index and entries[later].get("MessageGroupId", "") == group
            for later in outcome.answers
        )
        if queue.is_fifo and (failure.sender_fault or overtaken):
            stopped.add(group)
        if not failure.sender_fault and group not in stopped:
            again.append(index)
    return again
