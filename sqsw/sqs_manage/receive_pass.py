"""One pass over the messages of a queue: each is handed out once, and whatever is left goes back.

A message that was looked at stays hidden until the pass is over: put back at once, it would come
again and again. A thread renews the leases meanwhile, so the pass and its steps can take any
time.
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

#: seconds that messages stay hidden, at most, after the process of a pass is killed
LEASE_SECONDS = 60

#: how often per lease time the thread looks for due renewals
_LOOKS_IN_A_LEASE = 4

#: seconds of a poll that brings nothing, after which a pass is over
POLL_SECONDS = 5

#: calls, and seconds between them, for an entry that SQS refuses without blaming the sender
_TRIES, _PAUSE_SECONDS = 3, 0.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person should know beside the result; never an error.

    Attributes
    ----------
    message, why, next :
        What happened, why, and what would help, as with errors.
    """

    message: str
    why: str | None = None
    next: str | None = None


def uninterruptible_thread(name: str) -> ThreadPoolExecutor:
    """Return a pool with one running thread, for calls that no Ctrl-C can cut in two.

    Ctrl-C only ever reaches the main thread. If it came while a thread starts, that would go on
    with nobody to wait for it, so the thread starts before there is any work.
    """
    thread = ThreadPoolExecutor(1, name)
    thread.submit(int).result()
    return thread


class ReceivePass:
    """A pass over the messages of a queue.

    It is a context manager: at its end, however it comes, every message that was not deleted is
    put back. A Ctrl-C waits until the step under way is done.

    Parameters
    ----------
    queue :
        The queue.
    lease_seconds :
        How long a received message stays hidden, renewed from half of it on.
    poll_seconds :
        The pass is over when a poll of this many seconds brings nothing. The embedded SQS knows at
        once, so nothing is waited for there.
    on_notice :
        Told what a person should know.
    clock :
        Seconds; that of the leases.
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
        # Every call runs in this thread, where no Ctrl-C can cut it in two: an answer that nobody
        # reads would leave its messages hidden, a send without its delete would double them.
        self._thread = uninterruptible_thread("sqsw-pass")
        # In the order in which the leases end: renewed ones go to the end.
        self._held: dict[str, Message] = {}
        # The first protects the messages; a renewal holds the second until it has ended.
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
            # What ended the pass says more, and the messages come back by themselves.
            if error is None:
                raise
        finally:
            self._thread.shutdown(wait=False)
        if error is None:
            self.raise_if_interrupted()

    def next_batch(self, max_messages: int = MAX_BATCH_ENTRIES) -> list[Message]:
        """Up to ``max_messages`` (1 to 10) that were not seen before; none once all were."""
        while True:
            self.raise_if_interrupted()
            messages = self.finish(lambda: self._receive(max_messages))
            self.raise_if_interrupted()
            if not messages:
                self._reached_the_end = True
                return []
            # SQS may deliver a message twice, and does so when a lease is lost.
            fresh = [m for m in messages if m.message_id not in self._seen]
            self._seen.update(m.message_id for m in fresh)
            if fresh:
                return fresh

    def finish(self, work: Callable[[], T]) -> T:
        """Do one step to its end; a Ctrl-C meanwhile is raised by the next :meth:`next_batch`."""
        step = self._thread.submit(work)
        try:
            return step.result()
        except KeyboardInterrupt:
            self._interrupted = True
            return step.result()

    def pass_over(self, message_id: str) -> None:
        """Do not hand out the message of this id, should it come."""
        self._seen.add(message_id)

    def held(self, message_id: str) -> Message | None:
        """Return the message of this id without its body, if it is hidden by this pass."""
        with self._changing:
            return self._held.get(message_id)

    def delete(self, messages: Sequence[Message]) -> dict[str, EntryFailure]:
        """Delete up to ten messages; those that SQS did not delete, by message id.

        To be called inside :meth:`finish`.
        """
        failures = _until_done(self._queue.delete_batch, messages)
        with self._changing:
            for message in messages:
                if message.message_id not in failures:
                    self._held.pop(message.message_id, None)
        return failures

    def _receive(self, max_messages: int) -> list[Message]:
        self._renew()
        # Counted from before the call, so that no lease ends earlier there than here.
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
                # It only has to go back; keeping its text would fill the memory on a long pass.
                self._held[message.message_id] = replace(message, body="", message_attributes={})
        self._note_groups(messages)
        if messages and self._renewer is None:
            self._renewer = threading.Thread(
                target=self._renew_in_time, name="sqsw-pass-leases", daemon=True
            )
            self._renewer.start()
        return messages

    def _renew_in_time(self) -> None:
        """Renew leases while a step, or the consumer of the messages, is slow."""
        while not self._ended.wait(self._lease_seconds / _LOOKS_IN_A_LEASE):
            with suppress(SQSError):  # the next check, or the next receive, tries again
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
                # It may have been deleted meanwhile, or delivered again.
                if self._held.get(message.message_id) is not message:
                    continue
                if index not in refused:
                    message.lease.expires_at = until
                    self._held[message.message_id] = self._held.pop(message.message_id)
                elif refused[index].sender_fault:
                    del self._held[message.message_id]  # no longer ours: it is back already

    def _put_back(self) -> None:
        self._ended.set()
        with self._renewing, self._changing:  # a later renewal would hide them again
            held = list(self._held.values())
            self._held.clear()
        left = 0
        for part in _tens(held):
            # If a lease has expired, another worker can have the message, and 0 would release it.
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
                    next="they come back by themselves within "
                    f"{format_duration(self._lease_seconds)}",
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
            name = "ApproximateNumberOfMessages"  # those behind messages in flight count here
            more = self.finish(lambda: self._queue.attributes(name)).get(name) != "0"
        except AccessDenied:
            more = True
        if more:
            one = len(cut) == 1
            self._on_notice(
                Notice(
                    f"{counted(len(cut), 'message group')} of {self._queue.name!r} "
                    f"{'was not seen to its' if one else 'were not seen to their'} end",
                    why="on a FIFO queue a message that is looked at and left hides the rest of "
                    "its group",
                    next="move or delete what stands in front, and look again",
                )
            )

    def raise_if_interrupted(self) -> None:
        """Raise the Ctrl-C that came during a step."""
        if self._interrupted:
            raise KeyboardInterrupt


def _until_done(
    call: Callable[[Sequence[Message]], list[EntryFailure]], messages: Sequence[Message]
) -> dict[str, EntryFailure]:
    """Repeat a batch call for the entries that may work another time; what failed for good."""
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
