"""The blocks of code on a page, and a shell session of all of them.

A comment before a block says what it is::

    <!-- file: NAME -->         it is written to this file
    <!-- shell -->              it is typed into the shell
    <!-- python -->             it is run by python
    <!-- output -->             the block before has printed these lines, "…" is anything
    <!-- not run: REASON -->    it is only shown

Directives of Sphinx (``{toctree}`` …) are no code. One shell runs a page from its top to its end,
so that what is exported at the top holds below, as for a reader.
"""

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


def missing_line(expected: str, printed: str) -> str | None:
    """The first of the expected lines that was not printed, after those before it."""
    rest = [" ".join(line.split()) for line in printed.splitlines()]
    for line in expected.splitlines():
        words = " ".join(line.split())
        pattern = re.compile(".*".join(map(re.escape, words.split("…"))))
        found = next((i for i, there in enumerate(rest) if pattern.fullmatch(there)), None)
        if found is None:
            return line
        rest = rest[found + 1 :]
    return None
