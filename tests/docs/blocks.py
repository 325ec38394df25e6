"""The blocks of code on a page, and a shell session of all of them.

A comment before a block says what it is::

    <!-- file: NAME -->         it is written to this file
    <!-- shell -->              it is typed into the shell
    <!-- python -->             it is run by python
    <!-- output -->             the block before has printed these lines, and maybe others
    <!-- not run: REASON -->    it is only shown

Directives of Sphinx (``{toctree}`` …) are no code. One shell runs a page from its top to its end,
so that what is exported at the top holds below, as for a reader.

Outputs are real ones. Ids, times and decimals differ from run to run, so they are not compared. A
line "…" stands for lines that are left out, and "…" in a line for anything. After a change of an
output, this writes today's lines into the pages; a line that has no counterpart any more takes the
one that is most like it::

    SQSW_TEST_WRITE_OUTPUTS=1 pytest tests/docs/test_pages.py
"""

import difflib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
MARKER = re.compile(
    r"<!-- (?P<kind>file|shell|python|output|not run)(: (?P<about>[^>]+))? -->\s*\Z"
)
#: Where a page's commands are run, as it is shown to readers.
READERS_DIRECTORY = "/home/ann/app"
#: What differs from run to run.
_CHANGING = re.compile(
    r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|\b(?=[a-f]*\d)[\da-f]{8}\b"  # ids, and how they begin
    r"|\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?(\.\d+)?Z?|\b\d+(ms|[smh]( ago|$|(?=  )))"
    r"|\d+\.\d+|(?<=127\.0\.0\.1:)\d+|\bpid[= ]\d+|(?<=; )\d+ requests"
)
#: what ends a text in the script, and is in no block
_END = "__end_of_the_block__"
#: before the number of the line where a block begins
_SIGN = "\x1e"


@dataclass(frozen=True)
class Block:
    """One block of a page; ``about`` is the name of a file, or the reason."""

    kind: str
    about: str
    text: str
    line: int


class UnmarkedBlock(AssertionError):
    """A block of a page says not what it is."""


def _is_code(token: Token) -> bool:
    return token.type in ("fence", "code_block") and not token.info.startswith("{")


def has_blocks(page: Path) -> bool:
    """Whether there is code on a page."""
    return any(map(_is_code, MarkdownIt().parse(page.read_text(encoding="utf-8"))))


def blocks_of(page: Path) -> list[Block]:
    """All blocks of code of a page.

    Raises
    ------
    UnmarkedBlock
        One says not what it is.
    """
    blocks = []
    marker: re.Match[str] | None = None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            marker = MARKER.match(token.content)
            continue
        if _is_code(token):
            line = (token.map or [0])[0] + 1
            if marker is None or (marker["kind"] in ("file", "not run")) != bool(marker["about"]):
                raise UnmarkedBlock(f"{page.relative_to(ROOT)}:{line}: no word of what it is")
            blocks.append(Block(marker["kind"], marker["about"] or "", token.content, line))
        marker = None
    return blocks


def script_of(blocks: list[Block]) -> str:
    """A script for bash that does what the page says."""
    lines = ["set -eu"]
    for block in blocks:
        lines.append(f"printf '{_SIGN}%s\\n' {block.line}")
        if block.kind == "shell":
            lines.append(block.text)
        elif block.kind == "python":
            lines.append(f"python - <<'{_END}'\n{block.text}{_END}")
        elif block.kind == "file":
            file = shlex.quote(block.about)
            lines.append(f"mkdir -p \"$(dirname {file})\"\ncat > {file} <<'{_END}'")
            lines.append(f"{block.text}{_END}")
    return "\n".join(lines) + "\n"


def outputs_of(written: str) -> dict[int, str]:
    """What each block has printed, by its line."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).replace("\r", "\n")
    parts = re.split(rf"{_SIGN}(\d+)\n", plain)[1:]
    return {int(line): text for line, text in zip(parts[::2], parts[1::2], strict=True)}


def normalized(line: str) -> str:
    """A line without what differs from run to run."""
    return " ".join(_CHANGING.sub("#", line).split())


def matching_lines(expected: str, printed: str) -> list[str | None]:
    """The printed line for each of the expected ones, in their order; None if there is none."""
    rest, found = printed.splitlines(), list[str | None]()
    for line in expected.splitlines():
        if line == "…":
            found.append(line)
            continue
        at = next((i for i, there in enumerate(rest) if _is_same(line, there)), None)
        found.append(None if at is None else rest[at].rstrip())
        rest = rest if at is None else rest[at + 1 :]
    return found


def _is_same(expected: str, printed: str) -> bool:
    if "…" not in expected:
        return normalized(expected) == normalized(printed)
    words = " ".join(expected.split()).split("…")
    return re.fullmatch(".*".join(map(re.escape, words)), " ".join(printed.split())) is not None


def missing_line(expected: str, printed: str) -> str | None:
    """The first of the expected lines that was not printed, after those before it."""
    found = matching_lines(expected, printed)
    pairs = zip(expected.splitlines(), found, strict=True)
    return next((line for line, there in pairs if there is None), None)


def real_lines(expected: str, printed: str) -> str:
    """The expected lines, with the most similar printed lines in place of those not printed."""
    lines = []
    rest = [line.rstrip() for line in printed.splitlines() if line.strip()]
    for line in expected.splitlines():
        there = matching_lines(line, "\n".join(rest))[0]
        if there is None:
            (there,) = difflib.get_close_matches(line, rest, 1, 0.1) or [line]
        # A line that differs only in ids and times stays, or each run would change all pages.
        is_same = normalized(line) == normalized(there) and ("  " in line) == ("  " in there)
        lines.append(line if is_same else there)
        if there in rest:
            rest = rest[rest.index(there) + 1 :]
    return "".join(f"{line}\n" for line in lines)


def write_outputs(page: Path, real: dict[int, str]) -> None:
    """Put these texts into the blocks of a page that begin at these lines."""
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    for block in reversed(blocks_of(page)):
        if block.line in real:
            count = len(block.text.splitlines())
            lines[block.line : block.line + count] = [real[block.line]]
    page.write_text("".join(lines), encoding="utf-8")
