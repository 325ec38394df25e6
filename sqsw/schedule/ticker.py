"""The ticker: sends the ticks of all schedules.

1. find       (the instants that are due, for each schedule)
2. send       (ten at a time per queue; failed ticks are sent again until they are too late)
3. report     (ticks that were sent, and ticks that can no longer be sent)

There is no leader: the ticker of each worker sends every tick, and SQS keeps one copy, because all
copies have the same deduplication ID. SQS forgets an ID after 300 seconds. So a tick that is more
than 200 seconds late is not sent: it could run twice.
"""

import heapq
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

from sqsw.core.contracts import WallClock
from sqsw.core.errors import QueueNotFound, SQSError
from sqsw.core.event_bus import EventBus
from sqsw.core.events import TickMissed, TickMissReason, TickSent
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.retry import retry_seconds
from sqsw.core.safe_logger import SafeLogger
from sqsw.schedule.rules import Rule
from sqsw.schedule.schedule import PackTick, Schedule
from sqsw.transport.batches import Entry, split_entries
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import send_once

logger = SafeLogger(__name__)

#: how long after its instant a tick can be sent
LATEST = timedelta(seconds=200)

#: the longest random wait before a tick is sent, in seconds and as a part of its interval
_JITTER_SECONDS, _JITTER_PART = 1.0, 0.1

#: the first and the longest wait, in seconds, before a failed send is repeated
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 25.0

#: the longest sleep in seconds: the wall clock can be set, and the machine can be suspended
_LONGEST_SLEEP_SECONDS = 1.0

#: how long after ``LATEST`` a later batch of the same step can still be sent. The last call takes
#: less than a minute, so it ends before SQS forgets the deduplication ID.
_SEND_TIME = timedelta(seconds=20)

#: how long ``stop`` waits for a send
_STOP_SECONDS = 1.0

#: the most ticks that are counted one by one in a ``TickMissed``
_MAX_COUNTED = 10_000

_TINY = timedelta(microseconds=1)

#: the most earlier spans of sent ticks that a schedule remembers in case the clock is set back
_MAX_SPANS = 100


class TickQueue(Protocol):
    """The part of a queue that the ticker uses."""

    @property
    def name(self) -> str: ...

    @property
    def client(self) -> QueueClient: ...

    @property
    def pack_tick(self) -> PackTick: ...


@dataclass(slots=True)
class _Line:
    """The unsent ticks of one schedule, and how far the ticker has got in its instants.

    Attributes
    ----------
    next_at :
        The first instant that is not in ``pending`` yet.
    send_at :
        When its tick will be sent, a random time after the instant.
    since :
        The instants from here to ``next_at`` were sent, or wait in ``pending``.
    spans :
        Earlier such spans, from before the clock was set back: (first, end). Overlapping spans are
        merged.
    pending :
        The instants that are due and whose ticks are not sent yet.
    retry_at :
        When they are sent again after an error, in seconds of the clock.
    """

    schedule: Schedule
    next_at: datetime
    send_at: float
    since: datetime
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)
    pending: list[datetime] = field(default_factory=list)
    failures: int = 0
    retry_at: float = 0.0
    error: BaseException | None = None

    def end_span(self, end: datetime) -> None:
        """Remember the instants whose ticks were sent so far."""
        first = self.since
        if first >= end:
            return
        apart = []
        for span in self.spans:
            if span[0] <= end and first <= span[1]:
                first, end = min(first, span[0]), max(end, span[1])
            else:
                apart.append(span)
        self.spans = [*apart[1 - _MAX_SPANS :], (first, end)]

    def was_sent(self, at: datetime) -> bool:
        """Return whether the tick of an instant was sent before the clock was set back."""
        return any(first <= at < end for first, end in self.spans)


class Ticker:
    """The sender of all ticks of a worker, in one thread.

    Duties:

    1. Find the instants that are due. Only :meth:`step` does this, in the ticker's thread.
    2. Send their ticks, and repeat failed sends.
    3. Report the ticks that it can no longer send.

    Parameters
    ----------
    schedules :
        The schedules.
    queue_of :
        Returns the queue with a name.
    events :
        Gets an event for each tick.
    clock :
        Returns seconds since 1970. If it has a method ``follow``, like the clock of the embedded
        SQS, the ticker wakes up when a test moves it.
    chance :
        Returns a number from 0 to 1, for the random waits.
    """

    name = "schedules"

    def __init__(
        self,
        schedules: Iterable[Schedule],
        queue_of: Callable[[str], TickQueue],
        events: EventBus,
        clock: WallClock,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._schedules = list(schedules)
        self._queue_of = queue_of
        self._events = events
        self._clock = clock
        self._chance = chance
        self._lines: list[_Line] | None = None
        self._seen = float("-inf")
        self._is_closed = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    # Called by the worker.

    def check(self) -> None:
        """Look up the queues of all schedules.

        Raises
        ------
        QueueNotFound, AccessDenied, SettingsError
            A queue does not exist or cannot be looked up.
        """
        for name in dict.fromkeys(schedule.queue_name for schedule in self._schedules):
            try:
                _ = self._queue_of(name).client.url
            except QueueNotFound as error:
                raise self._without_queue(name, error) from error

    def _without_queue(self, name: str, error: QueueNotFound) -> QueueNotFound:
        using = [each.name for each in self._schedules if each.queue_name == name]
        shown = ", ".join(map(repr, using[:3])) + (", …" if len(using) > 3 else "")
        why = f"the schedule{'s' * (len(using) > 1)} {shown} would send to it"
        return QueueNotFound(
            error.message,
            queue=error.queue,
            location=error.location,
            account=error.account,
            similar=error.similar,
            why=f"{error.why}; {why}" if error.why else why,
            next=error.next or f"create it: create_fifo_queue(env, {name!r})",
            code=error.code,
        )

    def start(self) -> None:
        """Start the thread."""
        thread = threading.Thread(target=self._work, name="sqsw-ticker", daemon=True)
        thread.start()
        self._thread = thread  # after the start: a thread that never started cannot be joined

    def close(self) -> None:
        """Start no more sends. Other workers send the ticks from now on."""
        self._is_closed = True
        self._wake.set()

    def stop(self, deadline: float) -> None:
        """Wait for the thread, but not beyond ``deadline``, a time of ``sqsw.core.lease_clock``.

        A send that hangs is abandoned: the thread does not keep the process alive, and other
        workers send the tick too.
        """
        self.close()
        if self._thread is not None:
            self._thread.join(max(0.0, min(deadline - lease_time(), _STOP_SECONDS)))

    def _work(self) -> None:
        follow = getattr(self._clock, "follow", None)
        unfollow = None if follow is None else follow(self._wake.set)
        seconds = 0.0
        while not self._is_closed:
            self._wake.wait(min(seconds, _LONGEST_SLEEP_SECONDS))
            self._wake.clear()
            try:
                seconds = self.step()
            except Exception:  # without this thread, no tick would be sent
                logger.exception("cannot send the ticks that are due")
                seconds = _LONGEST_SLEEP_SECONDS
        if unfollow is not None:
            unfollow()

    # Duty 1.

    def step(self) -> float:
        """Send what is due.

        Returns
        -------
        float
            The seconds until there is something to do, at least 0.
        """
        now = self._clock()
        moment = datetime.fromtimestamp(now, UTC)
        if self._lines is None:
            self._lines = [self._first_line(schedule, moment) for schedule in self._schedules]
        elif now < self._seen:
            for line in self._lines:
                self._set_back(line, moment)
        self._seen = now
        if any(line.send_at <= now for line in self._lines):
            for line in self._lines:
                self._take_due(line, moment)
        self._send_pending()
        wakes = [line.send_at for line in self._lines]
        wakes += [line.retry_at for line in self._lines if line.pending]
        return max(0.0, min(wakes, default=float("inf")) - self._clock())

    def _first_line(self, schedule: Schedule, moment: datetime) -> _Line:
        """Start with the first tick that can still be sent, and report the one before it."""
        before = moment - LATEST - _TINY
        last = schedule.rule.last_before(before)
        if last is not None:
            self._report(schedule, last, last, 1, "started")
        first = schedule.rule.next_after(before)
        line = _Line(schedule, first, 0.0, first)
        self._plan(line)
        return line

    def _set_back(self, line: _Line, moment: datetime) -> None:
        """Follow a clock that was set back. Ticks that were sent are not sent again."""
        early = [at for at in line.pending if at > moment]
        line.pending = [at for at in line.pending if at <= moment]
        line.end_span(early[0] if early else line.next_at)
        line.next_at = line.since = line.schedule.rule.next_after(moment - LATEST - _TINY)
        line.retry_at = 0.0
        self._plan(line)

    def _plan(self, line: _Line) -> None:
        """Choose when the next tick is sent."""
        interval = line.schedule.rule.next_after(line.next_at) - line.next_at
        longest = min(_JITTER_SECONDS, interval.total_seconds() * _JITTER_PART)
        line.send_at = line.next_at.timestamp() + self._chance() * longest

    def _take_due(self, line: _Line, moment: datetime) -> None:
        """Add the instants that are due to ``pending``, and report those that are too old."""
        if line.next_at > moment:
            return
        if line.next_at < moment - LATEST:
            self._pass_over(line, moment - LATEST)
        for at in _instants(line.schedule.rule, line.next_at, moment):
            if not line.was_sent(at):
                line.pending.append(at)
            line.next_at = line.schedule.rule.next_after(at)
        self._plan(line)

    def _pass_over(self, line: _Line, end: datetime) -> None:
        """Report the instants before ``end`` in one event."""
        rule, first = line.schedule.rule, line.next_at
        last = rule.last_before(end - _TINY) or first
        counted = list(islice(_instants(rule, first, last), _MAX_COUNTED))
        missed = [at for at in counted if not line.was_sent(at)]
        if missed:
            last_missed = last if len(counted) == _MAX_COUNTED else missed[-1]
            self._report(line.schedule, missed[0], last_missed, len(missed), "late")
        line.end_span(first)
        line.next_at = line.since = rule.next_after(last)

    # Duty 2.

    def _send_pending(self) -> None:
        by_queue: dict[str, list[_Line]] = {}
        for line in self._lines or ():
            if line.failures:
                self._drop_old(line, LATEST)
            if line.pending and line.retry_at <= self._clock():
                by_queue.setdefault(line.schedule.queue_name, []).append(line)
        for queue_name, lines in by_queue.items():
            try:
                self._send_lines(self._queue_of(queue_name), lines)
            except Exception as error:  # noqa: BLE001  # repeated, and reported with the tick
                for line in lines:
                    if line.pending:
                        self._postpone(line, error)

    def _send_lines(self, queue: TickQueue, lines: list[_Line]) -> None:
        """Send the ticks of one queue, ten at a time. Remove failed lines from ``lines``.

        Raises
        ------
        SQSError
            A call failed as a whole, so the next one would probably fail too.
        """
        most = MAX_BATCH_ENTRIES
        while not self._is_closed:
            packed = self._pack_some(queue, lines, most)
            if not packed:
                if not any(line.pending for line in lines):
                    return
                continue
            entries = next(split_entries(entry for _, _, entry in packed))
            # Later steps send failed ticks again, because they check whether it is too late.
            answers, failures = send_once(queue.client, entries, once=True)
            if len(entries) > 1 and sum(each.sender_fault for each in failures) == len(entries):
                most = 1  # one bad tick can make SQS refuse the whole call
                continue
            for index, (at, line, _) in enumerate(packed[: len(entries)]):
                if index in answers:
                    line.pending.remove(at)
                    line.failures = 0
                    self._events.publish(TickSent(line.schedule.name, queue.name, at))
            for failure in failures:
                line = packed[failure.index][1]
                if line in lines:
                    lines.remove(line)
                    self._postpone(line, SQSError(failure.reason, code=failure.code))

    def _pack_some(
        self, queue: TickQueue, lines: list[_Line], most: int
    ) -> list[tuple[datetime, _Line, Entry]]:
        """Return up to ``most`` ticks with their entries, the oldest first."""
        for line in lines:
            self._drop_old(line, LATEST + _SEND_TIME)
        ticks = ((at, number) for number, line in enumerate(lines) for at in line.pending)
        packed: list[tuple[datetime, _Line, Entry]] = []
        failed: dict[int, BaseException] = {}
        for at, number in heapq.nsmallest(most, ticks):
            schedule = lines[number].schedule
            if number not in failed:
                try:
                    packed.append((at, lines[number], schedule.entry(at, queue.pack_tick)))
                except BaseException as error:  # noqa: BLE001  # a middleware can raise anything
                    failed[number] = error
        for number in sorted(failed, reverse=True):
            self._postpone(lines.pop(number), failed[number])
        return packed

    def _postpone(self, line: _Line, error: BaseException) -> None:
        seconds = retry_seconds(
            line.failures, _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS, self._chance
        )
        line.failures += 1
        line.retry_at = self._clock() + seconds
        line.error = error
        logger.debug("the schedule %s: a send failed: %s", line.schedule.name, error)

    # Duty 3.

    def _drop_old(self, line: _Line, latest: timedelta) -> None:
        """Drop and report the unsent ticks that are later than ``latest``."""
        oldest = datetime.fromtimestamp(self._clock(), UTC) - latest
        if not line.pending or line.pending[0] >= oldest:
            return
        old = [at for at in line.pending if at < oldest]
        line.pending = line.pending[len(old) :]
        reason: TickMissReason = "failed" if line.failures else "late"
        error = line.error if line.failures else None
        self._report(line.schedule, old[0], old[-1], len(old), reason, error)

    def _report(
        self,
        schedule: Schedule,
        first: datetime,
        last: datetime,
        count: int,
        reason: TickMissReason,
        error: BaseException | None = None,
    ) -> None:
        self._events.publish(
            TickMissed(schedule.name, schedule.queue_name, first, last, count, reason, error)
        )


def _instants(rule: Rule, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the instants of a rule from ``first``, which is one, to ``last``, both included."""
    at = first
    while at <= last:
        yield at
        at = rule.next_after(at)
