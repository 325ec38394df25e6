"""The library speaks Python and AWS. Only the command line names its options and commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sqsw
from sqsw_cli.main import COMMANDS

SOURCES = sorted(Path(sqsw.__file__).parent.rglob("*.py"))
OPTION_OR_COMMAND = re.compile(rf"(?<![\w-])(--[a-z]|-(vv?|c|Q)\b|sqsw ({'|'.join(COMMANDS)})\b)")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield string literals and parts of f-strings, without docstrings."""
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and node.body]
    docstrings = [node.value for node in first if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [] if node in docstrings else [(node.lineno, node.value)]


def test_no_text_of_the_library_names_an_option_or_a_command() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path in SOURCES
        for line, text in texts(ast.parse(path.read_text()))
        if OPTION_OR_COMMAND.search(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["add --to", "run 'sqsw serve'", "-vv shows more"])
def test_such_a_text_is_detected(text: str) -> None:
    tree = ast.parse(f'"""sqsw work"""\nx = f"{{y}} {text}"')
    assert [bool(OPTION_OR_COMMAND.search(found)) for _, found in texts(tree)] == [True]
