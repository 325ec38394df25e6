"""Sort received messages into those that are selected and the rest, until enough are found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.wording import counted
from sqsw.sqs_manage.message_view import MessageView, view_message
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.selection import Selection


@dataclass(frozen=True, slots=True)
class Match:
    """A message that was looked at, and its view."""

    message: Message
    view: MessageView


class MessageMatcher:
    """Knows which messages are selected, and how many are still wanted.

    Parameters
    ----------
    selection :
        The messages to select.
    name_of :
        Removes the prefix from a queue name.
    on_notice :
        Called if some ids were not found.
    """

    def __init__(
        self,
        selection: Selection,
        name_of: Callable[[str], str],
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self._selection = selection
        self._name_of = name_of
        self._on_notice = on_notice
        self._unseen_ids = set(selection.ids or ())
        # One message has a message id, so that is found once; several can have one job id.
        self._open_ids = None if selection.ids is None else set(selection.ids)
        self._now = datetime.now(UTC)
        self._left = selection.limit

    def next_size(self, max_messages: int = MAX_BATCH_ENTRIES) -> int:
        """Return how many messages to receive next; 0 if enough were found."""
        if self._has_ended:
            return 0
        if self._left is None or self._selection.has_conditions:
            return max_messages
        return min(self._left, max_messages)

    @property
    def _has_ended(self) -> bool:
        return self._left == 0 or self._open_ids == set()

    def match(self, messages: Sequence[Message]) -> tuple[list[Match], list[Match]]:
        """Return the messages that are selected, and the others that were looked at.

        Messages after the last one wanted are in neither list, because they were not looked at.
        """
        picked: list[Match] = []
        skipped: list[Match] = []
        for message in messages:
            if self._has_ended:
                break
            view = view_message(message, name_of=self._name_of)
            self._unseen_ids -= {view.id, view.job_id}
            if self._open_ids is not None:
                self._open_ids.discard(view.id)
            if self._selection.matches(view, self._now):
                picked.append(Match(message, view))
                if self._left is not None:
                    self._left -= 1
            else:
                skipped.append(Match(message, view.did("skipped")))
        return picked, skipped

    def end(self) -> None:
        """Report the ids that were not found, after the last message was looked at."""
        if self._left != 0 and self._unseen_ids and self._on_notice is not None:
            missing, given = len(self._unseen_ids), len(self._selection.ids or ())
            were = "was" if missing == 1 else "were"
            self._on_notice(
                Notice(
                    f"{missing} of {counted(given, 'id')} {were} not found",
                    why="they are not in the queue, or they are in flight or delayed",
                )
            )
