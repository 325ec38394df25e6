"""Send up to ten entries, and retry until each one is sent or cannot be sent."""

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

#: attempts for an entry that can be retried: the first, and three more
_TRIES = 4

#: seconds before the second call, doubled for each one after it
_PAUSE_SECONDS = 0.25


@dataclass(slots=True)
class Outcome:
    """The results of the entries, by their index.

    Attributes
    ----------
    answers :
        The answers of SQS for the entries that it accepted (``MessageId``, ``SequenceNumber`` …).
    failures :
        Why the others were not sent.
    requests :
        How many calls were made.
    """

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    failures: dict[int, EntryFailure] = field(default_factory=dict)
    requests: int = 0


def send_entries(queue: QueueClient, entries: Sequence[Entry], *, lean: bool = False) -> Outcome:
    """Send up to ten entries, and retry those that can be retried.

    On a FIFO queue, an entry is retried only if no later entry of its group was sent.

    Parameters
    ----------
    lean :
        See :meth:`QueueClient.send_batch`.

    Raises
    ------
    QueueNotFound, AccessDenied, ConnectionFailed, SettingsError
        No entry of this call or of any other call can be sent.
    SQSError
        The error does not come from an answer of SQS, such as one of the embedded SQS's file.
    """
    outcome = Outcome()
    left = list(range(len(entries)))
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        outcome.requests += 1
        answers, refused = _send(queue, [entries[index] for index in left], lean=lean)
        outcome.answers |= {left[place]: answer for place, answer in answers.items()}
        failures = {left[failure.index]: failure for failure in refused}
        for index in left:
            outcome.failures.pop(index, None)
        outcome.failures |= failures
        left = _to_repeat(queue, entries, outcome, failures)
        if not left:
            break
    return outcome


def _send(
    queue: QueueClient, entries: Sequence[Entry], *, lean: bool
) -> tuple[dict[int, dict[str, Any]], list[EntryFailure]]:
    try:
        return queue.send_batch(entries, lean=lean)
    except (QueueNotFound, AccessDenied, ConnectionFailed, SettingsError):
        raise
    except SQSError as error:
        if error.code is None:
            raise
        # SQS refused the whole request, so each entry fails with this error.
        code, reason = error.code, error.why or error.message
        retryable = isinstance(error, Busy)
        return {}, [EntryFailure(i, code, reason, not retryable) for i in range(len(entries))]


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
