"""The moves that SQS makes itself: start one, watch it, list them, cancel one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqsw.core.errors import AccessDenied, Busy, RedriveError, SettingsError, SQSError
from sqsw.core.wording import counted
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.queue_calls import (
    arn_of,
    dead_letter_queue_of,
    is_unknown_operation,
    where_to,
)
from sqsw.transport.names import name_of_arn, name_of_url
from sqsw.transport.queue_client import QueueClient

#: messages per second of a move by SQS, at most; and moves that SQS lists, at most
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
#: and .../API_ListMessageMoveTasks.html
_MAX_PER_SECOND, _MAX_LISTED = 500, 10

#: seconds between two looks at a move: the first, and the longest
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Move:
    """A move done by SQS.

    Attributes
    ----------
    source, destination :
        Queue names without prefix; no destination: each message to where it came from.
    status :
        ``RUNNING``, ``COMPLETED``, ``CANCELLING``, ``CANCELLED`` or ``FAILED``.
    moved, total :
        Messages moved so far, and to be moved when it began, by SQS's estimate.
    rate :
        Messages per second, if it was limited.
    started_at :
        When it began, in UTC.
    handle :
        By which it can be cancelled, while it runs.
    failure_reason :
        Why it failed.
    """

    source: str
    destination: str | None
    status: str
    moved: int
    total: int | None
    rate: int | None
    started_at: datetime | None
    handle: str | None
    failure_reason: str | None


class MoveBySQS:
    """One move: started, and then watched.

    Parameters
    ----------
    queue :
        The dead-letter queue.
    """

    def __init__(self, env: ManageEnv, queue: QueueClient) -> None:
        self._env = env
        self._queue = queue
        self._source_arn = arn_of(queue)
        self._earlier: list[Move] = []
        self._handle = ""

    def sources(self) -> list[str] | None:
        """Return the ARNs of the queues whose dead-letter queue this is.

        None: they are unknown, because the call is not allowed or the server does not have it.

        Raises
        ------
        RedriveError
            There are none.
        """
        try:
            urls = self._queue.dead_letter_sources()
        except AccessDenied:
            return None
        except SQSError as error:
            if is_unknown_operation(error):
                return None
            raise
        if not urls:
            raise _not_a_dead_letter_queue(self._env, self._queue)
        # A queue and its dead-letter queue have one account and one region.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        place = self._source_arn.rpartition(":")[0]
        return [f"{place}:{name_of_url(url)}" for url in urls]

    def start(self, target_arn: str | None, per_second: int | None) -> bool:
        """Let SQS move the messages.

        Parameters
        ----------
        target_arn :
            Where all of them go; None: each to the queue that SQS moved it from.

        Returns
        -------
        bool
            False where SQS cannot: a server that does not have the operation, or a queue with a
            target that is the dead-letter queue of no other.

        Raises
        ------
        RedriveError
            Without a target the queue must be the dead-letter queue of another.
        Busy
            A move out of this queue is running.
        SettingsError
            SQS does not move that fast.
        """
        if per_second is not None and per_second > _MAX_PER_SECOND:
            raise SettingsError(
                f"the rate is {per_second} per second, SQS moves {_MAX_PER_SECOND} at most",
                setting="per_second",
                value=per_second,
                bounds=(1, _MAX_PER_SECOND),
                next=f"use {_MAX_PER_SECOND} at most, or none: as fast as SQS likes",
            )
        try:
            self._earlier = _moves(self._env, self._queue, self._source_arn)
            self._handle = self._queue.start_move(self._source_arn, target_arn, per_second)
        except NotImplementedError:  # moto, in this process, where it does not know an operation
            return False
        except SQSError as error:
            if is_unknown_operation(error):
                return False
            if _says(error, "configured as a dead letter queue"):
                if target_arn is not None:
                    return False
                raise _not_a_dead_letter_queue(self._env, self._queue) from error
            if _says(error, "already a task running"):
                raise _running_already(self._env, self._queue, self._source_arn) from error
            raise
        return True

    def watch(self, tell: Callable[[Move], None]) -> Move:
        """Look at the move until it has ended; each look is told.

        Raises
        ------
        RedriveError
            The move failed.
        """
        pause = _FIRST_LOOK_SECONDS
        move = self._look()
        while move is None or move.status in ("RUNNING", "CANCELLING"):
            if move is not None:
                tell(move)
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK_SECONDS)
            move = self._look()
        tell(move)
        if move.status == "FAILED":
            name = self._queue.name
            raise RedriveError(
                f"the move out of {name!r} failed after about {counted(move.moved, 'message')}",
                reason="failed",
                queue=name,
                why=f"{move.failure_reason or 'SQS gave no reason'}; messages that were sent to "
                f"{name!r} directly have no queue to go back to",
                next=where_to(None),
                code=move.failure_reason,
            )
        return move

    def _look(self) -> Move | None:
        try:
            moves = _moves(self._env, self._queue, self._source_arn)
        except Busy:
            return None  # too many looks; the move itself goes on
        # The handle is told only while it runs; afterwards ours is the latest. A list that lags
        # shows the earlier ones alone.
        running = next((move for move in moves if move.handle == self._handle), None)
        return running or (moves[0] if moves and moves != self._earlier else None)


def redrive_status(env: ManageEnv, dead_letter_queue_name: str) -> list[Move]:
    """The last ten moves that SQS made out of this queue, the latest first.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    """
    queue = env.queue_client(dead_letter_queue_name)
    return _moves(env, queue, arn_of(queue))


def cancel_redrive(env: ManageEnv, dead_letter_queue_name: str) -> int:
    """Stop the running move; how many messages it had moved, which stay moved.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    RedriveError
        No move is running; its code is ``ResourceNotFoundException``.
    """
    queue = env.queue_client(dead_letter_queue_name)
    for move in _moves(env, queue, arn_of(queue)):
        if move.status == "RUNNING" and move.handle is not None:
            return queue.cancel_move(move.handle)
    raise RedriveError(
        f"no move out of {queue.name!r} is running",
        reason="not_running",
        queue=queue.name,
        next="redrive_status() returns the last ten",
        code="ResourceNotFoundException",
    )


def _moves(env: ManageEnv, queue: QueueClient, source_arn: str) -> list[Move]:
    return [_read_move(env, raw) for raw in queue.moves(source_arn, _MAX_LISTED)]


def _read_move(env: ManageEnv, raw: dict[str, Any]) -> Move:
    destination, started = raw.get("DestinationArn"), raw.get("StartedTimestamp")
    return Move(
        source=env.name_of(name_of_arn(raw.get("SourceArn", ""))),
        destination=env.name_of(name_of_arn(destination)) if destination else None,
        status=raw.get("Status", "UNKNOWN"),
        moved=raw.get("ApproximateNumberOfMessagesMoved", 0),
        total=raw.get("ApproximateNumberOfMessagesToMove"),
        rate=raw.get("MaxNumberOfMessagesPerSecond"),
        started_at=datetime.fromtimestamp(started / 1000, UTC) if started else None,
        handle=raw.get("TaskHandle"),
        failure_reason=raw.get("FailureReason"),
    )


def _says(error: SQSError, words: str) -> bool:
    # Both refusals come as InvalidParameterValue: only the text tells them apart.
    return words in (error.why or "").lower()


def _not_a_dead_letter_queue(env: ManageEnv, queue: QueueClient) -> RedriveError:
    own = dead_letter_queue_of(env, queue)
    return RedriveError(
        f"{queue.name!r} is not the dead-letter queue of any queue",
        reason="not_dead_letters" if own else "no_target",
        queue=queue.name,
        dead_letter_queue=own,
        why="a move without a filter is done by SQS, which only moves out of dead-letter queues",
        next=where_to(own),
    )


def _running_already(env: ManageEnv, queue: QueueClient, source_arn: str) -> Busy:
    running = next(iter(_moves(env, queue, source_arn)), None)
    so_far = f"; this one has moved about {running.moved:,} of {running.total:,}" if running else ""
    return Busy(
        f"a move out of {queue.name!r} is already running",
        reason="move",
        queue=queue.name,
        why=f"SQS runs one move per queue{so_far}",
        next="wait for it, or stop it: cancel_redrive()",
    )
