"""Make one pass over a queue: hand out each message once, then put back the remaining ones.

A message stays hidden until the pass ends. If it were put back at once, it would be received again
and again. A thread renews the leases, so the pass and its steps can take any time.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from types import TracebackType
from typing import Self, TypeVar

from sqsw.core.errors import AccessDenied, SQSError
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.wording import counted, format_duration
from sqsw.transport.batches import EntryFailure
from sqsw.transport.queue_client import QueueClient

#: maximum seconds that messages stay hidden after the process is killed
LEASE_SECONDS = 60

#: how often per lease time the thread checks for due renewals
_LOOKS_IN_A_LEASE = 4

#: a pass ends when a poll of this many seconds returns nothing
POLL_SECONDS = 5

#: attempts, and seconds between them, for an entry whose failure is not the sender's fault
_TRIES, _PAUSE_SECONDS = 3, 0.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """Information for the user in addition to the result. Not an error.

    Attributes
    ----------
    message, why, next :
        What happened, why, and what to do, as in errors.
    """

    message: str
    why: str | None = None
    next: str | None = None


def uninterruptible_thread(name: str) -> ThreadPoolExecutor:
    """Return a pool with one running thread, for calls that Ctrl-C must not interrupt.

    Ctrl-C reaches only the main thread. If it came while the thread starts, the thread would keep
    running without a caller, so it starts before there is work.
    """
    thread = ThreadPoolExecutor(1, name)
    thread.submit(int).result()
    return thread


class ReceivePass:
    """A pass over the messages of a queue.

    It is a context manager. At its end, in any case, every message that was not deleted is put
    back. Ctrl-C takes effect after the current step.

    Parameters
    ----------
    queue :
        The queue.
    lease_seconds :
        How long a received message stays hidden. It is renewed after half of this time.
    poll_seconds :
        The pass ends when a poll of this many seconds returns nothing. The embedded SQS needs no
        wait.
    on_notice :
        Called with notices for the user.
    clock :
        The clock of the leases, in seconds.
    """

    def __init__(
        self,
        queue: QueueClient,
        *,
        lease_seconds: int = LEASE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        on_notice: Callable[[Notice], None] | None = None,
        clock: Callable[[], float] = lease_time,
    ) -> None:
        self._queue = queue
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._on_notice = on_notice or (lambda notice: None)
        self._clock = clock
        # Calls run in this thread, so Ctrl-C cannot interrupt them: a lost answer would leave its
        # messages hidden, and a send without its delete would duplicate them.
        self._thread = uninterruptible_thread("sqsw-pass")
        # In the order in which the leases expire; renewed messages go to the end.
        self._held: dict[str, Message] = {}
        # The first lock protects the messages; a renewal holds the second one until its end.
        self._changing, self._renewing = threading.Lock(), threading.Lock()
        self._renewer: threading.Thread | None = None
        self._ended = threading.Event()
        self._seen: set[str] = set()
        self._cut_groups: set[str] = set()
        self._reached_the_end = False
        self._interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._reached_the_end:
                self._tell_of_cut_groups()
            self.finish(self._put_back)
        except SQSError:
            # The error that ended the pass is more important, and the leases expire anyway.
            if error is None:
                raise
        finally:
            self._thread.shutdown(wait=False)
        if error is None:
            self.raise_if_interrupted()

    def next_batch(self, max_messages: int = MAX_BATCH_ENTRIES) -> list[Message]:
        """Return up to ``max_messages`` (1 to 10) new messages; an empty list at the end."""
        while True:
            self.raise_if_interrupted()
            messages = self.finish(lambda: self._receive(max_messages))
            self.raise_if_interrupted()
            if not messages:
                self._reached_the_end = True
                return []
            # SQS can deliver a message twice, and does if a lease is lost.
            fresh = [m for m in messages if m.message_id not in self._seen]
            self._seen.update(m.message_id for m in fresh)
            if fresh:
                return fresh

    def finish(self, work: Callable[[], T]) -> T:
        """Run one step to its end; delay a Ctrl-C until the next :meth:`next_batch`."""
        step = self._thread.submit(work)
        try:
            return step.result()
        except KeyboardInterrupt:
            self._interrupted = True
            return step.result()

    def pass_over(self, message_id: str) -> None:
        """Do not hand out the message with this ID."""
        self._seen.add(message_id)

    def held(self, message_id: str) -> Message | None:
        """Return the message with this ID, without its body, if this pass holds it."""
        with self._changing:
            return self._held.get(message_id)

    def delete(self, messages: Sequence[Message]) -> dict[str, EntryFailure]:
        """Delete up to ten messages; return the failures by message ID.

        Call it inside :meth:`finish`.
        """
        failures = _until_done(self._queue.delete_batch, messages)
        with self._changing:
            for message in messages:
                if message.message_id not in failures:
                    self._held.pop(message.message_id, None)
        return failures

    def _receive(self, max_messages: int) -> list[Message]:
        self._renew()
        # Count from before the call, so a lease never expires earlier at SQS than here.
        until = self._clock() + self._lease_seconds
        messages = self._queue.receive(
            max_messages,
            wait_seconds=0 if self._queue.is_embedded else self._poll_seconds,
            visibility_timeout=self._lease_seconds,
        )
        with self._changing:
            for message in messages:
                message.lease.expires_at = until
                # Forget an older delivery: its receipt handle is no longer valid.
                self._held.pop(message.message_id, None)
                # The receipt handle is enough to put it back; bodies would fill the memory.
                self._held[message.message_id] = replace(message, body="", message_attributes={})
        self._note_groups(messages)
        if messages and self._renewer is None:
            self._renewer = threading.Thread(
                target=self._renew_in_time, name="sqsw-pass-leases", daemon=True
            )
            self._renewer.start()
        return messages

    def _renew_in_time(self) -> None:
        """Renew leases while a step or the caller is slow."""
        while not self._ended.wait(self._lease_seconds / _LOOKS_IN_A_LEASE):
            with suppress(SQSError):  # the next check or receive retries
                self._renew()

    def _renew(self) -> None:
        with self._renewing:
            for part in _tens(self._due()):
                if self._ended.is_set():
                    return
                until = self._clock() + self._lease_seconds
                changes = [(message, self._lease_seconds) for message in part]
                failures = self._queue.change_visibility_batch(changes)
                self._note_renewed(part, until, {failure.index: failure for failure in failures})

    def _due(self) -> list[Message]:
        with self._changing:
            left = self._lease_seconds / 2
            return list(
                takewhile(
                    lambda message: message.lease.expires_at - self._clock() <= left,
                    self._held.values(),
                )
            )

    def _note_renewed(
        self, part: Sequence[Message], until: float, refused: dict[int, EntryFailure]
    ) -> None:
        with self._changing:
            for index, message in enumerate(part):
                # It can have been deleted meanwhile, or delivered again.
                if self._held.get(message.message_id) is not message:
                    continue
                if index not in refused:
                    message.lease.expires_at = until
                    self._held[message.message_id] = self._held.pop(message.message_id)
                elif refused[index].sender_fault:
                    del self._held[message.message_id]  # the lease is lost, so it is already back

    def _put_back(self) -> None:
        self._ended.set()
        with self._renewing, self._changing:  # a renewal after this would hide them again
            held = list(self._held.values())
            self._held.clear()
        left = 0
        for part in _tens(held):
            # If a lease has expired, another worker can have the message, and a timeout of 0 would
            # release it.
            ours = [m for m in part if m.lease.expires_at > self._clock()]
            if ours:
                failed = _until_done(
                    lambda some: self._queue.change_visibility_batch([(m, 0) for m in some]), ours
                )
                left += len(failed)
        if left:
            self._on_notice(
                Notice(
                    f"{counted(left, 'message')} of {self._queue.name!r} could not be put back",
                    why="SQS refused to make them visible",
                    next=f"they become visible within {format_duration(self._lease_seconds)}",
                )
            )

    def _note_groups(self, messages: Sequence[Message]) -> None:
        if not self._queue.is_fifo:
            return
        self._cut_groups.difference_update(m.group_id or "" for m in messages)
        if len(messages) == MAX_BATCH_ENTRIES:
            self._cut_groups.add(messages[-1].group_id or "")

    def _tell_of_cut_groups(self) -> None:
        with self._changing:
            cut = self._cut_groups & {m.group_id or "" for m in self._held.values()}
        if not cut:
            return
        try:
            name = "ApproximateNumberOfMessages"  # includes messages behind those in flight
            more = self.finish(lambda: self._queue.attributes(name)).get(name) != "0"
        except AccessDenied:
            more = True
        if more:
            one = len(cut) == 1
            self._on_notice(
                Notice(
                    f"{counted(len(cut), 'message group')} of {self._queue.name!r} "
                    f"{'was' if one else 'were'} not read to the end",
                    why="on a FIFO queue, a received message that is not deleted hides the "
                    "rest of its group",
                    next="move or delete the first messages of the group, then try again",
                )
            )

    def raise_if_interrupted(self) -> None:
        """Raise a Ctrl-C that came during a step."""
        if self._interrupted:
            raise KeyboardInterrupt


def _until_done(
    call: Callable[[Sequence[Message]], list[EntryFailure]], messages: Sequence[Message]
) -> dict[str, EntryFailure]:
    """Retry a batch call for entries with temporary failures; return the final failures."""
    failed: dict[str, EntryFailure] = {}
    left = list(messages)
    for attempt in range(_TRIES):
        refused = {left[failure.index].message_id: failure for failure in call(left)}
        for message in left:
            failed.pop(message.message_id, None)
        failed.update(refused)
        left = [
            m for m in left if m.message_id in refused and not refused[m.message_id].sender_fault
        ]
        if not left:
            break
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE_SECONDS)
    return failed


def _tens(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for start in range(0, len(messages), MAX_BATCH_ENTRIES):
        yield messages[start : start + MAX_BATCH_ENTRIES]
