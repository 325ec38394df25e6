"""Log lines for people."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sqsw.context import job_scope
from sqsw.core.dead_record import DeadRecord
from sqsw.core.events import (
    AckFailed,
    ChildExited,
    ChildReplaced,
    DrainStarted,
    Event,
    JobDead,
    JobDone,
    JobFailed,
    JobKilledProcess,
    JobRetry,
    JobStarted,
    JobStuck,
    JobUnknown,
    JobUnrun,
    LeaseLost,
    QuietStarted,
    ReceiveDone,
    ReceiveError,
    Reloading,
    TickMissed,
    TickSent,
    TickSkipped,
    WorkerStopped,
)
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.message import Message
from sqsw.observe.logs import LogListener
from sqsw_cli.invocation import Invocation
from sqsw_cli.working.logs import configure_logs

MESSAGE = Message(
    "1de8908d-c1fc-4b29-877a-b35fbb7ded68", "handle", "", attributes={}, queue_name="emails"
)
ERROR = ConnectionError("smtp server said no to user79@example.com\nand more")
AT = datetime(2026, 10, 25, 1, tzinfo=UTC)
LONG = replace(
    MESSAGE,
    queue_name="nightly-customer-account-reports",
    attributes={"ApproximateReceiveCount": "12", "MessageGroupId": "acct2"},
)
Say = Callable[..., list[str]]


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001  # with its traceback
        return caught


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """Log events, and return the lines without the time."""

    def log(*events: Event, columns: int | None = 80, **options: object) -> list[str]:
        monkeypatch.setattr("sqsw_cli.working.logs.columns_of", lambda stream: columns)
        invocation = Invocation((), log_format="console", **{"color": "never", **options})
        configure_logs(invocation, daemon=True)
        listener = LogListener()
        for event in events:
            listener(event)
        said = capsys.readouterr().err
        assert columns is None or all(len(line) <= columns for line in said.splitlines())
        return re.sub(r"(?m)^(\x1b\[2m)?\d\d:\d\d:\d\d(\x1b\[0m)? ", "", said).splitlines()

    yield log
    logging.getLogger().handlers.clear()


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (
            JobDone(MESSAGE, "send_email", 0.15),
            ["✓ emails send_email           0.15s                            bb7ded68"],
        ),
        (
            JobFailed(MESSAGE, "send_email", 12.345, ERROR, 2),
            [
                "↻ emails send_email           12.3s  attempt 1, again in 2s    bb7ded68",
                "           ConnectionError: smtp server said no to user79@example.com",
            ],
        ),
        (
            JobRetry(MESSAGE, "send_email", 0.15, 0),
            ["↻ emails send_email           0.15s  attempt 1, again now      bb7ded68"],
        ),
        (
            JobRetry(MESSAGE, "send_email", 200, 9, "emails_dead", None, "last_attempt"),
            ["✗ emails send_email       3m20s  attempt 1 of 1 → emails_dead  bb7ded68"],
        ),
        (
            JobFailed(LONG, "build_report_for_customer", 0.15, ERROR, 43_000, None, "gave_up"),
            [
                "✗ nightly-cus…ports build_repor…tomer  0.15s  gave up, no DLQ  bb7ded68",
                "           ConnectionError: smtp server said no to user79@example.com",
                "  | ConnectionError: smtp server said no to user79@example.com",
                "  | and more",
            ],
        ),
        (
            JobUnknown(MESSAGE, "send_mail", ERROR, 300),
            ["! emails send_mail                  no processor, again in 5m  bb7ded68"],
        ),
        (
            JobUnrun(MESSAGE, "send_email", "emails_dead"),
            [
                "✗ emails send_email                  not run → emails_dead     bb7ded68",
                "           returned on its last receive before it could run",
            ],
        ),
        (
            JobKilledProcess(MESSAGE, "send_email", -9, None),
            ["✗ emails send_email              killed its process (SIGKILL)  bb7ded68"],
        ),
        (
            JobKilledProcess(MESSAGE, "send_email", 3, 1 << 29, 4),
            [
                "✗ emails send_email                process died (exit code 3)  bb7ded68",
                "           one of 4 jobs that ran in it; it had 512 MiB of memory shortly before",
            ],
        ),
        (
            JobStuck(MESSAGE, "send_email"),
            ["✗ emails send_email                  over its time limit       bb7ded68"],
        ),
        (
            LeaseLost(MESSAGE, "SQS refused it"),
            [
                "! emails                             visibility timeout lost   bb7ded68",
                "           SQS refused it",
            ],
        ),
        (
            AckFailed(MESSAGE, "delete", "no network"),
            [
                "✗ emails                             delete failed             bb7ded68",
                "           no network",
            ],
        ),
        (
            TickSkipped(MESSAGE),
            ["· emails                         skipped, a newer tick is due  bb7ded68"],
        ),
        (
            TickMissed("nightly", "cron.fifo", AT, AT, 1, "started"),
            [
                "· nightly: did not send the tick of 2026-10-25T01:00:00Z",
                "           it was due before this worker started; another worker may have sent …",
            ],
        ),
        (
            TickMissed("hourly", "cron.fifo", AT, AT + timedelta(hours=2), 3, "late"),
            [
                "! hourly: did not send 3 ticks, 2026-10-25T01:00:00Z to",
                "  2026-10-25T03:00:00Z",
                "           this worker was suspended, or its clock jumped",
            ],
        ),
        (
            TickMissed("nightly", "cron.fifo", AT, AT, 1, "failed", ConnectionError("no network")),
            [
                "! nightly: did not send the tick of 2026-10-25T01:00:00Z",
                "           no network",
            ],
        ),
        (
            DrainStarted("SIGINT", 2, 17, 25),
            ["■ draining (Ctrl-C): 2 running, 17 returned, up to 25s"],
        ),
        (
            ChildExited(77, -9, "killed by SIGKILL"),
            ["✗ process 77 ended with exit code -9", "           killed by SIGKILL"],
        ),
        (ChildReplaced(77, "SIGHUP"), ["■ process 77 is replaced (SIGHUP)"]),
        (
            Reloading(("myapp/tasks.py", "myapp/util.py")),
            ["■ reloading: myapp/tasks.py, myapp/util.py changed"],
        ),
        (WorkerStopped("idle", 1), ["■ stopped (idle), 1 unfinished"]),
        (
            QuietStarted("SIGUSR2", 2, "to receive again, restart it"),
            [
                "■ quiet (SIGUSR2): 2 running, no more receives",
                "           to receive again, restart it",
            ],
        ),
        (
            ReceiveError("emails", ERROR, 2.0),
            [
                "! emails: receive failed, again in 2s",
                "           smtp server said no to user79@example.com\\nand more",
            ],
        ),
    ],
)
def test_an_event_is_one_line_and_its_reason_another(
    say: Say, event: Event, lines: list[str]
) -> None:
    assert say(event) == lines


def test_a_sent_tick_is_shown_on_request(say: Say) -> None:
    event = TickSent("nightly", "cron.fifo", AT)
    assert say(event) == []
    (line, *_) = say(event, verbose=1)
    assert line == "· nightly: sent the tick of 2026-10-25T01:00:00Z"


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            40,
            [
                "↻ emails send_email       0.15s",
                "  attempt 1, again in 2s bb7ded68",
                "  ConnectionError: smtp server said no …",
            ],
        ),
        (
            120,
            [
                f"↻ emails send_email {'':>18}  0.15s  attempt 1, again in 2s {'':>12} bb7ded68",
                "           ConnectionError: smtp server said no to user79@example.com",
            ],
        ),
    ],
)
def test_a_line_fits_the_width_of_the_terminal(say: Say, columns: int, lines: list[str]) -> None:
    assert say(JobFailed(MESSAGE, "send_email", 0.15, ERROR, 2), columns=columns) == lines


def test_long_names_are_cut_on_terminals_only(say: Say) -> None:
    failed = JobFailed(LONG, "j" * 90, 0.15, ERROR, 43_000, "d" * 70, "last_attempt")
    for columns in range(40, 200):
        assert say(replace(failed, error=ValueError("no")), columns=columns)
    (line, *_) = say(failed, columns=None)
    assert f"{LONG.queue_name} {'j' * 90}  0.15s  attempt 12 of 12 → {'d' * 70}  bb7ded68" in line


def test_a_message_group_is_shown_if_it_fits(say: Say) -> None:
    message = replace(MESSAGE, attributes={"MessageGroupId": "acct2"})
    assert say(JobDone(message, "book", 0.3))[0].startswith("✓ emails book acct2  ")
    message = replace(MESSAGE, attributes={"MessageGroupId": "a" * 30})
    assert say(JobDone(message, "book", 0.3))[0].startswith("✓ emails book    ")


@pytest.mark.parametrize(
    ("verdict", "verbose", "is_shown"),
    [(None, 0, False), (None, 1, True), ("last_attempt", 0, True), ("gave_up", 0, True)],
)
def test_a_traceback_is_shown_for_the_last_attempt_or_on_request(
    say: Say, verdict: str | None, verbose: int, is_shown: bool
) -> None:
    failed = JobFailed(MESSAGE, "send", 0.15, raised(ValueError("no")), 2, None, verdict)  # type: ignore[arg-type]  # rows of a table
    lines = say(failed, columns=None, verbose=verbose)
    assert ("  | Traceback (most recent call last):" in lines) is is_shown
    assert any("job_id=" in line for line in lines) is bool(verbose)


def test_a_killed_job_has_no_second_line(say: Say) -> None:
    record = DeadRecord("last_attempt", None, None, None, "f", 5, 5, None, "", "emails", "w")
    dead = JobDead(MESSAGE, "send_email", "emails_dead", record)
    assert say(dead) == []
    assert "→ emails_dead" in say(dead, columns=None, verbose=1)[0]
    killed = replace(dead, record=replace(record, verdict="killed_process"))
    assert "crashed → emails_dead" in say(killed, columns=None, verbose=1)[0]


def test_only_the_mark_is_colored_and_only_the_last_attempt_is_red(say: Say) -> None:
    done, failed, dead = (
        say(event, columns=None, color="always")[0]
        for event in (
            JobDone(MESSAGE, "send", 0.15),
            JobFailed(MESSAGE, "send", 0.15, ERROR, 2),
            JobFailed(MESSAGE, "send", 0.15, ERROR, 2, "emails_dead", "last_attempt"),
        )
    )
    assert done.startswith("\x1b[32m✓\x1b[0m emails send ")
    assert "\x1b[31m" not in done + failed
    assert "\x1b[33mattempt 1, again in 2s\x1b[0m" in failed
    assert "\x1b[31mattempt 1 of 1 → emails_dead\x1b[0m" in dead


def test_all_lines_of_a_traceback_are_dim(say: Say) -> None:
    failed = JobFailed(MESSAGE, "s", 1, raised(ValueError("a\nb")), 2, None, "gave_up")
    _, below, *trace = say(failed, columns=None, color="always")
    assert below == "           ValueError: a"
    assert trace[-1] == "\x1b[2m  | b\x1b[0m"
    assert all(re.fullmatch(r"\x1b\[2m  \| .*\x1b\[0m", line) for line in trace)


def test_other_events_show_their_text_and_values(say: Say) -> None:
    assert say(JobStarted(MESSAGE, "send")) == []
    assert say(ReceiveError("emails", ERROR, 2), ReceiveDone("emails", 0))[-1] == (
        "✓ emails: received again"
    )


def test_names_from_senders_are_escaped(say: Say) -> None:
    (line,) = say(JobUnknown(MESSAGE, "a\x1b[2Jb\n", ERROR, 300))
    assert "emails a\\x1b[2Jb\\n  " in line


def test_a_line_of_an_app_shows_its_values(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    say()
    extra = {"pages": 3, "note": "two words", "path": "/tmp/x"}
    logging.getLogger("tasks").warning("built", extra=extra)
    said = capsys.readouterr().err
    assert re.fullmatch(r"[\d:]{8} ! built  \[tasks\] pages=3 note='two words' path=/tmp/x\n", said)


def test_a_line_from_a_job_shows_its_job_in_short_form(
    say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns, said in ((80, "built  [tasks] emails send_email bb7ded68"), (40, "bb7ded68")):
        say(columns=columns)
        with job_scope(CurrentJob((MESSAGE,), "send_email", {})):
            logging.getLogger("tasks").info("built")
        line = capsys.readouterr().err.rstrip()
        assert line.endswith(said)
        assert len(line) <= columns


@pytest.mark.parametrize(
    ("job_id", "shown"),
    [("01a22c9f-77dc-7815-84f0-5cb23b0f1062", "3b0f1062"), ("invoice-10001", "1de8908d")],
)
def test_inspect_finds_the_shown_id(job_id: str, shown: str, say: Say) -> None:
    metadata = {"DataType": "String", "StringValue": f'{{"id":"{job_id}"}}'}
    message = replace(MESSAGE, message_attributes={"Sqsw": metadata})
    assert say(JobDone(message, "send_email", 0.15))[0].endswith(f"  {shown}")
