"""``sqsw send --from`` when something goes wrong: bad lines, and an early end."""

import codecs
import json
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sqsw_cli.sending.line_file import LineFile
from tests.unit.cli.conftest import Sqsw, lines
from tests.unit.cli.test_terminal import on_terminal


@pytest.fixture
def emails(sqsw: Sqsw) -> str:
    sqsw("create-queue emails")
    return "emails"


@pytest.fixture
def orders(sqsw: Sqsw) -> str:
    sqsw("create-queue orders.fifo --content-dedup")
    return "orders.fifo"


class FailingSQS:
    """A server that accepts messages and stops answering after ``answers`` requests."""

    def __init__(self) -> None:
        self.answers = 3
        self.taken: list[str] = []
        self.asked = threading.Event()
        self.hangs = False
        sqs = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = sqs.answer(self.headers["x-amz-target"], asked)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._lock = threading.Lock()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, target: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if not target.endswith("SendMessageBatch"):
            return {"QueueUrl": f"{self.url}/1/emails"}
        with self._lock:
            self.answers -= 1
            if self.answers < 0:
                self.asked.set()
                if not self.hangs:
                    return None
                time.sleep(1)
            self.taken += [entry["MessageBody"] for entry in asked["Entries"]]
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": str(uuid.uuid4()), "MD5OfMessageBody": ""}
                for entry in asked["Entries"]
            ],
            "Failed": [],
        }


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingSQS]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    sqs = FailingSQS()
    yield sqs
    sqs.server.shutdown()
    sqs.server.server_close()


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


class TestAnEarlyEnd:
    @pytest.fixture(autouse=True)
    def jobs(self, sqsw: Sqsw, home: Path) -> None:
        (home / "jobs.jsonl").write_text(lines([{"n": n} for n in range(500)]))

    def test_a_lost_connection_reports_what_was_sent_and_keeps_the_rest(
        self, sqsw: Sqsw, home: Path, failing: FailingSQS
    ) -> None:
        words = f"send emails j --from jobs.jsonl --failed rest.jsonl --endpoint-url {failing.url}"
        ran = sqsw(words)
        assert ran.code == 5
        sent = len(ran.out.splitlines())
        assert sent == len(failing.taken) == 30
        first, why, following, error, *_ = ran.err.splitlines()
        assert first == "warning: 30 sent to emails, 470 not sent"
        assert why.endswith(" of these may have been sent: SQS did not answer")
        assert following == "  next: to send them: --from rest.jsonl"
        assert error.startswith("error: ")
        taken = {json.loads(body)["n"] for body in failing.taken}
        assert sorted(numbers(home / "rest.jsonl")) == sorted(set(range(500)) - taken)

    @pytest.mark.parametrize(("option", "failed"), [("", 470), ("--keep-going", None)])
    def test_json_ends_with_a_summary(
        self, sqsw: Sqsw, failing: FailingSQS, option: str, failed: int | None
    ) -> None:
        ran = sqsw(f"send emails j --from jobs.jsonl {option} --json --endpoint-url {failing.url}")
        assert ran.code == 5
        summary = ran.objects[-1]
        assert (summary["type"], summary["sent"], summary["failed"]) == ("summary", 30, failed)
        assert ran.error["exit_code"] == 5

    def test_an_error_before_the_first_send_has_its_own_exit_code(
        self, sqsw: Sqsw, home: Path, failing: FailingSQS
    ) -> None:
        failing.answers = 0
        words = f"send emails j --from jobs.jsonl --failed rest.jsonl --endpoint-url {failing.url}"
        assert sqsw(words).code == 1
        assert numbers(home / "rest.jsonl") == list(range(500))

    @pytest.mark.parametrize(
        ("option", "sign", "code"),
        [("", signal.SIGINT, 130), ("--keep-going", signal.SIGTERM, 143)],
    )
    def test_ctrl_c_and_sigterm_report_it_too(
        self,
        sqsw: Sqsw,
        home: Path,
        failing: FailingSQS,
        option: str,
        sign: signal.Signals,
        code: int,
    ) -> None:
        failing.hangs = True
        process = sqsw.start(
            f"send emails j --from jobs.jsonl --failed rest.jsonl --endpoint-url {failing.url} "
            + option
        )
        assert failing.asked.wait(30)
        process.send_signal(sign)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code
        sent = {int(line.split("\t")[1]) - 1 for line in out.splitlines()}
        assert 30 <= len(sent) < 500
        rest = set(numbers(home / "rest.jsonl"))
        assert err.startswith(f"warning: {500 - len(rest)} sent to emails, {len(rest)} not sent\n")
        # Messages that may have been sent without an answer are in the file again, and none is
        # missing. An answered one can be counted but not printed, if the signal came between the
        # two.
        assert rest <= set(range(500)) - sent
        assert 500 - len(rest) - len(sent) in (0, 1)

    def test_a_closed_output_leaves_the_rest_in_the_file(
        self, sqsw: Sqsw, home: Path, emails: str
    ) -> None:
        process = sqsw.start("send emails j --from jobs.jsonl --failed rest.jsonl")
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert sqsw.visible(emails) + len(numbers(home / "rest.jsonl")) == 500


class TestBadLines:
    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            (b'{"a":"\xff"}', "not UTF-8"),
            (b"[" * 200_000, "not JSON: nested deeper than 100 levels"),
        ],
    )
    def test_a_bad_line_does_not_stop_the_others(
        self, sqsw: Sqsw, home: Path, emails: str, bad: bytes, why: str
    ) -> None:
        (home / "jobs.jsonl").write_bytes(codecs.BOM_UTF8 + b'{"a":1}\n' + bad + b'\n{"a":2}')
        words = "send emails j --from jobs.jsonl --keep-going --failed failed.jsonl --json"
        ran = sqsw(words)
        assert ran.code == 5
        failed = next(one for one in ran.objects if one["type"] == "failed")
        assert (failed["line"], failed["code"]) == (2, "InvalidLine")
        assert failed["message"].startswith(why)
        assert (ran.objects[-1]["sent"], ran.objects[-1]["failed"]) == (2, 1)
        assert (home / "failed.jsonl").read_bytes() == bad + b"\n"
        ran = sqsw("send emails j --from jobs.jsonl")
        assert ran.code == 2
        assert ran.err.startswith("error: line 2 of jobs.jsonl is not valid\n")

    def test_a_wrong_type_in_any_key_is_a_bad_line(self, sqsw: Sqsw, emails: str) -> None:
        good = {"job": "j", "body": "x"}
        keys = ("job", "group", "dedup_id", "delay", "context", "body", "content_type")
        bad: list[dict[str, Any]] = [
            {**good, key: wrong} for key in (*keys, "attributes") for wrong in ([1], 0.5)
        ]
        bad += [{"job": "j", "args": [1]}, {**good, "attributes": {"JobContext": 5}}]
        ran = sqsw("send emails --from - --keep-going --json", input=lines([*bad, good]))
        codes = [one["code"] for one in ran.objects if one["type"] == "failed"]
        assert codes == ["InvalidLine"] * len(bad), ran.err
        assert (ran.code, ran.objects[-1]["sent"]) == (5, 1)

    def test_a_deeply_nested_argument_is_a_wrong_argument(self, sqsw: Sqsw, emails: str) -> None:
        ran = sqsw("send", "emails", "j", "a:=" + "[" * 100_000)
        assert ran.code == 2
        assert ran.err.startswith("error: the value of 'a' is not JSON")

    def test_a_bad_line_stops_its_group(self, sqsw: Sqsw, orders: str) -> None:
        text = lines(
            [
                {"job": "j", "args": {"n": 1}, "group": "A"},
                {"job": "j", "args": [], "group": "A"},
                {"job": "j", "args": {"n": 3}, "group": "A"},
                {"job": "j", "args": {"n": 4}, "group": "B"},
            ]
        )
        ran = sqsw("send orders.fifo --from - --keep-going --json", input=text)
        failed = {one["line"]: one["code"] for one in ran.objects if one["type"] == "failed"}
        assert failed == {2: "InvalidLine", 3: "GroupStopped"}
        assert ran.objects[-1]["sent"] == 2

    @pytest.mark.parametrize(
        ("words", "sent"),
        [
            # The group of a bad line is unknown, so no later line may be sent.
            ("send orders.fifo --from -", 1),
            # All lines are in one group: the one that the option names, or the default one.
            ("send orders.fifo j --from - --group A", 1),
            ("send orders.fifo --raw --from -", 4),
        ],
    )
    def test_a_line_of_an_unknown_group_stops_all_groups(
        self, sqsw: Sqsw, orders: str, words: str, sent: int
    ) -> None:
        first, *others = lines([{"job": "j", "group": g} for g in "ABC"]).splitlines()
        text = "\n".join([first, "{", *others])
        ran = sqsw(f"{words} --keep-going --json", input=text)
        assert ran.objects[-1]["sent"] == sent

    def test_a_line_without_a_group_is_in_the_group_of_the_option(
        self, sqsw: Sqsw, orders: str
    ) -> None:
        text = lines([{"job": ""}, {"job": "j"}, {"job": "j", "group": "B"}])
        ran = sqsw("send orders.fifo --from - --group A --keep-going --json", input=text)
        assert [one["line"] for one in ran.objects if one["type"] == "sent"] == [3]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ({"job": ""}, "the job name is empty"),
            ({"job": "j", "delay": True}, "the delay is a boolean"),
            ({"job": "j", "delay": False}, "the delay is a boolean"),
        ],
    )
    def test_lines_that_sqs_would_refuse_or_misread_are_reported_first(
        self, sqsw: Sqsw, emails: str, line: dict[str, Any], why: str
    ) -> None:
        ran = sqsw("send emails --from -", input=lines([line]))
        assert (ran.code, sqsw.visible(emails)) == (2, 0)
        assert why in ran.err

    def test_a_raw_line_keeps_its_content_type_and_accepts_no_context(
        self, sqsw: Sqsw, emails: str
    ) -> None:
        text = lines([{"job": None, "body": "<a/>", "content_type": "text/xml"}])
        assert sqsw("send emails --from -", input=text).code == 0
        (message,) = sqsw("inspect emails --peek 5 --json").objects
        assert (message["body"], message["content_type"]) == ("<a/>", "text/xml")
        ran = sqsw("send emails --from - --context user=x", input=text)
        assert ran.code == 2
        assert "it is a raw body, but --context is for jobs" in ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_file_for_failed_lines_is_named(sqsw: Sqsw, home: Path) -> None:
    sqsw("create-queue emails")
    (home / "jobs.jsonl").write_text("{}\n[]\n{}\n")
    words = "send emails j --from jobs.jsonl --keep-going --failed /dev/full"
    ran = sqsw(words)
    assert ran.code == 5  # as without --failed, some were sent
    assert ran.err.splitlines()[-2:] == [
        "error: cannot write the lines that were not sent to /dev/full",
        "  why:  No space left on device",
    ]
    assert "lines in" not in ran.err
    assert sqsw.visible("emails") == 2
    assert sqsw(f"{words} --dry-run").code == 5


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc")
@pytest.mark.parametrize("more", ["", "--keep-going --failed rest.jsonl"])
def test_a_file_that_cannot_be_read_is_named(sqsw: Sqsw, more: str) -> None:
    sqsw("create-queue emails")
    ran = sqsw(f"send emails j --from /proc/self/mem {more}")
    assert ran.code == 2
    error = "error: cannot read /proc/self/mem\n  why:  Input/output error\n"
    assert ran.err.endswith(error)


def test_stdin_is_not_truncated_for_failed_lines(sqsw: Sqsw, home: Path, emails: str) -> None:
    jobs = home / "jobs.jsonl"
    jobs.write_text('{"n": 1}\n')
    (home / "same.jsonl").symlink_to(jobs)
    with jobs.open() as stdin:
        words = sqsw.command("send emails j --from - --failed same.jsonl")
        done = subprocess.run(words, stdin=stdin, capture_output=True, text=True, timeout=60)
    assert (done.returncode, jobs.read_text()) == (2, '{"n": 1}\n')
    assert done.stderr.startswith("error: --from and --failed are the same file")


class TestADryRun:
    def test_it_prints_until_the_first_bad_line(self, sqsw: Sqsw, emails: str) -> None:
        ran = sqsw("send emails j --from - --dry-run", input='{"n": 1}\n[]\n{"n": 3}\n')
        assert (ran.code, ran.out) == (2, 'j\t{"n": 1}\n')
        assert ran.err.startswith("error: line 2 of stdin is not valid")

    def test_with_keep_going_it_continues_and_keeps_the_bad_lines(
        self, sqsw: Sqsw, home: Path, emails: str
    ) -> None:
        words = "send emails j --from - --dry-run --keep-going --failed failed.jsonl --json"
        ran = sqsw(words, input='{"n": 1}\n[]\n{"n": 3}\n')
        assert ran.code == 5
        assert [one["type"] for one in ran.objects] == ["message", "failed", "message"]
        assert (home / "failed.jsonl").read_text() == "[]\n"
        assert sqsw.visible(emails) == 0


def test_on_a_terminal_the_progress_bar_disappears_before_the_summary(
    sqsw: Sqsw, home: Path, failing: FailingSQS
) -> None:
    (home / "jobs.jsonl").write_text(lines([{"n": n} for n in range(500)]))
    code, said = on_terminal(sqsw, f"send emails j --from jobs.jsonl --endpoint-url {failing.url}")
    assert code == 5
    warning = said.index("warning: 30 sent to emails, 470 not sent\n")
    assert "of about" not in said[warning:]
    assert "to keep the lines that were not sent: --failed FILE" in said[warning:]


def test_only_messages_in_progress_are_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"1\n\n3\n4\n5")
    with LineFile(str(path)) as file:
        assert [number for number, _ in file.look_through()] == [1, 2, 3, 4, 5]
        assert file.under_way == 0
        reading = file.lines()
        assert [next(reading) for _ in range(3)] == [(1, b"1\n"), (3, b"3\n"), (4, b"4\n")]
        file.forget(3)
        assert file.under_way == 2
        assert list(file.rest()) == [b"1\n", b"4\n", b"5\n"]
