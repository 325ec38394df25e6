"""Cuts what receives bring into calls: of one message, or of a list that is gathered."""

from collections.abc import Iterable, Sequence

from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.lane import Call, Kind, Lane

logger = SafeLogger(__name__)

#: What the messages of one list share.
_Key = tuple[Kind, str | None, str | None]


class Gathering:
    """The calls of some lanes, and the lists that still wait for more; used under the dispatcher's
    lock.

    A list is for one kind of executor and, on a FIFO queue, of one group and one job, since what
    came after a failed message may not run. A list of a FIFO queue waits for nothing: no more of
    its group can come before it is gone.
    """

    def __init__(self, lane_names: Iterable[str]) -> None:
        self._open: dict[str, dict[_Key, tuple[float, Call]]] = {name: {} for name in lane_names}
        self._held: set[str] = set()

    def cut(
        self, lane: Lane, messages: Sequence[Message], now: float, more: bool = False
    ) -> list[Call]:
        """The calls that are complete, in order: the full ones, and those that have waited.

        ``more``: others follow at once, and a list stays for them, however long it has waited.
        """
        calls: list[Call] = []
        lists, is_fifo = self._open[lane.name], lane.is_fifo
        (self._held.add if more and not is_fifo else self._held.discard)(lane.name)
        for message in messages:
            kind, job_name = _kind_and_name(lane, message)
            call = Call(lane, [message], [job_name], kind)
            if is_fifo:
                call.group = message.group_id
            elif lane.share.group_slots is not None:
                call.fair_group = message.group_id
            if lane.batch_size == 1:
                calls.append(call)
                continue
            key = (kind, call.group or call.fair_group, job_name if is_fifo else None)
            if is_fifo:
                # In order: a list of another job of this group goes first.
                calls += [lists.pop(k)[1] for k in list(lists) if k[1] == key[1] and k != key]
            if key in lists:
                gathered = lists[key][1]
                gathered.messages.append(message)
                gathered.job_names.append(job_name)
            else:
                lists[key] = (now + (0.0 if is_fifo else lane.max_wait_seconds), call)
            if len(lists[key][1].messages) >= lane.batch_size:
                calls.append(lists.pop(key)[1])
        return calls + self.take_due(lane.name, now)

    def take_due(self, lane_name: str, now: float) -> list[Call]:
        """The lists of a lane that have waited long enough."""
        lists = self._open[lane_name]
        if not lists or lane_name in self._held:
            return []
        due = [key for key, (at, _) in lists.items() if at <= now]
        return [lists.pop(key)[1] for key in due]

    def take_all(self, lane_name: str) -> list[Call]:
        """All lists of a lane, as they are."""
        calls = [call for _, call in self._open[lane_name].values()]
        self._open[lane_name].clear()
        return calls

    def next_due(self, lane_name: str) -> float | None:
        """Return when a lane's next list must start, in seconds of its clock; None without one."""
        return min((at for at, _ in self._open[lane_name].values()), default=None)

    def waiting(self) -> int:
        """Lists that are being gathered."""
        return sum(map(len, self._open.values()))


def _kind_and_name(lane: Lane, message: Message) -> tuple[Kind, str | None]:
    try:
        return lane.kind_of(message), lane.job_name_of(message)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a strange message must not stop the receives; its job will tell
        logger.exception("cannot tell the job of message %s", message.message_id)
        return "thread", None
