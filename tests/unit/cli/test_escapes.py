"""What messages hold never reaches a terminal as something it would obey."""

import json

import pytest

from sqsw_cli.failures import block
from sqsw_cli.output import Column, Printer
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_terminal import on_terminal

#: C0 (a window title), DEL, C1 (the start of a sequence), a field and a line of its own, and what
#: turns the order of all that follows
EVIL = "a\x1b]0;pwned\x07\x7f\x9b2Jb\tc\nd\u202ee\u2066\u2028f"
SHOWN = r"a\x1b]0;pwned\x07\x7f\x9b2Jb\tc\nd\u202ee\u2066\u2028f"


@pytest.fixture
def evil_job(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    line = {"job": "j", "args": {EVIL: 1, "value": EVIL}}
    raw = {"job": None, "body": "\x9b2Jraw"}
    text = "".join(json.dumps(one) + "\n" for one in (line, raw))
    assert sqsw("send emails --from -", input=text).code == 0


@pytest.mark.parametrize(
    "words",
    [
        "inspect emails --peek 5",
        "inspect emails --peek 5 --count-by args.value",
        "inspect emails --peek 5 --json",
        "purge emails --limit 5 --dry-run",
    ],
)
def test_no_command_passes_on_what_a_terminal_would_obey(
    sqsw: Sqsw, evil_job: None, words: str
) -> None:
    code, said = on_terminal(sqsw, words, columns=200)
    assert code == 0, said
    assert ("pwned" in said and "raw" in said) or "--count-by" in words
    assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]


def test_every_face_for_people_writes_control_characters_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = Printer()
    printer.say(EVIL)
    printer.plain("deleted", EVIL, 2)
    printer.table([Column(EVIL)], [[EVIL]])
    printer.done(EVIL)
    printer.note(EVIL)
    out, err = capsys.readouterr()
    assert out.splitlines() == [SHOWN, f"{SHOWN}\t2", SHOWN, SHOWN, f"✓ {SHOWN}"]
    assert err == f"{SHOWN}\n"


def test_an_error_keeps_its_lines_and_nothing_else() -> None:
    said = block("error", "a\x1b[2J", "b\nc\x9b", color=False)
    assert said == "error: a\\x1b[2J\n  why:  b\nc\\x9b"


def test_json_says_the_same_in_escapes(sqsw: Sqsw, evil_job: None) -> None:
    first, second = sqsw("inspect emails --peek 5 --json").objects
    assert (first["args"], second["body"]) == ({EVIL: 1, "value": EVIL}, "\x9b2Jraw")
