"""The poller: receives messages.

1. take credit   (wait if there is none; end if the lane is closed)
2. receive       (with a long poll)
3. pass on       (messages to the dispatcher; then the credit back to the register)

A lane has one poller thread, and up to three helpers while receives return full batches and calls
wait for the network. Pollers start last, and stop receiving first.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from sqsw.core.contracts import Clock
from sqsw.core.errors import AccessDenied, QueueNotFound, SettingsError
from sqsw.core.events import EventBus, ReceiveDone, ReceiveError
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.retry import retry_seconds
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.crash_notes import Orphan
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane, receive
from sqsw.worker.latency import NetworkLatency, now
from sqsw.worker.signals import SignalInbox

logger = SafeLogger(__name__)

#: the first and the longest wait, in seconds, before a failed receive is repeated
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 25.0

#: seconds of one wait for credit; only a safety net, because a closed lane ends the wait
_CREDIT_SECONDS = 5.0

#: seconds between two checks while the worker must not receive
_FULL_SECONDS = 0.1

#: the most receives of one lane at the same time
_MOST_RECEIVES = 4

#: full receives in a row after which a helper starts
_FULL_IN_A_ROW = 2

#: further full receives before another try, if a helper could not be started
_FULL_WITHOUT_HELPER = 100

#: seconds that a helper waits for messages; short, so an idle lane has one long poll only
_HELPER_WAIT_SECONDS = 1

#: seconds between two receives for a list that is not full: with long polls, a list could take one
#: call per message
_GATHER_SECONDS = 1.0

#: Empty long polls in a row that ended before half of their wait time, after which the poller
#: pauses between polls. AWS sometimes ends one early. A server that ignores WaitTimeSeconds would
#: get hundreds of them per second.
_EARLY_IN_A_ROW = 5

#: seconds that polls wait while there are suspects, which start only when no poll is open
_SUSPECT_WAIT_SECONDS = 1.0

#: seconds between such polls
_EARLY_PAUSE_SECONDS = 1.0


class Acceptor(Protocol):
    """Takes the messages of a receive."""

    def accept(self, lane: Lane, messages: Sequence[Message], more: bool) -> None: ...
    def take_over(self, lane: Lane, orphans: Sequence[Orphan]) -> None: ...
    def start_ready(self) -> None: ...


class AfterReceive(Protocol):
    """Is called after each receive that returned messages."""

    def after_receive(self, lane: Lane) -> None: ...


class LeaseWatch(Protocol):
    """Checks leases."""

    def note_receive(self, lane: Lane, messages: Sequence[Message]) -> None: ...
    def renew(self, lane: Lane, messages: Sequence[Message]) -> list[Message]: ...


class PollPolicy(Protocol):
    """Decides how many messages to receive, and how long to wait for them."""

    def may_receive(self, lane: Lane) -> float: ...
    def begin_wait(self, lane: Lane) -> Any: ...
    def end_wait(self, lane: Lane, wait: Any, count: int | None) -> None: ...


class PollHealth(Protocol):
    """Watches for receives that get no answer."""

    def poll_begins(self, lane: Lane) -> None: ...
    def poll_ended(self, lane: Lane, answered: bool) -> None: ...


class Poller:
    """Receives for one lane, within its credit.

    Parameters
    ----------
    dispatcher :
        Takes the messages of each call.
    acknowledger :
        Is called in this thread after each receive that returned messages.
    heartbeat :
        Checks the leases of messages that arrive late.
    inbox :
        Gets the error if the first receive fails because the queue is missing or cannot be read.
    latency :
        Tells whether calls wait for the network.
    line_seconds :
        How long the jobs of one receive should take one after another, in seconds. Limits the size
        of a receive on FIFO queues with a dead-letter queue.
    """

    def __init__(
        self,
        lane: Lane,
        in_flight: InFlight,
        dispatcher: Acceptor,
        acknowledger: AfterReceive,
        heartbeat: LeaseWatch,
        policies: PollPolicy,
        health: PollHealth,
        inbox: SignalInbox,
        latency: NetworkLatency,
        events: EventBus,
        *,
        line_seconds: float = 5.0,
        clock: Clock = lease_time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.lane = lane
        self._in_flight = in_flight
        self._dispatcher = dispatcher
        self._acknowledger = acknowledger
        self._heartbeat = heartbeat
        self._policies = policies
        self._health = health
        self._inbox = inbox
        self._latency = latency
        self._events = events
        self._line_seconds = line_seconds
        self._clock = clock
        self._jitter = jitter
        self._quiet = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._helpers: list[threading.Thread] = []
        self._receiving = 0
        self._full = 0
        self._answered = False
        self._errors = 0
        self._early = 0
        self._told_early = False
        self.requests = 0

    def start(self) -> None:
        """Start the poller thread."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name=f"sqsw-poll-{self.lane.name}", daemon=True
            )
            self._thread.start()

    def quiet(self) -> None:
        """Start no more receives. Open ones go on."""
        self._quiet.set()
        self._in_flight.stop_credit(self.lane)

    def end_poll(self) -> None:
        """Make the open long polls return now, if the client can do that."""
        if self._receiving:
            self.lane.end_polls()

    def is_alive(self) -> bool:
        """Return whether a receive can still bring messages."""
        return any(thread.is_alive() for thread in self._threads())

    def stop(self, deadline: float) -> None:
        """Stop receiving, and wait for open receives until ``deadline``, in seconds of its clock.

        Messages of a receive that takes longer are returned.
        """
        self.quiet()
        while alive := [thread for thread in self._threads() if thread.is_alive()]:
            self.end_poll()
            alive[0].join(0.02)
            if self._clock() >= deadline:
                return

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return [*([self._thread] if self._thread is not None else ()), *self._helpers]

    def step(self, longest_wait: float = float("inf")) -> int:
        """Make one receive, and return the number of its messages.

        Parameters
        ----------
        longest_wait :
            The longest time to wait for messages, in seconds.
        """
        lane = self.lane
        longest_wait = min(longest_wait, self._wait_to_gather())
        room = self._policies.may_receive(lane)
        if room <= 0:
            self._quiet.wait(_FULL_SECONDS)
            return 0
        # On a lane with lists, one credit is for a whole list.
        want = 1 if lane.batch_size > 1 else int(min(room, self._most()))
        poll = self._in_flight.take_credit(lane, want, _CREDIT_SECONDS)
        if poll is None:
            return 0
        if self._in_flight.isolation.suspects.queues:
            longest_wait = min(longest_wait, _SUSPECT_WAIT_SECONDS)
        try:
            arrived = self._poll(poll.messages, longest_wait)
        finally:
            self._in_flight.give_back_credit(poll)
        if self._in_flight.isolation.is_on:
            self._dispatcher.start_ready()
        if isinstance(arrived, Exception):
            self._failed(arrived)
            return 0
        if arrived:
            self._acknowledger.after_receive(lane)
        elif self._early >= _EARLY_IN_A_ROW and not self._quiet.is_set():
            self._pause_after_early_polls()
        return arrived

    def _most(self) -> int:
        """Return how many messages to ask for, 1 to 10.

        SQS returns as many messages of one group as possible, and they run one after another. On
        their last receive, they run even during a drain, so they must fit into it.
        """
        lane = self.lane
        if not lane.is_fifo or lane.max_receives is None:
            return MAX_BATCH_ENTRIES
        run_seconds = self._in_flight.run_seconds(lane)
        if run_seconds is None:
            return 1
        return int(max(1, min(MAX_BATCH_ENTRIES, self._line_seconds / max(run_seconds, 1e-9))))

    def _list_seconds(self) -> float | None:
        return self._in_flight.next_list_due(self.lane) if self.lane.batch_size > 1 else None

    def _wait_to_gather(self) -> float:
        """Wait before a receive for the rest of a list; return how long that receive can wait."""
        seconds = self._list_seconds()
        if seconds is None:
            return float("inf")
        if seconds > 0 and not self._full:
            self._quiet.wait(min(seconds, _GATHER_SECONDS))
        return 1.0 if seconds >= _GATHER_SECONDS + 1 else 0.0

    def _poll(self, wanted: int, longest_wait: float) -> int | Exception:
        """Receive messages and pass them on; return their number, or the error."""
        wait = self._policies.begin_wait(self.lane)
        self._health.poll_begins(self.lane)
        wait_seconds = min(wait.seconds, longest_wait)
        asked = self._clock()
        calls = receive(self.lane, wanted, wait_seconds, lambda: not self._quiet.is_set())
        arrived: int | None = None
        count, more = 0, True
        try:
            while more:
                answer = self._answer(calls)
                if isinstance(answer, Exception):
                    return answer
                messages, more = answer
                self._dispatcher.accept(self.lane, messages, more)
                self._heartbeat.note_receive(self.lane, messages)
                count += len(messages)
            arrived = count
            self._note_length(wait_seconds, self._clock() - asked, arrived)
            if self._events.wants(ReceiveDone):
                self._events.publish(ReceiveDone(self.lane.name, arrived))
            return arrived
        finally:  # after any end, because a policy waits for open receives
            self._health.poll_ended(self.lane, arrived is not None)
            self._policies.end_wait(self.lane, wait, arrived)

    def _answer(
        self, calls: Iterator[tuple[list[Message], bool]]
    ) -> tuple[list[Message], bool] | Exception:
        """Return the messages of the next call and whether another call follows; or the error."""
        with self._lock:
            self._receiving += 1
        begin = now()
        try:
            messages, more = next(calls)
        except Exception as error:  # noqa: BLE001  # no error of a receive ends the worker
            return error
        finally:
            with self._lock:
                self._receiving -= 1
                self.requests += 1
        if len(messages) == MAX_BATCH_ENTRIES:
            self._latency.note_since(begin)  # a full receive has not waited for messages
        self._answered = True
        self._errors = 0
        return messages, more

    def _note_length(self, wait_seconds: float, seconds: float, arrived: int) -> None:
        if arrived:
            self._early = 0
        elif wait_seconds >= 1:  # SQS takes whole seconds
            is_early = seconds < wait_seconds / 2
            self._early = self._early + 1 if is_early else 0
            self._told_early &= is_early

    def _pause_after_early_polls(self) -> None:
        if self.lane.client.is_embedded:  # a stopping worker also ends the polls of other workers
            return
        if not self._told_early:
            self._told_early = True
            logger.warning(
                "empty receives from %s return before their wait time is over; the worker pauses "
                "%g second after each: check that the endpoint supports WaitTimeSeconds",
                self.lane.name,
                _EARLY_PAUSE_SECONDS,
            )
        self._quiet.wait(_EARLY_PAUSE_SECONDS)

    def _failed(self, error: Exception) -> None:
        fatal = isinstance(error, QueueNotFound | AccessDenied | SettingsError)
        if fatal and not self._answered:
            self.quiet()
            self._inbox.post("fail", "error", error)
            return
        seconds = retry_seconds(
            self._errors, _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS, self._jitter
        )
        self._errors += 1
        self._events.publish(ReceiveError(self.lane.name, error, seconds))
        self._quiet.wait(seconds)

    def take_over(self) -> None:
        """Go on with what an earlier process left on its last receive, if SQS still hides it."""
        orphans = self._in_flight.take_orphans(self.lane)
        if orphans:
            held = self._heartbeat.renew(self.lane, [each.message for each in orphans])
            self._dispatcher.take_over(
                self.lane, [each for each in orphans if each.message in held]
            )

    def _work(self) -> None:
        try:
            self.take_over()
        except BaseException:  # SQS moves them
            logger.exception("the poller of %s could not take over messages", self.lane.name)
        while not self._quiet.is_set():
            try:
                self._full = self._full + 1 if self.step() >= MAX_BATCH_ENTRIES else 0
                if self._full >= _FULL_IN_A_ROW and self._latency.calls_wait:
                    self._add_helper()
            except BaseException:  # without its thread, the lane would silently stop receiving
                logger.exception("the poller of %s failed", self.lane.name)
                self._quiet.wait(1.0)

    def _add_helper(self) -> None:
        with self._lock:
            self._helpers = [thread for thread in self._helpers if thread.is_alive()]
            # Only one thread collects a list. Two would collect two lists, each half as full.
            if self.lane.batch_size > 1 or len(self._helpers) >= _MOST_RECEIVES - 1:
                return
            name = f"sqsw-poll-{self.lane.name}-{len(self._helpers) + 2}"
        helper = threading.Thread(target=self._help, name=name, daemon=True)
        try:
            helper.start()
        except (RuntimeError, MemoryError) as error:
            self._full = -_FULL_WITHOUT_HELPER
            logger.warning("no more threads to receive from %s: %s", self.lane.name, error)
            return
        with self._lock:
            self._helpers.append(helper)
        self._full = 0

    def _help(self) -> None:
        try:
            while not self._quiet.is_set() and self._latency.calls_wait:
                if self.step(_HELPER_WAIT_SECONDS) < MAX_BATCH_ENTRIES:
                    return
        except BaseException:  # the first thread meets the error too, and continues
            logger.exception("a helper of the poller of %s failed", self.lane.name)
