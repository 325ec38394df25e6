"""A lock between processes; two lock objects stand for two processes."""

import threading
import time
from pathlib import Path

import pytest

from sqsw.local.errors import FileLocked
from sqsw.local.store.file_lock import FileLock, WriteLock


def test_one_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(1)
    assert not second.acquire(0.05)
    first.release()
    assert second.acquire(1)
    second.release()
    first.close()
    second.close()


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(1)
    timer = threading.Timer(0.1, first.release)
    timer.start()
    began = time.monotonic()
    assert second.acquire(5)
    assert 0.05 < time.monotonic() - began < 4
    timer.join()
    second.release()
    first.close()
    second.close()


def test_who_gave_up_does_not_hold_it_later(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first, second, third = FileLock(path), FileLock(path), FileLock(path)
    assert first.acquire(1)
    assert not second.acquire(0.05)
    first.release()
    assert third.acquire(5)
    third.release()
    assert second.acquire(5)
    second.release()
    for lock in (first, second, third):
        lock.close()


def test_a_closed_lock_opens_again(tmp_path: Path) -> None:
    lock = FileLock(str(tmp_path / "lock"))
    for _ in range(2):
        assert lock.acquire(1)
        lock.release()
        lock.close()


def test_writers_that_wait_too_long_are_told(tmp_path: Path) -> None:
    path = str(tmp_path / "f.db")
    ours, theirs = WriteLock(path, 0.05), WriteLock(path, 0.05)
    with theirs.held(), pytest.raises(FileLocked), ours.held():
        pass
    with ours.held(), pytest.raises(FileLocked), ours.held():
        pass
    with ours.held():
        pass
    for lock in (ours, theirs):
        assert lock.processes
        lock.processes.close()
