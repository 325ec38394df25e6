"""A queue that is a list, a clock that is moved by hand, and lanes and messages made of them."""

import itertools
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.events import EventBus
from sqsw.core.message import Lease, Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import QueueShare
from sqsw.shutdown_policies import NEVER_SHUTDOWN
from sqsw.transport.batches import EntryFailure
from sqsw.worker.lane import Kind, Lane

_numbers = itertools.count(1)


class ManualClock:
    """Seconds that pass when they are told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Seconds:
    """A backoff policy of a number, or of what is raised instead."""

    def __init__(self, seconds: float | BaseException) -> None:
        self.seconds = seconds

    def get_visibility_timeout(self, message: Message) -> float:
        if isinstance(self.seconds, BaseException):
            raise self.seconds
        return self.seconds


class FakeClient:
    """The calls on one queue, written down; answers are taken from lists."""

    def __init__(self, name: str = "emails") -> None:
        self.name = name
        self.is_fifo = name.endswith(".fifo")
        self.is_embedded = False
        self.inbox: list[list[Message] | Exception] = []
        self.receives: list[tuple[int, float, int | None]] = []
        self.deletes: list[list[str]] = []
        self.changes: list[list[tuple[str, int]]] = []
        self.answers: list[list[EntryFailure] | Exception] = []
        self.polls_ended = 0

    def receive(
        self,
        max_messages: int = 1,
        *,
        wait_seconds: float = 0,
        visibility_timeout: int | None = None,
    ) -> list[Message]:
        self.receives.append((max_messages, wait_seconds, visibility_timeout))
        answer = self.inbox.pop(0) if self.inbox else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.deletes.append([message.body for message in messages])
        return self._answer()

    def change_visibility_batch(self, changes: Sequence[tuple[Message, int]]) -> list[EntryFailure]:
        self.changes.append([(message.body, seconds) for message, seconds in changes])
        return self._answer()

    def end_polls(self) -> bool:
        self.polls_ended += 1
        return True

    def _answer(self) -> list[EntryFailure]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(index: int = 0, code: str = "ReceiptHandleIsInvalid") -> EntryFailure:
    """An entry that SQS will never take."""
    return EntryFailure(index, code, "no", sender_fault=True)


def throttled(index: int = 0) -> EntryFailure:
    """An entry that SQS takes another time."""
    return EntryFailure(index, "InternalError", "later", sender_fault=False)


def message(
    body: str = "",
    *,
    group: str | None = None,
    receives: int = 1,
    expires_at: float = float("inf"),
    **fields: Any,
) -> Message:
    """A message as a receive brings it."""
    number = next(_numbers)
    attributes = {"ApproximateReceiveCount": str(receives)}
    if group is not None:
        attributes["MessageGroupId"] = group
    return Message(
        message_id=f"id-{number}",
        receipt_handle=f"handle-{number}",
        body=body or f"body-{number}",
        attributes=attributes,
        queue_name="emails",
        lease=Lease(expires_at),
        **fields,
    )


def succeed(messages: Sequence[Message]) -> list[ProcessingResult]:
    """Every job succeeds."""
    return [SUCCEEDED] * len(messages)


def lane(
    name: str = "emails",
    *,
    handle: Callable[[Sequence[Message]], list[ProcessingResult]] = succeed,
    handle_async: Callable[[Sequence[Message]], Awaitable[list[ProcessingResult]]] | None = None,
    kind: Kind = "thread",
    client: Any = None,
    backoff: float | BaseException = 7,
    batch_size: int = 1,
    max_wait: float = 0.0,
    visibility_timeout: int = 30,
    slots: int | None = None,
    weight: int = 1,
    group_slots: int | None = None,
    shutdown_policy: ShutdownPolicy = NEVER_SHUTDOWN,
    job_name: str | None = "send",
    max_receives: int | None = None,
) -> Lane:
    """A lane whose jobs succeed, if nothing else is said."""

    async def as_coroutine(messages: Sequence[Message]) -> list[ProcessingResult]:
        return handle(messages)

    calls: Any = client if client is not None else FakeClient(name)
    return Lane(
        name=name,
        client=calls,
        handle=handle,
        handle_async=handle_async or as_coroutine,
        kind_of=lambda _: kind,
        job_name_of=lambda _: job_name,
        backoff_policy=Seconds(backoff),
        batch_size=batch_size,
        max_wait_seconds=max_wait,
        visibility_timeout=visibility_timeout,
        share=QueueShare(name, slots, weight, group_slots),
        shutdown_policy=shutdown_policy,
        max_receives=max_receives,
        dead_letter_queue=f"dead {name}" if max_receives else None,
    )


def our_threads() -> list[str]:
    """The threads of workers that run now."""
    kinds = ("sqsw-job", "sqsw-loop", "sqsw-poll", "sqsw-ack", "sqsw-heartbeat", "sqsw-inline")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(kinds)]


def recorder(*kinds: Any) -> tuple[EventBus, list[Any]]:
    """A bus, and the list of what it told."""
    events, told = EventBus(), list[Any]()
    events.subscribe(told.append, *kinds)
    return events, told


def names(events: Sequence[Any]) -> list[str]:
    """The kinds of some events, in order."""
    return [type(event).__name__ for event in events]
