"""Parked jobs on the command line."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sqsw.sqs_env import SQSEnv
from tests.life.serving import plain_variables, serving
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_terminal import on_terminal

DAY = timedelta(days=1)


@pytest.fixture
def parked(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> SQSEnv:
    """An environment with the queues ``emails`` and ``parked``, which the commands use too."""
    sqsw("create-queue emails")
    sqsw("create-queue parked --parking")
    monkeypatch.setenv("SQSW_PARKING", "parked")
    return sqsw.env


def in_days(days: float) -> str:
    return (datetime.now(UTC) + days * DAY).isoformat()


# -- create-queue ---------------------------------------------------------------------------------


def test_a_parking_queue_keeps_messages_and_has_a_tag(sqsw: Sqsw) -> None:
    (queue,) = sqsw("create-queue parked --parking --tag team=data --json").objects
    assert queue["attributes"]["MessageRetentionPeriod"] == "1209600"
    assert queue["tags"] == {"sqsw": "parking", "team": "data"}
    assert (queue["dlq"], queue["parked"], queue["action"]) == (None, 0, "created")
    (queue,) = sqsw("create-queue parked --parking --retention 14d --json").objects
    assert queue["action"] == "unchanged"


def test_a_terminal_shows_how_to_use_a_new_parking_queue(sqsw: Sqsw) -> None:
    code, said = on_terminal(sqsw, "create-queue parked --parking")
    assert code == 0
    assert "SQSW_PARKING=parked sqsw send QUEUE JOB key=value --delay 3d" in said


@pytest.mark.parametrize(
    "option", ["--fifo", "--dlq dead", "--retention 4d", "--delay 5m", "--content-dedup"]
)
def test_other_options_do_not_fit_a_parking_queue(sqsw: Sqsw, option: str) -> None:
    ran = sqsw(f"create-queue parked --parking {option}")
    assert ran.code == 2
    word = option.split()[0]
    assert ran.err.startswith(f"error: {word} and --parking cannot be used together\n")
    assert sqsw.env.get_all_known_queues() == []


def test_a_parking_queue_needs_the_name_of_a_standard_queue(sqsw: Sqsw) -> None:
    assert "--parking needs NAME" in sqsw("create-queue --parking").err
    ran = sqsw("create-queue parked.fifo --parking")
    assert (ran.code, "cannot hold parked jobs" in ran.err) == (2, True)


def test_a_queue_becomes_a_parking_queue_only_with_update(sqsw: Sqsw) -> None:
    sqsw("create-queue parked --dlq dead")
    ran = sqsw("create-queue parked --parking")
    assert ran.code == 1
    assert "next: change it: sqsw create-queue --update parked --parking" in ran.err
    (queue,) = sqsw("create-queue parked --parking --update --json").objects
    assert (queue["dlq"], queue["action"]) == (None, "updated")


def test_the_queues_of_an_app_include_its_parking_queue(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_PARKING", "parked")
    names = [queue["name"] for queue in sqsw("create-queue --app myapp.tasks:env --json").objects]
    assert "parked" in names
    assert "parked_dead" not in names
    assert "0 failures, 0 warnings" in sqsw("doctor parked").err


# -- send -----------------------------------------------------------------------------------------


def test_a_long_delay_parks_the_job(sqsw: Sqsw, parked: SQSEnv) -> None:
    (sent,) = sqsw("send emails hi n:=1 --delay 3d --json").objects
    assert (sent["queue"], sent["parked"]) == ("emails", True)
    due = datetime.fromisoformat(sent["due"])
    assert abs(due - datetime.now(UTC) - 3 * DAY) < timedelta(minutes=1)
    (job,) = parked.parked_jobs()
    assert (job.job_id, job.queue_name, job.arguments) == (sent["job_id"], "emails", {"n": 1})
    assert abs(job.due - due) < timedelta(seconds=1)
    assert sqsw.visible("emails") == 0


def test_a_time_parks_the_job_until_then(sqsw: Sqsw, parked: SQSEnv) -> None:
    (sent,) = sqsw(f"send emails hi --at {in_days(20)} --json").objects
    (job,) = parked.parked_jobs()
    # The time of the message is rounded up, so it is never early.
    early = job.due - datetime.fromisoformat(sent["due"])
    assert timedelta(0) <= early <= timedelta(milliseconds=1)
    assert sqsw(f"send emails hi --at {in_days(0)}").code == 0  # due at once: not parked
    assert len(list(parked.parked_jobs())) == 1


def test_a_short_delay_needs_no_parking_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    (sent,) = sqsw("send emails hi --delay 5m --json").objects
    assert (sent["parked"], sent["due"] is not None) == (False, True)
    (sent,) = sqsw("send emails hi --json").objects
    assert (sent["parked"], sent["due"]) == (False, None)


def test_a_person_sees_the_job_id_and_the_local_time(
    sqsw: Sqsw, parked: SQSEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    code, said = on_terminal(sqsw, "send emails hi --delay 3d")
    assert code == 0
    (job,) = parked.parked_jobs()
    assert f"job id {job.job_id}" in said
    assert re.search(r"✓ parked hi for emails until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+05:30", said)


def test_a_pipe_gets_the_job_id(sqsw: Sqsw, parked: SQSEnv) -> None:
    ran = sqsw("send emails hi --delay 3d")
    (job,) = parked.parked_jobs()
    assert ran.out == f"{job.job_id}\n"
    assert parked_env(sqsw).cancel(job.job_id)


def parked_env(sqsw: Sqsw) -> SQSEnv:
    return SQSEnv(sqsw.env.session, parking="parked")


def test_a_fifo_queue_takes_a_delay_with_a_parking_queue(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("create-queue orders.fifo")
    (sent,) = sqsw("send orders.fifo ship --delay 5m --group g --json").objects
    assert (sent["parked"], sent["group"]) == (True, "g")
    (job,) = parked.parked_jobs()
    assert job.queue_name == "orders.fifo"


def test_without_a_parking_queue_the_error_says_how_to_get_one(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    ran = sqsw("send emails hi --delay 3d")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: a delay of 3d is too long",
        "  why:  SQS delays a message by 0 to 900 seconds",
        "  next: park it: sqsw create-queue parked --parking, then --parking parked "
        "here, and SQSW_PARKING=parked or SQSEnv(parking='parked') for the workers",
    ]


def test_the_option_wins_over_the_variable_and_the_file(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("create-queue other --parking")
    sqsw("send emails hi --delay 3d --parking other")
    (sqsw.home / "sqsw.toml").write_text('[send]\nparking = "other"\n')
    sqsw("send emails hi --delay 3d")
    counts = {queue["name"]: queue["parked"] for queue in sqsw("inspect --json").objects}
    assert counts == {"emails": None, "other": 1, "parked": 1}


def test_the_file_can_name_the_parking_queue(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("create-queue other --parking")
    (sqsw.home / "sqsw.toml").write_text('[send]\nparking = "other"\n')
    assert sqsw("send emails hi --delay 3d").code == 0


def test_the_parking_queue_of_the_app_is_used(sqsw: Sqsw) -> None:
    tasks = sqsw.home / "myapp" / "tasks.py"
    tasks.write_text(tasks.read_text().replace("SQSEnv()", "SQSEnv(parking='parked')"))
    sqsw("create-queue emails")
    sqsw("create-queue parked --parking")
    words = "send emails send_email to=a subject=b --delay 3d --app myapp.tasks:env --json"
    (sent,) = sqsw(words).objects
    assert sent["parked"] is True


def test_a_missing_parking_queue_is_created_with_its_option(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    ran = sqsw("send emails hi --delay 3d --parking parked")
    assert ran.code == 3
    assert ran.err.startswith("error: no parking queue named 'parked'")
    assert "next: create it: sqsw create-queue parked --parking" in ran.err
    for command in ("inspect parked", "doctor parked"):
        ran = sqsw.process(command, env={"SQSW_PARKING": "parked"})
        assert "sqsw create-queue parked --parking" in ran.out + ran.err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tomorrow", "'tomorrow' is not a time; write 2026-12-24T08:00+01:00"),
        ("2099-12-24T08:00", "'2099-12-24T08:00' has no UTC offset; write 2099-12-24T08:00"),
        ("0001-01-01T00:00", "'0001-01-01T00:00' has no UTC offset; write"),
        ("2020-12-24T08:00Z", "'2020-12-24T08:00Z' is in the past, "),
    ],
)
def test_a_time_needs_an_offset_and_cannot_be_in_the_past(sqsw: Sqsw, text: str, why: str) -> None:
    sqsw("create-queue emails")
    ran = sqsw(f"send emails hi --at {text}")
    assert (ran.code, f"why:  {why}" in ran.err) == (2, True)
    line = json.dumps({"job": "hi", "args": {}, "at": text})
    ran = sqsw("send emails --from -", input=line)
    assert (ran.code, f"'at': {why}" in ran.err) == (2, True)


def test_a_time_that_is_too_far_away_is_refused(sqsw: Sqsw, parked: SQSEnv) -> None:
    ran = sqsw("send emails hi --at 2199-12-24T08:00Z")
    assert (ran.code, "a job can be delayed by 0 seconds to 366 days" in ran.err) == (2, True)
    assert sqsw("send emails hi --delay 367d").code == 2


def test_a_delay_and_a_time_exclude_each_other(sqsw: Sqsw, parked: SQSEnv) -> None:
    ran = sqsw(f"send emails hi --delay 3d --at {in_days(2)}")
    assert (ran.code, "--delay and --at cannot be used together" in ran.err) == (2, True)
    line = {"job": "hi", "args": {}, "delay": 1, "at": in_days(1)}
    ran = sqsw("send emails --from -", input=json.dumps(line))
    assert (ran.code, "it has both 'delay' and 'at'" in ran.err) == (2, True)


def test_each_line_can_have_its_own_time(sqsw: Sqsw, parked: SQSEnv) -> None:
    lines = [
        {"job": "now", "args": {}},
        {"job": "soon", "args": {}, "delay": 5},
        {"job": "later", "args": {}, "delay": 200_000},
        {"job": "at", "args": {}, "at": in_days(2)},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    *sent, summary = sqsw("send emails --from - --json", input=text).objects
    by_job = {one["job"]: one["parked"] for one in sent}
    assert by_job == {"now": False, "soon": False, "later": True, "at": True}
    assert (summary["sent"], summary["failed"], summary["parked"]) == (4, 0, 2)
    assert sorted(job.job_name or "" for job in parked.parked_jobs()) == ["at", "later"]


def test_a_line_without_a_time_gets_that_of_the_option(sqsw: Sqsw, parked: SQSEnv) -> None:
    text = '{"job": "a", "args": {}}\n{"job": "b", "args": {}, "delay": 0}\n'
    *sent, _ = sqsw(f"send emails --from - --at {in_days(2)} --json", input=text).objects
    assert {one["job"]: one["parked"] for one in sent} == {"a": True, "b": False}


def test_many_parked_lines_are_sent_ten_at_a_time(sqsw: Sqsw, parked: SQSEnv) -> None:
    text = "".join(f'{{"n": {n}}}\n' for n in range(25))
    *sent, summary = sqsw("send emails hi --from - --delay 2d --json", input=text).objects
    assert (len(sent), summary["parked"], summary["requests"]) == (25, 25, 3)
    assert {one["job_id"] for one in sent} == {job.job_id for job in parked.parked_jobs()}
    (sqsw.home / "lines").write_text(text)
    code, said = on_terminal(sqsw, "send emails hi --from lines --delay 2d")
    assert (code, "(3 requests), 25 of them parked" in said) == (0, True)


def test_a_dry_run_shows_when_a_job_would_run(sqsw: Sqsw, parked: SQSEnv) -> None:
    (message,) = sqsw("send emails hi --delay 3d --dry-run --json").objects
    assert (message["to"], message["due"] is not None) == ("emails", True)
    (message,) = sqsw("send emails hi --from - --delay 3d --dry-run --json", input="{}\n").objects
    assert message["due"] is not None
    _, said = on_terminal(sqsw, "send emails hi --delay 3d --dry-run")
    assert said.startswith("would park until ")
    assert list(parked.parked_jobs()) == []


# -- inspect --------------------------------------------------------------------------------------


def test_inspect_lists_parked_jobs_by_due_time(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("send emails late n:=2 --delay 9d")
    (sent,) = sqsw("send emails early n:=1 --delay 3d --json").objects
    queue, first, second = sqsw("inspect parked --json").objects
    assert (queue["type"], queue["parked"]) == ("queue", 2)
    assert queue["oldest_age_s"] is not None
    assert (first["job"], first["queue"], first["args"]) == ("early", "emails", {"n": 1})
    assert first["job_id"] == sent["job_id"]
    assert abs(
        datetime.fromisoformat(first["due"]) - datetime.fromisoformat(sent["due"])
    ) < timedelta(seconds=1)
    assert (second["type"], second["job"]) == ("parked_job", "late")
    _, line, _ = sqsw("inspect parked").out.splitlines()
    assert line.split("\t")[:4] == ["parked", sent["job_id"], "early", "emails"]


def test_inspect_lists_jobs_that_a_worker_hides(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("send emails hi --delay 3d")
    client = sqsw.env.queue_client("parked")
    (job,) = parked.parked_jobs()
    client.boto3_client.send_message(  # as the lane renews it
        QueueUrl=client.url,
        MessageBody="{}",
        MessageAttributes={
            "Sqsw": {
                "DataType": "String",
                "StringValue": json.dumps(
                    {"id": "j", "due": int(job.due.timestamp() * 1000), "to": "emails"}
                ),
            }
        },
    )
    client.receive(visibility_timeout=40_000)
    _, *jobs = sqsw("inspect parked --json").objects
    assert "j" in {one["job_id"] for one in jobs}


def test_a_person_sees_parked_queues_and_jobs_as_tables(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("send emails hi to=ann --delay 3d")
    _, said = on_terminal(sqsw, "inspect")
    assert re.search(r"parked .* parking", said)
    _, said = on_terminal(sqsw, "inspect parked")
    assert "1 parked job, which a worker sends when due" in said
    assert re.search(r"id +job +queue +due +sent +arguments", said)
    assert re.search(r'hi +emails +\d{4}-\d\d-\d\d .* to="ann"', said)


def test_the_tag_marks_a_parking_queue_without_the_variable(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    sqsw("create-queue elsewhere --parking")
    sqsw("send emails hi --delay 3d --parking elsewhere")
    by_name = {queue["name"]: queue["parked"] for queue in sqsw("inspect --json").objects}
    assert by_name == {"emails": None, "elsewhere": 1}
    assert len(sqsw("inspect elsewhere --json").objects) == 2


def test_a_peek_shows_when_a_parked_job_is_due(sqsw: Sqsw, parked: SQSEnv) -> None:
    client = sqsw.env.queue_client("parked")
    client.send(
        {
            "MessageBody": "{}",
            "MessageAttributes": {
                "JobName": {"DataType": "String", "StringValue": "hi"},
                "Sqsw": {
                    "DataType": "String",
                    "StringValue": '{"id":"j","due":1800000000000,"to":"emails"}',
                },
            },
        }
    )
    (message,) = sqsw("inspect parked --peek 5 --json").objects
    assert (message["due"], message["to"]) == ("2027-01-15T08:00:00.000Z", "emails")
    _, said = on_terminal(sqsw, "inspect parked --peek 5")
    assert re.search(r"queue +due +arguments", said)
    _, said = on_terminal(sqsw, f"inspect parked {message['id']}")
    assert "then sent to emails" in said


def test_on_a_server_only_a_peek_shows_parked_jobs(
    sqsw: Sqsw, parked: SQSEnv, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    sqsw("send emails hi --delay 3d")
    with serving(cwd=home) as server:
        monkeypatch.delenv("SQSW_LOCAL")
        for name, value in plain_variables(home, server.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "local")
        ran = sqsw("inspect parked --json")
        assert [(one["type"], one["parked"]) for one in ran.objects] == [("queue", 1)]
        _, said = on_terminal(sqsw, "inspect parked")
        assert "to see the jobs that are not hidden: sqsw inspect parked --peek 20" in said
        (oldest,) = (one for one in sqsw("doctor parked --json").objects if "oldest" in one["name"])
        assert (oldest["status"], oldest["detail"]) == ("skip", "age unknown")


# -- purge and delete-queue -----------------------------------------------------------------------


def test_parked_jobs_cannot_be_selected_for_a_purge(sqsw: Sqsw) -> None:
    sqsw("create-queue parked --parking")
    ran = sqsw("purge parked --job hi --yes")
    assert ran.code == 2
    assert "error: cannot select messages of the parking queue 'parked'" in ran.err


@pytest.mark.parametrize("command", ["purge", "delete-queue"])
def test_parked_jobs_are_deleted_only_after_two_questions(
    sqsw: Sqsw, parked: SQSEnv, command: str
) -> None:
    sqsw("send emails hi --delay 3d")
    answers = [("Type the queue name", "parked\n"), ("[y/N]", "n\n")]
    code, said = on_terminal(sqsw, f"{command} parked", answers)
    assert code == 1
    words = " ".join(said.split())
    assert "its jobs have not run yet, and no other queue has them. Delete about 1 job?" in words
    assert "not confirmed: nothing was done" in words
    assert len(list(parked.parked_jobs())) == 1


def test_yes_answers_both_questions(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("send emails hi --delay 3d")
    assert sqsw.process("purge parked", input="parked\ny\n").code == 2
    assert sqsw("purge parked --yes").code == 0
    assert list(parked.parked_jobs()) == []


# -- work and doctor ------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", " --processors-from emails"])
def test_a_parking_queue_cannot_be_worked(sqsw: Sqsw, parked: SQSEnv, more: str) -> None:
    ran = sqsw.process(f"work myapp.tasks:env --queue parked --until-idle 1{more}")
    assert ran.code == 2
    assert "error: a worker cannot run jobs of the parking queue 'parked'" in ran.err


def test_a_local_worker_creates_its_parking_queue(sqsw: Sqsw) -> None:
    ran = sqsw.process("work myapp.tasks:env --until-idle 1", env={"SQSW_PARKING": "parked"})
    assert ran.code == 0, ran.err
    (queue,) = sqsw("inspect parked --json").objects
    assert queue["parked"] == 0


def test_a_worker_refuses_a_bad_parking_queue_and_the_hint_fixes_it(
    sqsw: Sqsw, parked: SQSEnv
) -> None:
    for words in ("--retention 4d", "--dlq dead --retention 14d"):
        sqsw(f"create-queue parked {words} --update")
        ran = sqsw.process("work myapp.tasks:env --until-idle 1")
        assert ran.code == 2
        fix = "create-queue parked --parking --update"
        assert f"sqsw {fix}" in ran.err
        sqsw(fix)
        ran = sqsw.process("work myapp.tasks:env --until-idle 1")
        assert ran.code == 0, ran.err


def test_doctor_finds_wrong_settings_and_its_hint_fixes_them(sqsw: Sqsw, parked: SQSEnv) -> None:
    assert sqsw("doctor parked").code == 0
    sqsw("create-queue parked --dlq dead --retention 4d --update")
    ran = sqsw("doctor parked --json")
    failed = {one["name"]: one["hint"] for one in ran.objects if one["status"] == "fail"}
    fix = "sqsw create-queue parked --parking --update"
    assert failed == {"parked: retention": fix, "parked: dead letters": fix}
    assert ran.code == 8
    sqsw(fix.removeprefix("sqsw "))
    assert sqsw("doctor parked").code == 0


def test_doctor_checks_the_parking_queue_of_the_app(sqsw: Sqsw, parked: SQSEnv) -> None:
    sqsw("create-queue --app myapp.tasks:env")
    names = [one["queue"] for one in sqsw("doctor --app myapp.tasks:env --json").objects]
    assert "parked" in names
    sqsw("delete-queue parked --yes")
    ran = sqsw("doctor --app myapp.tasks:env --sample 3 --json")
    (missing,) = (one for one in ran.objects if one["status"] == "fail")
    assert missing["hint"] == "sqsw create-queue parked --parking"
