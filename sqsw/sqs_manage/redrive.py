"""Move dead letters back: by SQS if it can, otherwise by sqsw."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from sqsw.core.errors import SettingsError
from sqsw.core.settings import check_bounds
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.message_view import Failure, HandledMessage
from sqsw.sqs_manage.moves import Move, MoveBySQS
from sqsw.sqs_manage.queue_calls import arn_of
from sqsw.sqs_manage.receive_pass import POLL_SECONDS, Notice
from sqsw.sqs_manage.resend import resend_messages
from sqsw.sqs_manage.selection import EVERYTHING, Selection
from sqsw.transport.names import account_and_name
from sqsw.transport.queue_client import QueueClient

OnProgress = Callable[[Move | HandledMessage], None]


@dataclass(frozen=True, slots=True)
class RedriveReport:
    """The result of a redrive.

    Attributes
    ----------
    moved, skipped, failed :
        The number of messages that were moved, were not selected, and could not be moved.
    by_sqs :
        Whether SQS moved them.
    status :
        The status of the move by SQS; None if sqsw moved them.
    failures :
        The messages that were selected but could not be moved.
    would_move :
        The number of messages that a dry run would move.
    dropped_twins :
        The number of messages that were deleted, or that a dry run would delete, because another
        message with the same job was moved.
    """

    moved: int
    skipped: int
    failed: int
    by_sqs: bool
    status: str | None
    failures: tuple[Failure, ...]
    would_move: int = 0
    dropped_twins: int = 0


def redrive(
    env: ManageEnv,
    dead_letter_queue_name: str,
    *,
    target: str | None = None,
    selection: Selection | None = None,
    per_second: int | None = None,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
    wait: bool = True,
    poll_seconds: float = POLL_SECONDS,
    on_notice: Callable[[Notice], None] | None = None,
    on_look: Callable[[int], None] | None = None,
) -> RedriveReport:
    """Move messages out of a dead-letter queue.

    Without a selection, SQS moves the messages if only one queue uses this dead-letter queue, or if
    there is a target. Otherwise, and for a dry run, sqsw moves them: it receives, sends and then
    deletes each message. Body, attributes and group stay the same byte for byte, a FIFO queue is
    moved in order, and nothing is deleted before its copy is confirmed. Messages that are not
    selected stay hidden until the end and are then put back. Ctrl-C ends such a move after the
    current batch; a move by SQS continues.

    If a worker crashed after it sent a message to the dead-letter queue and before it deleted it
    from its own, the job is here twice. sqsw moves the message that has the record (in a FIFO
    queue, the first one) and deletes the other one, selected or not. SQS moves both. For this,
    sqsw moves up to 1,000 messages without a record, 32 MiB in all, at the end.

    Parameters
    ----------
    dead_letter_queue_name, target :
        A queue name without prefix, a queue URL or an ARN. Without a target, everything goes to
        the only queue whose dead-letter queue this is. If there are several, each message goes to
        the queue that it came from: the one that SQS moved it from, or the one in its record.
    selection :
        The messages to move; None for all.
    per_second :
        Messages per second, at least 1, and at most 500 if SQS moves them. None for no limit.
    dry_run :
        Move nothing. Each message still counts as received once, except on the embedded SQS.
    on_progress :
        Called with each status of a move by SQS, or each message that sqsw has handled.
    wait :
        If False, start the move by SQS and return. With several source queues and no target, the
        move fails at the first message that a worker sent, because SQS does not read records.
    poll_seconds :
        A move by sqsw ends when a poll of this many seconds returns nothing.
    on_notice :
        Called with notices for the user.
    on_look :
        Called after every receive with the total number of messages that sqsw has read; not called
        if SQS moves the messages.

    Raises
    ------
    RedriveError
        The destination is unknown, or the move by SQS failed.
    Busy
        A move out of this queue is running.
    QueueNotFound
        The queue or the target does not exist.
    SettingsError
        The target is the queue itself, a number is out of range, or ``wait`` is False for a move
        that SQS cannot make.
    """
    queue = env.queue_client(dead_letter_queue_name)
    destination = None if target is None else env.queue_client(target)
    _check(queue, destination, per_second)
    tell = on_progress or (lambda progress: None)
    if not selection and not dry_run:
        report = _move_by_sqs(env, queue, destination, per_second, tell, wait)
        if report is not None:
            return report
    if not wait:
        raise SettingsError(
            "this move cannot run in the background",
            reason="no_wait",
            why="SQS can only move all messages of a dead-letter queue, so sqsw must do it",
            next="use wait=True",
        )
    actions: Counter[str] = Counter()
    failures: list[Failure] = []
    with closing(
        resend_messages(
            env,
            queue,
            target=destination,
            selection=selection or EVERYTHING,
            per_second=per_second,
            dry_run=dry_run,
            poll_seconds=poll_seconds,
            on_notice=on_notice,
            on_look=on_look,
        )
    ) as messages:
        for handled in messages:
            if handled.failure is not None:
                failures.append(handled.failure)
            elif handled.view.action is not None:
                actions[handled.view.action] += 1
            tell(handled)
    return RedriveReport(
        moved=actions["moved"],
        skipped=actions["skipped"],
        failed=len(failures),
        by_sqs=False,
        status=None,
        failures=tuple(failures),
        would_move=actions["would_move"],
        dropped_twins=actions["dropped_twin"] + actions["would_drop_twin"],
    )


def _check(queue: QueueClient, target: QueueClient | None, per_second: int | None) -> None:
    check_bounds("per_second", per_second, 1)
    if target is None:
        return
    # Look up both URLs, so a wrong name is reported before anything moves. Do not compare hosts,
    # because they can have several names.
    if account_and_name(target.url) == account_and_name(queue.url):
        raise SettingsError(f"cannot move the messages of {queue.name!r} to itself")


def _move_by_sqs(
    env: ManageEnv,
    queue: QueueClient,
    target: QueueClient | None,
    per_second: int | None,
    tell: OnProgress,
    wait: bool,
) -> RedriveReport | None:
    """Let SQS move the messages; return None if it cannot."""
    by_sqs = MoveBySQS(env, queue)
    target_arn = None if target is None else arn_of(target)
    if target is None and (sources := by_sqs.sources()) is not None:
        # SQS does not know the source of a message that a worker sent, so it needs a target.
        if len(sources) == 1:
            target_arn = sources[0]
        elif wait:
            return None
    if not by_sqs.start(target_arn, per_second):
        return None
    if not wait:
        return RedriveReport(0, 0, 0, by_sqs=True, status="RUNNING", failures=())
    move = by_sqs.watch(tell)
    return RedriveReport(move.moved, 0, 0, by_sqs=True, status=move.status, failures=())
