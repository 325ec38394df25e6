"""Every block of code of the README and of the docs runs as it stands there."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.blocks import (
    ROOT,
    Block,
    UnmarkedBlock,
    blocks_of,
    has_blocks,
    missing_line,
    outputs_of,
    script_of,
)
from tests.docs.command_lines import command_lines, options_of
from tests.docs.terminal import run_in_terminal
from tests.installed import needs_plugin

PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
]
#: what a page needs beyond sqsw itself
NEEDS = {
    "docs/testing.md": needs_plugin,
    "docs/how-to/migrate-from-sqs-workers.md": pytest.mark.skipif(
        find_spec("sqs_workers") is None,
        reason="sqs-workers is not here: pip install sqs-workers==0.7.3",
    ),
}

#: wider than what names the directory of a test, or the line would be broken
COLUMNS = 200
#: what a reader has not set
UNWANTED = ("PYTEST_ADDOPTS", "PYTHONUNBUFFERED")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The commands of this checkout first; the rest is for the page to say."""
    commands = tmp_path / "bin"
    commands.mkdir()
    modules = {"sqsw": "sqsw_cli", "pytest": "pytest", "django-admin": "django", "flask": "flask"}
    programs = {name: f"-m {module}" for name, module in modules.items()} | {"python": ""}
    for name, what in programs.items():
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n')
        command.chmod(0o755)
    return {
        **{name: text for name, text in os.environ.items() if name not in UNWANTED},
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "NO_COLOR": "1",
        "COLUMNS": str(COLUMNS),
    }


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[NEEDS[page]] if page in NEEDS else [])
        for page in PAGES
        if has_blocks(ROOT / page)
    ],
)
def test_every_block_of_code_runs(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    blocks = [block for block in blocks_of(ROOT / page) if block.kind != "not run"]
    here = tmp_path / "reader"
    here.mkdir()
    script = tmp_path / "page.sh"
    script.write_text(script_of(blocks), encoding="utf-8")
    code, written = run_in_terminal(["bash", str(script)], here, environment, columns=COLUMNS)
    assert code == 0, written

    printed = outputs_of(written)
    assert list(printed) == [block.line for block in blocks], written
    before = ""
    for block in blocks:
        if block.kind == "output":
            line = missing_line(block.text, before)
            assert line is None, f"{page}:{block.line}: not printed: {line}\n{before}"
        else:
            before = printed[block.line]


def test_what_is_only_shown_is_taken_by_the_commands() -> None:
    shown = [
        words
        for page in PAGES
        for block in blocks_of(ROOT / page)
        if block.kind == "not run"
        for words in command_lines(block.text)
    ]
    for words in shown:
        options_of(words)
    assert ["sqsw", "redrive"] in [words[:2] for words in shown]


def test_a_block_without_a_word_of_what_it_is_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    for text in ("```sh\nls\n```\n", "    ls\n", "<!-- not run -->\n```sh\nls\n```\n"):
        page.write_text(f"# Page\n\n{text}")
        with pytest.raises(UnmarkedBlock, match=r"page.md:\d: no word of what it is"):
            blocks_of(page)
    page.write_text("<!-- shell -->\n```sh\nls\n```\n\n```{toctree}\nx\n```\n")
    assert blocks_of(page) == [Block("shell", "", "ls\n", 2)]


def test_lines_that_were_not_printed_are_found() -> None:
    printed = "one   1\ntwo 0.3 s\nthree\n"
    assert missing_line("one 1\ntwo … s\n", printed) is None
    assert missing_line("two … s\none 1\n", printed) == "one 1"
    assert missing_line("two\n", printed) == "two"


def test_a_page_that_fails_shows_how_far_it_came(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    script = tmp_path / "page.sh"
    blocks = [
        Block("shell", "", "export GREETING=hello\n", 1),
        Block("python", "", "import os\nprint(os.environ['GREETING'])\n", 5),
        Block("shell", "", "sqsw no-such-command\n", 9),
        Block("shell", "", "echo never\n", 12),
    ]
    script.write_text(script_of(blocks))
    code, written = run_in_terminal(["bash", str(script)], tmp_path, environment)
    assert code == 2
    printed = outputs_of(written)
    assert list(printed) == [1, 5, 9]
    assert printed[5] == "hello\n"
    assert "no-such-command" in printed[9]
