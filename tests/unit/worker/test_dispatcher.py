"""From the receive to a slot, and from the end of a job to the acknowledger."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import JobNotStarted, TaskNotFound
from sqsw.core.events import JobDone, JobStarted, JobUnrun
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.worker.credits import Credits
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.executors.base import OnDone
from sqsw.worker.lane import Call, Lane
from sqsw.worker.ready import ReadyMessages
from sqsw.worker.verdict import UNSTARTED_SECONDS
from tests.unit.worker.doubles import ManualClock, lane, message, names, recorder

FAILED = ProcessingResult(False, error=ValueError("no"))


class HeldExecutor:
    """Runs nothing by itself: a test ends the calls that it was given."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled: list[Call] = []

    def start(self) -> None: ...
    def quiet(self) -> None: ...
    def stop(self, deadline: float) -> None: ...

    def check(self) -> None: ...

    def submit(self, calls: Sequence[Call], on_done: OnDone) -> None:
        self.calls += calls

    def cancel(self, call: Call) -> None:
        self.cancelled.append(call)


class Kit:
    """A dispatcher with all that it talks to; it plays heartbeat and acknowledger."""

    def __init__(self, *lanes: Lane, slots: int = 8) -> None:
        self.lanes = lanes or (lane(),)
        self.lane = self.lanes[0]
        self.clock = ManualClock()
        self.events, self.told = recorder()
        self.threads, self.loop = HeldExecutor(), HeldExecutor()
        self.diary: list[Any] = []
        self.room = 1_000
        self.ended: list[BatchProcessingResult] = []
        self.unstarted: list[JobNotStarted] = []
        lock = threading.Lock()
        weights = {each.name: each.share.weight for each in self.lanes}
        self.credits = Credits(weights, slots, 0, lock)
        self.dispatcher = Dispatcher(
            [(self.lanes, ReadyMessages(self.lanes, self.credits))],
            {"thread": self.threads, "loop": self.loop},
            lock=lock,
            watch=lambda _, messages: self.diary.append(("watch", bodies(messages))),
            lose=self.lose,
            put=self._put,
            put_back=self._put_back,
            may_start=self._may_start,
            ended=lambda _, result: self.ended.append(result),
            ran=lambda _, error: self.unstarted.append(error) if error is not None else None,
            events=self.events,
            clock=self.clock,
        )

    def _may_start(self, lane: Lane, count: int) -> bool:
        self.room -= count
        return self.room >= 0

    def lose(self, lane: Lane, message: Message, reason: str) -> None:
        message.lease.lose()
        self.dispatcher.lost(lane, message)

    def _put(self, lane: Lane, message: Message, hidden_seconds: int | None) -> None:
        self.diary.append(("put", message.body, hidden_seconds))

    def _put_back(
        self, lane: Lane, messages: Sequence[Message], hidden_seconds: int, started: bool
    ) -> None:
        self.diary.append(("back", bodies(messages), hidden_seconds, started))

    def accept(self, *messages: Message, lane: Lane | None = None) -> None:
        self.dispatcher.accept(lane or self.lane, messages)
        self.diary.pop(0)

    def running(self) -> list[str]:
        return [body for call in self.dispatcher.running() for body in bodies(call.messages)]

    def end(self, body: str, *results: ProcessingResult) -> Call | None:
        """The call of this message ends; what the executor is to run next."""
        call = self.call(body)
        return self.dispatcher.done(call, list(results) or [SUCCEEDED] * len(call.messages))

    def call(self, body: str) -> Call:
        calls = self.threads.calls + self.loop.calls + self.dispatcher.running()
        return next(call for call in calls if body in bodies(call.messages))

    def acknowledge(self, message: Message, deleted: bool = True) -> None:
        self.dispatcher.acknowledged(self.lane, [message], deleted)


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def fifo(**fields: Any) -> Lane:
    return lane("orders.fifo", **fields)


def group(name: str, count: int, **fields: Any) -> list[Message]:
    return [message(f"{name}{n}", group=name, **fields) for n in range(1, count + 1)]


def test_what_arrives_is_watched_before_anything_else() -> None:
    kit = Kit()
    kit.dispatcher.accept(kit.lane, [message("a"), message("b")])
    assert kit.diary == [("watch", ["a", "b"])]
    assert names(kit.told) == ["MessageReceived"] * 2 + ["JobStarted"] * 2
    assert kit.running() == ["a", "b"]
    assert kit.dispatcher.in_hand(kit.lane) == 2


def test_an_empty_receive_is_nothing() -> None:
    kit = Kit()
    kit.dispatcher.accept(kit.lane, [])
    assert (kit.diary, kit.told) == ([], [])


def test_no_more_calls_than_slots_and_the_next_at_the_end_of_one() -> None:
    kit = Kit(slots=2)
    kit.accept(*(message(body) for body in "abc"))
    assert bodies([m for c in kit.threads.calls for m in c.messages]) == ["a", "b"]
    assert kit.dispatcher.waiting() == 1
    following = kit.end("a")
    assert following is not None and bodies(following.messages) == ["c"]
    assert kit.diary == [("put", "a", None)]
    assert [type(event) for event in kit.told[-2:]] == [JobDone, JobStarted]
    assert kit.end("b") is None


def test_a_call_of_the_other_kind_goes_to_the_other_executor() -> None:
    kinds = iter(["thread", "loop"])
    mixed = lane()
    object.__setattr__(mixed, "kind_of", lambda _: next(kinds))
    kit = Kit(mixed, slots=1)
    kit.accept(message("a"), message("b"))
    assert kit.end("a") is None
    assert [bodies(call.messages) for call in kit.loop.calls] == [["b"]]


def test_what_an_executor_does_not_take_goes_back_unrun_and_the_next_has_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    mixed, count = lane(), 500  # one after the other: one inside the other would be too deep
    object.__setattr__(
        mixed, "kind_of", lambda sent: "thread" if sent.body in ("first", "last") else "loop"
    )
    kit = Kit(mixed, slots=1)
    monkeypatch.setattr(kit.loop, "submit", refuse)
    middle = [str(number) for number in range(count)]
    kit.accept(message("0"), *map(message, ["first", *middle[1:], "last"]))
    assert kit.running() == ["first"]  # after one that failed as it arrived
    assert kit.end("first") is None
    assert kit.running() == ["last"]
    assert kit.credits.running == 1
    back = [("back", [body], UNSTARTED_SECONDS, False) for body in middle]
    assert kit.diary == [back[0], ("put", "first", None), *back[1:]]
    assert kit.room == 1_000 - 2  # what has not started does not count
    assert [result.total_count() for result in kit.ended] == [0, 1, *[0] * (count - 1)]
    assert {error.why for error in kit.unstarted} == {"RuntimeError: can't start new thread"}
    assert kit.dispatcher.counts == {"released": count, "done": 1}


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
    assert kit.diary == [("put", "a", 7)]
    assert kit.dispatcher.counts[count] == 1


def test_a_list_is_judged_message_by_message() -> None:
    kit = Kit(lane(batch_size=10))
    kit.accept(message("a"), message("b"))
    kit.clock.advance(3)
    kit.end("a", SUCCEEDED, FAILED)
    assert kit.diary == [("put", "a", None), ("put", "b", 7)]
    assert kit.told[-1].duration_seconds == 3
    assert [bodies(kit.ended[0].succeeded), bodies(kit.ended[0].failed)] == [["a"], ["b"]]


def test_a_quiet_at_the_end_of_a_job_starts_no_other() -> None:
    kit = Kit(slots=1)
    kit.accept(message("a"), message("b"))
    kit.dispatcher._ended = lambda lane, _: kit.dispatcher.quiet(lane)
    assert kit.end("a") is None
    assert kit.diary == [("put", "a", None), ("back", ["b"], 0, False)]


def test_a_lease_that_ended_during_the_job_drops_the_result() -> None:
    kit = Kit()
    kit.accept(message("a", expires_at=kit.clock.now + 30))
    kit.clock.advance(30)
    kit.end("a")
    assert kit.diary == []
    assert names(kit.told)[-1] == "JobDropped"
    assert kit.dispatcher.counts["lease_lost"] == 1
    assert kit.dispatcher.counts["done"] == 0
    assert kit.dispatcher.in_hand(kit.lane) == 0


def test_a_lease_lost_while_waiting_starts_no_job() -> None:
    kit = Kit(slots=1)
    lost = message("b")
    kit.accept(message("a"), lost, message("c"))
    kit.lose(kit.lane, lost, "over")
    following = kit.end("a")
    assert following is not None and bodies(following.messages) == ["c"]
    assert kit.dispatcher.in_hand(kit.lane) == 2  # a, until it is acknowledged, and c


def test_a_coroutine_is_cancelled_when_its_lease_is_lost() -> None:
    kit = Kit(lane(kind="loop"))
    lost = message("a")
    kit.accept(lost)
    kit.lose(kit.lane, lost, "over")
    assert [bodies(call.messages) for call in kit.loop.cancelled] == [["a"]]


def test_one_message_of_a_group_at_a_time() -> None:
    kit = Kit(fifo())
    g, h = group("g", 3), group("h", 1)
    kit.accept(*g, *h)
    assert kit.running() == ["g1", "h1"]
    kit.end("g1")
    assert kit.running() == ["h1"]  # not before the delete
    kit.acknowledge(g[0])
    assert kit.running() == ["h1", "g2"]


def test_groups_of_a_standard_queue_are_free() -> None:
    kit = Kit()
    kit.accept(*group("g", 3))
    assert kit.running() == ["g1", "g2", "g3"]


def test_after_a_failure_the_rest_of_the_group_goes_back_and_stays_longer() -> None:
    kit = Kit(fifo())
    g = group("g", 3)
    kit.accept(*g, *group("h", 2))
    kit.end("g1", FAILED)
    assert kit.diary == [("put", "g1", 7), ("back", ["g2"], 8, False), ("back", ["g3"], 8, False)]
    assert kit.running() == ["h1"]
    assert kit.dispatcher.counts["released"] == 2
    for each in g:
        kit.acknowledge(each, deleted=False)
    assert kit.dispatcher.in_hand(kit.lane) == 2
    kit.accept(message("g1 again", group="g"))
    assert "g1 again" in kit.running()


def test_a_failed_message_that_comes_again_at_once_finds_its_group_empty() -> None:
    kit = Kit(fifo(backoff=0))
    again = message("g1 again", group="g")
    kit.accept(*group("g", 2))
    put = kit.dispatcher._verdict._put
    # It is received again before the rest of its group has been put back.
    kit.dispatcher._verdict._put = lambda *args: (put(*args), kit.accept(again))[0]  # type: ignore[func-returns-value]  # both
    kit.end("g1", FAILED)
    assert "g1 again" in kit.running()


def test_a_delete_that_fails_for_good_is_like_a_failure() -> None:
    kit = Kit(fifo())
    g = group("g", 2, expires_at=kit.clock.now + 20)
    kit.accept(*g)
    kit.end("g1")
    kit.acknowledge(g[0], deleted=False)
    assert kit.diary[-1] == ("back", ["g2"], 21, False)
    assert kit.running() == []


def test_a_lost_lease_of_a_running_message_sends_its_followers_back() -> None:
    kit = Kit(fifo())
    g = group("g", 2)
    kit.accept(*g)
    kit.lose(kit.lane, g[0], "over")
    assert kit.diary == [("back", ["g2"], 1, False)]
    kit.end("g1")
    assert kit.diary == [("back", ["g2"], 1, False)]
    kit.acknowledge(g[1], deleted=False)
    assert kit.dispatcher.in_hand(kit.lane) == 0


def test_a_lost_lease_of_a_waiting_message_sends_back_what_comes_after_it() -> None:
    kit = Kit(fifo())
    g = group("g", 3)
    kit.accept(*g)
    kit.lose(kit.lane, g[1], "over")
    assert kit.diary == [("back", ["g3"], 1, False)]
    kit.end("g1")
    kit.acknowledge(g[0])
    kit.acknowledge(g[2], deleted=False)
    assert kit.running() == []
    assert kit.dispatcher.in_hand(kit.lane) == 0
    assert kit.credits._accounts[kit.lane.name].parked == 0


def test_a_lost_lease_of_a_head_that_waits_for_a_slot() -> None:
    kit = Kit(fifo(), slots=1)
    g = group("g", 2)
    kit.accept(*group("f", 1), *g, *group("h", 1))
    kit.lose(kit.lane, g[0], "over")
    assert kit.diary == [("back", ["g2"], 1, False)]
    following = kit.end("f1")
    assert following is not None and bodies(following.messages) == ["h1"]


def test_a_list_of_a_group_opens_it_when_all_are_deleted() -> None:
    kit = Kit(fifo(batch_size=2))
    g = group("g", 3)
    kit.accept(*g)
    kit.end("g1")
    kit.acknowledge(g[0])
    assert kit.running() == []
    kit.acknowledge(g[1])
    assert kit.running() == ["g3"]


def test_messages_that_wait_for_their_group_hold_no_credit() -> None:
    kit = Kit(fifo(), slots=2)
    kit.accept(*group("g", 10))
    assert kit.credits.take(kit.lane.name, 10, 0) == 1
    assert kit.credits._accounts[kit.lane.name].parked == 9
    assert kit.dispatcher.waiting() == 9


def test_quiet_puts_back_what_has_not_started_and_what_comes() -> None:
    kit = Kit(fifo(), slots=2)
    kit.accept(*group("f", 2), *group("g", 2), *group("h", 2))
    kit.dispatcher.quiet()
    # Of each group in order; what has started goes on.
    assert [entry[1] for entry in kit.diary] == [["h1"], ["h2"], ["f2"], ["g2"]]
    assert {entry[2:] for entry in kit.diary} == {(0, False)}
    kit.diary.clear()
    kit.dispatcher.accept(kit.lane, [message("late", group="z")])
    assert kit.diary == [("watch", ["late"]), ("back", ["late"], 0, False)]
    assert kit.end("f1") is None
    assert kit.credits._accounts[kit.lane.name].parked == 0


#: a lane, the messages of one receive, and those of them that run in a drain; "!": the last receive
UNSTARTED = {
    "standard": (lane(max_receives=3), "a b! c d!", "b! d!"),
    "async": (lane(max_receives=3, kind="loop"), "a b! c", "b!"),
    "slots for each group": (lane(max_receives=3, group_slots=1), "a b! c d!", "b! d!"),
    "lists": (lane(max_receives=3, batch_size=2), "a b! c d e!", "a b! e!"),
    "lists that wait": (lane(max_receives=3, batch_size=9, max_wait=60), "a b!", "a b!"),
    "FIFO": (fifo(max_receives=3), "a! b! c d", "a! b!"),
    "FIFO lists": (fifo(max_receives=3, batch_size=2), "a! b! c! d e", "a! b! c! d"),
    "one receive": (fifo(max_receives=3), "a b c", ""),
    "more receives than the policy allows": (lane(max_receives=2), "a! b!", ""),
    "no redrive policy": (lane(), "a b!", ""),
}


def run_all(kit: Kit) -> list[str]:
    """Give the lane one slot, and end its jobs; the messages, in the order of their jobs."""
    ran: list[str] = []
    kit.credits.slots = 1
    kit.dispatcher.start_due(kit.lane)
    while calls := kit.dispatcher.running():
        messages = list(calls[0].messages)
        ran += bodies(messages)
        kit.end(messages[0].body)
        for each in messages:
            kit.acknowledge(each)
    return ran


@pytest.mark.parametrize("arrives", ["before the drain", "in the drain"])
@pytest.mark.parametrize(("of", "sent", "run"), UNSTARTED.values(), ids=UNSTARTED)
def test_a_drain_runs_messages_on_their_last_receive(
    of: Lane, sent: str, run: str, arrives: str
) -> None:
    kit = Kit(of, slots=0)
    messages = [message(body, group="g", receives=3 if "!" in body else 2) for body in sent.split()]
    if arrives == "in the drain":
        kit.dispatcher.quiet()
    kit.accept(*messages)
    kit.dispatcher.quiet()
    returned = [body for entry in kit.diary for body in entry[1]]
    assert run_all(kit) == run.split()
    assert returned == [body for body in sent.split() if body not in run.split()]
    assert kit.dispatcher.waiting() == 0
    assert "JobUnrun" not in names(kit.told)


@pytest.mark.parametrize(
    "of", [lane(max_receives=3), fifo(max_receives=3)], ids=["standard", "FIFO"]
)
def test_the_end_of_a_drain_names_jobs_that_never_ran(of: Lane) -> None:
    kit = Kit(of, slots=1)
    kit.accept(*(message(body, group="g", receives=3) for body in "abc"))
    kit.dispatcher.quiet()
    assert kit.dispatcher.abandon() == 1
    kit.accept(message("late", group="g", receives=3))
    unrun = [event for event in kit.told if isinstance(event, JobUnrun)]
    assert [event.message.body for event in unrun] == ["b", "c", "late"]
    assert {event.dead_letter_queue for event in unrun} == {of.dead_letter_queue}
    assert kit.running() == []


HEADS = {
    "failed": FAILED,
    "retried": ProcessingResult(False),
    "unknown": ProcessingResult(False, error=TaskNotFound("?")),
    "not deleted": SUCCEEDED,
}


@pytest.mark.parametrize("receives", [2, 3, 4])
@pytest.mark.parametrize("result", HEADS.values(), ids=HEADS)
def test_a_group_goes_on_after_a_job_that_failed_on_its_last_receive(
    result: ProcessingResult, receives: int
) -> None:
    kit = Kit(fifo(max_receives=3))
    head = message("head", group="g", receives=receives, expires_at=kit.clock.now + 30)
    kit.accept(head, message("g2", group="g", receives=receives), message("g3", group="g"))
    kit.end("head", result)
    assert kit.running() == []  # SQS must have the result first
    kit.acknowledge(head, deleted=False)
    assert kit.running() == (["g2"] if receives == 3 else [])
    returned = [entry[1] for entry in kit.diary if entry[0] == "back"]
    assert returned == ([] if receives == 3 else [["g2"], ["g3"]])


def test_a_list_with_a_failed_job_that_comes_again_stops_its_group() -> None:
    kit = Kit(fifo(max_receives=3, batch_size=2))
    kit.accept(*(message(f"g{n}", group="g", receives=n) for n in (3, 2, 1)))
    kit.end("g3", SUCCEEDED, FAILED)
    assert kit.diary[-1] == ("back", ["g1"], 8, False)


def test_one_lane_can_be_quieted_alone() -> None:
    a, b = lane("a"), lane("b")
    kit = Kit(a, b)
    kit.dispatcher.quiet(a)
    kit.accept(message("of a"), lane=a)
    kit.accept(message("of b"), lane=b)
    assert kit.running() == ["of b"]


def test_what_still_runs_at_the_end_is_put_back_and_its_result_ignored() -> None:
    kit = Kit()
    running = message("a")
    kit.accept(running)
    assert kit.dispatcher.abandon() == 1
    assert running.lease.lost.is_set()
    assert kit.diary == [("back", ["a"], 0, True)]
    told = list(kit.told)
    assert kit.dispatcher.done(kit.threads.calls[0], [SUCCEEDED]) is None
    assert kit.told == told
    assert kit.dispatcher.counts["done"] == 0


def test_a_lease_lost_before_the_drain_is_not_put_back() -> None:
    kit = Kit(slots=1)
    lost = message("b")
    kit.accept(message("a"), lost)
    kit.lose(kit.lane, lost, "over")
    kit.dispatcher.quiet()
    assert kit.diary == []
    assert kit.dispatcher.in_hand(kit.lane) == 1


@pytest.mark.parametrize("where", ["put", "ended"])
def test_whatever_is_raised_at_the_end_of_a_job_its_slot_is_free(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise SystemExit("of a hook")

    kit = Kit(slots=1)
    kit.accept(message("a"), message("b"))
    setattr(kit.dispatcher if where == "ended" else kit.dispatcher._verdict, f"_{where}", broken)
    following = kit.end("a")
    assert following is not None and bodies(following.messages) == ["b"]
    assert kit.credits.running == 1
    assert "of a hook" in caplog.text


def test_a_keyboard_interrupt_goes_up_and_leaves_no_slot_taken() -> None:
    kit = Kit(slots=1)
    kit.accept(message("a"))

    def interrupted(event: JobDone) -> None:
        raise KeyboardInterrupt

    kit.events.subscribe(interrupted, JobDone)
    with pytest.raises(KeyboardInterrupt):
        kit.end("a")
    assert kit.credits.running == 0


def test_what_arrives_after_the_stop_goes_back() -> None:
    kit = Kit()
    kit.dispatcher.start()
    kit.dispatcher.stop(0)
    kit.dispatcher.stop(0)
    kit.accept(message("a"))
    assert kit.diary == [("back", ["a"], 0, False)]
    assert kit.running() == []


def test_what_may_not_start_waits_and_goes_back_at_the_end() -> None:
    kit = Kit()
    kit.room = 1
    kit.accept(message("a"), message("b"))
    assert kit.running() == ["a"]
    assert kit.end("a") is None
    kit.dispatcher.quiet()
    assert kit.diary == [("put", "a", None), ("back", ["b"], 0, False)]


def test_a_job_whose_lease_was_lost_before_it_started_does_not_count_as_started() -> None:
    kit = Kit(slots=1)
    kit.room = 2
    lost = message("b")
    kit.accept(message("a"), lost, message("c"))
    kit.lose(kit.lane, lost, "over")
    following = kit.end("a")
    assert following is not None and bodies(following.messages) == ["c"]


def test_a_list_is_gathered_and_goes_when_its_time_is_over() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    kit.accept(message("a"))
    assert (kit.running(), kit.dispatcher.waiting()) == ([], 1)
    assert kit.dispatcher.gathering_seconds(kit.lane) == 2
    kit.clock.advance(1)
    kit.accept(message("b"))
    assert kit.dispatcher.gathering_seconds(kit.lane) == 1
    kit.clock.advance(1)
    kit.dispatcher.accept(kit.lane, [])
    assert kit.running() == ["a", "b"]
    assert kit.dispatcher.gathering_seconds(kit.lane) is None


def test_a_list_whose_time_is_over_goes_without_another_receive_but_not_in_between() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    kit.dispatcher.accept(kit.lane, [message("a")], True)
    kit.clock.advance(2)
    kit.dispatcher.start_due(kit.lane)
    assert kit.running() == []
    kit.clock.advance(-1)
    kit.accept(message("b"))
    kit.dispatcher.start_due(kit.lane)
    assert kit.running() == []
    kit.clock.advance(1)
    kit.dispatcher.start_due(kit.lane)
    assert kit.running() == ["a", "b"]


def test_a_list_whose_time_is_over_goes_when_a_slot_is_free() -> None:
    kit = Kit(lane(batch_size=2, max_wait=2), slots=1)
    kit.accept(message("a"), message("b"), message("c"))
    kit.clock.advance(2)
    following = kit.end("a")
    assert following is not None and bodies(following.messages) == ["c"]


def test_a_list_that_is_gathered_holds_no_slot_and_goes_back_at_the_end() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2), slots=1)
    kit.accept(message("a"))
    assert kit.credits.take(kit.lane.name, 1, 0) == 1
    kit.dispatcher.quiet()
    assert kit.diary == [("back", ["a"], 0, False)]
    kit.accept(message("late"))
    assert kit.diary[-1] == ("back", ["late"], 0, False)


def test_a_message_of_a_list_whose_lease_is_lost_leaves_it() -> None:
    kit = Kit(lane(batch_size=3, max_wait=2))
    lost = message("b")
    kit.accept(message("a"), lost)
    kit.lose(kit.lane, lost, "over")
    kit.accept(message("c"))
    assert kit.running() == ["a", "c"]


def test_groups_of_a_standard_queue_share_the_slots_when_they_are_limited() -> None:
    kit = Kit(lane(group_slots=2))
    kit.accept(*group("g", 5), *group("h", 1))
    assert kit.running() == ["g1", "g2", "h1"]
    following = kit.end("g1")
    assert following is not None and bodies(following.messages) == ["g3"]
    kit.dispatcher.quiet()
    assert [entry[1] for entry in kit.diary[1:]] == [["g4"], ["g5"]]


def test_a_call_that_runs_long_counts_once_before_its_end() -> None:
    kit = Kit(slots=2)
    kit.accept(message("quick"), message("slow"))
    kit.end("quick")
    (account,) = kit.credits._accounts.values()
    kit.clock.advance(0.5)
    kit.dispatcher.look_at_slow_calls()
    assert account.run_seconds == 0.0
    for _ in range(2):
        kit.clock.advance(1.5)
        kit.dispatcher.look_at_slow_calls()
        assert account.run_seconds == pytest.approx(0.2)  # a tenth of the two seconds, once
