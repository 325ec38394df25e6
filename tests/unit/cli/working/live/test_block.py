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


@pytest.mark.parametrize("columns", [81, 120])
def test_all_columns_are_shown_if_they_fit(columns: int) -> None:
    assert lines_of(LOOK, columns, 20) == [
        "queue        running  longest   done  failed  retry    /s  ready  in flight  dead",
        "emails             4      12s  1,204       3      9  18.4  5,310          4     1",
        "orders.fifo        2       1s    310       0      0   4.0     12          2  none",
        "reports            0        -      0       0      0   0.0      -          -     -",
        "total              6      12s  1,514       3      9  22.4      -          -     -",
        "6 of 8 slots busy · up 12m · 0.31 requests per job · empty in about 5m",
    ]


def test_a_narrow_terminal_leaves_out_columns_but_never_the_dead_letters() -> None:
    assert lines_of(LOOK, 44, 20) == [
        "queue         done  failed  ready  dead",
        "emails       1,204       3  5,310     1",
        "orders.fifo    310       0     12  none",
        "reports          0       0      -     -",
        "total        1,514       3      -     -",
        "6 of 8 slots busy · empty in about 5m",
    ]
    narrow = lines_of(LOOK, 16, 20)
    assert [line.split() for line in narrow[:3]] == [
        ["queue", "dead"],
        ["emails", "1"],
        ["orders…ifo", "none"],
    ]
    for columns in range(8, 130):
        lines = lines_of(LOOK, columns, 20)
        assert all(len(line) <= columns for line in lines)
        assert lines[0].split()[-1] == "dead"


def test_a_long_name_is_cut_before_it_hides_a_column() -> None:
    look = replace(LOOK, rows=[Row("nightly-customer-account-reports"), *LOOK.rows])
    head, row, *_ = lines_of(look, 86, 20)
    assert "longest" in head
    assert row.startswith("nightly-cu…ports  ")
    head, row, *_ = lines_of(look, 80, 20)
    assert "longest" not in head
    assert "in flight" in head
    assert row.startswith("nightly-cust…eports  ")
    assert lines_of(look, 12, 20)[1] == "nigh…s     -"


def test_the_total_counts_a_shared_dead_letter_queue_once() -> None:
    a, b = (Row(name, depth=Depth(2, 1, 5, True, "arn:dead")) for name in "ab")
    c = Row("c", depth=Depth(1, 0, None, has_dead_letters=False))
    total = lines_of(replace(LOOK, rows=[a, b, c]), 120, 20)[-2]
    assert total.split()[-3:] == ["5", "2", "5"]
    assert len(lines_of(replace(LOOK, rows=[a]), 120, 20)) == 3


def test_a_low_terminal_shows_the_first_queues_and_counts_the_others() -> None:
    look = replace(LOOK, rows=[Row(f"q{number}") for number in range(20)])
    assert len(lines_of(look, 80, 23)) == 23
    lines = lines_of(look, 80, 10)
    assert len(lines) == 10
    assert [line.split()[0] for line in lines[1:7]] == [f"q{number}" for number in range(6)]
    assert lines[7] == "and 14 more queues"
    assert lines[8].startswith("total ")
    assert lines_of(look, 80, 3) == lines[-1:]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drain_seconds": 5, "busy": 0}, "draining: waiting for an open receive, 5s left"),
        ({"drain_seconds": 17.6}, "draining: 6 jobs running, 18s left"),
        ({"drain_seconds": 5, "is_quiet": True, "busy": 1}, "draining: 1 job running, 5s left"),
        ({"is_quiet": True}, "quiet: 6 jobs running, not receiving"),
        ({"slots": 0}, "no worker is running"),
        ({"has_ended": True, "drain_seconds": 5}, "stopped"),
    ],
)
def test_it_shows_the_state_of_the_worker(changes: dict[str, object], said: str) -> None:
    assert lines_of(replace(LOOK, **changes), 120, 20)[-1].split(" · ")[0] == said  # type: ignore[arg-type]  # rows of the table


def test_only_figures_that_need_attention_are_colored() -> None:
    lines = lines_of(LOOK, 80, 20, colored=True)
    assert lines[0].startswith("\x1b[2mqueue")
    assert "\x1b[31m     3\x1b[0m" in lines[1]
    assert "\x1b[" not in lines[2] + lines[3] + lines[5]
    assert lines_of(replace(LOOK, is_quiet=True), 80, 20, colored=True)[-1].startswith("\x1b[33m")


def test_there_is_no_block_before_a_worker_has_started() -> None:
    assert lines_of(Look([Row("emails")], was_up=False), 100, 24) == []
