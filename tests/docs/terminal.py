"""Run a command on its own terminal, and capture its output."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_in_terminal(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    *,
    columns: int = 100,
    seconds: float = 240,
) -> tuple[int, str]:
    """Return the exit code and the output; kill the processes that the command left behind."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        written = _read(ours, process, time.monotonic() + seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        os.close(ours)
        process.wait()
    return process.returncode, written.decode().replace("\r\n", "\n")


def _read(ours: int, process: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    written = b""
    while time.monotonic() < deadline:
        # Check this before reading, so that the last output is not missed.
        ended = process.poll() is not None
        if select.select([ours], [], [], 0 if ended else 0.1)[0]:
            try:
                written += os.read(ours, 65_536)
            except OSError:  # no process has the other end open
                process.wait(10)
                return written
        elif ended:
            return written
    raise AssertionError(f"not ended in time; it wrote:\n{written.decode(errors='replace')}")
