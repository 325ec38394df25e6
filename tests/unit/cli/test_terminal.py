"""Output on a pseudo-terminal, as a user sees it."""

import json
import os
import pty
import re
import select
import signal
import time
from collections.abc import Sequence

import pytest

from sqsw_cli.terminal import wrapped
from tests.unit.cli.conftest import Sqsw


def on_terminal(
    sqsw: Sqsw,
    words: str,
    answers: Sequence[tuple[str, str]] = (),
    *,
    columns: int = 100,
    color: bool = False,
) -> tuple[int, str]:
    """Run on a pseudo-terminal; type each answer after its question appears."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.environ |= {
            "COLUMNS": str(columns),
            "TERM": "xterm",
            **({} if color else {"NO_COLOR": "1"}),
        }
        command = sqsw.command(words)
        os.execv(command[0], command)
    said, left, typed, deadline = b"", list(answers), "", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            # Python does not notice a signal that arrives just before it waits for a key.
            if typed == "\x03":
                os.write(descriptor, typed.encode())
            continue
        try:
            chunk = os.read(descriptor, 65_536)
        except OSError:  # the error of Linux after the other side is closed
            break
        if not chunk:
            break
        said += chunk
        if left and left[0][0].encode() in said:
            typed = left.pop(0)[1]
            os.write(descriptor, typed.encode())
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(status), said.decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue reports")
    for number in range(2):
        sqsw(f"send emails send_email to=user{number}@example.com subject=x")


def test_queues_are_a_table(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "inspect")
    assert code == 0
    assert re.fullmatch(
        "queue    ready  in flight  delayed  dead  oldest  dead-letter queue  type\n"
        r"emails       2          0        0     0 +(\d+m)?\d*s?  emails_dead        standard\n"
        "reports      0          0        0  none                             standard\n",
        said,
    )
    _, said = on_terminal(sqsw, "inspect emails_dead reports")
    assert "emails_dead      0          0        0  none  DLQ of emails      standard" in said
    code, narrow = on_terminal(sqsw, "inspect", columns=20)
    assert code == 0
    assert [line.split() for line in narrow.splitlines()] == [
        ["queue", "ready", "dead"],
        ["emails", "2", "0"],
        ["reports", "0", "none"],
    ]


def test_a_long_queue_name_hides_neither_counts_nor_dead_letters(sqsw: Sqsw) -> None:
    sqsw(
        "create-queue nightly-customer-account-reports --dlq nightly-customer-account-reports_dead"
    )
    _, said = on_terminal(sqsw, "inspect", columns=80)
    head, *rows = said.splitlines()
    assert head.split()[:5] == ["queue", "ready", "in", "flight", "delayed"]
    assert " dead " in f"{head} "
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert any(row.startswith("nightly-") and "…" in row.split()[0] for row in rows)


def test_dead_letters_are_red_and_zero_is_not(sqsw: Sqsw) -> None:
    assert "\x1b[31m" not in on_terminal(sqsw, "inspect", color=True)[1]
    sqsw("send emails_dead send_email")
    assert re.search(r"\x1b\[31m *1\x1b\[0m", on_terminal(sqsw, "inspect", color=True)[1])


def test_only_terminals_get_color_unless_requested(sqsw: Sqsw) -> None:
    assert "\x1b[" in on_terminal(sqsw, "inspect", color=True)[1]
    assert "\x1b[" not in on_terminal(sqsw, "inspect --color never", color=True)[1]
    assert "\x1b[" in sqsw.process("sned --color always").err
    assert "\x1b[" in sqsw.process("sned", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).err
    assert "\x1b[" not in sqsw.process("sned").err


def test_the_headings_of_the_help_are_bold(sqsw: Sqsw) -> None:
    _, said = on_terminal(sqsw, "purge --help", columns=80, color=True)
    headings = re.findall(r"^\x1b\[1m(.+?):\x1b\[0m", said, re.M)
    assert headings == ["Usage", "Examples", "Options", *headings[3:4], "Global options"]
    assert max(map(len, re.sub(r"\x1b\[\d+m", "", said).splitlines())) <= 80
    assert "\x1b[" not in on_terminal(sqsw, "purge --help")[1]
    assert "\x1b[" in sqsw.process("purge --help --color always").out


def test_a_queue_in_detail(sqsw: Sqsw) -> None:
    _, said = on_terminal(sqsw, "inspect emails")
    lines = said.splitlines()
    assert lines[0].startswith("emails     standard · http")
    assert lines[3].startswith("  oldest message ")
    assert [*lines[1:3], lines[4]] == [
        "  ready 2 · in flight 0 · delayed 0",
        "  visibility timeout 30s · retention 4d · delay 0 · max 1 MiB · SQS-managed key",
        "  dead letters to emails_dead (0) after 12 receives",
    ]


def test_purge_asks_for_the_name(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "purge emails", [("continue: ", "other\n")])
    assert code == 1
    assert sqsw.visible("emails") == 2
    code, said = on_terminal(sqsw, "purge emails", [("continue: ", "emails\n")])
    assert code == 0
    assert said == (
        "emails holds about 2 messages: 2 ready, 0 in flight, 0 delayed.\n"
        "Purging deletes all of them and cannot be undone.\n"
        "Type the queue name to continue: emails\n"
        "✓ emails purged: 2 messages deleted\n"
    )
    assert sqsw.visible("emails") == 0


def test_a_selection_shows_its_progress(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "purge emails --job send_email --limit 1 --yes", columns=80)
    assert code == 0
    assert "emails: looked at 2 of about 2 · 0 deleted · 0:00" in said
    # The message's line is above it, and the summary replaces it.
    assert re.search(r"\x1b\[2K(\x1b\[\?25h)?deleted  \w{8}  send_email", said)
    code, said = on_terminal(sqsw, "redrive emails --to reports --dry-run", columns=80)
    assert "looked at 1 of about 1 · 1 would be moved" in said
    code, said = on_terminal(sqsw, "redrive emails --to reports --filter args.n=1", columns=80)
    assert "emails: looked at 1 of about 1 · 0 moved · 0:00" in said


def test_messages_that_cannot_be_peeked_are_counted(sqsw: Sqsw) -> None:
    sqsw("send reports build --delay 5m")
    sqsw("send reports build")
    assert on_terminal(sqsw, "inspect reports --peek 5 --job other")[1] == (
        "no message matches the selection; hidden for now: 1 delayed\n"
    )
    assert on_terminal(sqsw, "inspect emails --peek 5 --job other")[1] == (
        "no message matches the selection\n"
    )
    sqsw.env.queue_client("reports").receive(1, wait_seconds=0)
    assert on_terminal(sqsw, "inspect reports --peek 5 --count-by job")[1] == (
        "no ready messages; hidden for now: 1 in flight, 1 delayed\n"
    )


def test_lines_break_between_words(sqsw: Sqsw) -> None:
    _, said = on_terminal(sqsw, "inspect emials", columns=40)
    text = f"error: no queue named 'emials' in local file {sqsw.home / 'local.db'}"
    assert said.split()[: len(text.split())] == text.split()
    assert said.splitlines()[-4:] == [
        "  why:  SQS does not know the name",
        "        'emials' [QueueDoesNotExist]",
        "  next: did you mean 'emails'? To create",
        "        it: sqsw create-queue emials",
    ]
    _, said = on_terminal(sqsw, "inspect emails", columns=40)
    assert "  visibility timeout 30s · retention 4d\n  · delay 0 · max 1 MiB" in said


@pytest.mark.parametrize(
    ("text", "columns", "hanging", "lines"),
    [
        ("one two three", None, 0, ["one two three"]),
        ("one two three", 9, 2, ["one two", "  three"]),
        ("a_word_that_is_longer yes", 10, 0, ["a_word_that_is_longer", "yes"]),
        ("1,204 is one", 12, 0, ["1,204 is one"]),
        ("1,204 is one", 10, 0, ["1,204 is", "one"]),
        # A command stays in one piece, so that it can be copied, and the terminal breaks it.
        ("write: sqsw send a b; or not", 12, 2, ["write:", "  sqsw send a b;", "  or not"]),
    ],
)
def test_a_line_breaks_at_the_width_of_the_terminal(
    text: str, columns: int | None, hanging: int, lines: list[str]
) -> None:
    assert wrapped(text, columns, hanging).splitlines() == lines


def test_ctrl_c_at_a_question_is_an_interrupt(sqsw: Sqsw) -> None:
    code, _ = on_terminal(sqsw, "purge emails", [("continue: ", "\x03")])
    assert code == 130
    assert sqsw.visible("emails") == 2


def test_create_queue_shows_the_queue_and_the_next_command(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "create-queue --fifo --dlq orders_dead", columns=80)
    assert code == 0
    assert said == (
        "✓ orders_dead.fifo  created  FIFO · keeps 14d\n"
        "✓ orders.fifo       created  FIFO · after 12 receives to orders_dead.fifo "
        "·\n  visibility timeout 30s · keeps 4d\n"
        "\nnext: sqsw send orders.fifo JOB key=value --dedup-id ID\n"
    )


def test_a_worker_shows_a_banner(sqsw: Sqsw) -> None:
    words = "work myapp.tasks:env -Q emails,weight=3 --max-jobs 2"
    code, said = on_terminal(sqsw, words, columns=300)
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("sqsw ")
    assert lines[1:4] == [
        "  app      myapp.tasks:env",
        f"  sqs      local file {sqsw.home / 'local.db'}",
        "  queues   emails   2 jobs   weight 3",
    ]
    assert (
        "\n  jobs     8 at a time; visibility timeout of the queue, renewed while they run\n"
        "  stop     Ctrl-C waits for running jobs (up to 25s), a second one stops at once\n"
    ) in said
    assert "\n  retries  emails   for 34m, then emails_dead\n" in said
    assert " ✓ emails send_email " in said
    assert "worker started" not in said
    assert "warning" not in said


def test_the_help_is_shown_instead_of_waiting_for_typed_input(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "send emails send_email --from -")
    assert code == 2
    assert said.startswith("Usage: sqsw send ")
    assert "error: '-' reads stdin, but stdin is a terminal\n" in said
    assert said.splitlines()[-1].startswith("  next: use PROGRAM | sqsw send …")


def test_the_next_command_is_named_only_after_a_change(sqsw: Sqsw) -> None:
    for words, shown in (
        ("create-queue new.fifo --content-dedup --dry-run", None),
        ("create-queue new.fifo --content-dedup", "next: sqsw send new.fifo JOB key=value\n"),
        ("create-queue new.fifo", None),
    ):
        code, said = on_terminal(sqsw, words)
        assert code == 0
        assert said.endswith(shown) if shown else "next:" not in said


LONG = "x" * 900_000


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("inspect long --peek 5", ["id", "job", "sent", "receives", "arguments", "1=2"]),
        ("inspect long --peek 5 --count-by job", ["job", "count", "oldest", "newest"]),
        ("inspect long --peek 5 --count-by args", ["args", "count", "oldest", "newest"]),
        ("inspect", ["queue", "ready", "in flight", "delayed"]),
        ("purge long --limit 5 --dry-run", ["would delete", "1=2"]),
    ],
)
def test_a_long_cell_is_cut_and_hides_no_column(sqsw: Sqsw, words: str, kept: list[str]) -> None:
    sqsw("create-queue long")
    sqsw(f"create-queue {'q' * 80}")
    line = json.dumps({"job": LONG, "args": {"1": 2, "y": LONG[:90_000]}})
    assert sqsw("send long --from -", input=f"{line}\n").code == 0
    code, said = on_terminal(sqsw, words, columns=80)
    assert code == 0
    assert all(word in said for word in kept), said
    assert "…" in said
    assert len(said) < 1_500


def test_a_pipe_gets_full_values(sqsw: Sqsw) -> None:
    line = json.dumps({"job": LONG, "args": {}})
    sqsw("send reports --from -", input=f"{line}\n")
    assert LONG in sqsw("inspect reports --peek 5").out
    assert LONG in sqsw("inspect reports --peek 5 --count-by job").out


def test_registered_jobs_have_all_columns_at_80_characters(sqsw: Sqsw) -> None:
    (sqsw.home / "long_module_name_for_reports.py").write_text(
        "from sqsw import SQSEnv\n"
        "env = SQSEnv()\n"
        "@env.processor('nightly-customer-account-reports', 'build_quarterly_report')\n"
        "def build_quarterly_report_for_customer(customer: int, year: int) -> None: ...\n"
    )
    words = "inspect --tasks --app long_module_name_for_reports:env --no-plugins"
    code, said = on_terminal(sqsw, words, columns=80)
    assert code == 0
    head, row = said.splitlines()
    assert head.split() == ["queue", "job", "function", "from", "signature"]
    assert len(row) <= 80
    assert row.startswith("nightl") and " app " in row and "(customer" in row
