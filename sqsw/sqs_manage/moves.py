"""The moves that SQS makes itself: start one, watch it, list them, cancel one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqsw.core.errors import Busy, RedriveError, SettingsError, SQSError
from sqsw.sqs_manage.host import ManageHost
from sqsw.sqs_manage.queue_calls import arn_of, is_unknown_operation
from sqsw.transport.names import name_of_arn
from sqsw.transport.queue_client import QueueClient

#: messages per second of a move by SQS, at most; and moves that SQS lists, at most
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
#: and .../API_ListMessageMoveTasks.html
_MAX_PER_SECOND, _MAX_LISTED = 500, 10

#: seconds between two looks at a move: the first, and the longest
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.05, 1.0


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


def start_move(
    env: ManageHost, queue: QueueClient, target: QueueClient | None, per_second: int | None
) -> str | None:
    """Let SQS move the messages of a dead-letter queue.

    Returns
    -------
    str
        The handle of the move; None where SQS cannot move them: a server that does not have the
        operation, or a queue with a target that is the dead-letter queue of no other.

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
            next=f"use {_MAX_PER_SECOND} at most, or none: as fast as SQS likes",
        )
    source_arn = arn_of(queue)
    target_arn = None if target is None else arn_of(target)
    try:
        return queue.start_move(source_arn, target_arn, per_second)
    except NotImplementedError:  # moto, in this process, where it does not know an operation
        return None
    except SQSError as error:
        if is_unknown_operation(error):
            return None
        if _says(error, "configured as a dead letter queue"):
            if target is not None:
                return None
            raise _not_a_dead_letter_queue(queue) from error
        if _says(error, "already a task running"):
            raise _running_already(env, queue, source_arn) from error
        raise


def watch_move(
    env: ManageHost, queue: QueueClient, handle: str, tell: Callable[[Move], None]
) -> Move:
    """Look at a move until it has ended; each look is told.

    Raises
    ------
    RedriveError
        The move failed.
    """
    source_arn = arn_of(queue)
    pause = _FIRST_LOOK_SECONDS
    while True:
        moves = _moves(env, queue, source_arn)
        # The handle is told only while it runs; afterwards ours is the latest.
        move = next((m for m in moves if m.handle == handle), moves[0] if moves else None)
        if move is not None:
            tell(move)
            if move.status not in ("RUNNING", "CANCELLING"):
                break
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_SECONDS)
    if move.status == "FAILED":
        raise RedriveError(
            f"the move out of {queue.name!r} failed after about {move.moved} messages",
            why=f"{move.failure_reason or 'SQS gave no reason'}; messages that were sent to "
            f"{queue.name!r} directly have no queue to go back to",
            next=f"say where to: sqsw redrive {queue.name} --to QUEUE",
            code=move.failure_reason,
        )
    return move


def redrive_status(env: ManageHost, dead_letter_queue_name: str) -> list[Move]:
    """The last ten moves that SQS made out of this queue, the latest first.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    """
    queue = env.queue_client(dead_letter_queue_name)
    return _moves(env, queue, arn_of(queue))


def cancel_redrive(env: ManageHost, dead_letter_queue_name: str) -> int:
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
        next=f"sqsw redrive {queue.name} --status shows the last ten",
        code="ResourceNotFoundException",
    )


def _moves(env: ManageHost, queue: QueueClient, source_arn: str) -> list[Move]:
    return [_read_move(env, raw) for raw in queue.moves(source_arn, _MAX_LISTED)]


def _read_move(env: ManageHost, raw: dict[str, Any]) -> Move:
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


def _not_a_dead_letter_queue(queue: QueueClient) -> RedriveError:
    return RedriveError(
        f"{queue.name!r} is not the dead-letter queue of any queue",
        why="a move without a filter is done by SQS, which only moves out of dead-letter queues",
        next=f"say where to: sqsw redrive {queue.name} --to QUEUE",
    )


def _running_already(env: ManageHost, queue: QueueClient, source_arn: str) -> Busy:
    running = next(iter(_moves(env, queue, source_arn)), None)
    so_far = f"; this one has moved about {running.moved} of {running.total}" if running else ""
    return Busy(
        f"a move out of {queue.name!r} is already running",
        why=f"SQS runs one move per queue{so_far}",
        next=f"sqsw redrive {queue.name} --status, or --cancel",
    )
