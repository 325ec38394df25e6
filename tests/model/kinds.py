"""The kinds of machines: a standard and a FIFO queue, each with and without a DLQ."""

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model.machine import QUEUES, TIMEOUTS, QueueMachine, policy
from tests.model.plain_message import ATTRIBUTES

ODD_BODIES = ["zwei\tZeilen\r\n\U0001f600", "x" * 1024, "x" * 1025, "", "\x00"]
#: mostly valid values, or there would be few messages to receive
BODIES = st.sampled_from(["a", "b", "c", "d"] * 5 + ODD_BODIES)
GROUPS = st.sampled_from(["g1", "g1", "g2"])
DEDUPLICATION_IDS = st.sampled_from([f"d{number}" for number in range(6)])
STANDARD = st.fixed_dictionaries(
    {"MessageBody": BODIES},
    optional={
        "DelaySeconds": st.sampled_from([0, 1, 5, 901]),
        "MessageAttributes": st.just(ATTRIBUTES),
        "MessageGroupId": GROUPS,
    },
)
#: sends that a FIFO queue accepts if the body is valid; ODD_FIFO has some that it can refuse
FIFO = st.fixed_dictionaries(
    {"MessageBody": BODIES, "MessageGroupId": GROUPS, "MessageDeduplicationId": DEDUPLICATION_IDS},
    optional={"MessageAttributes": st.just(ATTRIBUTES)},
)
ODD_FIFO = st.fixed_dictionaries(
    {"MessageBody": BODIES},
    optional={
        "MessageGroupId": GROUPS,
        "MessageDeduplicationId": DEDUPLICATION_IDS,
        "DelaySeconds": st.sampled_from([0, 1]),
    },
)


class StandardMachine(QueueMachine):
    """One standard queue."""

    @rule(name=QUEUES, entry=STANDARD)
    def send_one(self, name: str, entry: dict[str, Any]) -> None:
        self.send(name, entry)

    @rule(name=QUEUES, entries=st.lists(STANDARD, max_size=4))
    def send_some(self, name: str, entries: list[dict[str, Any]]) -> None:
        self.send_batch(name, entries)

    @rule()
    def send_with_a_deduplication_id(self) -> None:
        self.send("main", {"MessageBody": "a", "MessageDeduplicationId": "d1"})


class FifoMachine(QueueMachine):
    """One FIFO queue."""

    is_fifo = True

    @rule(name=QUEUES, entry=FIFO)
    def send_one(self, name: str, entry: dict[str, Any]) -> None:
        self.send(name, entry)

    @rule(name=QUEUES, entry=ODD_FIFO)
    def send_one_that_lacks_something(self, name: str, entry: dict[str, Any]) -> None:
        self.send(name, entry)

    @rule(name=QUEUES, entries=st.lists(FIFO, max_size=5))
    def send_some(self, name: str, entries: list[dict[str, Any]]) -> None:
        self.send_batch(name, entries)

    @rule(name=QUEUES, entries=st.lists(FIFO | ODD_FIFO, max_size=3))
    def send_some_that_lack_something(self, name: str, entries: list[dict[str, Any]]) -> None:
        self.send_batch(name, entries)

    @rule(
        name=QUEUES,
        count=st.sampled_from([1, 2, 10]),
        timeout=TIMEOUTS,
        attempt=st.sampled_from(["one", "one", "other"]),
    )
    def receive_under_an_attempt_id(
        self, name: str, count: int, timeout: int | None, attempt: str
    ) -> None:
        self.receive(name, count, timeout, False, attempt)

    @rule(
        name=QUEUES,
        setting=st.sampled_from(
            [
                ("ContentBasedDeduplication", "true"),
                ("ContentBasedDeduplication", "false"),
                ("DeduplicationScope", "messageGroup"),
                ("DeduplicationScope", "queue"),
            ]
        ),
    )
    def set_deduplication(self, name: str, setting: tuple[str, str]) -> None:
        self.call("SetQueueAttributes", name, Attributes=dict([setting]))
        self.queue(name).set_attribute(*setting)


class GroupScopeMachine(FifoMachine):
    """A FIFO queue that deduplicates by group."""

    def fifo_attributes(self) -> dict[str, str]:
        return {"DeduplicationScope": "messageGroup"}


class RedriveRules(QueueMachine):
    """A queue with its dead-letter queue."""

    names: ClassVar[tuple[str, ...]] = ("main", "dead")

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self.set_redrive_policy(1)

    @rule(count=st.sampled_from([None, 1, 1, 2, 3]))
    def set_redrive_policy(self, count: int | None) -> None:
        main, dead = self.plain["main"], self.plain["dead"]
        text = "" if count is None else policy(dead.arn, count)
        self.call("SetQueueAttributes", "main", Attributes={"RedrivePolicy": text})
        main.redrive = None if count is None else (dead, count)

    @rule(destination=st.sampled_from([None, "main", "dead"]))
    def move_back(self, destination: str | None) -> None:
        main, dead = self.plain["main"], self.plain["dead"]
        to = self.plain[destination] if destination else None
        given = {"DestinationArn": to.arn} if to else {}
        answered = self.call("StartMessageMoveTask", None, SourceArn=dead.arn, **given)
        if main.redrive is None:  # then the other queue is not a dead-letter queue
            assert answered == {"Error": "InvalidParameterValue"}
            return
        assert answered.keys() == {"TaskHandle"}
        listed = self.call("ListMessageMoveTasks", None, SourceArn=dead.arn)["Results"][0]
        got = listed["Status"], listed["ApproximateNumberOfMessagesMoved"]
        assert got == dead.move_all(to)


class StandardRedriveMachine(RedriveRules, StandardMachine):
    """A standard queue with its dead-letter queue."""


class FifoRedriveMachine(RedriveRules, FifoMachine):
    """A FIFO queue with its dead-letter queue."""

    # Which messages a receive moves depends on the order of groups. The model does not define it
    # after messages have expired.
    fixed = ("MessageRetentionPeriod",)
