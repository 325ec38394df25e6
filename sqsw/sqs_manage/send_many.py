"""Send many messages in few requests, and in order on a FIFO queue."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any

from sqsw.core.contracts import WallClock
from sqsw.core.errors import SQSError
from sqsw.core.job_metadata import entry_job_id
from sqsw.core.limits import MAX_BATCH_ENTRIES, MAX_MESSAGE_BYTES
from sqsw.core.settings import check_bounds
from sqsw.middleware.send_chain import OutgoingEntry, call_before_send
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.message_view import Failure
from sqsw.sqs_manage.outgoing import (
    DEFAULT_GROUP,
    OutgoingMessage,
    QueueRules,
    ReadyMessage,
    UnreadLine,
)
from sqsw.sqs_manage.receive_pass import uninterruptible_thread
from sqsw.transport.batches import entry_bytes
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import Outcome, send_entries

if TYPE_CHECKING:
    from sqsw.parking.places import ParkingPlace


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that SQS or the parking place accepted.

    Attributes
    ----------
    queue, id, job :
        The queue name without the prefix, the message ID and the job name. The ID of a parked job
        is its job ID, because it gets a new message when it is due.
    line :
        The input line.
    group, dedup_id :
        The message group and deduplication ID, as sent.
    sequence_number :
        Its position in a FIFO queue.
    job_id :
        The job ID; the message ID if there was no room for one.
    due :
        When the job can run, in UTC; None if at once.
    parked :
        Whether it waits in the parking place until then.
    """

    queue: str
    id: str
    job: str | None
    line: int
    group: str | None
    dedup_id: str | None
    sequence_number: str | None
    job_id: str
    due: datetime | None = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class SendReport:
    """The result of a bulk send.

    Attributes
    ----------
    sent, failed :
        Numbers of messages. Parked jobs count as sent.
    requests :
        The number of SendMessageBatch calls. A batch of parked jobs counts as one.
    failures :
        The lines that failed, in input order on a FIFO queue.
    parked :
        The number of sent jobs that wait in the parking place.
    """

    sent: int
    failed: int
    requests: int
    failures: tuple[Failure, ...]
    parked: int = 0


@dataclass(slots=True)
class _Batch:
    """A request. The sending thread stores the answer here, so Ctrl-C cannot lose it."""

    messages: list[OutgoingMessage] = field(default_factory=list)
    ready: list[ReadyMessage] = field(default_factory=list)
    size: int = 0
    sending: "Future[None] | None" = None
    outcome: Outcome | None = None
    told: int = 0

    def has_room(self, size: int) -> bool:
        return not self.ready or (
            len(self.ready) < MAX_BATCH_ENTRIES and self.size + size <= MAX_MESSAGE_BYTES
        )

    def send(self, queue: QueueClient, place: "ParkingPlace | None", stopped: set[str]) -> None:
        entries = [entry for entry, _ in self.ready]
        dues = [due for _, due in self.ready if due is not None]
        if not dues:
            # Create the faster client only if there are many sends.
            self.outcome = send_entries(queue, entries, stopped, lean=len(entries) > 1)
            return
        assert place is not None  # otherwise the delay was refused
        outcome = Outcome(requests=1)
        for failure in place.park_batch(entries, queue, dues):
            outcome.failures[failure.index] = failure
        self.outcome = outcome


class MessageCheck:
    """Turns messages into the parameters of a send, and refuses those that cannot be sent.

    Parameters
    ----------
    queue :
        The queue that gets the jobs.

    Raises
    ------
    QueueNotFound
        There is no such queue. Only a FIFO queue is looked up.
    """

    def __init__(self, env: ManageEnv, queue: QueueClient) -> None:
        self.queue = queue
        self.place = env.parking_place
        self.clock: WallClock = env.wall_clock
        self._rules = QueueRules.of(queue, can_park=self.place is not None)
        self._middlewares = env.middlewares_of(queue.name)

    def __call__(self, message: OutgoingMessage) -> ReadyMessage:
        """Check a message without the middlewares; see :meth:`OutgoingMessage.prepare`.

        Raises
        ------
        MessageRefused
            SQS, this queue, or the parking place would refuse it.
        ContentTypeRefused
            There is no codec for its content type.
        """
        ready = message.prepare(self._rules, self.clock())
        self._check_parked(ready)
        return ready

    def finish(self, message: OutgoingMessage) -> ReadyMessage:
        """Check a message, after the middlewares changed it."""
        ready = message.prepare(self._rules, self.clock())
        if self._middlewares:
            outgoing = OutgoingEntry(self.queue.name, message.job, ready.entry)
            call_before_send(self._middlewares, outgoing)
            message.check(ready.entry, self._rules)
        self._check_parked(ready)
        return ready

    def _check_parked(self, ready: ReadyMessage) -> None:
        if ready.due is not None and self.place is not None:
            self.place.check(ready.entry, self.queue, ready.due)


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
    in memory. A message that the queue would refuse counts as failed; :class:`MessageCheck` shows
    this in advance. The middlewares of the environment and the queue see each message before it is
    sent. Retryable failures are retried three times. On a FIFO queue, there is one request at a
    time, and a message group stops at its first failure: its remaining messages count as failed, so
    its order is never broken. Jobs that SQS cannot delay for long enough are parked.

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
    sender = _Sender(MessageCheck(env, queue), on_result or (lambda result: None))
    # A FIFO queue waits for each answer, because it can stop a group. Others keep all threads busy.
    count, window = (1, 1) if queue.is_fifo else (concurrency, 2 * concurrency)
    threads = [uninterruptible_thread("sqsw-send") for _ in range(count)]
    under_way: deque[_Batch] = deque()
    try:
        for thread, batch in zip(cycle(threads), sender.batches(lines), strict=False):
            under_way.append(batch)
            batch.sending = thread.submit(
                batch.send, queue, sender.check.place, sender.stopped_groups
            )
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
    check: MessageCheck
    tell: Callable[[SentMessage | Failure], None]
    sent: int = 0
    parked: int = 0
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    # After a bad line, later messages of its group are not sent, but earlier ones still are. None
    # stands for an unknown group, and cuts all groups. After a refused message, nothing of its
    # group is sent.
    cut_groups: set[str | None] = field(default_factory=set)
    stopped_groups: set[str] = field(default_factory=set)

    def batches(self, lines: Iterable[OutgoingMessage | UnreadLine]) -> Iterator[_Batch]:
        # Parked jobs go to another queue, so they have batches of their own.
        filling = {False: _Batch(), True: _Batch()}
        for message, ready in self._ready(lines):
            batch, size = filling[ready.due is not None], entry_bytes(ready.entry)
            if not batch.has_room(size):
                yield batch
                batch = filling[ready.due is not None] = _Batch()
            batch.messages.append(message)
            batch.ready.append(ready)
            batch.size += size
        yield from (batch for batch in filling.values() if batch.ready)

    def _ready(
        self, lines: Iterable[OutgoingMessage | UnreadLine]
    ) -> Iterator[tuple[OutgoingMessage, ReadyMessage]]:
        for line in lines:
            if isinstance(line, UnreadLine):
                self._fail(line)
                self.cut_groups.add(line.group)
                continue
            try:
                ready = self.check.finish(line)
            except SQSError as error:
                reason = f"{error.message}: {error.why}" if error.why else error.message
                self._fail_line(line, error.code or type(error).__name__, reason, retryable=False)
                self.cut_groups.add(_group(line))
                continue
            if self.check.queue.is_fifo and self.cut_groups & {_group(line), None}:
                self._stop(line)
                continue
            yield line, ready

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
                self.parked += batch.ready[index].due is not None
                self.tell(self._sent(message, batch.ready[index], outcome.answers.get(index)))
                continue
            self._fail_line(
                *(message, failure.code, failure.reason),
                retryable=not failure.sender_fault,
                job_id=entry_job_id(batch.ready[index].entry),
            )

    def report(self) -> SendReport:
        failures = tuple(self.failures)
        return SendReport(self.sent, len(failures), self.requests, failures, self.parked)

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
                *(self.check.queue.name, message.line, None, code, reason, retryable, item),
                job_id=job_id or message.job_id,
            )
        )

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.tell(failure)

    def _sent(
        self, message: OutgoingMessage, ready: ReadyMessage, answer: Mapping[str, Any] | None
    ) -> SentMessage:
        entry, due = ready
        job_id = entry_job_id(entry)
        if answer is None:  # parked: there is no answer, but always a job id
            answer = {"MessageId": job_id}
        elif seconds := entry.get("DelaySeconds"):
            due = datetime.fromtimestamp(self.check.clock(), UTC) + timedelta(seconds=seconds)
        return SentMessage(
            queue=self.check.queue.name,
            id=answer["MessageId"],
            job=message.job,
            line=message.line,
            group=entry.get("MessageGroupId"),
            dedup_id=entry.get("MessageDeduplicationId"),
            sequence_number=answer.get("SequenceNumber"),
            job_id=job_id or answer["MessageId"],
            due=due,
            parked=ready.due is not None,
        )


def _group(message: OutgoingMessage) -> str:
    return message.group or DEFAULT_GROUP
