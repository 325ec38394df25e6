"""The leases of messages in hand are extended, or reported as lost."""

import threading
from itertools import chain
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied
from sqsw.core.events import AckFailed, BeatLate, ExtensionFailed, LeaseLost, VisibilityExtended
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from tests.backends import wait_until
from tests.unit.worker.doubles import (
    CalledBack,
    FakeClient,
    HeldExecutor,
    WorkerKit,
    lane,
    names,
    our_threads,
    refused,
    throttled,
)

#: what the heartbeat publishes
EVENTS = (AckFailed, BeatLate, ExtensionFailed, LeaseLost, VisibilityExtended)


class Kit(WorkerKit):
    """A worker whose jobs end when the test says so."""

    def __init__(self, *lanes: Any, **fields: Any) -> None:
        self.executor = HeldExecutor()
        super().__init__(*lanes, executor=self.executor, events=EVENTS, **fields)

    def hold(self, body: str, **fields: Any) -> Message:
        """Take in a message; its job starts if a slot is free."""
        (made,) = self.accept(body, **fields)
        return made

    @property
    def lost(self) -> list[str]:
        """The bodies of messages whose lease was lost."""
        return [event.message.body for event in self.told if isinstance(event, LeaseLost)]


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_a_lease_is_extended_at_half_time(kit: Kit) -> None:
    watched = kit.hold("a")
    kit.clock.advance(14.9)
    kit.heartbeat.beat()
    assert kit.client.changes == []
    kit.clock.advance(0.1)
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)]]
    assert watched.lease.expires_at == kit.clock.now + 30
    assert kit.told == [VisibilityExtended("emails", 1)]
    kit.heartbeat.beat()
    assert len(kit.client.changes) == 1


def test_running_and_waiting_messages_are_extended_ten_per_call(kit: Kit) -> None:
    kit.accept(*map(str, range(23)))
    assert len(kit.executor.runs) == 8
    kit.clock.advance(20)
    kit.heartbeat.beat()
    assert [len(changes) for changes in kit.client.changes] == [10, 10, 3]
    assert kit.heartbeat.requests == 3


def test_leases_are_extended_while_messages_wait_for_their_group() -> None:
    kit = Kit(lane("q.fifo"))
    kit.accept("a", "b", group="g")
    kit.clock.advance(20)
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30), ("b", 30)]]


def test_the_lease_of_a_returned_message_is_not_extended(kit: Kit) -> None:
    kit.hold("a")
    kit.dispatcher.abandon()
    kit.clock.advance(100)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], [])


def test_a_refused_extension_is_a_lost_lease(kit: Kit) -> None:
    first, second = kit.hold("a"), kit.hold("b")
    kit.client.answers = [[refused(1)]]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert kit.lost == ["b"]
    assert second.lease.is_lost and not first.lease.is_lost
    assert names(kit.told) == ["LeaseLost", "VisibilityExtended"]


def test_an_ended_lease_is_lost_once(kit: Kit) -> None:
    kit.hold("a")
    delivery = kit.delivery("a")
    kit.clock.advance(30)
    kit.heartbeat.beat()
    kit.heartbeat.beat()
    kit.dispatcher.lose(delivery, "again")
    assert kit.lost == ["a"]
    assert [type(event) for event in kit.told] == [LeaseLost]


def test_without_extensions_the_end_of_a_lease_is_still_noticed() -> None:
    kit = Kit(heartbeat=False)
    kit.hold("a")
    kit.clock.advance(29)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], [])
    kit.clock.advance(1)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], ["a"])


@pytest.mark.parametrize("answer", [OSError("no network"), [throttled()]])
def test_a_failed_call_is_retried_at_the_next_beat(kit: Kit, answer: Any) -> None:
    watched = kit.hold("a")
    kit.client.answers = [answer]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert not watched.lease.is_lost
    kit.clock.advance(1)
    kit.heartbeat.beat()
    assert watched.lease.expires_at == kit.clock.now + 30
    assert names(kit.told) == ["ExtensionFailed", "VisibilityExtended"]


def test_an_extension_error_is_reported_once_and_again_with_the_lost_lease(kit: Kit) -> None:
    kit.hold("a")
    kit.client.answers = [AccessDenied("not allowed to change the visibility")] * 3
    for _ in range(3):
        kit.clock.advance(10)
        kit.heartbeat.beat()
    failed, lost = kit.told
    assert failed == ExtensionFailed("emails", "not allowed to change the visibility")
    assert "visibility timeout ended" in lost.reason
    assert "not allowed to change the visibility" in lost.reason


def test_a_failure_after_a_success_is_reported_again(kit: Kit) -> None:
    kit.hold("a")
    kit.client.answers = [OSError("no network"), [], [throttled()]]
    for seconds in (15, 1, 15):
        kit.clock.advance(seconds)
        kit.heartbeat.beat()
    assert kit.told == [
        ExtensionFailed("emails", "no network"),
        VisibilityExtended("emails", 1),
        ExtensionFailed("emails", "later [InternalError]"),
    ]


@pytest.mark.parametrize("seconds", [15, 30])
def test_a_message_that_is_being_deleted_is_not_lost(kit: Kit, seconds: float) -> None:
    watched = kit.hold("a")
    kit.executor.end_next()
    kit.client.answers = [[refused()]]  # deleted while the extension was in progress
    kit.clock.advance(seconds)
    kit.heartbeat.beat()
    assert kit.lost == []
    assert not watched.lease.is_lost


def extended_late(seconds: float, **fields: Any) -> Kit:
    """Let a worker with eight slots extend nine leases; the answer takes some seconds."""
    kit = Kit(lane(client=CalledBack(), max_receives=3))
    kit.client.during = lambda: kit.clock.advance(seconds)
    kit.accept(*map(str, range(9)), **fields)
    kit.clock.advance(15)
    kit.heartbeat.beat()
    return kit


def test_a_lease_that_may_have_been_extended_too_late_is_reported() -> None:
    kit = extended_late(15)
    late = [event for event in kit.told if isinstance(event, AckFailed)]
    assert [event.message.body for event in late] == list("01234567")
    assert {event.action for event in late} == {"extend"}
    assert kit.lost == ["8"]  # it has not started, so it need not run twice
    for _ in range(8):
        kit.executor.end_next()
    kit.acknowledger.flush()
    assert sorted(chain.from_iterable(kit.client.deletes)) == list("01234567")


def test_an_extension_in_time_is_not_reported() -> None:
    assert extended_late(14).told == [VisibilityExtended("emails", 9)]


def test_an_unstarted_job_on_its_last_receive_is_kept_after_a_late_extension() -> None:
    kit = extended_late(15, receives=3)
    assert kit.lost == []
    assert names(kit.told) == ["AckFailed"] * 9 + ["VisibilityExtended"]


def test_a_lease_that_was_lost_before_the_answer_is_reported_once() -> None:
    kit = Kit(lane(client=CalledBack()))
    kit.hold("a")
    kit.clock.advance(15)
    delivery = kit.delivery("a")

    def lose() -> None:
        kit.clock.advance(15)
        kit.dispatcher.lose(delivery, "its visibility timeout ended")

    kit.client.during = lose
    kit.heartbeat.beat()
    assert names(kit.told) == ["LeaseLost", "VisibilityExtended"]


def test_near_twelve_hours_a_lease_is_extended_only_to_the_limit(kit: Kit) -> None:
    watched = kit.hold("a")
    kit.clock.advance(43_200 - 25)
    watched.lease.renew(kit.clock.now + 10)
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 20)]]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert len(kit.client.changes) == 1  # SQS would not hide it any longer
    kit.clock.advance(5)
    kit.heartbeat.beat()
    assert kit.lost == ["a"]


class HangingOnce(FakeClient):
    """A client whose first visibility call waits until the test says so."""

    def __init__(self, name: str = "emails") -> None:
        super().__init__(name)
        self.under_way, self.go_on = threading.Event(), threading.Event()

    def change_visibility_batch(self, changes: Any, *, once: bool = False) -> Any:
        if not self.under_way.is_set():
            self.under_way.set()
            assert self.go_on.wait(60)
        return super().change_visibility_batch(changes, once=once)


def test_a_return_waits_for_a_pending_extension_for_a_limited_time() -> None:
    client = HangingOnce()
    kit = Kit(lane(client=client))
    kit.hold("a")
    kit.clock.advance(15)
    beat = threading.Thread(target=kit.heartbeat.beat)
    beat.start()
    assert client.under_way.wait(60)
    kit.dispatcher.abandon()
    kit.acknowledger.flush()
    kit.clock.advance(2.9)
    kit.acknowledger.flush()
    assert client.changes == []
    kit.clock.advance(0.1)
    kit.acknowledger.flush()
    assert client.changes == [[("a", 0)]]
    client.go_on.set()
    beat.join(60)


def test_a_return_that_waits_for_its_extension_blocks_no_other_lane() -> None:
    client = HangingOnce("a")
    kit = Kit(lane("a", client=client), lane("b"))
    kit.hold("of a")
    kit.clock.advance(15)
    beat = threading.Thread(target=kit.heartbeat.beat)
    beat.start()
    assert client.under_way.wait(60)
    kit.hold("of b", of=1)
    kit.dispatcher.abandon()
    kit.acknowledger.flush()
    other: Any = kit.lanes[1].client
    assert (client.changes, other.changes) == ([], [[("of b", 0)]])
    client.go_on.set()
    beat.join(60)


def test_a_return_is_sent_when_the_extension_has_ended() -> None:
    client = HangingOnce()
    kit = Kit(lane(client=client), clock=lease_time)
    kit.hold("a", expires_at=lease_time() + 15)
    beat = threading.Thread(target=kit.heartbeat.beat)
    beat.start()
    assert client.under_way.wait(60)
    kit.acknowledger.start()
    wait_until(lambda: kit.in_flight._idle_senders == 1, 60, "the sender")
    kit.dispatcher.abandon()
    client.go_on.set()
    beat.join(60)
    kit.acknowledger.stop(lease_time() + 60)
    assert client.changes == [[("a", 30)], [("a", 0)]]


def test_the_thread_beats_until_it_is_stopped(kit: Kit) -> None:
    beaten = threading.Event()
    kit.heartbeat._interval = 0.001

    def look() -> list[Any]:
        beaten.set()
        raise SystemExit  # the thread must survive any exception

    kit.heartbeat._check = look  # type: ignore[method-assign]  # observed from outside
    kit.heartbeat.stop(kit.clock.now)  # does nothing
    kit.heartbeat.start()
    kit.heartbeat.start()
    assert beaten.wait(10)
    beaten.clear()
    assert beaten.wait(10)
    assert kit.heartbeat.is_alive()
    kit.heartbeat.stop(kit.clock.now + 10)
    kit.heartbeat.stop(kit.clock.now)
    assert not kit.heartbeat.is_alive()
    assert not any(thread.name == "sqsw-heartbeat" for thread in threading.enumerate())


def test_a_call_that_hangs_delays_no_other_lane() -> None:
    client, extended = HangingOnce("a"), threading.Event()
    kit = Kit(lane("a", client=client), lane("b"), clock=lease_time)
    kit.heartbeat._interval = 0.001
    kit.events.subscribe(lambda _: extended.set(), VisibilityExtended)
    kit.heartbeat.start()
    kit.hold("of a", expires_at=lease_time() + 10)
    assert client.under_way.wait(60)
    kit.hold("of b", of=1, expires_at=lease_time() + 10)
    assert extended.wait(60)
    assert our_threads().count("sqsw-heartbeat-a") == 1  # later beats skip this lane
    client.go_on.set()
    kit.heartbeat.stop(lease_time() + 60)
    wait_until(lambda: our_threads() == [], 60, "the end of the call")


def test_a_lease_that_arrives_half_over_is_extended_at_once() -> None:
    kit, extended = Kit(lane(visibility_timeout=300), clock=lease_time), threading.Event()
    kit.events.subscribe(lambda _: extended.set(), VisibilityExtended)
    kit.heartbeat._interval = 1000
    kit.heartbeat.start()
    kit.heartbeat.note_receive(kit.lane, [kit.hold("a", expires_at=lease_time() + 100)])
    assert extended.wait(60)
    kit.heartbeat.stop(lease_time() + 60)
    assert our_threads() == []


def test_the_interval_depends_on_the_shortest_lease() -> None:
    assert Kit().heartbeat._interval == 1.0
    lanes = lane("a", visibility_timeout=2), lane("b", visibility_timeout=300)
    assert Kit(*lanes).heartbeat._interval == 0.5


def test_a_beat_is_late_after_more_than_a_quarter_of_the_lease() -> None:
    kit = Kit(lane(visibility_timeout=20))
    kit.heartbeat._report_late_beat(5.0)
    kit.heartbeat._report_late_beat(5.1)
    assert kit.told == [BeatLate(5.1, 9.0)]


def test_the_thread_notices_that_it_is_late(kit: Kit) -> None:
    wait = kit.heartbeat._wake.wait

    def held_up(timeout: float | None = None) -> bool:
        kit.clock.advance(9)
        return wait(0.01)

    kit.heartbeat._wake.wait = held_up  # type: ignore[method-assign]  # like a job that holds the interpreter lock
    kit.heartbeat.start()
    wait_until(lambda: kit.told, 60, "the event")
    kit.heartbeat.stop(kit.clock.now + 60)
    assert kit.told[0] == BeatLate(8.0, 14.0)


def test_a_lease_that_may_have_begun_early_is_extended_early(kit: Kit) -> None:
    made = kit.hold("a")
    # The long poll lasted 20 seconds; SQS can have hidden the message at its beginning.
    made.lease.sure_until = kit.clock.now + 10
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)]]
    assert made.lease.sure_until == made.lease.expires_at == kit.clock.now + 30
    kit.heartbeat.beat()
    assert len(kit.client.changes) == 1


def test_a_lease_that_may_have_ended_is_extended_and_not_given_up(kit: Kit) -> None:
    made = kit.hold("a")
    made.lease.sure_until = kit.clock.now - 5
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)]]
    assert kit.lost == []
