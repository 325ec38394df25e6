"""What receives bring becomes calls: of one message, or of a list."""

from collections.abc import Sequence
from typing import Any

from sqsw.core.message import Message
from sqsw.worker.gathering import Gathering
from sqsw.worker.lane import Call, Lane
from tests.unit.worker.doubles import lane, message


def cut(made: Lane, messages: Sequence[Message]) -> list[Call]:
    return Gathering([made.name]).cut(made, messages, 0.0)


def bodies(calls: Sequence[Call]) -> list[list[str]]:
    return [[message.body for message in call.messages] for call in calls]


def renamed(made: Lane, **attributes: Any) -> Lane:
    for name, value in attributes.items():
        object.__setattr__(made, name, value)
    return made


def test_one_message_is_one_call() -> None:
    assert bodies(cut(lane(), [message("a"), message("b")])) == [["a"], ["b"]]


def test_lists_have_the_size_of_the_batch() -> None:
    messages = [message(body) for body in "abcde"]
    assert bodies(cut(lane(batch_size=2), messages)) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_list_is_for_one_kind_of_executor() -> None:
    kinds = iter(["thread", "loop", "thread", "loop"])
    mixed = renamed(lane(batch_size=10), kind_of=lambda _: next(kinds))
    assert bodies(cut(mixed, [message(body) for body in "abcd"])) == [["a", "c"], ["b", "d"]]


def test_a_list_of_a_fifo_queue_is_of_one_group_and_one_job() -> None:
    fifo = lane("q.fifo", batch_size=10)
    messages = [message("g1", group="g"), message("h1", group="h"), message("g2", group="g")]
    assert bodies(cut(fifo, messages)) == [["g1", "g2"], ["h1"]]


def test_lists_of_a_group_go_in_the_order_of_the_receive() -> None:
    names = iter(["x", "x", "y", "x"])
    fifo = renamed(lane("q.fifo", batch_size=10), job_name_of=lambda _: next(names))
    messages = [message(f"g{n}", group="g") for n in (1, 2, 3, 4)]
    assert bodies(cut(fifo, messages)) == [["g1", "g2"], ["g3"], ["g4"]]


def test_groups_mean_nothing_on_a_standard_queue() -> None:
    (only,) = cut(lane(), [message(group="g")])
    assert (only.group, only.fair_group) == (None, None)


def test_groups_of_a_standard_queue_that_limits_them_are_told_apart() -> None:
    limited = lane(group_slots=2, batch_size=10)
    calls = cut(limited, [message("a", group="g"), message("b", group="h"), message("c")])
    assert [(call.group, call.fair_group) for call in calls] == [
        (None, "g"),
        (None, "h"),
        (None, None),
    ]


def test_a_message_that_cannot_be_told_apart_still_gets_its_call() -> None:
    (only,) = cut(renamed(lane(), kind_of=lambda _: 1 / 0), [message("a")])
    assert (only.kind, only.job_names) == ("thread", [None])


def test_a_list_waits_for_more_and_goes_when_it_is_full() -> None:
    made = lane(batch_size=3, max_wait=2.0)
    gathering = Gathering([made.name])
    assert gathering.cut(made, [message("a"), message("b")], 10.0) == []
    assert (gathering.waiting(), gathering.next_due(made.name)) == (1, 12.0)
    assert bodies(gathering.cut(made, [message("c"), message("d")], 11.0)) == [["a", "b", "c"]]
    assert gathering.next_due(made.name) == 13.0  # of d, which came later


def test_a_list_goes_as_it_is_when_its_first_message_has_waited_long_enough() -> None:
    made = lane(batch_size=3, max_wait=2.0)
    gathering = Gathering([made.name])
    gathering.cut(made, [message("a")], 10.0)
    gathering.cut(made, [message("b")], 11.5)
    assert gathering.cut(made, [], 11.9) == []
    assert bodies(gathering.cut(made, [], 12.0)) == [["a", "b"]]
    assert gathering.next_due(made.name) is None


def test_a_list_of_a_fifo_queue_waits_for_nothing() -> None:
    # No more of its group can come before it is gone.
    assert bodies(cut(lane("q.fifo", batch_size=3, max_wait=9), [message("a", group="g")])) == [
        ["a"]
    ]


def test_what_is_gathered_can_be_taken_back() -> None:
    made = lane(batch_size=3, max_wait=2.0)
    gathering = Gathering([made.name])
    gathering.cut(made, [message("a")], 10.0)
    assert bodies(gathering.take_all(made.name)) == [["a"]]
    assert gathering.waiting() == 0


def test_a_list_stays_while_more_of_it_follows_at_once() -> None:
    made = lane(batch_size=3)
    gathering = Gathering([made.name])
    assert gathering.cut(made, [message("a")], 0.0, more=True) == []
    assert gathering.take_due(made.name, 99.0) == []
    calls = gathering.cut(made, [message(body) for body in "bcd"], 99.0, more=True)
    assert bodies(calls) == [["a", "b", "c"]]
    assert bodies(gathering.cut(made, [], 100.0)) == [["d"]]


def test_a_list_of_a_fifo_queue_is_whole_after_one_receive() -> None:
    fifo = lane("q.fifo", batch_size=25)
    gathering = Gathering([fifo.name])
    assert bodies(gathering.cut(fifo, [message("g", group="g")], 0.0, more=True)) == [["g"]]
