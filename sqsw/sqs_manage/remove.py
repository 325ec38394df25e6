"""Delete queues, and delete all or selected messages.

sqsw calls these functions only on a user's request.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.core.redrive_policy import redrive_target
from sqsw.core.wording import counted
from sqsw.sqs_manage.describe import QueueReport, describe_queue, report_of
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.matcher import Match, MessageMatcher
from sqsw.sqs_manage.message_view import HandledMessage
from sqsw.sqs_manage.peek import look
from sqsw.sqs_manage.receive_pass import POLL_SECONDS, Notice, ReceivePass
from sqsw.sqs_manage.selection import Selection


def delete_queue(env: ManageEnv, queue_name: str) -> QueueReport | None:
    """Delete a queue and its messages. Its name cannot be reused for 60 seconds.

    Parameters
    ----------
    queue_name :
        A queue name without prefix, a queue URL or an ARN.

    Returns
    -------
    QueueReport
        The queue before its deletion, with the action ``deleted``; None if it did not exist.
    """
    queue = env.queue_client(queue_name)
    try:
        report = report_of(env, queue, queue.attributes(), "deleted")
        queue.delete_queue()
    except QueueNotFound:
        return None
    return report


def unneeded_dead_letter_queues(
    env: ManageEnv,
    queues: Sequence[QueueReport],
    on_notice: Callable[[Notice], None],
) -> list[QueueReport]:
    """Return the dead-letter queues that only these queues use and that are empty.

    Parameters
    ----------
    queues :
        The queues to delete.
    on_notice :
        Called for each dead-letter queue that must be kept, with the reason.
    """
    going = {queue.name for queue in queues}
    targets = {redrive_target(queue.attributes)[0] for queue in queues}
    targets -= {None, *(queue.arn for queue in queues)}
    unneeded = []
    for target in sorted(filter(None, targets)):
        try:
            report = describe_queue(env, target)
        except (QueueNotFound, SettingsError):  # a policy can name any region
            continue
        if reason := _reason_to_keep(report, going):
            on_notice(Notice(f"{report.name!r} is kept", why=reason))
        else:
            unneeded.append(report)
    return unneeded


def _reason_to_keep(dead_letter_queue: QueueReport, going: Collection[str]) -> str | None:
    if others := sorted(set(dead_letter_queue.sources) - set(going)):
        return f"it is also the dead-letter queue of {', '.join(others)}"
    if held := dead_letter_queue.total:
        return f"it holds {counted(held, 'message')}"
    return None


def purge_queue(env: ManageEnv, queue_name: str) -> QueueReport:
    """Purge a queue: let SQS delete all its messages.

    This takes up to 60 seconds, and can also delete messages that arrive during this time.

    Returns
    -------
    QueueReport
        The queue before the purge, with the action ``purged``.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    Busy
        The queue was purged less than 60 seconds ago.
    """
    queue = env.queue_client(queue_name)
    report = report_of(env, queue, queue.attributes(), "purged")
    queue.purge()
    return report


def purge_selected(
    env: ManageEnv,
    queue_name: str,
    selection: Selection,
    *,
    dry_run: bool = False,
    poll_seconds: float = POLL_SECONDS,
    on_notice: Callable[[Notice], None] | None = None,
    on_look: Callable[[int], None] | None = None,
) -> Generator[HandledMessage, None, None]:
    """Receive messages, and delete the selected ones.

    Every message that is read counts as received once, except in a dry run on the embedded SQS.
    Other messages stay hidden until the end of the pass and are then put back. Close the generator
    (``contextlib.closing``) if you can leave it early.

    Parameters
    ----------
    dry_run :
        Delete nothing; selected messages have the action ``would_delete``.
    poll_seconds :
        The pass ends when a poll of this many seconds returns nothing.
    on_notice :
        Called with notices for the user.
    on_look :
        Called after every receive with the total number of messages read.

    Yields
    ------
    HandledMessage
        Each message once, with the action ``deleted``, ``would_delete`` or ``skipped``, or its
        failure.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    SettingsError
        The selection selects everything; use :func:`purge_queue` for that.
    """
    if not selection:
        raise SettingsError(
            f"no selection of messages to delete from {queue_name!r}",
            next="add a selection, or purge the whole queue",
        )
    queue = env.queue_client(queue_name)
    matcher = MessageMatcher(selection, env.name_of, on_notice, on_look)
    if dry_run:
        looks = look(queue, matcher, poll_seconds=poll_seconds, on_notice=on_notice)
        with closing(looks) as parts:
            for picked, skipped in parts:
                yield from (HandledMessage(one.view.did("would_delete")) for one in picked)
                yield from (HandledMessage(one.view) for one in skipped)
        return
    with ReceivePass(queue, poll_seconds=poll_seconds, on_notice=on_notice) as receive_pass:
        for picked, skipped in matcher.parts(receive_pass.next_batch):
            yield from _delete(receive_pass, picked)
            yield from (HandledMessage(one.view) for one in skipped)
    matcher.end()


def _delete(receive_pass: ReceivePass, picked: Sequence[Match]) -> list[HandledMessage]:
    if not picked:
        return []
    failures = receive_pass.finish(lambda: receive_pass.delete([one.message for one in picked]))
    return [
        HandledMessage.failed(
            one.view, failure.code, failure.reason, retryable=not failure.sender_fault
        )
        if (failure := failures.get(one.message.message_id))
        else HandledMessage(one.view.did("deleted"))
        for one in picked
    ]
