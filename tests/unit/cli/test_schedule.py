"""``sqsw schedule``, and what ``sqsw work`` does with schedules."""

import json
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sqsw.core.job_metadata import metadata_of
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_terminal import on_terminal

APP = """
from datetime import datetime, timedelta

from sqsw import SQSEnv

env = SQSEnv()


@env.processor("reports", "build")
def build(year=2026): ...


@env.periodic("0 3 * * *", tz="Europe/Berlin", queue="cron.fifo", args={"city": "Berlin"})
def nightly(at: datetime, city: str):
    print("nightly", at.isoformat(), city)


@env.periodic(every=timedelta(days=1), queue="cron.fifo", name="beat", overlap="skip")
def pulse(): ...
"""


@pytest.fixture(autouse=True)
def app(home: Path) -> None:
    (home / "myapp" / "periodic.py").write_text(APP)


def test_the_list_has_the_rule_and_the_next_three_ticks(sqsw: Sqsw) -> None:
    ran = sqsw("schedule list myapp.periodic:env --json")
    assert ran.code == 0, ran.err
    beat, nightly = ran.objects
    now = datetime.now(UTC)
    assert [datetime.fromisoformat(at) for at in beat.pop("next")] == [
        now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
        for days in (1, 2, 3)
    ]
    assert len(nightly.pop("next")) == 3
    assert nightly == {
        "type": "schedule",
        "name": "nightly",
        "rule": "0 3 * * *",
        "zone": "Europe/Berlin",
        "queue": "cron.fifo",
        "job": "nightly",
        "args": {"city": "Berlin"},
        "takes_at": True,
        "overlap": "wait",
    }
    assert (beat["rule"], beat["zone"], beat["job"]) == ("every 1d", "UTC", "pulse")
    assert (beat["takes_at"], beat["overlap"]) == (False, "skip")


def test_the_list_in_a_pipe_and_on_a_terminal(sqsw: Sqsw) -> None:
    first, second = sqsw("schedule list --app myapp.periodic:env").out.splitlines()
    name, rule, zone, queue, times, job = second.split("\t")
    assert (name, rule, zone) == ("nightly", "0 3 * * *", "Europe/Berlin")
    assert (queue, job) == ("cron.fifo", "nightly")
    assert len(times.split(",")) == 3 and times.endswith("Z")
    assert first.startswith("beat\tevery 1d\tUTC\tcron.fifo\t")
    code, said = on_terminal(sqsw, "schedule list myapp.periodic:env", columns=160)
    assert code == 0
    head, beat, nightly = said.splitlines()
    assert head.split() == ["schedule", "rule", "zone", "queue", "job", "next"]
    assert re.search(r"pulse +\d{4}-\d\d-\d\d 00:00 \+00:00 · .* · ", beat)
    assert re.search(r"nightly +\d{4}-\d\d-\d\d 03:00 \+0[12]:00 · ", nightly)
    _, narrow = on_terminal(sqsw, "schedule list myapp.periodic:env", columns=80)
    assert all(len(line) <= 80 for line in narrow.splitlines())
    assert re.search(r" \d{4}-\d\d-\d\d 03:00 \+0[12]:00$", narrow.splitlines()[2])


def test_a_check_has_every_tick_and_marks_clock_changes(sqsw: Sqsw) -> None:
    ran = sqsw("schedule check nightly --days 366 --app myapp.periodic:env --json")
    assert ran.code == 0, ran.err
    ticks = ran.objects
    assert len(ticks) in (365, 366, 367)
    assert all(re.search(r"T03:00:00\+0[12]:00$", tick["local"]) for tick in ticks)
    assert {tick["schedule"] for tick in ticks} == {"nightly"}
    changes = [tick["clock_change_s"] for tick in ticks if tick["clock_change_s"] is not None]
    assert sorted(changes) == [-3600, 3600]
    times = [datetime.fromisoformat(tick["at"]).timestamp() for tick in ticks]
    gaps = {after - before for before, after in pairwise(times)}
    assert gaps == {23 * 3600, 24 * 3600, 25 * 3600}


def test_a_check_in_a_pipe_has_a_line_for_each_tick(sqsw: Sqsw) -> None:
    ran = sqsw("schedule check beat --days 30 --app myapp.periodic:env")
    assert ran.code == 0, ran.err
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert len(lines) == 30
    assert all(at.endswith("T00:00:00.000Z") and change == "" for at, _, change in lines)


def test_a_terminal_shows_some_ticks_and_a_summary(sqsw: Sqsw) -> None:
    words = "schedule check nightly --days 366 --app myapp.periodic:env"
    code, said = on_terminal(sqsw, words)
    assert code == 0
    head, *ticks, summary = said.splitlines()
    assert head == "nightly: 0 3 * * * in Europe/Berlin"
    assert 15 <= len(ticks) <= 25
    assert re.fullmatch(r"  \d{4}-\d\d-\d\d 03:00 \+0[12]:00", ticks[0])
    for sign, offset in (("+", "+02:00"), ("-", "+01:00")):
        change = ticks.index(f"  {sign}1h clock change")
        assert ticks[change + 1].endswith(offset)
        assert not ticks[change - 1].endswith(offset)
    left_out = sum(int(count) for count in re.findall(r"… (\d+) more", said))
    shown = sum("03:00" in tick for tick in ticks)
    assert summary.startswith(f"{left_out + shown} ticks from ")
    assert summary.endswith(", 23h to 1d1h apart")
    _, whole = on_terminal(sqsw, f"{words} --all")
    assert len(whole.splitlines()) == left_out + shown + 4
    _, few = on_terminal(sqsw, "schedule check beat --days 3 --app myapp.periodic:env")
    assert re.fullmatch(
        r"3 ticks from .* 00:00 \+00:00 to .*, always 1d apart", few.splitlines()[4]
    )


@pytest.mark.parametrize("words", ["check nigthly", "run nigthly"])
def test_an_unknown_name_is_an_error_with_a_suggestion(sqsw: Sqsw, words: str) -> None:
    ran = sqsw(f"schedule {words} --app myapp.periodic:env")
    assert ran.code == 3
    assert ran.err == (
        "error: no schedule named 'nigthly'\n"
        "  why:  schedules: beat, nightly\n"
        "  next: did you mean 'nightly'?\n"
    )
    assert (
        sqsw(f"schedule {words} --app myapp.periodic:env --json").error["code"]
        == "schedule_not_found"
    )


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        ("", "name an app: --app myapp.tasks:env, or set app in [tool.sqsw]"),
        (" --app myapp.tasks:env", "declare one with @env.periodic(...) or in [schedules.NAME]"),
    ],
)
@pytest.mark.parametrize("command", ["list", "check nightly", "run nightly"])
def test_without_schedules_each_command_is_an_error(
    sqsw: Sqsw, words: str, next_step: str, command: str
) -> None:
    ran = sqsw(f"schedule {command}{words}")
    assert ran.code == 2
    assert ran.err.startswith("error: there are no schedules\n")
    assert f"  next: {next_step}" in ran.err


def test_the_group_has_help_and_suggests_subcommands(sqsw: Sqsw) -> None:
    alone = sqsw("schedule")
    assert (alone.code, alone.out) == (0, sqsw("schedule --help").out)
    assert "\nCommands:\n  list   Show the schedules and" in alone.out
    wrong = sqsw("schedule lst")
    assert wrong.code == 2
    assert wrong.err == (
        "error: no such command: lst\n  next: did you mean 'sqsw schedule list'?\n"
    )
    assert sqsw("schedule --days 3").err.startswith("error: no such option: --days\n")
    helped = sqsw("schedule check --help").out
    assert "Usage: sqsw schedule check [OPTIONS] NAME\n" in helped
    assert "  each tick  at, local, clock_change_s\n" in helped


def test_options_can_stand_before_each_command(sqsw: Sqsw) -> None:
    for words in ("--json schedule list", "schedule --json list", "schedule list --json"):
        assert len(sqsw(f"{words} --app myapp.periodic:env").objects) == 2


def test_run_sends_a_tick_each_time(sqsw: Sqsw) -> None:
    sqsw("create-queue cron.fifo")
    before = int(time.time())
    sent = [sqsw("schedule run nightly --app myapp.periodic:env --json") for _ in range(2)]
    assert [ran.code for ran in sent] == [0, 0], sent[0].err
    first, second = (ran.objects[0] for ran in sent)
    assert first["type"] == "sent"
    assert (first["queue"], first["job"], first["group"]) == ("cron.fifo", "nightly", "nightly")
    assert len({first["dedup_id"], second["dedup_id"]}) == 2
    assert first["dedup_id"] == first["job_id"]
    assert sqsw.visible("cron.fifo") == 2
    (message, *_) = sqsw.env.queue("cron.fifo").get_raw_messages()
    metadata = metadata_of(message)
    assert (metadata.job_id, metadata.schedule) == (first["job_id"], "nightly")
    at = datetime.fromisoformat(metadata.at or "").timestamp()
    assert before <= at <= time.time()


def test_the_job_of_a_run_gets_its_instant(sqsw: Sqsw) -> None:
    sqsw("create-queue cron.fifo")
    assert sqsw("schedule run nightly --app myapp.periodic:env").code == 0
    ran = sqsw.process("work myapp.periodic:env -Q cron.fifo --max-jobs 1 --no-schedule")
    assert ran.code == 0, ran.err
    assert re.fullmatch(r"nightly \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00 Berlin\n", ran.out)


def test_run_on_a_terminal_and_in_a_pipe(sqsw: Sqsw) -> None:
    sqsw("create-queue cron.fifo")
    job_id, message_id = sqsw("schedule run beat --app myapp.periodic:env").out.rstrip().split("\t")
    assert job_id != message_id
    code, said = on_terminal(sqsw, "schedule run beat --app myapp.periodic:env", columns=200)
    assert code == 0
    assert said.startswith("✓ sent a tick of beat to cron.fifo  job pulse  job id ")


def test_a_missing_queue_names_the_command_that_creates_it(sqsw: Sqsw) -> None:
    ran = sqsw("schedule run nightly --app myapp.periodic:env")
    assert ran.code == 3
    (cure,) = re.findall(r"create it: sqsw (.*)", ran.err)
    assert cure == "create-queue cron.fifo"
    assert sqsw(cure).code == 0
    assert sqsw("schedule run nightly --app myapp.periodic:env").code == 0


def test_a_file_sets_options_of_the_subcommands(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text('app = "myapp.periodic:env"\n[schedule]\ndays = 3\n')
    assert len(sqsw("schedule check beat --json").objects) == 3
    assert len(sqsw("schedule list --json").objects) == 2
    (home / "sqsw.toml").write_text('app = "myapp.periodic:env"\n[schedule]\nday = 3\n')
    assert "unknown key 'day' in schedule" in sqsw("schedule list").err
    (home / "sqsw.toml").write_text('[schedule.nightly]\njob = "a.b"\n')
    ran = sqsw("schedule list")
    assert ran.code == 2
    assert "unknown key 'nightly' in schedule" in ran.err


# -- [schedules.NAME] ---------------------------------------------------------------------------

FILE = """
app = "myapp.periodic:env"

[schedules.yearly]
job = "reports.build"
cron = "0 8 1 1 *"
tz = "America/New_York"
queue = "cron.fifo"
args = {year = 2027}
overlap = "skip"

[schedules.often]
job = "reports.build"
every = "5m"
queue = "cron.fifo"
"""


def test_a_file_declares_schedules(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text(FILE)
    for _ in range(2):  # the app is loaded once more in the same process
        found = {one["name"]: one for one in sqsw("schedule list --json").objects}
    assert list(found) == ["beat", "nightly", "often", "yearly"]
    yearly, often = found["yearly"], found["often"]
    assert (yearly["rule"], yearly["zone"]) == ("0 8 1 1 *", "America/New_York")
    assert (yearly["queue"], yearly["job"]) == ("cron.fifo", "build")
    assert (yearly["args"], yearly["overlap"]) == ({"year": 2027}, "skip")
    assert (often["rule"], often["zone"], often["overlap"]) == ("every 5m", "UTC", "wait")


def test_pyproject_declares_schedules_too(sqsw: Sqsw, home: Path) -> None:
    text = re.sub(r"^\[", "[tool.sqsw.", FILE, flags=re.M).replace("\napp", "\n[tool.sqsw]\napp", 1)
    (home / "pyproject.toml").write_text(text)
    ran = sqsw("schedule list --json")
    assert [one["name"] for one in ran.objects] == ["beat", "nightly", "often", "yearly"], ran.err


def test_the_queue_of_a_job_on_a_fifo_queue_is_the_default(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text('[schedules.more]\njob = "cron.fifo.pulse"\nevery = 60\n')
    found = {one["name"]: one for one in sqsw("schedule list myapp.periodic:env --json").objects}
    assert (found["more"]["queue"], found["more"]["job"]) == ("cron.fifo", "pulse")


@pytest.mark.parametrize(
    ("text", "why", "next_step"),
    [
        ("cron = '* * * * *'", "it needs job = 'queue.job'", None),
        ("job = 'reports.build'", "it needs cron or every", None),
        (
            "job = 'reports.build'\ncron = '* * * * *'\nevery = 5",
            "it has both cron and every",
            None,
        ),
        ("job = 3", "must be a string", None),
        ("job = ''", "must be a string", None),
        ("every = true", "must be a duration", None),
        ("every = 1.5", "must be a duration", None),
        ("overlap = 'drop'", "must be 'wait' or 'skip'", None),
        ("args = 'x'", "must be a table of text", None),
        ("args = {day = 2026-01-02}", "must be a table of text", None),
        ("args = {most = inf}", "must be a table of text", None),
        (
            "job = 'reports.build'\nevery = '5x'\nqueue = 'cron.fifo'",
            "'5x' is not a duration",
            None,
        ),
        ("job = 'reports.build'\nevery = '400d'\nqueue = 'cron.fifo'", "out of range", None),
        (
            "job = 'reports.biuld'\nevery = 5\nqueue = 'cron.fifo'",
            "no job 'reports.biuld' is registered: the known jobs are cron.fifo.nightly, "
            "cron.fifo.pulse, reports.build",
            "did you mean 'reports.build'?",
        ),
        (
            "job = 'reports.build'\nevery = 5",
            "names no queue: ticks go to a FIFO queue, and 'reports' is a standard queue",
            "set queue, such as queue = 'cron.fifo'",
        ),
        ("job = 'reports.build'\nevery = 5\nqueue = 'cron'", "only a FIFO queue", None),
        (
            "job = 'reports.build'\ncron = '61 * * * *'\nqueue = 'cron.fifo'",
            "'61 * * * *' is not a cron expression",
            None,
        ),
        (
            "job = 'reports.build'\nevery = 5\ntz = 'Europe/Berln'\nqueue = 'cron.fifo'",
            "'Europe/Berln'",
            None,
        ),
        (
            "job = 'reports.build'\nevery = 5\nqueue = 'cron.fifo'\nargs = {yaer = 1}",
            "yaer",
            None,
        ),
    ],
)
def test_a_schedule_that_cannot_be_used_is_an_error(
    sqsw: Sqsw, home: Path, text: str, why: str, next_step: str | None
) -> None:
    (home / "sqsw.toml").write_text(f"[schedules.bad]\n{text}\n")
    ran = sqsw("schedule list myapp.periodic:env")
    assert ran.code == (3 if "is registered" in why else 2)
    first, reason, *rest = ran.err.splitlines()
    assert "schedules.bad" in first and str(home / "sqsw.toml") in first
    assert first.endswith(" cannot be used")
    assert why in reason
    assert next_step is None or rest[0].startswith(f"  next: {next_step}")


def test_an_unknown_key_of_a_schedule_is_an_error(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text("[schedules.bad]\ncorn = '* * * * *'\n")
    ran = sqsw("schedule list myapp.periodic:env")
    assert ran.code == 2
    assert ran.err == (
        f"error: unknown key 'corn' in schedules.bad of {home / 'sqsw.toml'}\n"
        "  why:  the keys of a schedule are job, cron, every, tz, queue, args, overlap\n"
        "  next: did you mean 'cron'?\n"
    )
    (home / "sqsw.toml").write_text("[schedules]\nbad = 3\n")
    assert sqsw("schedule list myapp.periodic:env").err.startswith("error: 'schedules.bad' in ")


def test_a_name_that_the_code_also_uses_is_an_error(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text(
        "[schedules.nightly]\njob = 'reports.build'\nevery = 5\nqueue = 'cron.fifo'\n"
    )
    ran = sqsw("schedule list myapp.periodic:env")
    assert ran.code == 2
    assert "[schedules.nightly] in " in ran.err
    assert "another schedule is named 'nightly': it sends 'nightly' to 'cron.fifo'" in ran.err
    assert ran.err.endswith("  next: rename one of them\n")


def test_commands_without_an_app_do_not_read_the_jobs_of_schedules(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text(FILE.replace('app = "myapp.periodic:env"', ""))
    sqsw("create-queue emails")
    assert sqsw("inspect").code == 0
    assert sqsw("doctor emails").code == 0
    assert sqsw("work").err.startswith("error: there are no jobs to run\n")


def test_doctor_reports_a_schedule_that_cannot_be_used(sqsw: Sqsw, home: Path) -> None:
    sqsw("create-queue emails")
    (home / "sqsw.toml").write_text(FILE.replace("reports.build", "reports.nothing"))
    ran = sqsw("doctor emails --json")
    assert ran.code == 8
    (app,) = [one for one in ran.objects if one["name"] == "app"]
    assert app["status"] == "fail"
    assert "[schedules.yearly] in" in app["detail"]


def test_create_queue_of_an_app_creates_the_queues_of_schedules(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text(FILE.replace("cron.fifo", "ticks.fifo"))
    ran = sqsw("create-queue --app myapp.periodic:env --json")
    assert ran.code == 0, ran.err
    created = {one["name"]: one for one in ran.objects}
    assert {"cron.fifo", "cron_dead.fifo", "ticks.fifo", "ticks_dead.fifo"} < set(created)
    assert created["ticks.fifo"]["fifo"]


# -- work ---------------------------------------------------------------------------------------

EVERY_SECOND = """
from datetime import timedelta

from sqsw import SQSEnv

env = SQSEnv()


@env.periodic(every=timedelta(seconds=1), queue="cron.fifo")
def second():
    print("tick", flush=True)


@env.processor("emails", "send")
def send(): ...
"""


@pytest.fixture
def each_second(home: Path) -> None:
    (home / "myapp" / "seconds.py").write_text(EVERY_SECOND)


@pytest.mark.usefixtures("each_second")
@pytest.mark.parametrize("more", ["", " --processes 2"])
def test_a_worker_sends_and_runs_ticks(sqsw: Sqsw, more: str) -> None:
    ran = sqsw.process(f"work myapp.seconds:env --max-jobs 3{more}")
    assert ran.code == 0, ran.err
    assert ran.out == "tick\n" * 3
    log = [json.loads(line) for line in ran.err.splitlines()]
    (created,) = [line["queues"] for line in log if line["event"] == "queues_created"][:1]
    assert {"cron.fifo", "cron_dead.fifo", "emails"} <= set(created)


@pytest.mark.parametrize("more", ["", " --processes 2"])
def test_worker_processes_have_the_schedules_of_the_file(sqsw: Sqsw, home: Path, more: str) -> None:
    (home / "sqsw.toml").write_text(
        "[schedules.each]\njob = 'emails.send_email'\nevery = 1\nqueue = 'ticks.fifo'\n"
        "args = {to = 'ann@example.com', subject = 'Hello'}\n"
    )
    ran = sqsw.process(f"work myapp.tasks:env --max-jobs 2{more}")
    assert ran.code == 0, ran.err
    done = [line for line in map(json.loads, ran.err.splitlines()) if line["event"] == "job_done"]
    assert [(line["queue"], line["job"], line["group"]) for line in done] == [
        ("ticks.fifo", "send_email", "each")
    ] * 2


@pytest.mark.usefixtures("each_second")
def test_a_worker_of_another_queue_sends_ticks_too(sqsw: Sqsw) -> None:
    ran = sqsw.process("work myapp.seconds:env -Q emails --until-idle 4")
    assert ran.code == 0, ran.err
    assert sqsw.visible("cron.fifo") >= 2
    (started,) = [
        values
        for values in map(json.loads, ran.err.splitlines())
        if values["event"] == "worker_started"
    ]
    assert (started["queues"], started["schedules"]) == (["emails"], ["second"])


@pytest.mark.usefixtures("each_second")
def test_no_schedule_sends_no_ticks(sqsw: Sqsw) -> None:
    sqsw("create-queue cron.fifo")
    ran = sqsw.process("work myapp.seconds:env -Q emails --until-idle 3 --no-schedule")
    assert ran.code == 0, ran.err
    assert sqsw.visible("cron.fifo") == 0
    assert '"schedules": []' in ran.err


@pytest.mark.usefixtures("each_second")
@pytest.mark.parametrize("more", ["", " --recycle age=1h", " --reload"])
def test_schedule_only_sends_ticks_and_runs_no_jobs(sqsw: Sqsw, more: str) -> None:
    sqsw("create-queue emails")
    sqsw("send emails send")
    sqsw("create-queue cron.fifo")
    worker = sqsw.start(f"work myapp.seconds:env --schedule-only{more}")
    try:
        deadline = time.monotonic() + 30
        while sqsw.visible("cron.fifo") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        worker.terminate()
        _, log = worker.communicate(timeout=30)
    assert worker.returncode == 0, log
    assert sqsw.visible("emails") == 1


def test_schedule_only_without_schedules_is_an_error(sqsw: Sqsw) -> None:
    ran = sqsw("work myapp.tasks:env --schedule-only --log-format console")
    assert ran.code == 2
    assert ran.err.startswith("error: there are no schedules\n")
    assert "or leave out --schedule-only" in ran.err


@pytest.mark.parametrize(
    "option",
    [
        "--no-schedule",
        "--queue cron.fifo",
        "--processors-from cron.fifo",
        "--until-idle 5",
        "--max-jobs 3",
        "--processes 2",
    ],
)
def test_schedule_only_excludes_options_about_jobs(sqsw: Sqsw, option: str) -> None:
    ran = sqsw(f"work myapp.periodic:env --schedule-only {option} --log-format console")
    assert ran.code == 2
    name = option.split()[0]
    assert ran.err.startswith(f"error: --schedule-only and {name} cannot be used together\n")


def test_an_option_outranks_one_in_the_file_that_it_excludes(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_WORK_SCHEDULE_ONLY", "1")
    words = "work myapp.tasks:env --log-format console"
    assert "there are no schedules" in sqsw(words).err
    (home / "sqsw.toml").write_text('[work]\nqueue = "emails"\nprocesses = 2\n')
    assert "there are no schedules" in sqsw(words).err
    ran = sqsw(f"{words} -Q nothing")
    assert "no jobs are registered for the queue 'nothing'" in ran.err
    (home / "sqsw.toml").write_text('[work]\nqueue = "nothing"\n')
    ran = sqsw(f"{words} --until-idle 1")  # keeps the queue of the file, as the worker runs jobs
    assert "no jobs are registered for the queue 'nothing'" in ran.err
    monkeypatch.setenv("SQSW_WORK_QUEUE", "emails")
    assert "--schedule-only and --queue cannot be used together" in sqsw(words).err


def test_the_banner_shows_the_schedules(sqsw: Sqsw) -> None:
    sqsw("create-queue --app myapp.periodic:env")
    sqsw("send cron.fifo pulse --dedup-id 1")
    code, said = on_terminal(sqsw, "work myapp.periodic:env --max-jobs 1", columns=200)
    assert code == 0, said
    assert (
        "  schedule beat      every 1d UTC  to cron.fifo\n"
        "           nightly   0 3 * * * Europe/Berlin  to cron.fifo\n"
        "  jobs     8 at a time;"
    ) in said
    sqsw("send cron.fifo pulse --dedup-id 2")
    _, said = on_terminal(sqsw, "work myapp.periodic:env --max-jobs 1 --no-schedule", columns=200)
    assert "  schedule " not in said


def test_the_banner_of_a_worker_without_jobs(sqsw: Sqsw, home: Path) -> None:
    schedules = "".join(
        f"@env.periodic('0 3 * * *', queue='cron.fifo')\ndef job{number:02}(): ...\n"
        for number in range(12)
    )
    (home / "myapp" / "many.py").write_text(f"from sqsw import SQSEnv\nenv = SQSEnv()\n{schedules}")
    worker = subprocess.Popen(
        sqsw.command("work myapp.many:env --schedule-only --log-format console"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stderr
    lines = [worker.stderr.readline() for _ in range(15)]
    worker.terminate()
    worker.communicate(timeout=30)
    text = "".join(lines)
    assert "           job08   0 3 * * * UTC  to cron.fifo\n" in text
    assert "           and 3 more: sqsw schedule list\n" in text
    assert "  jobs     none: this worker only sends ticks\n" in text
    assert "queues" not in text.replace("created", "")


def test_a_missing_queue_ends_the_start_of_a_worker(sqsw: Sqsw) -> None:
    """Only the embedded SQS in this process creates missing queues."""
    from tests.life.serving import serving

    with serving("--memory", cwd=sqsw.home) as server:
        where = f"--endpoint-url {server.url}"
        variables = {
            "SQSW_LOCAL": "0",
            "AWS_REGION": "local",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        for more in ("", " --recycle age=1h"):
            words = f"work myapp.periodic:env --schedule-only --log-format console {where}{more}"
            ran = sqsw.process(words, env=variables)
            assert ran.code == 3, ran.err
            assert "error: no queue named 'cron.fifo' in " in ran.err
            assert "create it: sqsw create-queue cron.fifo\n" in ran.err
        cure = sqsw.process(f"create-queue cron.fifo {where}", env=variables)
        assert cure.code == 0, cure.err
        ran = sqsw.process(f"schedule run beat --app myapp.periodic:env {where}", env=variables)
        assert ran.code == 0, ran.err
