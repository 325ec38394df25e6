"""Random calls on the engine and on the plain model; their answers must be the same.

The clock only moves if a rule moves it, so tests can hit each deadline exactly.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sqsw.local.errors import ServiceError
from sqsw.local.store.clock import MovableClock
from sqsw.memory_sqs import LocalSession, MemorySession
from tests.model.plain_fifo import PlainFifoQueue
from tests.model.plain_message import Message, Refused
from tests.model.plain_queue import PlainQueue
from tests.model.plain_sqs import PlainSQS

Storage = Literal["memory", "file"]

#: a whole second; all steps are exact in binary, so there are no rounding errors
START = 1_700_000_000
STEPS = (0.125, 1.0, 1.0, 5.0, 29.875, 30.0, 60.0, 300.0, 300.0, 43_200.0)
TIMEOUTS = st.sampled_from([None, None, 0, 1, 2, 30, 30, 43_200])
CHANGES = st.sampled_from([0, 0, 1, 5, 30, 300, 43_200, 43_201, -1])
#: more calls go to the main queue than to its dead-letter queue
QUEUES = st.sampled_from(["main", "main", "dead"])
SETTINGS = (
    ("VisibilityTimeout", "0"),
    ("VisibilityTimeout", "1"),
    ("VisibilityTimeout", "30"),
    ("DelaySeconds", "0"),
    ("DelaySeconds", "5"),
    ("DelaySeconds", "60"),
    ("MessageRetentionPeriod", "60"),
    ("MessageRetentionPeriod", "90"),
    ("MessageRetentionPeriod", "345600"),
)
#: the index of a receipt handle; the latest one is 0
WHICH = st.integers(0, 7)


def has_handles(machine: "QueueMachine") -> bool:
    return bool(machine.handles)


class QueueMachine(RuleBasedStateMachine):
    """The rules that all kinds of queues share; subclasses add those that send."""

    #: the queues; later ones are created first
    names: ClassVar[tuple[str, ...]] = ("main",)
    is_fifo: ClassVar[bool] = False
    #: attributes that no rule changes
    fixed: ClassVar[tuple[str, ...]] = ()

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.storage = storage
        self.clock = MovableClock(lambda: START)
        self.directory = Path(tempfile.mkdtemp(prefix="sqsw-model-"))
        self.session: MemorySession | LocalSession
        self.open()
        self.sqs = PlainSQS(1000 * START)
        self.urls: dict[str, str] = {}
        self.plain: dict[str, PlainQueue] = {}
        #: receipt handles with their queues, the latest first
        self.handles: list[tuple[str, str]] = []
        self.seen_ids: set[str | None] = set()
        for name in reversed(self.names):
            self.make_queue(name)

    def open(self) -> None:
        if self.storage == "memory":
            self.session = MemorySession(clock=self.clock)
        else:
            self.session = LocalSession(self.directory / "local.db", clock=self.clock)

    def teardown(self) -> None:
        self.session.close()
        shutil.rmtree(self.directory)

    def make_queue(self, name: str) -> None:
        attributes = {
            "VisibilityTimeout": "30",
            "DelaySeconds": "0",
            "MessageRetentionPeriod": "1209600",
            "MaximumMessageSize": "1024",
        }
        if self.is_fifo:
            attributes |= {"ContentBasedDeduplication": "false", **self.fifo_attributes()}
        given = {**attributes, "FifoQueue": "true"} if self.is_fifo else attributes
        full_name = f"{name}.fifo" if self.is_fifo else name
        answer = self.call("CreateQueue", None, QueueName=full_name, Attributes=given)
        self.urls[name] = answer["QueueUrl"]
        arn = self.call("GetQueueAttributes", name, AttributeNames=["QueueArn"])["Attributes"]
        kind = PlainFifoQueue if self.is_fifo else PlainQueue
        self.plain[name] = kind(self.sqs, arn["QueueArn"], attributes)

    def fifo_attributes(self) -> dict[str, str]:
        return {"DeduplicationScope": "queue"}

    # One call on both

    def call(self, operation: str, name: str | None, **params: Any) -> dict[str, Any]:
        """Return the answer of the engine; for an error, only its code."""
        if name is not None:
            params["QueueUrl"] = self.urls[self.pick(name)]
        try:
            # Without botocore, which would take four fifths of the time.
            answer = self.session.engine.handle(operation, params)
        except ServiceError as error:
            return {"Error": error.query_code}
        for failed in answer.get("Failed", []):
            del failed["Message"]  # other tests compare the texts
        return answer

    def compare(self, answered: Mapping[str, Any], expected: Callable[[], Any]) -> None:
        """Assert that the model gives the same answer, or the same error code."""
        try:
            wanted = expected() or {}
        except Refused as refused:
            wanted = {"Error": refused.code}
        assert answered == wanted

    def pick(self, name: str) -> str:
        return name if name in self.names else "main"

    def queue(self, name: str) -> PlainQueue:
        return self.plain[self.pick(name)]

    def handle(self, which: int) -> tuple[str, str]:
        """Return a queue and one of its receipt handles."""
        return self.handles[which % len(self.handles)]

    def send(self, name: str, entry: dict[str, Any]) -> None:
        answered = self.call("SendMessage", name, **entry)
        self.compare(answered, lambda: self.queue(name).send(entry, answered))

    def send_batch(self, name: str, entries: list[dict[str, Any]]) -> None:
        batch = [{"Id": f"e{index}", **entry} for index, entry in enumerate(entries)]
        answered = self.call("SendMessageBatch", name, Entries=batch)
        by_id = {entry["Id"]: entry for entry in answered.get("Successful", [])}
        self.compare(answered, lambda: self.queue(name).send_batch(batch, by_id))

    def receive(
        self, name: str, count: int, timeout: int | None, wait: bool, attempt: str | None
    ) -> None:
        queue = self.queue(name)
        optional = {"VisibilityTimeout": timeout, "ReceiveRequestAttemptId": attempt}
        params: dict[str, Any] = {key: v for key, v in optional.items() if v is not None}
        # With a message, it never waits. If it missed one, it would return empty after a second.
        params["WaitTimeSeconds"] = 1 if wait and self.would_deliver(queue) else 0
        answered = self.call(
            "ReceiveMessage",
            name,
            MaxNumberOfMessages=count,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            **params,
        ).get("Messages", [])
        self.check_promise(queue, answered, count)
        if isinstance(queue, PlainFifoQueue):
            groups = [shown["Attributes"]["MessageGroupId"] for shown in answered]
            queue.answered = list(dict.fromkeys(groups))
        taken = queue.receive(count, timeout, attempt)
        assert len(answered) == len(taken), [message.body for message in taken]
        for message, shown in zip(taken, answered, strict=True):
            self.check_message(self.pick(name), message, shown)

    def would_deliver(self, queue: PlainQueue) -> bool:
        most = queue.redrive[1] if queue.redrive else None
        return any(most is None or m.receives_here < most for m in queue.available())

    def check_promise(self, queue: PlainQueue, answered: list[dict[str, Any]], count: int) -> None:
        """Assert that there are not more messages than requested, and no message twice."""
        assert len(answered) <= count
        ids = [shown["MessageId"] for shown in answered]
        assert len(set(ids)) == len(ids)

    def check_message(self, name: str, message: Message, shown: dict[str, Any]) -> None:
        is_new = message.id is None
        message.learn(shown)
        assert not is_new or message.id not in self.seen_ids
        self.seen_ids.add(message.id)
        handle = shown["ReceiptHandle"]
        assert shown == message.shown(handle)
        if (name, handle) in self.handles:
            # Only a repeated answer with the same delivery has a handle that we already know.
            assert self.plain[name].delivery(handle) == (message, message.receives)
        else:
            self.handles.insert(0, (name, handle))
        self.plain[name].hand_out(handle, message)

    # Rules

    @rule(step=st.sampled_from(STEPS))
    def time_passes(self, step: float) -> None:
        self.clock.advance(seconds=step)
        self.sqs.pass_time(int(1000 * step))

    @rule(
        name=QUEUES,
        count=st.sampled_from([1, 1, 2, 3, 10]),
        timeout=TIMEOUTS,
        wait=st.booleans(),
    )
    def receive_some(self, name: str, count: int, timeout: int | None, wait: bool) -> None:
        self.receive(name, count, timeout, wait, None)

    @precondition(has_handles)
    @rule(which=WHICH, name=st.sampled_from([None, None, None, "main", "dead"]))
    def delete(self, which: int, name: str | None) -> None:
        home, handle = self.handle(which)
        name = name or home  # a queue refuses the handles of another one
        answered = self.call("DeleteMessage", name, ReceiptHandle=handle)
        self.compare(answered, lambda: self.queue(name).delete(handle))

    @precondition(has_handles)
    @rule(which=WHICH, seconds=CHANGES)
    def change_visibility(self, which: int, seconds: int) -> None:
        name, handle = self.handle(which)
        params = {"ReceiptHandle": handle, "VisibilityTimeout": seconds}
        answered = self.call("ChangeMessageVisibility", name, **params)
        self.compare(answered, lambda: self.queue(name).change_visibility(handle, seconds))

    @precondition(has_handles)
    @rule(some=st.lists(WHICH, max_size=4), name=QUEUES)
    def delete_batch(self, some: list[int], name: str) -> None:
        batch = [{"Id": f"e{n}", "ReceiptHandle": self.handle(i)[1]} for n, i in enumerate(some)]
        answered = self.call("DeleteMessageBatch", name, Entries=batch)
        self.compare(answered, lambda: self.queue(name).delete_batch(batch))

    @precondition(has_handles)
    @rule(some=st.lists(st.tuples(WHICH, CHANGES), max_size=4), name=QUEUES)
    def change_visibility_batch(self, some: list[tuple[int, int]], name: str) -> None:
        batch = [
            {"Id": f"e{n}", "ReceiptHandle": self.handle(i)[1], "VisibilityTimeout": seconds}
            for n, (i, seconds) in enumerate(some)
        ]
        answered = self.call("ChangeMessageVisibilityBatch", name, Entries=batch)
        self.compare(answered, lambda: self.queue(name).change_visibility_batch(batch))

    @rule(name=QUEUES, is_wanted=st.sampled_from([False, False, True]))
    def purge(self, name: str, is_wanted: bool) -> None:
        if not is_wanted:
            return
        answered = self.call("PurgeQueue", name)
        self.compare(answered, self.queue(name).purge)

    @rule(name=QUEUES, setting=st.sampled_from(SETTINGS))
    def set_attribute(self, name: str, setting: tuple[str, str]) -> None:
        if setting[0] in self.fixed:
            return
        self.call("SetQueueAttributes", name, Attributes=dict([setting]))
        self.queue(name).set_attribute(*setting)

    @precondition(lambda self: self.storage == "file")
    @rule()
    def reopen(self) -> None:
        self.session.close()
        self.open()

    @invariant()
    def counts_are_exact(self) -> None:
        for name in self.names:
            wanted = ["", "NotVisible", "Delayed"]
            names = [f"ApproximateNumberOfMessages{suffix}" for suffix in wanted]
            values = self.call("GetQueueAttributes", name, AttributeNames=names)["Attributes"]
            assert tuple(int(values[name]) for name in names) == self.plain[name].counts()


def policy(arn: str, count: int) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": count})
