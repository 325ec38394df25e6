"""``sqsw completion``, in real shells."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqsw_cli.completing.memory import Remembered
from tests.unit.cli.conftest import Sqsw

pytestmark = pytest.mark.usefixtures("filled")


@pytest.fixture
def filled(sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create two queues, an app in the completion cache, and ``sqsw`` on the path of the shells."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(sqsw.home / "cache"))
    command = sqsw.home / "bin" / "sqsw"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sqsw_cli "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    sqsw("create-queue --dlq emails_dead")
    sqsw("create-queue reports")
    assert sqsw("inspect --tasks --app myapp.tasks:env").code == 0


def needs(shell: str) -> str:
    """Return the path of a shell, or skip the test."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def in_bash(*words: str) -> list[str]:
    """Return what bash offers for these words, the last of which is being typed."""
    script = (
        'source <("$0" completion bash)\n'
        "COMP_LINE=$1 COMP_POINT=${#1}\n"
        '_sqsw_completion sqsw "$2" 2>/dev/null\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    replaced = re.split("[=:]", words[-1])[-1]
    done = subprocess.run(
        [needs("bash"), "--norc", "-c", script, "sqsw", " ".join(words), replaced],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def in_fish(line: str) -> list[str]:
    """Return what fish offers for a line."""
    script = f"sqsw completion fish | source; complete --do-complete '{line}'"
    done = subprocess.run(
        [needs("fish"), "--no-config", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [one.split("\t")[0] for one in done.stdout.splitlines()]


class Typing:
    """An interactive shell that a test types into."""

    def __init__(self, *command: str) -> None:
        self.said = ""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "dumb", "PS1": "> ", "COLUMNS": "200"}
            os.execv(command[0], command)

    def until(self, typed: str, text: str) -> str:
        """Type, and return the output of the shell up to this text."""
        os.write(self._descriptor, typed.encode())
        self.said = ""
        deadline = time.monotonic() + 60
        while text not in self.said and time.monotonic() < deadline:
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self.said += os.read(self._descriptor, 65_536).decode()
        return self.said

    def __enter__(self) -> "Typing":
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._descriptor, b"\x15exit\n")
        os.close(self._descriptor)
        os.waitpid(self.pid, 0)


def in_zsh(line: str, expected: str) -> str:
    """Return the line of an interactive zsh after a Tab, once it has the expected text."""
    with Typing(needs("zsh"), "-f", "-i") as shell:
        shell.until(
            'autoload -U compinit; compinit -u -D; eval "$(sqsw completion zsh)"; echo re""ady\n',
            "ready\r\n",
        )
        return shell.until(f"{line}\t", expected)


def test_bash_completes_existing_names() -> None:
    assert in_bash("sqsw", "insp") == ["inspect"]
    assert in_bash("sqsw", "inspect", "em") == ["emails", "emails_dead"]
    assert in_bash("sqsw", "inspect", "emails", "em") == ["emails_dead"]
    assert in_bash("sqsw", "send", "emails", "") == ["fail", "send_email"]
    assert in_bash("sqsw", "send", "emails", "send_email", "") == ["to=", "subject=", "body="]
    assert in_bash("sqsw", "send", "emails", "send_email", "to=ann@example.com", "s") == [
        "subject="
    ]
    assert in_bash("sqsw", "work", "my") == ["myapp.tasks:env"]
    assert in_bash("sqsw", "work", "--queue=rep") == ["reports"]
    assert in_bash("sqsw", "redrive", "emails_dead", "--job", "s") == ["send_email", "sleep"]
    assert in_bash("sqsw", "inspect", "--color=al") == ["always"]


def test_bash_completes_schedules_and_their_commands(sqsw: Sqsw) -> None:
    (sqsw.home / "myapp" / "periodic.py").write_text(
        "from sqsw import SQSEnv\n"
        "env = SQSEnv()\n"
        "@env.periodic(every=60, queue='cron.fifo')\n"
        "def nightly(): ...\n"
        "@env.periodic(every=60, queue='cron.fifo')\n"
        "def newest(): ...\n"
    )
    assert in_bash("sqsw", "schedule", "") == ["list", "check", "run"]
    assert in_bash("sqsw", "schedule", "run", "") == []
    assert sqsw("schedule list myapp.periodic:env").code == 0
    assert in_bash("sqsw", "schedule", "run", "n") == ["newest", "nightly"]
    assert in_bash("sqsw", "schedule", "check", "nig") == ["nightly"]
    assert in_bash("sqsw", "schedule", "list", "myapp.p") == ["myapp.periodic:env"]


def test_bash_replaces_only_the_text_after_the_last_separator() -> None:
    with Typing(needs("bash"), "--norc", "--noprofile", "-i") as shell:
        shell.until('eval "$(sqsw completion bash)"; echo re""ady\n', "ready\r\n")
        # The typed line is printed instead of run.
        shell.until('sqsw() { printf \'<%s>\' "$@"; echo; }; echo re""ady\n', "ready\r\n")
        for typed, expected in {
            "send emails send_email to\t\t": "<send><emails><send_email><to=>",
            "send emails send_email to=ann@example.com s\t": "<to=ann@example.com><subject=>",
            "work myapp.tasks:\t": "<work><myapp.tasks:env>",
            "work --queue=rep\t": "<work><--queue=reports>",
            "inspect --tasks --app=myapp.tasks:e\t": "<--app=myapp.tasks:env>",
        }.items():
            assert f"{expected}\r\n" in shell.until(f"sqsw {typed}\n", ">\r\n")
        # If bash does not split words at these characters, the whole word is replaced.
        shell.until('COMP_WORDBREAKS=${COMP_WORDBREAKS//[=:]}; echo re""ady\n', "ready\r\n")
        for typed, expected in {
            "work --queue=rep\t": "<work><--queue=reports>",
            "work --app=myapp.tasks:\t": "<--app=myapp.tasks:env>",
            "work myapp.tasks:\t": "<work><myapp.tasks:env>",
        }.items():
            assert f"{expected}\r\n" in shell.until(f"sqsw {typed}\n", ">\r\n")


def test_fish_completes_existing_names() -> None:
    assert in_fish("sqsw purge rep") == ["reports"]
    assert in_fish("sqsw send emails send_email su") == ["subject="]


def test_zsh_completes_existing_names() -> None:
    assert "sqsw purge reports" in in_zsh("sqsw purge rep", "sqsw purge reports")
    line = "sqsw send emails send_email su"
    # The cursor is right after the separator, where the value begins.
    assert "subject=" in in_zsh(line, "subject=")


def test_an_option_selects_the_file_whose_queues_are_offered(sqsw: Sqsw) -> None:
    sqsw("create-queue other --local=second.db")
    assert in_bash("sqsw", "inspect", "--local=second.db", "") == ["other"]
    assert in_bash("sqsw", "inspect", "--local=third.db", "") == []
    assert not (sqsw.home / "third.db").exists()


def test_names_lose_the_prefix(sqsw: Sqsw) -> None:
    sqsw("create-queue dev_news")
    assert in_bash("sqsw", "--queue-prefix", "dev_", "purge", "") == ["news"]


def test_a_child_process_asks_a_server_once_a_minute(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "local")
    server = sqsw.start("serve --port 0 --json")
    assert server.stdout
    try:
        url = json.loads(server.stdout.readline())["url"]
        call = ("sqsw", "--endpoint-url", url, "inspect")
        for _ in range(20):  # the first Tab can be too early on a busy machine
            if found := in_bash(*call, "re"):
                break
            time.sleep(0.5)
        assert found == ["reports"]
        sqsw("create-queue regions")
        assert in_bash(*call, "re") == ["reports"]
        for kept in (sqsw.home / "cache" / "sqsw").glob("*"):
            old = time.time() - 61
            os.utime(kept, (old, old))
        for _ in range(20):
            if len(found := in_bash(*call, "re")) > 1:
                break
            time.sleep(0.5)
        assert sorted(found) == ["regions", "reports"]
    finally:
        server.terminate()
        server.communicate(timeout=20)


def test_without_a_server_and_a_cache_it_offers_and_prints_nothing(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = sqsw.home / "blocked"
    blocked.write_text("a file, where a directory is wanted")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert sqsw("inspect --tasks --app myapp.tasks:env").code == 0
    words = "sqsw --endpoint-url http://127.0.0.1:1 inspect "
    ran = sqsw.process(
        env={"_SQSW_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": ""}
    )
    assert (ran.code, ran.out.strip(), ran.err) == (0, "", "")


def test_completion_imports_no_boto3(sqsw: Sqsw) -> None:
    code = (
        "import sys\n"
        "from sqsw_cli.main import run\n"
        "try:\n    run()\n"
        "finally:\n"
        "    heavy = ('boto3', 'botocore', 'rich', 'structlog', 'importlib_metadata', 'myapp')\n"
        "    print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "_SQSW_COMPLETE": "bash_complete",
            "COMP_WORDS": "sqsw send em",
            "COMP_CWORD": "em",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["plain,emails", "plain,emails_dead", "[]"]


def test_an_unknown_shell_is_refused(sqsw: Sqsw) -> None:
    ran = sqsw("completion tcsh")
    assert ran.code == 2
    assert "bash" in ran.err


def test_a_broken_cache_file_is_replaced(tmp_path: Path) -> None:
    memory = Remembered("jobs", str(tmp_path))
    memory.write({"a": 1})
    assert memory.read() == {"a": 1}
    memory.path.write_text("{")
    assert memory.read() is None


def test_without_a_home_directory_nothing_is_cached_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", nobody)  # the tests may be unable to run as such a user

    memory = Remembered("jobs", "here")
    memory.write({"a": 1})
    assert memory.read() is None
    assert not (tmp_path / "~").exists()
