"""An engine that nobody holds any more closes its file, wherever the garbage collector comes."""

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_collector_may_come_while_the_locks_of_a_fork_are_held(tmp_path: Path) -> None:
    """Before it closed in the thread that forks, which then waited for itself."""
    path = tmp_path / "a.db"
    # In a process of its own: a collection with what all tests before have left takes long.
    command = [sys.executable, "-c", ALONE, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert path.exists()
