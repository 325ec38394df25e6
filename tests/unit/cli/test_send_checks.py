"""``sqsw send``: what it says of jobs and arguments before it sends them."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from sqsw.sqs_manage.message_view import view_message
from sqsw_cli.main import cli
from tests.unit.cli.conftest import Sqsw, write_plugin

TYPED = """
from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from sqsw.sqs_env import SQSEnv

if TYPE_CHECKING:
    from nowhere import Thing

env = SQSEnv()


@env.processor("typed", "build")
def build(
    n: int = 0, x: Optional[float] = None, on: bool = False, of: list[int] | None = None,
    by: dict[str, int] = {}, to: str = "", either: int | str = 0, free=None,
): ...


@env.processor("typed", "unknown")
def unknown(n: int, thing: Thing = None): ...


@env.processor("typed", "open")
def takes_more(flag: bool = False, **options: int) -> None: ...
"""


@pytest.fixture(autouse=True)
def typed(home: Path, sqsw: Sqsw) -> None:
    (home / "myapp" / "typed.py").write_text(TYPED)
    sqsw("create-queue typed")
    sqsw("create-queue emails")


def sent(sqsw: Sqsw) -> object:
    (message,) = sqsw.env.queue_client("typed").receive(10, wait_seconds=0)
    return view_message(message).args


def test_a_text_for_what_is_annotated_otherwise_is_warned_of_and_sent(sqsw: Sqsw) -> None:
    words = "send typed build n=5 --app myapp.typed:env"
    ran = sqsw(words)
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "warning: 'n' is annotated int, and \"5\" is sent as text",
        "  why:  n= is text; n:= is JSON: a number, true, null, a list …",
        "  next: write n:=5",
    ]
    assert sent(sqsw) == {"n": "5"}
    assert sqsw(f"{words} --quiet").err == ""


@pytest.mark.parametrize(
    ("item", "next_step"),
    [
        ("x=1.5", "write x:=1.5"),
        ("on=yes", "write on:=JSON, for example on:=true"),
        ("on=1", "write on:=JSON, for example on:=true"),
        ("on=true", "write on:=true"),
        ("n=1.5", "write n:=JSON, for example n:=5"),
        ("x=5", "write x:=5"),
        ("x=true", "write x:=JSON, for example x:=0.5"),
        ("of=1,2", "write of:=JSON, for example 'of:=[5]'"),
        ("of=5", "write of:=JSON, for example 'of:=[5]'"),
        ("of=null", "write of:=null"),
        ("by={}", "write 'by:={}'"),
        ("n=@myapp/number", "write n:=@myapp/number"),
        *((item, None) for item in ("to=5", "either=5", "free=5", "n:=5", "n:=@myapp/number")),
    ],
)
def test_only_what_is_no_text_for_sure_is_warned_of(
    sqsw: Sqsw, home: Path, item: str, next_step: str | None
) -> None:
    (home / "myapp" / "number").write_text("5")
    ran = sqsw("send", "typed", "build", item, "--app", "myapp.typed:env", "--dry-run")
    assert ran.code == 0
    assert ran.err.splitlines()[2:] == ([] if next_step is None else [f"  next: {next_step}"])


def test_annotations_that_cannot_be_read_say_nothing(sqsw: Sqsw) -> None:
    ran = sqsw("send typed unknown n=5 --app myapp.typed:env")
    assert (ran.code, ran.err) == (0, "")


def test_a_queue_that_the_configured_app_does_not_work_is_sent_to(sqsw: Sqsw, home: Path) -> None:
    (home / "sqsw.toml").write_text('app = "myapp.typed:env"\n')
    ran = sqsw("send emails whatever")
    assert ran.code == 0
    assert ran.err.startswith("warning: nothing is registered for the queue 'emails': sent unch")
    assert sqsw("send typed biuld").code == 3
    # One that is named for this command has to know it.
    assert sqsw("send emails whatever --app myapp.typed:env").code == 3


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
        "  why:  registered for this queue: bounce, by plugins; no app is named or configured",
        "  next: did you mean 'bounce'? Or name the app that has it: --app APP, or send unchecked: "
        "--no-check",
    ]
    for words in ("emails bonce --no-check", "emails bonce --no-plugins", "typed anything"):
        ran = sqsw(f"send {words}")
        assert ran.code == 0, ran.err


def test_what_completion_remembers_is_advice(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    sqsw("inspect --tasks --app myapp.tasks:env")
    for words, slip, meant in (
        ("send_emial to=a", "job 'send_emial'", "send_email"),
        ("send_email to=a subjct=b", "argument 'subjct'", "subject"),
    ):
        ran = sqsw(f"send emails {words}")
        assert ran.code == 0
        head, _, next_step = ran.err.splitlines()
        assert head == f"warning: the app that was last loaded here knows no {slip}"
        assert next_step.startswith(f"  next: did you mean '{meant}'? ")
        for option in ("--quiet", "--no-check"):
            assert sqsw(f"send emails {words} {option}").err == ""
    for words in ("send_email to=a subject=b", "something_new to=a"):
        assert sqsw(f"send emails {words}").err == ""


def test_what_takes_any_argument_knows_no_slip(
    sqsw: Sqsw, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    sqsw("inspect --tasks --app myapp.typed:env")
    assert sqsw("send typed open flags=1").err == ""
    assert sqsw("send typed open return=5 --app myapp.typed:env").err == ""
    assert "knows no job 'opne'" in sqsw("send typed opne").err
    completion = ShellComplete(cli, {}, "sqsw", "_SQSW_COMPLETE")
    offered = completion.get_completions(["send", "typed", "open"], "")
    assert [item.value for item in offered] == ["flag="]
