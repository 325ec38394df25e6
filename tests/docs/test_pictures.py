"""The pictures show what the commands print."""

import html
import re
from pathlib import Path

from docs.pictures.make import PICTURES, main
from tests.docs.blocks import ROOT


def seen_in(picture: Path) -> str:
    """Return the words of a picture, with ``#`` for the parts that differ from run to run."""
    texts = re.findall(r"<text [^>]*>(.*?)</text>", picture.read_text(encoding="utf-8"), re.S)
    words = html.unescape(" ".join(texts)).replace("\xa0", " ").split()
    # Ids, ages, times, process ids.
    changing = r"\b[\da-f]{8}\b(-[\da-f]{4,12}){0,4}|\d+[sm] ago|\d[\d.]*(e-\d+)?"
    return re.sub(changing, "#", " ".join(words))


def test_the_pictures_are_up_to_date(tmp_path: Path) -> None:
    main(tmp_path)
    for name in PICTURES:
        committed = ROOT / "docs" / "pictures" / f"{name}.svg"
        new = seen_in(tmp_path / f"{name}.svg")
        assert new == seen_in(committed), "run docs/pictures/make.py"
        # They load nothing from other places, and contain nothing about the machine that made them.
        text = committed.read_text(encoding="utf-8")
        assert "url(http" not in text and "@import" not in text and "/tmp" not in text
    assert "sqsw work myapp.tasks:env" in seen_in(tmp_path / "work.svg")
