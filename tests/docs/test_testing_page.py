"""The page on testing: its app, its tests, and pytest as it stands there."""

import sys
from pathlib import Path

from tests.docs.test_readme import BLOCK, ROOT, run
from tests.installed import needs_plugin

PAGE = ROOT / "docs" / "testing.md"


@needs_plugin
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```") // 2, "a code block of the page is not run"
    (tmp_path / "bin").mkdir()
    for name, module in (("sqsw", "sqsw_cli"), ("pytest", "pytest")):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        command.chmod(0o755)
    said = ""
    for block in blocks:
        if block["file"]:
            file = tmp_path / block["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block["text"])
        else:
            said += run(["bash", "-euc", block["text"]], tmp_path)
    assert "8 passed" in said
