"""Configuration files: sqsw.toml and [tool.sqsw]."""

import json
import re
from pathlib import Path

import pytest

from sqsw.core.errors import SettingsError
from sqsw_cli.config import read_config
from tests.unit.cli.conftest import Sqsw


def test_the_nearest_file_in_the_parents_is_read(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.sqsw]\napp = "top"\n')
    assert read_config(start=below).table == {"app": "top"}
    # A pyproject.toml without our table is not ours.
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\n")
    assert read_config(start=below).table == {"app": "top"}
    (tmp_path / "a" / "sqsw.toml").write_text('app = "near"\n')
    assert read_config(start=below).table == {"app": "near"}


def test_sqsw_toml_wins_over_pyproject_toml_in_one_directory(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.sqsw]\napp = "pyproject"\n')
    (tmp_path / "sqsw.toml").write_text('app = "own"\n')
    assert read_config(start=tmp_path).table == {"app": "own"}


def test_none_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "sqsw.toml").write_text("broken = [\n")
    assert read_config("none", start=tmp_path).path is None
    with pytest.raises(SettingsError, match="cannot read"):
        read_config(start=tmp_path)
    with pytest.raises(SettingsError, match="cannot read"):
        read_config(str(tmp_path / "other.toml"))


@pytest.mark.parametrize(
    ("text", "message", "next_step"),
    [
        (
            "[work]\nconcurency = 3\n",
            "unknown key 'concurency' in work",
            "did you mean 'concurrency'?",
        ),
        ("[wrok]\n", "unknown key 'wrok'", "did you mean 'work'?"),
        ("ap = 'x'\n", "unknown key 'ap'", "did you mean 'app'?"),
        ("[tool.sqsw]\n", "unknown key 'tool'", None),
        ("concurrency = 3\n", "unknown key 'concurrency'", None),
        ("local = true\n", "'local' in", "set SQSW_LOCAL, or use --local"),
        ("[work]\nqueue_prefix = 'x'\n", "'work.queue_prefix' in", "set SQSW_QUEUE_PREFIX"),
        ("[work]\nconcurrency = 'many'\n", "'work.concurrency' in", None),
        ("[work]\nstrict = 1\n", "'work.strict' in", None),
        ("[work]\nconcurrency = true\n", "'work.concurrency' in", None),
        ("[work]\nuntil_idle = [1]\n", "'work.until_idle' in", None),
        ("[work]\nlock = 'x'\n", "'work.lock' in", "use --lock on the command line"),
        ("[work]\nhealth_file = 'x'\n", "'work.health_file' in", "use --health-file on"),
        ("[work]\nhttp = '0.0.0.0:80'\n", "'work.http' in", "use --http 0.0.0.0:80 on"),
        ("[work]\nhttp = '[::]:80'\n", "'work.http' in", "use --http [::]:80 on"),
        ("[work]\nqueue = [1]\n", "'work.queue' in", None),
        ("app = 5\n", "'app' in", None),
        ("json = 'yes'\n", "'json' in", None),
        ("work = 5\n", "'work' in", None),
        ("queues = 5\n", "'queues' in", None),
        ("x = " + "[" * 100_000, "cannot read ", None),
        ("[queues]\nemails = 5\n", "'queues.emails' in", None),
        ("[queues.emails]\nwait = 1\n", "unknown key 'wait' in queues.emails", None),
        ("[queues.emails]\nweight = 0\n", "'queues.emails.weight' in", None),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(
    sqsw: Sqsw, home: Path, text: str, message: str, next_step: str | None
) -> None:
    (home / "sqsw.toml").write_text(text)
    ran = sqsw("work myapp.tasks:env --until-idle 0 -Q emails")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {message}")
    assert next_step is None or f"  next: {next_step}" in ran.err


def test_a_section_that_is_not_a_table_is_an_error_if_it_is_ours(sqsw: Sqsw, home: Path) -> None:
    (home / "pyproject.toml").write_text("[tool]\nsqsw = 5\n")
    ran = sqsw("inspect")
    assert ran.code == 2
    assert ran.err.startswith("error: cannot read ")
    assert "  why:  [tool.sqsw] is not a table" in ran.err
    (home / "pyproject.toml").write_text("tool = 5\n")
    assert sqsw("inspect").code == 0


def test_yes_cannot_be_set_in_a_file(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text("[purge]\nyes = true\n")
    ran = sqsw("purge emails")
    assert ran.code == 2
    assert "so only the command line can set it" in ran.err


def test_option_beats_variable_beats_file(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqsw("create-queue emails")
    (home / "pyproject.toml").write_text(
        '[tool.sqsw]\napp = "myapp.tasks:env"\n\n'
        '[tool.sqsw.work]\nconcurrency = 3\nuntil_idle = "0s"\nqueue = "emails"\n'
        "[tool.sqsw.queues.emails]\nweight = 2\n"
    )

    def concurrency(words: str) -> int:
        ran = sqsw(words)
        assert ran.code == 0, ran.err
        *_, started = [line for line in ran.err.splitlines() if '"worker_started"' in line]
        return int(started.partition('"concurrency": ')[2].partition(",")[0])

    assert concurrency("work") == 3
    monkeypatch.setenv("SQSW_WORK_CONCURRENCY", "4")
    monkeypatch.setenv("SQSW_WORK_QUEUE", "emails,weight=3")
    assert concurrency("work") == 4
    assert concurrency("work -c 5") == 5


def test_the_config_option_can_be_before_or_after_the_command(sqsw: Sqsw, home: Path) -> None:
    (home / "other.toml").write_text("json = true\n")
    sqsw("create-queue emails")
    for words in ("--config other.toml inspect", "inspect --config other.toml"):
        assert sqsw(words).objects[0]["type"] == "queue"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("serve --port 0", "[serve]\nhost = '0.0.0.0'"),
        ("serve --port 0", "[serve]\nno_auth = true"),
        ("serve --port 0", "[serve]\nallow_host = 'a.example'"),
        ("send emails --raw x", "[send]\nfailed = 'kept'"),
        ("work myapp.tasks:env --until-idle 0", "[work]\nlock = 'kept'"),
        ("work myapp.tasks:env --until-idle 0", "[work]\nhealth_file = 'kept'"),
        ("work myapp.tasks:env --until-idle 0", "[work]\nhttp = '0.0.0.0:0'"),
        ("work myapp.tasks:env --until-idle 0", "[work]\nhttp = '127.example.com:0'"),
        ("create-queue emails", "[create_queue]\nattribute = 'Policy={}'"),
        ("purge emails", "[purge]\nyes = true"),
        ("delete-queue emails", "[delete_queue]\nwith_dlq = true"),
        ("inspect", "[inspect]\nconfig = 'kept'"),
    ],
)
@pytest.mark.parametrize("above", [False, True])
def test_a_file_cannot_open_the_machine_or_write_files(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch, words: str, text: str, above: bool
) -> None:
    (home / "kept").write_text("precious")
    (home / "sqsw.toml").write_text(f"{text}\n")
    if above:
        (home / "below").mkdir()
        monkeypatch.chdir(home / "below")
    ran = sqsw(words)
    assert ran.code == 2
    command, key = re.findall(r"\w+", text)[:2]
    command = command.replace("_", "-")
    assert f"error: '{command}.{key}' in {home / 'sqsw.toml'} cannot be used\n" in ran.err
    assert f"  next: use --{key.replace('_', '-')} " in ran.err
    assert (home / "kept").read_text() == "precious"


@pytest.mark.parametrize("value", ["0", "'localhost:0'", "'127.0.0.1:0'", "'[::1]:0'"])
def test_a_file_can_set_a_port_of_this_machine(sqsw: Sqsw, home: Path, value: str) -> None:
    (home / "sqsw.toml").write_text(f"[work]\nhttp = {value}\n")
    assert "cannot import 'nothing'" in sqsw("work nothing").err


def test_relative_paths_start_at_the_file(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqsw("create-queue emails")
    (home / "sqsw.toml").write_text('[send]\nfrom = "lines.txt"\n')
    (home / "lines.txt").write_text("one\ntwo\n")
    (home / "below").mkdir()
    monkeypatch.chdir(home / "below")
    assert sqsw("send emails --raw").code == 0
    assert sqsw.visible("emails") == 2


def test_a_section_for_a_queue_without_jobs_warns_if_a_similar_queue_has_jobs(
    sqsw: Sqsw, home: Path
) -> None:
    # Not similar: reports, slowly (slow has a section), and the dead-letter queue of emails.
    names = ("emials", "slow", "slowly", "reports", "emails_dead")
    (home / "sqsw.toml").write_text("".join(f"[queues.{name}]\nweight = 3\n" for name in names))
    sqsw("create-queue emails")
    ran = sqsw("work myapp.tasks:env -Q emails --until-idle 0 --log-format console")
    assert ran.code == 0, ran.err
    assert ran.err.count("has no jobs") == 1
    assert (
        f"warning: [queues.emials] in {home / 'sqsw.toml'} has no effect, because "
        "this queue has no jobs\n  next: did you mean 'emails'?\n"
    ) in ran.err
    logged = sqsw("work myapp.tasks:env -Q emails --until-idle 0").err.splitlines()
    (warning,) = [json.loads(line) for line in logged if "has no jobs" in line]
    assert (warning["event"], warning["queue"]) == ("queue_warning", "emials")
    assert warning["hint"] == "did you mean 'emails'?"


def test_global_options_have_no_work_or_serve_variables(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqsw("create-queue emails")
    for name in ("VERSION", "HELP", "JSON", "LOCAL"):
        monkeypatch.setenv(f"SQSW_WORK_{name}", str(home / "other.db"))
    ran = sqsw("work myapp.tasks:env -Q emails --until-idle 0 --log-format console")
    assert (ran.code, ran.out) == (0, "")
    assert f"  sqs      local file {home / 'local.db'}\n" in ran.err


def test_queues_of_the_file_get_their_weights_without_being_named(sqsw: Sqsw, home: Path) -> None:
    (home / "myapp" / "few.py").write_text(
        "from sqsw.sqs_env import SQSEnv\nenv = SQSEnv()\n"
        "@env.processor('a', 'x')\ndef x(): ...\n@env.processor('b', 'x')\ndef y(): ...\n"
    )
    (home / "sqsw.toml").write_text("[queues.b]\nconcurrency = 2\n[queues.a]\nweight = 3\n")
    sqsw("create-queue a")
    sqsw("create-queue b")
    ran = sqsw("work myapp.few:env --until-idle 0 --log-format console")
    assert ran.code == 0, ran.err
    assert "  queues   a   1 job    weight 3\n           b   1 job    2 at a time\n" in ran.err
