"""The examples at the end of each ``--help``, run unchanged in a shell on a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import pytest

from sqsw.core.events import Pulse
from sqsw.observe.health import Health
from sqsw.observe.http import HealthServer
from sqsw.observe.metrics import Metrics
from sqsw_cli.main import COMMANDS, cli
from tests.unit.cli.conftest import Sqsw
from tests.unit.sqs_manage.queues import failure, send_letter

TASKS = """
from sqsw.sqs_env import SQSEnv

env = SQSEnv()


@env.processor("emails", "send_email")
def send_email(to, subject="", body=""):
    pass


@env.processor("news", "send_news")
def send_news(to):
    pass


@env.processor("orders.fifo", "ship")
def ship(id):
    pass


@env.periodic("0 3 * * *", queue="cron.fifo")
def nightly():
    pass


@env.processor("users", "refresh")
def refresh(id):
    pass


@env.processor("reports", "build")
def build(year, formats=()):
    pass
"""

#: programs of the reader that the examples use, and what they do here
PROGRAMS = {
    "psql": """#!/bin/sh\nprintf '{"id": 1}\\n{"id": 2}\\n'\n""",
    "mail": "#!/bin/sh\ncat\n",
    "sqsw": f'#!/bin/sh\nexec "{sys.executable}" -m sqsw_cli "$@"\n',
}

#: the output of an example that keeps running, after which the test presses Ctrl-C
GOES_ON = {"work": "✓ emails send_email", "serve": "AWS_SECRET_ACCESS_KEY", "--watch": "ready"}


def examples() -> Iterator[tuple[str, str]]:
    """Return pairs of command and example line."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        commands = [command]
        if isinstance(command, click.Group):
            commands += command.commands.values()
        for each in commands:
            for line in each.examples.strip().splitlines():  # type: ignore[union-attr]  # ours
                yield name, line


@pytest.fixture
def ready(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Sqsw:
    """Create a directory in which the examples work."""
    home = sqsw.home
    programs = home / "bin"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))
    (home / ".config" / "fish" / "completions").mkdir(parents=True)
    (home / "myapp" / "tasks.py").write_text(TASKS)
    (home / "pyproject.toml").write_text('[tool.sqsw]\napp = "myapp.tasks:env"\n')
    (home / "letter.txt").write_text("Dear Ann")
    (home / "recipients.jsonl").write_text('{"to": "a@example.com"}\n')
    (home / "events.jsonl").write_text('{"detail-type": "Scheduled Event"}\n')
    return sqsw


def fill(sqsw: Sqsw) -> None:
    """Create the queues of the examples, with dead letters in one of them."""
    for words in (
        "--dlq emails_dead",
        "--dlq foo_dead --max-receives 1",
        *("news", "reports", "orders.fifo", "users", "cron", "cron.fifo", "tmp_1", "tmp_2"),
        "parked --parking",
    ):
        assert sqsw(f"create-queue {words}").code == 0
    sqsw("send emails send_email to=a@example.com subject=x")
    args = {"a": 2, "b": 1, "customer": "acme"}
    send_letter(sqsw.env, "foo_dead", args, failure("foo"), job="send_email")
    assert sqsw.visible("foo_dead") == 1


def in_shell(line: str, until: str | None) -> tuple[int, str]:
    """Run a line in bash on a terminal; type the name it asks for; stop it after its expected
    output.
    """
    pid, descriptor = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"}
        bash = str(shutil.which("bash"))
        os.execv(bash, [bash, "-o", "pipefail", "-c", line])
    said, answered, deadline = "", 0, time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(descriptor, 65_536).decode()
        except OSError:  # the error of Linux after the other side is closed
            break
        said += chunk
        asked = re.findall(
            r"(\S+) holds about .*?Type the queue name to continue:", said, re.DOTALL
        )
        if len(asked) > answered:
            answered += 1
            os.write(descriptor, f"{asked[-1]}\n".encode())
        if until is not None and until in said:
            until = None
            os.write(descriptor, b"\x03")
    else:
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(status), said


@contextmanager
def healthy_worker() -> Iterator[int]:
    """Run the server of a worker that receives; yield its port."""
    health = Health()
    health(Pulse(1, 8, 0, {}, 0, 0, 30, ready=True, problem=None))
    with HealthServer("127.0.0.1", 0, health, Metrics(health)) as server:
        yield server.port


@pytest.mark.parametrize(("command", "line"), list(examples()))
def test_an_example_of_the_help_works(command: str, line: str, ready: Sqsw) -> None:
    if shutil.which("jq") is None and "jq" in line:
        pytest.skip("jq is not installed")
    if command != "create-queue":
        fill(ready)
    elif "--update" in line:
        ready("create-queue emails")
    until = next((text for word, text in GOES_ON.items() if word in line.split()), None)
    if "--print-env" in line:
        until = None
    if "--json" in line and command == "serve":
        until = '"type": "ready"'
    if command == "work" and "--local" in line.split():  # its default file is a different one
        for name in ("emails", "news", "reports", "orders.fifo", "users", "cron.fifo"):
            ready(f"create-queue {name} --local")
        ready("send emails send_email to=a --local")
    if "6f1c0a3e" in line.split():
        send_letter(ready.env, "emails_dead", {}, failure(), job_id=line.split()[-1])
    with ExitStack() as stack:
        if command == "health":
            (ready.home / "healthy").touch()
            line = line.replace("8080", str(stack.enter_context(healthy_worker())))
        code, said = in_shell(line, until)
    assert code == 0, said
    assert "error:" not in said
    if command == "redrive" and "--dry-run" not in line and "--status" not in line:
        assert ready.visible("foo_dead") == 0, said


def test_the_examples_produce_what_they_promise(ready: Sqsw) -> None:
    fill(ready)
    code, said = in_shell("sqsw doctor --policy emails > policy.json", None)
    assert code == 0, said
    assert '"SqswWork"' in Path("policy.json").read_text()
