"""Separate the selected messages from the others, until enough are found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.wording import counted
from sqsw.sqs_manage.message_view import MessageView, view_message
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.selection import Selection, is_part_of_id

#: maximum IDs in a notice
_MOST_LISTED = 5

#: characters of a UUID
_UUID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Match:
    """A message and its view."""

    message: Message
    view: MessageView


@dataclass(frozen=True, slots=True)
class UnresolvedIds(Notice):
    """A notice that some of the requested IDs do not match exactly one message.

    Attributes
    ----------
    given :
        The number of requested IDs.
    missing :
        The IDs that no message has.
    ambiguous :
        The ambiguous partial IDs, each with the IDs that it matches.
    """

    given: int = 0
    missing: tuple[str, ...] = ()
    ambiguous: Mapping[str, tuple[str, ...]] | None = None

    @property
    def found_none(self) -> bool:
        """Whether none of the IDs matches a message."""
        return len(self.missing) + len(self.ambiguous or ()) == self.given


class _Ids:
    """The requested IDs, and the matching IDs of messages.

    An ID is one of :attr:`~sqsw.sqs_manage.message_view.MessageView.ids`, or its first or last
    characters. A job ID starts with a time and ends with random characters. Whether a partial ID
    is unique is known only after all messages were read.
    """

    def __init__(self, ids: frozenset[str]) -> None:
        self._given = ids
        self._lengths = {len(one) for one in ids if is_part_of_id(one)} - {_UUID_LENGTH}
        # A message ID belongs to one message, but several messages can share a job ID.
        self._open = set(ids)
        self._whole: set[str] = set()
        # The requested partial IDs, each with its matching IDs in order.
        self._by_part: dict[str, dict[str, None]] = {}

    @property
    def has_parts(self) -> bool:
        """Whether any requested ID is partial."""
        return bool(self._lengths)

    @property
    def all_found(self) -> bool:
        return not self._open

    def note(self, view: MessageView) -> bool:
        """Note a message's IDs; return whether one of them can match a requested ID."""
        whole = self._given.intersection(view.ids)
        self._whole |= whole
        self._open.discard(view.id)
        parts = self._parts_of(view)
        for part, id in parts.items():
            self._by_part.setdefault(part, {})[id] = None
        return bool(whole or parts)

    def has(self, view: MessageView) -> bool:
        """Return whether a message matches, based on the IDs noted so far."""
        if not self._given.isdisjoint(view.ids):
            return True
        return any(
            len(self._by_part[part]) == 1 and part not in self._whole
            for part in self._parts_of(view)
        )

    def _parts_of(self, view: MessageView) -> dict[str, str]:
        """Return the requested partial IDs that match a message's IDs, each with its full ID."""
        # Only UUIDs can be partial: invoice-1000 is not short for invoice-10001.
        ids = [id for id in view.ids if is_part_of_id(id, whole=True)]
        parts = ((part, id) for n in self._lengths for id in ids for part in (id[:n], id[-n:]))
        return {part: id for part, id in parts if part in self._given}

    def unresolved(self) -> UnresolvedIds | None:
        missing = sorted(self._given - self._whole - self._by_part.keys())
        ambiguous = {
            part: tuple(by_id)
            for part, by_id in self._by_part.items()
            if len(by_id) > 1 and part not in self._whole
        }
        if not missing and not ambiguous:
            return None
        return UnresolvedIds(
            " and ".join(self._texts(missing, ambiguous)),
            "; ".join(_reasons(missing, ambiguous)),
            "use more characters of each id" if ambiguous else None,
            len(self._given),
            tuple(missing),
            ambiguous,
        )

    def _texts(self, missing: Sequence[str], ambiguous: Mapping[str, object]) -> Iterator[str]:
        for ids, what in ((missing, "not found"), (list(ambiguous), "ambiguous")):
            if len(self._given) == 1 and ids:
                yield f"the id {ids[0]!r} {'is' if ambiguous else 'was'} {what}"
            elif ids:
                of = counted(len(self._given), "id")
                yield f"{len(ids):,} of {of} {'was' if len(ids) == 1 else 'were'} {what}"


def _reasons(missing: Sequence[str], ambiguous: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if missing:
        yield "no message in the queue has such an id, or it is hidden for now"
    if len(ambiguous) == 1:
        ((part, ids),) = ambiguous.items()
        yield f"{part} is a part of {len(ids):,} ids: {_listed(ids)}"
    elif ambiguous:
        yield f"each of these is a part of several ids: {_listed(list(ambiguous))}"


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_MOST_LISTED]) + (", …" if len(ids) > _MOST_LISTED else "")


class MessageMatcher:
    """A matcher that selects messages, and tracks how many are still needed.

    Parameters
    ----------
    selection :
        The messages to select.
    name_of :
        Removes the prefix from a queue name.
    on_notice :
        Called with :class:`UnresolvedIds` if some IDs match no message, or several.
    on_look :
        Called after every receive with the total number of messages read.
    """

    def __init__(
        self,
        selection: Selection,
        name_of: Callable[[str], str],
        on_notice: Callable[[Notice], None] | None = None,
        on_look: Callable[[int], None] | None = None,
    ) -> None:
        self._selection = selection
        self._name_of = name_of
        self._on_notice = on_notice
        self._on_look = on_look
        self._ids = None if selection.ids is None else _Ids(selection.ids)
        # Messages that can still match, in order, because a FIFO queue is moved in order.
        self._kept: list[Match] = []
        self._now = datetime.now(UTC)
        self._left = selection.limit
        self._looked_at = 0

    def parts(
        self,
        next_batch: Callable[[int], Sequence[Message]],
        max_messages: int = MAX_BATCH_ENTRIES,
    ) -> Iterator[tuple[list[Match], list[Match]]]:
        """Separate a queue's messages until enough are found or none are left.

        Parameters
        ----------
        next_batch :
            Returns up to the given number of messages; none at the end.
        max_messages :
            Messages in a batch, 1 to 10.

        Yields
        ------
        tuple
            See :meth:`match`; with at most ``max_messages`` selected ones.
        """
        while (size := self.next_size(max_messages)) and (messages := next_batch(size)):
            yield self.match(messages)
        picked, skipped = self._rest()
        for start in range(0, max(len(picked), bool(skipped)), max_messages):
            yield picked[start : start + max_messages], [] if start else skipped

    def next_size(self, max_messages: int = MAX_BATCH_ENTRIES) -> int:
        """Return the number of messages to receive next; 0 if enough were found."""
        if self._has_ended:
            return 0
        if self._left is None or self._selection.has_conditions:
            return max_messages
        return min(self._left, max_messages)

    @property
    def _has_ended(self) -> bool:
        return self._left == 0 or (self._ids is not None and self._ids.all_found)

    def match(self, messages: Sequence[Message]) -> tuple[list[Match], list[Match]]:
        """Return the selected messages, and the others.

        Messages after the last one needed are in neither list. With partial IDs, only :meth:`parts`
        returns the selected messages, at the end.
        """
        picked: list[Match] = []
        skipped: list[Match] = []
        for message in messages:
            if self._has_ended:
                break
            view = view_message(message, name_of=self._name_of)
            one = Match(message, view)
            has_id = self._ids is None or self._ids.note(view)
            if not (has_id and self._selection.matches_but_for_ids(view, self._now)):
                skipped.append(Match(message, view.did("skipped")))
            elif self._ids is not None and self._ids.has_parts:
                self._kept.append(one)
            else:
                picked.append(one)
                self._count_one()
        self._looked_at += len(messages)
        if self._on_look is not None:
            self._on_look(self._looked_at)
        return picked, skipped

    def _rest(self) -> tuple[list[Match], list[Match]]:
        picked, skipped = [], []
        for one in self._kept:
            if self._left != 0 and self._ids is not None and self._ids.has(one.view):
                picked.append(one)
                self._count_one()
            else:
                skipped.append(Match(one.message, one.view.did("skipped")))
        return picked, skipped

    def _count_one(self) -> None:
        if self._left is not None:
            self._left -= 1

    def end(self) -> None:
        """Report the unresolved IDs after the last message."""
        if self._left == 0 or self._ids is None or self._on_notice is None:
            return
        notice = self._ids.unresolved()
        if notice is not None:
            self._on_notice(notice)
