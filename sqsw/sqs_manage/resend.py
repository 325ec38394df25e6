"""Move dead letters without SQS's redrive: receive them, send copies, then delete them.

A crash between send and delete duplicates a message but never loses one. If a worker crash
duplicated a job, one message is moved and the other is deleted.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice

from sqsw.core.errors import RedriveError, SQSError
from sqsw.core.job_metadata import SQSW, metadata_of
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.matcher import Match, MessageMatcher
from sqsw.sqs_manage.message_view import HandledMessage, MessageView, view_message
from sqsw.sqs_manage.peek import look
from sqsw.sqs_manage.queue_calls import dead_letter_queue_of, where_to
from sqsw.sqs_manage.receive_pass import Notice, ReceivePass
from sqsw.sqs_manage.selection import Selection
from sqsw.sqs_manage.twins import Sighting, TwinFinder
from sqsw.transport.batches import Entry, EntryFailure, split_entries
from sqsw.transport.names import name_of_url
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.resend import entry_to_resend
from sqsw.transport.sending import send_entries

#: maximum number and total bytes of the messages that are moved last
_MAX_POSTPONED, _MAX_POSTPONED_BYTES = 1_000, 32 * 1024 * 1024

#: the sort key behind all others of a batch
_LAST = (True, MAX_BATCH_ENTRIES)


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
    on_look: Callable[[int], None] | None,
) -> Generator[HandledMessage, None, None]:
    """Move the selected messages; yield every message that was read, with its result."""
    routes = _Routes(env, queue, target)
    matcher = MessageMatcher(selection, env.name_of, on_notice, on_look)
    if dry_run:
        trial = _Mover(queue, routes)
        looks = look(queue, matcher, poll_seconds=poll_seconds, on_notice=on_notice)
        with closing(looks) as parts:
            for picked, skipped in parts:
                yield from trial.handle(trial.note(picked, skipped), skipped)
        for part in trial.postponed():
            yield from trial.handle(part, ())
        return
    pace = _Pace(per_second)
    with ReceivePass(queue, poll_seconds=poll_seconds, on_notice=on_notice) as receive_pass:
        mover = _Mover(queue, routes, receive_pass)
        for matched, skipped in matcher.parts(receive_pass.next_batch, pace.batch_size):
            picked = mover.note(matched, skipped)
            pace.wait(len(picked))
            yield from receive_pass.finish(partial(mover.handle, picked, skipped))
        for part in mover.postponed(pace.batch_size):
            receive_pass.raise_if_interrupted()
            pace.wait(len(part))
            yield from receive_pass.finish(partial(mover.handle, part, ()))
    matcher.end()


class _Mover:
    """A mover of selected messages, which also deletes the twins of moved ones.

    Messages that SQS moved here come last, so the twin with the record is moved.

    Parameters
    ----------
    receive_pass :
        The pass that holds the messages; None for a dry run.
    """

    def __init__(
        self, queue: QueueClient, routes: "_Routes", receive_pass: ReceivePass | None = None
    ) -> None:
        # On a FIFO queue, order is more important.
        self._most_postponed = 0 if queue.is_fifo else _MAX_POSTPONED
        self._most_bytes = _MAX_POSTPONED_BYTES
        self._routes = routes
        self._receive_pass = receive_pass
        # Message groups by destination; a message must not overtake one that was not moved.
        self._stopped: dict[str, set[str]] = {}
        self._twins = TwinFinder()
        self._postponed: dict[str, Match] = {}
        # The messages of the batch and the postponed ones, by message ID.
        self._sightings: dict[str, Sighting] = {}

    def note(self, picked: Sequence[Match], skipped: Sequence[Match]) -> list[Match]:
        """Note a batch; return its selected messages that are not postponed."""
        self._sightings = {
            name: sighting for name, sighting in self._sightings.items() if name in self._postponed
        }
        for one in (*picked, *skipped):
            sighting = self._twins.add(one.message)
            if sighting is not None:
                self._sightings[one.view.id] = sighting
        return [one for one in picked if not self._postpone(one)]

    def _postpone(self, one: Match) -> bool:
        sighting = self._sightings.get(one.view.id)
        if sighting is None or sighting.has_record:
            return False
        if len(self._postponed) >= self._most_postponed or one.view.size > self._most_bytes:
            return False
        self._most_bytes -= one.view.size
        self._postponed[one.view.id] = one
        return True

    def postponed(self, size: int = MAX_BATCH_ENTRIES) -> Iterator[list[Match]]:
        """Yield the postponed messages in batches."""
        rest = iter(self._postponed.values())
        while part := list(islice(rest, size)):
            yield part

    def handle(self, picked: Sequence[Match], skipped: Sequence[Match]) -> list[HandledMessage]:
        """Move the selected messages, skip the others, and delete the twins of moved ones."""
        batch = (*picked, *skipped)
        chosen = self._without_twins(picked)
        handled = self._move(chosen)
        ids = {one.view.id for one in chosen}
        handled += [self._leave_or_drop(one) for one in batch if one.view.id not in ids]
        for one in chosen:
            handled += self._drop_earlier_twins(one)
        return handled

    def _without_twins(self, picked: Sequence[Match]) -> list[Match]:
        """Return the messages to move: one of each set of twins, unless one was already moved."""
        ranks: dict[str, tuple[bool, int]] = {}
        for number, one in enumerate(picked):
            sighting = self._sightings.get(one.view.id)
            if sighting is not None:
                ranks[one.view.id] = (not sighting.has_record, number)
        return [
            one
            for one in picked
            if not any(
                twin.is_moved or ranks.get(twin.message_id, _LAST) < ranks[one.view.id]
                for twin in self._twins_of(one)
            )
        ]

    def _twins_of(self, one: Match) -> list[Sighting]:
        sighting = self._sightings.get(one.view.id)
        return [] if sighting is None else sighting.twins()

    def _leave_or_drop(self, one: Match) -> HandledMessage:
        for twin in self._twins_of(one):
            if twin.is_moved:
                return self._drop(one.message, one.view, twin.message_id)
        return HandledMessage(one.view.did("skipped"))

    def _drop_earlier_twins(self, one: Match) -> Iterator[HandledMessage]:
        sighting = self._sightings.get(one.view.id)
        if self._receive_pass is None or sighting is None or not sighting.is_moved:
            return
        for twin in sighting.twins():
            held = self._receive_pass.held(twin.message_id)
            if held is not None and twin.message_id not in self._sightings and not twin.is_moved:
                # The pass does not keep content, but twins have the same content.
                content = {k: v for k, v in one.message.message_attributes.items() if k != SQSW}
                whole = replace(held, body=one.message.body, message_attributes=content)
                yield self._drop(held, self._routes.view(whole), one.view.id)

    def _drop(self, message: Message, view: MessageView, twin_of: str) -> HandledMessage:
        if self._receive_pass is None:
            return HandledMessage(replace(view, action="would_drop_twin", twin_of=twin_of))
        failure = self._receive_pass.delete([message]).get(message.message_id)
        if failure is None:
            return HandledMessage(replace(view, action="dropped_twin", twin_of=twin_of))
        reason = f"its twin was moved, but it could not be deleted: {failure.reason}"
        return HandledMessage.failed(view, failure.code, reason)

    def _move(self, picked: Sequence[Match]) -> list[HandledMessage]:
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
            if self._receive_pass is None:
                self._note_moved(together)
                handled += [HandledMessage(one.view.did("would_move")) for one in together]
                continue
            for part in _requests(destination, together):
                handled += self._send_and_delete(self._receive_pass, destination, part)
        return handled

    def _note_moved(self, moved: Iterable[Match]) -> None:
        for one in moved:
            if one.view.id in self._sightings:
                self._sightings[one.view.id].is_moved = True

    def _send_and_delete(
        self, receive_pass: ReceivePass, destination: QueueClient, part: Sequence[Match]
    ) -> list[HandledMessage]:
        outcome = send_entries(
            destination,
            [_entry_of(one.message, destination) for one in part],
            self._stopped.setdefault(destination.url, set()),
        )
        for answer in outcome.answers.values():
            # If it fails again and comes back during this pass, it is not moved again.
            receive_pass.pass_over(answer["MessageId"])
        sent = [part[index] for index in outcome.answers]
        self._note_moved(sent)
        kept = receive_pass.delete([one.message for one in sent]) if sent else {}
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
        # Not retryable, because a retry would create another copy.
        reason = f"it was sent but could not be deleted, so there are two copies: {kept.reason}"
        return HandledMessage.failed(one.view, kept.code, reason)
    return HandledMessage(one.view.did("moved"))


class _Routes:
    """The destinations of dead letters.

    Parameters
    ----------
    target :
        The destination of all messages. With None, each message goes to the queue that SQS moved it
        from. If a worker sent it, it goes to the only source queue, or the one in its record.
    """

    def __init__(self, env: ManageEnv, queue: QueueClient, target: QueueClient | None) -> None:
        self._env = env
        self._queue = queue
        self._target = target
        self._known: dict[str, QueueClient | RedriveError] = {}
        # URLs by name. A record can name any queue, so only the source queues are accepted.
        self._sources: dict[str, str] | None = None
        self._next = where_to(None)

    def destination_of(self, message: Message) -> QueueClient:
        """Return the destination of a dead letter.

        Raises
        ------
        RedriveError
            The queue is unknown, or no longer exists.
        """
        if self._target is not None:
            return self._target
        source = message.attributes.get("DeadLetterQueueSourceArn") or self._source_of(message)
        if source not in self._known:
            self._known[source] = self._open(source)
        found = self._known[source]
        if isinstance(found, RedriveError):
            raise found
        return found

    def view(self, message: Message) -> MessageView:
        return view_message(message, name_of=self._env.name_of)

    def _open(self, source: str) -> QueueClient | RedriveError:
        client = self._env.queue_client(source)
        try:
            _ = client.url  # check once for all messages that the queue exists
        except SQSError as error:
            return RedriveError(
                f"it came from {client.name!r}: {error.message}", why=error.why, code=error.code
            )
        return client

    def _source_of(self, message: Message) -> str:
        if self._sources is None:
            urls = self._queue.dead_letter_sources()
            self._sources = {self._env.name_of(name_of_url(url)): url for url in urls}
            if not urls:
                self._next = where_to(dead_letter_queue_of(self._env, self._queue))
        if len(self._sources) == 1:
            return next(iter(self._sources.values()))
        dead = metadata_of(message).dead
        if dead is not None and dead.queue in self._sources:
            return self._sources[dead.queue]
        names = ", ".join(sorted(self._sources))
        raise RedriveError(
            "its source queue is unknown"
            if dead is None
            else f"it came from {dead.queue!r}, which does not use this dead-letter queue",
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
        # At a low rate, batches of ten would be bursts with long pauses.
        self.batch_size = min(per_second or MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES)

    def wait(self, count: int) -> None:
        if self._per_second is None or not count:
            return
        now = time.monotonic()
        if self._next_at > now:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + count / self._per_second


def _requests(destination: QueueClient, picked: Sequence[Match]) -> Iterator[list[Match]]:
    entries = [_entry_of(one.message, destination) for one in picked]
    start = 0
    for part in split_entries(entries, 1 if destination.is_fifo else MAX_BATCH_ENTRIES):
        yield list(picked[start : start + len(part)])
        start += len(part)


def _entry_of(message: Message, destination: QueueClient) -> Entry:
    """Return the entry that moves a message. It no longer counts attempts before the parking."""
    entry = entry_to_resend(message, destination)
    if message.earlier_attempts:
        attribute = replace(metadata_of(message), attempts=None).to_attribute()
        entry["MessageAttributes"][SQSW] = attribute
    return entry


def _not_moved(one: Match, error: RedriveError) -> HandledMessage:
    reason = "; ".join(text for text in (error.message, error.why, error.next) if text)
    return HandledMessage.failed(one.view, error.code or "NoSource", reason)
