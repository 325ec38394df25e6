"""The reference says what the code does: no command, option, code or variable more or less."""

import re
from pathlib import Path

import click
import pytest

from docs.generated import NOTE, captions, columns, commands, fill_in, keys, objects
from sqsw_cli.config import CREATE_KEYS, GLOBAL_KEYS, WORK_KEYS, keys_of
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.main import cli
from sqsw_cli.output.columns import LINES
from tests.docs.blocks import ROOT
from tests.docs.command_lines import command_lines, options_of

REFERENCE = ROOT / "docs" / "reference"


def rows(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = page.read_text(encoding="utf-8").split(f"# {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_command_and_option_is_in_the_reference() -> None:
    text = commands()
    root = click.Context(cli, **cli.context_settings)
    parts = re.split(r"^## ", text, flags=re.M)
    shown = {part.split("\n", 1)[0].strip(): part for part in parts[1:]}
    assert list(shown) == ["Global options", *cli.table]
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                place = shown[name] + shown["Global options"]
                assert max(param.opts, key=len) in place, (name, param.name)
    # The global options stand there once.
    assert text.count("`--endpoint-url URL`") == 1


def test_every_line_of_a_pipe_is_in_the_reference() -> None:
    rows = columns().splitlines()[2:]
    assert len(rows) == sum(len(line.commands) for line in LINES.values())
    assert "| `inspect` | --peek | `id` `job` `sent_at` `receives` `payload` |" in rows


def test_every_key_of_a_file_is_in_the_reference() -> None:
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8").split("\n## Keys\n")[1]
    known = {*GLOBAL_KEYS, *WORK_KEYS, *CREATE_KEYS, "app", "true", "false"}
    assert set(re.findall(r"`(\w+)`", page)) == known
    tables = re.split(r"^`\[(\w+)\]`, for", keys(), flags=re.M)
    shown = dict(zip(tables[1::2], tables[2::2], strict=True))
    for name in cli.table:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        taken = {key for key, option in keys_of(command).items() if not option.hidden}
        said = re.findall(r"^\| `(\w+)` \|", shown.get(name.replace("-", "_"), ""), re.M)
        assert set(said) == taken - {*GLOBAL_KEYS}
    assert "`concurrency`" in shown["work"] and "`port`" in shown["serve"]


def test_every_exit_code_is_in_its_table_and_no_other() -> None:
    table = rows(REFERENCE / "exit-codes.md", "Exit codes")
    said = {int(code): name.replace(" ", "_").upper() for code, name, _ in table}
    assert said == {int(code): code.name for code in Exit}


def test_every_variable_is_in_its_table_and_no_other() -> None:
    table = rows(REFERENCE / "configuration.md", "Variables")
    said = {name for row in table for name in re.findall(r"[A-Z][A-Z_]+", row[0] + row[2])}
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("sqsw", "sqsw_cli")
        for path in (ROOT / folder).rglob("*.py")
    )
    used = set(re.findall(r"\bSQSW_[A-Z_]+", sources)) - {"SQSW_WORK", "SQSW_SERVE"}
    daemons = {f"SQSW_{name}" for name in ("WORK_", "SERVE_", *variables_of("work", "serve"))}
    assert {name for name in said if name.startswith("SQSW_")} - daemons == used
    assert [name for name in said - daemons if name not in sources] == []


def variables_of(*names: str) -> set[str]:
    """The options of commands, as their variables end."""
    found = set()
    for name in names:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        found |= {f"{name}_{param.name}".upper() for param in command.params}
    return found


def test_every_option_of_the_table_of_variables_exists() -> None:
    table = rows(REFERENCE / "configuration.md", "Variables")
    root = click.Context(cli, **cli.context_settings)
    known = {
        option
        for name in cli.table
        for param in (cli.get_command(root, name) or cli).params
        for option in param.opts
    }
    named = {option for row in table for option in re.findall(r"`(--[a-z-]+)`", row[1])}
    assert named and named <= known


def test_every_schema_is_in_the_reference() -> None:
    text = objects()
    schemas = sorted(path.stem for path in (ROOT / "docs" / "schemas").glob("*.json"))
    assert re.findall(r"^## (\w+)$", text, re.M) == schemas
    # A key of a queue, with its values and its description.
    assert (
        "| `max_receives` | integer or null | Receives after which a message goes there |" in text
    )
    assert "With `command` `redrive`:" in text
    # Keys of objects within objects.
    assert "| `error.trace` | string or null | End of the traceback |" in text
    assert "| `reasons.count` | integer | Messages with it |" in text


def test_a_page_gets_its_parts_and_the_names_of_its_files() -> None:
    source = ["# Page\n\n<!-- generated: objects -->\n\n<!-- file: a.py -->\n```python\n1\n```\n"]
    fill_in(source)
    captions(source)
    assert "## queue\n" in source[0]
    assert "```{code-block} python\n:caption: a.py\n\n1\n```" in source[0]
    with pytest.raises(KeyError):
        fill_in(["<!-- generated: nothing -->"])


def test_a_page_that_looks_empty_in_a_checkout_says_what_makes_it() -> None:
    docs, seen = REFERENCE.parent, []
    for page in REFERENCE.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if "{eval-rst}" in text or "<!-- generated: " in text:
            note = NOTE.search(text)
            assert note is not None, page
            assert f"`build/docs/{page.relative_to(docs).with_suffix('.html')}`" in note[0]
            seen.append(page.stem)
    assert {"commands", "configuration", "json", "errors"} <= {*seen}
    source = ["# Page\n\n*In a checkout a part of this page is missing: x.*\n\nText\n"]
    fill_in(source)
    assert source == ["# Page\n\nText\n"]


def test_every_example_of_the_help_is_taken_by_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("recipients.jsonl", "events.jsonl"):
        Path(name).touch()
    tried = set()
    for words in command_lines(examples()):
        options_of(words)
        tried.add(words[1])
    assert tried == set(cli.table)


def examples() -> str:
    """The examples of all commands."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", commands(), re.M | re.S))
