"""``sqsw inspect``."""

import signal
from pathlib import Path

import pytest

from sqsw.codecs.envelope import pack_job
from tests.unit.cli.conftest import Sqsw, lines


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead --tag team=crm")
    sqsw("create-queue orders.fifo --content-dedup")


def test_all_queues_have_one_line_each(sqsw: Sqsw) -> None:
    sqsw("send emails a")
    emails, orders, dead = (
        line.split("\t") for line in sqsw("inspect emails orders.fifo emails_dead").out.splitlines()
    )
    assert emails[:7] == ["emails", "1", "0", "0", "emails_dead", "0", "standard"]
    assert float(emails[7]) < 60
    assert orders == ["orders.fifo", "0", "0", "0", "", "", "FIFO", "", ""]
    assert dead == ["emails_dead", "0", "0", "0", "", "", "standard", "", "emails"]


def test_named_queues_are_shown_in_the_given_order(sqsw: Sqsw) -> None:
    names = [one["name"] for one in sqsw("inspect emails_dead orders.fifo --json").objects]
    assert names == ["emails_dead", "orders.fifo"]


def test_one_queue_in_detail(sqsw: Sqsw) -> None:
    (queue,) = sqsw("inspect emails --json").objects
    assert queue["tags"] == {"team": "crm"}
    assert queue["action"] is None
    (dead,) = sqsw("inspect emails_dead --json").objects
    assert dead["sources"] == ["emails"]


def test_the_prefix_is_removed(sqsw: Sqsw) -> None:
    sqsw("--queue-prefix prod_ create-queue emails")
    (queue,) = sqsw("--queue-prefix prod_ inspect --json").objects
    assert (queue["name"], queue["sqs_name"]) == ("emails", "prod_emails")
    ran = sqsw("--queue-prefix prod_ inspect emials")
    assert "  why:  SQS does not know the name 'prod_emials' [QueueDoesNotExist]" in ran.err
    assert "  next: did you mean 'emails'?" in ran.err


def test_peek_shows_messages_and_returns_them(sqsw: Sqsw) -> None:
    for number in range(3):
        sqsw(f"send orders.fifo ship n:={number} --group g{number}")
    ran = sqsw("inspect orders.fifo --peek 2 --json")
    assert ran.code == 0
    assert [(one["job"], one["action"]) for one in ran.objects] == [("ship", "peeked")] * 2
    assert sqsw.visible("orders.fifo") == 3
    (line,) = sqsw("inspect orders.fifo --peek 5 --filter args.n=2").out.splitlines()
    assert line.endswith('\t{"n": 2}')


def test_a_payload_without_a_json_form_is_shown_and_sent_again_unchanged(sqsw: Sqsw) -> None:
    body = '{"a": NaN, "b": 1e999}'
    sqsw("send emails --from -", input=lines([{"job": "j", "body": body, "content_type": "json"}]))
    peeked = sqsw("inspect emails --peek 1 --json").out
    assert sqsw("send emails --from -", input=peeked).code == 0
    for one in sqsw("inspect emails --peek 2 --json").objects:
        assert (one["args"], one["body"]) == (None, body)


def test_count_by_groups_messages(sqsw: Sqsw) -> None:
    for job in ("a", "b", "b"):
        sqsw(f"send emails {job} n:=[1]")
    groups = sqsw("inspect emails --peek 9 --count-by job --json").objects
    assert [(one["type"], one["queue"], one["key"], one["count"]) for one in groups] == [
        ("group", "emails", "b", 2),
        ("group", "emails", "a", 1),
    ]
    assert groups[0]["oldest_sent_at"] <= groups[0]["newest_sent_at"]
    (line,) = sqsw("inspect emails --peek 9 --count-by args.n").out.splitlines()
    assert line.split("\t")[:2] == ["[1]", "3"]


def test_fail_above_sets_the_exit_code(sqsw: Sqsw) -> None:
    assert sqsw("inspect emails --fail-above 0").code == 0
    sqsw("send emails a")
    ran = sqsw("inspect --fail-above 0 --json")
    assert ran.code == 8
    assert len(ran.objects) == 2
    assert ran.error["message"] == "more than 0 ready messages: emails has 1"
    assert sqsw("inspect --fail-above 1").code == 0


def test_tasks_show_where_jobs_come_from(sqsw: Sqsw) -> None:
    tasks = sqsw("inspect --tasks --app myapp.tasks:env --json").objects
    assert [(one["queue"], one["job"]) for one in tasks] == [
        ("emails", "fail"),
        ("emails", "send_email"),
        ("slow", "sleep"),
    ]
    task = tasks[1]
    assert task["function"] == "myapp.tasks.send_email"
    assert task["file"] == str(sqsw.home / "myapp" / "tasks.py")
    assert (task["signature"], task["source"], task["kind"]) == (
        "(to, subject, body='')",
        "app",
        "sync",
    )
    assert sqsw("inspect slow --tasks --app myapp.tasks").out.startswith("slow\tsleep\t")
    assert sqsw("inspect --tasks").code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--peek 3", "--peek needs one queue, but 0 are named"),
        ("emails orders.fifo --peek 3", "--peek needs one queue, but 2 are named"),
        ("emails --count-by job", "--count-by needs --peek"),
        ("emails --job a", "a selection needs --peek"),
        ("emails --interval 3", "--interval needs --watch"),
        ("emails --peek 3 --tasks", "--peek and --tasks cannot be used together"),
        ("--peek 3 --tasks", "--peek and --tasks cannot be used together"),
        ("--watch --fail-above 3", "--watch and --fail-above cannot be used together"),
        ("--app no.such.module", "--app needs --tasks"),
        ("--no-plugins", "--no-plugins needs --tasks"),
        ("emails --yes", "--yes needs --peek"),
        ("emails --peek 3 --filter args.a<" + "9" * 5_000, "invalid value for '--filter'"),
        ("--watch --interval 0", "invalid value for '--interval'"),
    ],
)
def test_options_without_effect_are_refused(sqsw: Sqsw, words: str, message: str) -> None:
    ran = sqsw(f"inspect {words}")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {message}")


def test_a_configured_app_is_not_needed_here(sqsw: Sqsw, home: Path) -> None:
    text = 'app = "no.such.module"\n[inspect]\nno_plugins = true\n[send]\nkeep_going = true\n'
    (home / "sqsw.toml").write_text(text)
    assert sqsw("inspect emails").code == 0
    assert sqsw("send emails j --no-check").code == 0


def test_ctrl_c_ends_a_watch_with_success(sqsw: Sqsw) -> None:
    process = sqsw.start("inspect emails --watch --interval 1")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert lines[0] == lines[1]
    assert (process.returncode, err) == (0, "")


def test_the_age_of_the_oldest_message_of_a_local_file_is_shown(sqsw: Sqsw) -> None:
    sqsw("create-queue aged")
    assert sqsw("inspect aged --json").objects[0]["oldest_age_s"] is None
    sqsw("send aged a")
    (queue,) = sqsw("inspect aged --json").objects
    assert 0 <= queue["oldest_age_s"] < 60
    assert queue["visible"] == 1
    assert "aged" in sqsw("inspect --age").out


def test_age_and_peek_cannot_be_combined(sqsw: Sqsw) -> None:
    sqsw("create-queue aged")
    assert sqsw("inspect aged --peek 1 --age").code == 2


def test_a_peek_at_the_local_file_of_the_variable_asks_no_question(sqsw: Sqsw) -> None:
    # As a process, because another test may already have created a session in this one.
    deep = '{"a":' + "[" * 950 + "]" * 950 + "}"
    entry = pack_job("deep", {}, {})
    entry["MessageBody"] = deep
    client = sqsw.env.queue_client("emails")
    client.boto3_client.send_message(QueueUrl=client.url, **entry)
    ran = sqsw.process("inspect emails --peek 5 --json")
    assert (ran.code, ran.err) == (0, "")
    (message,) = ran.objects
    assert (message["job"], message["args"], message["body"]) == ("deep", None, deep)


def test_output_of_an_app_during_its_import_is_not_part_of_the_data(sqsw: Sqsw, home: Path) -> None:
    with (home / "myapp" / "tasks.py").open("a") as file:
        file.write("print('imported')\nimport os\nos.write(1, b'by C\\n')\n")
    sqsw("create-queue emails")
    ran = sqsw.process("send emails fail --app myapp.tasks:env --json")
    assert [values["type"] for values in ran.objects] == ["sent"]
    assert {"imported", "by C"} <= set(ran.err.splitlines())
    for command in ("inspect --tasks", "doctor emails"):
        ran = sqsw(f"{command} --app myapp.tasks:env --json")
        assert ran.objects
