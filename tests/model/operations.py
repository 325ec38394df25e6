"""Random calls for any SQS server; the same seed makes the same calls."""

import json
import random
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.model.plain_message import ATTRIBUTES

Params = dict[str, Any]

COUNTS = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
#: the pause between the two halves of a play; timeouts of one second end during it
PAUSE_SECONDS = 1.1
#: the number of messages in a play; a batch can add one more
MOST = 8
SHORT = 1
NO_TIMEOUT = {"VisibilityTimeout": 0}


class Handle(NamedTuple):
    """A placeholder for a receipt handle; 0 is the message that was sent first."""

    which: int


class Step(NamedTuple):
    """A call, with a description."""

    words: str
    operation: str
    params: Params


Maker = Callable[[random.Random], Step]


class Play(NamedTuple):
    """Calls on one queue, before and after the pause."""

    kind: str
    before: list[Step]
    after: list[Step]


class Stage:
    """The queue of a play on one server, and its answers so far."""

    def __init__(self, client: Any, play: Play) -> None:
        self.client, self.play = client, play
        #: the latest handle of each message, by body, because the order differs between servers
        self.handles: dict[str, str] = {}
        self.answers: list[Any] = []
        attributes = {"MaximumMessageSize": "1024"}
        if "dead letters" in play.kind:
            dead = client.create_queue(**_queue(play.kind, {}))["QueueUrl"]
            answer = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
            policy = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": 1}
            attributes["RedrivePolicy"] = json.dumps(policy)
        self.url = client.create_queue(**_queue(play.kind, attributes))["QueueUrl"]

    def run(self, steps: list[Step]) -> None:
        """Make the calls and store the answers; None for a call whose receipt handle is missing."""
        for step in steps:
            params = self._filled(step.params)
            self.answers.append(None if params is None else self._call(step.operation, params))

    def _call(self, operation: str, params: Params) -> Any:
        try:
            answer = getattr(self.client, operation)(QueueUrl=self.url, **params)
        except ClientError as error:
            return error
        del answer["ResponseMetadata"]
        for message in answer.get("Messages", []):
            self.handles[message["Body"]] = message["ReceiptHandle"]
        return answer

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Handle):
            bodies = sorted(self.handles)
            return self.handles[bodies[value.which]] if value.which < len(bodies) else None
        if isinstance(value, dict):
            filled = {key: self._filled(inner) for key, inner in value.items()}
            return None if None in filled.values() else filled
        if isinstance(value, list):
            items = [self._filled(inner) for inner in value]
            return None if None in items else items
        return value


def make_play(seed: int) -> Play:
    """Return the play for a seed."""
    chance = random.Random(seed)
    kind = ("standard", "FIFO", "standard with dead letters", "FIFO with dead letters")[seed % 4]
    send = _fifo_sends if "FIFO" in kind else _standard_sends
    others: list[Maker] = [_receive, _receive, _release, _release, _rest]
    sent = 0

    def step() -> Step:
        nonlocal sent
        # Never more than one receive can return, because SQS does not guarantee which are first.
        maker = chance.choice([None, None, *others] if sent < MOST else others)
        if sent > 0 and maker is not None:
            return maker(chance)
        sent += 2
        return send(chance, f"{sent:02}")

    before = [step() for _ in range(10)]
    return Play(kind, [*before, _short(chance)], [*(step() for _ in range(7)), _count(chance)])


def _queue(kind: str, attributes: dict[str, str]) -> Params:
    is_fifo = kind.startswith("FIFO")
    name = f"q-{uuid.uuid4().hex[:16]}{'.fifo' if is_fifo else ''}"
    return {
        "QueueName": name,
        "Attributes": {**attributes, "FifoQueue": "true"} if is_fifo else attributes,
    }


def _standard_sends(chance: random.Random, number: str) -> Step:
    body = {"MessageBody": number}
    good: list[tuple[str, Params]] = [
        ("a message", body),
        ("a message with attributes", {**body, "MessageAttributes": ATTRIBUTES}),
        ("a message with a delay", {**body, "DelaySeconds": 60}),
        ("a message with a group", {**body, "MessageGroupId": "g"}),
    ]
    odd: list[tuple[str, Params]] = [
        ("a delay of 901 seconds", {**body, "DelaySeconds": 901}),
        ("a deduplication id", {**body, "MessageDeduplicationId": "d"}),
    ]
    return _send(chance, good, odd)


def _fifo_sends(chance: random.Random, number: str) -> Step:
    group = chance.choice(["g1", "g2"])
    body = {"MessageBody": f"{group}-{number}", "MessageGroupId": group}
    message = {**body, "MessageDeduplicationId": f"d{chance.randrange(12)}"}
    good: list[tuple[str, Params]] = [
        ("a message", message),
        ("a message with attributes", {**message, "MessageAttributes": ATTRIBUTES}),
    ]
    odd: list[tuple[str, Params]] = [
        ("no deduplication id", body),
        ("no group", {"MessageBody": "a", "MessageDeduplicationId": "d"}),
        ("a delay", {**message, "DelaySeconds": 5}),
    ]
    return _send(chance, good, odd)


def _send(
    chance: random.Random, good: list[tuple[str, Params]], odd: list[tuple[str, Params]]
) -> Step:
    """Return a send, which is usually valid; sometimes a batch."""
    message = good[0][1]
    odd = [
        *odd,
        ("an empty body", {**message, "MessageBody": ""}),
        ("a forbidden character", {**message, "MessageBody": "\x00"}),
        ("a body that is too long", {**message, "MessageBody": "x" * 1025}),
    ]
    words, params = chance.choice(chance.choice([good, good, good, odd]))
    dice = chance.randrange(10)
    if dice == 0:
        return Step("send a batch of none", "send_message_batch", {"Entries": []})
    if dice == 1:
        entries = [{"Id": "same", **message}, {"Id": "same", **message}]
        return Step("send a batch of one id twice", "send_message_batch", {"Entries": entries})
    if dice < 5:
        entries = [{"Id": "first", **message}, {"Id": "second", **params}]
        if params["MessageBody"] == message["MessageBody"]:
            entries[1]["MessageBody"] += "b"
        return Step(f"send a batch: {words}", "send_message_batch", {"Entries": entries})
    return Step(f"send: {words}", "send_message", params)


def _receive(chance: random.Random) -> Step:
    everything = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    most = {"MaxNumberOfMessages": 10}
    good: list[tuple[str, Params]] = [
        ("receive", {**most, **everything}),
        ("receive", most),
        ("receive with a timeout of 0", {**most, **NO_TIMEOUT, **everything}),
    ]
    odd: list[tuple[str, Params]] = [
        ("receive 11", {"MaxNumberOfMessages": 11}),
        ("receive an unknown attribute", {**most, "AttributeNames": ["Nonsense"]}),
        ("receive with a timeout of 43201", {**most, "VisibilityTimeout": 43201}),
        ("receive with a wait of 21", {**most, "WaitTimeSeconds": 21}),
    ]
    words, params = chance.choice(chance.choice([good, good, good, odd]))
    return Step(words, "receive_message", params)


def _release(chance: random.Random) -> Step:
    handle = {"ReceiptHandle": Handle(chance.randrange(4))}
    twice = [{"Id": "first", **handle}, {"Id": "second", **handle}]
    nonsense = {"ReceiptHandle": "nonsense"}
    delete, change = "delete_message", "change_message_visibility"
    good = [
        Step("delete", delete, handle),
        Step("delete a batch", f"{delete}_batch", {"Entries": twice[:1]}),
        Step("hide", change, {**handle, "VisibilityTimeout": 60}),
        Step("make visible", change, {**handle, "VisibilityTimeout": 0}),
        Step(
            "make visible in a batch",
            f"{change}_batch",
            {"Entries": [{**twice[0], "VisibilityTimeout": 0}]},
        ),
    ]
    odd = [
        Step("delete a batch of one message twice", f"{delete}_batch", {"Entries": twice}),
        Step("delete with nonsense", delete, nonsense),
        Step("hide with nonsense", change, {**nonsense, "VisibilityTimeout": 60}),
        Step("hide for 43201 seconds", change, {**handle, "VisibilityTimeout": 43201}),
        Step("delete a batch of none", f"{delete}_batch", {"Entries": []}),
    ]
    return chance.choice(chance.choice([good, good, odd]))


def _count(_: random.Random) -> Step:
    return Step("count", "get_queue_attributes", {"AttributeNames": COUNTS})


def _rest(chance: random.Random) -> Step:
    others: list[Maker] = [
        _count,
        _count,
        lambda _: Step("purge", "purge_queue", {}),
        lambda _: Step("all attributes", "get_queue_attributes", {"AttributeNames": ["All"]}),
        lambda _: Step("a tag that is not there", "untag_queue", {"TagKeys": ["none"]}),
        lambda _: Step("tags", "list_queue_tags", {}),
    ]
    return chance.choice(others)(chance)


def _short(chance: random.Random) -> Step:
    """Return the last call before the pause; its timeout ends during the pause."""
    return chance.choice(
        [
            Step(
                "receive",
                "receive_message",
                {"VisibilityTimeout": SHORT, "MaxNumberOfMessages": 10},
            ),
            Step(
                "hide",
                "change_message_visibility",
                {"ReceiptHandle": Handle(0), "VisibilityTimeout": SHORT},
            ),
        ]
    )
