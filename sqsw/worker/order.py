"""The order of message groups: what may run, what waits, and what has to go back unrun."""

from collections.abc import Callable, Mapping

from sqsw.core.message import Message
from sqsw.worker.groups import GroupGate
from sqsw.worker.lane import Call, Lane
from sqsw.worker.ready import ReadyMessages


class GroupOrder:
    """One call of a message group at a time, on FIFO queues; used under the dispatcher's lock.

    Parameters
    ----------
    ready :
        What each lane has ready. A call that waits for nothing but its group is parked there: it
        holds no credit, or ten messages of one group would keep the slots of the others empty.
    """

    def __init__(self, ready: Mapping[str, ReadyMessages]) -> None:
        self._ready = ready
        self._gates: dict[str, GroupGate[Call]] = {name: GroupGate() for name in ready}
        self._calls: dict[str, Call] = {}

    def admit(self, call: Call) -> bool:
        """Take note of a call; whether it may run now."""
        if call.group is None:
            return True
        call.undeleted = len(call.messages)
        self._calls.update((message.receipt_handle, call) for message in call.messages)
        admitted = self._gates[call.lane.name].admit(call.group, call)
        if not admitted:
            self._park(call.lane, 1)
        return admitted

    def told(self, message: Message, deleted: bool) -> tuple[Call | None, list[Call]]:
        """SQS was told of a message: the call that may run now, and those that have to go back."""
        call = self._calls.pop(message.receipt_handle, None) if self._calls else None
        if call is None or call.group is None or not self._in_line(call):
            return None, []
        # A failed head that SQS will move to the dead-letter queue never runs again. Nothing waits
        # for it, and the messages behind it can be on their last receive too.
        if not (deleted or call.lane.is_last_receive(message)):
            return None, self.leave(call)
        call.undeleted -= 1
        if call.undeleted:
            return None, []
        following = self._gates[call.lane.name].finish(call.group, call)
        if following is not None:
            self._park(call.lane, -1)
        return following, []

    def lost(self, message: Message, running: bool) -> list[Call]:
        """The lease of a message is over: what has to go back, its own call too if that waits."""
        call = self._calls.pop(message.receipt_handle, None)
        if call is None or not self._in_line(call):
            return []
        head = self._gates[call.lane.name].is_head(call.group, call)
        back = self.leave(call)
        if not running:
            if not head:
                self._park(call.lane, -1)
            # A head stands ready still: it is found empty there, and so passed over.
            back.insert(0, call.taken_over())
        return back

    def leave(self, call: Call) -> list[Call]:
        """Take a call out of its group; what stood behind it, and may not run now."""
        if call.group is None:
            return []
        behind = self._gates[call.lane.name].fail(call.group, call)
        self._park(call.lane, -len(behind))
        return behind

    def clear_waiting(self, lane_name: str, keep: Callable[[Call], bool]) -> list[Call]:
        """Remove and return the calls of a lane that wait for their group, in order.

        Calls to keep stay, and so do the calls that have to run before them.
        """
        waiting = self._gates[lane_name].clear_waiting(keep)
        self._ready[lane_name].credits.park(lane_name, -len(waiting))
        return waiting

    def forget(self, message: Message) -> None:
        """A message is no longer ours."""
        self._calls.pop(message.receipt_handle, None)

    def _in_line(self, call: Call) -> bool:
        return call.group is not None and self._gates[call.lane.name].holds(call.group, call)

    def _park(self, lane: Lane, count: int) -> None:
        self._ready[lane.name].credits.park(lane.name, count)
