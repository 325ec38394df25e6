"""The lock between processes; two lock objects act as two processes."""

import threading
import time
from pathlib import Path

import pytest

from sqsw.local.errors import FileLocked
from sqsw.local.store.file_lock import FileLock, WriteLock


def test_only_one_process_holds_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(1)
    assert not second.acquire(0.05)
    first.release()
    assert second.acquire(1)
    second.release()
    first.close()
    second.close()


def test_a_waiting_process_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
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


def test_a_process_that_gave_up_does_not_get_the_lock_later(tmp_path: Path) -> None:
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


def test_a_writer_that_waits_too_long_gets_an_error(tmp_path: Path) -> None:
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
