"""The plain model of a FIFO queue.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.model.plain_message import Message, Refused
from tests.model.plain_queue import INVALID, PlainQueue
from tests.model.plain_sqs import PlainSQS

#: how long SQS remembers deduplication ids and receive attempt ids, in milliseconds
FIVE_MINUTES = 300_000


class Sent(NamedTuple):
    """A sent message, as remembered for deduplication."""

    message_id: str | None
    sequence_number: str | None
    until: int


class Attempt(NamedTuple):
    """The answer to a receive with an attempt id."""

    until: int
    #: each message with its receive count and the end of its timeout at that time
    messages: list[tuple[Message, int, int]]


class PlainFifoQueue(PlainQueue):
    """A FIFO queue: order within groups, deduplication, receive attempts."""

    def __init__(self, sqs: PlainSQS, arn: str, attributes: Mapping[str, str]) -> None:
        super().__init__(sqs, arn, attributes)
        # Only the scope at creation counts; later changes have no effect.
        self._is_by_group = attributes["DeduplicationScope"] == "messageGroup"
        self._sent: dict[tuple[str, str], Sent] = {}
        self._attempts: dict[str, Attempt] = {}
        #: since when each available group has been available; the longest is first
        self._since: dict[str, tuple[int, int]] = {}
        #: the groups among these that an expired message made available: their order is undefined
        self._open: set[str | None] = set()
        #: for that case, the order of the groups in the last answer of the server
        self.answered: list[str] = []
        #: when each group got its first message; breaks ties
        self._born: dict[str, int] = {}

    # Groups

    def of_group(self, group: str) -> list[Message]:
        return [message for message in self.messages if message.group == group]

    def first_of(self, group: str) -> list[Message]:
        """Return the messages before the first hidden one, which blocks those after it."""
        messages = self.of_group(group)
        for index, message in enumerate(messages):
            if self.is_hidden(message):
                return messages[:index]
        return messages

    def available(self) -> list[Message]:
        """Return the messages group by group, the longest available group first."""
        line = sorted(self._since, key=lambda group: (self._since[group], self._born[group]))
        if self._open & set(line):
            places = {group: place for place, group in enumerate(self.answered)}
            line.sort(key=lambda group: places.get(group, len(places)))
        return [message for group in line for message in self.first_of(group)]

    def look_at(self, groups: Iterable[str | None], by_time: bool = False) -> None:
        """Update whether groups are available, after a change."""
        for group in groups:
            if group is None:
                continue
            if not self.of_group(group):
                self._since.pop(group, None)
                self._born.pop(group, None)
                continue
            self._born.setdefault(group, self.sqs.tick())
            if not self.first_of(group):
                self._since.pop(group, None)
            elif group not in self._since:
                # Timeouts count before calls in the same millisecond.
                self._since[group] = (self.now, 0 if by_time else self.sqs.tick())

    def on_time(self) -> None:
        before = self.messages
        super().on_time()
        expired = {message.group for message in before if message not in self.messages}
        self._open |= expired - self._since.keys()
        self.look_at(list(self._born), by_time=True)

    # Send

    def check_send_batch(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Refuse the batch if an entry has no ids; the code differs from that of a single send."""
        for entry in entries:
            if "MessageGroupId" not in entry:
                raise Refused(INVALID)
        for entry in entries:
            if "MessageDeduplicationId" not in entry and not self._is_content_based():
                raise Refused(INVALID)

    def check_ids(self, entry: Mapping[str, Any]) -> None:
        if "MessageGroupId" not in entry:
            raise Refused("MissingParameter")
        if "MessageDeduplicationId" not in entry and not self._is_content_based():
            raise Refused(INVALID)

    def delay_seconds(self, entry: Mapping[str, Any]) -> int:
        """Refuse a delay of the message itself; 0 is accepted and ignored."""
        if entry.get("DelaySeconds", 0) > 0:
            raise Refused(INVALID)
        return int(self.attributes["DelaySeconds"])

    def send(self, entry: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
        """Accept a duplicate from the last five minutes, but do not store it."""
        message = self.read(entry)
        content = hashlib.sha256(message.body.encode()).hexdigest()
        message.deduplication_id = entry.get("MessageDeduplicationId", content)
        scope = message.group if self._is_by_group else None
        key = (scope or "", message.deduplication_id or "")
        if key not in self._sent or self._sent[key].until <= self.now:
            message.id = answered.get("MessageId")
            message.sequence_number = answered.get("SequenceNumber")
            self._sent[key] = Sent(message.id, message.sequence_number, self.now + FIVE_MINUTES)
            self.messages.append(message)
            self.look_at([message.group])
        sent = self._sent[key]
        ids = {"MessageId": sent.message_id, "SequenceNumber": sent.sequence_number}
        return {**ids, **message.digests()}

    def _is_content_based(self) -> bool:
        return self.attributes["ContentBasedDeduplication"] == "true"

    # Receive

    def receive(self, count: int, timeout: int | None, attempt: str | None = None) -> list[Message]:
        """Return the same messages for the same attempt id, if none of them has changed."""
        repeated = self._repeat(attempt, count, timeout) if attempt else []
        taken = repeated or super().receive(count, timeout)
        groups = list(dict.fromkeys(message.group for message in taken))
        if not repeated:
            for group in groups:
                self._since.pop(group or "", None)  # it moves to the end
                self._open.discard(group)
        self.look_at(groups)
        if taken and attempt:
            until = self._attempts[attempt].until if repeated else self.now + FIVE_MINUTES
            standing = [(message, message.receives, message.hidden_until) for message in taken]
            self._attempts[attempt] = Attempt(until, standing)
        return taken

    def _repeat(self, attempt: str, count: int, timeout: int | None) -> list[Message]:
        """Return the messages of an earlier attempt: hidden again, but not counted as received."""
        kept = self._attempts.get(attempt)
        if kept is None or kept.until <= self.now:
            return []
        if len(kept.messages) > count:  # a receive never returns more than requested
            return []
        for message, receives, hidden_until in kept.messages:
            is_as_it_was = (message.receives, message.hidden_until) == (receives, hidden_until)
            if message not in self.messages or not is_as_it_was or not self.is_hidden(message):
                return []
        messages = [message for message, _, _ in kept.messages]
        for message in messages:
            message.hidden_until = self.now + self.timeout(timeout)
        return messages

    # Delete and change visibility

    def _is_held(self, handle: str) -> bool:
        """Return whether the handle is from the latest delivery, and its timeout is not over."""
        message, receives = self.delivery(handle)
        return message.receives == receives and self.is_hidden(message)

    def check_delete(self, handle: str) -> None:
        """Refuse an expired handle, unless its message is already gone."""
        if self.delivery(handle).message in self.messages and not self._is_held(handle):
            raise Refused(INVALID)

    def change_visibility(self, handle: str, seconds: int) -> None:
        if not self._is_held(handle):
            raise Refused(INVALID)
        super().change_visibility(handle, seconds)

    # The queue

    def purge(self) -> None:
        """Delete the messages, and forget deduplication ids and attempts."""
        super().purge()
        self._sent, self._attempts, self._since, self._born = {}, {}, {}, {}
        self._open = set()

    def set_attribute(self, name: str, value: str) -> None:
        """Set attributes; a new delay also applies to messages that are still delayed."""
        super().set_attribute(name, value)
        if name == "DelaySeconds":
            for message in self.messages:
                if message.is_delayed and self.is_hidden(message):
                    message.hidden_until = message.sent_at + self.seconds("DelaySeconds")
        in_line = sorted(self._born, key=lambda group: self._born[group])
        self.look_at(in_line)

    # Dead letters and move tasks

    def take_dead_letter(self, message: Message, source_arn: str) -> None:
        """Add a dead letter at the end; its age starts again, its deduplication id is its id."""
        message.place = self.sqs.tick()
        message.aged_from = self.now
        message.deduplication_id = message.id
        message.sequence_number = None
        super().take_dead_letter(message, source_arn)
