"""Notes of what runs, and what is read from them after a process died."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from sqsw.core.events import JobKilledProcess
from sqsw.core.job_metadata import SQSW, job_id_of
from sqsw.core.message import Message
from sqsw.worker.crash_notes import (
    CrashNotes,
    RunNotes,
    crash_notes_here,
    keep_crash_notes,
    report_death,
)
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.suspects import Suspects, Suspicion
from tests.unit.worker.doubles import lane, message, recorder
from tests.unit.worker.register_doubles import run_of


def made() -> RunNotes:
    return RunNotes(SharedMemory(RunNotes.SIZE))


def with_metadata(text: str, **fields: object) -> Message:
    sent = message(**fields)  # type: ignore[arg-type]  # handed on
    return replace(sent, message_attributes={SQSW: {"StringValue": text}})


def test_what_runs_is_noted_with_what_its_event_needs() -> None:
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
    notes.end(first)
    assert [each.message.message_id for each in notes.read()] == [two.message.message_id]
    notes.end(second)
    notes.end(second)  # it can be put back while it ends
    assert notes.read() == []


def test_a_list_is_noted_with_all_of_its_messages() -> None:
    notes, run = made(), run_of(lane(batch_size=3))
    run.deliveries += [Delivery(message(), run, run.deliveries[0].job) for _ in range(2)]
    notes.begin(run)
    ids = [each.message.message_id for each in run.deliveries]
    assert [each.message.message_id for each in notes.read()] == ids
    notes.end(run)
    assert notes.read() == []


def test_a_job_in_a_process_of_the_pool_is_not_noted() -> None:
    notes, run = made(), run_of(lane(), runs_in="process")
    notes.begin(run)
    assert notes.read() == []
    notes.end(run)


@pytest.mark.parametrize("length", [390, 420, 4_000])
def test_what_is_too_long_is_noted_without_the_job_id(length: int) -> None:
    notes = made()
    text = f'{{"id":"x","dead":"{"y" * length}"}}'
    notes.begin(run_of(lane(), with_metadata(text), job_name="é" * 5_000))
    notes.begin(run_of(lane(), with_metadata(text), job_name="ship"))
    long, short = notes.read()
    assert long.job_name is not None and set(long.job_name) == {"é"}
    assert job_id_of(long.message) == long.message.message_id
    assert (short.job_name, short.message.queue_name) == ("ship", "emails")


def test_more_than_there_is_room_for_is_not_noted() -> None:
    notes = made()
    runs = [run_of(lane()) for _ in range(4_100)]
    for run in runs:
        notes.begin(run)
    assert len(notes.read()) == 4_096
    for run in runs:
        notes.end(run)
    assert notes.read() == []
    notes.begin(runs[0])
    assert len(notes.read()) == 1


def _begin_and_die(notes: RunNotes, run_to_end: int) -> None:
    runs = [run_of(lane(), message(f"{number}")) for number in range(3)]
    for run in runs:
        notes.begin(run)
    notes.end(runs[run_to_end])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_notes_outlive_a_process_that_is_killed(method: str) -> None:
    notes = made()
    context = multiprocessing.get_context(method)
    process = context.Process(target=_begin_and_die, args=(notes, 1))  # type: ignore[attr-defined]  # of both methods
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(notes.read()) == 2
    notes.close()


def noted(*runs: JobRun) -> RunNotes:
    notes = made()
    for run in runs:
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
    assert suspects.find("emails", last) is None  # it does not come again


def test_if_very_many_jobs_ran_none_is_suspect() -> None:
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


def test_a_worker_reports_what_killed_the_one_before_it(tmp_path: Path) -> None:
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


def test_without_a_place_for_notes_a_worker_works_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "healthy.running").mkdir()
    events, _ = recorder()
    with keep_crash_notes(str(tmp_path / "healthy"), events):
        assert crash_notes_here() is None
    assert "cannot tell which job ended this one" in caplog.text
    assert (tmp_path / "healthy.running").is_dir()
