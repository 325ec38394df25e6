"""The root command: help, errors in three parts, and commands from plugins."""

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from sqsw_cli.main import COMMANDS, cli
from tests.unit.cli.conftest import Sqsw, write_plugin


def test_without_arguments_it_prints_the_help(sqsw: Sqsw) -> None:
    alone, helped = sqsw(""), sqsw("--help")
    assert alone.code == helped.code == 0
    assert alone.out == helped.out
    assert alone.out.startswith("Usage: sqsw [OPTIONS] COMMAND [ARGS]...\n")
    titles = re.findall(r"^\S.*:$", alone.out, re.M)
    assert titles == ["Examples:", "Commands:", "Global options:"]
    assert "\n  --local[=PATH] " in alone.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_examples(sqsw: Sqsw, name: str) -> None:
    helped = sqsw(name, "--help")
    assert helped.code == 0
    assert "\n\nExamples:\n  sqsw " in helped.out
    assert helped.out.endswith(
        "\n\nGlobal options: --local, --region, --json, --quiet and more; see sqsw --help\n"
    )
    titles = re.findall(r"^([A-Z][a-z ]+):", helped.out, re.M)
    assert titles[:2] == ["Usage", "Examples"]
    assert ("\nD is a duration: " in helped.out) == (
        re.search(r"--\S+ D\s", helped.out) is not None
    )
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize(
    ("words", "message", "next_step"),
    [
        ("sned", "no such command: sned", "did you mean 'sqsw send'?"),
        ("send q j --delya 3", "no such option: --delya", "did you mean '--delay'?"),
        ("--jsom", "no such option: --jsom", "did you mean '--json'?"),
        ("inspect --sample 5", "no such option: --sample", "sqsw inspect --help"),
        ("send", "missing argument 'QUEUE'", "sqsw send --help"),
        (
            "completion",
            "missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish",
            "sqsw completion --help",
        ),
        ("work -c none", "invalid value for '--concurrency'", "sqsw work --help"),
        ("purge mails --ids", "--ids needs a value", "write --ids FILE"),
        ("purge mails --yes=1", "--yes takes no value", "write --yes without a value"),
        ("purge --zzz", "no such option: --zzz", "sqsw purge --help"),
        (
            "purge mails news",
            "too many arguments: news",
            "remove the extra arguments, or put quotes around a value with spaces",
        ),
        ("list", "no such command: list", "sqsw --help"),
        ("worker", "no such command: worker", "did you mean 'sqsw work'?"),
        (
            "send q j s = 3",
            "'s' is not an argument for a job",
            "write KEY=VALUE, without spaces around the =",
        ),
        ("send q j to:=five", "the value of 'to' is not JSON", "to send it as text: to=five"),
    ],
)
def test_usage_errors_have_a_next_step(
    sqsw: Sqsw, words: str, message: str, next_step: str
) -> None:
    ran = sqsw(words)
    assert ran.code == 2
    assert ran.out == ""
    first, *_, last = ran.err.splitlines()
    assert first == f"error: {message}"
    assert last == f"  next: {next_step}"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("work -c 0", "0 is not in the range x>=1"),
        ("work --concurrency none", "'none' is not a valid integer range"),
        ("serve --port 99999", "99999 is not in the range 0<=x<=65535"),
        ("inspect --color blue", "'blue' is not one of 'auto', 'always', 'never'"),
        ("send", "usage: sqsw send [OPTIONS] QUEUE [JOB [ITEM]...]"),
        ("purge mails news", "usage: sqsw purge [OPTIONS] QUEUE"),
    ],
)
def test_a_usage_error_of_click_says_why(sqsw: Sqsw, words: str, why: str) -> None:
    assert f"\n  why:  {why}\n" in sqsw(words).err


def test_a_bad_value_of_a_variable_names_the_variable(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQSW_WORK_CONCURRENCY", "many")
    assert sqsw("work").err.startswith("error: invalid value for SQSW_WORK_CONCURRENCY\n")
    monkeypatch.setenv("SQSW_LOG_LEVEL", "loud")
    assert sqsw("inspect").err.startswith("error: invalid value for SQSW_LOG_LEVEL\n")


def test_with_json_an_error_is_one_object_on_stderr(sqsw: Sqsw) -> None:
    for words in ("--json sned", "send --json", "send --jsom --json"):
        ran = sqsw(words)
        assert ran.code == 2
        assert ran.out == ""
        assert list(ran.error) == ["type", "code", "exit_code", "message", "why", "next"]
        assert (ran.error["type"], ran.error["code"], ran.error["exit_code"]) == (
            "error",
            "usage",
            2,
        )


def test_an_unexpected_error_is_saved_and_reported(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero \udcff")  # as in the name of a file that is not UTF-8

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sqsw.sqs_manage.describe.list_queues", broken)
    ran = sqsw("inspect")
    assert ran.code == 1
    assert ran.err.startswith("error: unexpected ZeroDivisionError: by zero \\udcff\n  why:  ")
    (saved,) = tmp_path.glob("sqsw-traceback-*.txt")
    assert str(saved) in ran.err
    assert "in broken" in saved.read_text()
    assert "Traceback" not in ran.err
    assert "Traceback" in sqsw("inspect -vv").err


def test_the_version_names_python_and_boto3(sqsw: Sqsw) -> None:
    ran = sqsw("--version")
    assert ran.code == 0
    assert ran.out.startswith("sqsw ")
    assert f"(Python {'.'.join(map(str, sys.version_info[:3]))}, boto3 1." in ran.out


def test_options_stand_before_or_after_the_command_and_the_later_one_wins(sqsw: Sqsw) -> None:
    assert sqsw("create-queue emails").code == 0
    for words in ("--json inspect", "inspect --json"):
        assert sqsw(words).objects[0]["name"] == "emails"
    ran = sqsw("--queue-prefix a_ create-queue x --queue-prefix b_ --json")
    assert ran.objects[0]["sqs_name"] == "b_x"


def test_local_without_a_value_does_not_take_the_next_word(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.delenv("SQSW_LOCAL")
    assert sqsw("--local create-queue emails").code == 0
    assert sqsw("create-queue --local reports").code == 0
    assert (home / ".sqsw" / "local.db").exists()
    assert (home / ".sqsw" / ".gitignore").read_text().strip() == "*"
    new = sqsw("inspect --local=other.db")
    assert (new.out, new.err) == ("", f"no queues in local file {home / 'other.db'} (new, empty)\n")
    missing = sqsw("send --local=third.db emails x").err.splitlines()[0]
    assert (
        missing == f"error: no queue named 'emails' in local file {home / 'third.db'} (new, empty)"
    )
    assert sqsw("inspect --local=third.db").err == f"no queues in local file {home / 'third.db'}\n"
    assert sqsw("inspect --local").out.splitlines()[0].startswith("emails\t")
    assert sqsw("send emails read --local file=/a.db").code == 0


def test_local_with_another_place_is_refused(sqsw: Sqsw) -> None:
    ran = sqsw("inspect --local --endpoint-url http://127.0.0.1:9")
    assert ran.code == 2
    assert ran.err.startswith("error: --local and --endpoint-url cannot be used together\n")


def test_local_0_turns_the_variable_off(sqsw: Sqsw) -> None:
    ran = sqsw.process("inspect --local=0 --config none", env={"AWS_EC2_METADATA_DISABLED": "true"})
    assert ran.code == 2
    assert ran.err.startswith("error: no AWS region set\n")


def test_an_endpoint_that_does_not_answer_is_named(sqsw: Sqsw) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "local"}
    env = {**credentials, "SQSW_LOCAL": "", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}
    ran = sqsw.process("inspect", env=env)
    assert ran.code == 1
    assert [line for line in ran.err.splitlines() if "why:" not in line] == [
        "error: cannot connect to http://127.0.0.1:9/",
        "  next: check the address and the network, or start a local SQS: sqsw serve",
    ]


def test_a_profile_that_does_not_exist_is_a_usage_error(sqsw: Sqsw) -> None:
    ran = sqsw.process("inspect --profile nobody")
    assert ran.code == 2
    assert "nobody" in ran.err


def test_a_plugin_adds_a_command(sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(home))
    module = (
        'import click\n\n@click.command()\ndef hello():\n    """Say it."""\n    click.echo("hi")\n'
    )
    write_plugin(home, "acme-hello", "[sqsw.commands]\nhello = acme_hello:hello\n", module)
    write_plugin(home, "acme-thief", "[sqsw.commands]\nsend = acme_thief:send\n", "send = 1\n")
    helped = sqsw("--help")
    assert "Plugin commands:\n  hello  Say it. (acme-hello 2.1)\n" in helped.out
    assert sqsw("hello").out == "hi\n"
    assert "Send a job" in sqsw("send --help").out


def test_a_broken_plugin_command_causes_one_warning(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(home))
    write_plugin(
        home, "acme-bad", "[sqsw.commands]\nbad = acme_bad:bad\n", "raise RuntimeError('x')\n"
    )
    helped = sqsw("--help")
    assert helped.code == 0
    (warning,) = helped.err.splitlines()
    assert warning.startswith("warning: the plugin command 'bad' of acme-bad 2.1 cannot be loaded")
    assert sqsw("bad").code == 7


def test_a_closed_output_ends_the_command_quietly(sqsw: Sqsw) -> None:
    env = sqsw.env
    for number in range(40):
        env.queue_client(f"q{number}").boto3_client.create_queue(QueueName=f"q{number}")
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{shlex.join(sqsw.command('inspect --json'))} | head -n 1; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
    )
    first, status = done.stdout.splitlines()
    assert json.loads(first)["type"] == "queue"
    assert (status, done.stderr) == ("0", "")


def test_all_commands_are_in_the_group() -> None:
    ctx = click.Context(cli)
    assert [name for name in cli.list_commands(ctx) if name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("words", ["inspect", "inspect --json", "--help"])
def test_a_command_works_without_a_stdout(sqsw: Sqsw, words: str) -> None:
    sqsw("create-queue emails")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(sqsw.command(words))} >&-"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("words", "before"),
    [
        ("inspect", ""),
        ("", ""),
        ("send --help", ""),
        ("completion bash", ""),
        ("send emails j --from -", "warning: 1 sent to emails, 0 not sent\n"),
    ],
)
def test_a_full_disk_is_a_clear_error(sqsw: Sqsw, words: str, before: str) -> None:
    sqsw("create-queue emails")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(sqsw.command(words))} > /dev/full"],
        input="{}",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    error = "error: cannot write the output\n  why:  No space left on device\n"
    assert done.stderr == before + error
