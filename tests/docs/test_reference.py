"""The reference matches the code: no command, option, code or variable is missing or obsolete."""

import re
from pathlib import Path

import click
import pytest

from docs.generated import (
    NOTE,
    PART,
    PARTS,
    TYPOGRAPHIC_OPTION,
    captions,
    columns,
    commands,
    contents,
    fill_in,
    keys,
    objects,
    subcommands,
    with_parts,
)
from sqsw_cli.config import CREATE_KEYS, GLOBAL_KEYS, SCHEDULE_KEYS, WORK_KEYS, keys_of
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.main import cli
from sqsw_cli.output.columns import LINES
from tests.docs.blocks import ROOT
from tests.docs.command_lines import command_lines, options_of

REFERENCE = ROOT / "docs" / "reference"


def sources() -> list[str]:
    """Return the code of the library and of the command line."""
    return [
        path.read_text(encoding="utf-8")
        for folder in ("sqsw", "sqsw_cli")
        for path in (ROOT / folder).rglob("*.py")
    ]


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its header."""
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
        below = [each.command for each in subcommands(click.Context(command))]
        for param in [param for each in (command, *below) for param in each.params]:
            if isinstance(param, click.Option) and not param.hidden:
                place = shown[name] + shown["Global options"]
                assert max(param.opts, key=len) in place, (name, param.name)
    # The global options are listed there once.
    assert text.count("`--endpoint-url URL`") == 1


def test_every_line_of_a_pipe_is_in_the_reference() -> None:
    rows = columns().splitlines()[2:]
    assert len(rows) == sum(len(line.commands) for line in LINES.values())
    assert "| `inspect` | `--peek` | `id` `job` `sent_at` `receives` `payload` |" in rows


def test_every_key_of_a_file_is_in_the_reference() -> None:
    text = (REFERENCE / "configuration.md").read_text(encoding="utf-8").split("\n## Keys\n")[1]
    page = text.partition("<!-- generated")[0]
    known = {*GLOBAL_KEYS, *WORK_KEYS, *CREATE_KEYS, *SCHEDULE_KEYS, "app", "true", "false"}
    assert set(re.findall(r"`(\w+)`", page)) == known | {"at"}
    tables = re.split(r"^`\[(\w+)\]`, for", keys(), flags=re.M)
    shown = dict(zip(tables[1::2], tables[2::2], strict=True))
    for name in cli.table:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        groups = [each.command for each in subcommands(click.Context(command))]
        options = [item for each in groups or [command] for item in keys_of(each).items()]
        taken = {key for key, option in options if not option.hidden}
        said = re.findall(r"^\| `(\w+)` \|", shown.get(name.replace("-", "_"), ""), re.M)
        assert set(said) == taken - {*GLOBAL_KEYS}
    assert "`concurrency`" in shown["work"] and "`port`" in shown["serve"]


def test_every_log_event_is_in_its_table() -> None:
    table = rows(REFERENCE / "events-and-metrics.md", "Log events")
    said = {name for row in table for name in re.findall(r"`(\w+)`", row[0])}
    call = re.compile(r"logging\.[A-Z]+,\s*\"([a-z_]+)\"|\"([a-z_]+)\", logging\.[A-Z]+")
    logged = {max(names) for text in sources() for names in call.findall(text)}
    logged.remove("receive_done")  # its log line is called receive_recovered
    assert {"job_done", "lease_lost", "summary"} <= logged <= said


def test_every_error_in_the_troubleshooting_table_exists() -> None:
    table = rows(ROOT / "docs" / "how-to" / "troubleshooting.md", "Errors")
    of_frameworks = {"ImproperlyConfigured", "Working outside of application context"}
    said = {text for row in table for text in re.findall(r"`([^`]+)`", row[0])} - of_frameworks
    code = "".join(sources())
    assert len(said) > 5
    assert [text for text in said if text not in code] == []


def test_the_table_of_exit_codes_is_complete() -> None:
    table = rows(REFERENCE / "exit-codes.md", "Exit codes")
    said = {int(code): name.replace(" ", "_").upper() for code, name, _ in table}
    assert said == {int(code): code.name for code in Exit}


def test_the_table_of_variables_is_complete() -> None:
    table = rows(REFERENCE / "configuration.md", "Variables")
    said = {name for row in table for name in re.findall(r"[A-Z][A-Z_]+", row[0] + row[2])}
    code = "".join(sources())
    used = set(re.findall(r"\bSQSW_[A-Z_]+", code)) - {"SQSW_WORK", "SQSW_SERVE"}
    daemons = {f"SQSW_{name}" for name in ("WORK_", "SERVE_", *variables_of("work", "serve"))}
    assert {name for name in said if name.startswith("SQSW_")} - daemons == used - daemons
    assert [name for name in said - daemons if name not in code] == []


def variables_of(*names: str) -> set[str]:
    """Return the ends of the variable names for the options of commands."""
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
    # A key of a queue, with its values and description.
    assert (
        "| `max_receives` | integer or null | Receives after which a message goes there |" in text
    )
    assert "With `command` `redrive`:" in text
    # Keys of nested objects.
    assert "| `error.trace` | string or null | End of the traceback |" in text
    assert "| `reasons.count` | integer | Number of messages |" in text


def test_a_page_shows_the_names_of_its_files() -> None:
    source = ["# Page\n\n<!-- file: a.py -->\n```python\n1\n```\n"]
    captions(source)
    assert "```{code-block} python\n:caption: a.py\n\n1\n```" in source[0]
    source = ["<!-- file: a/__init__.py -->\n```python\n1\n```\n"]
    captions(source)
    assert r":caption: a/\_\_init\_\_.py" in source[0]


def test_the_generated_parts_of_the_pages_are_up_to_date() -> None:
    parts = set()
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert with_parts(text) == text, "run: python -m docs.generated"
        parts |= {match[1] for match in PART.finditer(text)}
    assert parts == set(PARTS)


def test_a_generated_part_replaces_the_old_one() -> None:
    page = "a\n\n<!-- generated: columns -->\nold\n<!-- end of generated -->\n\nb\n"
    assert columns() in with_parts(page)
    assert "\nold\n" not in with_parts(page)
    assert with_parts(with_parts(page)) == with_parts(page)
    with pytest.raises(KeyError):
        with_parts("<!-- generated: nothing -->\n<!-- end of generated -->\n")


def test_the_navigation_has_the_lists_of_the_home_page() -> None:
    trees = contents()
    assert ":caption: Frameworks\n\nDjango <how-to/django.md>\n" in trees
    captions = re.findall(r"^:caption: (.+)$", trees, re.M)
    assert captions[:6] == [
        "Get started",
        "Frameworks",
        "Queues and retries",
        "Testing",
        "Deploy",
        "Operate",
    ]


def test_an_option_with_a_typographic_dash_fails_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert TYPOGRAPHIC_OPTION.findall("<code>sqsw \u2013json</code> \u2014from") == [
        "\u2013json",
        "\u2014from",
    ]
    assert TYPOGRAPHIC_OPTION.findall("1\u20132, a \u2013 b, --json, Dec\u2013Jan") == []
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert "\nsmartquotes = False\n" in conf and "typographic_options(name, context)" in conf


def test_a_page_with_directives_tells_readers_of_a_checkout_how_to_build_it() -> None:
    docs, seen = REFERENCE.parent, []
    for page in REFERENCE.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if "{eval-rst}" in text:
            note = NOTE.search(text)
            assert note is not None, page
            assert f"`build/docs/{page.relative_to(docs).with_suffix('.html')}`" in note[0]
            seen.append(page.stem)
    assert {"tasks", "errors"} <= {*seen}
    source = ["# Page\n\n*In a checkout a part of this page is missing: x.*\n\nText\n"]
    fill_in(source)
    assert source == ["# Page\n\nText\n"]


def test_commands_accept_every_example_of_their_help(
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
    """Return the examples of all commands."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", commands(), re.M | re.S))
