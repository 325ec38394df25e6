"""A garbage-collected engine closes its file, whenever the collection happens."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sqsw.local.engine import LocalEngine
from tests.backends import wait_until

ROOT = Path(__file__).parents[3]


def forgotten_engine(path: Path) -> None:
    """Leave an engine in a reference cycle, for the garbage collector."""
    engine = LocalEngine(path)
    engine.handle("CreateQueue", {"QueueName": "q"})
    engine.ring = engine  # type: ignore[attr-defined]  # only the garbage collector frees it


def test_the_file_is_closed_without_close(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    forgotten_engine(path)
    assert Path(f"{path}-wal").exists()
    gc.collect()
    wait_until(lambda: not Path(f"{path}-wal").exists(), 10, "the file to be closed")


ALONE = """
import gc, os, sys
from tests.backends import wait_until
from tests.unit.local.test_engine_closing import forgotten_engine
from pathlib import Path

path = Path(sys.argv[1])
forgotten_engine(path)

def collect(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "before_fork":
        gc.collect()

sys.setprofile(collect)
pid = os.fork()
if pid == 0:
    os._exit(0)
sys.setprofile(None)
assert os.waitpid(pid, 0)[1] == 0
wait_until(lambda: not Path(f"{path}-wal").exists(), 10, "the file to be closed")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_garbage_collection_during_a_fork_does_not_deadlock(tmp_path: Path) -> None:
    """If the file were closed in the thread that forks, that thread would wait for itself."""
    path = tmp_path / "a.db"
    # In a new process, because a collection of the garbage of earlier tests takes long.
    command = [sys.executable, "-c", ALONE, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert path.exists()
