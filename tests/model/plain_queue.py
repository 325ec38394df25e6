"""SQS written down plainly: a standard queue.

Lists, dictionaries, and loops over all there is: each rule can be read beside the page of SQS that
tells it. The engine is held against this.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.model.plain_batch import check_batch, each
from tests.model.plain_message import Message, Refused
from tests.model.plain_sqs import PlainSQS

INVALID = "InvalidParameterValue"


class Delivery(NamedTuple):
    """What a receipt handle stands for."""

    message: Message
    #: the receive count of this delivery
    receives: int


class PlainQueue:
    """A standard queue.

    Parameters
    ----------
    attributes :
        As for CreateQueue, with a value for each that matters here.
    """

    def __init__(self, sqs: PlainSQS, arn: str, attributes: Mapping[str, str]) -> None:
        self.sqs, self.arn = sqs, arn
        self.attributes = dict(attributes)
        #: in the order of the queue: oldest first
        self.messages: list[Message] = []
        self.deliveries: dict[str, Delivery] = {}
        self.redrive: tuple[PlainQueue, int] | None = None
        self._purged_at: int | None = None
        sqs.queues[arn] = self

    @property
    def now(self) -> int:
        return self.sqs.now

    def seconds(self, name: str) -> int:
        """An attribute in milliseconds."""
        return 1000 * int(self.attributes[name])

    # Time

    def moments(self) -> Iterable[int]:
        """When something changes by itself."""
        for message in self.messages:
            yield message.hidden_until
            yield message.aged_from + self.seconds("MessageRetentionPeriod")

    def on_time(self) -> None:
        """Retention: a message that reaches its age is gone, in flight or not, and for good."""
        self.messages = [
            message
            for message in self.messages
            if self.now - message.aged_from < self.seconds("MessageRetentionPeriod")
        ]

    def is_hidden(self, message: Message) -> bool:
        return message.hidden_until > self.now

    # Send

    def send(self, entry: Mapping[str, Any], answered: Mapping[str, Any]) -> dict[str, Any]:
        """SendMessage; ids and sequence numbers are those that were answered."""
        message = self.read(entry)
        message.id = answered.get("MessageId")
        self.messages.append(message)
        return {"MessageId": message.id, **message.digests()}

    def send_batch(
        self, entries: Sequence[Mapping[str, Any]], answered: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """SendMessageBatch: each entry for itself, in order; ``answered`` by the ids of entries."""
        check_batch(entries)
        self.check_send_batch(entries)
        return each(entries, lambda entry: self.send(entry, answered.get(entry["Id"], {})))

    def check_send_batch(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """What refuses the whole batch on this type of queue."""

    def read(self, entry: Mapping[str, Any]) -> Message:
        """Check what is to be sent, and make a message of it."""
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
        """A group is taken and orders nothing; deduplication is for FIFO queues."""
        if "MessageDeduplicationId" in entry:
            raise Refused(INVALID)

    def delay_seconds(self, entry: Mapping[str, Any]) -> int:
        """The delay of the message, 0 too, beats that of the queue."""
        return int(entry.get("DelaySeconds", self.attributes["DelaySeconds"]))

    # Receive

    def available(self) -> list[Message]:
        """What can be received now, in the order in which the engine hands it out: oldest first."""
        return [message for message in self.messages if not self.is_hidden(message)]

    def receive(self, count: int, timeout: int | None, _: str | None = None) -> list[Message]:
        """Up to so many messages; what was received too often goes to the dead-letter queue."""
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
        """Milliseconds; that of the call is for this delivery only."""
        return self.seconds("VisibilityTimeout") if given is None else 1000 * given

    def hand_out(self, handle: str, message: Message) -> None:
        """The server gave out this receipt handle for the latest delivery."""
        self.deliveries[handle] = Delivery(message, message.receives)

    # Delete and change visibility

    def delivery(self, handle: str) -> Delivery:
        """What the handle stands for; one of another queue is none here."""
        if handle not in self.deliveries:
            raise Refused("ReceiptHandleIsInvalid")
        return self.deliveries[handle]

    def delete(self, handle: str) -> None:
        """Whoever holds the message now; a second time is a success."""
        self.check_delete(handle)
        message = self.delivery(handle).message
        if message in self.messages:
            self.messages.remove(message)
        self.look_at([message.group])

    def delete_batch(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One moment: the groups that it frees are free in the order of its entries."""
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
        """An expired handle deletes as well as any."""
        self.delivery(handle)

    def change_visibility(self, handle: str, seconds: int) -> None:
        """Hide from now on for so long; an expired handle can do it too."""
        message = self.delivery(handle).message
        if not 0 <= seconds <= 43_200 or message not in self.messages:
            raise Refused(INVALID)
        # Twelve hours from the delivery are the most; whole seconds count.
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
        """Available, in flight and delayed; what waits behind its group is available."""
        hidden = [message for message in self.messages if self.is_hidden(message)]
        delayed = sum(message.is_delayed for message in hidden)
        return len(self.messages) - len(hidden), len(hidden) - delayed, delayed

    def purge(self) -> None:
        """All messages, whatever their state; once a minute."""
        if self._purged_at is not None and self.now - self._purged_at < 60_000:
            raise Refused("AWS.SimpleQueueService.PurgeQueueInProgress")
        self._purged_at = self.now
        self.messages = []

    def set_attribute(self, name: str, value: str) -> None:
        """Messages in flight or delayed stay as they are; a shorter retention ends old ones."""
        self.attributes[name] = value
        self.on_time()

    def look_at(self, groups: Iterable[str | None]) -> None:
        """Something has happened to these groups, which are nothing to a standard queue."""

    # Dead letters and move tasks

    def take_dead_letter(self, message: Message, source_arn: str) -> None:
        """It stays what it was, its age too, and can be received at once."""
        message.source_arn = source_arn
        message.receives_here = 0
        message.hidden_until = 0
        self.messages.append(message)
        self.messages.sort(key=lambda each: each.place)
        self.look_at([message.group])
        self.on_time()  # the retention of this queue may be over for it

    def move_all(self, destination: "PlainQueue | None") -> tuple[str, int]:
        """StartMessageMoveTask without a rate: status, and how many were moved.

        Without a destination each goes where it came from; one that came from nowhere ends it.
        """
        movable = sorted(self.available(), key=lambda message: message.place)
        for moved, message in enumerate(movable):
            target = destination or self.sqs.queues.get(message.source_arn or "")
            if target is None:
                return "FAILED", moved
            target.take_moved(message)  # first, so that no group ends that is moved to itself
            self.messages.remove(message)
            self.look_at([message.group])
        return "COMPLETED", len(movable)

    def take_moved(self, message: Message) -> None:
        """A new message of the same content: its id, age and receive count are new."""
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
