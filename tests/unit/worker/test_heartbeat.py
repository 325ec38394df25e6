"""Leases of messages in hand are kept alive, or seen to end."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied
from sqsw.core.events import BeatLate, ExtensionFailed, LeaseLost, VisibilityExtended
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.worker.heartbeat import Heartbeat, beat_seconds
from sqsw.worker.lane import Lane
from tests.backends import wait_until
from tests.unit.worker.doubles import (
    FakeClient,
    ManualClock,
    lane,
    message,
    names,
    our_threads,
    recorder,
    refused,
    throttled,
)


class Kit:
    """A heartbeat with all that it talks to."""

    def __init__(self, clock: ManualClock, *, renew: bool = True) -> None:
        self.clock = clock
        self.client = FakeClient()
        self.lane = lane(client=self.client, visibility_timeout=30)
        self.events, self.told = recorder()
        self.lost: list[str] = []
        self.acknowledging: set[str] = set()
        self.heartbeat = Heartbeat(
            events=self.events,
            on_lost=self._lost,
            is_acknowledging=lambda message: message.body in self.acknowledging,
            renew=renew,
            clock=clock,
        )

    def _lost(self, lane: Lane, message: Message) -> None:
        self.lost.append(message.body)

    def watch(self, body: str, **fields: Any) -> Message:
        made = message(body, expires_at=self.clock.now + 30, received_at=self.clock.now, **fields)
        self.heartbeat.watch(self.lane, [made])
        return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kit(clock: ManualClock) -> Kit:
    return Kit(clock)


def test_a_lease_is_extended_at_half_of_its_time(kit: Kit) -> None:
    watched = kit.watch("a")
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


def test_ten_messages_a_call(kit: Kit) -> None:
    for number in range(23):
        kit.watch(str(number))
    kit.clock.advance(20)
    kit.heartbeat.beat()
    assert [len(changes) for changes in kit.client.changes] == [10, 10, 3]
    assert kit.heartbeat.requests == 3


def test_a_forgotten_message_is_left_alone(kit: Kit) -> None:
    watched = kit.watch("a")
    kit.heartbeat.forget([watched], 0)
    kit.clock.advance(100)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], [])


def test_a_refused_extension_is_a_lost_lease(kit: Kit) -> None:
    first, second = kit.watch("a"), kit.watch("b")
    kit.client.answers = [[refused(1)]]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert kit.lost == ["b"]
    assert second.lease.lost.is_set() and not first.lease.lost.is_set()
    assert names(kit.told) == ["LeaseLost", "VisibilityExtended"]


def test_a_lease_that_ran_out_is_lost_once(kit: Kit) -> None:
    watched = kit.watch("a")
    kit.clock.advance(30)
    kit.heartbeat.beat()
    kit.heartbeat.beat()
    kit.heartbeat.lose(kit.lane, watched, "again")
    assert kit.lost == ["a"]
    assert [type(event) for event in kit.told] == [LeaseLost]


def test_without_renewal_leases_are_still_seen_to_end(clock: ManualClock) -> None:
    kit = Kit(clock, renew=False)
    kit.watch("a")
    kit.clock.advance(29)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], [])
    kit.clock.advance(1)
    kit.heartbeat.beat()
    assert (kit.client.changes, kit.lost) == ([], ["a"])


@pytest.mark.parametrize("answer", [OSError("no network"), [throttled()]])
def test_a_failed_call_is_tried_again_at_the_next_beat(kit: Kit, answer: Any) -> None:
    watched = kit.watch("a")
    kit.client.answers = [answer]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert not watched.lease.lost.is_set()
    kit.clock.advance(1)
    kit.heartbeat.beat()
    assert watched.lease.expires_at == kit.clock.now + 30
    assert names(kit.told) == ["ExtensionFailed", "VisibilityExtended"]


def test_why_leases_cannot_be_extended_is_told_once_and_again_where_one_is_lost(kit: Kit) -> None:
    kit.watch("a")
    kit.client.answers = [AccessDenied("not allowed to change the visibility")] * 3
    for _ in range(3):
        kit.clock.advance(10)
        kit.heartbeat.beat()
    failed, lost = kit.told
    assert failed == ExtensionFailed("emails", "not allowed to change the visibility")
    assert "visibility timeout ended" in lost.reason
    assert "not allowed to change the visibility" in lost.reason


def test_a_failure_after_a_success_is_told_anew(kit: Kit) -> None:
    kit.watch("a")
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
def test_what_is_being_acknowledged_is_not_lost(kit: Kit, seconds: float) -> None:
    watched = kit.watch("a")
    kit.acknowledging.add("a")
    kit.client.answers = [[refused()]]  # deleted while the extension was on its way
    kit.clock.advance(seconds)
    kit.heartbeat.beat()
    assert kit.lost == []
    assert not watched.lease.lost.is_set()


def test_near_twelve_hours_a_lease_gets_what_is_left(kit: Kit) -> None:
    watched = kit.watch("a")
    kit.clock.advance(43_200 - 25)
    watched.lease.renew(kit.clock.now + 10)
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 20)]]
    kit.clock.advance(15)
    kit.heartbeat.beat()
    assert len(kit.client.changes) == 1  # it cannot be kept longer than it is already
    kit.clock.advance(5)
    kit.heartbeat.beat()
    assert kit.lost == ["a"]


def test_forget_waits_for_the_extension_under_way(kit: Kit) -> None:
    watched = kit.watch("a")
    order: list[str] = []
    under_way, go_on = threading.Event(), threading.Event()
    answer: Callable[..., Any] = kit.client.change_visibility_batch

    def slow(changes: Any) -> Any:
        under_way.set()
        go_on.wait(10)
        order.append("extended")
        return answer(changes)

    kit.client.change_visibility_batch = slow  # type: ignore[method-assign]  # a call that takes its time
    kit.clock.advance(15)
    beat = threading.Thread(target=kit.heartbeat.beat)
    beat.start()
    assert under_way.wait(10)

    def forget() -> None:
        kit.heartbeat.forget([watched], 60)
        order.append("forgotten")

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    forgetting.join(0.05)
    assert forgetting.is_alive()
    kit.heartbeat.forget([watched], 0)  # nobody waits for longer than he wants
    go_on.set()
    forgetting.join(10)
    beat.join(10)
    assert order == ["extended", "forgotten"]


def test_its_thread_beats_until_it_is_stopped(kit: Kit) -> None:
    beaten = threading.Event()
    kit.heartbeat._interval = 0.001

    def look() -> list[Any]:
        beaten.set()
        raise SystemExit  # it goes on whatever is raised

    kit.heartbeat._look = look  # type: ignore[method-assign]  # seen from outside
    kit.heartbeat.stop(kit.clock.now)  # harmless
    kit.heartbeat.start()
    kit.heartbeat.start()
    assert beaten.wait(10)
    beaten.clear()
    assert beaten.wait(10)
    kit.heartbeat.quiet()
    kit.heartbeat.stop(kit.clock.now + 10)
    kit.heartbeat.stop(kit.clock.now)
    assert not any(thread.name == "sqsw-heartbeat" for thread in threading.enumerate())


def test_a_call_that_hangs_delays_no_other_lane() -> None:
    under_way, go_on, extended = threading.Event(), threading.Event(), threading.Event()

    class Hanging(FakeClient):
        def change_visibility_batch(self, changes: Any) -> Any:
            under_way.set()
            go_on.wait(60)
            return super().change_visibility_batch(changes)

    hangs = lane("a", client=Hanging("a"), visibility_timeout=30)
    fine = lane("b", client=FakeClient("b"), visibility_timeout=30)
    events, _ = recorder()
    heartbeat = Heartbeat(
        events=events,
        on_lost=lambda *_: None,
        is_acknowledging=lambda _: False,
        interval=0.001,
    )
    events.subscribe(lambda _: extended.set(), VisibilityExtended)
    heartbeat.start()
    heartbeat.watch(hangs, [message(expires_at=lease_time() + 10)])
    assert under_way.wait(60)
    heartbeat.watch(fine, [message(expires_at=lease_time() + 10)])
    assert extended.wait(60)
    assert our_threads().count("sqsw-heartbeat-a") == 1  # later beats leave this lane alone
    go_on.set()
    heartbeat.stop(lease_time() + 60)
    wait_until(lambda: our_threads() == [], 60, "the end of the call")


def test_a_lease_that_is_half_gone_when_it_comes_is_extended_at_once() -> None:
    events, _ = recorder()
    extended = threading.Event()
    events.subscribe(lambda _: extended.set(), VisibilityExtended)
    heartbeat = Heartbeat(
        events=events, on_lost=lambda *_: None, is_acknowledging=lambda _: False, interval=1000
    )
    heartbeat.start()
    heartbeat.watch(lane(visibility_timeout=300), [message(expires_at=lease_time() + 100)])
    assert extended.wait(60)
    heartbeat.stop(lease_time() + 60)
    assert our_threads() == []


def test_how_often_it_beats() -> None:
    assert beat_seconds([]) == 1.0
    assert beat_seconds([lane(visibility_timeout=2), lane(visibility_timeout=300)]) == 0.5


def test_a_beat_is_late_when_it_comes_more_than_a_fourth_of_the_lease_after_its_time() -> None:
    events, told = recorder(BeatLate)
    heartbeat = Heartbeat(
        events=events,
        on_lost=lambda *_: None,
        is_acknowledging=lambda _: False,
        interval=1.0,
        shortest_lease=20.0,
    )
    heartbeat._tell_if_late(5.0)
    heartbeat._tell_if_late(5.1)
    assert told == [BeatLate(5.1, 9.0)]


def test_the_thread_finds_out_that_it_is_late(clock: ManualClock) -> None:
    kit = Kit(clock)
    events, told = recorder(BeatLate)
    kit.heartbeat._events = events
    wait = kit.heartbeat._wake.wait

    def held_up(timeout: float | None = None) -> bool:
        clock.advance(9)
        return wait(0.01)

    kit.heartbeat._wake.wait = held_up  # type: ignore[method-assign]  # what holds the interpreter
    kit.heartbeat.start()
    wait_until(lambda: told, 60, "the event")
    kit.heartbeat.stop(clock.now + 60)
    assert told[0] == BeatLate(8.0, 14.0)


def test_a_lease_that_sqs_may_have_begun_early_is_extended_early(clock: ManualClock) -> None:
    kit = Kit(clock)
    made = kit.watch("a")
    # The long poll that brought it had waited for 20 seconds; it may have been hidden at once.
    made.lease.sure_until = clock.now + 10
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)]]
    assert made.lease.sure_until == made.lease.expires_at == clock.now + 30
    kit.heartbeat.beat()
    assert len(kit.client.changes) == 1


def test_a_lease_that_may_be_over_is_extended_and_not_given_up(clock: ManualClock) -> None:
    kit = Kit(clock)
    made = kit.watch("a")
    made.lease.sure_until = clock.now - 5
    kit.heartbeat.beat()
    assert kit.client.changes == [[("a", 30)]]
    assert kit.lost == []
