"""The parts of the reference that are made from the code, as Markdown.

A page says ``<!-- generated: commands -->`` where such a part belongs.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sqsw
from sqsw_cli.config import GLOBAL_KEYS, keys_of
from sqsw_cli.main import cli
from sqsw_cli.options.global_options import GlobalOption
from sqsw_cli.output.columns import lines_of

if TYPE_CHECKING:
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).parent
SCHEMAS = DOCS / "schemas"
#: What a page says of its generated parts where it is not built, on GitHub.
NOTE = re.compile(r"^\*In a checkout a part of this page is missing: [^*]+\*\n\n", re.M)
PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.M)
FILE = re.compile(r"^<!-- file: (\S+) -->\n```(\w+)$", re.M)


def commands() -> str:
    """Every command: how it is called, its options, its examples."""
    root = click.Context(cli, info_name="sqsw", **cli.context_settings)
    parts = ["## Global options\n", *_options(root, cli, is_global=True)]
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        parts += _command(
            click.Context(command, info_name=name, parent=root, **command.context_settings), command
        )
    return "\n".join(parts)


def _command(ctx: click.Context, command: click.Command) -> Iterator[str]:
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    yield f"\n## {ctx.info_name}\n"
    yield f"```text\n{usage}\n```\n"
    yield _escaped(cleandoc(command.help or "")) + "\n"
    yield from _options(ctx, command, is_global=False)
    lines = [line.strip() for line in getattr(command, "examples", "").strip().splitlines()]
    if lines:
        yield "\n".join(["```sh", *lines, "```\n"])


def columns() -> str:
    """The columns of every command's lines in a pipe."""
    rows = [
        f"| `{command}` | {_cell(line.when)} | {' '.join(map(_code, line.columns))} |"
        for command in cli.table
        for line in lines_of(command)
    ]
    return "\n".join(["| command | lines | columns |", "| --- | --- | --- |", *rows])


def keys() -> str:
    """Every key of a configuration file."""
    root = click.Context(cli, info_name="sqsw")
    parts = []
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        rows = []
        for key, option in keys_of(command).items():
            record = option.get_help_record(context)
            if record is not None and key not in GLOBAL_KEYS:
                rows.append(f"| `{key}` | {_cell(record[1])} |")
        if rows:
            table = name.replace("-", "_")
            parts += [f"`[{table}]`, for `sqsw {name}`:\n", "| key | |", "| --- | --- |", *rows, ""]
    return "\n".join(parts)


def _options(ctx: click.Context, command: click.Command, *, is_global: bool) -> Iterator[str]:
    rows = []
    for param in command.get_params(ctx):
        shared = isinstance(param, GlobalOption) or "--help" in param.opts
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None and shared == is_global:
            rows.append(f"| {_code(record[0])} | {_cell(record[1])} |")
    if rows:
        yield "\n".join(["| option | |", "| --- | --- |", *rows, ""])


def objects() -> str:
    """Every type of object that ``--json`` prints."""
    parts = []
    for path in sorted(SCHEMAS.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        parts += [f"## {path.stem}\n", f"{_escaped(schema['description'])}\n"]
        parts += _keys(schema)
        for branch in schema.get("oneOf", []):
            of = branch["properties"].get("command", {}).get("const")
            parts += [f"With `command` `{of}`:\n" if of else "", *_keys(branch)]
        parts.append(f"Schema: [{path.name}](../schemas/{path.name})\n")
    return "\n".join(parts)


def _keys(schema: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_rows(schema["properties"]))
    if rows:
        yield "\n".join(["| key | value | |", "| --- | --- | --- |", *rows, ""])


def _rows(properties: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for key, value in properties.items():
        if "const" not in value:
            description = _cell(value.get("description", ""))
            yield f"| `{parent}{key}` | {_cell(_kind(value))} | {description} |"
            yield from _rows(value.get("items", value).get("properties", {}), f"{parent}{key}.")


def _kind(value: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "enum" in value:
        return ", ".join("null" if one is None else f"`{one}`" for one in value["enum"])
    kinds = value.get("type", "any")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", " ")


def _escaped(text: str) -> str:
    """Plain text of the command line as Markdown."""
    return re.sub(r"([*_\[\]<>])", r"\\\1", text)


def contents() -> str:
    """The tables of contents: the lists of the index, which people read on GitHub."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    trees, listed = [], {"index.md"}
    for section in index.split("\n## ")[1:]:
        pages = re.findall(r"^- \[.+?\]\((.+?)\)", section, re.M)
        listed.update(pages)
        trees.append([section.partition("\n")[0], *pages])
    trees[-1] += sorted({path.name for path in DOCS.glob("*.md")} - listed)
    return "\n".join(
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])
        for caption, *pages in trees
    )


def decisions() -> str:
    """The table of contents of the decisions, which GitHub would show as code."""
    return "```{toctree}\n:glob:\n:hidden:\n\n0*\n```"


PARTS: Mapping[str, Callable[[], str]] = {
    "contents": contents,
    "commands": commands,
    "columns": columns,
    "keys": keys,
    "objects": objects,
    "decisions": decisions,
}


def fill_in(source: list[str]) -> None:
    """Put the generated parts into the text of a page, for Sphinx's event ``source-read``."""
    source[0] = PLACE.sub(lambda match: PARTS[match[1]](), NOTE.sub("", source[0]))


def captions(source: list[str]) -> None:
    """Show the names of files above the blocks that are files."""
    source[0] = FILE.sub(r"```{code-block} \2\n:caption: \1\n", source[0])


def completeness(env: "BuildEnvironment") -> None:
    """Warn, which ends the build, of a public name that no page of the reference has."""
    from sphinx.util import logging

    known = env.get_domain("py").data["objects"]
    for name in getattr(sqsw, "__all__", ()):
        if f"sqsw.{name}" not in known:
            logging.getLogger(__name__).warning("sqsw.%s is on no page of the reference", name)
