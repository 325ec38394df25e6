"""Every code block of the README and the docs runs and prints what the page shows."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.clients.support import fetched, installed
from tests.docs.blocks import (
    READERS_DIRECTORY,
    ROOT,
    Block,
    UnmarkedBlock,
    blocks_of,
    has_blocks,
    missing_line,
    normalized,
    outputs_of,
    real_lines,
    script_of,
    write_outputs,
)
from tests.docs.command_lines import command_lines, options_of
from tests.docs.terminal import run_in_terminal
from tests.installed import needs_plugin

PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
]
#: what a page needs in addition to sqsw
NEEDS = {
    "docs/testing.md": needs_plugin,
    "docs/how-to/migrate-from-sqs-workers.md": pytest.mark.skipif(
        find_spec("sqs_workers") is None,
        reason="sqs-workers is not installed: pip install sqs-workers==0.7.3",
    ),
}

#: the width of a reader's terminal
COLUMNS = 100
#: variables that a reader has not set
UNWANTED = ("PYTEST_ADDOPTS", "PYTHONUNBUFFERED")


@pytest.fixture
def home() -> Iterator[Path]:
    """The reader's directory. Its path is as short as READERS_DIRECTORY, so lines break alike."""
    with TemporaryDirectory(prefix="s-", dir="/tmp") as directory:
        home = Path(directory)
        yield home


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables that put the commands of this checkout first; a page sets the rest."""
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
def test_every_block_of_code_runs(
    page: str, home: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    if page == "docs/how-to/other-languages.md":
        installed("node")
        (home / "node_modules").symlink_to(fetched("node/node_modules"))
    blocks = [block for block in blocks_of(ROOT / page) if block.kind != "not run"]
    script = tmp_path / "page.sh"
    script.write_text(script_of(blocks), encoding="utf-8")
    code, written = run_in_terminal(["bash", str(script)], home, environment, columns=COLUMNS)
    assert code == 0, written

    printed = outputs_of(written.replace(str(home), READERS_DIRECTORY))
    assert list(printed) == [block.line for block in blocks], written
    before, real = "", dict[int, str]()
    for block in blocks:
        if block.kind == "output":
            if "SQSW_TEST_WRITE_OUTPUTS" in os.environ:
                real[block.line] = real_lines(block.text, before)
                continue
            line = missing_line(block.text, before)
            assert line is None, f"{page}:{block.line}: not printed: {line}\n{before}"
        else:
            before = printed[block.line]
    if real:
        write_outputs(ROOT / page, real)


def test_commands_accept_the_blocks_that_are_not_run() -> None:
    shown = [
        words
        for page in PAGES
        if page != "docs/reference/commands.md"  # its examples need files; see test_reference.py
        for block in blocks_of(ROOT / page)
        if block.kind == "not run"
        for words in command_lines(block.text)
    ]
    for words in shown:
        options_of(words)
    assert ["sqsw", "redrive"] in [words[:2] for words in shown]


def test_a_block_without_a_comment_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    for text in ("```sh\nls\n```\n", "    ls\n", "<!-- not run -->\n```sh\nls\n```\n"):
        page.write_text(f"# Page\n\n{text}")
        with pytest.raises(UnmarkedBlock, match=r"page.md:\d: no comment that says what it is"):
            blocks_of(page)
    page.write_text("<!-- shell -->\n```sh\nls\n```\n\n```{toctree}\nx\n```\n")
    assert blocks_of(page) == [Block("shell", "", "ls\n", 2)]


def test_lines_that_were_not_printed_are_found() -> None:
    printed = "one   1\ntwo 0.3 s\nthree\n"
    assert missing_line("one 1\n…\ntwo 0.5 s\n", printed) is None
    assert missing_line("two 0.5 s\none 1\n", printed) == "one 1"
    assert missing_line("two\n", printed) == "two"


def test_ids_times_and_decimals_are_not_compared() -> None:
    one = "12:01:02 1f2e3d4c done 018f2e3d-0000-7000-8000-0123456789ab 0.12s 3m ago 127.0.0.1:9324"
    two = "12:59:59 99999999 done 018f2e3d-1111-7000-8000-0123456789ab 1.5s 40s ago 127.0.0.1:41001"
    assert normalized(one) == normalized(two)
    for line in ("retries for 1s, then", "deadbeef", "sent 3"):
        assert normalized(line) == line


def test_new_outputs_are_written_into_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- output -->\n```text\njob done 0.1s\n…\nbye\n```\n\nText\n")
    (block,) = blocks_of(page)
    real = real_lines(block.text, "start\njob was done in 0.2s\nmore\nbye\n")
    assert real == "job was done in 0.2s\n…\nbye\n"
    write_outputs(page, {block.line: real})
    assert blocks_of(page) == [Block("output", "", real, 2)]


def test_a_page_that_fails_shows_how_far_it_got(
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
