"""Messages whose jobs ran in a process when it died: any of them can have killed it."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sqsw.worker.shared_memory import BETWEEN, SharedMemory

#: seconds after the death of its process until a message is no longer a suspect: it may have run
#: elsewhere, and a queue with suspects is slower
KNOWN_SECONDS = 900.0

#: bytes of a cell, and of the count before the cells; suspects at a time, at most
_CELL, _HEADER, _CELLS = 256, 8, 256

#: seconds after which a table with suspects is read again, because suspects expire
_READ_SECONDS = 1.0


class Suspicion(NamedTuple):
    """What is known of a suspect.

    Attributes
    ----------
    deaths :
        How many processes died while its job ran in them.
    is_proven :
        Whether no other job ran in the last one of several.
    exit_code, memory_bytes :
        The exit code of the last one, negative for a signal, and its memory; None if unknown.
    """

    deaths: int = 0
    is_proven: bool = False
    exit_code: int | None = None
    memory_bytes: int | None = None


class Suspects:
    """A table of suspects, in memory that the processes of a supervisor share.

    The supervisor adds. A worker process reads, and clears a message whose job has ended.

    Parameters
    ----------
    memory :
        The table; None: there are never suspects.
    clock :
        Seconds since 1970: the table can be older than the processes.

    Attributes
    ----------
    queues :
        The names of the queues that have suspects, as of the last ``refresh``.
    """

    #: bytes of the table
    SIZE = _HEADER + _CELLS * _CELL

    def __init__(
        self, memory: SharedMemory | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._count = bytes(_HEADER)
        self._read_at = 0.0
        self._found: dict[tuple[str, str], tuple[int, Suspicion]] = {}
        self.queues: frozenset[str] = frozenset()

    def __reduce__(self) -> Any:
        return Suspects, (self._memory,)

    def refresh(self) -> None:
        """Read the table if it has changed, or if suspects may have expired."""
        if self._memory is None:
            return
        count = self._memory.map[:_HEADER]
        if count != self._count or (self._found and self._clock() >= self._read_at + _READ_SECONDS):
            self._count = count
            self._read(self._memory)

    def find(self, queue_name: str, message_id: str) -> Suspicion | None:
        """Return what is known of a message; None if it is not a suspect."""
        entry = self._found.get((queue_name, message_id))
        return None if entry is None else entry[1]

    def add(
        self,
        queue_name: str,
        message_id: str,
        *,
        is_alone: bool,
        exit_code: int | None,
        memory_bytes: int | None,
    ) -> None:
        """Note that a process died while the job of this message ran in it.

        Parameters
        ----------
        is_alone :
            Whether no other job ran there.
        exit_code, memory_bytes :
            Of the process; None if unknown.
        """
        if self._memory is None:
            return
        self._read(self._memory)
        table = self._memory.map
        known = self.find(queue_name, message_id) or Suspicion()
        deaths = known.deaths + 1
        values = (
            *(queue_name, message_id, self._clock() + KNOWN_SECONDS, deaths),
            *(int(is_alone and deaths > 1), _or_empty(exit_code), _or_empty(memory_bytes)),
        )
        text = BETWEEN.join(map(str, values)).encode("utf-8", "replace") + b"\0"
        used = {cell for cell, _ in self._found.values()}
        cells = range(_HEADER, self.SIZE, _CELL)
        free = next((cell for cell in cells if cell not in used), None)
        if free is None or len(text) >= _CELL:
            return
        self.clear(queue_name, message_id)
        # The first byte says that the rest is complete.
        table[free] = 0
        table[free + 1 : free + 1 + len(text)] = text
        table[free] = 1
        count = int.from_bytes(table[:_HEADER], "little") + 1
        table[:_HEADER] = count.to_bytes(_HEADER, "little")
        self._read(self._memory)

    def clear(self, queue_name: str, message_id: str) -> None:
        """Note that the job of a message ended and its process did not."""
        entry = self._found.pop((queue_name, message_id), None)
        if self._memory is None or entry is None:
            return
        self._memory.map[entry[0]] = 0
        self.queues = frozenset(name for name, _ in list(self._found))

    def _read(self, memory: SharedMemory) -> None:
        now, table = self._clock(), memory.map
        found: dict[tuple[str, str], tuple[int, Suspicion]] = {}
        for cell in range(_HEADER, self.SIZE, _CELL):
            if table[cell] == 1:
                try:
                    key, until, suspicion = _entry(table[cell + 1 : cell + _CELL])
                except ValueError:  # it is being written, or the file is damaged
                    continue
                if now < until <= now + KNOWN_SECONDS:
                    found[key] = cell, suspicion
        self._read_at = now
        self._found = found
        self.queues = frozenset(name for name, _ in found)


def _or_empty(value: int | None) -> int | str:
    return "" if value is None else value


def _number(text: str) -> int | None:
    return int(text) if text else None


def _entry(cell: bytes) -> tuple[tuple[str, str], float, Suspicion]:
    values = cell.partition(b"\0")[0].decode("utf-8", "replace").split(BETWEEN)
    queue_name, message_id, until, deaths, is_proven, exit_code, memory_bytes = values
    known = Suspicion(int(deaths), is_proven == "1", _number(exit_code), _number(memory_bytes))
    return (queue_name, message_id), float(until), known
