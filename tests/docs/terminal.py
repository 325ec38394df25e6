"""Runs a command on a terminal of its own, and keeps what it wrote there."""

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
    """The exit code, and all that was written; what it has left in the background is ended."""
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
        # Asked before the look, so that its last words are not missed.
        ended = process.poll() is not None
        if select.select([ours], [], [], 0 if ended else 0.1)[0]:
            try:
                written += os.read(ours, 65_536)
            except OSError:  # nobody has the other end any more
                process.wait(10)
                return written
        elif ended:
            return written
    raise AssertionError(f"not ended in time; it wrote:\n{written.decode(errors='replace')}")
