"""Look at messages and put them back."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.sqs_manage.matcher import Match, MessageMatcher
from sqsw.sqs_manage.message_view import MessageView
from sqsw.sqs_manage.receive_pass import Notice, ReceivePass
from sqsw.sqs_manage.selection import EVERYTHING, Selection
from sqsw.sqs_manage.twins import TwinFinder
from sqsw.transport.queue_client import QueueClient

#: seconds: short, since somebody may wait for these messages; a peek is over soon
LEASE_SECONDS = 10


def peek_messages(
    env: ManageEnv,
    queue_name: str,
    limit: int,
    *,
    selection: Selection | None = None,
    poll_seconds: float = 1,
    on_notice: Callable[[Notice], None] | None = None,
) -> Generator[MessageView, None, None]:
    """Look at up to ``limit`` messages that are meant, and put all of them back.

    SQS has no peek: each message is received once, hidden for ten seconds (renewed until the end)
    and then put back. The embedded SQS can look without a receive, and nothing changes there.
    Close the generator (``contextlib.closing``) where it may be left early.

    Parameters
    ----------
    limit :
        Messages to show, at least 1; the limit of the selection is not used.
    selection :
        Which ones; None for whatever comes first.
    poll_seconds :
        The pass ends when a poll of this many seconds brings nothing.
    on_notice :
        Told what a person should know beside the result.

    Yields
    ------
    MessageView
        Each message once, with the action ``peeked``. If it carries the same job as an earlier one
        because a worker crashed, ``twin_of`` is the id of that one.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    SettingsError
        ``limit`` is below 1.
    """
    matcher = MessageMatcher(replace(selection or EVERYTHING, limit=limit), env.name_of, on_notice)
    twins = TwinFinder()
    queue = env.queue_client(queue_name)
    options = {"lease_seconds": LEASE_SECONDS, "poll_seconds": poll_seconds, "on_notice": on_notice}
    with closing(look(queue, matcher, **options)) as parts:
        for picked, _ in parts:
            for one in picked:
                sighting = twins.add(one.message)
                earlier = sighting.twins() if sighting is not None else ()
                twin_of = earlier[0].message_id if earlier else None
                yield replace(one.view, action="peeked", twin_of=twin_of)


def find_message(
    env: ManageEnv,
    queue_name: str,
    message_id: str,
    *,
    poll_seconds: float = 1,
    on_notice: Callable[[Notice], None] | None = None,
) -> MessageView | None:
    """Look for one message, and put back all that were received for it.

    Parameters
    ----------
    message_id :
        A message id or a job id, or the first or last characters of one, 8 or more.
    poll_seconds, on_notice :
        As for :func:`peek_messages`. The notice for an id that is not found or that is ambiguous
        is an :class:`~sqsw.sqs_manage.matcher.UnresolvedIds`.

    Returns
    -------
    MessageView
        The first message that has it, with the action ``peeked``; None if there is none, it is
        hidden for now, or ``message_id`` is a part of several ids.

    Raises
    ------
    QueueNotFound
        There is no such queue.
    """
    views = peek_messages(
        env,
        queue_name,
        1,
        selection=Selection(ids=frozenset((message_id,))),
        poll_seconds=poll_seconds,
        on_notice=on_notice,
    )
    with closing(views):
        return next(views, None)


def look(
    queue: QueueClient, matcher: MessageMatcher, **options: Any
) -> Generator[tuple[list[Match], list[Match]], None, None]:
    """Look at messages, without a receive if possible, and sort them by :class:`MessageMatcher`.

    Parameters
    ----------
    options :
        Those of the :class:`ReceivePass`, where it takes one.
    """
    in_place = queue.peek()
    if in_place is not None:
        yield from matcher.parts(lambda size: list(islice(in_place, size)))
        matcher.end()
        return
    with ReceivePass(queue, **options) as receive_pass:
        yield from matcher.parts(receive_pass.next_batch)
    matcher.end()
