"""Notes of what runs, and reading them after a process died."""

import multiprocessing
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.events import JobKilledProcess
from sqsw.core.job_metadata import SQSW, job_id_of
from sqsw.core.message import Message
from sqsw.worker.crash_notes import (
    CrashNotes,
    Orphan,
    RunNotes,
    crash_notes_here,
    keep_crash_notes,
    report_death,
)
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.lane import Lane
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.suspects import Suspects, Suspicion
from tests.unit.worker.doubles import FakeClient, lane, message, recorder
from tests.unit.worker.register_doubles import run_of


def made() -> RunNotes:
    return RunNotes(SharedMemory(RunNotes.SIZE))


def with_metadata(text: str, **fields: object) -> Message:
    sent = message(**fields)  # type: ignore[arg-type]  # passed on
    return replace(sent, message_attributes={SQSW: {"StringValue": text}})


def test_a_note_has_the_fields_that_its_event_needs() -> None:
    notes = made()
    emails = lane("emails", max_receives=3)
    first = run_of(emails, with_metadata('{"id":"order-1"}', receives=3), job_name="ship")
    second = run_of(emails, message(group="g"), job_name=None)
    notes.begin(first)
    notes.begin(second)
    one, two = notes.read()
    assert (one.message.message_id, one.job_name) == (
        first.deliveries[0].message.message_id,
        "ship",
    )
    assert (one.message.queue_name, one.message.attempt, one.is_last_receive) == ("emails", 3, True)
    assert job_id_of(one.message) == "order-1"
    assert (two.job_name, two.message.group_id, two.is_last_receive) == (None, "g", False)
    assert job_id_of(two.message) == two.message.message_id
    notes.end(first.deliveries)
    assert [each.message.message_id for each in notes.read()] == [two.message.message_id]
    notes.end(second.deliveries)
    notes.end(second.deliveries)  # it can be returned while it ends
    assert notes.read() == []


def test_all_messages_of_a_list_are_noted() -> None:
    notes, run = made(), run_of(lane(batch_size=3))
    run.deliveries += [Delivery(message(), run, run.deliveries[0].job) for _ in range(2)]
    notes.begin(run)
    ids = [each.message.message_id for each in run.deliveries]
    assert [each.message.message_id for each in notes.read()] == ids
    notes.end(run.deliveries)
    assert notes.read() == []


def test_a_job_in_a_pool_process_is_not_noted() -> None:
    notes, run = made(), run_of(lane(), runs_in="process")
    notes.begin(run)
    assert notes.read() == []
    notes.end(run.deliveries)


@pytest.mark.parametrize("length", [390, 420, 4_000])
def test_a_note_that_is_too_long_has_no_job_id(length: int) -> None:
    notes = made()
    text = f'{{"id":"x","dead":"{"y" * length}"}}'
    notes.begin(run_of(lane(), with_metadata(text), job_name="é" * 5_000))
    notes.begin(run_of(lane(), with_metadata(text), job_name="ship"))
    long, short = notes.read()
    assert long.job_name is not None and set(long.job_name) == {"é"}
    assert job_id_of(long.message) == long.message.message_id
    assert (short.job_name, short.message.queue_name) == ("ship", "emails")


def test_a_full_table_notes_no_more() -> None:
    notes = made()
    runs = [run_of(lane()) for _ in range(4_100)]
    for run in runs:
        notes.begin(run)
    assert len(notes.read()) == 4_096
    for run in runs:
        notes.end(run.deliveries)
    assert notes.read() == []
    notes.begin(runs[0])
    assert len(notes.read()) == 1


def _begin_and_die(notes: RunNotes, run_to_end: int) -> None:
    runs = [run_of(lane(), message(f"{number}")) for number in range(3)]
    for run in runs:
        notes.begin(run)
    notes.end(runs[run_to_end].deliveries)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_notes_survive_a_killed_process(method: str) -> None:
    notes = made()
    context = multiprocessing.get_context(method)
    process = context.Process(target=_begin_and_die, args=(notes, 1))  # type: ignore[attr-defined]  # both methods have it
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(notes.read()) == 2
    notes.close()


def explaining(**fields: Any) -> Lane:
    """Return a lane with three receives whose worker sends dead letters."""
    client: Any = FakeClient("dead")
    return replace(lane(max_receives=3, **fields), dead_letter_client=client)


def last(body: str = "", **fields: Any) -> JobRun:
    return run_of(explaining(), message(body, receives=3, **fields))


def test_the_content_of_a_message_on_its_last_receive_is_kept_while_it_runs() -> None:
    attributes = {"Price": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    run = last("é" * 400_000, received_at=7.5, tries=2, message_attributes=attributes)
    sent = run.deliveries[0].message
    assert sent.queue_name == run.lane.name
    notes = made()
    notes.begin(run)
    (found,) = notes.read()
    assert (found.is_kept, found.job_name, found.message) == (True, "send", sent)
    assert (found.message.received_at, found.message.tries) == (7.5, 2)
    notes.end(run.deliveries)
    assert notes.read() == []
    assert notes._memory.get(RunNotes.SIZE, 1) == b"", "its content is still there"


@pytest.mark.parametrize(
    ("of", "receives"), [(explaining(), 2), (explaining(), 4), (lane(max_receives=3), 3)]
)
def test_the_content_is_not_kept_if_the_message_returns_or_sqs_moves_it(
    of: Lane, receives: int
) -> None:
    notes = made()
    notes.begin(run_of(of, message("secret", receives=receives)))
    (found,) = notes.read()
    assert (found.is_kept, found.message.body) == (False, "")


def test_content_is_removed_when_nothing_after_it_is_kept() -> None:
    notes, (first, second, third) = made(), (last("a"), last("b"), last("c"))
    for run in (first, second):
        notes.begin(run)
    notes.end(first.deliveries)
    notes.begin(third)
    assert [each.message.body for each in notes.read()] == ["c", "b"]
    notes.end(second.deliveries)
    assert [each.message.body for each in notes.read()] == ["c"]
    notes.end(third.deliveries)
    assert notes._memory.get(RunNotes.SIZE, 1) == b""


def test_content_beyond_the_limits_is_not_kept() -> None:
    notes, runs = made(), [last() for _ in range(129)]
    for run in runs:
        notes.begin(run)
    assert [each.is_kept for each in notes.read()] == [True] * 128 + [False]
    notes.end(runs[0].deliveries)
    notes.begin(large := last("\x7f" * (4 << 20)))
    assert [each.is_kept for each in notes.read()].count(True) == 127
    notes.end(large.deliveries)


def test_content_that_a_full_disk_refuses_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = made()
    monkeypatch.setattr(os, "pwrite", lambda *_: 1)
    notes.begin(last())
    (found,) = notes.read()
    assert not found.is_kept


def test_a_damaged_message_is_not_taken_over() -> None:
    notes = made()
    notes.begin(last("a"))
    notes._memory.put(RunNotes.SIZE + 10, b"\xff")
    (found,) = notes.read()
    assert (found.is_kept, found.message.body) == (False, "")


def test_a_death_leaves_the_kept_messages_to_the_next_process_in_order() -> None:
    runs = [
        run_of(
            explaining(), replace(each, attributes={**each.attributes, "SequenceNumber": number})
        )
        for each, number in [(message("b", receives=3), "18"), (message("a", receives=3), "9")]
    ]
    suspects, (events, told) = Suspects(SharedMemory(Suspects.SIZE)), recorder(JobKilledProcess)
    orphans = report_death(noted(*runs).read(), suspects, events, -9, 7)
    assert [each.message.body for each in orphans] == ["a", "b"]
    assert [each[1:] for each in orphans] == [(True, True, False, -9, 7)] * 2
    assert [event.message.body for event in told] == ["", ""]
    assert suspects.queues == frozenset()
    (killer,) = report_death(noted(runs[0]).read(), suspects, events)
    assert killer.is_killer


def test_waiting_messages_are_left_to_the_next_process_too() -> None:
    notes, (waiting, running, gone, suspect) = made(), [last(each) for each in "abcd"]
    suspect.runs_alone = True
    for run in (waiting, running, gone, suspect, run_of(lane(), "e")):
        notes.keep(run)
    notes.begin(running)
    notes.end(gone.deliveries)
    events, told = recorder(JobKilledProcess)
    suspects = Suspects(SharedMemory(Suspects.SIZE))
    orphans = report_death(notes.read(), suspects, events, -9)
    assert [(each.message.body, *each[1:]) for each in orphans] == [
        ("a", False, False, False, -9, None),
        ("b", True, True, True, -9, None),
        ("d", False, True, False, -9, None),  # otherwise, it would run next to others again
    ]
    assert [(event.job_name, event.suspects) for event in told] == [("send", 1)]
    notes.end([*waiting.deliveries, *running.deliveries, *suspect.deliveries])
    assert notes._memory.get(RunNotes.SIZE, 1) == b""


def test_messages_that_are_handed_over_are_taken_once() -> None:
    notes, run = made(), last(message_attributes={"A": {"BinaryValue": b"\xff"}})
    orphans = [Orphan(run.deliveries[0].message, True, True, True, -11, None)]
    notes.hand_over(orphans)
    assert notes.take_orphans() == orphans
    assert notes.take_orphans() == made().take_orphans() == []


def noted(*runs: JobRun) -> RunNotes:
    notes = made()
    for run in runs:
        for each in run.deliveries:
            each.cell = -1  # the cell in other notes
        notes.begin(run)
    return notes


def test_a_death_is_reported_and_makes_suspects() -> None:
    emails = lane("emails", max_receives=3)
    runs = [run_of(emails, message(receives=receives)) for receives in (1, 3)]
    first, last = (run.deliveries[0].message.message_id for run in runs)
    suspects, (events, told) = Suspects(SharedMemory(Suspects.SIZE)), recorder(JobKilledProcess)
    report_death(noted(*runs).read(), suspects, events, -9, 7)
    assert [(event.exit_code, event.memory_bytes, event.suspects) for event in told] == [
        (-9, 7, 2),
        (-9, 7, 2),
    ]
    assert suspects.find("emails", first) == Suspicion(1, False, -9, 7)
    assert suspects.find("emails", last) is None  # it will not return


def test_no_job_is_suspect_if_very_many_ran() -> None:
    runs = [run_of(lane()) for _ in range(101)]
    suspects, (events, told) = Suspects(SharedMemory(Suspects.SIZE)), recorder()
    report_death(noted(*runs).read(), suspects, events)
    assert (told, suspects.queues) == ([], frozenset())
    report_death(noted(*runs[1:]).read(), suspects, events)
    assert len(told) == 100


def notes_here() -> CrashNotes:
    found = crash_notes_here()
    assert found is not None
    return found


def _work_and_die(path: str, killer: JobRun) -> None:
    with keep_crash_notes(path, recorder()[0]):
        notes_here().runs.begin(killer)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_reports_what_killed_its_predecessor(tmp_path: Path) -> None:
    path = str(tmp_path / "healthy")
    killer = run_of(lane("jobs"), job_name="crash")
    message_id = killer.deliveries[0].message.message_id
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(
            target=_work_and_die, args=(path, killer)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    events, told = recorder(JobKilledProcess)
    with keep_crash_notes(path, events):
        (event,) = told
        assert (event.job_name, event.exit_code, event.suspects) == ("crash", None, 1)
        assert notes_here().suspects.find("jobs", message_id) == Suspicion(2, True, None, None)
        assert notes_here().runs.read() == []
    assert crash_notes_here() is None
    assert list(tmp_path.iterdir()) == []


def test_a_worker_takes_over_the_last_receives_of_its_predecessor(tmp_path: Path) -> None:
    path, killer = str(tmp_path / "healthy"), last("secret")
    process = multiprocessing.get_context("fork").Process(target=_work_and_die, args=(path, killer))
    process.start()
    process.join()
    assert b"secret" in (tmp_path / "healthy.running").read_bytes()
    assert stat.S_IMODE((tmp_path / "healthy.running").stat().st_mode) == 0o600
    with keep_crash_notes(path, recorder()[0]):
        (orphan,) = notes_here().runs.take_orphans()
        assert orphan == (killer.deliveries[0].message, True, True, True, None, None)
        assert b"secret" not in (tmp_path / "healthy.running").read_bytes()
    assert list(tmp_path.iterdir()) == []


def _work_until_told(path: str, killer: JobRun, started: Any, over: Any) -> None:
    with keep_crash_notes(path, recorder()[0]):
        notes_here().runs.begin(killer)
        started.set()
        over.wait(60)


def test_the_notes_of_a_running_worker_are_not_touched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, context = str(tmp_path / "healthy"), multiprocessing.get_context("fork")
    started, over = context.Event(), context.Event()
    process = context.Process(target=_work_until_told, args=(path, last("a"), started, over))
    process.start()
    assert started.wait(60)
    events, told = recorder()
    with keep_crash_notes(path, events):
        assert crash_notes_here() is None
    over.set()
    process.join()
    assert (told, process.exitcode) == ([], 0)
    assert "another process writes to it" in caplog.text


def test_without_a_place_for_notes_a_worker_warns_and_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "healthy.running").mkdir()
    events, _ = recorder()
    with keep_crash_notes(str(tmp_path / "healthy"), events):
        assert crash_notes_here() is None
    assert "cannot tell which job ended this one" in caplog.text
    assert (tmp_path / "healthy.running").is_dir()
