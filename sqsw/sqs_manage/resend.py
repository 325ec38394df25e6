"""Move dead letters by sqsw itself: receive, send, and only then delete.

A crash between send and delete doubles a message and never loses one.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

from sqsw.core.errors import RedriveError, SQSError
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.matcher import Match, MessageMatcher
from sqsw.sqs_manage.message_view import HandledMessage
from sqsw.sqs_manage.peek import look
from sqsw.sqs_manage.queue_calls import dead_letter_queue_of, where_to
from sqsw.sqs_manage.receive_pass import Notice, ReceivePass
from sqsw.sqs_manage.selection import Selection
from sqsw.transport.batches import EntryFailure, split_entries
from sqsw.transport.names import name_of_url
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.resend import entry_to_resend
from sqsw.transport.sending import send_entries


def resend_messages(
    env: ManageEnv,
    queue: QueueClient,
    *,
    target: QueueClient | None,
    selection: Selection,
    per_second: int | None,
    dry_run: bool,
    poll_seconds: float,
    on_notice: Callable[[Notice], None] | None,
) -> Generator[HandledMessage, None, None]:
    """Move the messages that are meant; each message that was looked at, and what became of it."""
    routes = _Routes(env, queue, target)
    matcher = MessageMatcher(selection, env.name_of, on_notice)
    if dry_run:
        looks = look(queue, matcher, poll_seconds=poll_seconds, on_notice=on_notice)
        with closing(looks) as parts:
            for picked, skipped in parts:
                yield from map(routes.try_out, picked)
                yield from map(HandledMessage, skipped)
        return
    pace = _Pace(per_second)
    with ReceivePass(queue, poll_seconds=poll_seconds, on_notice=on_notice) as receive_pass:
        mover = _Mover(receive_pass, routes)
        while (size := matcher.next_size(pace.batch_size)) and (
            batch := receive_pass.next_batch(size)
        ):
            picked, skipped = matcher.match(batch)
            if picked:
                pace.wait(len(picked))
                yield from receive_pass.finish(partial(mover.move, picked))
            yield from map(HandledMessage, skipped)
    matcher.end()


class _Mover:
    def __init__(self, receive_pass: ReceivePass, routes: "_Routes") -> None:
        self._receive_pass = receive_pass
        self._routes = routes
        self._stopped: set[tuple[str, str | None]] = set()

    def move(self, picked: Sequence[Match]) -> list[HandledMessage]:
        handled: list[HandledMessage] = []
        by_destination: dict[str, tuple[QueueClient, list[Match]]] = {}
        for one in picked:
            try:
                destination = self._routes.destination_of(one.message)
            except RedriveError as error:
                handled.append(_not_moved(one, error))
                continue
            by_destination.setdefault(destination.url, (destination, []))[1].append(one)
        for destination, together in by_destination.values():
            for part in _requests(destination, together):
                handled += self._send_and_delete(destination, part)
        return handled

    def _send_and_delete(
        self, destination: QueueClient, part: Sequence[Match]
    ) -> list[HandledMessage]:
        # In a FIFO queue one request carries one message, and nothing overtakes what failed.
        line = (destination.url, part[0].view.group)
        if destination.is_fifo and line in self._stopped:
            reason = "a message before it in its group could not be moved"
            return [HandledMessage.failed(one.view, "GroupStopped", reason) for one in part]
        outcome = send_entries(
            destination, [entry_to_resend(one.message, destination) for one in part]
        )
        for answer in outcome.answers.values():
            # Should it fail again and come back while we are here, it is not moved again.
            self._receive_pass.pass_over(answer["MessageId"])
        sent = [part[index].message for index in outcome.answers]
        kept = self._receive_pass.delete(sent) if sent else {}
        if outcome.failures:
            self._stopped.add(line)
        return [
            _judge(one, outcome.failures.get(index), kept.get(one.view.id))
            for index, one in enumerate(part)
        ]


def _judge(one: Match, unsent: EntryFailure | None, kept: EntryFailure | None) -> HandledMessage:
    if unsent is not None:
        return HandledMessage.failed(
            one.view, unsent.code, unsent.reason, retryable=not unsent.sender_fault
        )
    if kept is not None:
        # Not retryable: to repeat it would double it once more.
        reason = f"it was sent, but could not be deleted here, so it is twice now: {kept.reason}"
        return HandledMessage.failed(one.view, kept.code, reason)
    return HandledMessage(one.view.did("moved"))


class _Routes:
    """Knows where each dead letter goes.

    Parameters
    ----------
    target :
        Where all of them go; None: each to the queue it came from, else to the only one whose
        dead-letter queue this is.
    """

    def __init__(self, env: ManageEnv, queue: QueueClient, target: QueueClient | None) -> None:
        self._env = env
        self._queue = queue
        self._target = target
        self._known: dict[str, QueueClient | RedriveError] = {}
        self._sources: list[str] | None = None
        self._next = where_to(None)

    def destination_of(self, message: Message) -> QueueClient:
        """The queue that this dead letter goes to.

        Raises
        ------
        RedriveError
            Nobody knows, or that queue is gone.
        """
        if self._target is not None:
            return self._target
        source = message.attributes.get("DeadLetterQueueSourceArn") or self._only_source()
        if source not in self._known:
            self._known[source] = self._open(source)
        found = self._known[source]
        if isinstance(found, RedriveError):
            raise found
        return found

    def try_out(self, one: Match) -> HandledMessage:
        try:
            self.destination_of(one.message)
        except RedriveError as error:
            return _not_moved(one, error)
        return HandledMessage(one.view.did("would_move"))

    def _open(self, source: str) -> QueueClient | RedriveError:
        client = self._env.queue_client(source)
        try:
            _ = client.url  # asks SQS, once for all messages, whether the queue is there
        except SQSError as error:
            return RedriveError(
                f"it came from {client.name!r}: {error.message}", why=error.why, code=error.code
            )
        return client

    def _only_source(self) -> str:
        if self._sources is None:
            self._sources = self._queue.dead_letter_sources()
            if not self._sources:
                self._next = where_to(dead_letter_queue_of(self._env, self._queue))
        if len(self._sources) == 1:
            return self._sources[0]
        names = ", ".join(sorted(self._env.name_of(name_of_url(url)) for url in self._sources))
        raise RedriveError(
            "nothing says where it came from",
            why=f"{self._queue.name!r} is the dead-letter queue of {names}"
            if names
            else f"{self._queue.name!r} is not the dead-letter queue of any queue",
            next=self._next,
            code="NoSource",
        )


class _Pace:
    def __init__(self, per_second: int | None) -> None:
        self._per_second = per_second
        self._next_at = time.monotonic()
        # One at a time where ten would be a burst followed by a long silence.
        self.batch_size = min(per_second or MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES)

    def wait(self, count: int) -> None:
        if self._per_second is None:
            return
        now = time.monotonic()
        if self._next_at > now:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + count / self._per_second


def _requests(destination: QueueClient, picked: Sequence[Match]) -> Iterator[list[Match]]:
    entries = [entry_to_resend(one.message, destination) for one in picked]
    start = 0
    for part in split_entries(entries, 1 if destination.is_fifo else MAX_BATCH_ENTRIES):
        yield list(picked[start : start + len(part)])
        start += len(part)


def _not_moved(one: Match, error: RedriveError) -> HandledMessage:
    reason = "; ".join(text for text in (error.message, error.why, error.next) if text)
    return HandledMessage.failed(one.view, error.code or "NoSource", reason)
