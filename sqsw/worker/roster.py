"""The roster: who works in which place, who takes over from whom, and who leaves.

It keeps the books only: children are started, told and buried by the supervisor.
"""

from collections.abc import Sequence

from sqsw.worker.children import Child
from sqsw.worker.places import Place


class Roster:
    """Children in their places, and those that others have begun for.

    Attributes
    ----------
    is_quiet :
        Whether nobody is started for the time being.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._leaving: list[Child] = []
        self._to_replace: list[Child] = []
        self._is_closed = False
        self.is_quiet = False

    def children(self) -> list[Child]:
        """Who is there."""
        return [child for place in self._places for child in place.children()] + self._leaving

    def due(self) -> list[Place]:
        """Places in which somebody is to be started now."""
        return [place for place in self._places if not self.is_quiet and place.is_due()]

    def next_start(self) -> float | None:
        """When somebody is to be started; None: nobody is waited for."""
        moments = (place.start_at for place in self._places if place.start_at is not None)
        return min(moments, default=None)

    def is_hopeless(self, tries: int) -> bool:
        """Return whether no child is up, and the last ``tries`` of each place did not get ready."""
        staffed = [
            place for place in self._places if place.start_at is not None or place.children()
        ]
        return (
            bool(staffed)
            and not any(child.is_up for child in self.children())
            and all(place.failed_starts >= tries for place in staffed)
        )

    def wait_for_change(self) -> None:
        """Start no child until ``begin_anew``."""
        for place in self._places:
            place.start_at = None

    def close(self) -> None:
        """Nobody is started any more."""
        self._is_closed = True
        for place in self._places:
            place.start_at = None

    def let_go(self, child: Child, *, is_done: bool) -> None:
        """A child has ended; where it is done nobody follows."""
        if child in self._leaving:
            self._leaving.remove(child)
            return
        place = next(place for place in self._places if child in place.children())
        is_missing = place.let_go(child)
        if is_done:
            place.start_at = None
        elif is_missing and not self._is_closed:
            place.start_later(child)

    def replace_all(self) -> None:
        """Replace all who are there, one after the other; those who come are not quiet."""
        self._to_replace = self.children()
        self.is_quiet = False

    def take_turns(self) -> list[tuple[Child, str]]:
        """From whom another has just taken over, and why; who has served is given a successor."""
        relieved = []
        for place in self._places:
            old, new = place.child, place.successor
            if old is None:
                continue
            if new is not None:
                if new.is_up and not old.asked:
                    relieved.append((old, place.why))
            # One at a time: two processes for each place would need twice the memory.
            elif not any(each.is_taking_turns() for each in self._places):
                why = "SIGHUP" if old in self._to_replace else place.has_served()
                if why is not None:
                    place.replace(why)
        return relieved

    def begin_anew(self) -> list[Child]:
        """Let others begin now in all places; who is to leave for them."""
        leaving = [child for place in self._places for child in place.begin_anew()]
        self._leaving += leaving
        return leaving
