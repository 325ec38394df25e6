"""Cron runs never overlap."""

from pathlib import Path

import pytest

from sqsw.core.errors import Busy, SettingsError
from sqsw_cli.working.lock import exclusive


def test_a_second_run_is_refused_as_busy(tmp_path: Path) -> None:
    path = str(tmp_path / "nightly.lock")
    with exclusive(path), pytest.raises(Busy, match="is held by another process"), exclusive(path):
        pass
    with exclusive(path):
        pass


def test_without_a_file_there_is_no_lock() -> None:
    with exclusive(None), exclusive(None):
        pass


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot open the lock"), exclusive(str(tmp_path)):
        pass
