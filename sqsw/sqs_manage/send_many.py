"""Send many messages in few requests, and in order on a FIFO queue."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from sqsw.core.errors import SQSError
from sqsw.core.job_metadata import entry_job_id
from sqsw.core.settings import check_bounds
from sqsw.middleware.chain import Middleware
from sqsw.middleware.send_chain import OutgoingEntry, call_before_send
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.message_view import Failure
from sqsw.sqs_manage.outgoing import DEFAULT_GROUP, OutgoingMessage, QueueRules, UnreadLine
from sqsw.sqs_manage.receive_pass import uninterruptible_thread
from sqsw.transport.batches import Entry, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import Outcome, send_entries


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that SQS accepted.

    Attributes
    ----------
    queue, id, job :
        The queue name without the prefix, the message ID and the job name.
    line :
        The input line.
    group, dedup_id :
        The message group and deduplication ID, as sent.
    sequence_number :
        Its position in a FIFO queue.
    job_id :
        The job ID; the message ID if there was no room for one.
    """

    queue: str
    id: str
    job: str | None
    line: int
    group: str | None
    dedup_id: str | None
    sequence_number: str | None
    job_id: str


@dataclass(frozen=True, slots=True)
class SendReport:
    """The result of a bulk send.

    Attributes
    ----------
    sent, failed :
        Numbers of messages.
    requests :
        The number of SendMessageBatch calls.
    failures :
        The lines that failed, in input order on a FIFO queue.
    """

    sent: int
    failed: int
    requests: int
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class _Batch:
    """A request. The sending thread stores the answer here, so Ctrl-C cannot lose it."""

    messages: list[OutgoingMessage]
    entries: list[Entry]
    sending: "Future[None] | None" = None
    outcome: Outcome | None = None
    told: int = 0

    def send(self, queue: QueueClient, stopped: set[str]) -> None:
        # Create the faster client only if there are many sends.
        self.outcome = send_entries(queue, self.entries, stopped, lean=len(self.entries) > 1)


def send_messages(
    env: ManageEnv,
    queue_name: str,
    lines: Iterable[OutgoingMessage | UnreadLine],
    *,
    concurrency: int = 4,
    on_result: Callable[[SentMessage | Failure], None] | None = None,
) -> SendReport:
    """Send messages in requests of up to ten messages or 1 MiB.

    The input is read while messages are sent, so only the messages in progress and the failures are
    in memory. A message that the queue would refuse counts as failed; ``OutgoingMessage.to_entry``
    shows this in advance. The middlewares of the environment and the queue see each message before
    it is sent. Retryable failures are retried three times. On a FIFO queue, there is one request at
    a time, and a message group stops at its first failure: its remaining messages count as failed,
    so its order is never broken.

    Parameters
    ----------
    queue_name :
        A queue name without prefix, a queue URL or an ARN.
    lines :
        The messages. An unreadable line among them counts as failed and is reported.
    concurrency :
        Concurrent requests on a standard queue, at least 1.
    on_result :
        Called with the result of each line, in the caller's thread.

    Raises
    ------
    QueueNotFound, AccessDenied, ConnectionFailed
        Nothing (more) can be sent; everything sent before was reported.
    SettingsError
        ``concurrency`` is below 1.
    """
    check_bounds("concurrency", concurrency, 1)
    queue = env.queue_client(queue_name)
    middlewares = env.middlewares_of(queue.name)
    tell = on_result or (lambda result: None)
    sender = _Sender(queue, QueueRules.of(queue), middlewares, tell)
    # A FIFO queue waits for each answer, because it can stop a group. Others keep all threads busy.
    count, window = (1, 1) if queue.is_fifo else (concurrency, 2 * concurrency)
    threads = [uninterruptible_thread("sqsw-send") for _ in range(count)]
    under_way: deque[_Batch] = deque()
    try:
        for thread, batch in zip(cycle(threads), sender.batches(lines), strict=False):
            under_way.append(batch)
            batch.sending = thread.submit(batch.send, queue, sender.stopped_groups)
            if len(under_way) >= window:
                sender.settle(under_way)
        while under_way:
            sender.settle(under_way)
    finally:
        # After an error, wait for the requests in progress, and start no others.
        for thread in threads:
            thread.shutdown(wait=True, cancel_futures=True)
        for batch in under_way:
            sender.tell_answers(batch)
    return sender.report()


@dataclass(slots=True)
class _Sender:
    queue: QueueClient
    rules: QueueRules
    middlewares: Sequence[Middleware]
    tell: Callable[[SentMessage | Failure], None]
    sent: int = 0
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    # After a bad line, later messages of its group are not sent, but earlier ones still are. None
    # stands for an unknown group, and cuts all groups. After a refused message, nothing of its
    # group is sent.
    cut_groups: set[str | None] = field(default_factory=set)
    stopped_groups: set[str] = field(default_factory=set)

    def batches(self, lines: Iterable[OutgoingMessage | UnreadLine]) -> Iterator[_Batch]:
        waiting: deque[OutgoingMessage] = deque()
        for entries in split_entries(self._entries(lines, waiting)):
            yield _Batch([waiting.popleft() for _ in entries], entries)

    def _entries(
        self, lines: Iterable[OutgoingMessage | UnreadLine], waiting: deque[OutgoingMessage]
    ) -> Iterator[Entry]:
        for line in lines:
            if isinstance(line, UnreadLine):
                self._fail(line)
                self.cut_groups.add(line.group)
                continue
            try:
                entry = line.to_entry(self.rules)
                if self.middlewares:
                    outgoing = OutgoingEntry(self.queue.name, line.job, entry)
                    call_before_send(self.middlewares, outgoing)
                    line.check(entry, self.rules)
            except SQSError as error:
                reason = f"{error.message}: {error.why}" if error.why else error.message
                self._fail_line(line, error.code or type(error).__name__, reason, retryable=False)
                self.cut_groups.add(_group(line))
                continue
            if self.rules.fifo and self.cut_groups & {_group(line), None}:
                self._stop(line)
                continue
            waiting.append(line)
            yield entry

    def settle(self, under_way: deque[_Batch]) -> None:
        """Wait for the first answer in order, and report it."""
        first = under_way[0]
        if first.sending is not None:
            first.sending.result()
        self.tell_answers(first)
        under_way.popleft()

    def tell_answers(self, batch: _Batch) -> None:
        """Report the results of a batch, if known; each message once."""
        outcome = batch.outcome
        if outcome is None:
            return
        while batch.told < len(batch.messages):
            index = batch.told
            batch.told += 1
            if index == 0:
                self.requests += outcome.requests
            message, failure = batch.messages[index], outcome.failures.get(index)
            if failure is None:
                self.sent += 1
                entry, answer = batch.entries[index], outcome.answers[index]
                self.tell(_sent(self.queue, message, entry, answer))
                continue
            self._fail_line(
                *(message, failure.code, failure.reason),
                retryable=not failure.sender_fault,
                job_id=entry_job_id(batch.entries[index]),
            )

    def report(self) -> SendReport:
        return SendReport(self.sent, len(self.failures), self.requests, tuple(self.failures))

    def _stop(self, message: OutgoingMessage) -> None:
        reason = "an earlier message of its group could not be sent"
        self._fail_line(message, "GroupStopped", reason, retryable=True)

    def _fail_line(
        self,
        message: OutgoingMessage,
        code: str,
        reason: str,
        *,
        retryable: bool,
        job_id: str | None = None,
    ) -> None:
        item = message.to_item()
        self._fail(
            Failure(
                *(self.queue.name, message.line, None, code, reason, retryable, item),
                job_id=job_id or message.job_id,
            )
        )

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.tell(failure)


def _sent(
    queue: QueueClient, message: OutgoingMessage, entry: Entry, answer: Mapping[str, Any]
) -> SentMessage:
    return SentMessage(
        queue=queue.name,
        id=answer["MessageId"],
        job=message.job,
        line=message.line,
        group=entry.get("MessageGroupId"),
        dedup_id=entry.get("MessageDeduplicationId"),
        sequence_number=answer.get("SequenceNumber"),
        job_id=entry_job_id(entry) or answer["MessageId"],
    )


def _group(message: OutgoingMessage) -> str:
    return message.group or DEFAULT_GROUP
