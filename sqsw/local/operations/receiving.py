"""ReceiveMessage, with and without long polling.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
"""

from collections.abc import Iterator
from typing import Any, Final

from sqsw.local.errors import OverLimit
from sqsw.local.operations import move_tasks, redrive_policies
from sqsw.local.operations.projection import Projection, system_names
from sqsw.local.rules.validate import (
    MAX_BATCH_ENTRIES,
    MAX_VISIBILITY_SECONDS,
    MAX_WAIT_SECONDS,
    Params,
    check_printable_id,
    check_range,
    invalid_value,
)
from sqsw.local.store import fifo, message_queries, message_rows, queue_rows
from sqsw.local.store.fifo import Delivery
from sqsw.local.store.message_queries import Stored
from sqsw.local.store.queue_rows import Queue, find_queue
from sqsw.local.store.store import Store, Transaction
from sqsw.local.store.waiting import wait_for

#: the most messages that one look moves to the dead-letter queue
_MAX_MOVES: Final = 1_000


def receive_message(store: Store, params: Params, now: int) -> dict[str, Any]:
    """Receive messages; block for the wait time of the call or the queue if there are none."""
    receive = Receive(store, params, now)
    answer = receive.look()
    if answer is not None:
        return answer
    return wait_for(receive, store.waiters, store.clock) if receive.wait_seconds else {}


class Receive:
    """One ReceiveMessage call; it can look for messages several times before it answers.

    Move tasks advance before each look.

    To wait without blocking a thread, join the waiters of the store and call :meth:`look` after
    each wake-up.
    """

    def __init__(self, store: Store, params: Params, now: int) -> None:
        self._store = store
        with store.read() as transaction:
            queue = find_queue(transaction, store, params)
            self._read(params, queue)
            #: whether the first look, which follows at once, will find something; None: unknown
            self._known: bool | None = None
            if not move_tasks.is_due(transaction, now):
                self._known = self._is_available(transaction, queue, now)

    def _read(self, params: Params, queue: Queue) -> None:
        self.queue_id = queue.id
        self._max_messages = _bounded(params, "MaxNumberOfMessages", 1, MAX_BATCH_ENTRIES) or 1
        self._visibility_seconds = _bounded(params, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)
        wait_seconds = _bounded(params, "WaitTimeSeconds", 0, MAX_WAIT_SECONDS)
        #: the longest wait, in seconds
        self.wait_seconds = (
            queue.number("ReceiveMessageWaitTimeSeconds") if wait_seconds is None else wait_seconds
        )
        self._projection = Projection(
            self._store.settings.account,
            system_names(params),
            params.texts("MessageAttributeNames"),
        )
        self._attempt_id = _attempt_id(params, queue)

    def look(self) -> dict[str, Any] | None:
        """Return the answer; None if no message is available.

        It takes the write lock only if a message is available. Most looks of idle workers find
        none.
        """
        now = self._store.now()
        is_available, self._known = self._known, None
        if is_available is None:
            move_tasks.advance(self._store, now)  # there might be no other calls to do it
            with self._store.read() as transaction:
                queue = queue_rows.by_id(transaction, self._store, self.queue_id)
                if queue is None:
                    return {}  # the queue was deleted
                is_available = self._is_available(transaction, queue, now)
        if not is_available:
            return None
        with self._store.write() as transaction:
            queue = queue_rows.by_id(transaction, self._store, self.queue_id)
            if queue is None:
                return {}
            # The visibility timeout starts now, not before the wait for the lock.
            messages = self._take(transaction, queue, self._store.now())
            shown = [self._projection.message(queue, message) for message in messages]
        return {"Messages": shown} if shown else None

    def seconds_to_deadline(self) -> float | None:
        """Return the seconds until a delay or timeout ends; None if there is none."""
        with self._store.read() as transaction:
            queue = queue_rows.by_id(transaction, self._store, self.queue_id)
            deadlines = [task.next_step() for task in move_tasks.running(transaction)]
            own = message_queries.next_deadline(transaction, queue) if queue else None
        if own is not None:
            deadlines.append(own)
        if not deadlines:
            return None
        deadline = min(deadlines)
        # Add a millisecond: times are truncated, and a look that is too early must be repeated.
        return max(0.0, deadline / 1000 - self._store.clock()) + 0.001

    def _is_available(self, transaction: Transaction, queue: Queue, now: int) -> bool:
        repeated = self._attempt_id and fifo.find_attempt(
            transaction, queue.contents, self._attempt_id, now
        )
        return bool(repeated) or message_queries.has_available(transaction, queue, now)

    def _take(self, transaction: Transaction, queue: Queue, now: int) -> list[Stored]:
        message_rows.settle(transaction, queue, now)
        seconds = self._visibility_seconds
        visible_at = now + 1000 * (
            queue.number("VisibilityTimeout") if seconds is None else seconds
        )
        if self._attempt_id:
            kept = fifo.find_attempt(transaction, queue.contents, self._attempt_id, now)
            # If it asks for fewer messages than the first one got, it is a new receive: an answer
            # never has more messages than requested.
            is_repeat = len(kept) <= self._max_messages
            repeated = is_repeat and _repeat(
                transaction, queue, self._attempt_id, kept, visible_at, now
            )
            if repeated:
                return repeated
        room = self._room(transaction, queue, now)
        choose = _choose_fifo if queue.is_fifo else _choose_standard
        chosen = choose(self._store, transaction, queue, room, now) if room else []
        if not chosen:
            return []
        taken = message_rows.deliver(transaction, queue, chosen, visible_at, now)
        if queue.is_fifo:
            groups = dict.fromkeys(message.group for message in taken)
            fifo.to_the_end(transaction, [group for group in groups if group is not None])
            message_rows.refresh_groups(transaction, queue, groups, now)
        if visible_at <= now:
            transaction.wake(queue.id, len(taken))
        if self._attempt_id:
            deliveries = [Delivery(m.seq, m.receives, m.visible_at) for m in taken]
            fifo.keep_attempt(transaction, queue.contents, self._attempt_id, deliveries, now)
        return taken

    def _room(self, transaction: Transaction, queue: Queue, now: int) -> int:
        """Return how many messages this receive can take under the in-flight limit."""
        most = self._store.settings.max_in_flight
        if queue.in_flight + self._max_messages <= most:
            return self._max_messages
        current = queue_rows.by_id(transaction, self._store, queue.id) or queue
        room = most - message_queries.counts(transaction, current, now)[1]
        if room <= 0 and not queue.is_fifo and not self.wait_seconds:
            raise OverLimit(f"Too many messages in flight: a queue can have at most {most}.")
        return max(0, min(room, self._max_messages))


def _choose_standard(
    store: Store, transaction: Transaction, queue: Queue, limit: int, now: int
) -> list[Stored]:
    """Return the oldest available messages; move dead letters to the dead-letter queue."""
    target = redrive_policies.target_of(transaction, store, queue)
    for _ in range(_MAX_MOVES // limit):
        messages = message_queries.ready_messages(transaction, queue, limit, now)
        keep = list(_without_dead(transaction, queue, messages, target, now))
        if len(keep) == len(messages):
            return keep
    return keep


def _choose_fifo(
    store: Store, transaction: Transaction, queue: Queue, limit: int, now: int
) -> list[Stored]:
    """Return messages of the group that has been available longest, then of the next one."""
    target = redrive_policies.target_of(transaction, store, queue)
    chosen: list[Stored] = []
    tried: set[int] = set()
    moves = 0
    while moves < _MAX_MOVES:
        line = fifo.available_groups(transaction, queue.contents, limit)
        groups = [group for group in line if group not in tried]
        for group in groups:
            room = limit - len(chosen)
            kept, moved = _choose_of_group(transaction, queue, group, room, target, now)
            chosen += kept
            moves += moved
            if len(chosen) == limit:
                return chosen
        if target is None or not groups:
            break
        tried.update(groups)  # if all their messages were dead letters, other groups follow
    return chosen


def _choose_of_group(
    transaction: Transaction,
    queue: Queue,
    group: int,
    limit: int,
    target: tuple[Queue, int] | None,
    now: int,
) -> tuple[list[Stored], int]:
    """Return the first deliverable messages of a group, and how many were moved instead."""
    kept: list[Stored] = []
    after, moved = -1, 0
    while len(kept) < limit and moved < _MAX_MOVES:
        room = limit - len(kept)
        found = message_queries.first_of_group(transaction, queue, group, room, after, now)
        alive = list(_without_dead(transaction, queue, found, target, now))
        kept += alive
        moved += len(found) - len(alive)
        if len(alive) < len(found):
            message_rows.refresh_groups(transaction, queue, [group], now)
        if len(found) < room:
            break
        after = found[-1].seq
    return kept, moved


def _without_dead(
    transaction: Transaction,
    queue: Queue,
    messages: list[Stored],
    target: tuple[Queue, int] | None,
    now: int,
) -> Iterator[Stored]:
    """Yield the messages to deliver; move the others to the dead-letter queue."""
    for message in messages:
        if target and message.receives - message.receives_before >= target[1]:
            message_rows.to_dead_letters(transaction, queue, target[0], message, now)
        else:
            yield message


def _repeat(
    transaction: Transaction,
    queue: Queue,
    attempt_id: str,
    deliveries: list[Delivery],
    visible_at: int,
    now: int,
) -> list[Stored]:
    """Return the messages of an earlier attempt again, if none of them has changed since."""
    messages = []
    for seq, receives, was_visible_at in deliveries:
        message = message_queries.find(transaction, queue, seq, now)
        if message is None or (message.receives, message.visible_at) != (receives, was_visible_at):
            return []
        if not message.is_hidden(now):
            return []
        messages.append(message)
    if not messages:
        return []
    message_rows.hide(transaction, queue, messages, visible_at, now)
    message_rows.refresh_groups(transaction, queue, (message.group for message in messages), now)
    fifo.prolong_attempt(
        transaction,
        queue.contents,
        attempt_id,
        [delivery._replace(visible_at=visible_at) for delivery in deliveries],
    )
    return messages


def _bounded(params: Params, name: str, low: int, high: int) -> int | None:
    # SQS has two wordings, too.
    bounds = f">= {low} and <= {high}" if low == 0 else f"between {low} and {high}"
    return check_range(params, name, low, high, f"Must be {bounds}, if provided.")


def _attempt_id(params: Params, queue: Queue) -> str | None:
    attempt_id = params.text("ReceiveRequestAttemptId")
    if attempt_id is None:
        return None
    check_printable_id("ReceiveRequestAttemptId", attempt_id)
    if not queue.is_fifo:
        raise invalid_value(
            "ReceiveRequestAttemptId",
            attempt_id,
            "The request includes a parameter that is not valid for this queue type.",
        )
    return attempt_id
