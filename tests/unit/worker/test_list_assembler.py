"""Lists of messages that wait for more messages."""

from collections.abc import Sequence

from sqsw.worker.delivery import JobRun
from sqsw.worker.lane import Lane
from sqsw.worker.list_assembler import ListAssembler
from tests.unit.worker.doubles import lane, message
from tests.unit.worker.register_doubles import fifo, group, names_of, run_of


def runs_of(of: Lane, text: str) -> list[JobRun]:
    return [run_of(of, body) for body in text]


def add(lists: ListAssembler, runs: Sequence[JobRun], now: float = 0.0) -> list[JobRun]:
    """Return the lists that are complete after one receive."""
    complete = [each for run in runs for each in lists.add(run, now)]
    return complete + lists.take_due(now)


def assembled(of: Lane, runs: Sequence[JobRun]) -> list[list[str]]:
    return names_of(add(ListAssembler(of), runs))


def test_a_list_has_the_size_of_the_batch() -> None:
    of = lane(batch_size=2)
    assert assembled(of, runs_of(of, "abcde")) == [["a", "b"], ["c", "d"], ["e"]]


def test_the_messages_of_a_list_are_one_run() -> None:
    of = lane(batch_size=2)
    (run,) = add(ListAssembler(of), runs_of(of, "ab"))
    assert [delivery.run for delivery in run.deliveries] == [run, run]


def test_a_list_has_one_executor() -> None:
    of = lane(batch_size=10)
    runs = [run_of(of, "a"), run_of(of, "b", runs_in="loop"), run_of(of, "c")]
    runs.append(run_of(of, "d", runs_in="loop"))
    lists = add(ListAssembler(of), runs)
    assert names_of(lists) == [["a", "c"], ["b", "d"]]
    assert [run.runs_in for run in lists] == ["thread", "loop"]


def test_a_list_of_a_standard_queue_can_have_several_jobs() -> None:
    of = lane(batch_size=10)
    runs = [run_of(of, "a", job_name="x"), run_of(of, "b", job_name="y")]
    assert assembled(of, runs) == [["a", "b"]]


def test_a_list_of_a_fifo_queue_has_one_group() -> None:
    of = fifo(batch_size=10)
    (g1, g2), (h1,) = group("g", 2), group("h", 1)
    assert assembled(of, [run_of(of, each) for each in (g1, h1, g2)]) == [["g1", "g2"], ["h1"]]


def test_lists_of_a_fifo_group_have_one_job_and_keep_the_order() -> None:
    of = fifo(batch_size=10)
    jobs = zip(group("g", 4), "xxyx", strict=True)
    runs = [run_of(of, each, job_name=job) for each, job in jobs]
    assert assembled(of, runs) == [["g1", "g2"], ["g3"], ["g4"]]


def test_lists_of_a_fifo_group_for_several_executors_keep_the_order() -> None:
    of = fifo(batch_size=10)
    g1, g2, g3 = group("g", 3)
    runs = [run_of(of, g1), run_of(of, g2, runs_in="loop"), run_of(of, g3)]
    assert assembled(of, runs) == [["g1"], ["g2"], ["g3"]]


def test_lists_of_a_queue_with_limited_groups_have_one_group() -> None:
    of = lane(group_slots=2, batch_size=10)
    (g1, g2), (h1,) = group("g", 2), group("h", 1)
    runs = [run_of(of, each) for each in (g1, h1, message("c"), g2)]
    assert assembled(of, runs) == [["g1", "g2"], ["h1"], ["c"]]


def test_a_list_waits_for_more_and_is_complete_when_full() -> None:
    of = lane(batch_size=3, max_wait=2.0)
    lists = ListAssembler(of)
    assert add(lists, runs_of(of, "ab"), 10.0) == []
    assert (len(lists), lists.next_due()) == (1, 12.0)
    assert names_of(add(lists, runs_of(of, "cd"), 11.0)) == [["a", "b", "c"]]
    assert lists.next_due() == 13.0  # the time of d, which came later


def test_a_list_is_complete_when_its_first_message_has_waited_long_enough() -> None:
    of = lane(batch_size=3, max_wait=2.0)
    lists = ListAssembler(of)
    add(lists, runs_of(of, "a"), 10.0)
    add(lists, runs_of(of, "b"), 11.5)
    assert lists.take_due(11.9) == []
    assert names_of(lists.take_due(12.0)) == [["a", "b"]]
    assert lists.next_due() is None


def test_a_list_of_a_fifo_queue_does_not_wait() -> None:
    # SQS sends no more of its group until this list is settled.
    of = fifo(batch_size=3, max_wait=9)
    assert assembled(of, [run_of(of, each) for each in group("g", 1)]) == [["g1"]]


def test_all_lists_can_be_taken_incomplete() -> None:
    of = lane(batch_size=3, max_wait=2.0)
    lists = ListAssembler(of)
    add(lists, runs_of(of, "a"))
    assert names_of(lists.take_all()) == [["a"]]
    assert len(lists) == 0


def test_a_list_stays_open_while_more_receives_follow_at_once() -> None:
    of = lane(batch_size=3)
    lists = ListAssembler(of)
    lists.keep_open(True)
    assert add(lists, runs_of(of, "a")) == []
    assert lists.take_due(99.0) == []
    assert names_of(add(lists, runs_of(of, "bcd"), 99.0)) == [["a", "b", "c"]]
    lists.keep_open(False)
    assert names_of(lists.take_due(100.0)) == [["d"]]


def test_a_list_of_a_fifo_queue_is_complete_after_one_receive() -> None:
    of = fifo(batch_size=25)
    lists = ListAssembler(of)
    lists.keep_open(True)
    assert names_of(add(lists, [run_of(of, each) for each in group("g", 1)])) == [["g1"]]


def test_a_list_whose_messages_were_all_lost_is_removed() -> None:
    of = lane(batch_size=3, max_wait=2.0)
    lists = ListAssembler(of)
    lost, kept = run_of(of, "a"), run_of(of, "b", runs_in="loop")
    add(lists, [lost, kept])
    lost.deliveries.clear()
    lists.remove_empty()
    assert lists.take_all() == [kept]
