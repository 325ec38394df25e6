"""The lines in a pipe have the columns that the help and the reference name."""

import json
import re

import pytest

from sqsw_cli.output.columns import LINES
from sqsw_cli.output.printer import Printer
from tests.unit.cli.conftest import ROOT, Sqsw

#: kind of line → a command that prints it and changes nothing
CALLS = {
    "queue": "inspect emails emails_dead orders.fifo",
    "message": "inspect emails --peek 5",
    "group": "inspect emails --peek 5 --count-by args.to",
    "task": "inspect --tasks --app myapp.tasks:env",
    "handled": "redrive emails --to other --dry-run",
    "move": "redrive emails_dead --status",
    "created": "create-queue emails --dlq emails_dead",
    "purged": "purge emails --dry-run",
    "deleted": "delete-queue missing --if-exists --yes",
    "check": "doctor emails",
    "unsent": "send emails send_email to=ann --dry-run",
}


@pytest.fixture(autouse=True)
def queues(sqsw: Sqsw) -> None:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue orders.fifo --content-dedup")
    sqsw("create-queue other")
    for name in ("ann", "bob"):
        sqsw(f"send emails send_email to={name}")
    sqsw("redrive emails_dead")


@pytest.mark.parametrize("kind", CALLS)
def test_a_line_has_the_documented_columns(sqsw: Sqsw, kind: str) -> None:
    columns = LINES[kind].columns
    plain, programs = sqsw(CALLS[kind]), sqsw(f"{CALLS[kind]} --json")
    lines = [line.split("\t") for line in plain.out.splitlines()]
    objects = [one for one in programs.objects if one["type"] != "summary"]
    assert len(lines) == len(objects) > 0
    for line, values in zip(lines, objects, strict=True):
        said = dict(zip(columns, line, strict=True))
        for column in set(columns) & set(values) - {"oldest_age_s", "type", "key"}:
            value = values[column]
            text = ",".join(value) if isinstance(value, list) else value
            assert said[column] == ("" if text is None else str(text)), column
        if "payload" in columns:
            assert json.loads(said["payload"]) == values["args"]


def test_the_table_has_every_kind_of_line() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "sqsw_cli").rglob("*.py"))
    assert set(re.findall(r'\.plain\(\s*"(\w+)"', sources)) == set(LINES)
    with pytest.raises(ValueError, match="shorter"):
        Printer().plain("id")


def test_the_help_lists_the_columns(sqsw: Sqsw) -> None:
    help_text = " ".join(sqsw("inspect --help").out.split())
    assert "Output in a pipe, separated by tabs" in help_text
    assert "--peek id, job, sent_at, receives, payload" in help_text
