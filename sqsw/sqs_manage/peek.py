"""Peek at messages, and put them back."""

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

#: seconds; short, because a worker can be waiting for these messages
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
    """Yield up to ``limit`` selected messages, and put all messages back.

    SQS has no peek: each message is received once, hidden for ten seconds (renewed until the end)
    and then put back. The embedded SQS needs no receive, so nothing changes there. Close the
    generator (``contextlib.closing``) if you can leave it early.

    Parameters
    ----------
    limit :
        The maximum number of messages, at least 1; the selection's limit is ignored.
    selection :
        The messages to select; None for all.
    poll_seconds :
        The pass ends when a poll of this many seconds returns nothing.
    on_notice :
        Called with notices for the user.

    Yields
    ------
    MessageView
        Each message once, with the action ``peeked``. If a worker crash duplicated the job,
        ``twin_of`` is the ID of the earlier message.

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
    """Find one message, and put back all messages that were received for it.

    Parameters
    ----------
    message_id :
        A message ID or job ID, or at least the first or last 8 characters of one.
    poll_seconds, on_notice :
        See :func:`peek_messages`. The notice for a missing or ambiguous ID is an
        :class:`~sqsw.sqs_manage.matcher.UnresolvedIds`.

    Returns
    -------
    MessageView
        The first message with this ID, with the action ``peeked``; None if there is none, it is
        hidden, or ``message_id`` matches several IDs.

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
    """Separate messages by a :class:`MessageMatcher`, without a receive if possible.

    Parameters
    ----------
    options :
        The options of the :class:`ReceivePass`, if one is needed.
    """
    in_place = queue.peek()
    if in_place is not None:
        yield from matcher.parts(lambda size: list(islice(in_place, size)))
        matcher.end()
        return
    with ReceivePass(queue, **options) as receive_pass:
        yield from matcher.parts(receive_pass.next_batch)
    matcher.end()
