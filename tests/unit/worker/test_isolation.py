"""Suspects run alone, and proven ones are dead-lettered without running."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sqsw.core.errors import ConnectionFailed, ProcessKilled
from sqsw.core.events import JobFailed, JobKilledProcess, JobStarted
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.worker.crash_notes import CrashNotes, Orphan, RunNotes
from sqsw.worker.delivery import JobRun, Outcome
from sqsw.worker.in_flight import InFlight
from sqsw.worker.isolation import ALONE_SECONDS
from sqsw.worker.lane import Lane
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.suspects import Suspects
from tests.unit.worker.doubles import FakeClient, ManualClock, lane, message, refused
from tests.unit.worker.register_doubles import Kit, bodies_of, fifo, group, names_of, run_of

DONE = Outcome("done", None)


class Isolating:
    """A register with a table of suspects."""

    def __init__(self, *lanes: Lane, slots: int = 8) -> None:
        self.lanes = lanes or (lane(),)
        self.clock = ManualClock()
        self.suspects = Suspects(SharedMemory(Suspects.SIZE))
        notes = CrashNotes(RunNotes(SharedMemory(RunNotes.SIZE)), self.suspects)
        settings = WorkerSettings(concurrency=slots, prefetch=10)
        self.register = InFlight(self.lanes, settings, self.clock, notes)

    def take_in(self, *sent: Message | str, alone: bool = False, of: int = 0) -> list[JobRun]:
        runs = [run_of(self.lanes[of], each) for each in sent]
        for run in runs:
            run.runs_alone = alone
        self.register.take_in(self.lanes[of], runs)
        return runs

    def end(self, run: JobRun, outcome: Outcome = DONE) -> list[str] | None:
        """End a run and settle it. Return the bodies of the run that takes its slot."""
        assert self.register.claim(run)
        following, _ = self.register.finish(run, [outcome] * len(run.deliveries), 0.1)
        while (batch := self.register.take_settlements()) is not None:
            self.register.settled(batch)
        return None if following is None else bodies_of(following)

    def start(self) -> list[list[str]]:
        return names_of(self.register.start_next())

    def credit(self, of: int = 0, want: int = 10) -> int:
        poll = self.register.take_credit(self.lanes[of], want, 0)
        if poll is None:
            return 0
        self.register.give_back_credit(poll)
        return poll.messages


def test_a_suspect_starts_when_nothing_else_is_in_hand() -> None:
    kit = Isolating()
    first, second = kit.take_in("a", "b")
    (suspect,) = kit.take_in("suspect", alone=True)
    kit.take_in("c")
    assert kit.start() == [["a"], ["b"], ["c"]]
    assert kit.credit() == 0
    for run in (first, second, kit.register.running()[2]):
        assert kit.start() == []
        kit.end(run)
    assert kit.start() == [["suspect"]]
    kit.take_in("d")  # from a poll that was already open
    assert kit.start() == []
    assert kit.credit() == 0
    assert kit.end(suspect) == ["d"]
    assert kit.credit() > 0


def test_a_suspect_waits_for_pending_deletes() -> None:
    kit = Isolating()
    (run,) = kit.take_in("a")
    kit.start()
    kit.take_in("suspect", alone=True)
    assert kit.register.claim(run)
    kit.register.finish(run, [DONE], 0.1)
    assert kit.start() == []
    batch = kit.register.take_settlements()
    assert batch is not None
    kit.register.settled(batch)
    assert kit.start() == [["suspect"]]


def test_a_suspect_waits_for_the_polls_of_all_queues() -> None:
    kit = Isolating(lane("jobs"), lane("other"))
    poll = kit.register.take_credit(kit.lanes[1], 1, 0)
    assert poll is not None
    kit.take_in("suspect", alone=True)
    assert kit.start() == []
    assert (kit.credit(0), kit.credit(1)) == (0, 0)
    kit.register.give_back_credit(poll)
    assert kit.start() == [["suspect"]]


def test_the_suspect_with_the_most_receives_goes_first() -> None:
    kit = Isolating()
    kit.take_in(message("a", receives=1), message("b", receives=3), alone=True)
    assert kit.start() == [["b"]]
    assert kit.start() == []
    assert kit.end(kit.register.running()[0]) is None
    assert kit.start() == [["a"]]


def test_a_long_suspect_blocks_other_jobs_for_a_limited_time() -> None:
    kit = Isolating()
    kit.take_in("suspect", alone=True)
    kit.start()
    kit.take_in("a")
    kit.clock.advance(ALONE_SECONDS - 1)
    assert kit.start() == []
    kit.clock.advance(2)
    assert kit.start() == [["a"]]
    assert kit.credit() > 0


@pytest.mark.parametrize("outcome", [DONE, Outcome("failed", 7)])
def test_a_suspect_is_cleared_when_its_job_ends(outcome: Outcome) -> None:
    kit = Isolating()
    (run,) = kit.take_in("suspect", alone=True)
    message_id = run.deliveries[0].message.message_id
    for each in (message_id, "other"):
        kit.suspects.add("emails", each, is_alone=False, exit_code=-9, memory_bytes=None)
    kit.start()
    kit.end(run, outcome)
    kit.suspects.refresh()
    assert kit.suspects.find("emails", message_id) is None
    assert kit.suspects.find("emails", "other") is not None


def test_a_suspect_that_could_not_start_stays_a_suspect() -> None:
    kit = Isolating()
    (run,) = kit.take_in("suspect", alone=True)
    message_id = run.deliveries[0].message.message_id
    kit.suspects.add("emails", message_id, is_alone=False, exit_code=-9, memory_bytes=None)
    kit.start()
    kit.end(run, Outcome("released", 5))
    assert kit.suspects.find("emails", message_id) is not None


def test_a_queue_with_suspects_receives_one_message_at_a_time() -> None:
    kit = Isolating(lane("jobs", batch_size=5), lane("other"))
    assert (kit.credit(0, 1), kit.credit(1)) == (5, 9)
    kit.suspects.add("jobs", "a", is_alone=False, exit_code=-9, memory_bytes=None)
    assert (kit.credit(0, 1), kit.credit(1)) == (1, 9)
    poll = kit.register.take_credit(kit.lanes[0], 1, 0)
    assert poll is not None
    assert kit.credit(0, 1) == 0


def test_a_suspect_is_never_batched_with_other_messages() -> None:
    kit = Isolating(lane("jobs.fifo", batch_size=3))
    kit.take_in(*group("g", 1))
    (suspect,) = kit.take_in(message("suspect", group="g"), alone=True)
    kit.take_in(message("later", group="g"))
    assert kit.start() == [["g1"]]
    kit.end(kit.register.running()[0])
    assert kit.start() == [["suspect"]]
    kit.end(suspect)
    assert kit.start() == [["later"]]


def test_a_drain_returns_a_waiting_suspect() -> None:
    kit = Isolating()
    kit.take_in("a")
    kit.take_in("suspect", alone=True)
    assert kit.start() == [["a"]]
    assert names_of(kit.register.close(kit.lanes[0])) == [["suspect"]]


class Suspecting(Kit):
    """The roles of a worker whose supervisor knows suspects."""

    def __init__(self, of: Lane) -> None:
        super().__init__(of)
        self.suspects = Suspects(SharedMemory(Suspects.SIZE))
        self.in_flight.isolation.suspects = self.suspects

    def suspect(self, sent: Message, *, deaths: int = 1) -> None:
        for _ in range(deaths):
            self.suspects.add(
                *(self.lane.name, sent.message_id), is_alone=True, exit_code=-11, memory_bytes=None
            )

    def heard(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


def test_a_message_whose_process_died_runs_alone_after_redelivery() -> None:
    kit = Suspecting(lane())
    suspect = message("suspect", receives=2)
    kit.suspect(suspect)
    kit.accept(message("a"), suspect, message("b"))
    assert kit.running() == ["a", "b"]
    kit.end("a")
    kit.end("b")
    kit.tell_sqs()  # also starts the runs that this unblocks
    assert kit.running() == ["suspect"]


def test_while_there_are_suspects_a_last_receive_also_runs_alone() -> None:
    kit = Suspecting(lane(max_receives=3))
    kit.accept(message("a", receives=3), message("b"))
    assert kit.running() == ["a", "b"]
    kit.suspect(message())
    kit.accept(message("c", receives=3), message("d"))
    assert kit.running() == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("deaths", "receives", "runs"), [(2, 3, False), (2, 2, True), (1, 3, True)]
)
def test_a_proven_killer_does_not_run_on_its_last_attempt(
    deaths: int, receives: int, runs: bool
) -> None:
    kit = Suspecting(lane(max_receives=3))
    killer = message("killer", receives=receives)
    kit.suspect(killer, deaths=deaths)
    kit.accept(killer)
    assert kit.running() == (["killer"] if runs else [])
    if not runs:
        assert kit.heard(JobStarted) == kit.heard(JobKilledProcess) == []
        (failed,) = kit.heard(JobFailed)
        assert isinstance(failed.error, ProcessKilled)
        assert str(failed.error) == "the process of the job ended before the job did: SIGSEGV"
        assert failed.dead_letter_queue == "dead emails"
        assert kit.suspects.find("emails", killer.message_id) is None


def test_a_killer_at_the_head_of_a_group_lets_the_next_message_run() -> None:
    kit = Suspecting(fifo(max_receives=3))
    killer, follower = message("killer", group="g", receives=3), message("next", group="g")
    kit.suspect(killer, deaths=2)
    kit.accept(killer, follower)
    assert kit.running() == []
    kit.tell_sqs()
    assert kit.running() == ["next"]


def test_a_killer_in_the_line_takes_no_slot() -> None:
    kit = Suspecting(lane(slots=1, max_receives=3))
    killer = message("killer", receives=3)
    kit.suspect(killer, deaths=2)
    kit.accept(message("a"), killer, message("b"))
    assert kit.running() == ["a"]
    assert kit.end("a") is None  # not the killer: it must not run
    assert kit.running() == ["b"]
    assert len(kit.heard(JobFailed)) == 1


def test_the_death_of_a_pool_process_is_reported() -> None:
    kit = Suspecting(lane())
    kit.accept(message("a"))
    kit.end("a", ProcessingResult(False, error=ProcessKilled.of(3, 12_000_000)))
    (event,) = kit.heard(JobKilledProcess)
    assert (event.job_name, event.exit_code, event.memory_bytes) == ("send", 3, 12_000_000)
    (failed,) = kit.heard(JobFailed)
    assert str(failed.error).endswith(": exit code 3, with 12 MB of memory")


def orphan(sent: Message, *, is_killer: bool, has_run: bool = True) -> Orphan:
    return Orphan(sent, has_run, has_run, is_killer, -11, 12_000_000)


def explaining(of: Lane) -> Lane:
    """Return a copy of the lane whose worker sends dead letters."""
    client: Any = FakeClient("dead")
    return replace(of, dead_letter_client=client)


class TakingOver(Suspecting):
    """A worker whose predecessor died with messages on their last receive."""

    def __init__(self, of: Lane, *orphans: Orphan) -> None:
        super().__init__(explaining(of))
        left = [replace(each.message, queue_name=of.name) for each in orphans]
        self.in_flight._orphans = [
            each._replace(message=sent) for each, sent in zip(orphans, left, strict=True)
        ]

    def records(self) -> list[Any]:
        (line,) = [state.dead_letters for state in self.in_flight._states.values()]
        return [each.record for each in line]


@pytest.mark.parametrize("made_lane", [lane, fifo])
def test_a_killer_on_its_last_receive_is_dead_lettered_without_running(
    made_lane: Callable[..., Lane],
) -> None:
    of = made_lane(max_receives=3)
    kit = TakingOver(of, orphan(message("killer", group="g", receives=3), is_killer=True))
    kit.poller.take_over()
    assert kit.client.changes == [[("killer", 30)]]
    (record,) = kit.records()
    assert (record.verdict, record.attempts, record.receives) == ("killed_process", 3, 3)
    assert record.message.endswith("before the job did: SIGSEGV, with 12 MB of memory")
    assert kit.heard(JobStarted) == kit.heard(JobKilledProcess) == []
    kit.poller.take_over()
    assert len(kit.client.changes) == 1


def test_what_ran_next_to_a_killer_on_its_last_receive_runs_again_alone() -> None:
    sent = [message(body, receives=3) for body in ("a", "b")]
    kit = TakingOver(lane(max_receives=3), *(orphan(each, is_killer=False) for each in sent))
    kit.poller.take_over()
    assert kit.running() == ["a"]
    (run,) = kit.in_flight.running()
    assert run.deliveries[0].message.attempt == 4
    assert kit.credit() == 0
    kit.end("a")
    assert kit.deleted() == ["a"]
    assert kit.running() == ["b"]
    kit.end("b", ProcessingResult(False, error=ValueError("no")))
    (record,) = kit.records()
    assert (record.verdict, record.attempts, record.receives) == ("last_attempt", 4, 3)


def test_a_taken_over_message_that_never_started_runs_normally() -> None:
    sent = [message(body, receives=3) for body in ("a", "b")]
    left = [orphan(each, is_killer=False, has_run=False) for each in sent]
    kit = TakingOver(lane(max_receives=3), *left)
    kit.poller.take_over()
    assert kit.running() == ["a", "b"]
    assert [run.deliveries[0].message.attempt for run in kit.in_flight.running()] == [3, 3]


def test_a_suspect_that_had_not_restarted_is_still_a_suspect() -> None:
    sent = [message(body, receives=3) for body in ("a", "b")]
    left = [orphan(each, is_killer=False)._replace(has_run=False) for each in sent]
    kit = TakingOver(lane(max_receives=3), *left)
    kit.poller.take_over()
    assert kit.running() == ["a"]
    assert [run.deliveries[0].message.attempt for run in kit.in_flight.running()] == [3]


def test_a_taken_over_group_keeps_its_order() -> None:
    head, *rest = group("g", 3, receives=3)
    left = [orphan(each, is_killer=False, has_run=False) for each in rest]
    kit = TakingOver(fifo(max_receives=3), orphan(head, is_killer=True), *left)
    kit.poller.take_over()
    assert kit.running() == []
    (line,) = [state.dead_letters for state in kit.in_flight._states.values()]
    (killer,) = line
    line.clear()
    kit.in_flight.copied(killer)
    kit.tell_sqs()
    assert kit.running() == ["g2"]
    kit.end("g2")
    kit.tell_sqs()
    assert kit.running() == ["g3"]


@pytest.mark.parametrize("answer", [[refused()], ConnectionFailed("no network")])
def test_a_message_that_sqs_no_longer_hides_is_left_to_sqs(answer: Any) -> None:
    kit = TakingOver(lane(max_receives=3), orphan(message(receives=3), is_killer=True))
    kit.client.answers = [answer]
    kit.poller.take_over()
    assert kit.told == kit.records() == []
    assert kit.in_flight.is_empty()


def test_a_lane_takes_over_only_messages_of_its_queue() -> None:
    kit = TakingOver(lane("other"), orphan(message(), is_killer=True))
    assert kit.in_flight.take_orphans(lane("jobs")) == []
    assert len(kit.in_flight.take_orphans(kit.lane)) == 1


def test_a_taken_over_lease_is_extended_again() -> None:
    sent = message("a", receives=3, expires_at=0.0)
    kit = TakingOver(lane(max_receives=3), orphan(sent, is_killer=False))
    kit.poller.take_over()
    kit.clock.advance(16)
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)], [("a", 30)]]
    assert kit.running() == ["a"]


def test_a_message_taken_over_during_a_drain_still_runs() -> None:
    kit = TakingOver(lane(max_receives=3), orphan(message("a", receives=3), is_killer=False))
    kit.dispatcher.close(kit.lanes)
    kit.poller.take_over()
    assert kit.running() == ["a"]


def test_polls_are_short_while_there_are_suspects() -> None:
    of = lane(client=(client := FakeClient()))
    kit = Suspecting(of)
    kit.suspect(message())
    kit.poller.step()
    assert client.receives == [(1, 1.0, 30)]
