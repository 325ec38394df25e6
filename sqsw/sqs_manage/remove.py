"""Delete queues, and delete messages: all of them, or only those that are meant.

Nothing here happens but on a person's order.
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
    """Delete a queue and all that is in it; its name stays unusable for 60 seconds.

    Parameters
    ----------
    queue_name :
        A queue name without prefix, a queue URL or an ARN.

    Returns
    -------
    QueueReport
        The queue as it was, with the action ``deleted``; None where there was none.
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
    """The dead-letter queues that may go with these queues: empty, and of no other queue.

    Parameters
    ----------
    queues :
        The queues that are to be deleted.
    on_notice :
        Told of each dead-letter queue that has to stay, and why.
    """
    going = {queue.name for queue in queues}
    targets = {redrive_target(queue.attributes)[0] for queue in queues}
    targets -= {None, *(queue.arn for queue in queues)}
    unneeded = []
    for target in sorted(filter(None, targets)):
        try:
            report = describe_queue(env, target)
        except (QueueNotFound, SettingsError):  # a policy may name any region
            continue
        if reason := _reason_to_keep(report, going):
            on_notice(Notice(f"{report.name!r} is kept", why=reason))
        else:
            unneeded.append(report)
    return unneeded


def _reason_to_keep(dead_letter_queue: QueueReport, going: Collection[str]) -> str | None:
    if others := sorted(set(dead_letter_queue.sources) - set(going)):
        return f"it is the dead-letter queue of {', '.join(others)} as well"
    if held := dead_letter_queue.total:
        return f"it holds {counted(held, 'message')}"
    return None


def purge_queue(env: ManageEnv, queue_name: str) -> QueueReport:
    """Delete all messages of a queue, by SQS itself.

    SQS takes up to 60 seconds and may delete messages that arrive meanwhile.

    Returns
    -------
    QueueReport
        The queue as it was before, with the action ``purged``.

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
    """Delete the messages that are meant, by receiving and deleting.

    Every message looked at counts as received once, but for a dry run on the embedded SQS. What is
    not meant stays hidden until the end of the pass and is then put back; close the generator
    (``contextlib.closing``) where it may be left early.

    Parameters
    ----------
    dry_run :
        Delete nothing; the action is ``would_delete``.
    poll_seconds :
        The pass ends when a poll of this many seconds brings nothing.
    on_notice :
        Told what a person should know beside the result.
    on_look :
        Told after every receive how many messages were looked at.

    Yields
    ------
    HandledMessage
        Each message once: ``deleted``, ``would_delete``, ``skipped``, or its failure.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    SettingsError
        The selection selects everything: that is :func:`purge_queue`.
    """
    if not selection:
        raise SettingsError(
            f"nothing says which messages of {queue_name!r} are to be deleted",
            next="purge the queue as a whole, or give a selection",
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
