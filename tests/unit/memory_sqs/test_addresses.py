"""The file path from the value of SQSW_LOCAL."""

import pytest

from sqsw.memory_sqs import local_path


@pytest.mark.parametrize(
    ("value", "path"),
    [(None, None), ("", None), ("0", None), ("1", ".sqsw/local.db"), ("ci.db", "ci.db")],
)
def test_the_variable_sets_the_path_or_turns_the_file_off(
    value: str | None, path: str | None
) -> None:
    assert local_path(value) == path


def test_words_and_the_home_directory_are_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert local_path("true") == local_path("YES") == local_path("on") == ".sqsw/local.db"
    assert local_path("false") is local_path("No") is local_path("off") is None
    assert local_path("~/queues.db") == "/home/ann/queues.db"
