"""What other users of the machine can read, and that they cannot misuse a command."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sqsw.memory_sqs import LocalSession
from tests.life.serving import environment

NOBODY, OTHER = 65534, 65533

#: the user can read all files, because Python may be installed where only root can read
AS_USER = (
    "setpriv",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act as other users"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that every user can enter but only root can write to."""
    path = Path(tempfile.mkdtemp(prefix="sqsw-users-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def sqsw(
    place: Path, *words: str, user: int | None = None, umask: int = 0o022, timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    names = {
        "SQSW_LOCAL": "",
        "SQSW_CONFIG": "",
        "XDG_CACHE_HOME": str(place / "cache"),
        "TMPDIR": str(place),
    }
    by = [] if user is None else [*AS_USER, f"--reuid={user}", f"--regid={user}"]
    return subprocess.run(
        [*by, sys.executable, "-P", "-m", "sqsw_cli", *words],
        cwd=place,
        env={**environment(), **names},
        capture_output=True,
        text=True,
        timeout=timeout,
        umask=umask,
    )


def modes(directory: Path) -> dict[str, int]:
    found = [directory, *directory.rglob("*")]
    return {str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in found}


TASKS = """
from sqsw import SQSEnv
env = SQSEnv()
@env.processor("q", "job")
def job(to):
    pass
"""

WAITING = """
import os, threading, time
from sqsw import LocalSession
session = LocalSession()
client = session.client("sqs")
url = client.create_queue(QueueName="q")["QueueUrl"]
client.send_message(QueueUrl=url, MessageBody="x")
client.receive_message(QueueUrl=url)
wait = dict(QueueUrl=url, WaitTimeSeconds=5)
waits = threading.Thread(target=client.receive_message, kwargs=wait)
waits.start()
while waits.is_alive() and not (
    os.path.isdir(".sqsw/local.db-wake") and os.listdir(".sqsw/local.db-wake")
):
    time.sleep(0.01)
time.sleep(0.1)
for folder, folders, files in os.walk(".sqsw"):
    for name in [".", *folders, *files]:
        print(oct(os.lstat(os.path.join(folder, name)).st_mode & 0o7777), name)
waits.join()
session.close()
"""


@pytest.mark.parametrize("umask", [0, 0o022, 0o027, 0o177])
def test_local_files_are_private_whatever_the_umask(place: Path, umask: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    names = {name for _, name in found}
    assert names > {"local.db", "local.db-wal", "local.db-shm", "local.db-lock", ".gitignore"}
    assert len(names) == 8, "the directory of the sockets, and a socket"
    for mode, name in found:
        assert mode == ("0o700" if name in (".", "local.db-wake") else "0o600"), (name, found)


@pytest.mark.parametrize("name", [".sqsw", "linked"])
def test_permissions_of_an_open_directory_are_tightened(place: Path, name: str) -> None:
    directory = place / name
    if name != ".sqsw":
        directory.mkdir()
        (place / ".sqsw").symlink_to(name)
    assert sqsw(place, "create-queue", "--local", "q").returncode == 0
    (directory / "old.db").touch()
    directory.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o644)
    assert sqsw(place, "inspect", "--local").returncode == 0
    assert {mode for name, mode in modes(directory).items() if name != "."} == {0o600}
    assert modes(directory)["."] == 0o700


def test_a_database_elsewhere_is_private_and_can_be_shared(place: Path) -> None:
    (place / "shared").mkdir(mode=0o755)
    assert sqsw(place, "create-queue", "--local=shared/q.db", "q", umask=0).returncode == 0
    assert modes(place / "shared") == {".": 0o755, "q.db": 0o600, "q.db-lock": 0o600}
    for path in (place / "shared").iterdir():
        path.chmod(0o644)
    assert sqsw(place, "inspect", "--local=shared/q.db").returncode == 0
    assert modes(place / "shared") == {".": 0o755, "q.db": 0o644, "q.db-lock": 0o644}


def test_the_completion_cache_is_private(place: Path) -> None:
    (place / "tasks.py").write_text(TASKS)
    (place / "cache" / "sqsw").mkdir(parents=True, mode=0o755)
    sqsw(place, "create-queue", "--local", "q")
    words = ("send", "--local", "--app", "tasks:env", "q", "job", "to=x")
    assert sqsw(place, *words, umask=0).returncode == 0
    found = modes(place / "cache" / "sqsw")
    assert found.pop(".") == 0o700
    assert list(found.values()) == [0o600]


def test_a_saved_traceback_is_private(place: Path) -> None:
    (place / "tasks.py").write_text(f"import sqsw\nsqsw.SQSEnv.registrations = 5\n{TASKS}")
    ran = sqsw(place, "inspect", "--local", "--tasks", "--app", "tasks:env", umask=0)
    assert "the traceback is in" in ran.stderr
    (saved,) = place.glob("sqsw-traceback-*")
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def of_nobody(path: Path) -> None:
    for one in (path, *path.glob("*")):
        os.chown(one, NOBODY, NOBODY)


def file_of_nobody(path: Path) -> None:
    os.chown(path / "q.db", NOBODY, NOBODY)


def log_of_nobody(path: Path) -> None:
    (path / "q.db-journal").touch()
    os.chown(path / "q.db-journal", NOBODY, NOBODY)


def link_of_nobody(path: Path) -> None:
    (path / "q.db-wal").symlink_to("elsewhere")
    os.lchown(path / "q.db-wal", NOBODY, NOBODY)


def open_to_all(path: Path) -> None:
    path.chmod(0o777)


def file_open_to_all(path: Path) -> None:
    (path / "q.db").chmod(0o666)


def open_to_a_group(path: Path) -> None:
    os.chown(path, -1, NOBODY)
    path.chmod(0o775)


@needs_root
@pytest.mark.parametrize(
    "spoil",
    [
        of_nobody,
        file_of_nobody,
        log_of_nobody,
        link_of_nobody,
        open_to_all,
        file_open_to_all,
        open_to_a_group,
    ],
)
def test_root_refuses_a_database_that_others_can_write(
    place: Path, spoil: Callable[[Path], None]
) -> None:
    (place / "data").mkdir()
    assert sqsw(place, "create-queue", "--local=data/q.db", "q").returncode == 0
    spoil(place / "data")
    for words in (("inspect",), ("serve", "--port", "0"), ("doctor",)):
        ran = sqsw(place, *words, "--local=data/q.db")
        assert ran.returncode in (2, 8), ran
        assert "refused to use" in ran.stdout + ran.stderr


@needs_root
@pytest.mark.parametrize("spoil", [of_nobody, open_to_all, file_open_to_all])
def test_a_database_that_others_can_write_causes_a_warning(
    place: Path, spoil: Callable[[Path], None]
) -> None:
    data = place / "data"
    data.mkdir()
    sqsw(place, "create-queue", "--local=data/q.db", "q")
    for one in (data, *data.iterdir()):
        os.chown(one, OTHER, OTHER)
        one.chmod(0o777 if one == data and spoil is of_nobody else 0o700)
    spoil(data)
    if spoil is of_nobody:
        for one in data.iterdir():
            one.chmod(0o666)
    ran = sqsw(place, "inspect", "--local=data/q.db", user=OTHER)
    assert ran.returncode == 0, ran
    assert "another user can use the queues" in ran.stderr
    assert "another user" not in sqsw(place, "inspect", "--local=/dev/null").stderr


def test_a_sticky_directory_is_accepted(place: Path) -> None:
    place.chmod(0o1777)
    ran = sqsw(place, "create-queue", "--local=q.db", "q")
    assert (ran.returncode, ran.stderr) == (0, ""), ran


#: the options that name a file: the words, and whether a missing file is created
OPTIONS = {
    "from": ("send", "--local", "q", "--raw", "--from", "{}"),
    "text": ("send", "--local", "q", "job", "a=@{}"),
    "json": ("send", "--local", "q", "job", "a:=@{}"),
    "data": ("send", "--local", "q", "job", "--data", "@{}"),
    "body": ("send", "--local", "q", "--raw", "@{}"),
    "failed": ("send", "--local", "q", "--from", "bad.jsonl", "--keep-going", "--failed", "{}"),
    "ids": ("purge", "--local", "q", "--yes", "--ids", "{}"),
    "redrive": ("redrive", "--local", "q", "--to", "r", "--yes", "--ids", "{}"),
    "config": ("inspect", "--local", "--config", "{}"),
    "lock": ("work", "--local", "tasks:env", "--until-idle", "0", "--lock", "{}"),
    "health": ("work", "--local", "tasks:env", "--until-idle", "0", "--health-file", "{}"),
    "database": ("inspect", "--local={}"),
}
WRITTEN = ("failed", "lock", "health", "database")


def words_of(option: str, path: str) -> list[str]:
    return [word.format(path) for word in OPTIONS[option]]


@pytest.fixture
def queues(place: Path) -> Path:
    (place / "tasks.py").write_text(TASKS)
    (place / "bad.jsonl").write_text("{\n")
    session = LocalSession(place / ".sqsw" / "local.db")
    for name in "qr":
        session.client("sqs").create_queue(QueueName=name)
    session.close()
    return place


@needs_root
@pytest.mark.parametrize(
    ("option", "through"),
    [*((option, "file") for option in OPTIONS), ("from", "directory"), ("lock", "directory")],
)
def test_a_link_of_another_user_is_not_followed(queues: Path, option: str, through: str) -> None:
    victim = queues / "victim"
    victim.mkdir()
    target = victim / "file"
    if option not in WRITTEN:
        target.write_text("{}")
    shared = queues / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "link"
    link.symlink_to(target if through == "file" else victim)
    named = link if through == "file" else link / "file"
    os.lchown(link, NOBODY, NOBODY)
    ran = sqsw(queues, *words_of(option, str(named)))
    assert ran.returncode == 2, ran
    assert f"{link} is a symbolic link made by the user nobody" in ran.stderr
    assert target.exists() == (option not in WRITTEN)
    if option in ("from", "lock"):  # our own link is followed
        os.lchown(link, 0, 0)
        assert sqsw(queues, *words_of(option, str(named))).returncode == 0


@pytest.mark.parametrize("option", OPTIONS)
def test_a_pipe_without_a_writer_is_an_error(queues: Path, option: str) -> None:
    os.mkfifo(queues / "pipe")
    begun = time.monotonic()
    ran = sqsw(queues, *words_of(option, "pipe"))
    assert time.monotonic() - begun < 40
    assert ran.returncode in (1, 2), ran
    assert "pipe" in ran.stderr
    assert "unexpected" not in ran.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash creates the pipes")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("send --local q --raw --from <(sleep 0.5; echo one)", 0),
        ("send --local q --raw --from /dev/stdin <<< one", 0),
        ("send --local q --raw --from /dev/fd/7 7<<< one", 0),
        ("send --local q --raw @<(echo one)", 0),
        ("send --local q job a=@<(echo one)", 0),
        ("send --local q job --data @<(echo '{\"a\": 1}')", 0),
        ("purge --local q --yes --ids <(echo abc)", 3),
        ("inspect --local --config <(echo 'quiet = true')", 0),
        ("inspect --local --config /dev/null", 0),
        ("send --local q --raw --from /dev/null", 0),
        ("send --local q --from bad.jsonl --keep-going --failed >(cat >&2)", 1),
        ("send --local q --from bad.jsonl --keep-going --failed /dev/stderr", 1),
        ("send --local q --from bad.jsonl --keep-going --failed /dev/null", 1),
        ("send --local q --raw --from pipe & sleep 2; echo one > pipe; wait $!", 0),
        ("send --local q --from bad.jsonl --keep-going --failed pipe & cat pipe >&2; wait $!", 1),
    ],
)
def test_a_pipe_with_a_writer_works(queues: Path, line: str, code: int) -> None:
    os.mkfifo(queues / "pipe")
    done = subprocess.run(
        ["bash", "-c", f'exec 3>&2; "$0" -P -m sqsw_cli {line}', sys.executable],
        cwd=queues,
        env={**environment(), "SQSW_LOCAL": "", "XDG_CACHE_HOME": str(queues / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done
    if "--failed" in line and "/dev/null" not in line:
        assert "{\n" in done.stderr


@pytest.mark.parametrize("option", ["lock", "failed"])
def test_new_files_are_private(queues: Path, option: str) -> None:
    sqsw(queues, *words_of(option, "made"), umask=0)
    assert stat.S_IMODE((queues / "made").stat().st_mode) == 0o600


@needs_root
def test_root_refuses_output_files_of_other_users(queues: Path) -> None:
    for option in ("lock", "health", "failed", "config"):
        path = queues / f"{option}.file"
        path.write_text("kept = 1\n" if option == "failed" else "")
        os.chown(path, NOBODY, NOBODY)
        ran = sqsw(queues, *words_of(option, str(path)))
        assert ran.returncode == 2, ran
        assert f"refused to use {path} as root" in ran.stderr
        assert path.exists()
    assert (queues / "failed.file").read_text() == "kept = 1\n"


@needs_root
def test_a_found_configuration_file_of_another_user_is_refused(place: Path) -> None:
    (place / "sqsw.toml").write_text("quiet = true\n")
    os.chown(place / "sqsw.toml", OTHER, OTHER)
    below = place / "below"
    below.mkdir()
    os.chown(below, NOBODY, NOBODY)
    words = ("inspect", "--local")
    ran = sqsw(below, *words, user=NOBODY)
    assert (ran.returncode, "refused to read" in ran.stderr) == (2, True), ran
    ran = sqsw(below, *words, "--config", "../sqsw.toml", user=NOBODY)
    assert (ran.returncode, "another user could have written" in ran.stderr) == (0, True), ran
    assert sqsw(below, *words, "--config", "none", user=NOBODY).returncode == 0
    assert sqsw(place, "inspect", "--local").returncode == 2
    os.chown(place / "sqsw.toml", 0, 0)
    ran = sqsw(below, *words, user=NOBODY)
    assert (ran.returncode, ran.stderr) == (0, ""), ran


def test_a_file_of_failed_lines_is_unchanged_if_no_line_fails(place: Path) -> None:
    sqsw(place, "create-queue", "--local", "q")
    (place / "good.txt").write_text("one\n")
    (place / "kept").write_text("precious\n")
    words = ("send", "--local", "q", "--raw", "--from", "good.txt", "--failed", "kept")
    assert sqsw(place, *words).returncode == 0
    assert (place / "kept").read_text() == "precious\n"
    assert LocalSession(place / ".sqsw" / "local.db").client("sqs").list_queues()
