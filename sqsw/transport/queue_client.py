"""Calls on one queue. They take plain values and raise errors of :mod:`sqsw.core.errors`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqsw.core.errors import AccessDenied, QueueNotFound, UnexpectedAnswer
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Lease, Message
from sqsw.core.process_lock import ProcessLock
from sqsw.core.wording import nearest, without_password
from sqsw.transport.batches import Entry, EntryFailure, failures_of, read_batch
from sqsw.transport.client import ClientSource
from sqsw.transport.names import is_fifo, region_of_url
from sqsw.transport.queue_lookup import check_region, url_by_arn, url_by_name
from sqsw.transport.service_errors import service_errors, with_place

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


#: messages that a peek reads at once
_PEEK_PART = 100

#: prefixes of the attributes that every queue has
_ALWAYS_THERE = ("QueueArn", "ApproximateNumberOfMessages")


class QueueClient:
    """A client for one queue.

    Parameters
    ----------
    clients :
        Makes the calls.
    name :
        The queue name without the prefix, for messages and errors.
    sqs_name :
        The full name in SQS.
    url :
        The queue URL, if known; otherwise the first call looks it up.
    known :
        Returns the known queue names, to suggest one if the queue does not exist.
    arn :
        The ARN, if the queue was given by ARN; it is then looked up in that account and region.

    Attributes
    ----------
    is_fifo :
        Whether this is a FIFO queue.
    whole_name :
        The URL or ARN that the queue was given by; None if it was given by name.
    """

    def __init__(
        self,
        clients: ClientSource,
        name: str,
        sqs_name: str,
        url: str | None = None,
        known: Callable[[], Iterable[str]] = tuple,
        arn: str | None = None,
    ) -> None:
        self._clients = clients
        self.name = name
        self.sqs_name = sqs_name
        self.arn = arn
        self.is_fifo = is_fifo(sqs_name)
        # Reports and errors show this URL; requests go to the client's endpoint.
        self._given_url = None if url is None else without_password(url)
        self._url: str | None = None
        self.whole_name = arn or self._given_url
        self._known = known
        self._url_lock = ProcessLock()

    def through(self, clients: ClientSource) -> "QueueClient":
        url = self._given_url or self._url
        return QueueClient(clients, self.name, self.sqs_name, url, arn=self.arn)

    @property
    def clients(self) -> ClientSource:
        """The source of the client that makes the calls."""
        return self._clients

    @property
    def boto3_client(self) -> "SQSClient":
        return self._clients.client

    @property
    def endpoint_url(self) -> str:
        return self._clients.endpoint_url

    @property
    def url(self) -> str:
        """The queue URL.

        Raises
        ------
        QueueNotFound
            The queue does not exist.
        SettingsError
            The queue's ARN or URL is in another region.
        """
        if self._url is None:
            with self._url_lock.here:
                if self._url is None:
                    self._url = self._find()
        return self._url

    def _find(self) -> str:
        if self._given_url is not None and region_of_url(self._given_url) is None:
            return self._given_url
        try:
            with service_errors(f"find the queue {self.name!r}", self.name):
                if self._given_url is not None:
                    check_region(self._clients, self._given_url, self.name)
                    return self._given_url
                if self.arn is not None:
                    return url_by_arn(self._clients, self.arn, self.name)
                return url_by_name(self._clients, self.sqs_name)
        except QueueNotFound as error:
            meant = nearest(self.name, (name for name in self._known() if name != self.name))
            raise with_place(error, self._clients.session, meant) from error.__cause__

    def send(self, entry: Entry) -> dict[str, Any]:
        """Send one message; return SQS's answer (``MessageId``, ``SequenceNumber`` …)."""
        url = self.url
        with service_errors(f"send to {self.name!r}", self.name):
            return self._clients.call("SendMessage", {"QueueUrl": url, **entry}, "plain")

    def send_batch(
        self, entries: Sequence[Entry], *, lean: bool = False, once: bool = False
    ) -> tuple[dict[int, dict[str, Any]], list[EntryFailure]]:
        """Send up to ten messages in one call.

        Parameters
        ----------
        lean :
            Whether to skip boto3's parameter validation. Each call then takes a third less time,
            which pays off for many calls.
        once :
            Whether to make the call only once if no answer arrives. It then takes less than a
            minute; otherwise, retries can take several.

        Returns
        -------
        tuple
            SQS's answers by entry index, and the entries that were not sent.
        """
        url = self.url
        request: Any = [{"Id": str(index), **entry} for index, entry in enumerate(entries)]
        with service_errors(f"send to {self.name!r}", self.name):
            answer = self._clients.call(
                "SendMessageBatch",
                {"QueueUrl": url, "Entries": request},
                "once" if once else "lean" if lean else "plain",
            )
        return read_batch(answer, len(entries))

    def receive(
        self,
        max_messages: int = 1,
        *,
        wait_seconds: float = 0,
        visibility_timeout: int | None = None,
    ) -> list[Message]:
        """Receive up to ``max_messages`` (1 to 10), waiting up to ``wait_seconds`` (0 to 20)."""
        url = self.url
        params = {
            "QueueUrl": url,
            "MaxNumberOfMessages": min(max_messages, MAX_BATCH_ENTRIES),
            "WaitTimeSeconds": int(wait_seconds),
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        if visibility_timeout is not None:
            params["VisibilityTimeout"] = visibility_timeout
        asked = lease_time()
        try:
            with service_errors(f"receive from {self.name!r}", self.name):
                answer = self._clients.call("ReceiveMessage", params, "lean")
        except AccessDenied:
            self._clients.refused()
            raise
        now = hidden_at = lease_time()
        if not answer.get("ResponseMetadata", {}).get("RetryAttempts"):
            # The lease starts when SQS hides the message, even if the answer arrives late, so use
            # the earliest possible time. If the call was retried, the time of its last request is
            # unknown.
            hidden_at = min(now, asked + wait_seconds)
        # Without a timeout from the caller, the expiry is unknown.
        seconds = float("inf") if visibility_timeout is None else visibility_timeout
        raws = answer.get("Messages") or ()  # some servers send null
        return self._messages(raws, now, hidden_at + seconds, asked + seconds)

    @property
    def is_embedded(self) -> bool:
        """Whether this client uses the embedded SQS, whose counts are exact."""
        return self._clients.embedded is not None

    def seconds_until_due(self) -> float | None:
        """Return the seconds until the embedded queue's next hidden message can be received.

        None if no message is hidden, or on AWS, which does not report it.
        """
        embedded = self._clients.embedded
        if embedded is None:
            return None
        seconds: float | None = embedded.seconds_until_due(self.url)
        return seconds

    def peek(self, *, hidden: bool = False) -> Iterator[Message] | None:
        """Return the messages that can be received now, without receiving them.

        Only the embedded SQS supports this; on AWS, this returns None. The messages have no receipt
        handle.

        Parameters
        ----------
        hidden :
            Return the messages in flight and the delayed ones too.
        """
        embedded, url = self._clients.embedded, self.url
        if embedded is None:
            return None

        def messages() -> Iterator[Message]:
            last: int | None = -1
            while last is not None:
                part = embedded.peek(url, last, _PEEK_PART, hidden=hidden)
                raws = [{"ReceiptHandle": "", **raw} for raw in part.messages]
                yield from self._messages(raws, lease_time())
                last = part.last

        return messages()

    def discard(self, message_id: str, *, in_flight: bool = True) -> bool | None:
        """Delete a message by its ID, even if it is hidden; return whether it was deleted.

        Only the embedded SQS supports this; on AWS, this returns None.

        Parameters
        ----------
        in_flight :
            Whether to delete a message in flight, which a receiver holds.
        """
        embedded = self._clients.embedded
        if embedded is None:
            return None
        was_there: bool = embedded.discard(self.url, message_id, in_flight=in_flight)
        return was_there

    def _messages(
        self,
        raws: Iterable[Mapping[str, Any]],
        now: float,
        expires_at: float = float("inf"),
        sure_until: float = float("inf"),
    ) -> list[Message]:
        return [
            Message(  # positional arguments take a quarter less time
                raw["MessageId"],
                raw["ReceiptHandle"],
                raw["Body"],
                raw.get("Attributes") or {},
                raw.get("MessageAttributes") or {},
                self.name,
                now,
                Lease(expires_at, sure_until),
            )
            for raw in raws
        ]

    def delete_batch(self, messages: Sequence[Message]) -> list[EntryFailure]:
        """Delete up to ten messages in one call; return those that SQS did not delete."""
        url = self.url
        entries: Any = [
            {"Id": str(index), "ReceiptHandle": message.receipt_handle}
            for index, message in enumerate(messages)
        ]
        with service_errors(f"delete from {self.name!r}", self.name):
            answer = self._clients.call(
                "DeleteMessageBatch", {"QueueUrl": url, "Entries": entries}, "quick"
            )
        return failures_of(answer, len(entries))

    def change_visibility_batch(
        self, changes: Sequence[tuple[Message, int]], *, once: bool = False
    ) -> list[EntryFailure]:
        """Set the visibility timeout of up to ten messages, in seconds; return the failures.

        Parameters
        ----------
        once :
            Whether to make the call only once if no answer arrives.
        """
        url = self.url
        entries: Any = [
            {
                "Id": str(index),
                "ReceiptHandle": message.receipt_handle,
                "VisibilityTimeout": seconds,
            }
            for index, (message, seconds) in enumerate(changes)
        ]
        with service_errors(f"change the visibility of messages of {self.name!r}", self.name):
            answer = self._clients.call(
                "ChangeMessageVisibilityBatch",
                {"QueueUrl": url, "Entries": entries},
                "once" if once else "quick",
            )
        return failures_of(answer, len(entries))

    def attributes(self, *names: str) -> dict[str, str]:
        """Return the queue attributes with these names, or all of them if no name is given."""
        url = self.url
        wanted: Any = list(names) or ["All"]
        with service_errors(f"read the attributes of {self.name!r}", self.name):
            answer = self._clients.call(
                "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": wanted}
            )
        found = {str(name): value for name, value in (answer.get("Attributes") or {}).items()}
        for name in names or ("QueueArn",):
            # A missing count would otherwise be read as 0.
            if name not in found and name.startswith(_ALWAYS_THERE):
                raise UnexpectedAnswer(
                    f"cannot read the attributes of {self.name!r}",
                    reason="not_sqs",
                    why=f"the answer has no {name}, which SQS always sends",
                    next="check the endpoint (AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL)",
                )
        return found

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        url = self.url
        changed: Any = dict(attributes)
        with service_errors(f"change the attributes of {self.name!r}", self.name):
            self.boto3_client.set_queue_attributes(QueueUrl=url, Attributes=changed)

    def purge(self) -> None:
        url = self.url
        with service_errors(f"purge {self.name!r}", self.name):
            self.boto3_client.purge_queue(QueueUrl=url)

    def delete_queue(self) -> None:
        url = self.url
        with service_errors(f"delete the queue {self.name!r}", self.name):
            self.boto3_client.delete_queue(QueueUrl=url)

    def start_move(
        self, source_arn: str, destination_arn: str | None, per_second: int | None
    ) -> str:
        """Start a redrive of this dead-letter queue; return the task handle."""
        keywords: dict[str, Any] = {}
        if destination_arn is not None:
            keywords["DestinationArn"] = destination_arn
        if per_second is not None:
            keywords["MaxNumberOfMessagesPerSecond"] = per_second
        with service_errors(f"move messages out of {self.name!r}", self.name):
            answer = self.boto3_client.start_message_move_task(SourceArn=source_arn, **keywords)
        return answer["TaskHandle"]

    def moves(self, source_arn: str, limit: int = 1) -> list[dict[str, Any]]:
        with service_errors(f"list the moves of {self.name!r}", self.name):
            answer = self.boto3_client.list_message_move_tasks(
                SourceArn=source_arn, MaxResults=limit
            )
        return [dict(move) for move in answer.get("Results") or []]

    def cancel_move(self, handle: str) -> int:
        with service_errors(f"cancel the move of {self.name!r}", self.name):
            answer = self.boto3_client.cancel_message_move_task(TaskHandle=handle)
        return answer.get("ApproximateNumberOfMessagesMoved") or 0

    def dead_letter_sources(self) -> list[str]:
        url = self.url
        with service_errors(f"list the sources of {self.name!r}", self.name):
            pages: Iterable[Any] = self.boto3_client.get_paginator(
                "list_dead_letter_source_queues"
            ).paginate(QueueUrl=url)
            return [source for page in pages for source in page.get("queueUrls") or []]

    def resource(self) -> Any:
        return self._clients.resource().Queue(self.url)

    def end_polls(self) -> bool:
        """End the receives that are waiting; return False unless this is the embedded SQS."""
        embedded = self._clients.embedded
        if embedded is None:
            return False
        embedded.end_polls()
        return True
