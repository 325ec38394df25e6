"""The table of suspects: a supervisor writes it and its worker processes read it."""

from typing import Any

import pytest

from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.suspects import KNOWN_SECONDS, Suspects, Suspicion
from tests.unit.worker.doubles import ManualClock


class Table:
    """A table as the supervisor and one worker process see it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = SharedMemory(Suspects.SIZE)
        self.supervisor = Suspects(self.memory, self.clock)
        self.worker = Suspects(self.memory, self.clock)

    def add(self, message_id: str, **fields: Any) -> None:
        known = {"is_alone": False, "exit_code": -9, "memory_bytes": None}
        self.supervisor.add("jobs", message_id, **known | fields)

    def find(self, message_id: str) -> Suspicion | None:
        self.worker.refresh()
        return self.worker.find("jobs", message_id)


def test_a_worker_sees_what_its_supervisor_adds() -> None:
    table = Table()
    assert table.find("a") is None
    assert table.worker.queues == frozenset()
    table.add("a", exit_code=-11, memory_bytes=5)
    assert table.find("a") == Suspicion(1, False, -11, 5)
    assert table.worker.queues == {"jobs"}
    assert table.worker.find("other", "a") is None


@pytest.mark.parametrize(
    ("first", "second", "is_proven"),
    [(False, True, True), (True, True, True), (True, False, False), (False, False, False)],
)
def test_a_second_death_is_proof_if_nothing_else_ran(
    first: bool, second: bool, is_proven: bool
) -> None:
    table = Table()
    table.add("a", is_alone=first)
    assert table.find("a") == Suspicion(1, False, -9, None)
    table.add("a", is_alone=second)
    assert table.find("a") == Suspicion(2, is_proven, -9, None)


def test_a_suspect_cleared_by_a_worker_is_cleared_for_the_others() -> None:
    table = Table()
    table.add("a")
    table.add("b")
    assert table.find("a") is not None
    table.worker.clear("jobs", "a")
    assert table.worker.queues == {"jobs"}
    table.worker.clear("jobs", "b")
    assert table.worker.queues == frozenset()
    other = Suspects(table.memory, table.clock)
    other.refresh()
    assert other.queues == frozenset()
    table.add("a")  # it becomes a suspect again
    assert table.find("a") == Suspicion(1, False, -9, None)


def test_suspects_are_forgotten_after_a_time() -> None:
    table = Table()
    table.add("a")
    table.clock.advance(KNOWN_SECONDS - 1)
    assert table.find("a") is not None
    table.clock.advance(2)
    assert table.find("a") is None
    assert table.worker.queues == frozenset()


def test_a_full_table_accepts_no_more_until_one_is_cleared() -> None:
    table = Table()
    for number in range(300):
        table.add(str(number))
    known = [number for number in range(300) if table.find(str(number)) is not None]
    assert known == list(range(256))
    table.worker.clear("jobs", "7")
    table.add("later")
    assert table.find("later") is not None


def test_a_damaged_entry_is_not_a_suspect() -> None:
    table = Table()
    table.add("a")
    table.memory.map[9:12] = b"\xff\x1f\x00"
    table.add("b")
    assert table.find("b") is not None
    assert table.worker.queues == {"jobs"}


def test_without_memory_there_are_no_suspects() -> None:
    suspects = Suspects()
    suspects.add("jobs", "a", is_alone=True, exit_code=1, memory_bytes=None)
    suspects.refresh()
    suspects.clear("jobs", "a")
    assert suspects.find("jobs", "a") is None
