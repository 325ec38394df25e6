"""Dead letters with a record of the failure: inspected, counted and moved."""

import re
from pathlib import Path

import pytest

from sqsw.sqs_manage.describe import describe_queue, with_local_reasons
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.queues import show_queue
from tests.life.serving import plain_variables, serving
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_escapes import EVIL, SHOWN
from tests.unit.cli.test_terminal import on_terminal
from tests.unit.sqs_manage.queues import dead_letter, failure, send_letter

TIMEOUT = failure()
NO_CARRIER = failure(
    type="ValueError",
    message="no carrier\nfor Iceland",
    where="shop.ship:9",
    fingerprint="ba9876543210",
    at="2026-10-01T00:00:00.000Z",
    deaths=12,
)


@pytest.fixture(autouse=True)
def letters(sqsw: Sqsw) -> None:
    """Put three letters with records, and one without, into emails_dead."""
    sqsw("create-queue emails --dlq emails_dead --max-receives 1")
    for number, record in enumerate((TIMEOUT, NO_CARRIER, TIMEOUT)):
        ids = {"job_id": f"job-{number}", "copy_of": f"m-{number}"}
        send_letter(sqsw.env, "emails_dead", {"n": number}, record, **ids)
    send_letter(sqsw.env, "emails", {"n": 3}, None)
    dead_letter(sqsw.env, "emails")


def test_a_dead_letter_queue_shows_the_reasons(sqsw: Sqsw) -> None:
    queue, *reasons = sqsw("inspect emails_dead").out.splitlines()
    assert queue.startswith("emails_dead\t4\t")
    timeout, no_carrier, other = (line.split("\t") for line in reasons)
    assert timeout == ["reason", "2", "Timeout", "shop.pay:31", TIMEOUT.at]
    assert no_carrier == ["reason", "1", "ValueError", "shop.ship:9", NO_CARRIER.at]
    assert other[:4] == ["reason", "1", "", ""]
    (values,) = sqsw("inspect emails_dead --json").objects
    assert [(one["count"], one["error"], one["fingerprint"]) for one in values["reasons"]] == [
        (2, "Timeout", TIMEOUT.fingerprint),
        (1, "ValueError", NO_CARRIER.fingerprint),
        (1, None, None),
    ]
    assert sqsw.visible("emails_dead") == 4


def test_other_queues_and_lists_of_queues_have_no_reasons(sqsw: Sqsw) -> None:
    for words in ("emails", "emails emails_dead", ""):
        assert {one["reasons"] for one in sqsw(f"inspect {words} --json").objects} == {None}
        assert "reason" not in sqsw(f"inspect {words}").out


def test_a_terminal_shows_the_reasons_below_the_queue(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "inspect emails_dead")
    assert code == 0
    title, timeout, no_carrier, other = said.splitlines()[-4:]
    assert title.split() == ["letters", "error", "oldest", "last", "frame"]
    assert re.fullmatch(r" +2  Timeout +\S+ ago  shop.pay:31", timeout)
    assert re.fullmatch(r" +1  ValueError +\S+ ago  shop.ship:9", no_carrier)
    assert re.fullmatch(r" +1  no record +(now|\S+ ago)", other)


def test_a_long_queue_is_not_read_to_the_end(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sqsw.sqs_manage.describe.MAX_LOCAL_REASONS", 3)
    report = with_local_reasons(sqsw.env, describe_queue(sqsw.env, "emails_dead"))
    assert [reason.count for reason in report.reasons or ()] == [2, 1]
    printer = Printer()
    printer.terminal = True
    show_queue(printer, report)
    assert capsys.readouterr().out.splitlines()[-1] == "of the first 3 messages"


def test_a_server_receives_nothing_without_peek(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    with serving(cwd=home) as server:
        monkeypatch.delenv("SQSW_LOCAL")
        for name, value in plain_variables(home, server.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "local")
        code, said = on_terminal(sqsw, "inspect emails_dead")
        assert (code, said.splitlines()[-1]) == (
            0,
            "  why they failed: sqsw inspect emails_dead --peek 100 --count-by error",
        )
        (queue,) = sqsw("inspect emails_dead --json").objects
        assert (queue["visible"], queue["reasons"]) == (4, None)
        (message,) = sqsw("inspect emails_dead --peek 1 --json").objects
        assert message["receives"] == 1
        ran = sqsw("inspect emails_dead --id job-1 --json")
        assert [one["error"]["type"] for one in ran.objects] == ["ValueError"]
        assert "peeking counts as a receive" not in ran.err


def test_reasons_can_be_counted(sqsw: Sqsw) -> None:
    groups = sqsw("inspect emails_dead --peek 9 --count-by error --json").objects
    assert [(one["key"], one["count"]) for one in groups] == [
        ({"error": "Timeout", "fingerprint": TIMEOUT.fingerprint, "where": "shop.pay:31"}, 2),
        ({"error": "ValueError", "fingerprint": "ba9876543210", "where": "shop.ship:9"}, 1),
        (None, 1),
    ]
    plain = sqsw("inspect emails_dead --peek 9 --count-by error").out.splitlines()
    assert plain == sqsw("inspect emails_dead").out.splitlines()[1:]
    for path, key in (
        ("error.type", "Timeout"),
        ("error.where", "shop.pay:31"),
        ("error.fingerprint", TIMEOUT.fingerprint),
    ):
        first, *_ = sqsw(f"inspect emails_dead --peek 9 --count-by {path} --json").objects
        assert (first["key"], first["count"]) == (key, 2)


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("error.type=Timeout", [0, 2]),
        ("error.at>2026-11-01", [0, 2]),
        ("error.at<2026-11-01", [1]),
        ("error.deaths<3", [0, 2]),
        ("error.message~Iceland", [1]),
        ("error=null", [3]),
    ],
)
def test_a_filter_can_use_the_record(sqsw: Sqsw, condition: str, numbers: list[int]) -> None:
    found = sqsw(f"inspect emails_dead --peek 9 --filter '{condition}' --json").objects
    assert [one["args"]["n"] for one in found] == numbers
    summary = sqsw(f"redrive emails_dead --filter '{condition}' --json").objects[-1]
    assert (summary["moved"], summary["skipped"]) == (len(numbers), 4 - len(numbers))


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("redrive emails_dead --filter error.typ=Timeout", "did you mean 'error.type'?"),
        ("redrive emails_dead --filter type=Timeout", "did you mean 'error.type'?"),
        ("redrive emails_dead --filter error.deaths.n=1", "did you mean 'error.deaths'?"),
        ("redrive emails_dead --filter error.at>yesterday", "write error.at>2026-11-01"),
        ("redrive emails_dead --filter error.deaths<few", "write error.deaths<3"),
        ("inspect emails_dead --peek 9 --count-by error.typ", "did you mean 'error.type'?"),
        ("inspect emails_dead --peek 9 --count-by arg.n", "did you mean 'args.n'?"),
    ],
)
def test_a_field_that_cannot_exist_is_refused(sqsw: Sqsw, words: str, suggestion: str) -> None:
    ran = sqsw(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert suggestion in ran.err
    assert sqsw.visible("emails_dead") == 4


def test_the_traceback_is_in_the_object_of_the_message(sqsw: Sqsw) -> None:
    (message,) = sqsw("inspect emails_dead --peek 1 --json").objects
    assert message["error"] == TIMEOUT.to_json()
    assert message["error"]["trace"].endswith("Timeout: no answer after 5 s\n")
    assert (message["source"], message["twin_of"]) == ("emails", None)


class TestOneMessage:
    def test_the_id_that_it_was_sent_with_finds_it(self, sqsw: Sqsw) -> None:
        (copy,) = sqsw("inspect emails_dead --id m-1 --json").objects
        assert (copy["copy_of"], copy["args"]) == ("m-1", {"n": 1})
        done = sqsw("redrive emails_dead --ids - --json", input="m-1\n").objects
        assert [one["id"] for one in done if one.get("action") == "moved"] == [copy["id"]]

    def test_a_terminal_shows_it_in_full(self, sqsw: Sqsw) -> None:
        sent = send_letter(sqsw.env, "emails_dead", {"to": "a" * 200}, NO_CARRIER, job_id="x")
        code, said = on_terminal(sqsw, f"inspect emails_dead --id {sent[:8]}")
        assert code == 0
        head, *rest = said.splitlines()
        assert head == f"{sent}     send · emails_dead"
        assert "  a dead letter of emails" in rest
        part = {text.partition("\n")[0]: text for text in said.split("\n\n")}
        assert part["arguments"] == f'arguments\n  to = "{"a" * 200}"'
        assert part["error"].splitlines()[1:] == [
            "  ValueError: no carrier",
            "  for Iceland",
            "  in shop.ship:9",
            "  it failed on its last attempt, at 2026-10-01T00:00:00.000Z",
            "  3 attempts, 3 receives, first received at 2026-11-01T10:00:00.000Z",
            "  given up 12 times, most recently in emails by host/7",
            "  fingerprint ba9876543210",
        ]
        assert part["traceback"].startswith("traceback\n  Traceback (most recent call last):\n")
        assert "  JobName (String) = send" in part["attributes"].splitlines()
        assert "context" not in part and "body" not in part

    def test_text_from_the_sender_is_escaped(self, sqsw: Sqsw) -> None:
        record = failure(message=EVIL, trace=EVIL, where=EVIL, type=EVIL, worker=EVIL)
        send_letter(sqsw.env, "emails_dead", {EVIL: EVIL}, record, job_id="evil")
        for words in ("--id evil", "--peek 9", "--peek 9 --count-by error", ""):
            code, said = on_terminal(sqsw, f"inspect emails_dead {words}", columns=400)
            assert code == 0, said
            assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]
        _, said = on_terminal(sqsw, "inspect emails_dead --id evil", columns=400)
        assert f"  in {SHOWN}:" in said or f"  in {SHOWN}\n" in said

    def test_a_forged_time_does_not_hide_the_other_letters(self, sqsw: Sqsw) -> None:
        record = failure(at="0001-01-01T00:00:00+23:59")
        send_letter(sqsw.env, "emails_dead", {"n": 9}, record, job_id="forged")
        (values,) = sqsw("inspect emails_dead --json").objects
        assert sum(one["count"] for one in values["reasons"]) == 5
        (message,) = sqsw("inspect emails_dead --id forged --json").objects
        assert message["error"] is None

    def test_a_body_that_cannot_be_decoded_is_shown(self, sqsw: Sqsw) -> None:
        sqsw("send emails --raw 'line one' --json")
        (message,) = sqsw("inspect emails --peek 1 --json").objects
        code, said = on_terminal(sqsw, f"inspect emails --id {message['id']}")
        assert (code, said.splitlines()[-2:]) == (0, ["body", "  line one"])

    def test_json_prints_the_message_object(self, sqsw: Sqsw) -> None:
        (message,) = sqsw("inspect emails_dead --id job-1 --json").objects
        assert (message["args"], message["action"]) == ({"n": 1}, "peeked")
        (line,) = sqsw("inspect emails_dead --id job-1").out.splitlines()
        assert line.split("\t")[0] == message["id"]

    def test_its_id_can_follow_the_queue(self, sqsw: Sqsw) -> None:
        (message, *_) = sqsw("inspect emails_dead --peek 9 --json").objects
        for words in (message["id"], message["id"][:8], f"{message['id'][-12:]} --yes"):
            (found,) = sqsw(f"inspect emails_dead {words} --json").objects
            assert (found["id"], found["action"]) == (message["id"], "peeked")
        ran = sqsw("inspect emails_dead 00000000")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("error: the id '00000000' was not found in 'emails_dead'\n")
        sqsw("create-queue 00000000")
        both = sqsw("inspect emails_dead 00000000 --json").objects
        assert [one["name"] for one in both] == ["emails_dead", "00000000"]

    def test_an_ambiguous_id_says_so(self, sqsw: Sqsw) -> None:
        ids = [f"018f0000-0000-7000-8000-00000000000{number}" for number in range(2)]
        for job_id in ids:
            send_letter(sqsw.env, "emails_dead", {}, TIMEOUT, job_id=job_id)
        for command in ("inspect emails_dead 018f0000", "redrive emails_dead --ids -"):
            ran = sqsw(command, input="018f0000\n")
            assert (ran.code, ran.out) == (3, "")
            assert ran.err.splitlines() == [
                "error: the id '018f0000' is ambiguous in 'emails_dead'",
                f"  why:  018f0000 is a part of 2 ids: {', '.join(ids)}",
                "  next: use more characters of each id",
            ]

    def test_a_missing_message_is_not_found(self, sqsw: Sqsw) -> None:
        ran = sqsw("inspect emails_dead --id job-9")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("error: the id 'job-9' was not found in 'emails_dead'")
        assert sqsw("inspect emails_dead --id job-9 --json").error["code"] == "message_not_found"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--id job-1", "--id needs one queue, but 0 are named"),
            ("emails_dead --id job-1 --peek 3", "--peek and --id cannot be used together"),
            ("emails_dead --id job-1 --job a", "a selection needs --peek"),
            ("emails_dead --id job-1 --watch", "--id and --watch cannot be used together"),
            ("emails_dead --id job-1 --age", "--age is for queues"),
        ],
    )
    def test_it_cannot_be_combined_with_other_views(
        self, sqsw: Sqsw, words: str, message: str
    ) -> None:
        ran = sqsw(f"inspect {words}")
        assert ran.code == 2
        assert ran.err.startswith(f"error: {message}")


class TestTwins:
    @pytest.fixture(autouse=True)
    def twin(self, sqsw: Sqsw) -> str:
        """Add a fifth letter, with the same job as the second one."""
        ids = {"job_id": "job-1", "copy_of": "m-1"}
        return send_letter(sqsw.env, "emails_dead", {"n": 1}, NO_CARRIER, **ids)

    def test_the_second_copy_is_marked(self, sqsw: Sqsw, twin: str) -> None:
        found = sqsw("inspect emails_dead --peek 9 --json").objects
        assert [one["twin_of"] for one in found] == [None] * 4 + [found[1]["id"]]
        assert found[4]["id"] == twin
        _, said = on_terminal(sqsw, "inspect emails_dead --peek 9")
        head, *rows, note, command = said.splitlines()
        assert "twin of" in head
        assert [found[1]["id"][:8] in row for row in rows].count(True) == 2
        assert note.startswith("1 message carries the same job as another one")
        assert (note + command).endswith("sqsw redrive emails_dead --limit 1000")

    def test_a_redrive_by_sqsw_drops_it_and_reports_it(self, sqsw: Sqsw, twin: str) -> None:
        tried = sqsw("redrive emails_dead --dry-run")
        assert tried.err == "4 would be moved, 1 twin would be deleted\n"
        assert [line.split("\t")[0] for line in tried.out.splitlines()].count(
            "would_drop_twin"
        ) == 1
        *handled, summary = sqsw("redrive emails_dead --limit 9 --json").objects
        assert (summary["moved"], summary["dropped_twins"], summary["failed"]) == (4, 1, 0)
        assert [one["id"] for one in handled if one["action"] == "dropped_twin"] == [twin]
        assert (sqsw.visible("emails"), sqsw.visible("emails_dead")) == (4, 0)

    def test_a_terminal_shows_how_many(self, sqsw: Sqsw) -> None:
        code, said = on_terminal(sqsw, "redrive emails_dead --limit 9")
        assert code == 0
        assert "✓ 4 moved, 1 twin deleted in " in said
