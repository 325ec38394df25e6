"""From the receive to a slot, and from the end of a job to its settlement."""

from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import JobNotStarted, TaskNotFound
from sqsw.core.events import JobDone, JobFailed, JobStarted, JobUnrun, LeaseLost
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.worker.dispatcher import UNSTARTED_SECONDS
from sqsw.worker.executors.inline import InlineExecutor
from sqsw.worker.lane import Lane
from tests.unit.worker.doubles import lane, message, names, refused
from tests.unit.worker.register_doubles import Kit, bodies, bodies_of, fifo, group, not_started

FAILED = ProcessingResult(False, error=ValueError("no"))


class Told:
    """A shutdown policy that records its calls and decides when the test says so."""

    def __init__(self) -> None:
        self.results: list[BatchProcessingResult] = []
        self.is_over = False

    def update_state(self, result: BatchProcessingResult) -> None:
        self.results.append(result)

    def need_shutdown(self) -> bool:
        return self.is_over


def broken_kind() -> RunsIn:
    raise ZeroDivisionError


# From receive to slot.


def test_messages_are_in_hand_before_their_jobs_start() -> None:
    kit = Kit()
    kit.accept(message("a"), message("b"))
    assert names(kit.told) == ["MessageReceived"] * 2 + ["JobStarted"] * 2
    assert kit.running() == ["a", "b"]
    assert kit.in_flight.in_hand(kit.lane) == 2


def test_an_empty_receive_changes_nothing() -> None:
    kit = Kit()
    kit.accept()
    assert (kit.told, kit.in_flight.in_hand(kit.lane)) == ([], 0)


def test_jobs_run_in_their_executor_and_each_slot_takes_the_next() -> None:
    ran: list[str] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.extend(bodies(messages))
        return [SUCCEEDED] * len(messages)

    mixed = lane(handle=handle, kind=lambda sent: "loop" if sent.body in "bd" else "thread")
    inline = InlineExecutor()
    kit = Kit(mixed, slots=1, executors={"thread": inline, "loop": inline})
    kit.accept(*map(message, "abcde"))
    assert ran == list("abcde")
    assert kit.deleted() == list("abcde")
    assert names(kit.told).count("JobStarted") == names(kit.told).count("JobDone") == 5
    assert (kit.slots_taken(), kit.in_flight.is_empty()) == (0, True)


def test_a_run_waits_for_a_slot_and_starts_when_another_ends() -> None:
    kit = Kit(slots=2)
    kit.accept(*map(message, "abc"))
    assert kit.running() == ["a", "b"]
    assert kit.in_flight.unstarted() == 1
    assert kit.end("a") == ["c"]
    assert [type(event) for event in kit.told[-2:]] == [JobDone, JobStarted]
    assert kit.deleted() == ["a"]
    assert kit.end("b") is None


def test_a_following_run_for_another_executor_is_passed_to_it() -> None:
    kit = Kit(lane(kind=lambda sent: "loop" if sent.body == "b" else "thread"), slots=1)
    kit.accept(message("a"), message("b"))
    assert kit.end("a") is None
    assert [bodies_of(run) for run in kit.loop.runs] == [["b"]]


def test_a_message_whose_job_lookup_fails_still_runs(caplog: pytest.LogCaptureFixture) -> None:
    kit = Kit(lane(kind=lambda _: broken_kind()))
    kit.accept(message("a"))
    (run,) = kit.threads.runs
    assert [each.job.name for each in run.deliveries] == [None]
    assert "cannot look up the job" in caplog.text


def test_groups_are_ignored_on_a_standard_queue() -> None:
    kit = Kit()
    kit.accept(*group("g", 3))
    assert kit.running() == ["g1", "g2", "g3"]
    assert {(run.group, run.fair_group) for run in kit.threads.runs} == {(None, None)}


def test_runs_that_an_executor_refuses_are_returned_and_free_their_slot() -> None:
    count = 500  # handled one after the other: nested calls would be too deep
    policy = Told()
    ends = ("first", "last")
    mixed = lane(
        shutdown_policy=policy, kind=lambda sent: "thread" if sent.body in ends else "loop"
    )
    kit = Kit(mixed, slots=1)
    kit.in_flight.share_permits([mixed], 1_000)
    kit.loop.error = RuntimeError("can't start new thread")
    middle = [str(number) for number in range(count)]
    kit.accept(message("0"), *map(message, ["first", *middle[1:], "last"]))
    assert kit.running() == ["first"]  # after one that was refused on arrival
    assert kit.end("first") is None
    assert kit.running() == ["last"]
    assert kit.slots_taken() == 1
    assert kit.returned() == [(body, UNSTARTED_SECONDS) for body in middle]
    assert kit.deleted() == ["first"]
    assert kit.in_flight.permits_left(mixed) == 1_000 - 2  # runs that did not start use no permit
    assert [bodies(result.succeeded) for result in policy.results] == [["first"]]
    assert kit.counts() == {"released": count, "done": 1}
    assert kit.policies.may_receive(mixed) == 0  # jobs cannot start
    told = [event for event in kit.told if type(event).__name__ == "MessageReturned"]
    assert {event.started for event in told} == {False}


def test_a_message_that_could_not_start_on_its_last_receive_is_reported() -> None:
    kit = Kit(lane(max_receives=3))
    kit.accept(message("a", receives=3))
    kit.end("a", not_started())
    assert names(kit.told)[-1] == "JobUnrun"
    assert kit.returned() == [("a", UNSTARTED_SECONDS)]


# How jobs end.


@pytest.mark.parametrize(
    ("result", "event", "count"),
    [
        (ProcessingResult(False, error=ValueError()), "JobFailed", "failed"),
        (ProcessingResult(False), "JobRetry", "retried"),
        (ProcessingResult(False, error=TaskNotFound("?")), "JobUnknown", "unknown"),
    ],
)
def test_how_a_job_can_fail(result: ProcessingResult, event: str, count: str) -> None:
    kit = Kit()
    kit.accept(message("a"))
    kit.end("a", result)
    assert names(kit.told)[-1] == event
    assert kit.told[-1].hidden_seconds == 7
    assert kit.returned() == [("a", 7)]
    assert kit.counts() == {count: 1}


def test_each_message_of_a_list_has_its_own_result() -> None:
    policy = Told()
    kit = Kit(lane(batch_size=10, shutdown_policy=policy))
    kit.accept(message("a"), message("b"))
    kit.clock.advance(3)
    kit.end("a", SUCCEEDED, FAILED)
    assert kit.told[-1].duration_seconds == 3
    assert (kit.deleted(), kit.returned()) == (["a"], [("b", 7)])
    (result,) = policy.results
    assert [bodies(result.succeeded), bodies(result.failed)] == [["a"], ["b"]]
    assert result.errors == [FAILED.error]


def test_no_job_starts_after_a_policy_has_decided() -> None:
    policy = Told()
    kit = Kit(lane(shutdown_policy=policy), slots=1)
    kit.accept(message("a"), message("b"))
    policy.is_over = True
    assert kit.end("a") is None
    kit.dispatcher.start_ready()
    assert (kit.running(), kit.in_flight.unstarted()) == ([], 1)
    kit.dispatcher.close(kit.lanes)
    assert (kit.deleted(), kit.returned()) == (["a"], [("b", 0)])


def test_a_result_is_dropped_if_the_lease_ended_during_the_job() -> None:
    kit = Kit()
    kit.accept(message("a", expires_at=kit.clock.now + 30))
    kit.clock.advance(30)
    kit.end("a")
    assert (kit.deleted(), kit.returned()) == ([], [])
    assert names(kit.told)[-2:] == ["LeaseLost", "JobDropped"]
    assert kit.in_flight.counts()["lease_lost"] == 1
    assert "done" not in kit.counts()
    assert kit.in_flight.in_hand(kit.lane) == 0


@pytest.mark.parametrize("where", ["lane", "policy"])
def test_the_slot_is_freed_whatever_is_raised_at_the_end_of_a_job(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> bool:
        raise SystemExit("of a hook")

    kit = Kit(slots=1)
    kit.accept(message("a"), message("b"))
    if where == "policy":
        monkeypatch.setattr(kit.policies, "hears_ends", broken)
    else:
        monkeypatch.setattr(Lane, "backoff_seconds", broken)
    result = SUCCEEDED if where == "policy" else ProcessingResult(False)
    assert kit.end("a", result) == ["b"]
    assert kit.slots_taken() == 1
    assert "of a hook" in caplog.text
    assert (kit.deleted(), kit.returned()) == (
        ([], [("a", 30)]) if where == "lane" else (["a"], [])
    )


def test_a_keyboard_interrupt_propagates_and_frees_the_slot() -> None:
    kit = Kit(slots=1)
    kit.accept(message("a"))

    def interrupted(event: JobDone) -> None:
        raise KeyboardInterrupt

    kit.events.subscribe(interrupted, JobDone)
    with pytest.raises(KeyboardInterrupt):
        kit.end("a")
    assert kit.slots_taken() == 0


# Leases.


def test_no_job_starts_if_its_lease_was_lost_while_it_waited() -> None:
    kit = Kit(slots=1)
    lost = message("b")
    kit.accept(message("a"), lost, message("c"))
    kit.lose(lost)
    assert kit.end("a") == ["c"]
    assert kit.in_flight.in_hand(kit.lane) == 2  # a, until it is settled, and c


def test_a_lost_lease_is_reported_once_with_the_last_extension_error() -> None:
    kit = Kit()
    lost = message("a")
    kit.accept(lost)
    (delivery,) = kit.threads.runs[0].deliveries
    kit.in_flight.note_extension_error(kit.lane, "no network")
    for _ in range(2):
        kit.dispatcher.lose(delivery, "over")
    (event,) = [event for event in kit.told if isinstance(event, LeaseLost)]
    assert event.reason == "over; the last extension failed: no network"
    assert lost.lease.is_lost


def test_a_run_is_cancelled_when_its_lease_is_lost() -> None:
    kit = Kit(lane(kind="loop"))
    lost = message("a")
    kit.accept(lost)
    kit.lose(lost)
    assert kit.loop.cancelled == kit.loop.runs


def test_a_list_is_cancelled_when_all_its_leases_are_lost() -> None:
    kit = Kit(lane(kind="loop", batch_size=2))
    a, b = message("a"), message("b")
    kit.accept(a, b)
    kit.lose(a)
    assert kit.loop.cancelled == []
    kit.lose(b)
    assert kit.loop.cancelled == kit.loop.runs


def test_a_job_whose_lease_was_lost_before_its_start_uses_no_permit() -> None:
    kit = Kit(slots=1)
    kit.in_flight.share_permits(kit.lanes, 2)
    lost = message("b")
    kit.accept(message("a"), lost, message("c"))
    kit.lose(lost)
    assert kit.end("a") == ["c"]


def test_a_message_whose_lease_is_lost_leaves_its_list() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    lost = message("b")
    kit.accept(message("a"), lost)
    kit.lose(lost)
    kit.accept(message("c"))
    assert kit.running() == []
    kit.accept(message("d"))
    assert kit.running() == ["a", "c", "d"]


# Message groups.


def test_a_group_runs_one_message_at_a_time() -> None:
    kit = Kit(fifo())
    kit.accept(*group("g", 3), *group("h", 1))
    assert kit.running() == ["g1", "h1"]
    kit.end("g1")
    assert kit.running() == ["h1"]  # g2 waits for the delete of g1
    kit.tell_sqs()
    assert kit.running() == ["h1", "g2"]


def test_after_a_failure_the_rest_of_the_group_is_returned_and_hidden_longer() -> None:
    kit = Kit(fifo())
    kit.accept(*group("g", 3), *group("h", 2))
    kit.end("g1", FAILED)
    assert kit.returned() == [("g1", 7), ("g2", 8), ("g3", 8)]
    assert kit.running() == ["h1"]
    assert kit.counts() == {"failed": 1, "released": 2}
    assert kit.in_flight.in_hand(kit.lane) == 2
    kit.accept(message("g1 again", group="g"))
    assert "g1 again" in kit.running()


def test_a_failed_message_that_returns_at_once_finds_its_group_empty() -> None:
    kit = Kit(fifo(backoff=0))
    kit.accept(*group("g", 2))
    kit.end("g1", FAILED)
    # It is received again before the return of g2 was sent.
    kit.accept(message("g1 again", group="g"))
    assert kit.running() == ["g1 again"]


def test_a_permanently_failed_delete_counts_as_a_failure() -> None:
    kit = Kit(fifo())
    kit.accept(*group("g", 2, expires_at=kit.clock.now + 20))
    kit.end("g1")
    kit.client.answers.append([refused()])
    assert kit.returned() == [("g2", 21)]
    assert kit.running() == []


def test_when_a_running_message_loses_its_lease_its_followers_are_returned() -> None:
    kit = Kit(fifo())
    g1, g2 = group("g", 2)
    kit.accept(g1, g2)
    kit.lose(g1)
    assert kit.returned() == [("g2", 1)]
    kit.end("g1")
    assert (kit.deleted(), kit.returned()) == ([], [("g2", 1)])
    assert kit.in_flight.in_hand(kit.lane) == 0


def test_when_a_waiting_message_loses_its_lease_its_followers_are_returned() -> None:
    kit = Kit(fifo())
    g1, g2, g3 = group("g", 3)
    kit.accept(g1, g2, g3)
    kit.lose(g2)
    assert kit.returned() == [("g3", 1)]
    kit.end("g1")
    assert kit.deleted() == ["g1"]
    assert kit.running() == []
    assert (kit.in_flight.in_hand(kit.lane), kit.parked()) == (0, 0)


def test_when_a_waiting_head_loses_its_lease_its_followers_are_returned() -> None:
    kit = Kit(fifo(), slots=1)
    g1, g2 = group("g", 2)
    kit.accept(*group("f", 1), g1, g2, *group("h", 1))
    kit.lose(g1)
    assert kit.returned() == [("g2", 1)]
    assert kit.end("f1") == ["h1"]


def test_when_a_list_message_loses_its_lease_the_rest_is_returned() -> None:
    kit = Kit(fifo(batch_size=2))
    g1, g2, g3, g4, g5 = group("g", 5)
    kit.accept(g1, g2, g3, g4, g5)
    kit.lose(g4)
    assert kit.returned() == [("g3", 1), ("g5", 1)]
    assert (kit.running(), kit.parked()) == (["g1", "g2"], 0)


def test_a_list_unblocks_its_group_when_all_its_messages_are_deleted() -> None:
    kit = Kit(fifo(batch_size=2))
    kit.accept(*group("g", 3))
    kit.end("g1")
    first, second = kit.run("g1").deliveries
    assert kit.in_flight.take_settlements() == [first, second]
    kit.in_flight.settled([first])
    kit.dispatcher.start_ready()
    assert kit.running() == []
    kit.in_flight.settled([second])
    kit.dispatcher.start_ready()
    assert kit.running() == ["g3"]


def test_messages_that_wait_for_their_group_use_no_credit() -> None:
    kit = Kit(fifo(), slots=2)
    kit.accept(*group("g", 10))
    assert kit.credit() == 1
    assert kit.in_flight.unstarted() == kit.parked() == 9


HEADS = {
    "failed": FAILED,
    "retried": ProcessingResult(False),
    "unknown": ProcessingResult(False, error=TaskNotFound("?")),
    "not deleted": SUCCEEDED,
}


@pytest.mark.parametrize("receives", [2, 3, 4])
@pytest.mark.parametrize("result", HEADS.values(), ids=HEADS)
def test_a_group_goes_on_after_a_failure_on_the_last_receive(
    result: ProcessingResult, receives: int
) -> None:
    kit = Kit(fifo(max_receives=3))
    head = message("head", group="g", receives=receives, expires_at=kit.clock.now + 30)
    kit.accept(head, message("g2", group="g", receives=receives), message("g3", group="g"))
    if result.success:
        kit.client.answers.append([refused()])
    kit.end("head", result)
    assert kit.running() == []  # the result must reach SQS first
    kit.tell_sqs()
    assert kit.running() == (["g2"] if receives == 3 else [])
    returned = [body for body, _ in kit.returned() if body != "head"]
    assert returned == ([] if receives == 3 else ["g2", "g3"])


def test_a_list_with_a_failed_message_that_returns_stops_its_group() -> None:
    kit = Kit(fifo(max_receives=3, batch_size=2))
    kit.accept(*(message(f"g{n}", group="g", receives=n) for n in (3, 2, 1)))
    kit.end("g3", SUCCEEDED, FAILED)
    assert kit.returned() == [("g2", 7), ("g1", 8)]


def test_limited_groups_of_a_standard_queue_share_the_slots() -> None:
    kit = Kit(lane(group_slots=2))
    kit.accept(*group("g", 5), *group("h", 1))
    assert kit.running() == ["g1", "g2", "h1"]
    assert kit.end("g1") == ["g3"]
    kit.dispatcher.close(kit.lanes)
    assert kit.returned() == [("g4", 0), ("g5", 0)]


# The drain.


def test_a_close_returns_unstarted_and_late_messages() -> None:
    kit = Kit(fifo(), slots=2)
    kit.accept(*group("f", 2), *group("g", 2), *group("h", 2))
    kit.dispatcher.close(kit.lanes)
    # Each group in order; started jobs go on.
    assert kit.returned() == [("h1", 0), ("h2", 0), ("f2", 0), ("g2", 0)]
    kit.accept(message("late", group="z"))
    assert kit.returned()[4:] == [("late", 0)]
    assert kit.end("f1") is None
    assert kit.parked() == 0


#: a lane, the messages of one receive, and those that run in a drain ("!": last receive)
UNSTARTED = {
    "standard": (lambda: lane(max_receives=3), "a b! c d!", "b! d!"),
    "async": (lambda: lane(max_receives=3, kind="loop"), "a b! c", "b!"),
    "slots for each group": (
        lambda: lane(max_receives=3, group_slots=1),
        "a b! c d!",
        "b! d!",
    ),
    "lists": (lambda: lane(max_receives=3, batch_size=2), "a b! c d e!", "a b! e!"),
    "lists that wait": (
        lambda: lane(max_receives=3, batch_size=9, max_wait=60),
        "a b!",
        "a b!",
    ),
    "FIFO": (lambda: fifo(max_receives=3), "a! b! c d", "a! b!"),
    "FIFO lists": (lambda: fifo(max_receives=3, batch_size=2), "a! b! c! d e", "a! b! c! d"),
    "one receive": (lambda: fifo(max_receives=3), "a b c", ""),
    "more receives than the policy allows": (lambda: lane(max_receives=2), "a! b!", ""),
    "no redrive policy": (lane, "a b!", ""),
}


def run_all(kit: Kit) -> list[str]:
    """Start and end jobs one by one in the only slot. Return their messages in that order."""
    ran: list[str] = []
    kit.in_flight.permit(kit.lane, None)
    kit.dispatcher.start_due()
    while runs := kit.in_flight.running():
        ran += bodies_of(runs[0])
        kit.end(ran[-1])
        kit.tell_sqs()
    return ran


@pytest.mark.parametrize("arrives", ["before the drain", "in the drain"])
@pytest.mark.parametrize(("made", "sent", "run"), UNSTARTED.values(), ids=UNSTARTED)
def test_a_drain_runs_messages_on_their_last_receive(
    made: Any, sent: str, run: str, arrives: str
) -> None:
    kit = Kit(made(), slots=1)
    kit.in_flight.share_permits(kit.lanes, 0)
    messages = [message(body, group="g", receives=3 if "!" in body else 2) for body in sent.split()]
    if arrives == "in the drain":
        kit.dispatcher.close(kit.lanes)
    kit.accept(*messages)
    kit.dispatcher.close(kit.lanes)
    returned = [body for body, _ in kit.returned()]
    assert run_all(kit) == run.split()
    assert returned == [body for body in sent.split() if body not in run.split()]
    assert kit.in_flight.unstarted() == 0
    assert "JobUnrun" not in names(kit.told)


@pytest.mark.parametrize(
    "made", [lambda: lane(max_receives=3), lambda: fifo(max_receives=3)], ids=["standard", "FIFO"]
)
def test_the_end_of_a_drain_reports_jobs_that_never_ran(made: Any) -> None:
    kit = Kit(made(), slots=1)
    kit.accept(*(message(body, group="g", receives=3) for body in "abc"))
    kit.dispatcher.close(kit.lanes)
    assert kit.dispatcher.abandon() == 1
    kit.accept(message("late", group="g", receives=3))
    unrun = [event for event in kit.told if isinstance(event, JobUnrun)]
    assert [event.message.body for event in unrun] == ["b", "c", "late"]
    assert {event.dead_letter_queue for event in unrun} == {kit.lane.dead_letter_queue}
    assert kit.running() == []


def test_one_lane_can_be_closed_alone() -> None:
    a, b = lane("a"), lane("b")
    kit = Kit(a, b)
    kit.dispatcher.close([a])
    kit.accept(message("of a"), lane=a)
    kit.accept(message("of b"), lane=b)
    assert kit.running() == ["of b"]
    assert kit.returned() == [("of a", 0)]


def test_an_abandoned_job_is_returned_and_its_result_ignored() -> None:
    kit = Kit()
    running = message("a")
    kit.accept(running)
    assert kit.dispatcher.abandon() == 1
    assert running.lease.lost.is_set()
    assert kit.returned() == [("a", 0)]
    assert kit.told[-2].started
    told = list(kit.told)
    assert kit.dispatcher.done(kit.threads.runs[0], [SUCCEEDED]) is None
    assert kit.told == told
    assert (kit.counts(), kit.deleted()) == ({}, [])


def test_a_message_that_lost_its_lease_before_the_drain_is_not_returned() -> None:
    kit = Kit(slots=1)
    lost = message("b")
    kit.accept(message("a"), lost)
    kit.lose(lost)
    kit.dispatcher.close(kit.lanes)
    assert kit.returned() == []
    assert kit.in_flight.in_hand(kit.lane) == 1


def test_a_message_that_arrives_after_the_end_is_returned() -> None:
    kit = Kit()
    assert [kit.dispatcher.abandon() for _ in range(2)] == [0, 0]
    kit.accept(message("a"))
    assert kit.returned() == [("a", 0)]
    assert kit.running() == []


def test_a_run_without_a_permit_waits_for_one_or_is_returned() -> None:
    kit = Kit()
    kit.in_flight.share_permits(kit.lanes, 1)
    kit.accept(*map(message, "abc"))
    assert kit.running() == ["a"]
    assert kit.end("a") is None
    kit.in_flight.permit(kit.lane, 2)
    kit.dispatcher.start_ready()
    assert kit.running() == ["b"]
    kit.dispatcher.release(kit.lane)
    assert (kit.deleted(), kit.returned()) == (["a"], [("c", 0)])


# Lists that wait for more messages.


def test_a_list_waits_for_more_and_starts_when_its_time_is_up() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    kit.accept(message("a"))
    assert (kit.running(), kit.in_flight.unstarted()) == ([], 1)
    assert kit.in_flight.next_list_due(kit.lane) == 2
    kit.clock.advance(1)
    kit.accept(message("b"))
    assert kit.in_flight.next_list_due(kit.lane) == 1
    kit.clock.advance(1)
    kit.accept()
    assert kit.running() == ["a", "b"]
    assert kit.in_flight.next_list_due(kit.lane) is None


def test_a_due_list_starts_without_a_receive_but_not_during_one() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    kit.accept(message("a"), more=True)
    kit.clock.advance(2)
    kit.dispatcher.start_due()
    assert kit.running() == []
    kit.clock.advance(-1)
    kit.accept(message("b"))
    kit.dispatcher.start_due()
    assert kit.running() == []
    kit.clock.advance(1)
    kit.dispatcher.start_due()
    assert kit.running() == ["a", "b"]


def test_a_due_list_starts_when_a_slot_is_free() -> None:
    kit = Kit(lane(batch_size=2, max_wait=2), slots=1)
    kit.accept(*map(message, "abc"))
    kit.clock.advance(2)
    assert kit.end("a") == ["c"]


def test_a_waiting_list_holds_no_slot_and_is_returned_at_the_end() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2), slots=1)
    kit.accept(message("a"))
    assert kit.credit(1) == 1
    kit.dispatcher.close(kit.lanes)
    assert kit.returned() == [("a", 0)]
    kit.accept(message("late"))
    assert kit.returned()[1:] == [("late", 0)]


def test_a_failed_start_and_a_failed_job_have_their_own_errors() -> None:
    policy = Told()
    kit = Kit(lane(batch_size=2, shutdown_policy=policy))
    kit.accept(message("a"), message("b"))
    kit.end("a", FAILED, not_started("no thread"))
    (result,) = policy.results
    assert [type(error) for error in result.errors] == [ValueError, JobNotStarted]
    assert names(kit.told).count(JobFailed.__name__) == 1
