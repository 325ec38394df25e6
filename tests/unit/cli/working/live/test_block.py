"""The live view as text, in terminals of different sizes."""

from dataclasses import replace

import pytest

from sqsw_cli.working.live.block import lines_of
from sqsw_cli.working.live.figures import Depth, Look, Row

LOOK = Look(
    [
        Row("emails", 4, 12.9, 1204, 3, 9, 18.42, Depth(5310, 4, 1)),
        Row("orders.fifo", 2, 1.0, 310, 0, 0, 4.0, Depth(12, 2, None, has_dead_letters=False)),
        Row("reports", 0, None, 0, 0, 0, 0.0, Depth()),
    ],
    busy=6,
    slots=8,
    up_seconds=12 * 60 + 5,
    requests_per_job=0.3141,
    empty_seconds=5 * 60 + 30,
)


@pytest.mark.parametrize("columns", [80, 120])
def test_all_columns_where_they_fit(columns: int) -> None:
    assert lines_of(LOOK, columns, 20) == [
        "queue        running  oldest   done  failed  retry    /s  ready  in flight  dead",
        "emails             4     12s  1,204       3      9  18.4  5,310          4     1",
        "orders.fifo        2      1s    310       0      0   4.0     12          2  none",
        "reports            0       -      0       0      0   0.0      -          -     -",
        "6 of 8 slots busy · up 12m · 0.31 requests per job · empty in about 5m",
    ]


def test_a_narrow_terminal_has_fewer_columns_and_no_wrapped_ones() -> None:
    assert lines_of(LOOK, 40, 20) == [
        "queue        running  oldest   done",
        "emails             4     12s  1,204",
        "orders.fifo        2      1s    310",
        "reports            0       -      0",
        "6 of 8 slots busy · empty in about 5m",
    ]
    narrow = [line.rstrip() for line in lines_of(LOOK, 16, 20)]
    assert narrow[2:] == ["orders.fifo", "reports", "6 of 8 slots bus"]
    for columns in range(11, 130):
        assert all(len(line) <= columns for line in lines_of(LOOK, columns, 20))


def test_a_long_name_is_cut_before_it_hides_a_column() -> None:
    name = f"{'n' * 70}_dead.fifo"
    head, row, *_ = lines_of(replace(LOOK, rows=[Row(name)]), 110, 20)
    assert head.split()[-1] == "dead"
    assert row.startswith("nnn")
    assert "…nnn" in row
    assert "_dead.fifo  " in row
    head, row, *_ = lines_of(replace(LOOK, rows=[Row("n" * 40)]), 30, 20)
    assert (head.rstrip(), row) == ("queue", "n" * 40)


def test_a_low_terminal_shows_the_first_queues_and_says_how_many_more() -> None:
    look = replace(LOOK, rows=[Row(f"q{number}") for number in range(20)])
    assert len(lines_of(look, 80, 22)) == 22
    lines = lines_of(look, 80, 10)
    assert len(lines) == 10
    assert [lines[1][:3], lines[7][:3], lines[8]] == ["q0 ", "q6 ", "and 13 more queues"]
    assert lines_of(look, 80, 3) == lines[-1:]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drain_seconds": 5, "busy": 0}, "draining: waiting for an open receive, 5s left"),
        ({"drain_seconds": 17.6}, "draining: 6 jobs running, 18s left"),
        ({"drain_seconds": 5, "is_quiet": True, "busy": 1}, "draining: 1 job running, 5s left"),
        ({"is_quiet": True}, "quiet: 6 jobs running, nothing is received"),
        ({"slots": 0}, "no worker is up"),
        ({"has_ended": True, "drain_seconds": 5}, "stopped"),
    ],
)
def test_it_says_what_the_worker_does(changes: dict[str, object], said: str) -> None:
    assert lines_of(replace(LOOK, **changes), 120, 20)[-1].split(" · ")[0] == said  # type: ignore[arg-type]  # rows of the table


def test_colour_is_for_what_a_person_should_see() -> None:
    lines = lines_of(LOOK, 80, 20, colored=True)
    assert lines[0].startswith("\x1b[2mqueue")
    assert "\x1b[31m     3\x1b[0m" in lines[1]
    assert "\x1b[" not in lines[2] + lines[3] + lines[4]
    assert lines_of(replace(LOOK, is_quiet=True), 80, 20, colored=True)[-1].startswith("\x1b[33m")


def test_there_is_no_block_before_a_worker_is_up() -> None:
    assert lines_of(Look([Row("emails")], was_up=False), 100, 24) == []
