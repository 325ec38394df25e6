"""``sqsw send``."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sqsw.sqs_manage.message_view import MessageView, view_message
from tests.job_ids import is_new
from tests.unit.cli.conftest import Sqsw, lines


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("create-queue orders.fifo")


def received(sqsw: Sqsw, queue: str = "emails", count: int = 1) -> list[MessageView]:
    client = sqsw.env.queue_client(queue)
    found = [view_message(message) for message in client.receive(10, wait_seconds=0)]
    assert len(found) == count
    return found


def test_items_become_arguments(sqsw: Sqsw, home: Path) -> None:
    (home / "letter.txt").write_text("Dear …")
    (home / "formats.json").write_text('["pdf"]')
    ran = sqsw("send emails build to=a year:=2026 body=@letter.txt formats:=@formats.json")
    assert ran.code == 0
    (view,) = received(sqsw)
    assert ran.out == f"{view.id}\n"
    assert view.job == "build"
    assert view.args == {"to": "a", "year": 2026, "body": "Dear …", "formats": ["pdf"]}
    assert view.context == {}


def test_items_override_data(sqsw: Sqsw, home: Path) -> None:
    (home / "data.json").write_text('{"a": 1, "b": 2}')
    assert (
        sqsw("send emails build --data @data.json b:=3 --context user:=7 --context x=y").code == 0
    )
    (view,) = received(sqsw)
    assert view.args == {"a": 1, "b": 3}
    assert view.context == {"user": 7, "x": "y"}


def test_json_prints_one_object(sqsw: Sqsw) -> None:
    (sent,) = sqsw("send orders.fifo ship id:=17 --group c4 --dedup-id o17 --json").objects
    assert sent["type"] == "sent"
    assert (sent["queue"], sent["job"], sent["line"]) == ("orders.fifo", "ship", 1)
    assert (sent["group"], sent["dedup_id"]) == ("c4", "o17")
    assert sent["sequence_number"].isdigit()
    assert is_new(sent["job_id"])
    (view,) = received(sqsw, "orders.fifo")
    assert (view.id, view.job_id) == (sent["id"], sent["job_id"])


def test_a_dry_run_shows_the_job_id_of_a_line(sqsw: Sqsw) -> None:
    text = '{"job": "a", "args": {}, "job_id": "order-7"}\n{"job": "a", "args": {}}'
    ran = sqsw("send", "emails", "--from", "-", "--dry-run", "--json", input=text)
    assert [one.get("job_id") for one in ran.objects[:2]] == ["order-7", None]


def test_a_raw_body_is_sent_unchanged(sqsw: Sqsw, home: Path) -> None:
    (home / "event.json").write_text('{"a":  1}\n')
    for words, input in (
        (["send", "emails", "--raw", '{"b":  2}'], None),
        (["send", "emails", "--raw", "@event.json"], None),
        (["send", "emails", "--raw", "-"], "typed\n"),
    ):
        assert sqsw(*words, input=input).code == 0
    bodies = {view.body for view in received(sqsw, count=3)}
    assert bodies == {'{"b":  2}', '{"a":  1}\n', "typed\n"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("send emails", "no JOB is given"),
        ("send emails j a=1 a=2", "the argument 'a' is given twice"),
        ("send emails j word", "'word' is not an argument for a job"),
        ("send emails j --data [1]", "the value of --data is not a JSON object"),
        ("send emails --raw", "no body is given"),
        ("send emails --raw a b=1", "--raw takes one body"),
        ("send emails --raw a --context x=y", "--raw takes neither"),
        ("send emails j --failed x", "--failed needs --from"),
        ("send emails --raw a --app no.such", "--app has no effect with --raw"),
        ("send emails --raw a --no-plugins", "--no-plugins has no effect with --raw"),
        ("send emails a=1", "no JOB is given"),
        (
            "send emails j --from jobs.jsonl --dry-run --failed x",
            "--failed with --dry-run needs --keep-going",
        ),
        ("send emails j --keep-going", "--keep-going needs --from"),
        ("send emails j a=1 --from jobs.jsonl", "--from and 'a=1' cannot be used together"),
        ("send emails j --data {} --from jobs.jsonl", "--from and --data cannot be used together"),
        ("send emails j --dedup-id 1 --from jobs.jsonl", "--from and --dedup-id cannot be used"),
        (
            "send emails j --from jobs.jsonl --failed jobs.jsonl",
            "--from and --failed are the same file",
        ),
        ("send emails j --delay 20m", "a delay of 20m is too long"),
        (
            "send orders.fifo j --dedup-id 1 --delay 5m",
            "'orders.fifo' does not support a delay per message",
        ),
        ("send orders.fifo j", "'orders.fifo' needs a deduplication id"),
    ],
)
def test_options_that_would_be_ignored_or_refused_are_errors(
    sqsw: Sqsw, home: Path, words: str, message: str
) -> None:
    (home / "jobs.jsonl").write_text("{}\n")
    ran = sqsw(words)
    assert ran.code == 2, ran.err
    assert ran.err.startswith(f"error: {message}")
    assert (home / "jobs.jsonl").read_text() == "{}\n"
    assert sqsw.visible("emails") == 0


def test_arguments_are_checked_against_the_app(sqsw: Sqsw, home: Path) -> None:
    ran = sqsw("send emails send_email to=a subjct=b --app myapp.tasks:env")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: 'send_email' does not take these arguments",
        "  why:  missing 'subject'; unexpected 'subjct'; signature (to, subject, body='')",
        "  next: fix the arguments; to send them anyway, add --no-check",
    ]
    ran = sqsw("send emails send_emil --app myapp.tasks:env")
    assert ran.code == 3
    assert "did you mean 'send_email'?" in ran.err
    (home / "sqsw.toml").write_text('app = "myapp.tasks:env"\n')
    assert sqsw("send emails send_email to=a").code == 2
    assert sqsw("send emails send_email to=a --no-check").code == 0
    # The error suggests this option at the end of the same line.
    assert sqsw("send emails send_email to=a --app myapp.tasks:env --no-check").code == 0
    assert sqsw("send emails send_email to=a subject=b").code == 0


def test_lines_are_arguments_of_the_job(sqsw: Sqsw, home: Path) -> None:
    (home / "jobs.jsonl").write_text(lines([{"to": f"u{n}"} for n in range(25)]) + "\n")
    ran = sqsw("send emails send_email --from jobs.jsonl --json")
    assert ran.code == 0
    *sent, summary = ran.objects
    assert sorted(one["line"] for one in sent) == list(range(1, 26))
    assert (summary["sent"], summary["failed"], summary["requests"]) == (25, 0, 3)
    assert sqsw.visible("emails") == 25


def test_lines_are_messages_without_a_job(sqsw: Sqsw) -> None:
    message = {
        "type": "message",
        "job": "ship",
        "args": {"id": 1},
        "context": {"user": 7},
        "group": "c4",
        "dedup_id": "o1",
        "receives": 3,
    }
    pickled: dict[str, Any] = {
        "job": "old",
        "args": None,
        "body": "gAJ9",
        "content_type": "pickle_compat",
    }
    pickled |= {"attributes": {"JobContext": "gAJ9x"}, "dedup_id": "o2"}
    raw = {"job": None, "body": "as it is", "dedup_id": "o3"}
    ran = sqsw("send orders.fifo --from -", input=lines([message, pickled, raw]))
    assert ran.code == 0, ran.err
    first, second, third = _all(sqsw, "orders.fifo")
    assert (first.job, first.args, first.context, first.group) == (
        "ship",
        {"id": 1},
        {"user": 7},
        "c4",
    )
    assert (second.job, second.body, second.content_type) == ("old", "gAJ9", "pickle_compat")
    assert second.attributes["JobContext"] == "gAJ9x"
    assert (third.job, third.body, third.raw) == (None, "as it is", True)


def _all(sqsw: Sqsw, queue: str) -> list[MessageView]:
    from sqsw.sqs_manage.peek import peek_messages

    return sorted(
        peek_messages(sqsw.env, queue, 10, poll_seconds=0), key=lambda view: view.dedup_id or ""
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[1]", "expected a JSON object, got a list"),
        ("{", "not JSON: "),
        ('{"job": 3}', "'job' is a number"),
        ('{"args": {}}', "it has neither 'job' nor 'body'"),
        ('{"job": "a", "delay": 1000}', "a delay of 16m40s is too long"),
    ],
)
def test_a_bad_line_stops_everything_before_the_first_send(
    sqsw: Sqsw, home: Path, line: str, why: str
) -> None:
    (home / "jobs.jsonl").write_text(lines([{"job": "a"}] * 16) + line + "\n")
    ran = sqsw("send emails --from jobs.jsonl")
    assert ran.code == 2
    first, second, third = ran.err.splitlines()
    assert first == "error: line 17 of jobs.jsonl is not valid"
    assert second.startswith(f"  why:  {why}")
    assert third == "  next: nothing was sent; fix the line, or skip bad lines with --keep-going"
    assert sqsw.visible("emails") == 0


def test_bad_lines_can_count_as_failed_and_be_kept(sqsw: Sqsw, home: Path) -> None:
    good: list[Any] = [{"to": "a"}, {"to": "b"}]
    (home / "jobs.jsonl").write_text(lines([good[0], [1], good[1]]))
    ran = sqsw("send emails j --from jobs.jsonl --keep-going --failed failed.jsonl --json")
    assert ran.code == 5
    failed = next(one for one in ran.objects if one["type"] == "failed")
    assert (failed["line"], failed["code"], failed["item"]) == (2, "InvalidLine", "[1]")
    assert (ran.objects[-1]["sent"], ran.objects[-1]["failed"]) == (2, 1)
    assert (home / "failed.jsonl").read_text() == "[1]\n"
    (home / "jobs.jsonl").write_text("[1]\n")
    assert sqsw("send emails j --from jobs.jsonl --keep-going").code == 1


def test_the_same_command_can_read_failed_lines(sqsw: Sqsw, home: Path) -> None:
    huge = {"to": "x" * 1_100_000}
    (home / "jobs.jsonl").write_text(lines([{"to": "a"}, huge]))
    ran = sqsw("send emails j --from jobs.jsonl --keep-going --failed failed.jsonl")
    assert ran.code == 5
    assert json.loads((home / "failed.jsonl").read_text()) == huge


def test_a_dry_run_sends_nothing(sqsw: Sqsw, home: Path) -> None:
    (home / "jobs.jsonl").write_text(lines([{"to": "a"}, {"to": "b"}]))
    ran = sqsw("send emails j --from jobs.jsonl --dry-run --json")
    assert [(one["type"], one["job"], one["args"]) for one in ran.objects] == [
        ("message", "j", {"to": "a"}),
        ("message", "j", {"to": "b"}),
    ]
    assert sqsw("send emails j to=a --dry-run").out == 'j\t{"to": "a"}\n'
    assert sqsw.visible("emails") == 0


def test_a_missing_queue_is_named_with_a_suggestion(sqsw: Sqsw) -> None:
    ran = sqsw("send emials x --queue-prefix ''".replace("''", '""'))
    assert ran.code == 3
    first, second, third = ran.err.splitlines()
    assert first == f"error: no queue named 'emials' in local file {sqsw.home / 'local.db'}"
    assert second == "  why:  SQS does not know the name 'emials' [QueueDoesNotExist]"
    assert third == "  next: did you mean 'emails'? To create it: sqsw create-queue emials"


def test_a_pipe_moves_messages_from_one_queue_to_another(sqsw: Sqsw) -> None:
    sqsw("send emails j a:=1 --context user=x")
    peeked = sqsw("inspect emails --peek 5 --json")
    sqsw("create-queue other")
    assert sqsw("send other --from -", input=peeked.out).code == 0
    (view,) = received(sqsw, "other")
    assert (view.job, view.args, view.context) == ("j", {"a": 1}, {"user": "x"})


def test_if_the_output_is_closed_requests_in_progress_are_finished(sqsw: Sqsw, home: Path) -> None:
    import subprocess

    (home / "jobs.jsonl").write_text(lines([{"n": number} for number in range(2000)]))
    command = shlex.join(sqsw.command("send", "emails", "j", "--from", "jobs.jsonl", "--json"))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
    )
    first, status = done.stdout.splitlines()
    assert json.loads(first)["type"] == "sent"
    assert (status, done.stderr) == ("0", "")
    sent = sqsw.visible("emails")
    assert 0 < sent < 2000


@pytest.mark.parametrize("depth", [101, 950, 100_000])
def test_deeply_nested_json_is_refused(sqsw: Sqsw, depth: int) -> None:
    Path("deep.json").write_text('{"a":' + "[" * depth + "]" * depth + "}")
    for options in ("--data @deep.json", "a:=@deep.json", "--from deep.json"):
        ran = sqsw(f"send emails j {options}")
        assert (ran.code, ran.out) == (2, "")
        assert "nested deeper than 100 levels" in ran.err


def test_an_option_can_name_another_app(sqsw: Sqsw) -> None:
    for named in ("myapp.task:env", "myapp.tasks:evn", "myapp/tasks.py:env"):
        ran = sqsw(f"send emails send_email --app {named}")
        assert ran.code == 7
        assert ran.err.endswith("  next: did you mean 'myapp.tasks:env'?\n")


def test_a_missing_queue_is_reported_before_a_line_is_sent(sqsw: Sqsw) -> None:
    ran = sqsw("send emials j --from -", input="{}\n{}\n")
    assert ran.code == 3
    assert ran.err.startswith("error: no queue named 'emials'")
