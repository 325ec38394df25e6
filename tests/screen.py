"""A command on its own terminal, whose screen a test can read while it runs."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pyte


class Terminal:
    """Runs a command as a session leader, so that Ctrl-C reaches it.

    Attributes
    ----------
    screen :
        The visible screen.
    written :
        All bytes of the output.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None = None,
        columns: int = 100,
        lines: int = 40,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.written = b""
        self._looks = True
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # A single system call, which no other thread can block.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - see above
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int) -> None:
        """Change the width."""
        self._set_size(columns, self.screen.lines)
        self.screen.resize(columns=columns)

    def hang_up(self) -> None:
        """Close the terminal, as if a user closed the window."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDWR)

    def press(self, keys: str) -> None:
        """Type this."""
        os.write(self._ours, keys.encode())

    @property
    def lines(self) -> list[str]:
        """Return the lines on the screen, without empty ones at the end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def block(self, title: str = "queue ") -> list[str]:
        """Return the live view, or an empty line while it is being drawn."""
        heads = [index for index, line in enumerate(self.lines) if line.startswith(title)]
        return self.lines[heads[-1] :] if heads else [""]

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Read output until the screen shows what the test waits for."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            assert self._read(), "\n".join(["the command has ended:", *self.lines])

    def end(self, *, looks: bool = True) -> int:
        """Read the rest of the output; return the exit code."""
        self._looks = looks
        while self._read():
            pass
        return self.process.wait(60)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # the error of Linux after the other side is closed
            return False
        self.written += data
        if self._looks:
            self._stream.feed(data)
        return bool(data)
