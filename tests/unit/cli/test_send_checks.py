"""``sqsw send`` checks jobs and arguments before it sends them."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from sqsw_cli.main import cli
from tests.unit.cli.conftest import Sqsw, write_plugin

TYPED = """
from sqsw.sqs_env import SQSEnv

env = SQSEnv()


@env.processor("typed", "build")
def build(n: int = 0) -> None: ...


@env.processor("typed", "open")
def takes_more(flag: bool = False, **options: int) -> None: ...
"""


@pytest.fixture(autouse=True)
def typed(home: Path, sqsw: Sqsw) -> None:
    (home / "myapp" / "typed.py").write_text(TYPED)
    sqsw("create-queue typed")
    sqsw("create-queue emails")


def test_a_queue_without_jobs_of_the_configured_app_accepts_jobs(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text('app = "myapp.typed:env"\n')
    ran = sqsw("send emails whatever")
    assert ran.code == 0
    assert ran.err.startswith("warning: jobs for the queue 'emails' are not checked")
    assert sqsw("send typed biuld").code == 3
    # An app that is named for this command must have the job.
    assert sqsw("send emails whatever --app myapp.typed:env").code == 3


def test_a_value_of_a_wrong_type_is_refused(sqsw: Sqsw) -> None:
    app = "--app myapp.typed:env"
    ran = sqsw(f"send typed build n=3 {app}")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "error: 'build' does not take this value for 'n'",
        '  why:  the function declares int, but the value is "3"',
        "  next: write n:=JSON for a value that is not text; to send it anyway, add --no-check",
    ]
    ran = sqsw(f"send typed build n:=true {app}")
    assert ran.err.splitlines()[1:] == [
        "  why:  the function declares int, but the value is true",
        "  next: fix the arguments; to send them anyway, add --no-check",
    ]
    assert sqsw("send", "typed", "build", "--from", "-", *app.split(), input='{"n": "3"}').code == 2
    for words in ("n:=3", "n=3 --no-check"):
        assert sqsw(f"send typed build {words} {app}").code == 0
    assert sqsw.visible("typed") == 2


def test_jobs_of_plugins_are_checked_without_an_app(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        "def register(env):\n    @env.processor('emails', 'bounce')\n    def bounce(address): ...\n"
    )
    write_plugin(home, "acme-mail", "[sqsw.processors]\nmail = acme_mail:register\n", module)
    monkeypatch.syspath_prepend(str(home))
    assert sqsw("send emails bounce address=a").code == 0
    assert sqsw("send emails bounce adress=a").code == 2
    ran = sqsw("send emails bonce address=a")
    assert ran.code == 3
    assert ran.err.splitlines() == [
        "error: no job 'bonce' is registered for 'emails'",
        "  why:  registered for this queue: bounce (by plugins; no app is named or configured)",
        "  next: did you mean 'bounce'? Or name the app that has it (--app APP), or send it anyway "
        "(--no-check)",
    ]
    for words in ("emails bonce --no-check", "emails bonce --no-plugins", "typed anything"):
        ran = sqsw(f"send {words}")
        assert ran.code == 0, ran.err


def test_completion_offers_the_named_arguments_of_a_function_that_takes_any(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    sqsw("inspect --tasks --app myapp.typed:env")
    completion = ShellComplete(cli, {}, "sqsw", "_SQSW_COMPLETE")
    offered = completion.get_completions(["send", "typed", "open"], "")
    assert [item.value for item in offered] == ["flag="]


STAMPED = """
from contextlib import nullcontext

from sqsw.sqs_env import SQSEnv


class Stamp:
    def __init__(self, text):
        self.text = text

    def around(self, job):
        return nullcontext()

    def before_send(self, message):
        if "bad" in message.entry["MessageBody"]:
            raise ValueError("not this one")
        message.set_attribute(self.text, message.job_name)


env = SQSEnv(middlewares=[Stamp("Env")])
env.queue("typed", middlewares=[Stamp("Queue")])


@env.processor("typed", "build")
def build(text): ...
"""


def test_middlewares_of_the_app_see_the_messages(sqsw: Sqsw, home: Path) -> None:
    (home / "myapp" / "stamped.py").write_text(STAMPED)
    app = "--app myapp.stamped:env"
    assert sqsw(f"send typed build text=good {app}").code == 0
    lines = '{"text": "good"}\n{"text": "bad"}\n'
    ran = sqsw("send", "typed", "build", "--from", "-", *app.split(), "--json", input=lines)
    assert ran.code == 5
    (failed,) = (one for one in ran.objects if one["type"] == "failed")
    assert (failed["line"], failed["code"]) == (2, "MessageRefused")
    ran = sqsw(f"send typed build text=bad {app}")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "error: cannot send to 'typed'",
        "  why:  Stamp.before_send() failed, so the message was not sent: ValueError: not this one "
        "[MessageRefused]",
    ]
    seen = sqsw("inspect typed --peek 9 --json").objects
    stamps = [(one["attributes"]["Env"], one["attributes"]["Queue"]) for one in seen]
    assert stamps == [("build", "build")] * 2
