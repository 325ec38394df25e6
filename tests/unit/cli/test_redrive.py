"""``sqsw redrive``."""

import pytest

from sqsw_cli.output.progress import Bar
from tests.unit.cli.conftest import Sqsw


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    """Put three dead letters of foo into foo_dead."""
    sqsw("create-queue foo --dlq foo_dead --max-receives 1 --visibility-timeout 0")
    client = sqsw.env.queue_client("foo")
    for job in ("a", "b", "b"):
        sqsw(f"send foo {job} n:=1")
    for _ in range(2):
        client.receive(10)
    assert (sqsw.visible("foo"), sqsw.visible("foo_dead")) == (0, 3)


def test_without_a_selection_sqs_moves_all_messages(sqsw: Sqsw) -> None:
    ran = sqsw("redrive foo_dead")
    assert (ran.code, ran.out) == (0, "moved\t3\n")
    assert (sqsw.visible("foo"), sqsw.visible("foo_dead")) == (3, 0)
    again = sqsw("redrive foo_dead")
    assert (again.code, again.out) == (0, "moved\t0\n")
    (first, *_) = sqsw("redrive foo_dead --status --json").objects
    assert (first["type"], first["source"], first["status"]) == ("move", "foo_dead", "COMPLETED")


def test_json_ends_with_a_summary(sqsw: Sqsw) -> None:
    ran = sqsw("redrive foo_dead --json")
    assert {one["type"] for one in ran.objects[:-1]} == {"move"}
    summary = ran.objects[-1]
    assert summary["command"] == "redrive"
    assert (summary["moved"], summary["skipped"], summary["failed"]) == (3, 0, 0)


def test_with_a_selection_sqsw_moves_the_messages(sqsw: Sqsw) -> None:
    ran = sqsw("redrive foo_dead --job b --limit 1")
    assert ran.code == 0
    (line,) = ran.out.splitlines()
    assert line.startswith("moved\t")
    assert (sqsw.visible("foo"), sqsw.visible("foo_dead")) == (1, 2)


def test_a_dry_run_moves_nothing(sqsw: Sqsw) -> None:
    ran = sqsw("redrive foo_dead --filter args.n=1 --limit 3 --dry-run --json")
    assert [one["action"] for one in ran.objects[:-1]] == ["would_move"] * 3
    assert sqsw.visible("foo_dead") == 3


def test_a_queue_that_is_not_a_dead_letter_queue_needs_a_destination(sqsw: Sqsw) -> None:
    sqsw("create-queue jobs")
    ran = sqsw("redrive jobs")
    assert ran.code == 1
    assert ran.err.splitlines()[0] == "error: 'jobs' is not the dead-letter queue of any queue"
    assert sqsw("redrive foo_dead --to jobs").code == 0
    assert sqsw.visible("jobs") == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--status --cancel", 2, "--status and --cancel must be used alone"),
        ("--status --to x", 2, "--status and --cancel must be used alone"),
        ("--dry-run --rate 1", 2, "--dry-run and --rate cannot be used together"),
        ("--job a --no-wait", 2, "this move cannot run in the background"),
        ("--filter nonsense", 2, "invalid value for '--filter'"),
        ("--cancel", 3, "no move out of 'foo_dead' is running"),
        ("--to nowhere", 3, "no queue named 'nowhere'"),
    ],
)
def test_errors(sqsw: Sqsw, words: str, code: int, message: str) -> None:
    ran = sqsw(f"redrive foo_dead {words}")
    assert ran.code == code
    assert ran.err.startswith(f"error: {message}")


def test_a_cancelled_move_shows_the_name_of_its_queue(sqsw: Sqsw) -> None:
    url = sqsw.env.queue_client("foo_dead").url
    started = sqsw(f"redrive {url} --rate 1 --no-wait")
    assert started.err == f"the move has started; to follow it: sqsw redrive {url} --status\n"
    (move,) = sqsw(f"redrive {url} --cancel --json").objects
    assert (move["source"], move["status"]) == ("foo_dead", "CANCELLING")


NO_MOVES = (
    "SQS lists no moves from foo_dead; "
    "sqsw itself moves selected messages, so SQS does not list them\n"
)


def test_a_queue_without_moves_is_reported(sqsw: Sqsw) -> None:
    ran = sqsw("redrive foo_dead --status")
    assert (ran.code, ran.out, ran.err) == (0, "", NO_MOVES)
    assert sqsw("redrive foo_dead --status --json").err == ""


def test_no_progress_bar_is_shown_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("foo_dead → foo", shown=True, color=False) as bar:
        bar.at(0, 0)
    assert capsys.readouterr().err == ""


def test_a_queue_that_refuses_dead_letters_is_not_moved_in_the_background(sqsw: Sqsw) -> None:
    sqsw("send foo a")
    ran = sqsw("redrive foo --to foo_dead --no-wait")
    assert (ran.code, ran.out) == (2, "")
    assert "this move cannot run in the background" in ran.err
    assert sqsw.visible("foo") == 1
