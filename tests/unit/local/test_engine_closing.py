"""An engine that nobody holds any more closes its file, wherever the garbage collector comes."""

import gc
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

from sqsw.local.engine import LocalEngine
from tests.backends import wait_until


def forgotten_engine(path: Path) -> None:
    """Leave an engine in a ring, for the garbage collector."""
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.ring = engine  # type: ignore[attr-defined]  # only the collector finds it


def test_the_file_is_closed_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    forgotten_engine(path)
    assert Path(f"{path}-wal").exists()
    gc.collect()
    wait_until(lambda: not Path(f"{path}-wal").exists(), 10, "the file to be closed")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_collector_may_come_while_the_locks_of_a_fork_are_held(tmp_path: Path) -> None:
    """Before it closed in the thread that forks, which then waited for itself."""
    path = tmp_path / "a.db"
    forgotten_engine(path)

    def collect(frame: FrameType, event: str, argument: object) -> None:
        is_call = event == "call" and frame.f_code.co_name == "before_fork"
        # Once: a collection for each store of the tests before would take minutes.
        if is_call and frame.f_locals["self"].path == str(path):
            gc.collect()

    sys.setprofile(collect)
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
    finally:
        sys.setprofile(None)
    assert os.waitpid(pid, 0)[1] == 0
    wait_until(lambda: not Path(f"{path}-wal").exists(), 10, "the file to be closed")
