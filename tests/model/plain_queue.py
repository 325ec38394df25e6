"""The plain model of a standard queue.

It uses only lists, dictionaries, and loops over all messages, so each rule can be compared with the
documentation of SQS. Tests compare the engine with it.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.model.plain_batch import check_batch, each
from tests.model.plain_message import Message, Refused
from tests.model.plain_sqs import PlainSQS

INVALID = "InvalidParameterValue"


class Delivery(NamedTuple):
    """The delivery that a receipt handle identifies."""

    message: Message
    #: the receive count of this delivery
    receives: int


class PlainQueue:
    """A standard queue.

    Parameters
    ----------
    attributes :
        As in CreateQueue, with values for all attributes that the model uses.
    """

    def __init__(self, sqs: PlainSQS, arn: str, attributes: Mapping[str, str]) -> None:
        self.sqs, self.arn = sqs, arn
        self.attributes = dict(attributes)
        #: oldest first
        self.messages: list[Message] = []
        self.deliveries: dict[str, Delivery] = {}
        self.redrive: tuple[PlainQueue, int] | None = None
        self._purged_at: int | None = None
        sqs.queues[arn] = self

    @property
    def now(self) -> int:
        return self.sqs.now

    def seconds(self, name: str) -> int:
        """Return an attribute, converted to milliseconds."""
        return 1000 * int(self.attributes[name])

    # Time

    def moments(self) -> Iterable[int]:
        """Yield the times when a timeout, a delay, or a retention ends."""
        for message in self.messages:
            yield message.hidden_until
            yield message.aged_from + self.seconds("MessageRetentionPeriod")

    def on_time(self) -> None:
        """Delete expired messages, in flight or not."""
        self.messages = [
            message
            for message in self.messages
            if self.now - message.aged_from < self.seconds("MessageRetentionPeriod")
        ]

    def is_hidden(self, message: Message) -> bool:
        return message.hidden_until > self.now

    # Send

    def send(self, entry: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
        """SendMessage; the ids and sequence numbers come from the server's answer."""
        message = self.read(entry)
        message.id = answered.get("MessageId")
        self.messages.append(message)
        return {"MessageId": message.id, **message.digests()}

    def send_batch(
        self, entries: Sequence[Mapping[str, Any]], answered: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """SendMessageBatch: entries one by one, in order; ``answered`` is keyed by entry id."""
        check_batch(entries)
        self.check_send_batch(entries)
        return each(entries, lambda entry: self.send(entry, answered.get(entry["Id"], {})))

    def check_send_batch(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Refuse the whole batch by the rules of this type of queue."""

    def read(self, entry: Mapping[str, Any]) -> Message:
        """Check the parameters and create a message."""
        body = entry["MessageBody"]
        if not body:
            raise Refused("MissingParameter")
        size = len(body.encode()) + (len("k" + "String" + "x") if _has_attributes(entry) else 0)
        if size > int(self.attributes["MaximumMessageSize"]):
            raise Refused(INVALID)
        if "\x00" in body:
            raise Refused("InvalidMessageContents")
        if not 0 <= entry.get("DelaySeconds", 0) <= 900:
            raise Refused(INVALID)
        self.check_ids(entry)
        delay = 1000 * self.delay_seconds(entry)
        return Message(
            id=None,
            body=body,
            sent_at=self.now,
            aged_from=self.now,
            place=self.sqs.tick(),
            has_attributes=_has_attributes(entry),
            group=entry.get("MessageGroupId"),
            hidden_until=self.now + delay,
            is_delayed=delay > 0,
        )

    def check_ids(self, entry: Mapping[str, Any]) -> None:
        """Accept a group, which has no effect; refuse a deduplication id."""
        if "MessageDeduplicationId" in entry:
            raise Refused(INVALID)

    def delay_seconds(self, entry: Mapping[str, Any]) -> int:
        """Return the delay of the message, even 0, or else the delay of the queue."""
        return int(entry.get("DelaySeconds", self.attributes["DelaySeconds"]))

    # Receive

    def available(self) -> list[Message]:
        """Return the messages that can be received now, oldest first, like the engine."""
        return [message for message in self.messages if not self.is_hidden(message)]

    def receive(self, count: int, timeout: int | None, _: str | None = None) -> list[Message]:
        """Receive up to ``count`` messages; move dead letters to the dead-letter queue."""
        taken: list[Message] = []
        for message in self.available():
            if len(taken) == count:
                break
            if self.redrive and message.receives_here >= self.redrive[1]:
                # The receive that moves it does not count.
                self.messages.remove(message)
                self.look_at([message.group])
                self.redrive[0].take_dead_letter(message, self.arn)
            else:
                taken.append(message)
        for message in taken:
            self._deliver(message, timeout)
        return taken

    def _deliver(self, message: Message, timeout: int | None) -> None:
        message.receives += 1
        message.receives_here += 1
        message.first_receive = message.first_receive or self.now
        message.last_receive = self.now
        message.hidden_until = self.now + self.timeout(timeout)
        message.is_delayed = False

    def timeout(self, given: int | None) -> int:
        """Return the visibility timeout of a delivery in milliseconds."""
        return self.seconds("VisibilityTimeout") if given is None else 1000 * given

    def hand_out(self, handle: str, message: Message) -> None:
        """Store the server's receipt handle for the latest delivery of a message."""
        self.deliveries[handle] = Delivery(message, message.receives)

    # Delete and change visibility

    def delivery(self, handle: str) -> Delivery:
        """Return the delivery of a handle; refuse a handle of another queue."""
        if handle not in self.deliveries:
            raise Refused("ReceiptHandleIsInvalid")
        return self.deliveries[handle]

    def delete(self, handle: str) -> None:
        """Delete a message, even if it was received again; deleting it twice succeeds."""
        self.check_delete(handle)
        message = self.delivery(handle).message
        if message in self.messages:
            self.messages.remove(message)
        self.look_at([message.group])

    def delete_batch(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Delete a batch; the groups become available in the order of its entries."""
        check_batch(entries)
        freed: list[str | None] = []

        def delete(entry: Mapping[str, Any]) -> None:
            handle = entry["ReceiptHandle"]
            self.check_delete(handle)
            message = self.delivery(handle).message
            if message in self.messages:
                self.messages.remove(message)
                freed.append(message.group)

        answer = each(entries, delete)
        self.look_at(freed)
        return answer

    def check_delete(self, handle: str) -> None:
        """Accept an expired handle, too."""
        self.delivery(handle)

    def change_visibility(self, handle: str, seconds: int) -> None:
        """Hide a message for some seconds from now; an expired handle works, too."""
        message = self.delivery(handle).message
        if not 0 <= seconds <= 43_200 or message not in self.messages:
            raise Refused(INVALID)
        # At most twelve hours after the delivery, counted in whole seconds.
        if seconds and (self.now - message.last_receive) // 1000 + seconds > 43_200:
            raise Refused(INVALID)
        message.hidden_until = self.now + 1000 * seconds
        self.look_at([message.group])

    def change_visibility_batch(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        check_batch(entries)
        return each(
            entries, lambda e: self.change_visibility(e["ReceiptHandle"], e["VisibilityTimeout"])
        )

    # The queue

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of available, in-flight, and delayed messages.

        A message that its group blocks counts as available.
        """
        hidden = [message for message in self.messages if self.is_hidden(message)]
        delayed = sum(message.is_delayed for message in hidden)
        return len(self.messages) - len(hidden), len(hidden) - delayed, delayed

    def purge(self) -> None:
        """Delete all messages in any state; allowed once a minute."""
        if self._purged_at is not None and self.now - self._purged_at < 60_000:
            raise Refused("AWS.SimpleQueueService.PurgeQueueInProgress")
        self._purged_at = self.now
        self.messages = []

    def set_attribute(self, name: str, value: str) -> None:
        """Set attributes; hidden messages do not change, but a shorter retention applies."""
        self.attributes[name] = value
        self.on_time()

    def look_at(self, groups: Iterable[str | None]) -> None:
        """Update groups after a change; a standard queue has none."""

    # Dead letters and move tasks

    def take_dead_letter(self, message: Message, source_arn: str) -> None:
        """Add a dead letter; it keeps its id and age, and is available at once."""
        message.source_arn = source_arn
        message.receives_here = 0
        message.hidden_until = 0
        self.messages.append(message)
        self.messages.sort(key=lambda each: each.place)
        self.look_at([message.group])
        self.on_time()  # it can already be expired in this queue

    def move_all(self, destination: "PlainQueue | None") -> tuple[str, int]:
        """StartMessageMoveTask without a rate; return its status and the number of moved messages.

        Without a destination, messages return to their source. One without a source ends the task.
        """
        movable = sorted(self.available(), key=lambda message: message.place)
        for moved, message in enumerate(movable):
            target = destination or self.sqs.queues.get(message.source_arn or "")
            if target is None:
                return "FAILED", moved
            target.take_moved(
                message
            )  # first, so a group that is moved to the same queue does not end
            self.messages.remove(message)
            self.look_at([message.group])
        return "COMPLETED", len(movable)

    def take_moved(self, message: Message) -> None:
        """Add a copy of a message with a new id, age, and receive count."""
        moved = Message(
            id=None,
            body=message.body,
            sent_at=self.now,
            aged_from=self.now,
            place=self.sqs.tick(),
            has_attributes=message.has_attributes,
            group=message.group,
            deduplication_id=message.deduplication_id,
        )
        self.messages.append(moved)
        self.look_at([moved.group])


def _has_attributes(entry: Mapping[str, Any]) -> bool:
    return "MessageAttributes" in entry
