"""Start, monitor, list and cancel message moves by SQS."""

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

#: maximum messages per second of a move by SQS, and maximum moves that SQS lists
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
#: and .../API_ListMessageMoveTasks.html
_MAX_PER_SECOND, _MAX_LISTED = 500, 10

#: seconds between two checks of a move: initial and maximum
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Move:
    """A message move by SQS.

    Attributes
    ----------
    source, destination :
        Queue names without the prefix. Without a destination, each message goes back to its source.
    status :
        ``RUNNING``, ``COMPLETED``, ``CANCELLING``, ``CANCELLED`` or ``FAILED``.
    moved, total :
        Messages moved so far, and messages to move at the start, estimated by SQS.
    rate :
        The limit in messages per second, if any.
    started_at :
        The start time in UTC.
    handle :
        The handle to cancel a running move.
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
    """A move by SQS that can be started and monitored.

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
        """Return the ARNs of the queues that use this dead-letter queue.

        None means that they are unknown, because access is denied or the server does not support
        the call.

        Raises
        ------
        RedriveError
            No queue uses it.
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
        # A queue and its dead-letter queue are in the same account and region.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        place = self._source_arn.rpartition(":")[0]
        return [f"{place}:{name_of_url(url)}" for url in urls]

    def start(self, target_arn: str | None, per_second: int | None) -> bool:
        """Start the move.

        Parameters
        ----------
        target_arn :
            The destination; None sends each message back to the queue that SQS moved it from.

        Returns
        -------
        bool
            False if SQS cannot make the move: the server does not support it, or the target is
            given and no queue uses this one as its dead-letter queue.

        Raises
        ------
        RedriveError
            Without a target, the queue must be the dead-letter queue of another queue.
        Busy
            A move out of this queue is already running.
        SettingsError
            The rate is above SQS's maximum.
        """
        if per_second is not None and per_second > _MAX_PER_SECOND:
            raise SettingsError(
                f"the rate {per_second} per second is too high",
                setting="per_second",
                value=per_second,
                bounds=(1, _MAX_PER_SECOND),
                next=f"use at most {_MAX_PER_SECOND}, or no rate for SQS's own speed",
            )
        try:
            self._earlier = _moves(self._env, self._queue, self._source_arn)
            self._handle = self._queue.start_move(self._source_arn, target_arn, per_second)
        except NotImplementedError:  # raised by moto for an unknown operation
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
        """Wait until the move has ended; report each status.

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
                why=f"{move.failure_reason or 'SQS gave no reason'}; messages sent directly to "
                f"{name!r} have no source queue",
                next=where_to(None),
                code=move.failure_reason,
            )
        return move

    def _look(self) -> Move | None:
        try:
            moves = _moves(self._env, self._queue, self._source_arn)
        except Busy:
            return None  # the check was throttled; the move itself continues
        # SQS returns the handle only while the move runs. Later, ours is the latest move, unless
        # the list lags and contains only earlier ones.
        running = next((move for move in moves if move.handle == self._handle), None)
        return running or (moves[0] if moves and moves != self._earlier else None)


def redrive_status(env: ManageEnv, dead_letter_queue_name: str) -> list[Move]:
    """Return the last ten moves by SQS out of this queue, latest first.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    """
    queue = env.queue_client(dead_letter_queue_name)
    return _moves(env, queue, arn_of(queue))


def cancel_redrive(env: ManageEnv, dead_letter_queue_name: str) -> int:
    """Cancel the running move; return the number of messages it has moved, which stay moved.

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
        next="call redrive_status() for the last ten moves",
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
    # Both refusals have the code InvalidParameterValue, and differ only in the text.
    return words in (error.why or "").lower()


def _not_a_dead_letter_queue(env: ManageEnv, queue: QueueClient) -> RedriveError:
    own = dead_letter_queue_of(env, queue)
    return RedriveError(
        f"{queue.name!r} is not the dead-letter queue of any queue",
        reason="not_dead_letters" if own else "no_target",
        queue=queue.name,
        dead_letter_queue=own,
        why="SQS makes moves without a filter, and only out of dead-letter queues",
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
        next="wait for it, or stop it with cancel_redrive()",
    )
