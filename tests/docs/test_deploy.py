"""The files of examples/deploy are taken by those who read them, and their commands are real."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import ROOT
from tests.docs.command_lines import options_of

DEPLOY = ROOT / "examples" / "deploy"
APP = """
from sqsw import SQSEnv

env = SQSEnv()


@env.processor("reports", "build")
def build(year):
    open("built.txt", "a").write(f"{year}\\n")
"""


def directives(text: str, name: str) -> list[str]:
    """The values of a directive of a unit."""
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def test_the_unit_lets_the_worker_drain() -> None:
    text = (DEPLOY / "sqsw-worker.service").read_text(encoding="utf-8")
    (command,) = directives(text, "ExecStart")
    options = options_of(shlex.split(command))
    (seconds,) = directives(text, "TimeoutStopSec")
    assert options["drain_timeout"] == 50 < int(seconds)
    assert directives(text, "RestartPreventExitStatus") == ["2 7"]
    # Without --strict it says only that jobs were put back.
    assert (directives(text, "SuccessExitStatus"), options["strict"]) == (["5"], False)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "sqsw-worker.service").read_text(encoding="utf-8")
    unit = tmp_path / "sqsw-worker.service"
    # The program has to be there; the user does not exist on this machine.
    program = tmp_path / "sqsw"  # by a path without a space, which a unit would split at
    program.symlink_to(sys.executable)
    text = text.replace("/srv/myapp/.venv/bin/sqsw", str(program)).replace("User=myapp\n", "")
    for given, code in ((text, 0), (text.replace("Restart=always", "Restart=perhaps"), 1)):
        unit.write_text(given, encoding="utf-8")
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if "Failed to initialize manager" in verified.stderr:
            pytest.skip(f"systemd-analyze does not work here: {verified.stderr}")
        said = [line for line in verified.stderr.splitlines() if "sqsw-worker.service" in line]
        assert bool(said) == bool(code), verified.stderr


def test_the_manifest_lets_the_worker_drain() -> None:
    manifest = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = options_of([*container["command"], *container["args"]])
    assert options["concurrency"] == 16
    assert options["drain_timeout"] < pod["terminationGracePeriodSeconds"]
    host, port = options["http"]
    assert (host, [{"name": "http", "containerPort": port}]) == ("0.0.0.0", container["ports"])
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness")}
    assert {name: (get["path"], get["port"]) for name, get in probes.items()} == {
        "liveness": ("/health", "http"),
        "readiness": ("/ready", "http"),
    }
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert manifest["spec"]["selector"]["matchLabels"] == labels
    assert all(isinstance(one["value"], str) for one in container["env"])


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands of the crontab, in a directory in place of /srv/myapp."""
    monkeypatch.setenv("SQSW_LOCAL", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "tasks.py").write_text(APP)
    program = tmp_path / ".venv" / "bin" / "sqsw"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sqsw_cli "$@"\n')
    program.chmod(0o755)
    text = (DEPLOY / "crontab").read_text(encoding="utf-8")
    found = re.findall(r"^(?:\S+ ){4}\S+ +(cd .*)$", text, re.M)
    assert len(found) == 3
    return [line.replace("/srv/myapp", str(tmp_path)) for line in found]


def cron(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line as cron does: by sh, without a terminal; ``%`` would be a new line there."""
    assert "%" not in line
    command = line.replace("--until-idle 30", "--until-idle 1")
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def test_the_lines_of_the_crontab_send_and_do_and_watch(lines: list[str], tmp_path: Path) -> None:
    send, work, watch = lines
    made = cron(f"cd {tmp_path} && .venv/bin/sqsw create-queue reports --dlq reports_dead")
    assert made.returncode == 0, made.stderr
    assert cron(send).stdout == ""
    done = cron(work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "built.txt").read_text() == "2026\n"
    assert cron(watch).stdout == ""

    letter = cron(f"cd {tmp_path} && .venv/bin/sqsw send reports_dead build year:=2026")
    assert letter.returncode == 0, letter.stderr
    assert cron(watch).stdout == "dead letters in reports_dead\n"


def test_a_line_that_still_runs_keeps_the_next_one_from_beginning(
    lines: list[str], tmp_path: Path
) -> None:
    work = lines[1]
    lock = subprocess.Popen(
        [sys.executable, "-c", LOCK.format(path=str(tmp_path / "reports.lock"))],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    with lock:
        assert lock.stdout is not None and lock.stdout.readline() == b"held\n"
        begun = time.monotonic()
        second = cron(work)
        assert (second.returncode, second.stdout) == (0, ""), second.stderr
        assert "held by another process" in second.stderr
        assert time.monotonic() - begun < 60
        lock.communicate()


LOCK = """
import fcntl, sys
file = open({path!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
