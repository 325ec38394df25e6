"""Sends parked jobs to their queues when they are due.

The lane receives up to ten messages at a time, and holds none of them: it hides those that are not
due yet, with one call, for at most 12 hours. So a message costs about four calls a day if it waits
alone, and a tenth of that if it waits with nine others that are due at the same time.

A message is deleted only after SQS accepted its copy, in the queue of its job or in the parking
queue. A crash in between can leave both, with the same job id.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqsw.core.contracts import WallClock
from sqsw.core.errors import QueueNotFound, SettingsError, SQSError
from sqsw.core.event_bus import EventBus
from sqsw.core.events import (
    ParkedFailed,
    ParkedSent,
    QueueWarning,
    ReceiveDone,
    ReceiveError,
)
from sqsw.core.job_metadata import job_id_of
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import (
    MAX_BATCH_ENTRIES,
    MAX_DELAY_SECONDS,
    MAX_RETENTION_SECONDS,
    MAX_VISIBILITY_TIMEOUT_SECONDS,
    MAX_WAIT_SECONDS,
    PARKED_TOO_OLD_SECONDS,
)
from sqsw.core.message import Message
from sqsw.core.retry import retry_seconds
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import format_duration
from sqsw.parking.parked_entry import (
    copied_entry,
    due_entry,
    from_milliseconds,
    parked_metadata,
    seconds_until,
)
from sqsw.parking.places import MAX_DELAY
from sqsw.parking.queue_parking import missing_parking_queue
from sqsw.transport.batches import Entry, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import send_entries

logger = SafeLogger(__name__)

_DAY, _MILLISECOND = 86_400, timedelta(milliseconds=1)

#: no job is due later than this, with a margin for clocks that differ
_FARTHEST = MAX_DELAY + timedelta(days=1)

#: A job that its queue refused is sent again after half of the time that it is late, within these
#: bounds in seconds.
_FIRST_RETRY, _LAST_RETRY, _RETRY_PART = 15, 900, 0.5

#: Seconds until the later messages of a group are sent, after an earlier one was refused. This is
#: short, so they are not received together again.
_BEHIND_SECONDS = 1

#: seconds to wait after a receive that failed, the first time and at most
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 60.0

#: seconds between two reads of the number of messages in flight
_COUNT_SECONDS = 60

#: how many accepted messages that could not be deleted, and reported failures, are remembered
_MOST_REMEMBERED = 10_000

_NOT_VISIBLE = "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True, slots=True)
class ParkingLimits:
    """The times and numbers of a parking lane; tests use others.

    Attributes
    ----------
    lease_seconds :
        How long a received message is hidden while the lane handles it.
    hide_seconds :
        How long a message that is not due is hidden at most. It is less than 12 hours, because SQS
        counts its limit from the receive.
    renew_seconds :
        The age at which a message is sent again, before its retention of 14 days ends.
    most_in_flight :
        The number of messages in flight above which messages are sent again with a delay instead of
        being hidden. SQS's limit is 120,000.
    """

    lease_seconds: int = 60
    hide_seconds: int = MAX_VISIBILITY_TIMEOUT_SECONDS - 120
    renew_seconds: float = 12 * _DAY
    most_in_flight: int = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class _Parked:
    """A parked job that was received; ``due`` in milliseconds since 1970."""

    message: Message
    destination: QueueClient
    due: int


class ParkingLane:
    """The companion of a worker that sends parked jobs to their queues.

    It has one thread and uses no job slot.

    Parameters
    ----------
    client :
        The parking queue.
    resolve :
        Returns the queue that a message names; None if no job can be sent there. Anyone who can
        send to the parking queue can write such a message.
    events :
        Gets ``ParkedSent``, ``ParkedFailed`` and ``QueueWarning``; ``ReceiveError`` if a call
        failed, and ``ReceiveDone`` when calls succeed again.
    clock :
        Seconds since 1970.
    """

    def __init__(
        self,
        client: QueueClient,
        resolve: Callable[[str], QueueClient | None],
        events: EventBus,
        clock: WallClock,
        limits: ParkingLimits = ParkingLimits(),
    ) -> None:
        self.client = client
        self._resolve = resolve
        self._events = events
        self._clock = clock
        self._limits = limits
        #: messages whose copy was accepted, but which could not be deleted
        self._accepted: dict[str, None] = {}
        self._reported: dict[tuple[str, str], None] = {}
        #: messages in flight at the last count, and those that were hidden since
        self._in_flight, self._hidden = 0, 0
        self._counted_at = float("-inf")
        self._has_warned = False
        self._closing = threading.Event()
        self._is_polling = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The name of the parking queue."""
        return self.client.name

    # -- companion -------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that the parking queue exists and that its settings keep the jobs.

        Raises
        ------
        QueueNotFound, AccessDenied
            It does not exist, or cannot be read.
        SettingsError
            Its retention is too short, or it has a dead-letter queue.
        """
        names = ("MessageRetentionPeriod", "RedrivePolicy", _NOT_VISIBLE)
        try:
            attributes = self.client.attributes(*names)
        except QueueNotFound as error:
            raise missing_parking_queue(error) from error.__cause__
        kept = int(attributes.get("MessageRetentionPeriod", MAX_RETENTION_SECONDS))
        if kept < MAX_RETENTION_SECONDS:
            raise SettingsError(
                f"the parking queue {self.name!r} keeps messages for only {format_duration(kept)}",
                reason="parking_settings",
                value=self.name,
                why="SQS would delete jobs that wait longer",
                next=f"set its MessageRetentionPeriod to {MAX_RETENTION_SECONDS}",
            )
        if attributes.get("RedrivePolicy"):
            raise SettingsError(
                f"the parking queue {self.name!r} has a dead-letter queue",
                reason="parking_settings",
                value=self.name,
                why="workers receive a parked job every 12 hours, so SQS would move it there",
                next="remove its RedrivePolicy",
            )
        self._note_in_flight(attributes)

    def start(self) -> None:
        """Start the thread."""
        self._closing.clear()
        thread = threading.Thread(target=self._work, name="sqsw-parking", daemon=True)
        thread.start()
        self._thread = thread

    def close(self) -> None:
        """Receive no more messages; those that were received are still handled."""
        self._closing.set()

    def stop(self, deadline: float) -> None:
        """Wait until ``deadline``, in seconds of ``sqsw.core.lease_clock``, for calls under way.

        It does not wait for a receive: SQS hides the messages of that receive for only a minute.
        """
        self._closing.set()
        thread, self._thread = self._thread, None
        while thread is not None and thread.is_alive() and lease_time() < deadline:
            # Repeat it: a receive whose request is still on its way cannot be ended yet.
            if self._is_polling and not self.client.end_polls():
                return
            thread.join(0.02)

    def _work(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                self.step(MAX_WAIT_SECONDS)
                if failures:  # policies that wait for idle queues must not see all receives
                    self._events.publish(ReceiveDone(self.name, 0))
                failures = 0
            except Exception as error:  # without this thread, no parked job would ever run
                seconds = retry_seconds(failures, _FIRST_PAUSE, _LAST_PAUSE)
                if not isinstance(error, SQSError):
                    logger.exception("parked jobs of %s could not be handled", self.name)
                self._events.publish(ReceiveError(self.name, error, seconds))
                failures += 1
                self._closing.wait(seconds)

    # -- one receive -----------------------------------------------------------------------------

    def step(self, wait_seconds: float = 0) -> int:
        """Receive up to ten parked jobs, and send, hide or renew each of them.

        Parameters
        ----------
        wait_seconds :
            Seconds to wait for a message, 0 to 20.

        Returns
        -------
        int
            The number of received messages.

        Raises
        ------
        SQSError
            A call failed. The other calls were still made.
        """
        messages = self._receive(wait_seconds)
        if not messages:
            return 0
        if self._closing.is_set():
            with suppress(SQSError):  # otherwise SQS hides them for a minute
                self.client.change_visibility_batch([(each, 0) for each in messages], once=True)
            return 0
        self._warn_if_too_old(messages)
        now = self._now()
        handled = [each for each in messages if each.message_id in self._accepted]
        due, waiting, unreadable = self._sort(
            [each for each in messages if each.message_id not in self._accepted], now
        )
        calls: list[Callable[[], None]] = [
            partial(self._hide, unreadable),
            partial(self._keep, waiting),
            *(partial(self._send, jobs, now) for jobs in due),
            partial(self._delete, handled),
            self._count_in_flight,
        ]
        problems: list[Exception] = []
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001  # raised below; the other calls can work
                problems.append(error)
        if problems:
            raise problems[0]
        return len(messages)

    def _receive(self, wait_seconds: float) -> list[Message]:
        self._is_polling = True
        try:
            messages = self.client.receive(
                MAX_BATCH_ENTRIES,
                wait_seconds=wait_seconds,
                visibility_timeout=self._limits.lease_seconds,
            )
        except SQSError as error:
            if error.code == "OverLimit":
                self._in_flight = self._limits.most_in_flight + 1
            raise
        finally:
            self._is_polling = False
        return messages

    def _sort(
        self, messages: Sequence[Message], now: int
    ) -> tuple[list[list[_Parked]], list[tuple[Message, int]], list[tuple[Message, int]]]:
        """Return the due jobs by destination, and the others with the seconds to hide them.

        The last list has the messages that are not parked jobs. A job whose queue is unknown here
        waits too, because another release of the app may know the queue.
        """
        due: dict[str, list[_Parked]] = {}
        waiting: list[tuple[Message, int]] = []
        unreadable: list[tuple[Message, int]] = []
        hide_seconds = self._limits.hide_seconds
        for message in messages:
            metadata = parked_metadata(message)
            due_at, to = metadata.due, metadata.to
            if due_at is None or to is None or due_at - now > _FARTHEST / _MILLISECOND:
                unreadable.append((message, hide_seconds))
                self._report(self.name, "a message is not a parked job", hide_seconds)
            elif due_at > now:
                waiting.append((message, seconds_until(due_at, now, hide_seconds)))
            elif (destination := self._destination(to)) is not None:
                name = destination.whole_name or destination.name
                due.setdefault(name, []).append(_Parked(message, destination, due_at))
            else:
                seconds = _seconds_to_retry(due_at, now)
                waiting.append((message, seconds))
                reason = "a parked job names a queue that this app does not have"
                self._report(self.name, reason, seconds)
        return list(due.values()), waiting, unreadable

    def _destination(self, name: str) -> QueueClient | None:
        destination = None
        with suppress(SettingsError):  # the name of a queue in the environment can be malformed
            destination = self._resolve(name)
        if destination is not None and destination.sqs_name == self.client.sqs_name:
            return None
        return destination

    # -- due jobs --------------------------------------------------------------------------------

    def _send(self, jobs: Sequence[_Parked], now: int) -> None:
        """Send due jobs of one queue, and delete those that were accepted."""
        destination = jobs[0].destination
        rest = iter(jobs)
        for part in split_entries(due_entry(job.message, destination) for job in jobs):
            self._send_part([next(rest) for _ in part], part, now)

    def _send_part(self, jobs: Sequence[_Parked], entries: Sequence[Entry], now: int) -> None:
        destination = jobs[0].destination
        held = [index for index, job in enumerate(jobs) if _is_held(job.message)]
        jobs, entries = [jobs[i] for i in held], [entries[i] for i in held]
        if not jobs:
            return
        refusals: dict[int, tuple[str, str]] = {}
        try:
            failures = send_entries(destination, entries).failures
        except SQSError as error:
            refusals = dict.fromkeys(range(len(jobs)), ("", error.summary))
        else:
            if len(jobs) > 1 and sum(f.sender_fault for f in failures.values()) == len(jobs):
                # One bad message can make SQS refuse the whole call.
                for job, entry in zip(jobs, entries, strict=True):
                    self._send_part([job], [entry], now)
                return
            refusals = {i: (f.code, f"{f.reason} [{f.code}]") for i, f in failures.items()}
        sent = [job for index, job in enumerate(jobs) if index not in refusals]
        self._settle([job.message for job in sent])
        for job in sent:
            late = max(0, now - job.due) / 1000
            due = from_milliseconds(job.due)
            self._events.publish(ParkedSent(destination.name, job_id_of(job.message), due, late))
        self._keep_refused(destination.name, jobs, refusals, now)

    def _keep_refused(
        self,
        queue_name: str,
        jobs: Sequence[_Parked],
        refusals: Mapping[int, tuple[str, str]],
        now: int,
    ) -> None:
        """Hide jobs that their queue refused: the later a job is, the longer."""
        if not refusals:
            self._forget(queue_name)
            return
        kept = []
        for index, (code, reason) in refusals.items():
            seconds = _seconds_to_retry(jobs[index].due, now)
            if code == "GroupStopped":
                seconds = _BEHIND_SECONDS
            else:
                self._report(queue_name, reason, seconds)
            kept.append((jobs[index].message, seconds))
        self._keep(kept)

    # -- jobs that wait --------------------------------------------------------------------------

    def _keep(self, waits: Sequence[tuple[Message, int]]) -> None:
        """Keep jobs for these seconds: hide each, or send a copy if it cannot be hidden."""
        copied = [(m, s) for m, s in waits if self._is_crowded or self._is_old(m)]
        ids = {message.message_id for message, _ in copied}
        self._hide([(m, s) for m, s in waits if m.message_id not in ids])
        self._copy(copied)

    def _hide(self, waits: Sequence[tuple[Message, int]]) -> None:
        waits = [(message, seconds) for message, seconds in waits if _is_held(message)]
        if waits:
            # A message that SQS does not hide comes back when its lease ends.
            failures = self.client.change_visibility_batch(waits)
            self._hidden += len(waits) - len(failures)

    def _copy(self, waits: Sequence[tuple[Message, int]]) -> None:
        """Send the messages to the parking queue again, and delete those that were accepted."""
        waits = [(message, seconds) for message, seconds in waits if _is_held(message)]
        rest = iter(waits)
        for part in split_entries(
            copied_entry(message, self.client, min(seconds, MAX_DELAY_SECONDS))
            for message, seconds in waits
        ):
            messages = [next(rest)[0] for _ in part]
            failures = send_entries(self.client, part).failures
            self._settle([each for i, each in enumerate(messages) if i not in failures])
            for failure in failures.values():
                reason = f"a message cannot be renewed: {failure.reason} [{failure.code}]"
                self._report(self.name, reason, self._limits.lease_seconds)

    def _is_old(self, message: Message) -> bool:
        return self._age(message) >= self._limits.renew_seconds

    def _age(self, message: Message) -> float:
        """Return the seconds since the message was sent."""
        sent = message.attributes.get("SentTimestamp", "")
        return (self._now() - int(sent)) / 1000 if sent.isdecimal() else 0

    # -- the end of a message --------------------------------------------------------------------

    def _settle(self, messages: Sequence[Message]) -> None:
        """Delete messages whose copies were accepted."""
        self._accepted |= {message.message_id: None for message in messages}
        while len(self._accepted) > _MOST_REMEMBERED:
            del self._accepted[next(iter(self._accepted))]
        self._delete(messages)

    def _delete(self, messages: Sequence[Message]) -> None:
        # Even those whose lease has ended: their copies exist, so they are no longer needed.
        if messages:
            failed = {failure.index for failure in self.client.delete_batch(messages)}
            for index, message in enumerate(messages):
                if index not in failed:
                    self._accepted.pop(message.message_id, None)

    # -- messages in flight ----------------------------------------------------------------------

    def _count_in_flight(self) -> None:
        """Read the number of messages in flight, if it can have changed by a hundredth."""
        now = self._clock()
        is_due = abs(now - self._counted_at) >= _COUNT_SECONDS
        if is_due and (self._is_crowded or self._hidden >= self._limits.most_in_flight // 100):
            self._note_in_flight(self.client.attributes(_NOT_VISIBLE))

    def _note_in_flight(self, attributes: Mapping[str, str]) -> None:
        self._in_flight, self._hidden = int(attributes.get(_NOT_VISIBLE, 0)), 0
        self._counted_at = self._clock()

    @property
    def _is_crowded(self) -> bool:
        # Between two counts, a lane can hide more messages than there is room for. Those that were
        # in flight before are counted twice, which the next count corrects.
        return self._in_flight + self._hidden >= self._limits.most_in_flight

    # -- reports ---------------------------------------------------------------------------------

    def _warn_if_too_old(self, messages: Sequence[Message]) -> None:
        if self._has_warned or max(map(self._age, messages)) < PARKED_TOO_OLD_SECONDS:
            return
        self._has_warned = True
        self._events.publish(
            QueueWarning(
                self.name,
                f"the parking queue {self.name!r} has a message that is older than 12.5 days: SQS "
                "deletes messages after 14 days, and no worker has renewed this one in time",
                "keep a worker of this app running",
                "parked_too_old",
            )
        )

    def _report(self, queue_name: str, reason: str, retry_seconds: float) -> None:
        """Publish a failure once, until the queue gets a job."""
        if (queue_name, reason) in self._reported:
            return
        self._reported[queue_name, reason] = None
        while len(self._reported) > _MOST_REMEMBERED:
            del self._reported[next(iter(self._reported))]
        self._events.publish(ParkedFailed(queue_name, reason, retry_seconds))

    def _forget(self, queue_name: str) -> None:
        if self._reported:
            self._reported = {k: None for k in self._reported if k[0] != queue_name}

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _seconds_to_retry(due: int, now: int) -> int:
    """Return the seconds until a late job is tried again; times in milliseconds."""
    return int(min(max((now - due) / 1000 * _RETRY_PART, _FIRST_RETRY), _LAST_RETRY))


def _is_held(message: Message) -> bool:
    """Return whether no other receiver can have the message yet.

    A call can hang for longer than the lease. Then another lane may have the rest of the batch.
    """
    return message.lease.sure_until > lease_time()
