"""Parse the code blocks of a page, and run them in one shell session.

A comment before each block says what it is::

    <!-- file: NAME -->         write it to this file
    <!-- shell -->              run it in the shell
    <!-- python -->             run it with Python
    <!-- output -->             the previous block printed these lines, among others
    <!-- not run: REASON -->    do not run it

Sphinx directives (``{toctree}`` …) are not code. One shell runs a page from top to bottom, so
exported variables stay set, as for a reader.

Ids, times and decimals differ from run to run, so they are not compared. A line "…" stands for
omitted lines, and "…" within a line stands for any text. If an output has changed, this command
writes the new lines into the pages. A line that is no longer printed is replaced by the most
similar one::

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
#: The directory that a page's commands run in, as readers see it.
READERS_DIRECTORY = "/home/ann/app"
#: The parts of an output that differ from run to run.
_CHANGING = re.compile(
    r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|\b(?=[a-f]*\d)[\da-f]{8}\b"  # ids, whole or cut
    r"|\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?(\.\d+)?Z?|\b\d+(ms|[smh]( ago|$|(?=  )))"
    r"|\d+\.\d+|(?<=127\.0\.0\.1:)\d+|\bpid[= ]\d+|(?<=; )\d+ requests"
)
#: ends a text in the script; no block contains it
_END = "__end_of_the_block__"
#: stands before the line number of a block
_SIGN = "\x1e"


@dataclass(frozen=True)
class Block:
    """One block of a page; ``about`` is the file name or the reason."""

    kind: str
    about: str
    text: str
    line: int


class UnmarkedBlock(AssertionError):
    """A block of a page without a comment that says what it is."""


def _is_code(token: Token) -> bool:
    return token.type in ("fence", "code_block") and not token.info.startswith("{")


def has_blocks(page: Path) -> bool:
    """Return whether a page has code blocks."""
    return any(map(_is_code, MarkdownIt().parse(page.read_text(encoding="utf-8"))))


def blocks_of(page: Path) -> list[Block]:
    """Return all code blocks of a page.

    Raises
    ------
    UnmarkedBlock
        If a block has no comment that says what it is.
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
                raise UnmarkedBlock(
                    f"{page.relative_to(ROOT)}:{line}: no comment that says what it is"
                )
            blocks.append(Block(marker["kind"], marker["about"] or "", token.content, line))
        marker = None
    return blocks


def script_of(blocks: list[Block]) -> str:
    """Return a bash script that does what the page says."""
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
    """Return what each block printed, by its line."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).replace("\r", "\n")
    parts = re.split(rf"{_SIGN}(\d+)\n", plain)[1:]
    return {int(line): text for line, text in zip(parts[::2], parts[1::2], strict=True)}


def normalized(line: str) -> str:
    """Return a line without the parts that differ from run to run."""
    return " ".join(_CHANGING.sub("#", line).split())


def matching_lines(expected: str, printed: str) -> list[str | None]:
    """Return the printed line for each expected line, in order; None if there is none."""
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
    """Return the first expected line that was not printed after those before it."""
    found = matching_lines(expected, printed)
    pairs = zip(expected.splitlines(), found, strict=True)
    return next((line for line, there in pairs if there is None), None)


def real_lines(expected: str, printed: str) -> str:
    """Return the expected lines, each missing one replaced by the most similar printed line."""
    lines = []
    rest = [line.rstrip() for line in printed.splitlines() if line.strip()]
    for line in expected.splitlines():
        there = matching_lines(line, "\n".join(rest))[0]
        if there is None:
            (there,) = difflib.get_close_matches(line, rest, 1, 0.1) or [line]
        # Keep lines that differ only in ids and times. Otherwise, each run would change all pages.
        is_same = normalized(line) == normalized(there) and ("  " in line) == ("  " in there)
        lines.append(line if is_same else there)
        if there in rest:
            rest = rest[rest.index(there) + 1 :]
    return "".join(f"{line}\n" for line in lines)


def write_outputs(page: Path, real: dict[int, str]) -> None:
    """Replace the text of the blocks that begin at these lines."""
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    for block in reversed(blocks_of(page)):
        if block.line in real:
            count = len(block.text.splitlines())
            lines[block.line : block.line + count] = [real[block.line]]
    page.write_text("".join(lines), encoding="utf-8")
