"""Doubles for worker tests: a client with lists, a manual clock, and the roles around them."""

import itertools
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args

from sqsw.core.contracts import Clock, ShutdownPolicy
from sqsw.core.events import EventBus
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Lease, Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.shutdown_policies import NEVER_SHUTDOWN
from sqsw.transport.batches import EntryFailure
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.executors.base import Executor, OnDone
from sqsw.worker.executors.inline import InlineExecutor
from sqsw.worker.lane import Lane
from sqsw.worker.signals import SignalInbox
from sqsw.worker.wiring import make_roles

_numbers = itertools.count(1)


class ManualClock:
    """A clock that a test moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Seconds:
    """A backoff policy that returns a fixed number, or raises."""

    def __init__(self, seconds: float | BaseException) -> None:
        self.seconds = seconds

    def get_visibility_timeout(self, message: Message) -> float:
        if isinstance(self.seconds, BaseException):
            raise self.seconds
        return self.seconds


class FakeClient:
    """A client that records its calls and takes its answers from lists."""

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

    def change_visibility_batch(
        self, changes: Sequence[tuple[Message, int]], *, once: bool = False
    ) -> list[EntryFailure]:
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


class CalledBack(FakeClient):
    """A client that calls a function during each call."""

    during: Callable[[], object] = staticmethod(lambda: None)

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        self.during()
        return super().delete_batch(messages)

    def change_visibility_batch(
        self, changes: Sequence[tuple[Message, int]], *, once: bool = False
    ) -> list[EntryFailure]:
        try:
            return super().change_visibility_batch(changes, once=once)
        finally:
            self.during()


def refused(index: int = 0, code: str = "ReceiptHandleIsInvalid") -> EntryFailure:
    """Return a permanent failure of an entry."""
    return EntryFailure(index, code, "no", sender_fault=True)


def throttled(index: int = 0) -> EntryFailure:
    """Return a temporary failure of an entry."""
    return EntryFailure(index, "InternalError", "later", sender_fault=False)


def message(
    body: str = "",
    *,
    group: str | None = None,
    receives: int = 1,
    expires_at: float = float("inf"),
    **fields: Any,
) -> Message:
    """Return a message as if it was received."""
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
    """Let every job succeed."""
    return [SUCCEEDED] * len(messages)


class FakeQueue:
    """A queue whose jobs are functions of messages."""

    def __init__(
        self,
        handle: Callable[[Sequence[Message]], list[ProcessingResult]],
        handle_async: Callable[[Sequence[Message]], Awaitable[list[ProcessingResult]]],
        look_up: Callable[[Message], JobKey],
    ) -> None:
        self.handle, self.handle_async, self.look_up = handle, handle_async, look_up


def lane(
    name: str = "emails",
    *,
    handle: Callable[[Sequence[Message]], list[ProcessingResult]] = succeed,
    handle_async: Callable[[Sequence[Message]], Awaitable[list[ProcessingResult]]] | None = None,
    kind: RunsIn | Callable[[Message], RunsIn] = "thread",
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
    """Return a lane. By default its jobs succeed."""

    async def as_coroutine(messages: Sequence[Message]) -> list[ProcessingResult]:
        return handle(messages)

    def look_up(message: Message) -> JobKey:
        return JobKey(job_name, kind(message) if callable(kind) else kind)

    calls: Any = client if client is not None else FakeClient(name)
    return Lane(
        name=name,
        client=calls,
        queue=FakeQueue(handle, handle_async or as_coroutine, look_up),
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
    """Return the names of the running worker threads."""
    kinds = ("sqsw-job", "sqsw-loop", "sqsw-poll", "sqsw-ack", "sqsw-heartbeat", "sqsw-inline")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(kinds)]


def recorder(*kinds: Any) -> tuple[EventBus, list[Any]]:
    """Return a bus and the list of its events."""
    events, told = EventBus(), list[Any]()
    events.subscribe(told.append, *kinds)
    return events, told


def names(events: Sequence[Any]) -> list[str]:
    """Return the class names of events, in order."""
    return [type(event).__name__ for event in events]


class HeldExecutor:
    """An executor that runs nothing until the test ends a run."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []
        self.cancelled: list[JobRun] = []
        self._on_done: OnDone | None = None

    def start(self) -> None: ...
    def check(self) -> None: ...
    def stop(self, deadline: float) -> None: ...

    def submit(self, calls: Sequence[JobRun], on_done: OnDone) -> None:
        self.runs += calls
        self._on_done = on_done

    def cancel(self, call: JobRun) -> None:
        self.cancelled.append(call)

    def end_next(self) -> None:
        """End the run that started first, and hold the one that follows it."""
        run = self.runs.pop(0)
        assert self._on_done is not None
        following = self._on_done(run, run.run())
        if following is not None:
            self.runs.append(following)


class WorkerKit:
    """The register and the roles of a worker, without their threads.

    Parameters
    ----------
    lanes :
        The queues. Default: one whose jobs succeed.
    executor :
        Runs all jobs. Default: the thread that submits them.
    clock :
        Default: the manual clock ``kit.clock``.
    events :
        The kinds of events to record. Default: all.
    settings :
        Fields of ``WorkerSettings``.
    """

    def __init__(
        self,
        *lanes: Lane,
        executor: Executor | None = None,
        clock: Clock | None = None,
        events: Sequence[Any] = (),
        **settings: Any,
    ) -> None:
        self.lanes = lanes or (lane(),)
        self.lane = self.lanes[0]
        self.client: Any = self.lane.client
        self.clock = ManualClock()
        self._now = clock or self.clock
        self.events, self.told = recorder(*events)
        self.inbox = SignalInbox()
        executors = dict.fromkeys(get_args(RunsIn), executor or InlineExecutor())
        roles = make_roles(
            self.lanes,
            WorkerSettings(**settings),
            self.events,
            self.inbox,
            executors,
            self._now,
        )
        self.in_flight, self.policies, self.dispatcher = roles[:3]
        self.acknowledger, self.heartbeat = roles.acknowledger, roles.heartbeat
        self.health, (self.poller, *_) = roles.health, roles.pollers
        self.acknowledger._jitter = self.poller._jitter = lambda: 1.0

    @property
    def calls_wait(self) -> bool:
        """Whether calls wait for the network."""
        return self.acknowledger._latency.calls_wait

    @calls_wait.setter
    def calls_wait(self, wait: bool) -> None:
        self.acknowledger._latency.calls_wait = wait

    def accept(self, *bodies: str, of: int = 0, **fields: Any) -> list[Message]:
        """Take in messages with these bodies and leases of 30 seconds."""
        now = self._now()
        times = {"expires_at": now + 30, "received_at": now}
        made = [message(body, **times | fields) for body in bodies]
        self.dispatcher.accept(self.lanes[of], made)
        return made

    def delivery(self, body: str) -> Delivery:
        """Return the delivery of a message in hand."""
        held = self.in_flight._deliveries.values()
        return next(each for each in held if each.message.body == body)
