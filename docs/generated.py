"""Generate the parts of the reference that come from the code, as Markdown.

``python -m docs.generated`` writes them into the pages, between two comments, so that a checkout
shows them too; a test fails if they are out of date::

    <!-- generated: commands -->
    ...
    <!-- end of generated -->

Tables of contents (``<!-- toctree: contents -->``) are filled in only when the site is built,
because Markdown viewers would show them as code.
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
#: The note on a page with Sphinx directives for people who read it in a checkout.
NOTE = re.compile(r"^\*In a checkout a part of this page is missing: [^*]+\*\n\n", re.M)
PART = re.compile(r"^<!-- generated: (\w+) -->\n(?:.*?^)??<!-- end of generated -->$", re.M | re.S)
TREE = re.compile(r"^<!-- toctree: (\w+) -->$", re.M)
#: An option whose ``--`` became a real dash through "smart" typography.
TYPOGRAPHIC_OPTION = re.compile(r"(?<!\w)[\u2013\u2014][A-Za-z][\w-]*")
FILE = re.compile(r"^<!-- file: (\S+) -->\n```(\w+)$", re.M)


def commands() -> str:
    """Return every command with its usage, options and examples."""
    root = click.Context(cli, info_name="sqsw", **cli.context_settings)
    parts = ["## Global options\n", *_options(root, cli, is_global=True)]
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root, **command.context_settings)
        parts += _command(context, command, "##")
        for below in subcommands(context):
            parts += _command(below, below.command, "###")
    return "\n".join(parts)


def subcommands(ctx: click.Context) -> Iterator[click.Context]:
    """Yield the contexts of the subcommands, if the command of a context is a group."""
    group = ctx.command
    if isinstance(group, click.Group):
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            yield click.Context(command, info_name=name, parent=ctx, **command.context_settings)


def _command(ctx: click.Context, command: click.Command, level: str) -> Iterator[str]:
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    yield f"\n{level} {ctx.command_path.removeprefix('sqsw ')}\n"
    yield f"{_code(usage)}\n"
    yield _escaped(cleandoc(command.help or "")) + "\n"
    yield from _options(ctx, command, is_global=False)
    lines = [line.strip() for line in getattr(command, "examples", "").strip().splitlines()]
    if lines:
        yield "\n".join(["<!-- not run: examples -->", "```sh", *lines, "```\n"])


def columns() -> str:
    """Return the columns of every command's lines in a pipe."""
    root = click.Context(cli, info_name="sqsw")
    names: list[str] = []
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        below = subcommands(click.Context(command, info_name=name, parent=root))
        names += [name, *(str(context.command.name) for context in below)]
    rows = [
        f"| `{name}` | {_with_code(line.when)} | {' '.join(map(_code, line.columns))} |"
        for name in names
        for line in lines_of(name)
    ]
    return "\n".join(["| command | lines | columns |", "| --- | --- | --- |", *rows])


def keys() -> str:
    """Return every key of a configuration file."""
    root = click.Context(cli, info_name="sqsw")
    parts = []
    for name in cli.table:
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        rows: dict[str, None] = {}  # subcommands share keys
        for each in [*subcommands(context)] or [context]:
            for key, option in keys_of(each.command).items():
                record = option.get_help_record(each)
                if record is not None and key not in GLOBAL_KEYS:
                    rows[f"| `{key}` | {_cell(record[1])} |"] = None
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
    """Return every type of object that ``--json`` prints."""
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
    """Return a description of the possible values."""
    if "enum" in value:
        return ", ".join("null" if one is None else f"`{one}`" for one in value["enum"])
    kinds = value.get("type", "any")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", " ")


def _with_code(text: str) -> str:
    """Return the text of a cell with its options as code."""
    return re.sub(r"--[a-z][a-z-]*", r"`\g<0>`", _cell(text))


def _escaped(text: str) -> str:
    """Escape plain text of the command line for Markdown."""
    return re.sub(r"([*_\[\]<>])", r"\\\1", text)


def names() -> str:
    """Return every name of ``from sqsw import ...``, with the first line of its docstring."""
    rows = []
    for name in sorted(getattr(sqsw, "__all__", ()), key=str.lower):
        value = getattr(sqsw, name)
        if callable(value) and not name.isupper():
            first = _plain(cleandoc(value.__doc__ or "").partition("\n\n")[0])
        else:
            first = f"The {type(value).__name__} of this name."
        rows.append(f"| `{name}` | {_cell(first)} |")
    return "\n".join(["| name | |", "| --- | --- |", *rows])


def _plain(text: str) -> str:
    """Remove Sphinx roles from a docstring: ``:class:`~sqsw.X``` becomes ``X``."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text)
    return text.replace("``", "")


def contents() -> str:
    """Return the tables of contents: the lists of the index."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    return "\n".join(
        _tree(section.partition("\n")[0], section) for section in index.split("\n## ")[1:]
    )


def project() -> str:
    """Return the pages below "Contributing" in the navigation."""
    return _tree("", (DOCS / "contributing.md").read_text(encoding="utf-8"))


def decisions() -> str:
    """Return the table of contents of the decision records."""
    return "```{toctree}\n:glob:\n:hidden:\n\n0*\n```"


def _tree(caption: str, section: str) -> str:
    """Return a table of contents from the links of a list that people read on GitHub."""
    pages = re.findall(r"^- \[(.+?)\]\((.+?\.md)\)", section, re.M)
    entries = [f"{title} <{page}>" for title, page in pages]
    if not entries:
        return ""
    head = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*head, *entries, "```", ""])


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "columns": columns,
    "keys": keys,
    "objects": objects,
    "names": names,
}
TREES: Mapping[str, Callable[[], str]] = {
    "contents": contents,
    "project": project,
    "decisions": decisions,
}


def with_parts(text: str) -> str:
    """Return a page with its parts as the code has them now."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- generated: {name} -->\n\n{PARTS[name]().strip()}\n\n<!-- end of generated -->"

    return PART.sub(part, text)


def fill_in(source: list[str]) -> None:
    """Fill the tables of contents into the text of a page, for Sphinx's event ``source-read``."""
    source[0] = TREE.sub(lambda match: TREES[match[1]](), NOTE.sub("", source[0]))


def captions(source: list[str]) -> None:
    """Show file names above the blocks that are files."""
    source[0] = FILE.sub(_with_caption, source[0])


def _with_caption(match: re.Match[str]) -> str:
    """Return the start of a block with its file name, such as ``__init__.py``, as plain text."""
    return f"```{{code-block}} {match[2]}\n:caption: {_escaped(match[1])}\n"


def completeness(env: "BuildEnvironment") -> None:
    """Warn about public names that no page of the reference has; this fails the build."""
    from sphinx.util import logging

    known = env.get_domain("py").data["objects"]
    for name in getattr(sqsw, "__all__", ()):
        if f"sqsw.{name}" not in known:
            logging.getLogger(__name__).warning("sqsw.%s is on no page of the reference", name)


def typographic_options(page: str, context: Mapping[str, Any]) -> None:
    """Warn about options whose dashes became an en or em dash; this fails the build."""
    from sphinx.util import logging

    for found in TYPOGRAPHIC_OPTION.findall(context.get("body", "")):
        logging.getLogger(__name__).warning("%s: %r does not work when it is copied", page, found)


def main() -> None:
    """Write the generated parts into the pages."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if (new := with_parts(text)) != text:
            page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
